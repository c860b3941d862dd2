//===- CpuFeatures.h - What the CPU at hand can do --------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Answers whether this machine has what compiled code was compiled for.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_CPUFEATURES_H
#define CLADE_RUNTIME_ENGINE_CPUFEATURES_H

#include "runtime/Support/Status.h"

#include <string>
#include <vector>

namespace clade::rt {

/// The number of the tile registers of AMX among what XSAVE saves.
inline constexpr int tileRegisters = 18;
/// Asks the operating system that all threads of this process may use the
/// registers of that number; Linux wants to be asked about those that are large
/// (arch_prctl, ARCH_REQ_XCOMP_PERM). Asking again changes nothing. Unsupported
/// if it refuses.
Status requestRegisters(int number = tileRegisters);

/// Whether the CPU, and the operating system where registers are to be saved,
/// support every `+name` of `features` (LLVM's names; `-name` is skipped).
/// Unsupported names the first feature that is missing or not known here. Where
/// all of them are there and one is of AMX, its registers are asked for.
Status checkCpuFeatures(const std::vector<std::string> &features);

/// The features of this machine that the table knows, as `+name`, sorted.
std::vector<std::string> hostCpuFeatures();

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_CPUFEATURES_H

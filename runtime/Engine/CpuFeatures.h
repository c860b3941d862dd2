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

/// Whether the CPU, and the operating system where registers are to be saved,
/// support every `+name` of `features` (LLVM's names; `-name` is skipped).
/// Unsupported names the first feature that is missing or not known here.
Status checkCpuFeatures(const std::vector<std::string> &features);

/// The features of this machine that the table knows, as `+name`, sorted.
std::vector<std::string> hostCpuFeatures();

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_CPUFEATURES_H

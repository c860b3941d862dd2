//===- MachineCode.h - Which code a GPU runs ------------------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An artifact has PTX, which GPUs of its architecture and later ones compile as
// they load it, and may have machine code for some of them.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_MACHINECODE_H
#define CLADE_RUNTIME_DEVICE_MACHINECODE_H

#include "runtime/Support/Status.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace clade::rt {

/// Machine code by architecture, such as `sm_80`.
using MachineCode = std::map<std::string, std::string>;

/// The file of an artifact with machine code for `arch`.
std::string machineCodeFile(const std::string &arch);
/// The architecture of a file of that name; none for other files.
std::optional<std::string> archOfMachineCode(const std::string &file);

/// Whether PTX of an architecture runs on a GPU of a compute capability (80 for
/// sm_80): later ones run that of earlier ones, except where the name ends with
/// `a`.
bool runsPtxOf(const std::string &arch, int capability);

/// Of `code` what a GPU of that capability runs best: its own, or that of an
/// earlier one with the same major number. Null if there is none.
const MachineCode::value_type *machineCodeFor(const MachineCode &code,
                                              int capability);

/// Corruption unless `bytes` are an ELF file with all of its tables: drivers do
/// not know how long it is.
Status checkMachineCode(std::string_view bytes);

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_MACHINECODE_H

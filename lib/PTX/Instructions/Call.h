//===- Call.h - Calls of functions ------------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_INSTRUCTIONS_CALL_H
#define CLADE_PTX_INSTRUCTIONS_CALL_H

#include "lib/PTX/Execution.h"

#include <vector>

namespace clade::ptx {

/// What a call passes, or where it puts a result: bytes of the caller's local
/// memory (a .param variable) or a register.
struct CallOperand {
  bool isLocal = false;
  uint64_t offset = 0; ///< In the frame's local memory.
  Slot slot;
  unsigned bytes = 0; ///< Of a register; of a .param variable: its size.
};

/// A function that the machine provides.
using Builtin = void (*)(Warp &warp, const Op &op, LaneMask exec);

struct CallRecord {
  int32_t callee = -1; ///< Index of Program::codes; -1: by address.
  Builtin builtin = nullptr;
  std::vector<CallOperand> arguments;
  std::vector<CallOperand> results;
};

/// The builtin of a name; null if there is none.
Builtin builtinNamed(std::string_view name);

/// The value of an argument in a lane, zero-extended.
uint64_t argument(const Warp &warp, const Op &op, unsigned index,
                  unsigned lane);

} // namespace clade::ptx

#endif // CLADE_PTX_INSTRUCTIONS_CALL_H

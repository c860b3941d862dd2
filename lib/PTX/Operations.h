//===- Operations.h - What an instruction is, for its counts ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_OPERATIONS_H
#define CLADE_PTX_OPERATIONS_H

#include "lib/PTX/Counters.h"
#include "lib/PTX/Module.h"

namespace clade::ptx {

/// The format of a matrix instruction whose operand A has a type.
Format tensorFormat(Type type);

/// Operations on floating-point numbers that a thread does with an instruction:
/// two for a multiply-add, one for a sum, product, quotient, root or special
/// function, times the values that its operands pack; 0 for all others.
unsigned operationsOf(const Instruction &instruction, Class kind);
/// The format in which it does them.
Format vectorFormat(const Instruction &instruction);

/// Whether what it reads of global memory may lie in L1: plain loads and
/// cp.async.ca; not volatile, ordered or `.cg` ones, nor bulk copies.
bool usesL1(const Instruction &instruction);
/// Whether what it writes is to make room in L2 before all else: `st.cs`, which
/// says that it will not be used again soon.
bool evictsFirst(const Instruction &instruction);

} // namespace clade::ptx

#endif // CLADE_PTX_OPERATIONS_H

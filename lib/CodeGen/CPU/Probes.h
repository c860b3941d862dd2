//===- Probes.h - What a machine can do at most -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loops that only read, or only compute in registers: what kernels are measured
// beside. They are compiled for the same target as the kernels, so that both
// may use the same instructions.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_PROBES_H
#define CLADE_CODEGEN_CPU_PROBES_H

#include "lib/CodeGen/CPU/Target.h"
#include "mlir/IR/BuiltinOps.h"

namespace clade::cpu {

/// What the functions of probes look like. `data` is aligned to 64 bytes and
/// has 4096 of them, or for a reading probe all that is read.
using ProbeFunction = void(void *data, int64_t steps);

/// What products multiply.
enum class Arithmetic { F32, BF16, Int8 };

/// Adds a loop of multiply-adds in registers to `module`: in pairs of bf16 or
/// fours of 8-bit integers where the target has them. Otherwise 8 bits are
/// multiplied as pairs of 16, and the rest in f32. Gives the operations of a
/// step, two a multiply-add.
int64_t addPeakProbe(mlir::ModuleOp module, llvm::StringRef name,
                     const Target &target, Arithmetic arithmetic);

/// Adds a loop that reads from `data` on. Gives the bytes of a step.
int64_t addReadProbe(mlir::ModuleOp module, llvm::StringRef name,
                     const Target &target);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_PROBES_H

//===- TileEmulation.h - AMX on machines that have none ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The instructions of AMX as functions on eight tiles of the calling thread, as
// Intel's Software Developer's Manual, volume 2, has them: what they compute,
// and what they refuse. Kernels for a CPU with AMX run anywhere when calls of
// these stand where the intrinsics were.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_TILEEMULATION_H
#define CLADE_TEST_CODEGEN_TILEEMULATION_H

#include "lib/CodeGen/CPU/LoadedCode.h"
#include "lib/CodeGen/CPU/Target.h"
#include "mlir/IR/BuiltinOps.h"
#include <cstdint>

namespace clade::cpu::test {

/// The instructions. What the manual answers with an exception ends the
/// program with a message.
namespace tiles {
void loadConfig(const void *config);
void release();
void zero(int64_t tile);
void load(int64_t tile, const void *memory, int64_t stride);
void store(int64_t tile, void *memory, int64_t stride);
/// sum += a * b, of pairs of bf16; of bytes, those of `a` signed and those of
/// `b` not.
void dotBF16(int64_t sum, int64_t a, int64_t b);
void dotSU8(int64_t sum, int64_t a, int64_t b);
/// Whether this thread has no configuration.
bool areReleased();
/// How many products of numbers this thread has added.
int64_t multiplyAdds();
} // namespace tiles

/// Puts calls of these functions, at their addresses in this program, where
/// `module` has the intrinsics. Returns how many there were.
int64_t emulateTiles(mlir::ModuleOp module);

/// Whether `loadKernels` puts them there: this machine has no tiles.
bool areTilesEmulated();

/// Compiles and loads `module`, with tiles emulated unless this machine has
/// what the target has.
std::unique_ptr<LoadedCode> loadKernels(mlir::ModuleOp module,
                                        const Target &target,
                                        llvm::ArrayRef<std::string> names);

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_TILEEMULATION_H

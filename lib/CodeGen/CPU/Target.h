//===- Target.h - What CPU kernels are made for -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// From a CPU name and a feature list to the numbers that emitters of kernels
// need: vector width, register tile and the parameters of packed layouts. The
// layouts that these numbers describe are documented in Product.h.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_TARGET_H
#define CLADE_CODEGEN_CPU_TARGET_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Location.h"
#include "mlir/Support/LLVM.h"
#include "llvm/ADT/SmallVector.h"
#include <cstdint>
#include <string>

namespace clade::cpu {

/// Kernels come in classes by the number of tokens of a step.
enum class TokenClass {
  One,  ///< exactly one token
  Few,  ///< 2 to 8 tokens
  Many, ///< more
};

/// The class that serves `tokens` tokens best. Every class computes any number
/// of tokens correctly, and all of them produce the same bits.
TokenClass tokenClassOf(int64_t tokens);

/// The baseline of 64-bit Arm as the name of a CPU.
inline constexpr llvm::StringLiteral baselineArm = "aarch64";

/// An x86-64 or AArch64 CPU, as far as kernels depend on it.
struct Target {
  /// LLVM's name of the CPU, or `baselineArm`; never "native".
  std::string cpu;
  /// Explicit LLVM feature list, "+avx2,-avx512f,…", in LLVM's order.
  std::string features;
  /// What code for it needs of a machine: those instructions of the CPU that
  /// LLVM makes use of, by LLVM's names, "+avx2" … Empty on AArch64.
  llvm::SmallVector<std::string, 0> needs;
  /// Lanes of f32 in one vector register: 16, 8 or 4.
  int64_t width = 4;
  /// Rows of one packed panel of weights (R), a multiple of `width`.
  int64_t panelRows = 16;
  /// Accumulators of the largest register tile.
  int64_t accumulators = 8;
  /// A fused multiply-add exists; products are rounded before the addition
  /// where it does not.
  bool hasFMA = false;
  /// `vdpbf16ps` and `vcvtneps2bf16` exist for vectors of `width` lanes.
  bool hasBF16 = false;
  /// `vpdpbusd` exists for vectors of `width` lanes.
  bool hasVNNI = false;
  /// `vcvtph2ps` or `fcvtl` exists.
  bool hasF16 = false;
  /// The CPU is an AArch64 one, whose vectors are those of NEON.
  bool isArm = false;
  /// Products of row tiles of up to so many rows ask for operands before they
  /// read them. A Zen 4 was as fast or faster without, a Zen 3 with many rows;
  /// on Intel's cores a row took a third longer.
  int64_t aheadRows = 0;
  /// Rows of which the weights are what is waited for.
  static constexpr int64_t fewRows = 8;
  /// How far ahead, at least: a CPU's own guesses end with a page and begin
  /// anew behind it.
  static constexpr int64_t aheadBytes = 4096;
  /// `sdot` exists; only on AArch64.
  bool hasSignedDot = false;
  /// `tdpbf16ps` exists, and with it the tile registers of AMX.
  bool hasTiles = false;
  /// `tdpbsud` exists, beside `vpdpbusd`.
  bool hasByteTiles = false;

  /// Whether products of row tiles of `rowTile` rows ask ahead.
  bool asksAhead(int64_t rowTile) const { return rowTile <= aheadRows; }

  /// Resolves a CPU name ("native", "znver4", "x86-64-v3", "neoverse-n1",
  /// "aarch64" …) and a feature list ("" or "+x,-y", applied on top of the
  /// CPU's own). A name of both architectures is that of this machine's.
  /// Unknown names, and x86 CPUs without 64 bits or SSE4.2, are errors,
  /// reported at `loc`.
  static mlir::FailureOr<Target> resolve(mlir::Location loc,
                                         llvm::StringRef cpu = "native",
                                         llvm::StringRef features = "");

  /// LLVM's names of the machine and of the CPU.
  std::string triple() const;
  llvm::StringRef codeGenCPU() const {
    return cpu == baselineArm ? "generic" : llvm::StringRef(cpu);
  }

  /// Rows of the tile registers of AMX.
  static constexpr int64_t tileRows = 16;

  /// Rows that packed activations keep together (MR) where vectors multiply;
  /// of a product it is `productRowTile`.
  int64_t rowTile(TokenClass tokens) const;

  /// Rows that a register tile covers; divides `rowTile`.
  int64_t registerRows(mlir::Type elementType, int64_t rowTile) const;

  /// Columns of a panel that a register tile of `rows` rows covers; divides
  /// `panelRows` and is a multiple of `width`.
  int64_t columnTile(int64_t rows) const;

  /// Neighbouring elements of K that a layout keeps together (P): 2 for bf16
  /// and 1 for f32.
  static int64_t packDepth(mlir::Type elementType);
  /// What K of activations is padded to a multiple of: the same, or where bf16
  /// is multiplied by tiles the 32 that fill a row of one, which are their P.
  int64_t activationDepth(mlir::Type elementType) const;
  /// Whether activations that are multiplied with such weights are packed as
  /// f32, with P = 1: where no instruction takes bf16, a number would be
  /// widened for every vector of weights, which takes as long as to multiply.
  bool widensActivations(mlir::Type elementType) const {
    return elementType.isBF16() && !hasBF16 && !hasTiles;
  }
  /// Bytes of an element of packed activations.
  int64_t activationBytes(mlir::Type elementType) const {
    return elementType.isBF16() && !widensActivations(elementType) ? 2 : 4;
  }

  /// Elements of the packed [n, k] weight matrix, padding included.
  int64_t packedWeightElements(mlir::Type elementType, int64_t n,
                               int64_t k) const;

  /// Elements from one tile of packed activations to the next. Where tiles
  /// multiply, a block of rows has the same columns of many of them in the
  /// second level of caches: they do not lie a multiple of what a way of it
  /// holds apart.
  int64_t packedTileElements(mlir::Type elementType, int64_t k,
                             int64_t rowTile) const;

  /// Elements of `tokens` rows of packed activations, padding included.
  int64_t packedActivationElements(mlir::Type elementType, int64_t tokens,
                                   int64_t k, int64_t rowTile) const;
};

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_TARGET_H

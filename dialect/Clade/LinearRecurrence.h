//===- LinearRecurrence.h - Scans that can run in chunks --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What Mamba-2 (arXiv:2405.21060) and the gated delta rule (arXiv:2412.06464)
// have in common: one matrix S for each head, which decays and takes an outer
// product for each token.
//
//   S ← exp(g)·S     S ← S + k ⊗ w     y = Σ over keys of S·q
//
// w is a value v, or with a rate b what S lacks of it: b·(v − Σ over keys of
// S·k). Over a chunk of tokens 1 … c with G_t = g_1 + … + g_t, this is
//
//   W = v, or (I + A) W = b·(v − exp(G)·K S)
//             with A_ts = b_t exp(G_t − G_s) k_t·k_s for s < t, otherwise 0
//   Y = exp(G)·Q S + P W
//             with P_ts = exp(G_t − G_s) q_t·k_s for s ≤ t, otherwise 0
//   S ← exp(G_c)·S + Kᵀ (exp(G_c − G)·W)
//
// the state-space duality of the first paper, and the second's WY form.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_LINEARRECURRENCE_H
#define CLADE_DIALECT_LINEARRECURRENCE_H

#include "dialect/Clade/CladeDialect.h"

namespace clade {

/// The parts of a scan's region, none of which depends on S.
struct LinearRecurrence {
  mlir::Value logDecay; ///< g, without the axes of keys and values
  mlir::Value key;      ///< k [heads, keys]
  mlir::Value value;    ///< v [heads, values]
  mlir::Value rate;     ///< b, without the axes of keys and values; or null
  mlir::Value query;    ///< q [heads, keys]
  int64_t heads, keySize, valueSize;
  /// Whether S is [heads, values, keys]; otherwise [heads, keys, values].
  bool keysAreLast;

  /// Nothing if a scan is no such recurrence.
  static std::optional<LinearRecurrence> match(ScanOp scan);
};

} // namespace clade

#endif // CLADE_DIALECT_LINEARRECURRENCE_H

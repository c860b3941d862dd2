//===- PositionOps.td - Positions and rotary embedding -----*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_POSITION_OPS_TD
#define CLADE_DIALECT_POSITION_OPS_TD

include "dialect/Clade/CladeOpBase.td"

def Clade_PositionsOp : Clade_PureOp<"positions"> {
  let summary = "position of each token in its sequence";
  let description = [{
    Counts from 0 over the whole sequence, not over the step. With three numbers for each
    token, time, row and column, a text counts all three, and an image that begins at p has
    (p, p + row, p + column) for the block of patches that a token stands for; the text behind
    it goes on at p plus the larger of its rows and columns (M-RoPE, arXiv:2409.12191).

    **Constraints:**
    * (C1) the result is [token] i32 or [token, axis = 3] i32

    ```mlir
    func.func @where(%batch: !clade.batch) -> !clade.tensor<[token], i32> {
      %0 = clade.positions %batch : !clade.tensor<[token], i32>
      return %0 : !clade.tensor<[token], i32>
    }
    ```
  }];
  let arguments = (ins Clade_BatchType:$batch);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$batch attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Clade_RotaryTableOp : Clade_PureOp<"rotary_table", [AllTypesMatch<["cos", "sin"]>]> {
  let summary = "cosines and sines of rotary position embedding";
  let description = [{
    cos[t, j] = scale · cos(positions[t] · frequencies[j]), sin likewise. The product
    position × frequency is rounded to f32 before the cosine, as the published
    implementations do; the result is rounded once to its element type.

    A position may have several axes, such as the row and the column of a patch of an image:
    then `axes` says for each frequency which of them it turns with, and positions[t] stands
    for positions[t, axes[j]] (M-RoPE, arXiv:2409.12191).

    Two scalings depend on the length L that a sequence is scaled for, which the
    batch carries:
    * `long_frequencies` replace `frequencies` where L > `original_length`
      (LongRoPE, arXiv:2402.13753);
    * `dynamic_factor` f: with M = max(L, `original_length`) and size D the
      frequencies are b^(−2j/D), b = theta · (f·M/original_length − (f − 1))^(D/(D−2))
      (dynamic NTK scaling); b is computed in f64, the powers in f32.

    **Constraints:**
    * (C1) positions are [token] i32, or [token, axis] i32 with `axes`; both results [token, j], j as long as `frequencies`
    * (C2) `long_frequencies`, if there, is as long as `frequencies` and comes with `original_length`
    * (C3) `dynamic_factor` comes with `theta` and `original_length`
    * (C4) `axes` are as many as `frequencies`, each a place of the positions' last axis

    ```mlir
    func.func @table(%p: !clade.tensor<[token], i32>, %batch: !clade.batch)
        -> (!clade.tensor<[token, rotary = 2], bf16>, !clade.tensor<[token, rotary = 2], bf16>) {
      %cos, %sin = clade.rotary_table %p, %batch frequencies [1.0, 0.01] scale 1.0
          : !clade.tensor<[token], i32> -> !clade.tensor<[token, rotary = 2], bf16>
      return %cos, %sin : !clade.tensor<[token, rotary = 2], bf16>, !clade.tensor<[token, rotary = 2], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$positions, Clade_BatchType:$batch,
                       DenseF32ArrayAttr:$frequencies, F64Attr:$scale,
                       OptionalAttr<DenseF32ArrayAttr>:$long_frequencies,
                       OptionalAttr<I64Attr>:$original_length,
                       OptionalAttr<F64Attr>:$dynamic_factor,
                       OptionalAttr<F64Attr>:$theta,
                       OptionalAttr<DenseI64ArrayAttr>:$axes);
  let results = (outs Clade_Tensor:$cos, Clade_Tensor:$sin);
  let assemblyFormat = [{
    $positions `,` $batch `frequencies` $frequencies `scale` $scale attr-dict
    `:` type($positions) `->` type($cos)
  }];
  let hasVerifier = 1;
}

def Clade_RopeOp : Clade_PureOp<"rope", [AllTypesMatch<["cos", "sin"]>, AllTypesMatch<["input", "result"]>]> {
  let summary = "rotary position embedding";
  let description = [{
    Rotates pairs (u, v) of the first 2·J features of the last axis to
    (u·cos − v·sin, v·cos + u·sin), J being the length of cos and sin; the other
    features pass. With `halves` the pair j is (x[j], x[j + J]), with `adjacent`
    (x[2j], x[2j + 1]) (RoFormer, arXiv:2104.09864). Each product and the sum round to
    the element type of cos and x, or to f32 if these differ; then the result rounds.

    **Constraints:**
    * (C1) cos and sin are [token, J] of one type
    * (C2) 2·J is at most the size of x's last axis
    * (C3) operand and result have one type

    ```mlir
    func.func @rotate(%q: !clade.tensor<[token, q_heads = 4, head = 8], bf16>, %cos: !clade.tensor<[token, rotary = 4], bf16>,
                      %sin: !clade.tensor<[token, rotary = 4], bf16>) -> !clade.tensor<[token, q_heads = 4, head = 8], bf16> {
      %0 = clade.rope halves %q, %cos, %sin : !clade.tensor<[token, q_heads = 4, head = 8], bf16>, !clade.tensor<[token, rotary = 4], bf16>
      return %0 : !clade.tensor<[token, q_heads = 4, head = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_RotaryPairsAttr:$pairs, Clade_Tensor:$input, Clade_Tensor:$cos, Clade_Tensor:$sin);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    `` $pairs $input `,` $cos `,` $sin attr-dict `:`
    type($input) `,` type($cos)
  }];
  let hasVerifier = 1;
}

def Clade_SelectOp : Clade_PureOp<"select"> {
  let summary = "tokens whose output is wanted";
  let description = [{
    Keeps the rows of the tokens that the caller asked outputs for; the sequence
    axis becomes `selected`.

    **Constraints:**
    * (C1) the result is the operand with `selected` in the place of `token`

    ```mlir
    func.func @wanted(%x: !clade.tensor<[token, d = 8], bf16>, %batch: !clade.batch) -> !clade.tensor<[selected, d = 8], bf16> {
      %0 = clade.select %x, %batch : !clade.tensor<[token, d = 8], bf16> -> !clade.tensor<[selected, d = 8], bf16>
      return %0 : !clade.tensor<[selected, d = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, Clade_BatchType:$batch);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$input `,` $batch attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

#endif // CLADE_DIALECT_POSITION_OPS_TD

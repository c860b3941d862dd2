//===- ElementwiseOps.td - Functions of one element --------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_ELEMENTWISE_OPS_TD
#define CLADE_DIALECT_ELEMENTWISE_OPS_TD

include "dialect/Clade/CladeOpBase.td"

def Clade_UnaryOp : Clade_PureOp<"unary"> {
  let summary = "elementwise function of one value";
  let description = [{
    y = f(x), computed in f32 and rounded once. With σ the logistic function and Φ
    the normal distribution function: silu(x) = x·σ(x); gelu(x) = x·Φ(x);
    gelu_tanh(x) = x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³))); quick_gelu(x) =
    x·σ(1.702·x); softplus(x) = log(1 + eˣ); relu2(x) = max(x, 0)².

    **Constraints:**
    * (C1) operand and result have the same axes

    ```mlir
    func.func @act(%x: !clade.tensor<[token, ffn = 8], bf16>) -> !clade.tensor<[token, ffn = 8], bf16> {
      %0 = clade.unary silu %x : !clade.tensor<[token, ffn = 8], bf16> -> !clade.tensor<[token, ffn = 8], bf16>
      return %0 : !clade.tensor<[token, ffn = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_UnaryKindAttr:$kind, Clade_Tensor:$input);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "`` $kind $input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Clade_BinaryOp : Clade_PureOp<"binary"> {
  let summary = "elementwise function of two values";
  let description = [{
    y = f(a, b), computed in f32 and rounded once. Axes pair by name; an axis that
    only one operand has is broadcast over the other.

    **Constraints:**
    * (C1) every axis of an operand is an axis of the result, of the same size
    * (C2) every axis of the result is an axis of an operand
    * (C3) the axes of each differ in their names

    ```mlir
    func.func @gain(%x: !clade.tensor<[token, q_heads = 4, head = 8], bf16>, %w: !clade.tensor<[head = 8], bf16>)
        -> !clade.tensor<[token, q_heads = 4, head = 8], bf16> {
      %0 = clade.binary mul %x, %w : !clade.tensor<[token, q_heads = 4, head = 8], bf16>, !clade.tensor<[head = 8], bf16>
          -> !clade.tensor<[token, q_heads = 4, head = 8], bf16>
      return %0 : !clade.tensor<[token, q_heads = 4, head = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_BinaryKindAttr:$kind, Clade_Tensor:$lhs, Clade_Tensor:$rhs);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    `` $kind $lhs `,` $rhs attr-dict `:` type($lhs) `,` type($rhs) `->` type($result)
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Clade_CastOp : Clade_PureOp<"cast"> {
  let summary = "conversion to another element type";
  let description = [{
    Rounds to nearest, ties to even, where the result type is narrower: the
    `f32(x)` and `round(x)` of the spec language.

    **Constraints:**
    * (C1) operand and result have the same axes

    ```mlir
    func.func @widen(%x: !clade.tensor<[token, d = 8], bf16>) -> !clade.tensor<[token, d = 8], f32> {
      %0 = clade.cast %x : !clade.tensor<[token, d = 8], bf16> -> !clade.tensor<[token, d = 8], f32>
      return %0 : !clade.tensor<[token, d = 8], f32>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // CLADE_DIALECT_ELEMENTWISE_OPS_TD

//===- ReductionOps.td - Sums, means, softmax --------------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_REDUCTION_OPS_TD
#define CLADE_DIALECT_REDUCTION_OPS_TD

include "dialect/Clade/CladeOpBase.td"

def Clade_ReduceOp : Clade_PureOp<"reduce"> {
  let summary = "reduction over named axes";
  let description = [{
    Reduces over every axis in `over`; the other axes stay, in their order.
    Accumulates wider than f32 or in several f32 partial sums, and rounds once.

    **Constraints:**
    * (C1) `over` names feature axes of the operand
    * (C2) the result has the operand's other axes
    * (C3) the operand's axes differ in their names

    ```mlir
    func.func @mean(%x: !clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token], f32> {
      %0 = clade.reduce mean %x over ["d"] : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token], f32>
      return %0 : !clade.tensor<[token], f32>
    }
    ```
  }];
  let arguments = (ins Clade_ReduceKindAttr:$kind, Clade_Tensor:$input, StrArrayAttr:$over);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    `` $kind $input `over` $over attr-dict `:` type($input) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Clade_SoftmaxOp : Clade_PureOp<"softmax"> {
  let summary = "softmax over one axis";
  let description = [{
    y = exp(x − max x) / Σ exp(x − max x) along the axis `over`.

    **Constraints:**
    * (C1) `over` names a feature axis of the operand
    * (C2) operand and result have the same axes
    * (C3) the operand's axes differ in their names

    ```mlir
    func.func @share(%x: !clade.tensor<[token, experts = 8], f32>) -> !clade.tensor<[token, experts = 8], f32> {
      %0 = clade.softmax %x over "experts" : !clade.tensor<[token, experts = 8], f32> -> !clade.tensor<[token, experts = 8], f32>
      return %0 : !clade.tensor<[token, experts = 8], f32>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, StrAttr:$over);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$input `over` $over attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

#endif // CLADE_DIALECT_REDUCTION_OPS_TD

//===- ShapeOps.td - Views, slices, joins ------------------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_SHAPE_OPS_TD
#define CLADE_DIALECT_SHAPE_OPS_TD

include "dialect/Clade/CladeOpBase.td"

def Clade_ViewOp : Clade_PureOp<"view"> {
  let summary = "row-major view of the features under other axes";
  let description = [{
    The same elements in the same row-major order; the sequence axis stays.

    **Constraints:**
    * (C1) operand and result have the same sequence axis, element type and number of features

    ```mlir
    func.func @heads(%x: !clade.tensor<[token, d = 32], bf16>) -> !clade.tensor<[token, q_heads = 4, head = 8], bf16> {
      %0 = clade.view %x : !clade.tensor<[token, d = 32], bf16> -> !clade.tensor<[token, q_heads = 4, head = 8], bf16>
      return %0 : !clade.tensor<[token, q_heads = 4, head = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Clade_SliceOp : Clade_PureOp<"slice"> {
  let summary = "range of one axis";
  let description = [{
    Elements begin … begin + size of the feature axis `axis`; the result may give
    that axis another name.

    **Constraints:**
    * (C1) `axis` is a feature axis of the operand
    * (C2) begin + the result's size is at most the operand's size
    * (C3) all other axes and the element type are the same

    ```mlir
    func.func @first(%x: !clade.tensor<[token, both = 16], bf16>) -> !clade.tensor<[token, gate = 8], bf16> {
      %0 = clade.slice %x "both" from 0 : !clade.tensor<[token, both = 16], bf16> -> !clade.tensor<[token, gate = 8], bf16>
      return %0 : !clade.tensor<[token, gate = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, StrAttr:$axis, I64Attr:$begin);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$input $axis `from` $begin attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let hasFolder = 1;
}

def Clade_JoinOp : Clade_PureOp<"join"> {
  let summary = "concatenation along the last axis";
  let description = [{
    The operands agree in all axes but the last; their last axes follow each other.

    **Constraints:**
    * (C1) operands agree with the result in element type and in all axes but the last
    * (C2) the result's last axis is as long as the operands' together
    * (C3) there are operands, and the last axis is a feature axis

    ```mlir
    func.func @pair(%a: !clade.tensor<[token, nope = 8], bf16>, %b: !clade.tensor<[token, pe = 4], bf16>)
        -> !clade.tensor<[token, both = 12], bf16> {
      %0 = clade.join %a, %b : (!clade.tensor<[token, nope = 8], bf16>, !clade.tensor<[token, pe = 4], bf16>)
          -> !clade.tensor<[token, both = 12], bf16>
      return %0 : !clade.tensor<[token, both = 12], bf16>
    }
    ```
  }];
  let arguments = (ins Variadic<Clade_Tensor>:$inputs);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$inputs attr-dict `:` functional-type($inputs, $result)";
  let hasVerifier = 1;
  let hasCanonicalizeMethod = 1;
}

def Clade_SpreadOp : Clade_PureOp<"spread"> {
  let summary = "copies along new axes";
  let description = [{
    y has the axes of x and others, along which it is constant.

    **Constraints:**
    * (C1) every axis of the operand is an axis of the result, of the same size
    * (C2) operand and result have one element type
    * (C3) the axes of each differ in their names

    ```mlir
    func.func @all_heads(%x: !clade.tensor<[token, head = 8], bf16>) -> !clade.tensor<[token, heads = 4, head = 8], bf16> {
      %0 = clade.spread %x : !clade.tensor<[token, head = 8], bf16> -> !clade.tensor<[token, heads = 4, head = 8], bf16>
      return %0 : !clade.tensor<[token, heads = 4, head = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Clade_RepeatOp : Clade_PureOp<"repeat"> {
  let summary = "each index of an axis several times";
  let description = [{
    y[…, i, …] = x[…, i / n, …] along the feature axis `axis`, n being how often its size
    goes into that of the result, which may give the axis another name: groups become
    heads, `torch.repeat_interleave`.

    **Constraints:**
    * (C1) `axis` is a feature axis of the operand
    * (C2) the size of the result's axis is a multiple of the operand's
    * (C3) all other axes and the element type are the same
    * (C4) the axes of each differ in their names

    ```mlir
    func.func @heads(%x: !clade.tensor<[token, groups = 2, state = 8], f32>) -> !clade.tensor<[token, heads = 6, state = 8], f32> {
      %0 = clade.repeat %x "groups" : !clade.tensor<[token, groups = 2, state = 8], f32> -> !clade.tensor<[token, heads = 6, state = 8], f32>
      return %0 : !clade.tensor<[token, heads = 6, state = 8], f32>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, StrAttr:$axis);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$input $axis attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Place of the axis in both types, and how often each index occurs.
    int64_t getPlace() { return getInput().getType().find(getAxis()); }
    int64_t getTimes() {
      return getResult().getType().getShape()[getPlace()] / getInput().getType().getShape()[getPlace()];
    }
  }];
}

#endif // CLADE_DIALECT_SHAPE_OPS_TD

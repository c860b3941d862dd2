//===- SelectionOps.td - Choosing the largest values -------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_SELECTION_OPS_TD
#define CLADE_DIALECT_SELECTION_OPS_TD

include "dialect/Clade/CladeOpBase.td"

def Clade_TopKOp : Clade_PureOp<"top_k"> {
  let summary = "the largest values along the last axis, and where they are";
  let description = [{
    Along the last axis of x, of size n, the k largest values in falling order and
    their places, 0 to n − 1. Of equal values the one at the lowest place comes
    first; NaN counts as infinity. The axis of the results that takes the place of
    the last one has size k.

    Used by routers: the experts of a token (Switch Transformers, arXiv:2101.03961).
    Those that are `routed` choose the experts of a layer: a run may note or replace
    what they choose, and the values are then those at the new places.

    **Constraints:**
    * (C1) the last axis of x is a feature axis and has a size
    * (C2) the values have the axes of x but the last, whose size k is from 1 to that of x's
    * (C3) the indices have the axes of the values and elements of type i32
    * (C4) the values have the element type of x

    ```mlir
    func.func @chosen(%x: !clade.tensor<[token, experts = 8], f32>)
        -> (!clade.tensor<[token, active = 2], f32>, !clade.tensor<[token, active = 2], i32>) {
      %values, %indices = clade.top_k %x : !clade.tensor<[token, experts = 8], f32>
          -> !clade.tensor<[token, active = 2], f32>, !clade.tensor<[token, active = 2], i32>
      return %values, %indices : !clade.tensor<[token, active = 2], f32>, !clade.tensor<[token, active = 2], i32>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, UnitAttr:$routed);
  let results = (outs Clade_Tensor:$values, Clade_Tensor:$indices);
  let assemblyFormat = [{
    $input (`routed` $routed^)? attr-dict `:` type($input) `->` type($values) `,` type($indices)
  }];
  let hasVerifier = 1;
}

def Clade_GatherOp : Clade_PureOp<"gather"> {
  let summary = "values at chosen places of one axis";
  let description = [{
    y[…, j, …] = x[…, indices[…, j, …], …]: each index is a place of x's axis `axis`.
    The other axes of x pair with those of the indices by name.

    An index from 0 to the size of the axis − 1 is expected; another one is an error
    in the interpreter, and reads the nearest place in compiled code.

    **Constraints:**
    * (C1) `axis` is a feature axis of x and has a size
    * (C2) every other axis of x is an axis of the indices, of the same size
    * (C3) the indices are of type i32
    * (C4) the result has the axes of the indices and the element type of x
    * (C5) the axes of x differ in their names, and so do those of the indices

    ```mlir
    func.func @shares(%x: !clade.tensor<[token, experts = 8], f32>, %chosen: !clade.tensor<[token, active = 2], i32>)
        -> !clade.tensor<[token, active = 2], f32> {
      %0 = clade.gather %x "experts" at %chosen
          : !clade.tensor<[token, experts = 8], f32>, !clade.tensor<[token, active = 2], i32> -> !clade.tensor<[token, active = 2], f32>
      return %0 : !clade.tensor<[token, active = 2], f32>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, StrAttr:$axis, Clade_Tensor:$indices);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    $input $axis `at` $indices attr-dict `:` type($input) `,` type($indices) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Clade_MemberOp : Clade_PureOp<"member"> {
  let summary = "which places of an axis are among the indices";
  let description = [{
    y[…, i] is true if some indices[…, j] is i. The last axis of the indices becomes
    one over whose places the result says true or false.

    **Constraints:**
    * (C1) the indices are of type i32, with a feature axis as the last
    * (C2) the result has the axes of the indices but the last, and elements of type i1
    * (C3) the last axis of the result has a size

    ```mlir
    func.func @kept(%best: !clade.tensor<[token, keep = 2], i32>) -> !clade.tensor<[token, groups = 4], i1> {
      %0 = clade.member %best : !clade.tensor<[token, keep = 2], i32> -> !clade.tensor<[token, groups = 4], i1>
      return %0 : !clade.tensor<[token, groups = 4], i1>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$indices);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$indices attr-dict `:` type($indices) `->` type($result)";
  let hasVerifier = 1;
}

def Clade_WhereOp : Clade_PureOp<"where"> {
  let summary = "one of two values, by a condition";
  let description = [{
    y = condition ? a : b, with axes paired by name. The value rounds to the element
    type of the result.

    **Constraints:**
    * (C1) every axis of an operand is an axis of the result, of the same size
    * (C2) every axis of the result is one of an operand
    * (C3) the condition is of type i1
    * (C4) the axes of each differ in their names

    ```mlir
    func.func @masked(%c: !clade.tensor<[token, groups = 4], i1>, %x: !clade.tensor<[token, groups = 4, each = 2], f32>,
                      %low: !clade.tensor<[], f32>) -> !clade.tensor<[token, groups = 4, each = 2], f32> {
      %0 = clade.where %c, %x, %low
          : !clade.tensor<[token, groups = 4], i1>, !clade.tensor<[token, groups = 4, each = 2], f32>, !clade.tensor<[], f32>
          -> !clade.tensor<[token, groups = 4, each = 2], f32>
      return %0 : !clade.tensor<[token, groups = 4, each = 2], f32>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$condition, Clade_Tensor:$on_true, Clade_Tensor:$on_false);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    $condition `,` $on_true `,` $on_false attr-dict
    `:` type($condition) `,` type($on_true) `,` type($on_false) `->` type($result)
  }];
  let hasVerifier = 1;
}

#endif // CLADE_DIALECT_SELECTION_OPS_TD

//===- WMapOps.td - Ops of the weight-mapping dialect ------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECT_WMAP_WMAP_OPS_TD
#define DIALECT_WMAP_WMAP_OPS_TD

include "dialect/WMap/WMapDialect.td"
include "mlir/IR/OpAsmInterface.td"
include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

class WMap_Transform<string mnemonic, list<Trait> traits = []>
    : WMap_Op<mnemonic, !listconcat([Pure], traits)> {
  let hasVerifier = 1;
}

def WMap_FuncOp : WMap_Op<"func", [IsolatedFromAbove, SingleBlock, Symbol]> {
  let summary = "one weight of the compiled model";
  let description = [{
    The body has no arguments: a weight depends on the checkpoint alone.

    **Constraints:**
    * (C1) the body ends in a `wmap.return` of the result type
    * (C2) the body has no arguments

    ```mlir
    wmap.func @qkv -> tensor<12x4xbf16> {
      %q = wmap.source "layers.{layer}.q_proj.weight" : tensor<8x4xbf16>
      %k = wmap.source "layers.{layer}.k_proj.weight" : tensor<4x4xbf16>
      %0 = wmap.concat %q, %k axis 0 : (tensor<8x4xbf16>, tensor<4x4xbf16>) -> tensor<12x4xbf16>
      wmap.return %0 : tensor<12x4xbf16>
    }
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, TypeAttrOf<AnyStaticShapeTensor>:$result_type);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = "$sym_name `->` $result_type attr-dict-with-keyword $body";
  let hasVerifier = 1;
}

def WMap_ReturnOp : WMap_Op<"return", [Pure, Terminator, HasParent<"FuncOp">]> {
  let summary = "the weight's value";
  let description = [{
    Ends a `wmap.func`.

    ```mlir
    wmap.func @norm -> tensor<8xbf16> {
      %0 = wmap.source "norm.weight" : tensor<8xbf16>
      wmap.return %0 : tensor<8xbf16>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$value);
  let assemblyFormat = "$value attr-dict `:` type($value)";
}

def WMap_SourceOp : WMap_Op<"source", [Pure]> {
  let summary = "tensor of the checkpoint";
  let description = [{
    The whole tensor under its published name, in its published shape. `encoding`
    names the block format of a quantised tensor, whose elements are then given as
    f32, the type that it dequantises to. With `stack`, the tensors whose names have
    0, 1, … in the place of `{expert}`, one after the other along a new first axis.

    **Constraints:**
    * (C1) the name is not empty
    * (C2) with an `encoding`, elements are f32
    * (C3) `stack` is the size of the first axis, and the name has a place for its number

    ```mlir
    wmap.func @w -> tensor<8x32xf32> {
      %0 = wmap.source "blk.{layer}.attn_q.weight" {encoding = "Q8_0"} : tensor<8x32xf32>
      wmap.return %0 : tensor<8x32xf32>
    }
    ```
  }];
  let arguments = (ins StrAttr:$name, OptionalAttr<StrAttr>:$encoding, OptionalAttr<I64Attr>:$stack);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$name attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def WMap_ConcatOp : WMap_Transform<"concat"> {
  let summary = "tensors one after the other along an axis";
  let description = [{
    Inverse: the slices of the result.

    **Constraints:**
    * (C1) operands agree with the result in element type and in all sizes but that of the axis
    * (C2) the sizes along the axis add up to the result's
    * (C3) there are operands, and `axis` is one of theirs
    * (C4) rows of blocks that have one scale (`q8_row`) stay as they are: the axis is not
      the last

    ```mlir
    wmap.func @kv -> tensor<8x4xbf16> {
      %k = wmap.source "k.weight" : tensor<4x4xbf16>
      %v = wmap.source "v.weight" : tensor<4x4xbf16>
      %0 = wmap.concat %k, %v axis 0 : (tensor<4x4xbf16>, tensor<4x4xbf16>) -> tensor<8x4xbf16>
      wmap.return %0 : tensor<8x4xbf16>
    }
    ```
  }];
  let arguments = (ins Variadic<AnyStaticShapeTensor>:$inputs, I64Attr:$axis);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$inputs `axis` $axis attr-dict `:` functional-type($inputs, $result)";
}

def WMap_SliceOp : WMap_Transform<"slice"> {
  let summary = "range of an axis";
  let description = [{
    Inverse: ranges that cover the axis, one behind the other; or zeros behind a range
    from 0 with the attribute `wmap.padding`, which says that the rest of the axis is zero.

    Canonicalisation moves it to the sources: of what another op makes it takes the same of
    that op's operands, along
    * `cast`, `shift`, `transpose`, `concat`, `slice`, `gather`: every axis
    * `unit_rows`: rows; `bitcast`: axes before the last
    * `rope_unpermute`: whole heads, and every other axis
    * `reshape`: the first axis, in whole steps of the operand's
    * `pack`: whole panels, and matrices of a stack
    * `quantise`, `dequantise`: every axis but the last
    * `scale`, `subtract`, `divide`: whole blocks, with the numbers of these
    * `add`: every axis; `low_rank`: rows of the first factor, columns of the second

    **Constraints:**
    * (C1) the range lies inside the axis
    * (C2) the result has the operand's other sizes and element type
    * (C3) `axis` is an axis of the operand

    ```mlir
    wmap.func @gate -> tensor<4x4xbf16> {
      %0 = wmap.source "gate_up.weight" : tensor<8x4xbf16>
      %1 = wmap.slice %0 axis 0 from 0 : tensor<8x4xbf16> -> tensor<4x4xbf16>
      wmap.return %1 : tensor<4x4xbf16>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, I64Attr:$axis, I64Attr:$begin);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input `axis` $axis `from` $begin attr-dict `:` type($input) `->` type($result)";
  let hasCanonicalizer = 1;
}

def WMap_ShardOp : WMap_Transform<"shard"> {
  let summary = "one of equal parts of an axis";
  let description = [{
    What the device number `part` of `count` holds. Canonicalisation makes it a slice, which
    then moves to the sources: a device reads its own bytes of the file.

    Inverse: all parts, one behind the other.

    **Constraints:**
    * (C1) `axis` is an axis of the operand
    * (C2) the axis divides into `count` parts, and `part` is the number of one
    * (C3) the result has the operand's other sizes and element type

    ```mlir
    wmap.func @q -> tensor<2x4xbf16> {
      %0 = wmap.source "q.weight" : tensor<8x4xbf16>
      %1 = wmap.shard %0 axis 0 part 1 of 4 : tensor<8x4xbf16> -> tensor<2x4xbf16>
      wmap.return %1 : tensor<2x4xbf16>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, I64Attr:$axis, I64Attr:$part, I64Attr:$count);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input `axis` $axis `part` $part `of` $count attr-dict `:` type($input) `->` type($result)";
  let extraClassDeclaration = [{
    /// The place along the axis that the part begins at.
    int64_t getBegin();
  }];
  let hasCanonicalizer = 1;
}

def WMap_TransposeOp : WMap_Transform<"transpose"> {
  let summary = "axes in another order";
  let description = [{
    Axis i of the result is axis permutation[i] of the operand. Inverse: the inverse
    permutation.

    **Constraints:**
    * (C1) `permutation` is a permutation of the operand's axes
    * (C2) the result's sizes are the operand's, permuted

    ```mlir
    wmap.func @w -> tensor<4x8xbf16> {
      %0 = wmap.source "w.weight" : tensor<8x4xbf16>
      %1 = wmap.transpose %0 [1, 0] : tensor<8x4xbf16> -> tensor<4x8xbf16>
      wmap.return %1 : tensor<4x8xbf16>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, DenseI64ArrayAttr:$permutation);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input $permutation attr-dict `:` type($input) `->` type($result)";
}

def WMap_ReshapeOp : WMap_Transform<"reshape"> {
  let summary = "the same elements in row-major order under other sizes";
  let description = [{
    Inverse: the reshape back.

    **Constraints:**
    * (C1) as many elements of the same type
    * (C2) rows of blocks that have one scale (`q8_row`) stay as they are: the last axis does

    ```mlir
    wmap.func @w -> tensor<8xbf16> {
      %0 = wmap.source "w.weight" : tensor<2x4xbf16>
      %1 = wmap.reshape %0 : tensor<2x4xbf16> -> tensor<8xbf16>
      wmap.return %1 : tensor<8xbf16>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
}

def WMap_CastOp : WMap_Transform<"cast"> {
  let summary = "another element type";
  let description = [{
    Exact where the result type holds every value of the operand type, otherwise
    rounded to nearest, ties to even: then the mapping is lossy and says so.

    **Constraints:**
    * (C1) operand and result have the same sizes; the operand's elements are floats or
      integers, the result's floats

    ```mlir
    wmap.func @w -> tensor<8xf32> {
      %0 = wmap.source "w.weight" : tensor<8xbf16>
      %1 = wmap.cast %0 : tensor<8xbf16> -> tensor<8xf32>
      wmap.return %1 : tensor<8xf32>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let extraClassDeclaration = [{
    /// Whether some value of the operand type changes.
    bool isLossy();
  }];
}

def WMap_ShiftOp : WMap_Transform<"shift"> {
  let summary = "a constant added to every element";
  let description = [{
    Computed in f32 and rounded once. Lossy where the sum is not exact.

    **Constraints:**
    * (C1) operand and result have one type
    * (C2) elements are floats

    ```mlir
    wmap.func @w -> tensor<8xf32> {
      %0 = wmap.source "blk.0.attn_norm.weight" : tensor<8xf32>
      %1 = wmap.shift %0 by -1.0 : tensor<8xf32> -> tensor<8xf32>
      wmap.return %1 : tensor<8xf32>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, F64Attr:$amount);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input `by` $amount attr-dict `:` type($input) `->` type($result)";
}

def WMap_UnitRowsOp : WMap_Transform<"unit_rows"> {
  let summary = "rows scaled to length 1";
  let description = [{
    Each row divided by max(its Euclidean length, 1e-12), in f32, rounded once. Lossy.

    **Constraints:**
    * (C1) operand and result have one type of two axes
    * (C2) elements are floats

    ```mlir
    wmap.func @head -> tensor<8x4xf32> {
      %0 = wmap.source "lm_head.weight" : tensor<8x4xf32>
      %1 = wmap.unit_rows %0 : tensor<8x4xf32> -> tensor<8x4xf32>
      wmap.return %1 : tensor<8x4xf32>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
}

def WMap_RopeUnpermuteOp : WMap_Transform<"rope_unpermute"> {
  let summary = "rows of each head from adjacent pairs to halves";
  let description = [{
    Some files store the rows of a head so that the rotary pair j is rows 2j and
    2j + 1; this op gives the published order, in which it is rows j and j + size/2.
    Inverse: the permutation back.

    **Constraints:**
    * (C1) operand and result have one type
    * (C2) the rows divide into `heads` heads of even size

    ```mlir
    wmap.func @q -> tensor<8x4xf32> {
      %0 = wmap.source "blk.{layer}.attn_q.weight" : tensor<8x4xf32>
      %1 = wmap.rope_unpermute %0 heads 2 : tensor<8x4xf32> -> tensor<8x4xf32>
      wmap.return %1 : tensor<8x4xf32>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, I64Attr:$heads);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input `heads` $heads attr-dict `:` type($input) `->` type($result)";
}

def WMap_PackOp : WMap_Transform<"pack"> {
  let summary = "matrix in panels";
  let description = [{
    [N, K] becomes [ceil(N/rows)][ceil(K/inner)][rows][inner], zero padded; of three
    axes the first counts matrices, each packed by itself. Inverse: the matrix without
    its padding.

    **Constraints:**
    * (C1) the operand has two or three axes, `rows` and `inner` are positive
    * (C2) the result has the sizes above and the operand's element type

    ```mlir
    wmap.func @w -> tensor<2x3x32x2xbf16> {
      %0 = wmap.source "w.weight" : tensor<40x6xbf16>
      %1 = wmap.pack %0 rows 32 inner 2 : tensor<40x6xbf16> -> tensor<2x3x32x2xbf16>
      wmap.return %1 : tensor<2x3x32x2xbf16>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, I64Attr:$rows, I64Attr:$inner);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input `rows` $rows `inner` $inner attr-dict `:` type($input) `->` type($result)";
}

include "dialect/WMap/WMapQuantOps.td"
include "dialect/WMap/WMapAdapterOps.td"
include "dialect/WMap/WMapBlockOps.td"

#endif // DIALECT_WMAP_WMAP_OPS_TD

//===- WMapQuantOps.td - Ops of quantised sources ----------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A published quantised form is a few of these: other views of the stored bytes,
// tables of values, zero points and scales of blocks. Included by WMapOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef DIALECT_WMAP_WMAP_QUANT_OPS_TD
#define DIALECT_WMAP_WMAP_QUANT_OPS_TD

def WMap_ConstantOp : WMap_Transform<"constant"> {
  let summary = "tensor of given numbers";
  let description = [{
    In row-major order. For small tables that a form fixes and no file holds.

    **Constraints:**
    * (C1) elements are f32, one for each number
    * (C2) at most 256 numbers, all finite

    ```mlir
    wmap.func @table -> tensor<4xf32> {
      %0 = wmap.constant [0.0, 0.5, 1.0, -0.0] : tensor<4xf32>
      wmap.return %0 : tensor<4xf32>
    }
    ```
  }];
  let arguments = (ins DenseF32ArrayAttr:$values);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$values attr-dict `:` type($result)";
}

def WMap_BitcastOp : WMap_Transform<"bitcast"> {
  let summary = "the same bytes as elements of another type";
  let description = [{
    An element may become several smaller ones along the last axis, in the order of
    memory: the low bits first. With `high_first`, the upper code of each byte comes
    before the lower one (bitsandbytes stores pairs so).

    Inverse: the bitcast back, where elements keep their width.

    **Constraints:**
    * (C1) the width of an operand's element is a multiple of the result's
    * (C2) the last size grows by that multiple, the others stay
    * (C3) `high_first` only with elements of four bits

    ```mlir
    wmap.func @codes -> tensor<4x16xf32> {
      %0 = wmap.source "w.weight_packed" : tensor<4x2xsi32>
      %1 = wmap.bitcast %0 : tensor<4x2xsi32> -> tensor<4x16xui4>
      %2 = wmap.cast %1 : tensor<4x16xui4> -> tensor<4x16xf32>
      wmap.return %2 : tensor<4x16xf32>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, UnitAttr:$high_first);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
  let extraClassDeclaration = [{
    /// Whether elements keep their width, so that there is a way back.
    bool keepsWidth();
  }];
}

class WMap_Blockwise<string mnemonic, string preposition>
    : WMap_Transform<mnemonic> {
  let arguments = (ins AnyStaticShapeTensor:$input, AnyStaticShapeTensor:$numbers, DenseI64ArrayAttr:$block);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input `" # preposition # "` $numbers `blocks` $block attr-dict `:` functional-type(operands, results)";
}

def WMap_ScaleOp : WMap_Blockwise<"scale", "by"> {
  let summary = "each block of a tensor times its number";
  let description = [{
    result[i, j, …] = input[i, j, …] · numbers[i / block₀, j / block₁, …], computed in
    f32. Blocks at the end of an axis may be cut off. Operands are taken at the values
    that their elements stand for. Dequantises: there is no exact inverse.

    Source: DeepSeek-V3's `weight_dequant`; `compressed_tensors`' `dequantize`.

    **Constraints:**
    * (C1) `block` has a positive size for each axis of the operand, which has axes
    * (C2) `numbers` has an element for each block
    * (C3) the result has f32 elements and the operand's sizes

    ```mlir
    wmap.func @w -> tensor<200x96xf32> {
      %0 = wmap.source "w.weight" : tensor<200x96xf8E4M3FN>
      %1 = wmap.source "w.weight_scale_inv" : tensor<2x1xf32>
      %2 = wmap.scale %0 by %1 blocks [128, 128] : (tensor<200x96xf8E4M3FN>, tensor<2x1xf32>) -> tensor<200x96xf32>
      wmap.return %2 : tensor<200x96xf32>
    }
    ```
  }];
}

def WMap_SubtractOp : WMap_Blockwise<"subtract", "minus"> {
  let summary = "each block of a tensor less its number";
  let description = [{
    As `wmap.scale`, for zero points: result = input − numbers, computed in f32. Exact for
    codes of at most eight bits; dequantises all the same.

    **Constraints:**
    * (C1) `block` has a positive size for each axis of the operand, which has axes
    * (C2) `numbers` has an element for each block
    * (C3) the result has f32 elements and the operand's sizes

    ```mlir
    wmap.func @w -> tensor<4x64xf32> {
      %0 = wmap.source "w.codes" : tensor<4x64xui8>
      %1 = wmap.source "w.zeros" : tensor<4x2xui8>
      %2 = wmap.subtract %0 minus %1 blocks [1, 32] : (tensor<4x64xui8>, tensor<4x2xui8>) -> tensor<4x64xf32>
      wmap.return %2 : tensor<4x64xf32>
    }
    ```
  }];
}

def WMap_DivideOp : WMap_Blockwise<"divide", "by"> {
  let summary = "each block of a tensor divided by its number";
  let description = [{
    As `wmap.scale`, for scales that are stored as their reciprocals: result = input /
    numbers, computed in f32. A product with a rounded reciprocal is another number.

    Source: the global scales of `compressed_tensors`' `NVFP4PackedCompressor`.

    **Constraints:**
    * (C1) `block` has a positive size for each axis of the operand, which has axes
    * (C2) `numbers` has an element for each block
    * (C3) the result has f32 elements and the operand's sizes

    ```mlir
    wmap.func @scales -> tensor<4x8xf32> {
      %0 = wmap.source "w.weight_scale" : tensor<4x8xf8E4M3FN>
      %1 = wmap.source "w.weight_global_scale" : tensor<1xf32>
      %2 = wmap.reshape %1 : tensor<1xf32> -> tensor<1x1xf32>
      %3 = wmap.divide %0 by %2 blocks [4, 8] : (tensor<4x8xf8E4M3FN>, tensor<1x1xf32>) -> tensor<4x8xf32>
      wmap.return %3 : tensor<4x8xf32>
    }
    ```
  }];
}

def WMap_GatherOp : WMap_Transform<"gather"> {
  let summary = "rows of a table by an index, or its values by codes";
  let description = [{
    With an index of one axis: row i of the result is row index[i] of the table; the
    loader refuses an index outside of the table. Axes of the index before its last are
    also the first of the table, each of whose tables has an index of its own. With codes
    of four or eight bits: element x of the codes becomes table[x]. Dequantises: there is
    no exact inverse.

    Source: `g_idx` of GPTQ; `quant_map` of bitsandbytes.

    **Constraints:**
    * (C1) the index is si32 or si64 with an axis, or codes ui4 or ui8
    * (C2) by an index: the result is the table with as many rows as the index, whose other
      axes are the first of the table
    * (C3) by codes: the table is f32 of one axis of 16 or 256, a value for each code; the
      result is f32 in the sizes of the codes
    * (C4) the table has an axis

    ```mlir
    wmap.func @scales -> tensor<8x4xf16> {
      %0 = wmap.source "w.scales" : tensor<2x4xf16>
      %1 = wmap.source "w.g_idx" : tensor<8xsi32>
      %2 = wmap.gather %0 by %1 : (tensor<2x4xf16>, tensor<8xsi32>) -> tensor<8x4xf16>
      wmap.return %2 : tensor<8x4xf16>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$table, AnyStaticShapeTensor:$index);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$table `by` $index attr-dict `:` functional-type(operands, results)";
}

#endif // DIALECT_WMAP_WMAP_QUANT_OPS_TD

//===- WMapBlockOps.td - Ops of weights that stay quantised -*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A value whose elements are `!wmap.block<…>` is a logical shape plus an
// encoding: so many numbers along the last axis share a scale. Ops that move
// elements take such values as they take any others, as long as they cut no
// block. Included by WMapOps.td.
//
//===----------------------------------------------------------------------===//

#ifndef DIALECT_WMAP_WMAP_BLOCK_OPS_TD
#define DIALECT_WMAP_WMAP_BLOCK_OPS_TD

include "mlir/IR/AttrTypeBase.td"

def WMap_BlockType : TypeDef<WMap_Dialect, "Block"> {
  let mnemonic = "block";
  let summary = "element of a tensor that is stored in blocks";
  let description = [{
    All formats but the last are those of GGUF files of that name. `q8_0`, `q5_0` and `q4_0` have groups of 32
    numbers along the last axis and a scale in f16 for each: codes of 8, 5 and 4 bits with
    a sign. A number is its code times the scale of its group. `q4_k`, `q5_k` and `q6_k`
    have blocks of 256 numbers, which share a scale in f16: the first two multiply it by 6
    bits for each 32 of them, and subtract a minimum of 6 bits times another f16, the last
    multiplies it by 8 bits for each 16. `q8_row` has codes of 8 bits with a sign and one
    scale in f32 for a row, the last axis, which each of its blocks of 64 numbers comes with.
    `fp8_128` has 128 codes of `f8E4M3FN` behind a scale in f32. These two are no formats of
    GGUF.

    **Constraints:**
    * (C1) the format is `q8_0`, `q4_0`, `q5_0`, `q4_k`, `q5_k`, `q6_k`,
      `q8_row` or `fp8_128`

    ```mlir
    wmap.func @w -> tensor<8x64xf32> {
      %0 = wmap.source "blk.{layer}.attn_q.weight" : tensor<8x64x!wmap.block<"q8_0">>
      %1 = wmap.dequantise %0 : tensor<8x64x!wmap.block<"q8_0">> -> tensor<8x64xf32>
      wmap.return %1 : tensor<8x64xf32>
    }
    ```
  }];
  let parameters = (ins StringRefParameter<"the format's name">:$format);
  let assemblyFormat = "`<` $format `>`";
  let genVerifyDecl = 1;
  let extraClassDeclaration = [{
    /// Whether there is such a format.
    static bool isFormat(::llvm::StringRef name);
    /// Elements of a block, and the bytes that it takes.
    int64_t getLength() const;
    int64_t getNumBytes() const;
    /// Whether the blocks of a row have one scale.
    bool hasRowScale() const;
    /// Bytes of a row of so many numbers in panels, which have its scale once.
    int64_t getPackedRowBytes(int64_t columns) const;
  }];
}

def WMap_QuantiseOp : WMap_Transform<"quantise"> {
  let summary = "numbers in blocks";
  let description = [{
    Each block of the last axis gets its scales and its numbers the nearest codes, as ggml's
    `quantize_row_*_ref` choose them; the last block is filled up with zeros. A block with a
    number that is not finite becomes NaN, of `q8_row` the row. With m the largest magnitude of a group, a number
    of `q8_0` is off by at most m (1/254 + 2⁻¹¹), one of `q4_0` by m (1/8 + 2⁻¹¹), and 2⁻¹⁸
    more for scales below the normal numbers of f16. One of `q8_row` is off by at most
    m (1/254 + 2⁻²²), with m of its row, and a row of magnitudes below 2⁻¹¹⁹ is zero. `q4_k`
    and `q6_k` are searched for and have no bound.

    Lossy; where rounding is accepted the inverse is what the blocks stand for.

    **Constraints:**
    * (C1) the operand's elements are floats, the result's `!wmap.block`
    * (C2) the result has the operand's sizes, the last rounded up to whole blocks
    * (C3) the format is `q8_0`, `q4_0`, `q4_k`, `q6_k` or `q8_row`

    ```mlir
    wmap.func @w -> tensor<8x64x!wmap.block<"q8_0">> {
      %0 = wmap.source "w.weight" : tensor<8x40xbf16>
      %1 = wmap.quantise %0 : tensor<8x40xbf16> -> tensor<8x64x!wmap.block<"q8_0">>
      wmap.return %1 : tensor<8x64x!wmap.block<"q8_0">>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
}

def WMap_ScaledBlocksOp : WMap_Transform<"scaled_blocks"> {
  let summary = "codes of FP8 and their scales in blocks";
  let description = [{
    The blocks of `fp8_128` that stand for the numbers of `wmap.scale` with the same
    operands: 128 columns of a row behind the scale of theirs, which rows that share it have
    each. The last block of a row is filled up with zeros. A block with a code that is NaN
    gets NaN for its scale.

    **Constraints:**
    * (C1) `block` has a positive size for each axis of the codes, which have axes, and
      `scales` an element for each block
    * (C2) the codes are `f8E4M3FN`; the last size of `block` is a multiple of 128, or that
      of the codes at least
    * (C3) the result has elements `!wmap.block<"fp8_128">` and the sizes of the codes, the
      last rounded up to whole blocks

    ```mlir
    wmap.func @w -> tensor<200x256x!wmap.block<"fp8_128">> {
      %0 = wmap.source "w.weight" : tensor<200x160xf8E4M3FN>
      %1 = wmap.source "w.weight_scale_inv" : tensor<2x2xf32>
      %2 = wmap.scaled_blocks %0 by %1 blocks [128, 128] : (tensor<200x160xf8E4M3FN>, tensor<2x2xf32>) -> tensor<200x256x!wmap.block<"fp8_128">>
      wmap.return %2 : tensor<200x256x!wmap.block<"fp8_128">>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$codes, AnyStaticShapeTensor:$scales, DenseI64ArrayAttr:$block);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$codes `by` $scales `blocks` $block attr-dict `:` functional-type(operands, results)";
}

def WMap_DequantiseOp : WMap_Transform<"dequantise"> {
  let summary = "the numbers that blocks stand for";
  let description = [{
    In f32, exact, but that codes of `q8_row` and `fp8_128` times their scale are rounded.
    There is no inverse: several blocks may stand for the same numbers.

    **Constraints:**
    * (C1) the operand's elements are `!wmap.block`
    * (C2) the result has f32 elements and the operand's sizes

    ```mlir
    wmap.func @w -> tensor<8x32xf32> {
      %0 = wmap.source "w.weight" : tensor<8x32x!wmap.block<"q4_0">>
      %1 = wmap.dequantise %0 : tensor<8x32x!wmap.block<"q4_0">> -> tensor<8x32xf32>
      wmap.return %1 : tensor<8x32xf32>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
}

def WMap_PackBlocksOp : WMap_Transform<"pack_blocks"> {
  let summary = "blocks of a matrix in panels";
  let description = [{
    [N, K] becomes bytes [ceil(N/rows)][K / numbers of a block][rows · bytes of a block]: in a
    panel of `rows` rows, for each block of columns, the scales and codes of its rows
    alternate
    (docs/rationale/packed-weights.md). Of `q8_row` it is [ceil(N/rows)][rows][4 + K], where
    the scales of a panel come first. Of three axes the first counts matrices. Inverse:
    `wmap.unpack_blocks`, bit for bit.

    **Constraints:**
    * (C1) the operand has two or three axes of `!wmap.block`, `rows` is a positive multiple
      of 16
    * (C2) the result has ui8 elements and the sizes above

    ```mlir
    wmap.func @w -> tensor<2x2x544xui8> {
      %0 = wmap.source "w.weight" : tensor<20x64x!wmap.block<"q8_0">>
      %1 = wmap.pack_blocks %0 rows 16 : tensor<20x64x!wmap.block<"q8_0">> -> tensor<2x2x544xui8>
      wmap.return %1 : tensor<2x2x544xui8>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input, I64Attr:$rows);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input `rows` $rows attr-dict `:` type($input) `->` type($result)";
  let extraClassDeclaration = [{
    /// The sizes of `blocks` in panels of `rows` rows; its last axis is one of whole blocks.
    static ::llvm::SmallVector<int64_t> getPackedShape(::mlir::RankedTensorType blocks, int64_t rows);
  }];
}

def WMap_UnpackBlocksOp : WMap_Transform<"unpack_blocks"> {
  let summary = "blocks of a matrix out of panels";
  let description = [{
    What `wmap.pack_blocks` has packed, without the rows that fill the last panel.

    **Constraints:**
    * (C1) `wmap.pack_blocks` makes the operand of the result, in panels of some number of
      rows

    ```mlir
    wmap.func @w -> tensor<20x64x!wmap.block<"q8_0">> {
      %0 = wmap.source "packed" : tensor<2x2x544xui8>
      %1 = wmap.unpack_blocks %0 : tensor<2x2x544xui8> -> tensor<20x64x!wmap.block<"q8_0">>
      wmap.return %1 : tensor<20x64x!wmap.block<"q8_0">>
    }
    ```
  }];
  let arguments = (ins AnyStaticShapeTensor:$input);
  let results = (outs AnyStaticShapeTensor:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `->` type($result)";
}

#endif // DIALECT_WMAP_WMAP_BLOCK_OPS_TD

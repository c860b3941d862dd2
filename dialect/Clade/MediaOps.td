//===- MediaOps.td - Images among the tokens ---------------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An entry for images has patches as its tokens and images as its sequences.
// Its rows of output stand for tokens of the entry for text.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_MEDIA_OPS_TD
#define CLADE_DIALECT_MEDIA_OPS_TD

include "dialect/Clade/CladeOpBase.td"

def Clade_GridPositionsOp : Clade_PureOp<"grid_positions"> {
  let summary = "row and column of each patch in its image";
  let description = [{
    The patches of an image of R rows and C columns, which the batch carries, come in blocks
    of merge × merge, row by row, and within a block row by row. With
    b = i / merge², o = i mod merge², B = C / merge, patch i of its image has the row
    (b / B)·merge + o / merge and the column (b mod B)·merge + o mod merge, all divisions
    without remainder (Qwen2-VL, arXiv:2409.12191). `merge = 1` is row-major order. A film is
    an image of several frames, one behind the other, each with such rows and columns. Not a
    composition: the place of a patch in its image, and the image's size, are the batch's.

    **Constraints:**
    * (C1) the result is [token, axis = 2] i32
    * (C2) merge is at least 1

    ```mlir
    func.func @where(%batch: !clade.batch) -> !clade.tensor<[token, grid = 2], i32> {
      %0 = clade.grid_positions %batch merge 2 : !clade.tensor<[token, grid = 2], i32>
      return %0 : !clade.tensor<[token, grid = 2], i32>
    }
    ```
  }];
  let arguments = (ins Clade_BatchType:$batch, ConfinedAttr<I64Attr, [IntPositive]>:$merge);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$batch `merge` $merge attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Clade_GridFramesOp : Clade_PureOp<"grid_frames", [AllTypesMatch<["frame", "frames"]>]> {
  let summary = "frame of each patch in its film, and how many the film has";
  let description = [{
    Patch i of a film of F frames, each of R rows and C columns, is of frame i / (R·C), without
    remainder. An image is a film of one frame (Kimi K2.5, arXiv:2602.02276). Not a composition:
    the place of a patch in its film, and the film's size, are the batch's.

    **Constraints:**
    * (C1) the results are [token] i32

    ```mlir
    func.func @frames(%batch: !clade.batch) -> (!clade.tensor<[token], i32>, !clade.tensor<[token], i32>) {
      %frame, %frames = clade.grid_frames %batch : !clade.tensor<[token], i32>
      return %frame, %frames : !clade.tensor<[token], i32>, !clade.tensor<[token], i32>
    }
    ```
  }];
  let arguments = (ins Clade_BatchType:$batch);
  let results = (outs Clade_Tensor:$frame, Clade_Tensor:$frames);
  let assemblyFormat = "$batch attr-dict `:` type($frame)";
  let hasVerifier = 1;
}

def Clade_GridWindowsOp : Clade_PureOp<"grid_windows"> {
  let summary = "number of the window of each patch in its image";
  let description = [{
    Windows of `side` × `side` patches lie side by side over an image, from its upper left, the last
    ones of a row or a column narrower. A patch of row r and column c of an image of C columns, as
    `clade.grid_positions` gives them, is in window (r / side)·⌈C / side⌉ + c / side, divisions
    without remainder (window attention, arXiv:2103.14030, without shifts; Qwen2.5-VL,
    arXiv:2502.13923). Not a composition: the columns of the image are the batch's.

    **Constraints:**
    * (C1) the result is [token] i32
    * (C2) merge and side are at least 1

    ```mlir
    func.func @windows(%batch: !clade.batch) -> !clade.tensor<[token], i32> {
      %0 = clade.grid_windows %batch merge 2 side 8 : !clade.tensor<[token], i32>
      return %0 : !clade.tensor<[token], i32>
    }
    ```
  }];
  let arguments = (ins Clade_BatchType:$batch, ConfinedAttr<I64Attr, [IntPositive]>:$merge,
                       ConfinedAttr<I64Attr, [IntPositive]>:$side);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$batch `merge` $merge `side` $side attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Clade_InterpolateOp : Clade_PureOp<"interpolate"> {
  let summary = "a table of places, stretched over each image";
  let description = [{
    Each patch takes from a table of R × C places what lies where its image covers it. Along an axis
    of S places, a patch of row (column) i of n lies at s = (i + 1/2) · S / n − 1/2, so that image and
    table have the same area, or with `corners` at s = i · (S − 1) / max(n − 1, 1), so that corners lie
    on corners. With f = ⌊s⌋ and d = |s − place|, a place counts

    * `bilinear`: 1 − d, for the places f and f + 1;
    * `bicubic`: 1 − (a + 3)·d² + (a + 2)·d³ where d ≤ 1 and −4a + 8a·d − 5a·d² + a·d³ where
      1 < d < 2, a = −3/4, for the places f − 1 to f + 2 (R. Keys, Cubic convolution interpolation
      for digital image processing, 1981, with the a of PyTorch's interpolate()).

    Places beyond an edge are those at the edge. y[t, g…] = Σ_{r,c} w(r)·w(c)·table[r, c, g…], all in
    f32. Rows and columns of a patch are those of `clade.grid_positions`. Not a composition: no op
    reads a table at a place that is computed.

    **Constraints:**
    * (C1) the table is [rows, columns, features…] of known sizes
    * (C2) the result is [token, features…] f32
    * (C3) merge is at least 1

    ```mlir
    func.func @places(%table: !clade.tensor<[rows = 4, columns = 4, d = 8], bf16>, %batch: !clade.batch) -> !clade.tensor<[token, d = 8], f32> {
      %0 = clade.interpolate bicubic %table, %batch merge 2 : !clade.tensor<[rows = 4, columns = 4, d = 8], bf16> -> !clade.tensor<[token, d = 8], f32>
      return %0 : !clade.tensor<[token, d = 8], f32>
    }
    ```
  }];
  let arguments = (ins Clade_InterpolationKindAttr:$kind, Clade_Tensor:$table, Clade_BatchType:$batch,
                       ConfinedAttr<I64Attr, [IntPositive]>:$merge, UnitAttr:$corners);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    `` $kind $table `,` $batch `merge` $merge (`corners` $corners^)? attr-dict
    `:` type($table) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Clade_FoldOp : Clade_PureOp<"fold"> {
  let summary = "tokens that become one";
  let description = [{
    y[s, i, f…] = x[n·s + i, f…]: n adjacent tokens become one with an axis of size n, the first
    behind the sequence. The tokens of a step are a multiple of n, and its selected rows as many
    as that multiple (patch merging, arXiv:2103.14030). Not a composition: no view changes the
    sequence axis.

    With `frames`, the frames of a film become one: y[s, i, f…] is the mean of
    x[p(s) + k·R·C + i, f…] over the frames k of the film that row s is of, which has R·C patches
    in each, p(s) being the patch of its first frame where the row begins (temporal pooling, Kimi
    K2.5, arXiv:2602.02276). The sum is in f32 and the mean rounds once. A film gives R·C / n rows.

    **Constraints:**
    * (C1) the operand has the axis `token`, the result `selected`, another axis, and the operand's features
    * (C2) operand and result have one element type

    ```mlir
    func.func @merge(%x: !clade.tensor<[token, d = 8], bf16>) -> !clade.tensor<[selected, fold = 4, d = 8], bf16> {
      %0 = clade.fold %x : !clade.tensor<[token, d = 8], bf16> -> !clade.tensor<[selected, fold = 4, d = 8], bf16>
      return %0 : !clade.tensor<[selected, fold = 4, d = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, Optional<Clade_BatchType>:$batch);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$input (`frames` $batch^)? attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// How many tokens become one.
    int64_t getTimes() { return getResult().getType().getShape()[1]; }
  }];
}

def Clade_PutAtOp : Clade_PureOp<"put_at", [AllTypesMatch<["input", "result"]>]> {
  let summary = "rows of images in the place of tokens";
  let description = [{
    Each token whose id is one of `tokens` stands for a row m of what the entry for images gave,
    in their order: y[t] = m[from … from + F), F being the number of features of y, converted to the
    element type; with `add` it is added to x[t]. All other tokens pass (masked scatter; LLaVA,
    arXiv:2304.08485). A row has `width` values in f32; the batch carries the rows. Not a
    composition: which row a token takes depends on its sequence, which only the batch knows.

    **Constraints:**
    * (C1) the operand has the axis `token` and features of known sizes
    * (C2) from + F is at most `width`, and from is at least 0
    * (C3) there are tokens, none below 0

    ```mlir
    func.func @images(%x: !clade.tensor<[token, d = 8], bf16>, %batch: !clade.batch) -> !clade.tensor<[token, d = 8], bf16> {
      %0 = clade.put_at %x, %batch tokens [10] from 0 width 8 : !clade.tensor<[token, d = 8], bf16>
      return %0 : !clade.tensor<[token, d = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, Clade_BatchType:$batch, DenseI32ArrayAttr:$tokens,
                       I64Attr:$from, I64Attr:$width, UnitAttr:$add);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$input `,` $batch `tokens` $tokens `from` $from `width` $width attr-dict `:` type($input)";
  let hasVerifier = 1;
}

#endif // CLADE_DIALECT_MEDIA_OPS_TD

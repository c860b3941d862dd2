//===- RecurrentOps.td - Convolutions and scans over time --*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ops whose state has a fixed size: what a sequence keeps does not grow with
// its length.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_RECURRENT_OPS_TD
#define CLADE_DIALECT_RECURRENT_OPS_TD

include "dialect/Clade/AttentionOps.td"
include "dialect/Clade/CladeOpBase.td"

def Clade_CausalConvOp : Clade_Op<"causal_conv", [MemoryEffects<[MemRead, MemWrite]>,
                                                  AllTypesMatch<["input", "result"]>]> {
  let summary = "causal convolution of each channel over the tokens of a sequence";
  let description = [{
    y[t, c] = Σ over j < taps of x[t − taps + 1 + j, c] · w[c, j] (+ bias[c]), where t
    counts the tokens of one sequence and x is zero before the first: the short
    convolution of Mamba (arXiv:2312.00752), `torch.nn.functional.conv1d` with a group
    for each channel. The last taps − 1 tokens' x are kept in state number `state` of the
    layer. Sums in f32 and rounds once, bias included.

    **Constraints:**
    * (C1) x is [token, channels]; the result has the same type
    * (C2) the weight is [channels, taps]: as many elements as channels × the last axis
    * (C3) the bias has as many elements as there are channels
    * (C4) `state` is at least 0

    ```mlir
    func.func @convolve(%x: !clade.tensor<[token, d = 8], bf16>, %w: !clade.tensor<[d = 8, taps = 4], bf16>, %batch: !clade.batch)
        -> !clade.tensor<[token, d = 8], bf16> {
      %0 = clade.causal_conv %x, %w, %batch state 0 : !clade.tensor<[token, d = 8], bf16>, !clade.tensor<[d = 8, taps = 4], bf16>
      return %0 : !clade.tensor<[token, d = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, Clade_Tensor:$weight, Optional<Clade_Tensor>:$bias, Clade_BatchType:$batch,
                       Clade_StateAttr:$state);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^)? `,` $batch `state` $state attr-dict
    `:` type($input) `,` type($weight) (`,` type($bias)^)?
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getNumChannels() { return getInput().getType().getShape()[1]; }
    int64_t getNumTaps() { return getWeight().getType().getShape().back(); }
    /// Bytes of the state of one sequence: the inputs of the last taps − 1
    /// tokens, [taps − 1][channels] in the type of x, the oldest first; padded
    /// to a multiple of 64.
    int64_t getStateBytes();
  }];
}

def Clade_ScanOp : Clade_Op<"scan", [MemoryEffects<[MemRead, MemWrite]>, AttrSizedOperandSegments,
                                     IsolatedFromAbove, SingleBlock]> {
  let summary = "recurrence over the tokens of each sequence";
  let description = [{
    Runs the region once for each token of a sequence, in order. Its first arguments
    are the carried tensors: `initial` for the first token of a sequence, then what the
    region yielded for the token before, also across steps, in state number `state` of
    the layer. The other arguments are the inputs: of one with the token axis the row of
    the token, of others the whole. The region yields the next carried tensors, then one
    row of each result.

    It is how state space models and linear attention are written: Mamba-2
    (arXiv:2405.21060), gated delta rule (arXiv:2412.06464). With `chunk`, as many tokens
    of a sequence at a time may be computed with matrix products, where that many are in
    the step (LinearRecurrence.h says how); their sums are the same in another order.

    **Constraints:**
    * (C1) the carried tensors are f32 and have no token axis
    * (C2) the region's arguments are the carried tensors, then the inputs, each without
      its token axis
    * (C3) the region yields the next carried tensors, of the same types, then the results
    * (C4) each result is what is yielded for it, with the token axis in front
    * (C5) the region holds ops that work on each token by itself, and constants
    * (C6) `state` is at least 0
    * (C7) a scan with `chunk` is a linear recurrence of one matrix for each head

    ```mlir
    func.func @sums(%x: !clade.tensor<[token, d = 8], f32>, %zero: !clade.tensor<[d = 8], f32>, %batch: !clade.batch)
        -> !clade.tensor<[token, d = 8], f32> {
      %0 = clade.scan %batch state 0 carry(%zero : !clade.tensor<[d = 8], f32>) over(%x : !clade.tensor<[token, d = 8], f32>)
          -> !clade.tensor<[token, d = 8], f32> {
      ^bb0(%s: !clade.tensor<[d = 8], f32>, %a: !clade.tensor<[d = 8], f32>):
        %1 = clade.binary add %s, %a : !clade.tensor<[d = 8], f32>, !clade.tensor<[d = 8], f32> -> !clade.tensor<[d = 8], f32>
        clade.yield %1, %1 : !clade.tensor<[d = 8], f32>, !clade.tensor<[d = 8], f32>
      }
      return %0 : !clade.tensor<[token, d = 8], f32>
    }
    ```
  }];
  let arguments = (ins Clade_BatchType:$batch, Variadic<Clade_Tensor>:$initial, Variadic<Clade_Tensor>:$inputs,
                       Clade_StateAttr:$state, OptionalAttr<Clade_PositiveAttr>:$chunk);
  let results = (outs Variadic<Clade_Tensor>:$results);
  let regions = (region SizedRegion<1>:$body);
  let assemblyFormat = [{
    $batch `state` $state attr-dict `carry` `(` ($initial^ `:` type($initial))? `)`
    `over` `(` ($inputs^ `:` type($inputs))? `)` (`->` type($results)^)? $body
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The region's arguments for the carried tensors, and for the inputs.
    ::mlir::Block::BlockArgListType getCarried();
    ::mlir::Block::BlockArgListType getRows();
    /// What the region yields.
    YieldOp getYield();
    /// Where carried tensor `number` lies in the state of one sequence, in
    /// bytes: row-major f32, each at a multiple of 64.
    int64_t getStateOffset(unsigned number);
    /// Bytes of the state of one sequence, a multiple of 64.
    int64_t getStateBytes();
  }];
}

#endif // CLADE_DIALECT_RECURRENT_OPS_TD

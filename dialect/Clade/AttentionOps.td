//===- AttentionOps.td - Attention and its state -----------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_ATTENTION_OPS_TD
#define CLADE_DIALECT_ATTENTION_OPS_TD

include "dialect/Clade/CladeOpBase.td"

def Clade_StateAttr : ConfinedAttr<I64Attr, [IntNonNegative]>;
def Clade_PositiveAttr : ConfinedAttr<I64Attr, [IntPositive]>;

def Clade_AttendOp : Clade_Op<"attend", [MemoryEffects<[MemRead, MemWrite]>, AttrSizedOperandSegments]> {
  let summary = "attention over a sequence and its past";
  let description = [{
    Token t of a sequence, at position p, attends to the positions j ≤ p of the same
    sequence and, with a `window`, j > p − window: y = Σ softmax(c(scale·q·k_j))·v_j,
    where c(s) = cap·tanh(s/cap) if `softcap` is given. Softmax is in f32. A query head
    h reads key/value head h / (query heads / key heads). Earlier steps' keys and values
    come from state number `state` of the layer, to which this step's are added.

    `slopes` m add m_h·(j − p) to the score of query head h (ALiBi, arXiv:2108.12409).
    A `sink` is one more score of each query head, which takes its share of the softmax
    and has no value (gpt-oss, arXiv:2508.10925; arXiv:2309.17453).

    With `bidirectional`, a token attends to all tokens of its sequence, before and behind
    it (arXiv:1810.04805). The sequence is then whole in the step, and what the state holds
    is of no use behind it. With `groups` as well, it attends only to those of its own number,
    such as that of its window.

    Where the element type is narrower than f32, scores, scaled scores, biased scores,
    probabilities and the result round to it; with `model_softmax` the distances of
    scores to the largest one do, too.

    **Constraints:**
    * (C1) q, k, v are [token, heads, size], q and k with one size
    * (C2) k and v have as many heads, which divide those of q
    * (C3) the result is [token, heads of q, size of v]
    * (C4) a window is positive
    * (C5) `state` is at least 0
    * (C6) the sink has one element for each head of q, and no other axis
    * (C7) there is a slope for each head of q
    * (C8) attention that is bidirectional has neither a window nor slopes
    * (C9) `groups` are [token] i32, only in attention that is bidirectional

    ```mlir
    func.func @attention(%q: !clade.tensor<[token, q_heads = 4, head = 8], bf16>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], bf16>,
                         %v: !clade.tensor<[token, kv_heads = 2, head = 8], bf16>, %batch: !clade.batch)
        -> !clade.tensor<[token, q_heads = 4, head = 8], bf16> {
      %0 = clade.attend %q, %k, %v, %batch state 0 scale 0.35355339059327373 {window = 512 : i64}
          : (!clade.tensor<[token, q_heads = 4, head = 8], bf16>, !clade.tensor<[token, kv_heads = 2, head = 8], bf16>,
             !clade.tensor<[token, kv_heads = 2, head = 8], bf16>) -> !clade.tensor<[token, q_heads = 4, head = 8], bf16>
      return %0 : !clade.tensor<[token, q_heads = 4, head = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$query, Clade_Tensor:$key, Clade_Tensor:$value, Clade_BatchType:$batch,
                       Optional<Clade_Tensor>:$sink, Optional<Clade_Tensor>:$groups,
                       Clade_StateAttr:$state, F64Attr:$scale,
                       OptionalAttr<Clade_PositiveAttr>:$window, OptionalAttr<F64Attr>:$softcap,
                       OptionalAttr<DenseF32ArrayAttr>:$slopes, UnitAttr:$model_softmax,
                       UnitAttr:$bidirectional);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    $query `,` $key `,` $value `,` $batch (`sink` $sink^ `:` type($sink))? (`groups` $groups^ `:` type($groups))?
    `state` $state `scale` $scale attr-dict
    `:` `(` type($query) `,` type($key) `,` type($value) `)` `->` type($result)
  }];
  let hasVerifier = 1;
}

def Clade_CacheWriteOp : Clade_Op<"cache_write", [MemoryEffects<[MemWrite]>]> {
  let summary = "adds this step's keys and values to a state";
  let description = [{
    Stores the rows of every token of the step at its place in state number `state`.
    With `shared`, v is the first elements of k, and the state keeps k alone: one row
    serves as key and as value, as with the latent of multi-head latent attention
    (arXiv:2405.04434).

    **Constraints:**
    * (C1) k and v are [token, heads, size] with as many heads
    * (C2) `state` is at least 0
    * (C3) values that are shared are no longer than keys

    ```mlir
    func.func @remember(%k: !clade.tensor<[token, kv_heads = 2, head = 8], bf16>, %v: !clade.tensor<[token, kv_heads = 2, head = 8], bf16>,
                        %batch: !clade.batch) {
      clade.cache_write %k, %v, %batch state 0 : !clade.tensor<[token, kv_heads = 2, head = 8], bf16>, !clade.tensor<[token, kv_heads = 2, head = 8], bf16>
      return
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$key, Clade_Tensor:$value, Clade_BatchType:$batch, Clade_StateAttr:$state,
                       UnitAttr:$shared);
  let assemblyFormat = [{
    $key `,` $value `,` $batch `state` $state attr-dict `:` type($key) `,` type($value)
  }];
  let hasVerifier = 1;
}

def Clade_AttendCachedOp : Clade_Op<"attend_cached", [MemoryEffects<[MemRead]>, AttrSizedOperandSegments]> {
  let summary = "attention over the keys and values of a state";
  let description = [{
    `clade.attend` after a `clade.cache_write` has stored this step's keys and values:
    all keys and values, old and new, come from the state. With `shared`, values are
    the first elements of the keys' rows.

    **Constraints:**
    * (C1) q is [token, heads, size]; the result is [token, heads, value size]
    * (C2) kv_heads divides the heads of q
    * (C3) a window is positive
    * (C4) `state` is at least 0
    * (C5) the sink has one element for each head of q, and no other axis
    * (C6) there is a slope for each head of q
    * (C7) attention that is bidirectional has neither a window nor slopes
    * (C8) `groups` are [token] i32, only in attention that is bidirectional
    * (C9) values that are shared are no longer than keys

    ```mlir
    func.func @attention(%q: !clade.tensor<[token, q_heads = 4, head = 8], bf16>, %batch: !clade.batch)
        -> !clade.tensor<[token, q_heads = 4, head = 8], bf16> {
      %0 = clade.attend_cached %q, %batch state 0 kv_heads 2 scale 0.35355339059327373
          : !clade.tensor<[token, q_heads = 4, head = 8], bf16> -> !clade.tensor<[token, q_heads = 4, head = 8], bf16>
      return %0 : !clade.tensor<[token, q_heads = 4, head = 8], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$query, Clade_BatchType:$batch, Optional<Clade_Tensor>:$sink,
                       Optional<Clade_Tensor>:$groups, Clade_StateAttr:$state, Clade_PositiveAttr:$kv_heads, F64Attr:$scale,
                       OptionalAttr<Clade_PositiveAttr>:$window, OptionalAttr<F64Attr>:$softcap,
                       OptionalAttr<DenseF32ArrayAttr>:$slopes, UnitAttr:$model_softmax,
                       UnitAttr:$bidirectional, UnitAttr:$shared);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    $query `,` $batch (`sink` $sink^ `:` type($sink))? (`groups` $groups^ `:` type($groups))?
    `state` $state `kv_heads` $kv_heads `scale` $scale attr-dict `:` type($query) `->` type($result)
  }];
  let hasVerifier = 1;
}

#endif // CLADE_DIALECT_ATTENTION_OPS_TD

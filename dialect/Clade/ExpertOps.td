//===- ExpertOps.td - Mixtures of experts ------------------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_EXPERT_OPS_TD
#define CLADE_DIALECT_EXPERT_OPS_TD

include "dialect/Clade/CladeOpBase.td"

def Clade_ExpertLinearOp : Clade_PureOp<"expert_linear"> {
  let summary = "linear map by the experts that each token chose";
  let description = [{
    With e = chosen[t, a]: y[t, a, o…] = Σ over i… of x[t, (a,) i…] · w[e, o…, i…]
    (+ bias[e, o…]). The operand has the axis a of the choices, or is the same for
    each of them. Accumulates in at least f32 and rounds once, bias included. Only
    the chosen experts are computed (sparsely gated mixture of experts,
    arXiv:1701.06538).

    **Constraints:**
    * (C1) `chosen` is [token, a] i32
    * (C2) the result is [token, a, o…] with the sequence and the second axis of `chosen`
    * (C3) x has the sequence of `chosen`
    * (C4) the weight has experts × result features of an expert × input features elements;
      its first axis is that of the experts
    * (C5) the bias has experts × result features of an expert elements
    * (C6) a packed weight has three axes

    ```mlir
    func.func @up(%x: !clade.tensor<[token, d = 32], bf16>, %chosen: !clade.tensor<[token, active = 2], i32>,
                  %w: !clade.tensor<[experts = 8, ffn = 64, d = 32], bf16>) -> !clade.tensor<[token, active = 2, ffn = 64], bf16> {
      %0 = clade.expert_linear %x, %chosen, %w
          : !clade.tensor<[token, d = 32], bf16>, !clade.tensor<[token, active = 2], i32>, !clade.tensor<[experts = 8, ffn = 64, d = 32], bf16>
          -> !clade.tensor<[token, active = 2, ffn = 64], bf16>
      return %0 : !clade.tensor<[token, active = 2, ffn = 64], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, Clade_Tensor:$chosen, Clade_Weight:$weight, Optional<Clade_Tensor>:$bias);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    $input `,` $chosen `,` $weight (`bias` $bias^)? attr-dict
    `:` type($input) `,` type($chosen) `,` type($weight) (`,` type($bias)^)? `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getNumExperts();
    /// Experts that a token chooses.
    int64_t getNumActive();
    /// Number of features of the result for one expert (rows of its matrix).
    int64_t getNumOutputs();
    /// Number of contracted features (columns of an expert's matrix).
    int64_t getNumInputs();
    /// Whether the operand differs from choice to choice.
    bool hasActiveInput();
  }];
}

def Clade_MixOp : Clade_PureOp<"mix"> {
  let summary = "sum of the experts' results by their shares";
  let description = [{
    y[t, f…] = Σ over a of share[t, a] · x[t, a, f…], in ascending order of the experts'
    numbers chosen[t, a]. Each product and each partial sum rounds to the type `sum`
    (Mixtral, arXiv:2401.04088; order and rounding as in the eager experts of
    transformers); the result then rounds to its own type.

    **Constraints:**
    * (C1) `chosen` is [token, a] i32 and `share` has the same axes
    * (C2) the operand is [token, a, f…], the result [token, f…]
    * (C3) `sum` is f32 or the element type of the result

    ```mlir
    func.func @combine(%x: !clade.tensor<[token, active = 2, d = 32], bf16>, %share: !clade.tensor<[token, active = 2], bf16>,
                       %chosen: !clade.tensor<[token, active = 2], i32>) -> !clade.tensor<[token, d = 32], bf16> {
      %0 = clade.mix %x, %share, %chosen sum bf16
          : !clade.tensor<[token, active = 2, d = 32], bf16>, !clade.tensor<[token, active = 2], bf16>, !clade.tensor<[token, active = 2], i32>
          -> !clade.tensor<[token, d = 32], bf16>
      return %0 : !clade.tensor<[token, d = 32], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, Clade_Tensor:$share, Clade_Tensor:$chosen, TypeAttr:$sum);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    $input `,` $share `,` $chosen `sum` $sum attr-dict
    `:` type($input) `,` type($share) `,` type($chosen) `->` type($result)
  }];
  let hasVerifier = 1;
}

def Clade_AdapterChoiceOp : Clade_PureOp<"adapter_choice"> {
  let summary = "place of the adapter that each token's sequence has";
  let description = [{
    Low-rank adapters beside the weights (arXiv:2106.09685) are experts that a sequence
    chooses: the result is what `expert_linear` takes as choices. Place 0 is no adapter; its
    factors are zero. Not a composition: the batch alone knows.

    With `of`, what chooses by adapter and expert at once: place · experts + chosen[t, a],
    where the experts of a place follow each other.

    **Constraints:**
    * (C1) the result is [token, a = 1] i32
    * (C2) with `of`, that is i32 of the axes of the result, and `experts` is positive

    ```mlir
    func.func @which(%batch: !clade.batch) -> !clade.tensor<[token, adapter = 1], i32> {
      %0 = clade.adapter_choice %batch : !clade.tensor<[token, adapter = 1], i32>
      return %0 : !clade.tensor<[token, adapter = 1], i32>
    }
    func.func @which_of(%batch: !clade.batch, %chosen: !clade.tensor<[token, active = 2], i32>) -> !clade.tensor<[token, active = 2], i32> {
      %0 = clade.adapter_choice %batch of %chosen : !clade.tensor<[token, active = 2], i32> experts 8
          : !clade.tensor<[token, active = 2], i32>
      return %0 : !clade.tensor<[token, active = 2], i32>
    }
    ```
  }];
  let arguments = (ins Clade_BatchType:$batch, Optional<Clade_Tensor>:$chosen, DefaultValuedAttr<I64Attr, "1">:$experts);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    $batch (`of` $chosen^ `:` type($chosen) `experts` $experts)? attr-dict `:` type($result)
  }];
  let hasVerifier = 1;
}

#endif // CLADE_DIALECT_EXPERT_OPS_TD

//===- ProductOps.td - Linear maps and embeddings ----------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_PRODUCT_OPS_TD
#define CLADE_DIALECT_PRODUCT_OPS_TD

include "dialect/Clade/CladeOpBase.td"

def Clade_LinearOp : Clade_PureOp<"linear"> {
  let summary = "linear map of the features of each token";
  let description = [{
    y[t, o…] = Σ over i… of x[t, i…] · w[o…, i…] (+ bias[o…]): all axes of x but the
    sequence are contracted with the trailing axes of the weight, in row-major
    order of both; the leading axes of the weight are the result's features.
    Accumulates in at least f32 and rounds once, bias included.

    **Constraints:**
    * (C1) the weight has as many elements as result features × input features
    * (C2) the bias has as many elements as the result has features
    * (C3) x and the result have the same sequence axis
    * (C4) a packed weight has two axes

    ```mlir
    func.func @project(%x: !clade.tensor<[token, d = 32], bf16>, %w: !clade.tensor<[q_heads = 4, head = 16, d = 32], bf16>)
        -> !clade.tensor<[token, q_heads = 4, head = 16], bf16> {
      %0 = clade.linear %x, %w : !clade.tensor<[token, d = 32], bf16>, !clade.tensor<[q_heads = 4, head = 16, d = 32], bf16>
          -> !clade.tensor<[token, q_heads = 4, head = 16], bf16>
      return %0 : !clade.tensor<[token, q_heads = 4, head = 16], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, Clade_Weight:$weight, Optional<Clade_Tensor>:$bias);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    $input `,` $weight (`bias` $bias^)? attr-dict
    `:` type($input) `,` type($weight) (`,` type($bias)^)? `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// Number of features of the result (rows of the weight).
    int64_t getNumOutputs();
    /// Number of contracted features (columns of the weight).
    int64_t getNumInputs();
  }];
}

def Clade_HeadLinearOp : Clade_PureOp<"head_linear"> {
  let summary = "linear map of each head by a matrix of its own";
  let description = [{
    y[t, h, o] = Σ over i of x[t, h, i] · w[h, o, i]: a linear map whose matrix is
    block-diagonal over the heads. Accumulates in at least f32 and rounds once. It is
    how latent attention works on the latent itself (absorbed form of multi-head latent
    attention, arXiv:2405.04434); `clade-absorb-latent` makes it.

    **Constraints:**
    * (C1) x is [token, h, i]; the result is [token, h, o] with the heads of x
    * (C2) the weight is [h, o, i]

    ```mlir
    func.func @to_latent(%q: !clade.tensor<[token, heads = 4, head = 16], bf16>, %w: !clade.tensor<[heads = 4, latent = 32, head = 16], bf16>)
        -> !clade.tensor<[token, heads = 4, latent = 32], bf16> {
      %0 = clade.head_linear %q, %w : !clade.tensor<[token, heads = 4, head = 16], bf16>, !clade.tensor<[heads = 4, latent = 32, head = 16], bf16>
          -> !clade.tensor<[token, heads = 4, latent = 32], bf16>
      return %0 : !clade.tensor<[token, heads = 4, latent = 32], bf16>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$input, Clade_Weight:$weight);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = [{
    $input `,` $weight attr-dict `:` type($input) `,` type($weight) `->` type($result)
  }];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    int64_t getNumHeads() { return getWeight().getType().getShape()[0]; }
    /// Rows and columns of a head's matrix.
    int64_t getNumOutputs() { return getWeight().getType().getShape()[1]; }
    int64_t getNumInputs() { return getWeight().getType().getShape()[2]; }
  }];
}

def Clade_EmbedOp : Clade_PureOp<"embed"> {
  let summary = "rows of a table by token id";
  let description = [{
    y[t, f…] = table[ids[t], f…], converted to the element type of the result. The
    table may be stored in another float type than the model computes in.

    **Constraints:**
    * (C1) ids are i32 over one sequence axis
    * (C2) the table's axes but the first are the result's features
    * (C3) a packed table has two axes, the second with as many elements as the result has features

    ```mlir
    func.func @input(%ids: !clade.tensor<[token], i32>, %table: !clade.tensor<[vocab = 64, d = 32], bf16>)
        -> !clade.tensor<[token, d = 32], f32> {
      %0 = clade.embed %ids, %table : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 64, d = 32], bf16>
          -> !clade.tensor<[token, d = 32], f32>
      return %0 : !clade.tensor<[token, d = 32], f32>
    }
    ```
  }];
  let arguments = (ins Clade_Tensor:$ids, Clade_Weight:$table);
  let results = (outs Clade_Tensor:$result);
  let assemblyFormat = "$ids `,` $table attr-dict `:` type($ids) `,` type($table) `->` type($result)";
  let hasVerifier = 1;
}

#endif // CLADE_DIALECT_PRODUCT_OPS_TD

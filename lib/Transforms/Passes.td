//===- Passes.td - Passes between import and code ----------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TRANSFORMS_PASSES_TD
#define CLADE_TRANSFORMS_PASSES_TD

include "mlir/Pass/PassBase.td"

def SinkSelectPass : Pass<"clade-sink-select", "::mlir::ModuleOp"> {
  let summary = "computes outputs only for the tokens that are asked for";
  let description = [{
    Moves `clade.select` up through ops that work on each token by itself, so that
    the final norm and the head run for selected tokens only:

    ```
    %0 = clade.linear %x, %w ; %1 = clade.select %0, %batch
    →  %0 = clade.select %x, %batch ; %1 = clade.linear %0, %w
    ```

    test/Transforms/sink-select.mlir shows it.
  }];
  let statistics = [Statistic<"numMoved", "moved", "Number of ops that now run on selected tokens">];
}

def AbsorbLatentPass : Pass<"clade-absorb-latent", "::mlir::ModuleOp"> {
  let summary = "computes latent attention on the latent itself";
  let description = [{
    Where the keys and values of all heads come from one latent, and the rest of the
    keys is the same for each head (multi-head latent attention, arXiv:2405.04434),
    the key half of the weight moves to the queries and its value half behind the
    attention. What is kept of a token is then its latent and the shared part of the
    key, one row for all heads. The weight's function becomes two, one for each half.
    docs/rationale/latent-attention.md says when that is worth it;
    test/Transforms/absorb-latent.mlir shows it.
  }];
  let options = [
    Option<"onlySmaller", "only-smaller", "bool", "false",
           "Only where a token's row is smaller than its keys and values">
  ];
  let statistics = [Statistic<"numAbsorbed", "absorbed", "Number of attentions that now read the latent">];
  let dependentDialects = ["::clade::wmap::WMapDialect"];
}

def FuseParallelLinearsPass : Pass<"clade-fuse-parallel-linears", "::mlir::ModuleOp"> {
  let summary = "makes one product of linear maps that read the same value";
  let description = [{
    Queries, keys and values, or gate and up, become one `clade.linear` and slices of
    its result; the weights' functions become one `wmap.concat` in the same step.
    Linears with and without bias are not mixed; those of experts must read the same
    choices, too. Rounding stays: each output is the same sum as before. test/Transforms/fuse-parallel-linears.mlir shows it.
  }];
  let statistics = [Statistic<"numFused", "fused", "Number of linear maps that became part of another">];
  let dependentDialects = ["::clade::wmap::WMapDialect"];
}

def MakeStateExplicitPass : Pass<"clade-make-state-explicit", "::mlir::ModuleOp"> {
  let summary = "splits attention into the write to its state and the read from it";
  let description = [{
    `clade.attend %q, %k, %v` becomes `clade.cache_write %k, %v` and
    `clade.attend_cached %q`, so that the write can join the kernel that makes the
    keys. Values that are the first elements of the keys are not kept twice: both ops
    are then `shared`. test/Transforms/make-state-explicit.mlir shows it.
  }];
}

def SinkIntoScansPass : Pass<"clade-sink-into-scans", "::mlir::ModuleOp"> {
  let summary = "computes the inputs of scans inside of them";
  let description = [{
    Elementwise ops, copies and repetitions whose values only one `clade.scan` reads
    move into its region: what a head needs is then made by the thread that computes
    this head, and repeated groups and widened values never go through memory. Casts
    that others read as well are copied. test/Transforms/sink-into-scans.mlir shows it.
  }];
  let statistics = [Statistic<"numMoved", "moved", "Number of ops that moved into scans">];
}

def ChunkScansPass : Pass<"clade-chunk-scans", "::mlir::ModuleOp"> {
  let summary = "computes many tokens of a scan at a time";
  let description = [{
    A `clade.scan` that is a linear recurrence of one matrix for each head (Mamba-2,
    gated delta rule) gets a `chunk`: that many tokens of a sequence at a time are
    computed with matrix products, the rest one after the other.
    docs/performance/scans.md has what that is worth; test/Transforms/chunk-scans.mlir
    shows it.
  }];
  let options = [
    Option<"tokens", "tokens", "int64_t", "64", "Tokens of a chunk, a multiple of 16">
  ];
  let statistics = [Statistic<"numChunked", "chunked", "Number of scans with a chunk">];
}

def QuantiseWeightsPass : Pass<"clade-quantise-weights", "::mlir::ModuleOp"> {
  let summary = "makes blocks of 8 or 4 bits of the weights of products";
  let description = [{
    The weights of `clade.linear` and `clade.expert_linear` become what blocks along the
    contracted features stand for: `wmap.dequantise` of `wmap.quantise`, or of the tensor
    itself where the checkpoint stores such blocks. Their elements are then f32, whatever
    the model computes in. The table that a tied head shares with an embedding follows.

    As they are stay weights with fewer than 16 rows or 32 columns, those of products that
    choices are made of (routers), those of the entry for images, and what adapters fill.
    docs/rationale/packed-weights.md says why; test/Transforms/quantise-weights.mlir shows it.
  }];
  let options = [
    Option<"form", "form", "std::string", "\"int8\"",
           "f16: numbers of 16 bits; q8_0 or int8; int8_channel: with a scale for each row; q4_0, or int4 with a head in q8_0; q4_k; q6_k; keep: only blocks that the checkpoint stores">,
    Option<"keepsFP8", "keeps-fp8", "bool", "false", "The target's products read FP8, so that `keep` keeps it">
  ];
  let statistics = [Statistic<"numQuantised", "quantised", "Number of products with blocks">];
  let dependentDialects = ["::clade::wmap::WMapDialect"];
}

def PackWeightsPass : Pass<"clade-pack-weights", "::mlir::ModuleOp"> {
  let summary = "stores the weights of products in panels";
  let description = [{
    Every weight of a `clade.linear` gets the layout `#clade.panels<rows, inner>` and
    its function a `wmap.pack`; those of a `clade.expert_linear` one for each expert,
    those of a `clade.head_linear` one for each head.
    Weights of 32 bits have inner 1. Weights whose numbers are those of blocks get
    `#clade.blocks<format, rows>` and `wmap.pack_blocks`. A table that rows are taken from by token and that
    is a product's weight as well, as a tied embedding is, is held once: rows are taken
    from the panels.

    With `in-place`, the weight of a `clade.linear` that is published row by row in
    the type it is multiplied in stays as it is, and so do the parts of one whose
    rows follow each other, each but the last in whole panels: the product reads
    `clade.stack_rows` of them. With `only-blocks`, none but weights in blocks are packed.
    test/Transforms/pack-weights.mlir, pack-weights-in-place.mlir and pack-weights-blocks.mlir show it.
  }];
  let options = [
    Option<"rows", "rows", "int64_t", "32", "Output rows of a panel">,
    Option<"inner", "inner", "int64_t", "2", "Neighbouring columns of 16-bit weights">,
    Option<"inPlace", "in-place", "bool", "false", "Leave weights of single products where they are published">,
    Option<"onlyBlocks", "only-blocks", "bool", "false", "Pack weights in blocks only">
  ];
  let dependentDialects = ["::clade::wmap::WMapDialect"];
}

def FormKernelsPass : Pass<"clade-form-kernels", "::mlir::ModuleOp"> {
  let summary = "groups ops into kernels";
  let description = [{
    After it, functions hold `clade.kernel`, `clade.layers` and `return` only.

    * Each `clade.linear`, `clade.expert_linear`, `clade.head_linear`,
      `clade.attend_cached`, `clade.causal_conv` and `clade.scan` is the heart of a kernel.
    * Norm into its consumer: token-wise ops whose values only the input of one
      linear needs become that product's prologue; so do activation and gate before
      the down projection.
    * Residual adds: elementwise ops on the result of a linear with values that are
      there before become its epilogue. So do elementwise ops behind a convolution.
    * Rotary embedding and cache write: the other token-wise ops between two hearts
      are one kernel, such as query and key norm, rotation and cache write.

    Views and slices are part of the kernel that reads them. test/Transforms/
    form-kernels.mlir shows the kernels of a layer.
  }];
  let statistics = [Statistic<"numKernels", "kernels", "Number of kernels">];
}

def ShardWeightsPass : Pass<"clade-shard-weights", "::mlir::ModuleOp"> {
  let summary = "leaves the weights of one of several devices";
  let description = [{
    Each weight is cut along the axis that its names say: `q_heads`, `kv_heads`,
    `ffn`, `vocab` and the like among the devices that share a layer, the experts of
    a `clade.expert_linear` among others, layers among stages. Rows of a fused
    product are cut part by part. The computation goes, since what devices exchange
    is not part of it; weights keep the layers that they are for.
    docs/rationale/sharding.md says which axes, test/Transforms/shard-weights.mlir
    shows it.
  }];
  let options = [
    Option<"tensor", "tp", "int64_t", "1", "Devices that share every layer">,
    Option<"expert", "ep", "int64_t", "1", "Devices that share the experts">,
    Option<"pipeline", "pp", "int64_t", "1", "Stages of layers">,
    Option<"rank", "rank", "int64_t", "0", "The device that is meant">
  ];
  let statistics = [
    Statistic<"numCut", "cut", "Number of weights of which a part is left">,
    Statistic<"numWhole", "whole", "Number of weights that are left whole">
  ];
  let dependentDialects = ["::clade::wmap::WMapDialect"];
}

#endif // CLADE_TRANSFORMS_PASSES_TD

// RUN: clade-opt %s --clade-quantise-weights="form=int8" --split-input-file | FileCheck %s
// RUN: clade-opt %s --clade-quantise-weights="form=keep" --split-input-file | FileCheck %s --check-prefix=KEEP
// RUN: clade-opt %s --clade-quantise-weights="form=int4" --split-input-file | FileCheck %s --check-prefix=FOUR
// RUN: clade-opt %s --clade-quantise-weights="form=q4_k" --split-input-file | FileCheck %s --check-prefix=LONG
// RUN: clade-opt %s --clade-quantise-weights="form=int8_channel" --split-input-file | FileCheck %s --check-prefix=ROWS
// RUN: clade-opt %s --clade-quantise-weights="form=f16" --split-input-file | FileCheck %s --check-prefix=HALF

// The numbers of a weight are those of its blocks. They are made of what was
// published, not of what the model computes in; a last block is filled up.

// CHECK-NOT: wmap.func @w ->
// CHECK: wmap.func @w.int8 -> tensor<16x5x8xf32> {
// CHECK:   %[[SOURCE:.*]] = wmap.source "published" : tensor<16x5x8xf32>
// CHECK:   %[[MATRIX:.*]] = wmap.reshape %[[SOURCE]] : tensor<16x5x8xf32> -> tensor<16x40xf32>
// CHECK:   %[[BLOCKS:.*]] = wmap.quantise %[[MATRIX]] : tensor<16x40xf32> -> tensor<16x64x!wmap.block<"q8_0">>
// CHECK:   %[[NUMBERS:.*]] = wmap.dequantise %[[BLOCKS]] : tensor<16x64x!wmap.block<"q8_0">> -> tensor<16x64xf32>
// CHECK:   %[[CUT:.*]] = wmap.slice %[[NUMBERS]] axis 1 from 0 : tensor<16x64xf32> -> tensor<16x40xf32>
// CHECK:   wmap.reshape %[[CUT]] : tensor<16x40xf32> -> tensor<16x5x8xf32>
// KEEP: wmap.func @w -> tensor<16x5x8xbf16>
// ROWS: wmap.func @w.int8_channel -> tensor<16x5x8xf32> {
// ROWS:   wmap.quantise %{{.*}} : tensor<16x40xf32> -> tensor<16x64x!wmap.block<"q8_row">>
// HALF: wmap.func @w.f16 -> tensor<16x5x8xf16> {
// HALF-NEXT: %[[SOURCE:.*]] = wmap.source "published" : tensor<16x5x8xf32>
// HALF-NEXT: %[[HALF:.*]] = wmap.cast %[[SOURCE]] : tensor<16x5x8xf32> -> tensor<16x5x8xf16>
// HALF-NEXT: wmap.return %[[HALF]]
wmap.func @w -> tensor<16x5x8xbf16> {
  %0 = wmap.source "published" : tensor<16x5x8xf32>
  %1 = wmap.cast %0 : tensor<16x5x8xf32> -> tensor<16x5x8xbf16>
  wmap.return %1 : tensor<16x5x8xbf16>
}
// CHECK-LABEL: func.func @linear
func.func @linear(%x: !clade.tensor<[token, heads = 5, head = 8], bf16>) -> !clade.tensor<[token, d = 16], bf16> {
  // CHECK: %[[W:.*]] = clade.param @w.int8 : <[d = 16, heads = 5, head = 8], f32>
  // CHECK: clade.linear %{{.*}}, %[[W]]
  %w = clade.param @w : !clade.tensor<[d = 16, heads = 5, head = 8], bf16>
  %y = clade.linear %x, %w : !clade.tensor<[token, heads = 5, head = 8], bf16>, !clade.tensor<[d = 16, heads = 5, head = 8], bf16> -> !clade.tensor<[token, d = 16], bf16>
  return %y : !clade.tensor<[token, d = 16], bf16>
}

// -----

// Blocks that are stored as the form wants them are taken as they are, through
// the order of their rows; the table that a product shares follows.

// CHECK-NOT: wmap.func @embed ->
// CHECK: wmap.func @embed.int8 -> tensor<32x32xf32> {
// CHECK-NEXT: %[[BLOCKS:.*]] = wmap.source "token_embd.weight" : tensor<32x32x!wmap.block<"q8_0">>
// CHECK-NEXT: %[[ORDER:.*]] = wmap.rope_unpermute %[[BLOCKS]] heads 2
// CHECK-NEXT: %[[NUMBERS:.*]] = wmap.dequantise %[[ORDER]]
// CHECK-NEXT: wmap.return %[[NUMBERS]]
// KEEP: wmap.func @embed.keep -> tensor<32x32xf32> {
// KEEP-NEXT: wmap.source "token_embd.weight" : tensor<32x32x!wmap.block<"q8_0">>
wmap.func @embed -> tensor<32x32xbf16> {
  %0 = wmap.source "token_embd.weight" {encoding = "Q8_0"} : tensor<32x32xf32>
  %1 = wmap.rope_unpermute %0 heads 2 : tensor<32x32xf32> -> tensor<32x32xf32>
  %2 = wmap.cast %1 : tensor<32x32xf32> -> tensor<32x32xbf16>
  wmap.return %2 : tensor<32x32xbf16>
}
// CHECK-LABEL: func.func @tied
func.func @tied(%ids: !clade.tensor<[token], i32>) -> !clade.tensor<[token, vocab = 32], bf16> {
  // CHECK-COUNT-2: clade.param @embed.int8 : <[vocab = 32, d = 32], f32>
  // CHECK: clade.embed %{{.*}} -> <[token, d = 32], bf16>
  %table = clade.param @embed : !clade.tensor<[vocab = 32, d = 32], bf16>
  %w = clade.param @embed : !clade.tensor<[vocab = 32, d = 32], bf16>
  %x = clade.embed %ids, %table : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 32, d = 32], bf16> -> !clade.tensor<[token, d = 32], bf16>
  %y = clade.linear %x, %w : !clade.tensor<[token, d = 32], bf16>, !clade.tensor<[vocab = 32, d = 32], bf16> -> !clade.tensor<[token, vocab = 32], bf16>
  return %y : !clade.tensor<[token, vocab = 32], bf16>
}

// -----

// A table that no product reads is kept as it is stored, but not quantised; nor
// are few rows, or columns.

// CHECK: wmap.func @table -> tensor<32x32xbf16>
// CHECK: wmap.func @narrow -> tensor<32x16xbf16>
// CHECK: wmap.func @low -> tensor<8x32xbf16>
// KEEP: wmap.func @table.keep -> tensor<32x32xf32>
wmap.func @table -> tensor<32x32xbf16> {
  %0 = wmap.source "token_embd.weight" {encoding = "Q4_0"} : tensor<32x32xf32>
  %1 = wmap.cast %0 : tensor<32x32xf32> -> tensor<32x32xbf16>
  wmap.return %1 : tensor<32x32xbf16>
}
wmap.func @narrow -> tensor<32x16xbf16> {
  %0 = wmap.source "narrow" : tensor<32x16xbf16>
  wmap.return %0 : tensor<32x16xbf16>
}
wmap.func @low -> tensor<8x32xbf16> {
  %0 = wmap.source "low" : tensor<8x32xbf16>
  wmap.return %0 : tensor<8x32xbf16>
}
func.func @small(%ids: !clade.tensor<[token], i32>, %x: !clade.tensor<[token, n = 16], bf16>) -> (!clade.tensor<[token, d = 32], bf16>, !clade.tensor<[token, o = 8], bf16>) {
  %table = clade.param @table : !clade.tensor<[vocab = 32, d = 32], bf16>
  %narrow = clade.param @narrow : !clade.tensor<[d = 32, n = 16], bf16>
  %low = clade.param @low : !clade.tensor<[o = 8, d = 32], bf16>
  %e = clade.embed %ids, %table : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 32, d = 32], bf16> -> !clade.tensor<[token, d = 32], bf16>
  %y = clade.linear %x, %narrow : !clade.tensor<[token, n = 16], bf16>, !clade.tensor<[d = 32, n = 16], bf16> -> !clade.tensor<[token, d = 32], bf16>
  %s = clade.binary add %e, %y : !clade.tensor<[token, d = 32], bf16>, !clade.tensor<[token, d = 32], bf16> -> !clade.tensor<[token, d = 32], bf16>
  %z = clade.linear %s, %low : !clade.tensor<[token, d = 32], bf16>, !clade.tensor<[o = 8, d = 32], bf16> -> !clade.tensor<[token, o = 8], bf16>
  return %s, %z : !clade.tensor<[token, d = 32], bf16>, !clade.tensor<[token, o = 8], bf16>
}

// -----

// The choice of experts stays exact, their products do not. Each expert's rows
// are rows of its matrix.

// CHECK: wmap.func @router -> tensor<16x32xbf16>
// CHECK: wmap.func @experts.int8 -> tensor<16x24x32xf32>
// CHECK: wmap.quantise %{{.*}} : tensor<16x24x32xbf16> -> tensor<16x24x32x!wmap.block<"q8_0">>
// ROWS: wmap.func @router -> tensor<16x32xbf16>
// ROWS: wmap.quantise %{{.*}} : tensor<16x24x32xbf16> -> tensor<16x24x64x!wmap.block<"q8_row">>
wmap.func @router -> tensor<16x32xbf16> {
  %0 = wmap.source "router" : tensor<16x32xbf16>
  wmap.return %0 : tensor<16x32xbf16>
}
wmap.func @experts -> tensor<16x24x32xbf16> {
  %0 = wmap.source "experts.{expert}" {stack = 16} : tensor<16x24x32xbf16>
  wmap.return %0 : tensor<16x24x32xbf16>
}
func.func @mixture(%x: !clade.tensor<[token, d = 32], bf16>) -> !clade.tensor<[token, active = 2, ffn = 24], bf16> {
  %r = clade.param @router : !clade.tensor<[experts = 16, d = 32], bf16>
  %w = clade.param @experts : !clade.tensor<[experts = 16, ffn = 24, d = 32], bf16>
  %s = clade.linear %x, %r : !clade.tensor<[token, d = 32], bf16>, !clade.tensor<[experts = 16, d = 32], bf16> -> !clade.tensor<[token, experts = 16], bf16>
  %p = clade.softmax %s over "experts" : !clade.tensor<[token, experts = 16], bf16> -> !clade.tensor<[token, experts = 16], bf16>
  %values, %chosen = clade.top_k %p : !clade.tensor<[token, experts = 16], bf16> -> !clade.tensor<[token, active = 2], bf16>, !clade.tensor<[token, active = 2], i32>
  %y = clade.expert_linear %x, %chosen, %w : !clade.tensor<[token, d = 32], bf16>, !clade.tensor<[token, active = 2], i32>, !clade.tensor<[experts = 16, ffn = 24, d = 32], bf16> -> !clade.tensor<[token, active = 2, ffn = 24], bf16>
  return %y : !clade.tensor<[token, active = 2, ffn = 24], bf16>
}

// -----

// Of int4 the head, and the table that it shares, have 8 bits.

// FOUR: wmap.func @head.int4 -> tensor<32x32xf32>
// FOUR: !wmap.block<"q8_0">
// FOUR: wmap.func @body.int4 -> tensor<32x32xf32>
// FOUR: !wmap.block<"q4_0">
wmap.func @head -> tensor<32x32xbf16> {
  %0 = wmap.source "head" : tensor<32x32xbf16>
  wmap.return %0 : tensor<32x32xbf16>
}
wmap.func @body -> tensor<32x32xbf16> {
  %0 = wmap.source "body" : tensor<32x32xbf16>
  wmap.return %0 : tensor<32x32xbf16>
}
func.func @layer(%x: !clade.tensor<[token, d = 32], bf16>) -> !clade.tensor<[token, d = 32], bf16> {
  %w = clade.param @body : !clade.tensor<[o = 32, d = 32], bf16>
  %y = clade.linear %x, %w : !clade.tensor<[token, d = 32], bf16>, !clade.tensor<[o = 32, d = 32], bf16> -> !clade.tensor<[token, d = 32], bf16>
  return %y : !clade.tensor<[token, d = 32], bf16>
}
func.func @forward(%ids: !clade.tensor<[token], i32>) -> !clade.tensor<[token, vocab = 32], bf16> attributes {clade.entry} {
  // FOUR-COUNT-2: clade.param @head.int4
  %t = clade.param @head : !clade.tensor<[vocab = 32, d = 32], bf16>
  %w = clade.param @head : !clade.tensor<[vocab = 32, d = 32], bf16>
  %x = clade.embed %ids, %t : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 32, d = 32], bf16> -> !clade.tensor<[token, d = 32], bf16>
  %y = clade.linear %x, %w : !clade.tensor<[token, d = 32], bf16>, !clade.tensor<[vocab = 32, d = 32], bf16> -> !clade.tensor<[token, vocab = 32], bf16>
  return %y : !clade.tensor<[token, vocab = 32], bf16>
}

// -----

// Blocks of 256 columns where no more than a quarter of a row's would be filling;
// stored ones of forms that are not made.

// LONG: wmap.func @narrow.q4_k
// LONG: wmap.quantise %{{.*}} : tensor<16x64xf32> -> tensor<16x64x!wmap.block<"q4_0">>
// LONG: wmap.func @wide.q4_k
// LONG: wmap.quantise %{{.*}} : tensor<16x640xf32> -> tensor<16x768x!wmap.block<"q4_k">>
// KEEP: wmap.func @narrow -> tensor<16x64xf32>
// KEEP: wmap.func @wide.keep -> tensor<16x640xf32> {
// KEEP-NEXT: wmap.source "wide" : tensor<16x640x!wmap.block<"q5_0">>
wmap.func @narrow -> tensor<16x64xf32> {
  %0 = wmap.source "narrow" : tensor<16x64xf32>
  wmap.return %0 : tensor<16x64xf32>
}
wmap.func @wide -> tensor<16x640xf32> {
  %0 = wmap.source "wide" {encoding = "Q5_0"} : tensor<16x640xf32>
  wmap.return %0 : tensor<16x640xf32>
}
func.func @long(%x: !clade.tensor<[token, i = 64], f32>, %y: !clade.tensor<[token, i = 640], f32>) -> (!clade.tensor<[token, o = 16], f32>, !clade.tensor<[token, o = 16], f32>) {
  %v = clade.param @narrow : !clade.tensor<[o = 16, i = 64], f32>
  %w = clade.param @wide : !clade.tensor<[o = 16, i = 640], f32>
  %0 = clade.linear %x, %v : !clade.tensor<[token, i = 64], f32>, !clade.tensor<[o = 16, i = 64], f32> -> !clade.tensor<[token, o = 16], f32>
  %1 = clade.linear %y, %w : !clade.tensor<[token, i = 640], f32>, !clade.tensor<[o = 16, i = 640], f32> -> !clade.tensor<[token, o = 16], f32>
  return %0, %1 : !clade.tensor<[token, o = 16], f32>, !clade.tensor<[token, o = 16], f32>
}

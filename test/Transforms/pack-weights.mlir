// RUN: clade-opt %s --clade-pack-weights="rows=16 inner=2" --split-input-file | FileCheck %s

// The weight of a product lies in panels of 16 rows; a last panel that is not
// full is padded. The axes behind the first become one.

// CHECK-NOT: wmap.func @w ->
// CHECK: wmap.func @w.packed -> tensor<3x32x16x1xf32> {
// CHECK:   %[[SOURCE:.*]] = wmap.source "published" : tensor<40x4x8xf32>
// CHECK:   %[[MATRIX:.*]] = wmap.reshape %[[SOURCE]] : tensor<40x4x8xf32> -> tensor<40x32xf32>
// CHECK:   %[[PANELS:.*]] = wmap.pack %[[MATRIX]] rows 16 inner 1 : tensor<40x32xf32> -> tensor<3x32x16x1xf32>
// CHECK:   wmap.return %[[PANELS]]
wmap.func @w -> tensor<40x4x8xf32> {
  %0 = wmap.source "published" : tensor<40x4x8xf32>
  wmap.return %0 : tensor<40x4x8xf32>
}
// CHECK-LABEL: func.func @f32
func.func @f32(%x: !clade.tensor<[token, heads = 4, head = 8], f32>) -> !clade.tensor<[token, d = 40], f32> {
  // CHECK: %[[W:.*]] = clade.param @w.packed : <[outputs = 40, inputs = 32], f32, #clade.panels<rows = 16, inner = 1>>
  // CHECK: clade.linear %{{.*}}, %[[W]]
  %w = clade.param @w : !clade.tensor<[d = 40, heads = 4, head = 8], f32>
  %y = clade.linear %x, %w : !clade.tensor<[token, heads = 4, head = 8], f32>, !clade.tensor<[d = 40, heads = 4, head = 8], f32> -> !clade.tensor<[token, d = 40], f32>
  return %y : !clade.tensor<[token, d = 40], f32>
}

// -----

// 16-bit elements: two neighbouring columns lie together. A matrix needs no
// reshape. An embedding that is also the head is held once: the lookup takes its
// rows from the panels.

// CHECK: wmap.func @embed.packed -> tensor<2x4x16x2xbf16>
// CHECK-NOT: wmap.reshape
// CHECK-NOT: wmap.func @embed ->
wmap.func @embed -> tensor<32x8xbf16> {
  %0 = wmap.source "embed" : tensor<32x8xbf16>
  wmap.return %0 : tensor<32x8xbf16>
}
// CHECK-LABEL: func.func @tied
func.func @tied(%ids: !clade.tensor<[token], i32>) -> !clade.tensor<[token, vocab = 32], bf16> {
  // CHECK: clade.param @embed.packed : <[outputs = 32, inputs = 8], bf16, #clade.panels<rows = 16, inner = 2>>
  // CHECK-NOT: clade.param @embed :
  // CHECK: clade.embed {{.*}}#clade.panels<rows = 16, inner = 2>
  // CHECK: clade.linear {{.*}}#clade.panels<rows = 16, inner = 2>
  %w = clade.param @embed : !clade.tensor<[vocab = 32, d = 8], bf16>
  %x = clade.embed %ids, %w : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 32, d = 8], bf16> -> !clade.tensor<[token, d = 8], bf16>
  %y = clade.linear %x, %w : !clade.tensor<[token, d = 8], bf16>, !clade.tensor<[vocab = 32, d = 8], bf16> -> !clade.tensor<[token, vocab = 32], bf16>
  return %y : !clade.tensor<[token, vocab = 32], bf16>
}

// -----

// So is one that another function makes in the same way, but not one that it
// makes otherwise.

// CHECK: wmap.func @head.packed
// CHECK-NOT: wmap.func @table ->
// CHECK: wmap.func @other -> tensor<32x8xbf16>
wmap.func @head -> tensor<32x8xbf16> {
  %0 = wmap.source "embed" : tensor<32x8xbf16>
  wmap.return %0 : tensor<32x8xbf16>
}
wmap.func @table -> tensor<32x8xbf16> {
  %0 = wmap.source "embed" : tensor<32x8xbf16>
  wmap.return %0 : tensor<32x8xbf16>
}
wmap.func @other -> tensor<32x8xbf16> {
  %0 = wmap.source "other" : tensor<32x8xbf16>
  wmap.return %0 : tensor<32x8xbf16>
}
// CHECK-LABEL: func.func @equal
func.func @equal(%ids: !clade.tensor<[token], i32>) -> (!clade.tensor<[token, vocab = 32], bf16>, !clade.tensor<[token, d = 8], bf16>) {
  // CHECK-DAG: %[[TABLE:.*]] = clade.param @head.packed
  // CHECK-DAG: clade.embed %{{.*}}, %[[TABLE]]
  // CHECK-DAG: %[[OTHER:.*]] = clade.param @other
  // CHECK-DAG: clade.embed %{{.*}}, %[[OTHER]]
  %t = clade.param @table : !clade.tensor<[vocab = 32, d = 8], bf16>
  %x = clade.embed %ids, %t : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 32, d = 8], bf16> -> !clade.tensor<[token, d = 8], bf16>
  %o = clade.param @other : !clade.tensor<[vocab = 32, d = 8], bf16>
  %z = clade.embed %ids, %o : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 32, d = 8], bf16> -> !clade.tensor<[token, d = 8], bf16>
  %w = clade.param @head : !clade.tensor<[vocab = 32, d = 8], bf16>
  %y = clade.linear %x, %w : !clade.tensor<[token, d = 8], bf16>, !clade.tensor<[vocab = 32, d = 8], bf16> -> !clade.tensor<[token, vocab = 32], bf16>
  return %y, %z : !clade.tensor<[token, vocab = 32], bf16>, !clade.tensor<[token, d = 8], bf16>
}

// -----

// Two products of one weight share the panels.

// CHECK-COUNT-1: wmap.func
// CHECK-NOT: wmap.func
wmap.func @w -> tensor<16x8xf32> {
  %0 = wmap.source "w" : tensor<16x8xf32>
  wmap.return %0 : tensor<16x8xf32>
}
// CHECK-LABEL: func.func @shared
func.func @shared(%x: !clade.tensor<[token, d = 8], f32>, %y: !clade.tensor<[token, d = 8], f32>)
    -> (!clade.tensor<[token, a = 16], f32>, !clade.tensor<[token, a = 16], f32>) {
  // CHECK-COUNT-2: clade.param @w.packed
  %w = clade.param @w : !clade.tensor<[a = 16, d = 8], f32>
  %0 = clade.linear %x, %w : !clade.tensor<[token, d = 8], f32>, !clade.tensor<[a = 16, d = 8], f32> -> !clade.tensor<[token, a = 16], f32>
  %1 = clade.linear %y, %w : !clade.tensor<[token, d = 8], f32>, !clade.tensor<[a = 16, d = 8], f32> -> !clade.tensor<[token, a = 16], f32>
  return %0, %1 : !clade.tensor<[token, a = 16], f32>, !clade.tensor<[token, a = 16], f32>
}

// -----

// The matrix of each expert lies in panels of its own.

// CHECK: wmap.func @"experts.{expert}.weight.packed" -> tensor<4x2x4x16x2xbf16> {
// CHECK:   %[[STACK:.*]] = wmap.source "experts.{expert}.weight" {stack = 4 : i64} : tensor<4x24x8xbf16>
// CHECK:   wmap.pack %[[STACK]] rows 16 inner 2 : tensor<4x24x8xbf16> -> tensor<4x2x4x16x2xbf16>
wmap.func @"experts.{expert}.weight" -> tensor<4x24x8xbf16> {
  %0 = wmap.source "experts.{expert}.weight" {stack = 4 : i64} : tensor<4x24x8xbf16>
  wmap.return %0 : tensor<4x24x8xbf16>
}
// CHECK-LABEL: func.func @experts
func.func @experts(%x: !clade.tensor<[token, d = 8], bf16>, %chosen: !clade.tensor<[token, active = 2], i32>) -> !clade.tensor<[token, active = 2, ffn = 24], bf16> {
  // CHECK: %[[W:.*]] = clade.param @{{.*}} : <[experts = 4, outputs = 24, inputs = 8], bf16, #clade.panels<rows = 16, inner = 2, groups = 4>>
  // CHECK: clade.expert_linear %{{.*}}, %{{.*}}, %[[W]]
  %w = clade.param @"experts.{expert}.weight" : !clade.tensor<[experts = 4, ffn = 24, d = 8], bf16>
  %y = clade.expert_linear %x, %chosen, %w : !clade.tensor<[token, d = 8], bf16>, !clade.tensor<[token, active = 2], i32>, !clade.tensor<[experts = 4, ffn = 24, d = 8], bf16> -> !clade.tensor<[token, active = 2, ffn = 24], bf16>
  return %y : !clade.tensor<[token, active = 2, ffn = 24], bf16>
}

// -----

// So does that of each head.

// CHECK: wmap.func @kv_b.keys.packed -> tensor<2x1x2x16x2xbf16> {
wmap.func @kv_b.keys -> tensor<2x8x4xbf16> {
  %0 = wmap.source "keys" : tensor<2x8x4xbf16>
  wmap.return %0 : tensor<2x8x4xbf16>
}
// CHECK-LABEL: func.func @heads
func.func @heads(%x: !clade.tensor<[token, heads = 2, head = 4], bf16>) -> !clade.tensor<[token, heads = 2, rank = 8], bf16> {
  // CHECK: %[[W:.*]] = clade.param @kv_b.keys.packed : <[experts = 2, outputs = 8, inputs = 4], bf16, #clade.panels<rows = 16, inner = 2, groups = 2>>
  // CHECK: clade.head_linear %{{.*}}, %[[W]]
  %w = clade.param @kv_b.keys : !clade.tensor<[heads = 2, rank = 8, head = 4], bf16>
  %y = clade.head_linear %x, %w : !clade.tensor<[token, heads = 2, head = 4], bf16>, !clade.tensor<[heads = 2, rank = 8, head = 4], bf16> -> !clade.tensor<[token, heads = 2, rank = 8], bf16>
  return %y : !clade.tensor<[token, heads = 2, rank = 8], bf16>
}

// -----

// Blocks are packed themselves, moved as their numbers are; those of several
// weights by one function if they have one format. A table shares them.

// CHECK: wmap.func @w.packed -> tensor<2x2x544xui8> {
// CHECK:   %[[A:.*]] = wmap.quantise %{{.*}} : tensor<16x40xbf16> -> tensor<16x64x!wmap.block<"q8_0">>
// CHECK:   %[[B:.*]] = wmap.quantise %{{.*}} : tensor<8x40xbf16> -> tensor<8x64x!wmap.block<"q8_0">>
// CHECK:   %[[ALL:.*]] = wmap.concat %[[A]], %[[B]] axis 0 : {{.*}} -> tensor<24x64x!wmap.block<"q8_0">>
// CHECK-NOT: wmap.dequantise
// CHECK:   wmap.pack_blocks %[[ALL]] rows 16 : tensor<24x64x!wmap.block<"q8_0">> -> tensor<2x2x544xui8>
wmap.func @w -> tensor<24x40xf32> {
  %0 = wmap.source "a" : tensor<16x40xbf16>
  %1 = wmap.quantise %0 : tensor<16x40xbf16> -> tensor<16x64x!wmap.block<"q8_0">>
  %2 = wmap.dequantise %1 : tensor<16x64x!wmap.block<"q8_0">> -> tensor<16x64xf32>
  %3 = wmap.slice %2 axis 1 from 0 : tensor<16x64xf32> -> tensor<16x40xf32>
  %4 = wmap.source "b" : tensor<8x40xbf16>
  %5 = wmap.quantise %4 : tensor<8x40xbf16> -> tensor<8x64x!wmap.block<"q8_0">>
  %6 = wmap.dequantise %5 : tensor<8x64x!wmap.block<"q8_0">> -> tensor<8x64xf32>
  %7 = wmap.slice %6 axis 1 from 0 : tensor<8x64xf32> -> tensor<8x40xf32>
  %8 = wmap.concat %3, %7 axis 0 : (tensor<16x40xf32>, tensor<8x40xf32>) -> tensor<24x40xf32>
  wmap.return %8 : tensor<24x40xf32>
}
// CHECK-LABEL: func.func @blocks
func.func @blocks(%ids: !clade.tensor<[token], i32>) -> !clade.tensor<[token, vocab = 24], f32> {
  // CHECK-COUNT-2: clade.param @w.packed : <[outputs = 24, inputs = 40], f32, #clade.blocks<format = "q8_0", rows = 16>>
  %t = clade.param @w : !clade.tensor<[vocab = 24, d = 40], f32>
  %w = clade.param @w : !clade.tensor<[vocab = 24, d = 40], f32>
  %x = clade.embed %ids, %t : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 24, d = 40], f32> -> !clade.tensor<[token, d = 40], f32>
  %y = clade.linear %x, %w : !clade.tensor<[token, d = 40], f32>, !clade.tensor<[vocab = 24, d = 40], f32> -> !clade.tensor<[token, vocab = 24], f32>
  return %y : !clade.tensor<[token, vocab = 24], f32>
}

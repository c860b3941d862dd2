// RUN: clade-opt %s --split-input-file --pass-pipeline='builtin.module(clade-shard-weights{tp=2 rank=1},canonicalize)' | FileCheck %s
// RUN: clade-opt %s --split-input-file --pass-pipeline='builtin.module(clade-shard-weights{tp=4 rank=3},canonicalize)' | FileCheck %s --check-prefix=FOUR
// RUN: clade-opt %s --split-input-file --pass-pipeline='builtin.module(clade-shard-weights{ep=2 rank=1},canonicalize)' | FileCheck %s --check-prefix=EXPERTS
// RUN: clade-opt %s --split-input-file --pass-pipeline='builtin.module(clade-shard-weights{tp=2 ep=2 rank=2},canonicalize)' | FileCheck %s --check-prefix=BOTH

// Queries, keys and values of one product: each rank has its heads of all three, not a third of the rows. Heads of keys
// and values that are fewer than the ranks are on several.
// CHECK-LABEL: wmap.func @qkv -> tensor<16x4xf32>
// CHECK-DAG: %[[Q:.*]] = wmap.slice %{{.*}} axis 0 from 8 : tensor<16x4xf32> -> tensor<8x4xf32>
// CHECK-DAG: %[[K:.*]] = wmap.slice %{{.*}} axis 0 from 4 : tensor<8x4xf32> -> tensor<4x4xf32>
// CHECK-DAG: %[[V:.*]] = wmap.slice %{{.*}} axis 0 from 4 : tensor<8x4xf32> -> tensor<4x4xf32>
// CHECK: wmap.concat %[[Q]], %[[K]], %[[V]] axis 0
// FOUR-LABEL: wmap.func @qkv -> tensor<12x4xf32>
// FOUR-DAG: wmap.slice %{{.*}} axis 0 from 12 : tensor<16x4xf32> -> tensor<4x4xf32>
// FOUR-DAG: wmap.slice %{{.*}} axis 0 from 4 : tensor<8x4xf32> -> tensor<4x4xf32>
// EXPERTS-LABEL: wmap.func @qkv -> tensor<32x4xf32>
// EXPERTS-NOT: wmap.slice
wmap.func @qkv -> tensor<32x4xf32> {
  %q = wmap.source "q" : tensor<16x4xf32>
  %k = wmap.source "k" : tensor<8x4xf32>
  %v = wmap.source "v" : tensor<8x4xf32>
  %0 = wmap.concat %q, %k, %v axis 0 : (tensor<16x4xf32>, tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<32x4xf32>
  wmap.return %0 : tensor<32x4xf32>
}
// Columns of what the heads give back.
// CHECK-LABEL: wmap.func @o -> tensor<4x8xf32>
// CHECK: wmap.slice %{{.*}} axis 1 from 8 : tensor<4x16xf32> -> tensor<4x8xf32>
wmap.func @o -> tensor<4x16xf32> {
  %0 = wmap.source "o" : tensor<4x16xf32>
  wmap.return %0 : tensor<4x16xf32>
}
// What every rank needs is whole.
// CHECK-LABEL: wmap.func @norm -> tensor<4xf32>
// CHECK-NEXT: wmap.source
// CHECK-NEXT: wmap.return
wmap.func @norm -> tensor<4xf32> {
  %0 = wmap.source "norm" : tensor<4xf32>
  wmap.return %0 : tensor<4xf32>
}
// CHECK-NOT: func.func
func.func @forward(%x: !clade.tensor<[token, d = 4], f32>) -> (!clade.tensor<[token, q_heads = 4, head = 4], f32>,
    !clade.tensor<[token, kv_heads = 2, head = 4], f32>, !clade.tensor<[token, kv_heads = 2, head = 4], f32>,
    !clade.tensor<[token, d = 4], f32>) attributes {clade.entry} {
  %n = clade.param @norm : !clade.tensor<[d = 4], f32>
  %y = clade.binary mul %x, %n : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[d = 4], f32> -> !clade.tensor<[token, d = 4], f32>
  %w = clade.param @qkv : !clade.tensor<["q_heads.head+kv_heads.head+kv_heads.head" = 32, d = 4], f32>
  %0 = clade.linear %y, %w : !clade.tensor<[token, d = 4], f32>, !clade.tensor<["q_heads.head+kv_heads.head+kv_heads.head" = 32, d = 4], f32> -> !clade.tensor<[token, "q_heads.head+kv_heads.head+kv_heads.head" = 32], f32>
  %1 = clade.slice %0 "q_heads.head+kv_heads.head+kv_heads.head" from 0 : !clade.tensor<[token, "q_heads.head+kv_heads.head+kv_heads.head" = 32], f32> -> !clade.tensor<[token, a = 16], f32>
  %q = clade.view %1 : !clade.tensor<[token, a = 16], f32> -> !clade.tensor<[token, q_heads = 4, head = 4], f32>
  %2 = clade.slice %0 "q_heads.head+kv_heads.head+kv_heads.head" from 16 : !clade.tensor<[token, "q_heads.head+kv_heads.head+kv_heads.head" = 32], f32> -> !clade.tensor<[token, b = 8], f32>
  %k = clade.view %2 : !clade.tensor<[token, b = 8], f32> -> !clade.tensor<[token, kv_heads = 2, head = 4], f32>
  %3 = clade.slice %0 "q_heads.head+kv_heads.head+kv_heads.head" from 24 : !clade.tensor<[token, "q_heads.head+kv_heads.head+kv_heads.head" = 32], f32> -> !clade.tensor<[token, c = 8], f32>
  %v = clade.view %3 : !clade.tensor<[token, c = 8], f32> -> !clade.tensor<[token, kv_heads = 2, head = 4], f32>
  %wo = clade.param @o : !clade.tensor<[d = 4, q_heads = 4, head = 4], f32>
  %4 = clade.linear %q, %wo : !clade.tensor<[token, q_heads = 4, head = 4], f32>, !clade.tensor<[d = 4, q_heads = 4, head = 4], f32> -> !clade.tensor<[token, d = 4], f32>
  return %q, %k, %v, %4 : !clade.tensor<[token, q_heads = 4, head = 4], f32>, !clade.tensor<[token, kv_heads = 2, head = 4], f32>, !clade.tensor<[token, kv_heads = 2, head = 4], f32>, !clade.tensor<[token, d = 4], f32>
}

// -----

// Gate and up of all experts: experts among some devices, the width of each among others. Scales of blocks go with them.
// CHECK-LABEL: wmap.func @experts -> tensor<4x8x4xf32>
// EXPERTS-LABEL: wmap.func @experts -> tensor<2x16x4xf32>
// EXPERTS: wmap.slice %{{.*}} axis 0 from 2 : tensor<4x16x4xf8E4M3FN> -> tensor<2x16x4xf8E4M3FN>
// EXPERTS: wmap.slice %{{.*}} axis 0 from 2 : tensor<4x8x1xf32> -> tensor<2x8x1xf32>
// EXPERTS: wmap.scale %{{.*}} by %{{.*}} blocks [1, 2, 4]
// BOTH-LABEL: wmap.func @experts -> tensor<2x8x4xf32>
// BOTH: wmap.scale %{{.*}} by %{{.*}} blocks [1, 2, 4] : (tensor<2x4x4xf8E4M3FN>, tensor<2x2x1xf32>) -> tensor<2x4x4xf32>
// BOTH: wmap.scale %{{.*}} by %{{.*}} blocks [1, 2, 4] : (tensor<2x4x4xf8E4M3FN>, tensor<2x2x1xf32>) -> tensor<2x4x4xf32>
// BOTH: wmap.concat %{{.*}} axis 1
wmap.func @experts -> tensor<4x16x4xf32> {
  %0 = wmap.source "e.{expert}.w" {stack = 4} : tensor<4x16x4xf8E4M3FN>
  %1 = wmap.source "e.{expert}.s" {stack = 4} : tensor<4x8x1xf32>
  %2 = wmap.scale %0 by %1 blocks [1, 2, 4] : (tensor<4x16x4xf8E4M3FN>, tensor<4x8x1xf32>) -> tensor<4x16x4xf32>
  wmap.return %2 : tensor<4x16x4xf32>
}
// A router chooses among all experts.
// BOTH-LABEL: wmap.func @router -> tensor<4x4xf32>
// EXPERTS-LABEL: wmap.func @router -> tensor<4x4xf32>
wmap.func @router -> tensor<4x4xf32> {
  %0 = wmap.source "r" : tensor<4x4xf32>
  wmap.return %0 : tensor<4x4xf32>
}
func.func @forward(%x: !clade.tensor<[token, d = 4], f32>) -> (!clade.tensor<[token, active = 2, moe_ffn = 8], f32>,
    !clade.tensor<[token, active = 2, moe_ffn = 8], f32>) attributes {clade.entry} {
  %r = clade.param @router : !clade.tensor<[experts = 4, d = 4], f32>
  %s = clade.linear %x, %r : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[experts = 4, d = 4], f32> -> !clade.tensor<[token, experts = 4], f32>
  %v, %c = clade.top_k %s : !clade.tensor<[token, experts = 4], f32> -> !clade.tensor<[token, active = 2], f32>, !clade.tensor<[token, active = 2], i32>
  %w = clade.param @experts : !clade.tensor<[experts = 4, "moe_ffn+moe_ffn" = 16, d = 4], f32>
  %0 = clade.expert_linear %x, %c, %w : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[token, active = 2], i32>, !clade.tensor<[experts = 4, "moe_ffn+moe_ffn" = 16, d = 4], f32> -> !clade.tensor<[token, active = 2, "moe_ffn+moe_ffn" = 16], f32>
  %1 = clade.slice %0 "moe_ffn+moe_ffn" from 0 : !clade.tensor<[token, active = 2, "moe_ffn+moe_ffn" = 16], f32> -> !clade.tensor<[token, active = 2, moe_ffn = 8], f32>
  %2 = clade.slice %0 "moe_ffn+moe_ffn" from 8 : !clade.tensor<[token, active = 2, "moe_ffn+moe_ffn" = 16], f32> -> !clade.tensor<[token, active = 2, moe_ffn = 8], f32>
  return %1, %2 : !clade.tensor<[token, active = 2, moe_ffn = 8], f32>, !clade.tensor<[token, active = 2, moe_ffn = 8], f32>
}

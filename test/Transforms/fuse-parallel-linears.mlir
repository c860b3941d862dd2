// RUN: clade-opt %s --clade-fuse-parallel-linears --split-input-file | FileCheck %s

// Queries, keys and values of grouped heads become one product; the weights'
// functions become one in the same step.

// CHECK: wmap.func @"layers.{layer}.self_attn.q_proj.weight+k_proj.weight+v_proj.weight" -> tensor<8x4xf32>
// CHECK-DAG: wmap.source "q" : tensor<4x4xf32>
// CHECK-DAG: wmap.source "k" : tensor<2x4xf32>
// CHECK: wmap.concat {{.*}} axis 0
wmap.func @"layers.{layer}.self_attn.q_proj.weight" -> tensor<4x4xf32> {
  %0 = wmap.source "q" : tensor<4x4xf32>
  wmap.return %0 : tensor<4x4xf32>
}
wmap.func @"layers.{layer}.self_attn.k_proj.weight" -> tensor<2x4xf32> {
  %0 = wmap.source "k" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
wmap.func @"layers.{layer}.self_attn.v_proj.weight" -> tensor<2x4xf32> {
  %0 = wmap.source "v" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
// CHECK-LABEL: func.func @qkv
func.func @qkv(%x: !clade.tensor<[token, d = 4], f32>)
    -> (!clade.tensor<[token, q_heads = 2, head = 2], f32>, !clade.tensor<[token, kv_heads = 1, head = 2], f32>,
        !clade.tensor<[token, kv_heads = 1, head = 2], f32>) {
  // CHECK: %[[ALL:.*]] = clade.linear
  // CHECK-NOT: clade.linear
  // CHECK: clade.slice %[[ALL]] "q_heads.head+kv_heads.head+kv_heads.head" from 0
  // CHECK: clade.slice %[[ALL]] "q_heads.head+kv_heads.head+kv_heads.head" from 4
  // CHECK: clade.slice %[[ALL]] "q_heads.head+kv_heads.head+kv_heads.head" from 6
  %wq = clade.param @"layers.{layer}.self_attn.q_proj.weight" : !clade.tensor<[q_heads = 2, head = 2, d = 4], f32>
  %q = clade.linear %x, %wq : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[q_heads = 2, head = 2, d = 4], f32> -> !clade.tensor<[token, q_heads = 2, head = 2], f32>
  %wk = clade.param @"layers.{layer}.self_attn.k_proj.weight" : !clade.tensor<[kv_heads = 1, head = 2, d = 4], f32>
  %k = clade.linear %x, %wk : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[kv_heads = 1, head = 2, d = 4], f32> -> !clade.tensor<[token, kv_heads = 1, head = 2], f32>
  %wv = clade.param @"layers.{layer}.self_attn.v_proj.weight" : !clade.tensor<[kv_heads = 1, head = 2, d = 4], f32>
  %v = clade.linear %x, %wv : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[kv_heads = 1, head = 2, d = 4], f32> -> !clade.tensor<[token, kv_heads = 1, head = 2], f32>
  return %q, %k, %v : !clade.tensor<[token, q_heads = 2, head = 2], f32>, !clade.tensor<[token, kv_heads = 1, head = 2], f32>, !clade.tensor<[token, kv_heads = 1, head = 2], f32>
}

// -----

// A weight with another use stays as it is.

wmap.func @shared -> tensor<4x4xf32> {
  %0 = wmap.source "w" : tensor<4x4xf32>
  wmap.return %0 : tensor<4x4xf32>
}
// CHECK-LABEL: func.func @shared_weight
func.func @shared_weight(%x: !clade.tensor<[token, d = 4], f32>)
    -> (!clade.tensor<[token, a = 4], f32>, !clade.tensor<[token, b = 4], f32>) {
  // CHECK-COUNT-2: clade.linear
  %w = clade.param @shared : !clade.tensor<[a = 4, d = 4], f32>
  %0 = clade.linear %x, %w : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[a = 4, d = 4], f32> -> !clade.tensor<[token, a = 4], f32>
  %1 = clade.linear %x, %w : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[a = 4, d = 4], f32> -> !clade.tensor<[token, b = 4], f32>
  return %0, %1 : !clade.tensor<[token, a = 4], f32>, !clade.tensor<[token, b = 4], f32>
}

// -----

// Gate and up of chosen experts: rows of each expert's matrix follow each other,
// and biases likewise. Other choices keep their product.

!x = !clade.tensor<[token, d = 4], f32>
!chosen = !clade.tensor<[token, active = 2], i32>
!y = !clade.tensor<[token, active = 2, ffn = 3], f32>

// CHECK: wmap.func @"experts.{expert}.gate.weight+up.weight" -> tensor<5x6x4xf32>
// CHECK: wmap.concat {{.*}} axis 1 : (tensor<5x3x4xf32>, tensor<5x3x4xf32>) -> tensor<5x6x4xf32>
// CHECK: wmap.func @"experts.{expert}.gate.bias+up.bias" -> tensor<5x6xf32>
// CHECK: wmap.concat {{.*}} axis 1 : (tensor<5x3xf32>, tensor<5x3xf32>) -> tensor<5x6xf32>
wmap.func @"experts.{expert}.gate.weight" -> tensor<5x3x4xf32> {
  %0 = wmap.source "experts.{expert}.gate.weight" {stack = 5 : i64} : tensor<5x3x4xf32>
  wmap.return %0 : tensor<5x3x4xf32>
}
wmap.func @"experts.{expert}.up.weight" -> tensor<5x3x4xf32> {
  %0 = wmap.source "experts.{expert}.up.weight" {stack = 5 : i64} : tensor<5x3x4xf32>
  wmap.return %0 : tensor<5x3x4xf32>
}
wmap.func @"experts.{expert}.gate.bias" -> tensor<5x3xf32> {
  %0 = wmap.source "experts.{expert}.gate.bias" {stack = 5 : i64} : tensor<5x3xf32>
  wmap.return %0 : tensor<5x3xf32>
}
wmap.func @"experts.{expert}.up.bias" -> tensor<5x3xf32> {
  %0 = wmap.source "experts.{expert}.up.bias" {stack = 5 : i64} : tensor<5x3xf32>
  wmap.return %0 : tensor<5x3xf32>
}
wmap.func @other -> tensor<5x3x4xf32> {
  %0 = wmap.source "other.{expert}.weight" {stack = 5 : i64} : tensor<5x3x4xf32>
  wmap.return %0 : tensor<5x3x4xf32>
}
// CHECK-LABEL: func.func @experts
func.func @experts(%x: !x, %chosen: !chosen, %others: !chosen) -> (!y, !y, !y) {
  // CHECK: %[[BOTH:.*]] = clade.expert_linear %arg0, %arg1, %{{.*}} bias %{{.*}} -> <[token, active = 2, "ffn+ffn" = 6], f32>
  // CHECK: clade.slice %[[BOTH]] "ffn+ffn" from 0 : <[token, active = 2, "ffn+ffn" = 6], f32> -> <[token, active = 2, "ffn+ffn#0" = 3], f32>
  // CHECK: clade.slice %[[BOTH]] "ffn+ffn" from 3
  // CHECK: clade.expert_linear %arg0, %arg2
  %wg = clade.param @"experts.{expert}.gate.weight" : !clade.tensor<[experts = 5, ffn = 3, d = 4], f32>
  %bg = clade.param @"experts.{expert}.gate.bias" : !clade.tensor<[experts = 5, ffn = 3], f32>
  %gate = clade.expert_linear %x, %chosen, %wg bias %bg : !x, !chosen, !clade.tensor<[experts = 5, ffn = 3, d = 4], f32>, !clade.tensor<[experts = 5, ffn = 3], f32> -> !y
  %wu = clade.param @"experts.{expert}.up.weight" : !clade.tensor<[experts = 5, ffn = 3, d = 4], f32>
  %bu = clade.param @"experts.{expert}.up.bias" : !clade.tensor<[experts = 5, ffn = 3], f32>
  %up = clade.expert_linear %x, %chosen, %wu bias %bu : !x, !chosen, !clade.tensor<[experts = 5, ffn = 3, d = 4], f32>, !clade.tensor<[experts = 5, ffn = 3], f32> -> !y
  %wo = clade.param @other : !clade.tensor<[experts = 5, ffn = 3, d = 4], f32>
  %z = clade.expert_linear %x, %others, %wo : !x, !chosen, !clade.tensor<[experts = 5, ffn = 3, d = 4], f32> -> !y
  return %gate, %up, %z : !y, !y, !y
}

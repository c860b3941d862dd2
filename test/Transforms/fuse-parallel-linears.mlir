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

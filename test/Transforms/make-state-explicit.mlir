// RUN: clade-opt %s --clade-make-state-explicit | FileCheck %s

// CHECK-LABEL: func.func @attention
// CHECK: clade.cache_write %arg1, %arg2, %arg3 state 0
// CHECK: clade.attend_cached %arg0, %arg3 state 0 kv_heads 1 scale 5.000000e-01 {window = 7 : i64}
// CHECK-NOT: clade.attend
func.func @attention(%q: !clade.tensor<[token, q_heads = 2, head = 4], f32>, %k: !clade.tensor<[token, kv_heads = 1, head = 4], f32>,
                     %v: !clade.tensor<[token, kv_heads = 1, head = 4], f32>, %batch: !clade.batch) -> !clade.tensor<[token, q_heads = 2, head = 4], f32> {
  %0 = clade.attend %q, %k, %v, %batch state 0 scale 0.5 {window = 7 : i64}
      : (!clade.tensor<[token, q_heads = 2, head = 4], f32>, !clade.tensor<[token, kv_heads = 1, head = 4], f32>,
         !clade.tensor<[token, kv_heads = 1, head = 4], f32>) -> !clade.tensor<[token, q_heads = 2, head = 4], f32>
  return %0 : !clade.tensor<[token, q_heads = 2, head = 4], f32>
}

// Groups go along.

// CHECK-LABEL: func.func @groups
// CHECK: clade.cache_write %arg0, %arg0, %arg2 state 0
// CHECK: clade.attend_cached %arg0, %arg2 groups %arg1 : !clade.tensor<[token], i32> state 0 kv_heads 2 scale 5.000000e-01 {bidirectional}
func.func @groups(%q: !clade.tensor<[token, heads = 2, head = 4], f32>, %g: !clade.tensor<[token], i32>, %batch: !clade.batch)
    -> !clade.tensor<[token, heads = 2, head = 4], f32> {
  %0 = clade.attend %q, %q, %q, %batch groups %g : !clade.tensor<[token], i32> state 0 scale 0.5 {bidirectional}
      : (!clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[token, heads = 2, head = 4], f32>,
         !clade.tensor<[token, heads = 2, head = 4], f32>) -> !clade.tensor<[token, heads = 2, head = 4], f32>
  return %0 : !clade.tensor<[token, heads = 2, head = 4], f32>
}

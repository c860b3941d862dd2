// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!q = !clade.tensor<[token, q_heads = 4, head = 8], bf16>
!k = !clade.tensor<[token, kv_heads = 2, head = 8], bf16>
!v = !clade.tensor<[token, kv_heads = 2, vhead = 6], bf16>
!y = !clade.tensor<[token, q_heads = 4, vhead = 6], bf16>

// CHECK-LABEL: @attend
func.func @attend(%q: !q, %k: !k, %v: !v, %batch: !clade.batch) {
  // CHECK: clade.attend %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}} state 1 scale 5.000000e-01 : (<[token, q_heads = 4, head = 8], bf16>, <[token, kv_heads = 2, head = 8], bf16>, <[token, kv_heads = 2, vhead = 6], bf16>) -> <[token, q_heads = 4, vhead = 6], bf16>
  %0 = clade.attend %q, %k, %v, %batch state 1 scale 0.5 : (!q, !k, !v) -> !y
  // CHECK: {softcap = 3.000000e+01 : f64, window = 512 : i64}
  %1 = clade.attend %q, %k, %v, %batch state 0 scale 0.5 {window = 512 : i64, softcap = 30.0 : f64} : (!q, !k, !v) -> !y
  return
}

// CHECK-LABEL: @cached
func.func @cached(%q: !q, %k: !k, %v: !v, %batch: !clade.batch) {
  // CHECK: clade.cache_write %{{.*}}, %{{.*}}, %{{.*}} state 0 : <[token, kv_heads = 2, head = 8], bf16>, <[token, kv_heads = 2, vhead = 6], bf16>
  clade.cache_write %k, %v, %batch state 0 : !k, !v
  // CHECK: clade.attend_cached %{{.*}}, %{{.*}} state 0 kv_heads 2 scale 5.000000e-01 {softcap = 3.000000e+01 : f64, window = 512 : i64} : <[token, q_heads = 4, head = 8], bf16> -> <[token, q_heads = 4, vhead = 6], bf16>
  %0 = clade.attend_cached %q, %batch state 0 kv_heads 2 scale 0.5 {window = 512 : i64, softcap = 30.0 : f64} : !q -> !y
  return
}

// CHECK-LABEL: @sink_and_slopes
func.func @sink_and_slopes(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %s: !clade.tensor<[q_heads = 4], bf16>, %batch: !clade.batch) {
  // CHECK: clade.attend %{{.*}} sink %{{.*}} : !clade.tensor<[q_heads = 4], bf16> state 0 scale 1.000000e+00 {model_softmax, slopes = array<f32: 5.000000e-01, 2.500000e-01, 1.250000e-01, 6.250000e-02>}
  %0 = clade.attend %q, %k, %k, %batch sink %s : !clade.tensor<[q_heads = 4], bf16> state 0 scale 1.0
      {model_softmax, slopes = array<f32: 0.5, 0.25, 0.125, 0.0625>} : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  // CHECK: clade.attend_cached %{{.*}} sink %{{.*}} : !clade.tensor<[q_heads = 4], bf16> state 0 kv_heads 2
  %1 = clade.attend_cached %q, %batch sink %s : !clade.tensor<[q_heads = 4], bf16> state 0 kv_heads 2 scale 1.0 : !clade.tensor<[token, q_heads = 4, head = 8], f32> -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!rot = !clade.tensor<[token, rotary = 2], bf16>
!q = !clade.tensor<[token, heads = 2, head = 8], bf16>

// CHECK-LABEL: @positions
func.func @positions(%batch: !clade.batch) {
  // CHECK: clade.positions %{{.*}} : <[token], i32>
  %0 = clade.positions %batch : !clade.tensor<[token], i32>
  return
}

// CHECK-LABEL: @rotary_table
func.func @rotary_table(%p: !clade.tensor<[token], i32>, %batch: !clade.batch) {
  // CHECK: clade.rotary_table %{{.*}}, %{{.*}} frequencies [1.000000e+00, 1.000000e-02] scale 1.500000e+00 : <[token], i32> -> <[token, rotary = 2], bf16>
  %0, %1 = clade.rotary_table %p, %batch frequencies [1.0, 0.01] scale 1.5 : !clade.tensor<[token], i32> -> !rot
  // CHECK: {long_frequencies = array<f32: 5.000000e-01, 2.500000e-01>, original_length = 4096 : i64}
  %2, %3 = clade.rotary_table %p, %batch frequencies [1.0, 0.01] scale 1.0 {long_frequencies = array<f32: 0.5, 0.25>, original_length = 4096 : i64} : !clade.tensor<[token], i32> -> !rot
  // CHECK: {dynamic_factor = 2.000000e+00 : f64, original_length = 4096 : i64, theta = 1.000000e+04 : f64}
  %4, %5 = clade.rotary_table %p, %batch frequencies [1.0, 0.01] scale 1.0 {dynamic_factor = 2.0 : f64, theta = 10000.0 : f64, original_length = 4096 : i64} : !clade.tensor<[token], i32> -> !rot
  return
}

// CHECK-LABEL: @rope
func.func @rope(%q: !q, %cos: !rot, %sin: !rot) {
  // CHECK: clade.rope halves %{{.*}}, %{{.*}}, %{{.*}} : <[token, heads = 2, head = 8], bf16>, <[token, rotary = 2], bf16>
  %0 = clade.rope halves %q, %cos, %sin : !q, !rot
  // CHECK: clade.rope adjacent
  %1 = clade.rope adjacent %q, %cos, %sin : !q, !rot
  return
}

// CHECK-LABEL: @select
func.func @select(%q: !q, %batch: !clade.batch) {
  // CHECK: clade.select %{{.*}}, %{{.*}} : <[token, heads = 2, head = 8], bf16> -> <[selected, heads = 2, head = 8], bf16>
  %0 = clade.select %q, %batch : !q -> !clade.tensor<[selected, heads = 2, head = 8], bf16>
  return
}

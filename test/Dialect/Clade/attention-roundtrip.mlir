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

// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!x = !clade.tensor<[token, d = 8], bf16>

// CHECK-LABEL: @view
func.func @view(%x: !x) {
  // CHECK: clade.view %{{.*}} : <[token, d = 8], bf16> -> <[token, heads = 2, head = 4], bf16>
  %0 = clade.view %x : !x -> !clade.tensor<[token, heads = 2, head = 4], bf16>
  return
}

// CHECK-LABEL: @slice
func.func @slice(%x: !x) {
  // CHECK: clade.slice %{{.*}} "d" from 5 : <[token, d = 8], bf16> -> <[token, part = 3], bf16>
  %0 = clade.slice %x "d" from 5 : !x -> !clade.tensor<[token, part = 3], bf16>
  return
}

// CHECK-LABEL: @join
func.func @join(%x: !x) {
  // CHECK: clade.join %{{.*}}, %{{.*}} : (!clade.tensor<[token, d = 8], bf16>, !clade.tensor<[token, d = 8], bf16>) -> !clade.tensor<[token, both = 16], bf16>
  %0 = clade.join %x, %x : (!x, !x) -> !clade.tensor<[token, both = 16], bf16>
  return
}

// CHECK-LABEL: @spread
func.func @spread(%x: !x) {
  // CHECK: clade.spread %{{.*}} : <[token, d = 8], bf16> -> <[token, n = 3, d = 8], bf16>
  %0 = clade.spread %x : !x -> !clade.tensor<[token, n = 3, d = 8], bf16>
  return
}

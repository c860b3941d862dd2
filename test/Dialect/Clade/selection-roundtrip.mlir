// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!x = !clade.tensor<[token, groups = 2, each = 4], f32>
!i = !clade.tensor<[token, groups = 2, k = 3], i32>

// CHECK-LABEL: @choose
func.func @choose(%x: !x) {
  // CHECK: clade.top_k %{{.*}} : <[token, groups = 2, each = 4], f32> -> <[token, groups = 2, k = 3], f32>, <[token, groups = 2, k = 3], i32>
  %v, %i = clade.top_k %x : !x -> !clade.tensor<[token, groups = 2, k = 3], f32>, !i
  // CHECK: clade.gather %{{.*}} "each" at %{{.*}} : <[token, groups = 2, each = 4], f32>, <[token, groups = 2, k = 3], i32> -> <[token, groups = 2, k = 3], f32>
  %g = clade.gather %x "each" at %i : !x, !i -> !clade.tensor<[token, groups = 2, k = 3], f32>
  // CHECK: clade.member %{{.*}} : <[token, groups = 2, k = 3], i32> -> <[token, groups = 2, each = 4], i1>
  %m = clade.member %i : !i -> !clade.tensor<[token, groups = 2, each = 4], i1>
  %low = clade.constant 0xFFF0000000000000 : !clade.tensor<[], f32>
  // CHECK: clade.where %{{.*}}, %{{.*}}, %{{.*}} : <[token, groups = 2, each = 4], i1>, <[token, groups = 2, each = 4], f32>, <[], f32> -> <[token, groups = 2, each = 4], f32>
  %w = clade.where %m, %x, %low : !clade.tensor<[token, groups = 2, each = 4], i1>, !x, !clade.tensor<[], f32> -> !x
  return
}

// A table without tokens is read at the indices of each.
// CHECK-LABEL: @table
func.func @table(%t: !clade.tensor<[each = 4], bf16>, %i: !i) {
  // CHECK: clade.gather %{{.*}} "each" at
  %g = clade.gather %t "each" at %i : !clade.tensor<[each = 4], bf16>, !i -> !clade.tensor<[token, groups = 2, k = 3], bf16>
  return
}

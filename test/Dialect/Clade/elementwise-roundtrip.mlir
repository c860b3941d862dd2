// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!x = !clade.tensor<[token, d = 8], bf16>
!f = !clade.tensor<[token, d = 8], f32>

// CHECK-LABEL: @unary
func.func @unary(%x: !x) {
  // CHECK: clade.unary neg %{{.*}} : <[token, d = 8], bf16> -> <[token, d = 8], bf16>
  %0 = clade.unary neg %x : !x -> !x
  // CHECK: clade.unary exp
  %1 = clade.unary exp %x : !x -> !f
  // CHECK: clade.unary log
  %2 = clade.unary log %x : !x -> !x
  // CHECK: clade.unary sqrt
  %3 = clade.unary sqrt %x : !x -> !x
  // CHECK: clade.unary rsqrt
  %4 = clade.unary rsqrt %x : !x -> !x
  // CHECK: clade.unary tanh
  %5 = clade.unary tanh %x : !x -> !x
  // CHECK: clade.unary sigmoid
  %6 = clade.unary sigmoid %x : !x -> !x
  // CHECK: clade.unary softplus
  %7 = clade.unary softplus %x : !x -> !x
  // CHECK: clade.unary relu
  %8 = clade.unary relu %x : !x -> !x
  // CHECK: clade.unary floor
  %9 = clade.unary floor %x : !x -> !x
  // CHECK: clade.unary silu
  %10 = clade.unary silu %x : !x -> !x
  // CHECK: clade.unary gelu
  %11 = clade.unary gelu %x : !x -> !x
  // CHECK: clade.unary gelu_tanh
  %12 = clade.unary gelu_tanh %x : !x -> !x
  // CHECK: clade.unary quick_gelu
  %13 = clade.unary quick_gelu %x : !x -> !x
  // CHECK: clade.unary relu2
  %14 = clade.unary relu2 %x : !x -> !x
  // CHECK: clade.unary abs
  %15 = clade.unary abs %x : !x -> !x
  return
}

// CHECK-LABEL: @binary
func.func @binary(%x: !x, %w: !clade.tensor<[d = 8], f32>) {
  // CHECK: clade.binary add %{{.*}}, %{{.*}} : <[token, d = 8], bf16>, <[d = 8], f32> -> <[token, d = 8], f32>
  %0 = clade.binary add %x, %w : !x, !clade.tensor<[d = 8], f32> -> !f
  // CHECK: clade.binary sub
  %1 = clade.binary sub %x, %x : !x, !x -> !x
  // CHECK: clade.binary mul
  %2 = clade.binary mul %x, %x : !x, !x -> !x
  // CHECK: clade.binary div
  %3 = clade.binary div %x, %x : !x, !x -> !x
  // CHECK: clade.binary pow
  %4 = clade.binary pow %x, %x : !x, !x -> !x
  // CHECK: clade.binary min
  %5 = clade.binary min %x, %x : !x, !x -> !x
  // CHECK: clade.binary max
  %6 = clade.binary max %x, %x : !x, !x -> !x
  return
}

// CHECK-LABEL: @outer
func.func @outer(%a: !clade.tensor<[p = 2], f32>, %b: !clade.tensor<[q = 3], f32>) {
  // CHECK: -> <[q = 3, p = 2], f32>
  %0 = clade.binary mul %a, %b : !clade.tensor<[p = 2], f32>, !clade.tensor<[q = 3], f32> -> !clade.tensor<[q = 3, p = 2], f32>
  return
}

// CHECK-LABEL: @cast
func.func @cast(%x: !x) {
  // CHECK: clade.cast %{{.*}} : <[token, d = 8], bf16> -> <[token, d = 8], f32>
  %0 = clade.cast %x : !x -> !f
  return
}

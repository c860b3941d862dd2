// RUN: clade-opt %s --clade-form-kernels | FileCheck %s

// What is computed for each row on the way into a product, and what is a
// kernel of its own before it.

!x = !clade.tensor<[token, d = 8], f32>
!t = !clade.tensor<[token], f32>
!w = !clade.tensor<[d = 8, d_in = 8], f32>

// All that only this product needs, a reduction too.
// CHECK-LABEL: func.func @norm
// CHECK-NOT:  clade.kernel tokenwise
// CHECK:      clade.kernel product(%arg0, %arg1)
// CHECK:        clade.binary mul
// CHECK-NEXT:   clade.reduce mean
// CHECK-NEXT:   clade.unary rsqrt
// CHECK-NEXT:   clade.binary mul
// CHECK-NEXT:   clade.linear
// CHECK-NOT:  clade.kernel
func.func @norm(%x: !x, %w: !w) -> !x {
  %0 = clade.binary mul %x, %x : !x, !x -> !x
  %1 = clade.reduce mean %0 over ["d"] : !x -> !t
  %2 = clade.unary rsqrt %1 : !t -> !t
  %3 = clade.binary mul %x, %2 : !x, !t -> !x
  %4 = clade.linear %3, %w : !x, !w -> !x
  return %4 : !x
}

// What two products need is computed once, before both.
// CHECK-LABEL: func.func @shared
// CHECK:      %[[E:.*]] = clade.kernel tokenwise(%arg0)
// CHECK:        clade.unary exp
// CHECK:      clade.kernel product(%[[E]], %arg1)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.linear
// CHECK:      clade.kernel product(%[[E]], %arg2)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.linear
func.func @shared(%x: !x, %w: !w, %v: !w) -> (!x, !x) {
  %0 = clade.unary exp %x : !x -> !x
  %1 = clade.linear %0, %w : !x, !w -> !x
  %2 = clade.linear %0, %v : !x, !w -> !x
  return %1, %2 : !x, !x
}

// So is what the function returns as well.
// CHECK-LABEL: func.func @returned
// CHECK:      %[[E:.*]] = clade.kernel tokenwise(%arg0)
// CHECK:      %[[Y:.*]] = clade.kernel product(%[[E]], %arg1)
// CHECK:      return %[[E]], %[[Y]]
func.func @returned(%x: !x, %w: !w) -> (!x, !x) {
  %0 = clade.unary exp %x : !x -> !x
  %1 = clade.linear %0, %w : !x, !w -> !x
  return %0, %1 : !x, !x
}

// Between two products: on the sums of the first as far as that goes, the rest
// on the way into the second.
// CHECK-LABEL: func.func @between
// CHECK:      %[[H:.*]] = clade.kernel product(%arg0, %arg1)
// CHECK:        clade.linear
// CHECK-NEXT:   clade.unary silu
// CHECK:      clade.kernel product(%[[H]], %arg2)
// CHECK:        clade.reduce max
// CHECK-NEXT:   clade.binary sub
// CHECK-NEXT:   clade.linear
// CHECK-NOT:  clade.kernel
func.func @between(%x: !x, %w: !w, %v: !w) -> !x {
  %0 = clade.linear %x, %w : !x, !w -> !x
  %1 = clade.unary silu %0 : !x -> !x
  %2 = clade.reduce max %1 over ["d"] : !x -> !t
  %3 = clade.binary sub %1, %2 : !x, !t -> !x
  %4 = clade.linear %3, %v : !x, !w -> !x
  return %4 : !x
}

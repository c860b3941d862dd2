// RUN: clade-opt %s --clade-form-kernels --split-input-file | FileCheck %s

// Which ops run on the sums of a product, and which have to wait for it.

!x = !clade.tensor<[token, d = 8], f32>
!w = !clade.tensor<[d = 8, d_in = 8], f32>
!s = !clade.tensor<[], f32>

// A chain of elementwise ops with a constant, a bias-like parameter and the
// residual all fit; the kernel has one result.
// CHECK-LABEL: func.func @chain
// CHECK:      %[[Y:.*]] = clade.kernel product(%arg0, %arg1)
// CHECK:        clade.linear
// CHECK:        clade.constant
// CHECK:        clade.binary mul
// CHECK:        clade.param @shift
// CHECK:        clade.binary add
// CHECK:        clade.unary silu
// CHECK:        %[[SUM:.*]] = clade.binary add
// CHECK-NEXT:   clade.yield %[[SUM]] : !clade.tensor<[token, d = 8], f32>
// CHECK-NOT:  clade.kernel
// CHECK:      return %[[Y]]
wmap.func @shift -> tensor<8xf32> {
  %0 = wmap.source "shift" : tensor<8xf32>
  wmap.return %0 : tensor<8xf32>
}
func.func @chain(%x: !x, %w: !w) -> !x {
  %0 = clade.linear %x, %w : !x, !w -> !x
  %c = clade.constant 2.0 : !s
  %1 = clade.binary mul %0, %c : !x, !s -> !x
  %p = clade.param @shift : !clade.tensor<[d = 8], f32>
  %2 = clade.binary add %1, %p : !x, !clade.tensor<[d = 8], f32> -> !x
  %3 = clade.unary silu %2 : !x -> !x
  %4 = clade.binary add %x, %3 : !x, !x -> !x
  return %4 : !x
}

// A value that two ops read leaves the kernel.
// CHECK-LABEL: func.func @two_readers
// CHECK:      %[[Y:.*]] = clade.kernel product
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.linear
// CHECK-NEXT:   clade.yield
// CHECK:      clade.kernel tokenwise(%[[Y]])
// CHECK:        clade.unary tanh
// CHECK:        clade.unary exp
func.func @two_readers(%x: !x, %w: !w) -> (!x, !x) {
  %0 = clade.linear %x, %w : !x, !w -> !x
  %1 = clade.unary tanh %0 : !x -> !x
  %2 = clade.unary exp %0 : !x -> !x
  return %1, %2 : !x, !x
}

// So does one that an op reads twice: a square would compute the sums twice.
// CHECK-LABEL: func.func @square
// CHECK:      clade.kernel product
// CHECK:        clade.linear
// CHECK-NEXT:   clade.yield
// CHECK:      clade.kernel tokenwise
// CHECK:        clade.binary mul
func.func @square(%x: !x, %w: !w) -> !x {
  %0 = clade.linear %x, %w : !x, !w -> !x
  %1 = clade.binary mul %0, %0 : !x, !x -> !x
  return %1 : !x
}

// A reduction needs the whole row, and what follows it waits as well.
// CHECK-LABEL: func.func @reduction
// CHECK:      clade.kernel product
// CHECK:        clade.linear
// CHECK-NEXT:   clade.yield
// CHECK:      clade.kernel tokenwise
// CHECK:        clade.reduce max
// CHECK:        clade.unary exp
func.func @reduction(%x: !x, %w: !w) -> !clade.tensor<[token], f32> {
  %0 = clade.linear %x, %w : !x, !w -> !x
  %1 = clade.reduce max %0 over ["d"] : !x -> !clade.tensor<[token], f32>
  %2 = clade.unary exp %1 : !clade.tensor<[token], f32> -> !clade.tensor<[token], f32>
  return %2 : !clade.tensor<[token], f32>
}

// The other operand has to be in memory with the result's axes: one value for
// each token is not.
// CHECK-LABEL: func.func @per_token
// CHECK:      clade.kernel product
// CHECK:        clade.linear
// CHECK-NEXT:   clade.yield
// CHECK:      clade.kernel tokenwise
// CHECK:        clade.binary mul
func.func @per_token(%x: !x, %w: !w, %t: !clade.tensor<[token], f32>) -> !x {
  %0 = clade.linear %x, %w : !x, !w -> !x
  %1 = clade.binary mul %0, %t : !x, !clade.tensor<[token], f32> -> !x
  return %1 : !x
}

// Products that wait for the same run in any order: what needs two of them
// waits for both.
// CHECK-LABEL: func.func @gate
// CHECK:      %[[GATE:.*]] = clade.kernel product(%arg0, %arg1)
// CHECK:        clade.unary silu
// CHECK:      %[[UP:.*]] = clade.kernel product(%arg0, %arg2)
// CHECK:      clade.kernel tokenwise(%[[GATE]], %[[UP]])
// CHECK-NOT:  clade.kernel
func.func @gate(%x: !x, %w: !w, %v: !w) -> !x {
  %0 = clade.linear %x, %w : !x, !w -> !x
  %1 = clade.unary silu %0 : !x -> !x
  %2 = clade.linear %x, %v : !x, !w -> !x
  %3 = clade.binary mul %1, %2 : !x, !x -> !x
  return %3 : !x
}

// Through a view of the same elements.
// CHECK-LABEL: func.func @viewed
// CHECK:      clade.kernel product
// CHECK:        clade.linear
// CHECK-NEXT:   clade.view
// CHECK-NEXT:   clade.unary tanh
// CHECK-NEXT:   clade.yield
// CHECK-NOT:  clade.kernel
func.func @viewed(%x: !x, %w: !w) -> !clade.tensor<[token, heads = 2, head = 4], f32> {
  %0 = clade.linear %x, %w : !x, !w -> !x
  %1 = clade.view %0 : !x -> !clade.tensor<[token, heads = 2, head = 4], f32>
  %2 = clade.unary tanh %1 : !clade.tensor<[token, heads = 2, head = 4], f32> -> !clade.tensor<[token, heads = 2, head = 4], f32>
  return %2 : !clade.tensor<[token, heads = 2, head = 4], f32>
}

// RUN: clade-opt %s --clade-form-kernels | FileCheck %s

// Kernels run in the order of what they wait for; token-wise ops that wait for
// the same are one kernel, wherever they stand.

!x = !clade.tensor<[token, d = 8], f32>
!sel = !clade.tensor<[selected, d = 8], f32>
!w = !clade.tensor<[d = 8, d_in = 8], f32>
!h = !clade.tensor<[token, heads = 2, head = 4], f32>

// CHECK-LABEL: func.func @one_kernel
// CHECK:      clade.kernel tokenwise(%arg0, %arg1)
// CHECK:        clade.unary exp
// CHECK:        clade.unary tanh
// CHECK:        clade.yield %{{.*}}, %{{.*}} :
// CHECK-NOT:  clade.kernel
func.func @one_kernel(%x: !x, %y: !x) -> (!x, !x) {
  %0 = clade.unary exp %x : !x -> !x
  %1 = clade.unary tanh %y : !x -> !x
  return %0, %1 : !x, !x
}

// What waits for a product comes after it, what does not before it.
// CHECK-LABEL: func.func @around
// CHECK:      %[[EARLY:.*]] = clade.kernel tokenwise(%arg0)
// CHECK:        clade.unary exp
// CHECK:      %[[Y:.*]] = clade.kernel product(%arg0, %arg1)
// CHECK:      clade.kernel tokenwise
// CHECK:        clade.reduce sum
func.func @around(%x: !x, %w: !w) -> (!clade.tensor<[token], f32>, !x) {
  %0 = clade.linear %x, %w : !x, !w -> !x
  %1 = clade.reduce sum %0 over ["d"] : !x -> !clade.tensor<[token], f32>
  %2 = clade.unary exp %x : !x -> !x
  return %1, %2 : !clade.tensor<[token], f32>, !x
}

// Tokens that are selected have kernels of their own.
// CHECK-LABEL: func.func @selected
// CHECK:      %[[ALL:.*]] = clade.kernel tokenwise(%arg0)
// CHECK:        clade.unary exp
// CHECK:      clade.kernel tokenwise(%[[ALL]], %arg1)
// CHECK:        clade.select
// CHECK:        clade.unary tanh
func.func @selected(%x: !x, %batch: !clade.batch) -> !sel {
  %0 = clade.unary exp %x : !x -> !x
  %1 = clade.select %0, %batch : !x -> !sel
  %2 = clade.unary tanh %1 : !sel -> !sel
  return %2 : !sel
}

// Attention waits for the write of its state, although no value goes from one
// to the other.
// CHECK-LABEL: func.func @state
// CHECK:      clade.kernel tokenwise
// CHECK:        clade.unary exp
// CHECK:        clade.cache_write {{.*}} state 0
// CHECK:      clade.kernel attention
// CHECK:        clade.attend_cached {{.*}} state 0
func.func @state(%q: !h, %k: !h, %v: !h, %batch: !clade.batch) -> !h {
  %0 = clade.unary exp %k : !h -> !h
  clade.cache_write %0, %v, %batch state 0 : !h, !h
  %1 = clade.attend_cached %q, %batch state 0 kv_heads 2 scale 0.5 : !h -> !h
  return %1 : !h
}

// Queries that are a part of a product, without a rotation, are copied from it.
// CHECK-LABEL: func.func @queries
// CHECK:      %[[QK:.*]] = clade.kernel product
// CHECK:      %[[Q:.*]] = clade.kernel tokenwise(%[[QK]], %arg2)
// CHECK-DAG:    clade.slice {{.*}} "both" from 0
// CHECK-DAG:    clade.cache_write
// CHECK:        clade.yield %{{.*}} : !clade.tensor<[token, heads = 2, head = 4], f32>
// CHECK:      clade.kernel attention(%[[Q]], %arg2)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.attend_cached
func.func @queries(%x: !x, %w: !clade.tensor<[both = 16, d = 8], f32>, %batch: !clade.batch) -> !h {
  %0 = clade.linear %x, %w : !x, !clade.tensor<[both = 16, d = 8], f32> -> !clade.tensor<[token, both = 16], f32>
  %1 = clade.slice %0 "both" from 0 : !clade.tensor<[token, both = 16], f32> -> !clade.tensor<[token, q = 8], f32>
  %2 = clade.view %1 : !clade.tensor<[token, q = 8], f32> -> !h
  %3 = clade.slice %0 "both" from 8 : !clade.tensor<[token, both = 16], f32> -> !clade.tensor<[token, k = 8], f32>
  %4 = clade.view %3 : !clade.tensor<[token, k = 8], f32> -> !h
  clade.cache_write %4, %4, %batch state 0 : !h, !h
  %5 = clade.attend_cached %2, %batch state 0 kv_heads 2 scale 0.5 : !h -> !h
  return %5 : !h
}

// A view is no kernel; one that is returned is copied.
// CHECK-LABEL: func.func @views
// CHECK:      %[[V:.*]] = clade.kernel tokenwise(%arg0)
// CHECK:        clade.view
// CHECK:      return %[[V]]
func.func @views(%x: !x) -> !h {
  %0 = clade.view %x : !x -> !h
  return %0 : !h
}

// Each kernel that reads a slice takes the whole and slices it itself.
// CHECK-LABEL: func.func @slices
// CHECK:      %[[Y:.*]] = clade.kernel product
// CHECK:      clade.kernel product(%[[Y]], %arg2)
// CHECK:        clade.slice {{.*}} "d" from 0
// CHECK-NEXT:   clade.linear
// CHECK:      clade.kernel product(%[[Y]], %arg2)
// CHECK:        clade.slice {{.*}} "d" from 4
// CHECK-NEXT:   clade.linear
func.func @slices(%x: !x, %w: !w, %v: !clade.tensor<[e = 3, half = 4], f32>) -> (!clade.tensor<[token, e = 3], f32>, !clade.tensor<[token, e = 3], f32>) {
  %0 = clade.linear %x, %w : !x, !w -> !x
  %1 = clade.slice %0 "d" from 0 : !x -> !clade.tensor<[token, half = 4], f32>
  %2 = clade.slice %0 "d" from 4 : !x -> !clade.tensor<[token, half = 4], f32>
  %3 = clade.linear %1, %v : !clade.tensor<[token, half = 4], f32>, !clade.tensor<[e = 3, half = 4], f32> -> !clade.tensor<[token, e = 3], f32>
  %4 = clade.linear %2, %v : !clade.tensor<[token, half = 4], f32>, !clade.tensor<[e = 3, half = 4], f32> -> !clade.tensor<[token, e = 3], f32>
  return %3, %4 : !clade.tensor<[token, e = 3], f32>, !clade.tensor<[token, e = 3], f32>
}

// The layers stay between the kernels before and behind them.
// CHECK-LABEL: func.func @kind
// CHECK:      clade.kernel tokenwise
// CHECK:      return
func.func @kind(%x: !x, %batch: !clade.batch) -> !x {
  %0 = clade.unary exp %x : !x -> !x
  return %0 : !x
}
clade.schedule @all kinds [@kind] rows [0, 0]
// CHECK-LABEL: func.func @layers
// CHECK:      %[[IN:.*]] = clade.kernel tokenwise(%arg0)
// CHECK:      %[[OUT:.*]] = clade.layers @all(%[[IN]], %arg1)
// CHECK:      clade.kernel tokenwise(%[[OUT]])
func.func @layers(%x: !x, %batch: !clade.batch) -> !x {
  %0 = clade.unary tanh %x : !x -> !x
  %1 = clade.layers @all(%0, %batch) : (!x, !clade.batch) -> !x
  %2 = clade.unary tanh %1 : !x -> !x
  return %2 : !x
}

// Nothing to compute, no kernel.
// CHECK-LABEL: func.func @nothing
// CHECK-NEXT:  return %arg0
func.func @nothing(%x: !x) -> !x {
  return %x : !x
}

// RUN: clade-opt %s --clade-sink-select | FileCheck %s

// How far a selection moves up: through what works on each token by itself and
// that nothing else reads.

!x = !clade.tensor<[token, d = 8], f32>
!t = !clade.tensor<[token], f32>
!sx = !clade.tensor<[selected, d = 8], f32>
!st = !clade.tensor<[selected], f32>
!h = !clade.tensor<[token, heads = 2, head = 4], f32>
!sh = !clade.tensor<[selected, heads = 2, head = 4], f32>

wmap.func @gain -> tensor<8xf32> {
  %0 = wmap.source "gain" : tensor<8xf32>
  wmap.return %0 : tensor<8xf32>
}

// Through a norm, its reduction and its gain; the gain has no tokens.
// CHECK-LABEL: func.func @norm
// CHECK-DAG:  clade.select %arg0, %arg1
// CHECK-DAG:  clade.param @gain
// CHECK:      clade.reduce mean {{.*}} -> <[selected], f32>
// CHECK:      clade.unary rsqrt {{.*}} -> <[selected], f32>
// CHECK:      clade.binary mul {{.*}} -> <[selected, d = 8], f32>
// CHECK-NOT:  clade.select
// CHECK:      return
func.func @norm(%x: !x, %batch: !clade.batch) -> !sx {
  %0 = clade.reduce mean %x over ["d"] : !x -> !t
  %1 = clade.unary rsqrt %0 : !t -> !t
  %2 = clade.param @gain : !clade.tensor<[d = 8], f32>
  %3 = clade.binary mul %1, %2 : !t, !clade.tensor<[d = 8], f32> -> !x
  %4 = clade.select %3, %batch : !x -> !sx
  return %4 : !sx
}

// Through casts, views and slices.
// CHECK-LABEL: func.func @shapes
// CHECK:      clade.select %arg0, %arg1 : <[token, d = 8], f32> -> <[selected, d = 8], f32>
// CHECK-NEXT: clade.cast
// CHECK-NEXT: clade.view {{.*}} -> <[selected, heads = 2, head = 4], bf16>
// CHECK-NEXT: clade.slice {{.*}} -> <[selected, heads = 2, part = 3], bf16>
// CHECK-NEXT: return
func.func @shapes(%x: !x, %batch: !clade.batch) -> !clade.tensor<[selected, heads = 2, part = 3], bf16> {
  %0 = clade.cast %x : !x -> !clade.tensor<[token, d = 8], bf16>
  %1 = clade.view %0 : !clade.tensor<[token, d = 8], bf16> -> !clade.tensor<[token, heads = 2, head = 4], bf16>
  %2 = clade.slice %1 "head" from 1 : !clade.tensor<[token, heads = 2, head = 4], bf16> -> !clade.tensor<[token, heads = 2, part = 3], bf16>
  %3 = clade.select %2, %batch : !clade.tensor<[token, heads = 2, part = 3], bf16> -> !clade.tensor<[selected, heads = 2, part = 3], bf16>
  return %3 : !clade.tensor<[selected, heads = 2, part = 3], bf16>
}

// Not above what the whole text needs.
// CHECK-LABEL: func.func @shared
// CHECK:      %[[E:.*]] = clade.unary exp %arg0
// CHECK-NEXT: %[[S:.*]] = clade.select %[[E]]
// CHECK-NEXT: return %[[S]], %[[E]]
func.func @shared(%x: !x, %batch: !clade.batch) -> (!sx, !x) {
  %0 = clade.unary exp %x : !x -> !x
  %1 = clade.select %0, %batch : !x -> !sx
  return %1, %0 : !sx, !x
}

// Not above attention, which reads other tokens.
// CHECK-LABEL: func.func @attention
// CHECK:      clade.attend
// CHECK-NEXT: clade.select
// CHECK-NEXT: clade.unary exp
// CHECK-NEXT: return
func.func @attention(%q: !h, %batch: !clade.batch) -> !sh {
  %0 = clade.attend %q, %q, %q, %batch state 0 scale 0.5 : (!h, !h, !h) -> !h
  %1 = clade.unary exp %0 : !h -> !h
  %2 = clade.select %1, %batch : !h -> !sh
  return %2 : !sh
}

// Each operand with tokens is selected, one that comes twice once.
// CHECK-LABEL: func.func @operands
// CHECK:      %[[A:.*]] = clade.select %arg0
// CHECK-NEXT: %[[Q:.*]] = clade.binary mul %[[A]], %[[A]]
// CHECK-NEXT: %[[B:.*]] = clade.select %arg1
// CHECK-NEXT: clade.binary add %[[Q]], %[[B]]
// CHECK-NEXT: return
func.func @operands(%x: !x, %y: !x, %batch: !clade.batch) -> !sx {
  %0 = clade.binary mul %x, %x : !x, !x -> !x
  %1 = clade.binary add %0, %y : !x, !x -> !x
  %2 = clade.select %1, %batch : !x -> !sx
  return %2 : !sx
}

// Two selections of one value stay two until they meet what both need.
// CHECK-LABEL: func.func @twice
// CHECK:      %[[E:.*]] = clade.unary exp
// CHECK-DAG:  clade.select %[[E]]
// CHECK-DAG:  clade.select %[[E]]
func.func @twice(%x: !x, %batch: !clade.batch) -> (!sx, !sx) {
  %0 = clade.unary exp %x : !x -> !x
  %1 = clade.select %0, %batch : !x -> !sx
  %2 = clade.unary tanh %0 : !x -> !x
  %3 = clade.select %2, %batch : !x -> !sx
  return %1, %3 : !sx, !sx
}

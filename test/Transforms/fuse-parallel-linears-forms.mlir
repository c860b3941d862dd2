// RUN: clade-opt %s --clade-fuse-parallel-linears --split-input-file | FileCheck %s

// Biases become one vector in the order of the rows.

!x = !clade.tensor<[token, d = 4], f32>

// CHECK: wmap.func @"m.a.weight+b.weight" -> tensor<5x4xf32>
// CHECK: wmap.func @"m.a.bias+b.bias" -> tensor<5xf32>
wmap.func @m.a.weight -> tensor<2x4xf32> {
  %0 = wmap.source "a" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
wmap.func @m.a.bias -> tensor<2xf32> {
  %0 = wmap.source "a.bias" : tensor<2xf32>
  wmap.return %0 : tensor<2xf32>
}
wmap.func @m.b.weight -> tensor<3x4xf32> {
  %0 = wmap.source "b" : tensor<3x4xf32>
  wmap.return %0 : tensor<3x4xf32>
}
wmap.func @m.b.bias -> tensor<3xf32> {
  %0 = wmap.source "b.bias" : tensor<3xf32>
  wmap.return %0 : tensor<3xf32>
}
// CHECK-NOT: wmap.func
// CHECK-LABEL: func.func @biases
// CHECK: clade.linear %arg0, %{{.*}} bias %{{.*}} -> <[token, "a+b" = 5], f32>
// CHECK: clade.slice {{.*}} "a+b" from 0
// CHECK: clade.slice {{.*}} "a+b" from 2
func.func @biases(%x: !x) -> (!clade.tensor<[token, a = 2], f32>, !clade.tensor<[token, b = 3], f32>) {
  %w = clade.param @m.a.weight : !clade.tensor<[a = 2, d = 4], f32>
  %s = clade.param @m.a.bias : !clade.tensor<[a = 2], f32>
  %0 = clade.linear %x, %w bias %s : !x, !clade.tensor<[a = 2, d = 4], f32>, !clade.tensor<[a = 2], f32> -> !clade.tensor<[token, a = 2], f32>
  %v = clade.param @m.b.weight : !clade.tensor<[b = 3, d = 4], f32>
  %t = clade.param @m.b.bias : !clade.tensor<[b = 3], f32>
  %1 = clade.linear %x, %v bias %t : !x, !clade.tensor<[b = 3, d = 4], f32>, !clade.tensor<[b = 3], f32> -> !clade.tensor<[token, b = 3], f32>
  return %0, %1 : !clade.tensor<[token, a = 2], f32>, !clade.tensor<[token, b = 3], f32>
}

// -----

// Maps with and without a bias are two products; one alone stays.

!x = !clade.tensor<[token, d = 4], f32>
!y = !clade.tensor<[token, o = 2], f32>

wmap.func @a -> tensor<2x4xf32> {
  %0 = wmap.source "a" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
wmap.func @b -> tensor<2x4xf32> {
  %0 = wmap.source "b" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
wmap.func @bias -> tensor<2xf32> {
  %0 = wmap.source "bias" : tensor<2xf32>
  wmap.return %0 : tensor<2xf32>
}
// CHECK-LABEL: func.func @mixed
// CHECK: clade.linear {{.*}} -> <[token, o = 2], f32>
// CHECK: clade.linear {{.*}} bias {{.*}} -> <[token, o = 2], f32>
func.func @mixed(%x: !x) -> (!y, !y) {
  %w = clade.param @a : !clade.tensor<[o = 2, d = 4], f32>
  %0 = clade.linear %x, %w : !x, !clade.tensor<[o = 2, d = 4], f32> -> !y
  %v = clade.param @b : !clade.tensor<[o = 2, d = 4], f32>
  %s = clade.param @bias : !clade.tensor<[o = 2], f32>
  %1 = clade.linear %x, %v bias %s : !x, !clade.tensor<[o = 2, d = 4], f32>, !clade.tensor<[o = 2], f32> -> !y
  return %0, %1 : !y, !y
}

// -----

// Maps of different values are different products.

!x = !clade.tensor<[token, d = 4], f32>
!w = !clade.tensor<[o = 2, d = 4], f32>
!y = !clade.tensor<[token, o = 2], f32>

wmap.func @a -> tensor<2x4xf32> {
  %0 = wmap.source "a" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
wmap.func @b -> tensor<2x4xf32> {
  %0 = wmap.source "b" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
// CHECK-LABEL: func.func @inputs
// CHECK: clade.linear %arg0
// CHECK: clade.linear %arg1
func.func @inputs(%x: !x, %z: !x) -> (!y, !y) {
  %w = clade.param @a : !w
  %0 = clade.linear %x, %w : !x, !w -> !y
  %v = clade.param @b : !w
  %1 = clade.linear %z, %v : !x, !w -> !y
  return %0, %1 : !y, !y
}

// -----

// A result of another type is another product; the others still fuse.

!x = !clade.tensor<[token, d = 4], bf16>
!w = !clade.tensor<[o = 2, d = 4], bf16>
!y = !clade.tensor<[token, o = 2], bf16>
!wide = !clade.tensor<[token, o = 2], f32>

wmap.func @a -> tensor<2x4xbf16> {
  %0 = wmap.source "a" : tensor<2x4xbf16>
  wmap.return %0 : tensor<2x4xbf16>
}
wmap.func @b -> tensor<2x4xbf16> {
  %0 = wmap.source "b" : tensor<2x4xbf16>
  wmap.return %0 : tensor<2x4xbf16>
}
wmap.func @c -> tensor<2x4xbf16> {
  %0 = wmap.source "c" : tensor<2x4xbf16>
  wmap.return %0 : tensor<2x4xbf16>
}
// CHECK-LABEL: func.func @types
// CHECK-DAG: clade.linear {{.*}} -> <[token, "o+o" = 4], bf16>
// CHECK-DAG: clade.linear {{.*}} -> <[token, o = 2], f32>
func.func @types(%x: !x) -> (!y, !wide, !y) {
  %wa = clade.param @a : !w
  %0 = clade.linear %x, %wa : !x, !w -> !y
  %wb = clade.param @b : !w
  %1 = clade.linear %x, %wb : !x, !w -> !wide
  %wc = clade.param @c : !w
  %2 = clade.linear %x, %wc : !x, !w -> !y
  return %0, %1, %2 : !y, !wide, !y
}

// -----

// What makes a weight goes along: a cast, a matrix from three axes.

!x = !clade.tensor<[token, d = 4], bf16>
!w = !clade.tensor<[heads = 2, head = 3, d = 4], bf16>
!y = !clade.tensor<[token, heads = 2, head = 3], bf16>
!v = !clade.tensor<[o = 2, d = 4], bf16>
!z = !clade.tensor<[token, o = 2], bf16>

// CHECK:      wmap.func @"a+b" -> tensor<8x4xbf16>
// CHECK-NEXT:   %[[A:.*]] = wmap.source "a" : tensor<2x3x4xf32>
// CHECK-NEXT:   %[[C:.*]] = wmap.cast %[[A]]
// CHECK-NEXT:   %[[M:.*]] = wmap.reshape %[[C]] : tensor<2x3x4xbf16> -> tensor<6x4xbf16>
// CHECK-NEXT:   %[[T:.*]] = wmap.source "b" : tensor<4x2xbf16>
// CHECK-NEXT:   %[[B:.*]] = wmap.transpose %[[T]]
// CHECK-NEXT:   %[[ALL:.*]] = wmap.concat %[[M]], %[[B]] axis 0
// CHECK-NEXT:   wmap.return %[[ALL]]
wmap.func @a -> tensor<2x3x4xbf16> {
  %0 = wmap.source "a" : tensor<2x3x4xf32>
  %1 = wmap.cast %0 : tensor<2x3x4xf32> -> tensor<2x3x4xbf16>
  wmap.return %1 : tensor<2x3x4xbf16>
}
wmap.func @b -> tensor<2x4xbf16> {
  %0 = wmap.source "b" : tensor<4x2xbf16>
  %1 = wmap.transpose %0 [1, 0] : tensor<4x2xbf16> -> tensor<2x4xbf16>
  wmap.return %1 : tensor<2x4xbf16>
}
// CHECK-LABEL: func.func @computed
// CHECK: clade.linear {{.*}} -> <[token, "heads.head+o" = 8], bf16>
// CHECK: clade.slice {{.*}} from 0 : {{.*}} = 6]
// CHECK: clade.view {{.*}} -> <[token, heads = 2, head = 3], bf16>
// CHECK: clade.slice {{.*}} from 6 : {{.*}} = 2]
func.func @computed(%x: !x) -> (!y, !z) {
  %wa = clade.param @a : !w
  %0 = clade.linear %x, %wa : !x, !w -> !y
  %wb = clade.param @b : !v
  %1 = clade.linear %x, %wb : !x, !v -> !z
  return %0, %1 : !y, !z
}

// -----

// Two kinds of layers that read one weight leave it alone.

!x = !clade.tensor<[token, d = 4], f32>
!w = !clade.tensor<[o = 2, d = 4], f32>
!y = !clade.tensor<[token, o = 2], f32>

wmap.func @a -> tensor<2x4xf32> {
  %0 = wmap.source "a" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
wmap.func @b -> tensor<2x4xf32> {
  %0 = wmap.source "b" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
// CHECK-LABEL: func.func @first
// CHECK-COUNT-2: clade.linear
func.func @first(%x: !x) -> (!y, !y) {
  %w = clade.param @a : !w
  %0 = clade.linear %x, %w : !x, !w -> !y
  %v = clade.param @b : !w
  %1 = clade.linear %x, %v : !x, !w -> !y
  return %0, %1 : !y, !y
}
// CHECK-LABEL: func.func @second
// CHECK: clade.param @a
func.func @second(%x: !x) -> !y {
  %w = clade.param @a : !w
  %0 = clade.linear %x, %w : !x, !w -> !y
  return %0 : !y
}

// -----

// The weights' functions may stand behind the computation.

!x = !clade.tensor<[token, d = 4], f32>
!w = !clade.tensor<[o = 2, d = 4], f32>
!y = !clade.tensor<[token, o = 2], f32>

// CHECK-LABEL: func.func @before_its_weights
// CHECK: clade.linear {{.*}} -> <[token, "o+o" = 4], f32>
func.func @before_its_weights(%x: !x) -> (!y, !y) {
  %w = clade.param @a : !w
  %0 = clade.linear %x, %w : !x, !w -> !y
  %v = clade.param @b : !w
  %1 = clade.linear %x, %v : !x, !w -> !y
  return %0, %1 : !y, !y
}
// CHECK: wmap.func @"a+b" -> tensor<4x4xf32>
// CHECK-NOT: wmap.func
wmap.func @a -> tensor<2x4xf32> {
  %0 = wmap.source "a" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
wmap.func @b -> tensor<2x4xf32> {
  %0 = wmap.source "b" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}

// -----

// Weights whose numbers are those of blocks are fused with others of the same
// format only: they are to be packed together.

// CHECK-LABEL: wmap.func @"eight.a+b"
// CHECK: wmap.concat
wmap.func @eight.a -> tensor<4x32xf32> {
  %0 = wmap.source "a" : tensor<4x32x!wmap.block<"q8_0">>
  %1 = wmap.dequantise %0 : tensor<4x32x!wmap.block<"q8_0">> -> tensor<4x32xf32>
  wmap.return %1 : tensor<4x32xf32>
}
wmap.func @eight.b -> tensor<4x32xf32> {
  %0 = wmap.source "b" : tensor<4x32x!wmap.block<"q8_0">>
  %1 = wmap.dequantise %0 : tensor<4x32x!wmap.block<"q8_0">> -> tensor<4x32xf32>
  wmap.return %1 : tensor<4x32xf32>
}
wmap.func @four -> tensor<4x32xf32> {
  %0 = wmap.source "c" : tensor<4x32x!wmap.block<"q4_0">>
  %1 = wmap.dequantise %0 : tensor<4x32x!wmap.block<"q4_0">> -> tensor<4x32xf32>
  wmap.return %1 : tensor<4x32xf32>
}
wmap.func @plain -> tensor<4x32xf32> {
  %0 = wmap.source "d" : tensor<4x32xf32>
  wmap.return %0 : tensor<4x32xf32>
}
// CHECK-LABEL: func.func @formats
func.func @formats(%x: !clade.tensor<[token, d = 32], f32>) -> (!clade.tensor<[token, a = 4], f32>, !clade.tensor<[token, b = 4], f32>, !clade.tensor<[token, c = 4], f32>, !clade.tensor<[token, e = 4], f32>) {
  // CHECK-DAG: clade.param @"eight.a+b"
  // CHECK-DAG: clade.param @four
  // CHECK-DAG: clade.param @plain
  %a = clade.param @eight.a : !clade.tensor<[a = 4, d = 32], f32>
  %b = clade.param @eight.b : !clade.tensor<[b = 4, d = 32], f32>
  %c = clade.param @four : !clade.tensor<[c = 4, d = 32], f32>
  %d = clade.param @plain : !clade.tensor<[e = 4, d = 32], f32>
  %0 = clade.linear %x, %a : !clade.tensor<[token, d = 32], f32>, !clade.tensor<[a = 4, d = 32], f32> -> !clade.tensor<[token, a = 4], f32>
  %1 = clade.linear %x, %b : !clade.tensor<[token, d = 32], f32>, !clade.tensor<[b = 4, d = 32], f32> -> !clade.tensor<[token, b = 4], f32>
  %2 = clade.linear %x, %c : !clade.tensor<[token, d = 32], f32>, !clade.tensor<[c = 4, d = 32], f32> -> !clade.tensor<[token, c = 4], f32>
  %3 = clade.linear %x, %d : !clade.tensor<[token, d = 32], f32>, !clade.tensor<[e = 4, d = 32], f32> -> !clade.tensor<[token, e = 4], f32>
  return %0, %1, %2, %3 : !clade.tensor<[token, a = 4], f32>, !clade.tensor<[token, b = 4], f32>, !clade.tensor<[token, c = 4], f32>, !clade.tensor<[token, e = 4], f32>
}

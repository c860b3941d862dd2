// RUN: clade-opt %s --clade-pack-weights="rows=16 inner=2 in-place" --split-input-file | FileCheck %s

// A matrix that is published row by row in its own type stays as it is, whatever
// its axes are called.

// CHECK: wmap.func @w -> tensor<40x4x8xf32>
// CHECK-NOT: wmap.pack
wmap.func @w -> tensor<40x4x8xf32> {
  %0 = wmap.source "published" : tensor<40x4x8xf32>
  wmap.return %0 : tensor<40x4x8xf32>
}
// CHECK-LABEL: func.func @whole
func.func @whole(%x: !clade.tensor<[token, heads = 4, head = 8], f32>) -> !clade.tensor<[token, d = 40], f32> {
  // CHECK: %[[W:.*]] = clade.param @w : <[outputs = 40, inputs = 32], f32>
  // CHECK: clade.linear %{{.*}}, %[[W]]
  %w = clade.param @w : !clade.tensor<[d = 40, heads = 4, head = 8], f32>
  %y = clade.linear %x, %w : !clade.tensor<[token, heads = 4, head = 8], f32>, !clade.tensor<[d = 40, heads = 4, head = 8], f32> -> !clade.tensor<[token, d = 40], f32>
  return %y : !clade.tensor<[token, d = 40], f32>
}

// -----

// Parts that fill whole panels, but for the last one, are read where each lies. A
// slice of rows is a part as well.

// CHECK-NOT: wmap.func @qkv ->
// CHECK-DAG: wmap.func @qkv.part0 -> tensor<32x8xbf16> {
// CHECK-DAG: wmap.func @qkv.part1 -> tensor<16x8xbf16> {
// CHECK-DAG: wmap.func @qkv.part2 -> tensor<5x8xbf16> {
wmap.func @qkv -> tensor<53x8xbf16> {
  %q = wmap.source "q" : tensor<32x8xbf16>
  %kv = wmap.source "kv" : tensor<32x8xbf16>
  %k = wmap.slice %kv axis 0 from 0 : tensor<32x8xbf16> -> tensor<16x8xbf16>
  %v = wmap.slice %kv axis 0 from 16 : tensor<32x8xbf16> -> tensor<5x8xbf16>
  %0 = wmap.concat %q, %k, %v axis 0 : (tensor<32x8xbf16>, tensor<16x8xbf16>, tensor<5x8xbf16>) -> tensor<53x8xbf16>
  wmap.return %0 : tensor<53x8xbf16>
}
// CHECK-LABEL: func.func @parts
func.func @parts(%x: !clade.tensor<[token, d = 8], bf16>) -> !clade.tensor<[token, o = 53], bf16> {
  // CHECK: %[[Q:.*]] = clade.param @qkv.part0 : <[outputs = 32, inputs = 8], bf16>
  // CHECK: %[[K:.*]] = clade.param @qkv.part1 : <[outputs = 16, inputs = 8], bf16>
  // CHECK: %[[V:.*]] = clade.param @qkv.part2 : <[outputs = 5, inputs = 8], bf16>
  // CHECK: %[[W:.*]] = clade.stack_rows %[[Q]], %[[K]], %[[V]]
  // CHECK: clade.linear %{{.*}}, %[[W]]
  %w = clade.param @qkv : !clade.tensor<[o = 53, d = 8], bf16>
  %y = clade.linear %x, %w : !clade.tensor<[token, d = 8], bf16>, !clade.tensor<[o = 53, d = 8], bf16> -> !clade.tensor<[token, o = 53], bf16>
  return %y : !clade.tensor<[token, o = 53], bf16>
}

// -----

// Rows of a table that is a product's weight as well are taken from the same weight.

// CHECK: wmap.func @head -> tensor<32x8xbf16>
// CHECK-NOT: wmap.func @table ->
wmap.func @head -> tensor<32x8xbf16> {
  %0 = wmap.source "embed" : tensor<32x8xbf16>
  wmap.return %0 : tensor<32x8xbf16>
}
wmap.func @table -> tensor<32x8xbf16> {
  %0 = wmap.source "embed" : tensor<32x8xbf16>
  wmap.return %0 : tensor<32x8xbf16>
}
// CHECK-LABEL: func.func @tied
func.func @tied(%ids: !clade.tensor<[token], i32>) -> !clade.tensor<[token, vocab = 32], bf16> {
  // CHECK: clade.param @head : <[vocab = 32, d = 8], bf16>
  // CHECK: clade.param @head : <[outputs = 32, inputs = 8], bf16>
  %t = clade.param @table : !clade.tensor<[vocab = 32, d = 8], bf16>
  %x = clade.embed %ids, %t : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 32, d = 8], bf16> -> !clade.tensor<[token, d = 8], bf16>
  %w = clade.param @head : !clade.tensor<[vocab = 32, d = 8], bf16>
  %y = clade.linear %x, %w : !clade.tensor<[token, d = 8], bf16>, !clade.tensor<[vocab = 32, d = 8], bf16> -> !clade.tensor<[token, vocab = 32], bf16>
  return %y : !clade.tensor<[token, vocab = 32], bf16>
}

// -----

// What has to be made lies in panels: another type or order, parts that end inside
// of a panel.

// CHECK-DAG: wmap.func @cast.packed
// CHECK-DAG: wmap.func @transposed.packed
// CHECK-DAG: wmap.func @ragged.packed
wmap.func @cast -> tensor<16x8xbf16> {
  %0 = wmap.source "f32" : tensor<16x8xf32>
  %1 = wmap.cast %0 : tensor<16x8xf32> -> tensor<16x8xbf16>
  wmap.return %1 : tensor<16x8xbf16>
}
wmap.func @transposed -> tensor<16x8xbf16> {
  %0 = wmap.source "columns" : tensor<8x16xbf16>
  %1 = wmap.transpose %0 [1, 0] : tensor<8x16xbf16> -> tensor<16x8xbf16>
  wmap.return %1 : tensor<16x8xbf16>
}
wmap.func @ragged -> tensor<24x8xbf16> {
  %0 = wmap.source "a" : tensor<8x8xbf16>
  %1 = wmap.source "b" : tensor<16x8xbf16>
  %2 = wmap.concat %0, %1 axis 0 : (tensor<8x8xbf16>, tensor<16x8xbf16>) -> tensor<24x8xbf16>
  wmap.return %2 : tensor<24x8xbf16>
}
func.func @made(%x: !clade.tensor<[token, d = 8], bf16>) -> (!clade.tensor<[token, o = 16], bf16>, !clade.tensor<[token, o = 16], bf16>, !clade.tensor<[token, o = 24], bf16>) {
  %w0 = clade.param @cast : !clade.tensor<[o = 16, d = 8], bf16>
  %w1 = clade.param @transposed : !clade.tensor<[o = 16, d = 8], bf16>
  %w2 = clade.param @ragged : !clade.tensor<[o = 24, d = 8], bf16>
  %0 = clade.linear %x, %w0 : !clade.tensor<[token, d = 8], bf16>, !clade.tensor<[o = 16, d = 8], bf16> -> !clade.tensor<[token, o = 16], bf16>
  %1 = clade.linear %x, %w1 : !clade.tensor<[token, d = 8], bf16>, !clade.tensor<[o = 16, d = 8], bf16> -> !clade.tensor<[token, o = 16], bf16>
  %2 = clade.linear %x, %w2 : !clade.tensor<[token, d = 8], bf16>, !clade.tensor<[o = 24, d = 8], bf16> -> !clade.tensor<[token, o = 24], bf16>
  return %0, %1, %2 : !clade.tensor<[token, o = 16], bf16>, !clade.tensor<[token, o = 16], bf16>, !clade.tensor<[token, o = 24], bf16>
}

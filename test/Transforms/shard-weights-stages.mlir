// RUN: clade-opt %s --clade-shard-weights='pp=2 rank=0' | FileCheck %s
// RUN: clade-opt %s --clade-shard-weights='pp=2 rank=1' | FileCheck %s --check-prefix=LAST
// RUN: clade-opt %s --pass-pipeline='builtin.module(clade-shard-weights{tp=3 rank=0},canonicalize)' | FileCheck %s --check-prefix=UNEVEN
// RUN: not clade-opt %s --clade-shard-weights='pp=4 rank=3' 2>&1 | FileCheck %s --check-prefix=EMPTY
// RUN: not clade-opt %s --clade-shard-weights='tp=4 rank=0' 2>&1 | FileCheck %s --check-prefix=UNEQUAL
// RUN: not clade-opt %s --clade-shard-weights='tp=2 rank=2' 2>&1 | FileCheck %s --check-prefix=RANK
// RUN: not clade-opt %s --clade-shard-weights='tp=0' 2>&1 | FileCheck %s --check-prefix=NONE

// EMPTY: error: stage 3 of 4 has no layers
// UNEQUAL: error: axis 'ffn' of weight 'up' has 6, which 4 devices cannot share equally
// RANK: error: rank=2: expected one of 2 devices, 0 to 1
// NONE: error: tp=0: expected 1 to 1048576 devices

// The first stage reads tokens and has one layer more, the last one makes logits.
// CHECK: wmap.func @embed -> tensor<7x4xf32>
// CHECK-NOT: layers
// CHECK: wmap.func @up -> tensor<6x4xf32> attributes {layers = array<i64: 0, 1>}
// CHECK-NOT: wmap.func @head
// LAST-NOT: wmap.func @embed
// LAST: wmap.func @up -> tensor<6x4xf32> attributes {layers = array<i64: 2>}
// LAST: wmap.func @head -> tensor<7x4xf32>
// Rows of tokens need not be as many on each device.
// UNEVEN: wmap.func @embed -> tensor<3x4xf32>
// UNEVEN: wmap.func @up -> tensor<2x4xf32> attributes {layers = array<i64: 0, 1, 2>}
wmap.func @embed -> tensor<7x4xf32> {
  %0 = wmap.source "embed" : tensor<7x4xf32>
  wmap.return %0 : tensor<7x4xf32>
}
wmap.func @up -> tensor<6x4xf32> {
  %0 = wmap.source "layers.{layer}.up" : tensor<6x4xf32>
  wmap.return %0 : tensor<6x4xf32>
}
wmap.func @head -> tensor<7x4xf32> {
  %0 = wmap.source "head" : tensor<7x4xf32>
  wmap.return %0 : tensor<7x4xf32>
}
func.func @layer(%x: !clade.tensor<[token, d = 4], f32>) -> !clade.tensor<[token, d = 4], f32> {
  %w = clade.param @up : !clade.tensor<[ffn = 6, d = 4], f32>
  %0 = clade.linear %x, %w : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[ffn = 6, d = 4], f32> -> !clade.tensor<[token, ffn = 6], f32>
  return %x : !clade.tensor<[token, d = 4], f32>
}
clade.schedule @stack kinds [@layer] rows [0, 0, 0]
func.func @forward(%ids: !clade.tensor<[token], i32>) -> !clade.tensor<[token, vocab = 7], f32> attributes {clade.entry} {
  %e = clade.param @embed : !clade.tensor<[vocab = 7, d = 4], f32>
  %x = clade.embed %ids, %e : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 7, d = 4], f32> -> !clade.tensor<[token, d = 4], f32>
  %y = clade.layers @stack(%x) : (!clade.tensor<[token, d = 4], f32>) -> !clade.tensor<[token, d = 4], f32>
  %h = clade.param @head : !clade.tensor<[vocab = 7, d = 4], f32>
  %0 = clade.linear %y, %h : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[vocab = 7, d = 4], f32> -> !clade.tensor<[token, vocab = 7], f32>
  return %0 : !clade.tensor<[token, vocab = 7], f32>
}

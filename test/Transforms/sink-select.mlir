// RUN: clade-opt %s --clade-sink-select | FileCheck %s

wmap.func @head -> tensor<8x4xf32> {
  %0 = wmap.source "lm_head.weight" : tensor<8x4xf32>
  wmap.return %0 : tensor<8x4xf32>
}

// CHECK-LABEL: func.func @head_after_select
// CHECK: %[[ROWS:.*]] = clade.select %arg0
// CHECK: %[[SQUARE:.*]] = clade.binary mul %[[ROWS]], %[[ROWS]]
// CHECK: clade.linear %[[SQUARE]]
// CHECK-NOT: clade.select
func.func @head_after_select(%x: !clade.tensor<[token, d = 4], f32>, %batch: !clade.batch) -> !clade.tensor<[selected, vocab = 8], f32> {
  %0 = clade.binary mul %x, %x : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token, d = 4], f32>
  %w = clade.param @head : !clade.tensor<[vocab = 8, d = 4], f32>
  %1 = clade.linear %0, %w : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[vocab = 8, d = 4], f32> -> !clade.tensor<[token, vocab = 8], f32>
  %2 = clade.select %1, %batch : !clade.tensor<[token, vocab = 8], f32> -> !clade.tensor<[selected, vocab = 8], f32>
  return %2 : !clade.tensor<[selected, vocab = 8], f32>
}

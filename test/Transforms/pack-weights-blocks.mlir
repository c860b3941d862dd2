// RUN: clade-opt %s --clade-pack-weights="rows=16 only-blocks" --split-input-file | FileCheck %s

// Of two weights the one in blocks is packed, and the table that shares it; the other stays as it is published.

// CHECK: wmap.func @dense -> tensor<40x40xf32>
// CHECK-NOT: wmap.pack %
wmap.func @dense -> tensor<40x40xf32> {
  %0 = wmap.source "dense" : tensor<40x40xf32>
  wmap.return %0 : tensor<40x40xf32>
}
// CHECK: wmap.func @blocks.packed -> tensor<2x2x544xui8> {
// CHECK:   wmap.pack_blocks %{{.*}} rows 16 : tensor<24x64x!wmap.block<"q8_0">> -> tensor<2x2x544xui8>
wmap.func @blocks -> tensor<24x40xf32> {
  %0 = wmap.source "blocks" : tensor<24x40xbf16>
  %1 = wmap.quantise %0 : tensor<24x40xbf16> -> tensor<24x64x!wmap.block<"q8_0">>
  %2 = wmap.dequantise %1 : tensor<24x64x!wmap.block<"q8_0">> -> tensor<24x64xf32>
  %3 = wmap.slice %2 axis 1 from 0 : tensor<24x64xf32> -> tensor<24x40xf32>
  wmap.return %3 : tensor<24x40xf32>
}
// CHECK-LABEL: func.func @both
func.func @both(%ids: !clade.tensor<[token], i32>) -> !clade.tensor<[token, vocab = 24], f32> {
  // CHECK-DAG: clade.param @blocks.packed : <[outputs = 24, inputs = 40], f32, #clade.blocks<format = "q8_0", rows = 16>>
  // CHECK-DAG: clade.param @dense : <[e = 40, d = 40], f32>
  %t = clade.param @blocks : !clade.tensor<[vocab = 24, d = 40], f32>
  %d = clade.param @dense : !clade.tensor<[e = 40, d = 40], f32>
  %w = clade.param @blocks : !clade.tensor<[vocab = 24, e = 40], f32>
  %x = clade.embed %ids, %t : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 24, d = 40], f32> -> !clade.tensor<[token, d = 40], f32>
  %y = clade.linear %x, %d : !clade.tensor<[token, d = 40], f32>, !clade.tensor<[e = 40, d = 40], f32> -> !clade.tensor<[token, e = 40], f32>
  %z = clade.linear %y, %w : !clade.tensor<[token, e = 40], f32>, !clade.tensor<[vocab = 24, e = 40], f32> -> !clade.tensor<[token, vocab = 24], f32>
  return %z : !clade.tensor<[token, vocab = 24], f32>
}

// -----

// Rows with one scale: a panel of 16 has 4 bytes and 64 codes for each.

// CHECK: wmap.func @rows.packed -> tensor<2x16x68xui8> {
// CHECK:   wmap.pack_blocks %{{.*}} rows 16 : tensor<24x64x!wmap.block<"q8_row">> -> tensor<2x16x68xui8>
wmap.func @rows -> tensor<24x40xf32> {
  %0 = wmap.source "rows" : tensor<24x40xbf16>
  %1 = wmap.quantise %0 : tensor<24x40xbf16> -> tensor<24x64x!wmap.block<"q8_row">>
  %2 = wmap.dequantise %1 : tensor<24x64x!wmap.block<"q8_row">> -> tensor<24x64xf32>
  %3 = wmap.slice %2 axis 1 from 0 : tensor<24x64xf32> -> tensor<24x40xf32>
  wmap.return %3 : tensor<24x40xf32>
}
// CHECK-LABEL: func.func @of_rows
func.func @of_rows(%x: !clade.tensor<[token, d = 40], f32>) -> !clade.tensor<[token, n = 24], f32> {
  // CHECK: clade.param @rows.packed : <[outputs = 24, inputs = 40], f32, #clade.blocks<format = "q8_row", rows = 16>>
  %w = clade.param @rows : !clade.tensor<[n = 24, d = 40], f32>
  %y = clade.linear %x, %w : !clade.tensor<[token, d = 40], f32>, !clade.tensor<[n = 24, d = 40], f32> -> !clade.tensor<[token, n = 24], f32>
  return %y : !clade.tensor<[token, n = 24], f32>
}

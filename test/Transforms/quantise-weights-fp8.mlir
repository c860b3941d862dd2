// RUN: clade-opt %s --clade-quantise-weights="form=keep keeps-fp8=true" | FileCheck %s
// RUN: clade-opt %s --clade-quantise-weights="form=keep" | FileCheck %s --check-prefix=DECODED

// Codes of FP8 stay what is stored, through the order of their rows; not so where a row is no whole blocks.

// CHECK: wmap.func @w.keep -> tensor<64x256xf32> {
// CHECK-NEXT: %[[CODES:.*]] = wmap.source "w.weight" : tensor<64x256xf8E4M3FN>
// CHECK-NEXT: %[[SCALES:.*]] = wmap.source "w.weight_scale_inv" : tensor<1x2xf32>
// CHECK-NEXT: %[[BLOCKS:.*]] = wmap.scaled_blocks %[[CODES]] by %[[SCALES]] blocks [128, 128]
// CHECK-NEXT: %[[ORDER:.*]] = wmap.rope_unpermute %[[BLOCKS]] heads 2
// CHECK-NEXT: %[[NUMBERS:.*]] = wmap.dequantise %[[ORDER]]
// CHECK-NEXT: wmap.return %[[NUMBERS]]
wmap.func @w -> tensor<64x256xbf16> {
  %0 = wmap.source "w.weight" : tensor<64x256xf8E4M3FN>
  %1 = wmap.source "w.weight_scale_inv" : tensor<1x2xf32>
  %2 = wmap.scale %0 by %1 blocks [128, 128] : (tensor<64x256xf8E4M3FN>, tensor<1x2xf32>) -> tensor<64x256xf32>
  %3 = wmap.rope_unpermute %2 heads 2 : tensor<64x256xf32> -> tensor<64x256xf32>
  %4 = wmap.cast %3 : tensor<64x256xf32> -> tensor<64x256xbf16>
  wmap.return %4 : tensor<64x256xbf16>
}
// CHECK: wmap.func @short -> tensor<64x64xbf16> {
wmap.func @short -> tensor<64x64xbf16> {
  %0 = wmap.source "short.weight" : tensor<64x64xf8E4M3FN>
  %1 = wmap.source "short.weight_scale_inv" : tensor<1x1xf32>
  %2 = wmap.scale %0 by %1 blocks [128, 128] : (tensor<64x64xf8E4M3FN>, tensor<1x1xf32>) -> tensor<64x64xf32>
  %3 = wmap.cast %2 : tensor<64x64xf32> -> tensor<64x64xbf16>
  wmap.return %3 : tensor<64x64xbf16>
}
// CHECK-LABEL: func.func @linear
func.func @linear(%x: !clade.tensor<[token, d = 256], bf16>) -> !clade.tensor<[token, e = 64], bf16> {
  // CHECK: clade.param @w.keep : <[o = 64, d = 256], f32>
  %w = clade.param @w : !clade.tensor<[o = 64, d = 256], bf16>
  // Where products do not read FP8 it is decoded when it is loaded.
  // DECODED: clade.param @w : <[o = 64, d = 256], bf16>
  %y = clade.linear %x, %w : !clade.tensor<[token, d = 256], bf16>, !clade.tensor<[o = 64, d = 256], bf16> -> !clade.tensor<[token, o = 64], bf16>
  // CHECK: clade.param @short : <[e = 64, o = 64], bf16>
  %v = clade.param @short : !clade.tensor<[e = 64, o = 64], bf16>
  %z = clade.linear %y, %v : !clade.tensor<[token, o = 64], bf16>, !clade.tensor<[e = 64, o = 64], bf16> -> !clade.tensor<[token, e = 64], bf16>
  return %z : !clade.tensor<[token, e = 64], bf16>
}

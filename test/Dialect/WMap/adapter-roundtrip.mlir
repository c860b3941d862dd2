// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

// CHECK-LABEL: wmap.func @q -> tensor<8x4xbf16> {
wmap.func @q -> tensor<8x4xbf16> {
  %w = wmap.source "w" : tensor<8x4xbf16>
  %b = wmap.source "b" : tensor<8x2xf32>
  %a = wmap.source "a" : tensor<2x4xf16>
  // CHECK: wmap.low_rank %{{.*}} by %{{.*}} scale 2.000000e+00 : (tensor<8x2xf32>, tensor<2x4xf16>) -> tensor<8x4xf32>
  %0 = wmap.low_rank %b by %a scale 2.0 : (tensor<8x2xf32>, tensor<2x4xf16>) -> tensor<8x4xf32>
  // CHECK: wmap.add %{{.*}} plus %{{.*}} : tensor<8x4xbf16>, tensor<8x4xf32>
  %1 = wmap.add %w plus %0 : tensor<8x4xbf16>, tensor<8x4xf32>
  wmap.return %1 : tensor<8x4xbf16>
}

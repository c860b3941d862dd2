// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

// CHECK-LABEL: wmap.func @w -> tensor<20x40xf32> {
wmap.func @w -> tensor<20x40xf32> {
  %0 = wmap.source "w" : tensor<20x40xbf16>
  // CHECK: wmap.quantise %{{.*}} : tensor<20x40xbf16> -> tensor<20x64x!wmap.block<"q8_0">>
  %1 = wmap.quantise %0 : tensor<20x40xbf16> -> tensor<20x64x!wmap.block<"q8_0">>
  // CHECK: wmap.dequantise %{{.*}} : tensor<20x64x!wmap.block<"q8_0">> -> tensor<20x64xf32>
  %2 = wmap.dequantise %1 : tensor<20x64x!wmap.block<"q8_0">> -> tensor<20x64xf32>
  %3 = wmap.slice %2 axis 1 from 0 : tensor<20x64xf32> -> tensor<20x40xf32>
  wmap.return %3 : tensor<20x40xf32>
}

// CHECK-LABEL: wmap.func @packed -> tensor<3x1x2x576xui8> {
wmap.func @packed -> tensor<3x1x2x576xui8> {
  %0 = wmap.source "w" : tensor<3x20x64x!wmap.block<"q4_0">>
  // CHECK: wmap.pack_blocks %{{.*}} rows 32 : tensor<3x20x64x!wmap.block<"q4_0">> -> tensor<3x1x2x576xui8>
  %1 = wmap.pack_blocks %0 rows 32 : tensor<3x20x64x!wmap.block<"q4_0">> -> tensor<3x1x2x576xui8>
  wmap.return %1 : tensor<3x1x2x576xui8>
}

// CHECK-LABEL: wmap.func @unpacked -> tensor<20x64x!wmap.block<"q8_0">> {
wmap.func @unpacked -> tensor<20x64x!wmap.block<"q8_0">> {
  %0 = wmap.source "packed" : tensor<2x2x544xui8>
  // CHECK: wmap.unpack_blocks %{{.*}} : tensor<2x2x544xui8> -> tensor<20x64x!wmap.block<"q8_0">>
  %1 = wmap.unpack_blocks %0 : tensor<2x2x544xui8> -> tensor<20x64x!wmap.block<"q8_0">>
  wmap.return %1 : tensor<20x64x!wmap.block<"q8_0">>
}

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

// Blocks of 256 columns.
// CHECK-LABEL: wmap.func @long_blocks -> tensor<2x1x6720xui8> {
wmap.func @long_blocks -> tensor<2x1x6720xui8> {
  %0 = wmap.source "w" : tensor<40x200xf32>
  // CHECK: wmap.quantise %{{.*}} : tensor<40x200xf32> -> tensor<40x256x!wmap.block<"q6_k">>
  %1 = wmap.quantise %0 : tensor<40x200xf32> -> tensor<40x256x!wmap.block<"q6_k">>
  // CHECK: wmap.pack_blocks %{{.*}} rows 32 : tensor<40x256x!wmap.block<"q6_k">> -> tensor<2x1x6720xui8>
  %2 = wmap.pack_blocks %1 rows 32 : tensor<40x256x!wmap.block<"q6_k">> -> tensor<2x1x6720xui8>
  wmap.return %2 : tensor<2x1x6720xui8>
}

// CHECK-LABEL: wmap.func @sizes -> tensor<16x256xf32> {
wmap.func @sizes -> tensor<16x256xf32> {
  %0 = wmap.source "w" : tensor<16x256x!wmap.block<"q4_k">>
  // CHECK: rows 16 : tensor<16x256x!wmap.block<"q4_k">> -> tensor<1x1x2304xui8>
  %1 = wmap.pack_blocks %0 rows 16 : tensor<16x256x!wmap.block<"q4_k">> -> tensor<1x1x2304xui8>
  // CHECK: wmap.unpack_blocks %{{.*}} : tensor<1x1x2304xui8> -> tensor<16x256x!wmap.block<"q4_k">>
  %2 = wmap.unpack_blocks %1 : tensor<1x1x2304xui8> -> tensor<16x256x!wmap.block<"q4_k">>
  %3 = wmap.dequantise %2 : tensor<16x256x!wmap.block<"q4_k">> -> tensor<16x256xf32>
  wmap.return %3 : tensor<16x256xf32>
}

// One scale for each row.
// CHECK-LABEL: wmap.func @rows -> tensor<40x128x!wmap.block<"q8_row">> {
wmap.func @rows -> tensor<40x128x!wmap.block<"q8_row">> {
  %0 = wmap.source "w" : tensor<40x100xf32>
  // CHECK: wmap.quantise %{{.*}} : tensor<40x100xf32> -> tensor<40x128x!wmap.block<"q8_row">>
  %1 = wmap.quantise %0 : tensor<40x100xf32> -> tensor<40x128x!wmap.block<"q8_row">>
  // CHECK: wmap.pack_blocks %{{.*}} rows 32 : tensor<40x128x!wmap.block<"q8_row">> -> tensor<2x32x132xui8>
  %2 = wmap.pack_blocks %1 rows 32 : tensor<40x128x!wmap.block<"q8_row">> -> tensor<2x32x132xui8>
  // CHECK: wmap.unpack_blocks %{{.*}} : tensor<2x32x132xui8> -> tensor<40x128x!wmap.block<"q8_row">>
  %3 = wmap.unpack_blocks %2 : tensor<2x32x132xui8> -> tensor<40x128x!wmap.block<"q8_row">>
  wmap.return %3 : tensor<40x128x!wmap.block<"q8_row">>
}

// Codes of FP8 with scales of 128 rows and columns.
// CHECK-LABEL: wmap.func @scaled -> tensor<2x2x2112xui8> {
wmap.func @scaled -> tensor<2x2x2112xui8> {
  %0 = wmap.source "w.weight" : tensor<20x256xf8E4M3FN>
  %1 = wmap.source "w.weight_scale_inv" : tensor<1x2xf32>
  // CHECK: wmap.scaled_blocks %{{.*}} by %{{.*}} blocks [128, 128] : (tensor<20x256xf8E4M3FN>, tensor<1x2xf32>) -> tensor<20x256x!wmap.block<"fp8_128">>
  %2 = wmap.scaled_blocks %0 by %1 blocks [128, 128] : (tensor<20x256xf8E4M3FN>, tensor<1x2xf32>) -> tensor<20x256x!wmap.block<"fp8_128">>
  %3 = wmap.pack_blocks %2 rows 16 : tensor<20x256x!wmap.block<"fp8_128">> -> tensor<2x2x2112xui8>
  wmap.return %3 : tensor<2x2x2112xui8>
}

// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

// The tensors of all experts along a new first axis.

// CHECK-LABEL: wmap.func @plain -> tensor<4x6x8xbf16>
wmap.func @plain -> tensor<4x6x8xbf16> {
  // CHECK: wmap.source "layers.{layer}.experts.{expert}.up" {stack = 4 : i64} : tensor<4x6x8xbf16>
  %0 = wmap.source "layers.{layer}.experts.{expert}.up" {stack = 4 : i64} : tensor<4x6x8xbf16>
  wmap.return %0 : tensor<4x6x8xbf16>
}

// Of blocks too; of vectors, such as biases; of a single expert.
// CHECK-LABEL: wmap.func @blocks
wmap.func @blocks -> tensor<2x4x32xf32> {
  // CHECK: wmap.source "blk.{expert}" {encoding = "Q8_0", stack = 2 : i64} : tensor<2x4x32xf32>
  %0 = wmap.source "blk.{expert}" {encoding = "Q8_0", stack = 2 : i64} : tensor<2x4x32xf32>
  wmap.return %0 : tensor<2x4x32xf32>
}
// CHECK-LABEL: wmap.func @biases
wmap.func @biases -> tensor<3x6xf32> {
  // CHECK: wmap.source "{expert}.bias" {stack = 3 : i64} : tensor<3x6xf32>
  %0 = wmap.source "{expert}.bias" {stack = 3 : i64} : tensor<3x6xf32>
  wmap.return %0 : tensor<3x6xf32>
}
// CHECK-LABEL: wmap.func @single
wmap.func @single -> tensor<1x6xf32> {
  // CHECK: wmap.source "{expert}.bias" {stack = 1 : i64} : tensor<1x6xf32>
  %0 = wmap.source "{expert}.bias" {stack = 1 : i64} : tensor<1x6xf32>
  wmap.return %0 : tensor<1x6xf32>
}

// Each matrix of a stack in panels of its own: 6 and 40 rows of panels of 16.
// CHECK-LABEL: wmap.func @packed -> tensor<4x1x4x16x2xbf16>
wmap.func @packed -> tensor<4x1x4x16x2xbf16> {
  %0 = wmap.source "experts.{expert}.up" {stack = 4 : i64} : tensor<4x6x8xbf16>
  // CHECK: wmap.pack %{{.*}} rows 16 inner 2 : tensor<4x6x8xbf16> -> tensor<4x1x4x16x2xbf16>
  %1 = wmap.pack %0 rows 16 inner 2 : tensor<4x6x8xbf16> -> tensor<4x1x4x16x2xbf16>
  wmap.return %1 : tensor<4x1x4x16x2xbf16>
}
// CHECK-LABEL: wmap.func @ragged -> tensor<2x3x3x16x2xf32>
wmap.func @ragged -> tensor<2x3x3x16x2xf32> {
  %0 = wmap.source "gate_up" : tensor<2x5x40xf32>
  %1 = wmap.transpose %0 [0, 2, 1] : tensor<2x5x40xf32> -> tensor<2x40x5xf32>
  // CHECK: wmap.pack %{{.*}} rows 16 inner 2 : tensor<2x40x5xf32> -> tensor<2x3x3x16x2xf32>
  %2 = wmap.pack %1 rows 16 inner 2 : tensor<2x40x5xf32> -> tensor<2x3x3x16x2xf32>
  wmap.return %2 : tensor<2x3x3x16x2xf32>
}

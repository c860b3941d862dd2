// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

// CHECK-LABEL: wmap.func @codes -> tensor<5x96xf16> {
wmap.func @codes -> tensor<5x96xf16> {
  // CHECK: wmap.source "w" : tensor<5x12xsi32>
  %w = wmap.source "w" : tensor<5x12xsi32>
  // CHECK: wmap.bitcast %{{.*}} : tensor<5x12xsi32> -> tensor<5x96xui4>
  %0 = wmap.bitcast %w : tensor<5x12xsi32> -> tensor<5x96xui4>
  // CHECK: wmap.cast %{{.*}} : tensor<5x96xui4> -> tensor<5x96xf32>
  %1 = wmap.cast %0 : tensor<5x96xui4> -> tensor<5x96xf32>
  %z = wmap.source "z" : tensor<5x3xui8>
  // CHECK: wmap.subtract %{{.*}} minus %{{.*}} blocks [1, 32] : (tensor<5x96xf32>, tensor<5x3xui8>) -> tensor<5x96xf32>
  %2 = wmap.subtract %1 minus %z blocks [1, 32] : (tensor<5x96xf32>, tensor<5x3xui8>) -> tensor<5x96xf32>
  %s = wmap.source "s" : tensor<2x1xf8E8M0FNU>
  // CHECK: wmap.scale %{{.*}} by %{{.*}} blocks [3, 128] : (tensor<5x96xf32>, tensor<2x1xf8E8M0FNU>) -> tensor<5x96xf32>
  %3 = wmap.scale %2 by %s blocks [3, 128] : (tensor<5x96xf32>, tensor<2x1xf8E8M0FNU>) -> tensor<5x96xf32>
  %g = wmap.source "g" : tensor<1x1xf32>
  // CHECK: wmap.divide %{{.*}} by %{{.*}} blocks [5, 96] : (tensor<5x96xf32>, tensor<1x1xf32>) -> tensor<5x96xf32>
  %d = wmap.divide %3 by %g blocks [5, 96] : (tensor<5x96xf32>, tensor<1x1xf32>) -> tensor<5x96xf32>
  %4 = wmap.cast %d : tensor<5x96xf32> -> tensor<5x96xf16>
  wmap.return %4 : tensor<5x96xf16>
}

// CHECK-LABEL: wmap.func @tables -> tensor<6x4xf32> {
wmap.func @tables -> tensor<6x4xf32> {
  // CHECK: wmap.constant [0.000000e+00, 5.000000e-01, {{.*}}, -0.000000e+00] : tensor<16xf32>
  %t = wmap.constant [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0, -0.0] : tensor<16xf32>
  %w = wmap.source "w" : tensor<2x2xui8>
  // CHECK: wmap.bitcast %{{.*}} {high_first} : tensor<2x2xui8> -> tensor<2x4xui4>
  %c = wmap.bitcast %w {high_first} : tensor<2x2xui8> -> tensor<2x4xui4>
  // CHECK: wmap.gather %{{.*}} by %{{.*}} : (tensor<16xf32>, tensor<2x4xui4>) -> tensor<2x4xf32>
  %0 = wmap.gather %t by %c : (tensor<16xf32>, tensor<2x4xui4>) -> tensor<2x4xf32>
  %i = wmap.source "i" : tensor<6xsi64>
  // CHECK: wmap.gather %{{.*}} by %{{.*}} : (tensor<2x4xf32>, tensor<6xsi64>) -> tensor<6x4xf32>
  %1 = wmap.gather %0 by %i : (tensor<2x4xf32>, tensor<6xsi64>) -> tensor<6x4xf32>
  wmap.return %1 : tensor<6x4xf32>
}

// CHECK-LABEL: wmap.func @tables_of_experts
wmap.func @tables_of_experts -> tensor<2x6x4xf16> {
  %s = wmap.source "s.{expert}" {stack = 2 : i64} : tensor<2x3x4xf16>
  %i = wmap.source "i.{expert}" {stack = 2 : i64} : tensor<2x6xsi32>
  // CHECK: wmap.gather %{{.*}} by %{{.*}} : (tensor<2x3x4xf16>, tensor<2x6xsi32>) -> tensor<2x6x4xf16>
  %0 = wmap.gather %s by %i : (tensor<2x3x4xf16>, tensor<2x6xsi32>) -> tensor<2x6x4xf16>
  wmap.return %0 : tensor<2x6x4xf16>
}

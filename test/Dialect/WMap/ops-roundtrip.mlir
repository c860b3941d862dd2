// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

// CHECK-LABEL: wmap.func @all -> tensor<2x3x32x2xbf16> {
wmap.func @all -> tensor<2x3x32x2xbf16> {
  // CHECK: wmap.source "layers.{layer}.a" : tensor<20x6xf32>
  %a = wmap.source "layers.{layer}.a" : tensor<20x6xf32>
  // CHECK: wmap.source "b" {encoding = "Q8_0"} : tensor<20x32xf32>
  %b = wmap.source "b" {encoding = "Q8_0"} : tensor<20x32xf32>
  // CHECK: wmap.slice %{{.*}} axis 1 from 26 : tensor<20x32xf32> -> tensor<20x6xf32>
  %0 = wmap.slice %b axis 1 from 26 : tensor<20x32xf32> -> tensor<20x6xf32>
  // CHECK: wmap.concat %{{.*}}, %{{.*}} axis 0 : (tensor<20x6xf32>, tensor<20x6xf32>) -> tensor<40x6xf32>
  %1 = wmap.concat %a, %0 axis 0 : (tensor<20x6xf32>, tensor<20x6xf32>) -> tensor<40x6xf32>
  // CHECK: wmap.rope_unpermute %{{.*}} heads 5 : tensor<40x6xf32> -> tensor<40x6xf32>
  %2 = wmap.rope_unpermute %1 heads 5 : tensor<40x6xf32> -> tensor<40x6xf32>
  // CHECK: wmap.transpose %{{.*}} [1, 0] : tensor<40x6xf32> -> tensor<6x40xf32>
  %3 = wmap.transpose %2 [1, 0] : tensor<40x6xf32> -> tensor<6x40xf32>
  // CHECK: wmap.reshape %{{.*}} : tensor<6x40xf32> -> tensor<40x6xf32>
  %4 = wmap.reshape %3 : tensor<6x40xf32> -> tensor<40x6xf32>
  // CHECK: wmap.shift %{{.*}} by -1.000000e+00 : tensor<40x6xf32> -> tensor<40x6xf32>
  %5 = wmap.shift %4 by -1.0 : tensor<40x6xf32> -> tensor<40x6xf32>
  // CHECK: wmap.unit_rows %{{.*}} : tensor<40x6xf32> -> tensor<40x6xf32>
  %6 = wmap.unit_rows %5 : tensor<40x6xf32> -> tensor<40x6xf32>
  // CHECK: wmap.cast %{{.*}} : tensor<40x6xf32> -> tensor<40x6xbf16>
  %7 = wmap.cast %6 : tensor<40x6xf32> -> tensor<40x6xbf16>
  // CHECK: wmap.pack %{{.*}} rows 32 inner 2 : tensor<40x6xbf16> -> tensor<2x3x32x2xbf16>
  %8 = wmap.pack %7 rows 32 inner 2 : tensor<40x6xbf16> -> tensor<2x3x32x2xbf16>
  // CHECK: wmap.return %{{.*}} : tensor<2x3x32x2xbf16>
  wmap.return %8 : tensor<2x3x32x2xbf16>
}

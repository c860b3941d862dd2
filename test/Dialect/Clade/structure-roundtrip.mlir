// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!x = !clade.tensor<[token, d = 8], f32>

wmap.func @norm -> tensor<8xf32> {
  %0 = wmap.source "layers.{layer}.norm" : tensor<8xf32>
  wmap.return %0 : tensor<8xf32>
}
wmap.func @packed -> tensor<1x4x32x2xf32> {
  %0 = wmap.source "w" : tensor<8x8xf32>
  %1 = wmap.pack %0 rows 32 inner 2 : tensor<8x8xf32> -> tensor<1x4x32x2xf32>
  wmap.return %1 : tensor<1x4x32x2xf32>
}

// CHECK-LABEL: func.func @kind
func.func @kind(%x: !x, %batch: !clade.batch) -> !x {
  // CHECK: clade.param @norm : <[d = 8], f32>
  %0 = clade.param @norm : !clade.tensor<[d = 8], f32>
  // CHECK: clade.param @packed : <[o = 8, i = 8], f32, #clade.panels<rows = 32, inner = 2>>
  %1 = clade.param @packed : !clade.tensor<[o = 8, i = 8], f32, #clade.panels<rows = 32, inner = 2>>
  return %x : !x
}

// CHECK-LABEL: @stacked
func.func @stacked(%a: !clade.tensor<[o = 8, i = 8], f32>, %b: !clade.tensor<[o = 3, i = 8], f32>) -> !clade.tensor<[outputs = 11, inputs = 8], f32> {
  // CHECK: clade.stack_rows %{{.*}}, %{{.*}} : (!clade.tensor<[o = 8, i = 8], f32>, !clade.tensor<[o = 3, i = 8], f32>) -> !clade.tensor<[outputs = 11, inputs = 8], f32>
  %0 = clade.stack_rows %a, %b : (!clade.tensor<[o = 8, i = 8], f32>, !clade.tensor<[o = 3, i = 8], f32>) -> !clade.tensor<[outputs = 11, inputs = 8], f32>
  return %0 : !clade.tensor<[outputs = 11, inputs = 8], f32>
}

// CHECK: clade.schedule @layers kinds [@kind] rows [0, 0, 0]
clade.schedule @layers kinds [@kind] rows [0, 0, 0]

// CHECK-LABEL: @model
func.func @model(%x: !x, %batch: !clade.batch) -> !x {
  // CHECK: clade.constant 1.500000e+00 : <[], f32>
  %0 = clade.constant 1.5 : !clade.tensor<[], f32>
  // CHECK: clade.layers @layers(%{{.*}}, %{{.*}}) : (!clade.tensor<[token, d = 8], f32>, !clade.batch) -> !clade.tensor<[token, d = 8], f32>
  %1 = clade.layers @layers(%x, %batch) : (!x, !clade.batch) -> !x
  return %1 : !x
}

// CHECK-LABEL: @kernels
func.func @kernels(%x: !x, %w: !clade.tensor<[o = 8, i = 8], f32>, %batch: !clade.batch) {
  // CHECK: clade.kernel product(%{{.*}}, %{{.*}}) : (!clade.tensor<[token, d = 8], f32>, !clade.tensor<[o = 8, i = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
  %0 = clade.kernel product (%x, %w) : (!x, !clade.tensor<[o = 8, i = 8], f32>) -> !x {
  ^bb0(%a: !x, %b: !clade.tensor<[o = 8, i = 8], f32>):
    %1 = clade.linear %a, %b : !x, !clade.tensor<[o = 8, i = 8], f32> -> !x
    // CHECK: clade.yield %{{.*}} : !clade.tensor<[token, d = 8], f32>
    clade.yield %1 : !x
  }
  // CHECK: clade.kernel tokenwise() : () -> () {
  clade.kernel tokenwise () : () -> () {
    // CHECK-NEXT: clade.yield{{$}}
    clade.yield
  }
  // CHECK: clade.kernel attention(
  %q = clade.view %x : !x -> !clade.tensor<[token, heads = 2, head = 4], f32>
  %2 = clade.kernel attention (%q, %batch) : (!clade.tensor<[token, heads = 2, head = 4], f32>, !clade.batch) -> !clade.tensor<[token, heads = 2, head = 4], f32> {
  ^bb0(%a: !clade.tensor<[token, heads = 2, head = 4], f32>, %b: !clade.batch):
    %3 = clade.attend_cached %a, %b state 0 kv_heads 1 scale 0.5 : !clade.tensor<[token, heads = 2, head = 4], f32> -> !clade.tensor<[token, heads = 2, head = 4], f32>
    clade.yield %3 : !clade.tensor<[token, heads = 2, head = 4], f32>
  }
  return
}

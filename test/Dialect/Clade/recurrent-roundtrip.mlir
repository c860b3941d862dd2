// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!x = !clade.tensor<[token, c = 8], bf16>
!s = !clade.tensor<[heads = 2, head = 4], f32>
!a = !clade.tensor<[token, heads = 2], f32>

// CHECK-LABEL: @causal_conv
func.func @causal_conv(%x: !x, %w: !clade.tensor<[c = 8, taps = 4], bf16>, %b: !clade.tensor<[c = 8], bf16>, %batch: !clade.batch) {
  // CHECK: clade.causal_conv %{{.*}}, %{{.*}}, %{{.*}} state 0 : <[token, c = 8], bf16>, <[c = 8, taps = 4], bf16>{{$}}
  %0 = clade.causal_conv %x, %w, %batch state 0 : !x, !clade.tensor<[c = 8, taps = 4], bf16>
  // CHECK: clade.causal_conv %{{.*}}, %{{.*}} bias %{{.*}}, %{{.*}} state 1 : <[token, c = 8], bf16>, <[c = 8, taps = 4], bf16>, !clade.tensor<[c = 8], bf16>
  %1 = clade.causal_conv %x, %w bias %b, %batch state 1 : !x, !clade.tensor<[c = 8, taps = 4], bf16>, !clade.tensor<[c = 8], bf16>
  return
}

// CHECK-LABEL: @scan
func.func @scan(%s: !s, %a: !a, %w: !clade.tensor<[heads = 2], f32>, %batch: !clade.batch) -> !clade.tensor<[token, heads = 2, head = 4], f32> {
  // CHECK: %[[Y:.*]] = clade.scan %{{.*}} state 0 carry(%{{.*}} : !clade.tensor<[heads = 2, head = 4], f32>) over(%{{.*}}, %{{.*}} : !clade.tensor<[token, heads = 2], f32>, !clade.tensor<[heads = 2], f32>) -> !clade.tensor<[token, heads = 2, head = 4], f32> {
  %0 = clade.scan %batch state 0 carry(%s : !s) over(%a, %w : !a, !clade.tensor<[heads = 2], f32>) -> !clade.tensor<[token, heads = 2, head = 4], f32> {
  // CHECK-NEXT: ^bb0(%[[S:.*]]: !clade.tensor<[heads = 2, head = 4], f32>, %[[A:.*]]: !clade.tensor<[heads = 2], f32>, %[[W:.*]]: !clade.tensor<[heads = 2], f32>):
  ^bb0(%t: !s, %r: !clade.tensor<[heads = 2], f32>, %v: !clade.tensor<[heads = 2], f32>):
    %1 = clade.binary mul %t, %r : !s, !clade.tensor<[heads = 2], f32> -> !s
    // CHECK: clade.yield
    clade.yield %1, %1 : !s, !s
  }
  return %0 : !clade.tensor<[token, heads = 2, head = 4], f32>
}

// CHECK-LABEL: @scan_of_nothing
func.func @scan_of_nothing(%a: !a, %batch: !clade.batch) {
  // CHECK: clade.scan %{{.*}} state 3 carry() over(%{{.*}} : !clade.tensor<[token, heads = 2], f32>) -> !clade.tensor<[token, heads = 2], f32> {
  %0 = clade.scan %batch state 3 carry() over(%a : !a) -> !a {
  ^bb0(%r: !clade.tensor<[heads = 2], f32>):
    clade.yield %r : !clade.tensor<[heads = 2], f32>
  }
  return
}

// CHECK-LABEL: @repeat
func.func @repeat(%a: !a) {
  // CHECK: clade.repeat %{{.*}} "heads" : <[token, heads = 2], f32> -> <[token, all = 6], f32>
  %0 = clade.repeat %a "heads" : !a -> !clade.tensor<[token, all = 6], f32>
  return
}

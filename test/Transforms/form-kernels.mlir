// RUN: clade-opt %s --clade-kernel-pipeline | FileCheck %s

// Norm into its consumer, activation and residual into epilogues, weights in panels.

wmap.func @up -> tensor<8x4xbf16> {
  %0 = wmap.source "up" : tensor<8x4xbf16>
  wmap.return %0 : tensor<8x4xbf16>
}
wmap.func @down -> tensor<4x8xbf16> {
  %0 = wmap.source "down" : tensor<4x8xbf16>
  wmap.return %0 : tensor<4x8xbf16>
}

// CHECK: wmap.func @up.packed -> tensor<1x2x32x2xbf16>
// CHECK: wmap.pack {{.*}} rows 32 inner 2
// CHECK-LABEL: func.func @mlp
// CHECK: %[[UP:.*]] = clade.kernel product(%arg0)
// CHECK: clade.reduce mean
// CHECK: %[[L:.*]] = clade.linear {{.*}} #clade.panels<rows = 32, inner = 2>
// CHECK: %[[ACT:.*]] = clade.unary silu %[[L]]
// CHECK: clade.yield %[[ACT]]
// CHECK: %[[DOWN:.*]] = clade.kernel product(%[[UP]], %arg0)
// CHECK: %[[Y:.*]] = clade.linear
// CHECK: %[[SUM:.*]] = clade.binary add %{{.*}}, %[[Y]]
// CHECK: clade.yield %[[SUM]]
// CHECK-NOT: clade.kernel
// CHECK: return %[[DOWN]]
func.func @mlp(%x: !clade.tensor<[token, d = 4], bf16>) -> !clade.tensor<[token, d = 4], bf16> {
  %0 = clade.cast %x : !clade.tensor<[token, d = 4], bf16> -> !clade.tensor<[token, d = 4], f32>
  %1 = clade.binary mul %0, %0 : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token, d = 4], f32>
  %2 = clade.reduce mean %1 over ["d"] : !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token], f32>
  %3 = clade.unary rsqrt %2 : !clade.tensor<[token], f32> -> !clade.tensor<[token], f32>
  %4 = clade.binary mul %0, %3 : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[token], f32> -> !clade.tensor<[token, d = 4], f32>
  %5 = clade.cast %4 : !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token, d = 4], bf16>
  %w = clade.param @up : !clade.tensor<[ffn = 8, d = 4], bf16>
  %6 = clade.linear %5, %w : !clade.tensor<[token, d = 4], bf16>, !clade.tensor<[ffn = 8, d = 4], bf16> -> !clade.tensor<[token, ffn = 8], bf16>
  %7 = clade.unary silu %6 : !clade.tensor<[token, ffn = 8], bf16> -> !clade.tensor<[token, ffn = 8], bf16>
  %v = clade.param @down : !clade.tensor<[d = 4, ffn = 8], bf16>
  %8 = clade.linear %7, %v : !clade.tensor<[token, ffn = 8], bf16>, !clade.tensor<[d = 4, ffn = 8], bf16> -> !clade.tensor<[token, d = 4], bf16>
  %9 = clade.binary add %x, %8 : !clade.tensor<[token, d = 4], bf16>, !clade.tensor<[token, d = 4], bf16> -> !clade.tensor<[token, d = 4], bf16>
  return %9 : !clade.tensor<[token, d = 4], bf16>
}

// Rotation and cache write are one kernel, before attention.

// CHECK-LABEL: func.func @attention
// CHECK: %[[Q:.*]] = clade.kernel tokenwise
// CHECK: clade.rope halves
// CHECK: clade.rope halves
// CHECK: clade.cache_write
// CHECK: clade.kernel attention(%[[Q]]
// CHECK-NOT: clade.kernel
func.func @attention(%q: !clade.tensor<[token, q_heads = 2, head = 4], f32>, %k: !clade.tensor<[token, kv_heads = 1, head = 4], f32>,
                     %v: !clade.tensor<[token, kv_heads = 1, head = 4], f32>, %cos: !clade.tensor<[token, rotary = 2], f32>,
                     %sin: !clade.tensor<[token, rotary = 2], f32>, %batch: !clade.batch) -> !clade.tensor<[token, q_heads = 2, head = 4], f32> {
  %0 = clade.rope halves %q, %cos, %sin : !clade.tensor<[token, q_heads = 2, head = 4], f32>, !clade.tensor<[token, rotary = 2], f32>
  %1 = clade.rope halves %k, %cos, %sin : !clade.tensor<[token, kv_heads = 1, head = 4], f32>, !clade.tensor<[token, rotary = 2], f32>
  %2 = clade.attend %0, %1, %v, %batch state 0 scale 0.5
      : (!clade.tensor<[token, q_heads = 2, head = 4], f32>, !clade.tensor<[token, kv_heads = 1, head = 4], f32>,
         !clade.tensor<[token, kv_heads = 1, head = 4], f32>) -> !clade.tensor<[token, q_heads = 2, head = 4], f32>
  return %2 : !clade.tensor<[token, q_heads = 2, head = 4], f32>
}

// A convolution with the activation behind it, then a scan that makes its inputs itself: two kernels.
wmap.func @conv -> tensor<8x4xbf16> {
  %0 = wmap.source "conv" : tensor<8x1x4xbf16>
  %1 = wmap.reshape %0 : tensor<8x1x4xbf16> -> tensor<8x4xbf16>
  wmap.return %1 : tensor<8x4xbf16>
}
// CHECK-LABEL: func.func @recurrent
// CHECK: %[[CONV:.*]] = clade.kernel recurrent(%{{.*}}, %{{.*}})
// CHECK: clade.slice
// CHECK: %[[C:.*]] = clade.causal_conv
// CHECK: %[[A:.*]] = clade.unary silu %[[C]]
// CHECK: clade.yield %[[A]]
// CHECK: clade.kernel recurrent(%{{.*}}, %[[CONV]])
// CHECK: clade.spread
// CHECK: %[[Y:.*]] = clade.scan
// CHECK: clade.cast
// CHECK: clade.yield %[[Y]] : !clade.tensor<[token, heads = 2, d = 4], f32>
// CHECK-NOT: clade.kernel
// CHECK: return
func.func @recurrent(%x: !clade.tensor<[token, all = 20], bf16>, %batch: !clade.batch) -> !clade.tensor<[token, heads = 2, d = 4], f32> {
  %part = clade.slice %x "all" from 12 : !clade.tensor<[token, all = 20], bf16> -> !clade.tensor<[token, c = 8], bf16>
  %w = clade.param @conv : !clade.tensor<[c = 8, taps = 4], bf16>
  %conv = clade.causal_conv %part, %w, %batch state 0 : !clade.tensor<[token, c = 8], bf16>, !clade.tensor<[c = 8, taps = 4], bf16>
  %act = clade.unary silu %conv : !clade.tensor<[token, c = 8], bf16> -> !clade.tensor<[token, c = 8], bf16>
  %heads = clade.view %act : !clade.tensor<[token, c = 8], bf16> -> !clade.tensor<[token, heads = 2, d = 4], bf16>
  %wide = clade.cast %heads : !clade.tensor<[token, heads = 2, d = 4], bf16> -> !clade.tensor<[token, heads = 2, d = 4], f32>
  %c = clade.constant 0.0 : !clade.tensor<[], f32>
  %zero = clade.spread %c : !clade.tensor<[], f32> -> !clade.tensor<[heads = 2, d = 4], f32>
  %y = clade.scan %batch state 1 carry(%zero : !clade.tensor<[heads = 2, d = 4], f32>) over(%wide : !clade.tensor<[token, heads = 2, d = 4], f32>) -> !clade.tensor<[token, heads = 2, d = 4], f32> {
  ^bb0(%s: !clade.tensor<[heads = 2, d = 4], f32>, %a: !clade.tensor<[heads = 2, d = 4], f32>):
    %0 = clade.binary add %s, %a : !clade.tensor<[heads = 2, d = 4], f32>, !clade.tensor<[heads = 2, d = 4], f32> -> !clade.tensor<[heads = 2, d = 4], f32>
    clade.yield %0, %0 : !clade.tensor<[heads = 2, d = 4], f32>, !clade.tensor<[heads = 2, d = 4], f32>
  }
  return %y : !clade.tensor<[token, heads = 2, d = 4], f32>
}

// A value that a layer returns for two of its results is copied, so that each has a place of its own; one that it passes on
// is not.

// CHECK-LABEL: func.func @twice
// CHECK: %[[X:.*]] = clade.kernel tokenwise(%arg0)
// CHECK: clade.unary silu
// CHECK: %[[COPY:.*]] = clade.kernel tokenwise(%[[X]])
// CHECK: clade.view
// CHECK-NOT: clade.kernel
// CHECK: return %[[X]], %[[COPY]], %arg1
func.func @twice(%x: !clade.tensor<[token, d = 4], f32>, %kept: !clade.tensor<[token, d = 4], f32>)
    -> (!clade.tensor<[token, d = 4], f32>, !clade.tensor<[token, d = 4], f32>, !clade.tensor<[token, d = 4], f32>) {
  %0 = clade.unary silu %x : !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token, d = 4], f32>
  return %0, %0, %kept : !clade.tensor<[token, d = 4], f32>, !clade.tensor<[token, d = 4], f32>, !clade.tensor<[token, d = 4], f32>
}

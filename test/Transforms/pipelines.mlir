// RUN: clade-opt %s --clade-fuse-pipeline | FileCheck %s --check-prefix=FUSE
// RUN: clade-opt %s --clade-fuse-pipeline --clade-kernel-pipeline | FileCheck %s --check-prefix=KERNELS

// A small decoder through all passes: what is fused, and the kernels in order.

!x = !clade.tensor<[token, d = 4], f32>
!q = !clade.tensor<[token, q_heads = 2, head = 2], f32>
!k = !clade.tensor<[token, kv_heads = 1, head = 2], f32>

wmap.func @embed -> tensor<16x4xf32> {
  %0 = wmap.source "embed" : tensor<16x4xf32>
  wmap.return %0 : tensor<16x4xf32>
}
wmap.func @"l.{layer}.q" -> tensor<4x4xf32> {
  %0 = wmap.source "l.{layer}.q" : tensor<4x4xf32>
  wmap.return %0 : tensor<4x4xf32>
}
wmap.func @"l.{layer}.k" -> tensor<2x4xf32> {
  %0 = wmap.source "l.{layer}.k" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
wmap.func @"l.{layer}.v" -> tensor<2x4xf32> {
  %0 = wmap.source "l.{layer}.v" : tensor<2x4xf32>
  wmap.return %0 : tensor<2x4xf32>
}
wmap.func @"l.{layer}.o" -> tensor<4x4xf32> {
  %0 = wmap.source "l.{layer}.o" : tensor<4x4xf32>
  wmap.return %0 : tensor<4x4xf32>
}

// FUSE: wmap.func @"l.{layer}.q+k+v" -> tensor<8x4xf32>
// FUSE-LABEL: func.func @layer
// FUSE-COUNT-2: clade.linear
// FUSE-NOT: clade.linear

// KERNELS: wmap.func @"l.{layer}.q+k+v.packed"
// KERNELS: wmap.func @"l.{layer}.o.packed"
// KERNELS-LABEL: func.func @layer
// KERNELS:      %[[QKV:.*]] = clade.kernel product(%arg0)
// KERNELS:      %[[Q:.*]] = clade.kernel tokenwise(%[[QKV]], %arg1)
// KERNELS:        clade.cache_write
// KERNELS:      %[[Y:.*]] = clade.kernel attention(%[[Q]], %arg1)
// KERNELS:      clade.kernel product(%[[Y]], %arg0)
// KERNELS:        clade.linear
// KERNELS:        clade.binary add
// KERNELS-NOT:  clade.kernel
func.func @layer(%x: !x, %batch: !clade.batch) -> !x {
  %wq = clade.param @"l.{layer}.q" : !clade.tensor<[q_heads = 2, head = 2, d = 4], f32>
  %q = clade.linear %x, %wq : !x, !clade.tensor<[q_heads = 2, head = 2, d = 4], f32> -> !q
  %wk = clade.param @"l.{layer}.k" : !clade.tensor<[kv_heads = 1, head = 2, d = 4], f32>
  %k = clade.linear %x, %wk : !x, !clade.tensor<[kv_heads = 1, head = 2, d = 4], f32> -> !k
  %wv = clade.param @"l.{layer}.v" : !clade.tensor<[kv_heads = 1, head = 2, d = 4], f32>
  %v = clade.linear %x, %wv : !x, !clade.tensor<[kv_heads = 1, head = 2, d = 4], f32> -> !k
  %y = clade.attend %q, %k, %v, %batch state 0 scale 0.5 : (!q, !k, !k) -> !q
  %wo = clade.param @"l.{layer}.o" : !clade.tensor<[d = 4, q_heads = 2, head = 2], f32>
  %o = clade.linear %y, %wo : !q, !clade.tensor<[d = 4, q_heads = 2, head = 2], f32> -> !x
  %r = clade.binary add %x, %o : !x, !x -> !x
  return %r : !x
}
clade.schedule @layers kinds [@layer] rows [0, 0, 0]

// The logits only of tokens that are asked for, by the embedding's own weight.
// FUSE-LABEL: func.func @forward
// FUSE:       clade.layers
// FUSE:       %[[S:.*]] = clade.select
// FUSE:       %[[T:.*]] = clade.unary tanh %[[S]]
// FUSE:       clade.linear %[[T]]
// KERNELS-LABEL: func.func @forward
// KERNELS:      %[[IN:.*]] = clade.kernel tokenwise(%arg0)
// KERNELS:        clade.embed
// KERNELS:      %[[OUT:.*]] = clade.layers @layers(%[[IN]], %arg1)
// KERNELS:      %[[S:.*]] = clade.kernel tokenwise(%[[OUT]], %arg1)
// KERNELS:        clade.select
// KERNELS:      %[[L:.*]] = clade.kernel product(%[[S]])
// KERNELS:        clade.unary tanh
// KERNELS:        clade.param @embed.packed
// KERNELS:      return %[[L]]
func.func @forward(%tokens: !clade.tensor<[token], i32>, %batch: !clade.batch) -> !clade.tensor<[selected, vocab = 16], f32> {
  %w = clade.param @embed : !clade.tensor<[vocab = 16, d = 4], f32>
  %x = clade.embed %tokens, %w : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 16, d = 4], f32> -> !x
  %y = clade.layers @layers(%x, %batch) : (!x, !clade.batch) -> !x
  %z = clade.unary tanh %y : !x -> !x
  %logits = clade.linear %z, %w : !x, !clade.tensor<[vocab = 16, d = 4], f32> -> !clade.tensor<[token, vocab = 16], f32>
  %s = clade.select %logits, %batch : !clade.tensor<[token, vocab = 16], f32> -> !clade.tensor<[selected, vocab = 16], f32>
  return %s : !clade.tensor<[selected, vocab = 16], f32>
}

// RUN: clade-opt %s --clade-absorb-latent --split-input-file | FileCheck %s
// RUN: clade-opt %s --clade-absorb-latent=only-smaller --split-input-file | FileCheck %s --check-prefix=SMALL
// RUN: clade-opt %s --clade-absorb-latent --clade-make-state-explicit --split-input-file | FileCheck %s --check-prefix=STATE

// Two heads with keys of 4 + 2 and values of 3 elements from a latent of 8. The
// key half of the weight is transposed and multiplies the queries, the value
// half comes behind the attention; what is kept of a token are 8 + 2 elements.

// CHECK: wmap.func @kv_b.keys -> tensor<2x8x4xf32> {
// CHECK:   %[[K0:.*]] = wmap.source "kv_b" : tensor<14x8xf32>
// CHECK:   %[[K1:.*]] = wmap.reshape %[[K0]] : tensor<14x8xf32> -> tensor<2x7x8xf32>
// CHECK:   %[[K2:.*]] = wmap.slice %[[K1]] axis 1 from 0 : tensor<2x7x8xf32> -> tensor<2x4x8xf32>
// CHECK:   %[[K3:.*]] = wmap.transpose %[[K2]] [0, 2, 1] : tensor<2x4x8xf32> -> tensor<2x8x4xf32>
// CHECK:   wmap.return %[[K3]]
// CHECK: wmap.func @kv_b.values -> tensor<2x3x8xf32> {
// CHECK:   wmap.slice %{{.*}} axis 1 from 4 : tensor<2x7x8xf32> -> tensor<2x3x8xf32>
// CHECK-NOT: wmap.func @kv_b ->
wmap.func @kv_b -> tensor<14x8xf32> {
  %0 = wmap.source "kv_b" : tensor<14x8xf32>
  wmap.return %0 : tensor<14x8xf32>
}
// CHECK-LABEL: func.func @latent
// CHECK-SAME: (%[[QN:.*]]: !clade.tensor<[token, heads = 2, nope = 4], f32>, %[[QR:[a-z0-9]+]]: {{.*}}, %[[C:[a-z0-9]+]]: {{.*}}, %[[R:[a-z0-9]+]]: {{.*}}, %[[B:[a-z0-9]+]]: !clade.batch)
func.func @latent(%qn: !clade.tensor<[token, heads = 2, nope = 4], f32>, %qr: !clade.tensor<[token, heads = 2, pe = 2], f32>,
                  %c: !clade.tensor<[token, rank = 8], f32>, %r: !clade.tensor<[token, pe = 2], f32>, %batch: !clade.batch)
    -> !clade.tensor<[token, heads = 2, v = 3], f32> {
  // CHECK: %[[WK:.*]] = clade.param @kv_b.keys : <[heads = 2, rank = 8, nope = 4], f32>
  // CHECK: %[[QC:.*]] = clade.head_linear %[[QN]], %[[WK]] : {{.*}} -> <[token, heads = 2, rank = 8], f32>
  // CHECK: %[[Q:.*]] = clade.join %[[QC]], %[[QR]] : {{.*}} -> !clade.tensor<[token, heads = 2, "rank+pe" = 10], f32>
  // CHECK: %[[ROW:.*]] = clade.join %[[C]], %[[R]]
  // CHECK: %[[K:.*]] = clade.view %[[ROW]] : {{.*}} -> <[token, kv_heads = 1, "rank+pe" = 10], f32>
  // CHECK: %[[V:.*]] = clade.slice %[[K]] "rank+pe" from 0 : {{.*}} -> <[token, kv_heads = 1, rank = 8], f32>
  // CHECK: %[[SUM:.*]] = clade.attend %[[Q]], %[[K]], %[[V]], %[[B]] state 3 scale 5.000000e-01 {window = 9 : i64}
  // CHECK: %[[WV:.*]] = clade.param @kv_b.values : <[heads = 2, v = 3, rank = 8], f32>
  // CHECK: %[[Y:.*]] = clade.head_linear %[[SUM]], %[[WV]] : <[token, heads = 2, rank = 8], f32>, <[heads = 2, v = 3, rank = 8], f32> -> <[token, heads = 2, v = 3], f32>
  // SMALL: clade.head_linear
  // STATE: clade.cache_write %[[K:.*]], %[[V:.*]], %{{.*}} state 3 {shared}
  // STATE: clade.attend_cached %{{.*}} state 3 kv_heads 1 scale 5.000000e-01 {shared, window = 9 : i64}
  // CHECK-NOT: clade.linear
  // CHECK: return %[[Y]]
  %q = clade.join %qn, %qr : (!clade.tensor<[token, heads = 2, nope = 4], f32>, !clade.tensor<[token, heads = 2, pe = 2], f32>) -> !clade.tensor<[token, heads = 2, "nope+pe" = 6], f32>
  %w = clade.param @kv_b : !clade.tensor<[heads = 2, "nope+v" = 7, rank = 8], f32>
  %kv = clade.linear %c, %w : !clade.tensor<[token, rank = 8], f32>, !clade.tensor<[heads = 2, "nope+v" = 7, rank = 8], f32> -> !clade.tensor<[token, heads = 2, "nope+v" = 7], f32>
  %kn = clade.slice %kv "nope+v" from 0 : !clade.tensor<[token, heads = 2, "nope+v" = 7], f32> -> !clade.tensor<[token, heads = 2, nope = 4], f32>
  %v = clade.slice %kv "nope+v" from 4 : !clade.tensor<[token, heads = 2, "nope+v" = 7], f32> -> !clade.tensor<[token, heads = 2, v = 3], f32>
  %kr = clade.spread %r : !clade.tensor<[token, pe = 2], f32> -> !clade.tensor<[token, heads = 2, pe = 2], f32>
  %k = clade.join %kn, %kr : (!clade.tensor<[token, heads = 2, nope = 4], f32>, !clade.tensor<[token, heads = 2, pe = 2], f32>) -> !clade.tensor<[token, heads = 2, "nope+pe" = 6], f32>
  %y = clade.attend %q, %k, %v, %batch state 3 scale 0.5 {window = 9 : i64}
      : (!clade.tensor<[token, heads = 2, "nope+pe" = 6], f32>, !clade.tensor<[token, heads = 2, "nope+pe" = 6], f32>, !clade.tensor<[token, heads = 2, v = 3], f32>) -> !clade.tensor<[token, heads = 2, v = 3], f32>
  return %y : !clade.tensor<[token, heads = 2, v = 3], f32>
}

// -----

// Queries that are something else than a join are cut; the shared part may be
// the first of the key, and values the first rows of the weight. A latent that
// is no smaller than keys and values stays what it is if only smaller ones are
// wanted.

// CHECK: wmap.func @w.keys
// CHECK:   wmap.slice %{{.*}} axis 1 from 3
// CHECK: wmap.func @w.values
// CHECK:   wmap.slice %{{.*}} axis 1 from 0
wmap.func @w -> tensor<5x5xf32> {
  %0 = wmap.source "w" : tensor<5x5xf32>
  wmap.return %0 : tensor<5x5xf32>
}
// CHECK-LABEL: func.func @other_order
func.func @other_order(%q: !clade.tensor<[token, heads = 1, qk = 4], f32>, %c: !clade.tensor<[token, rank = 5], f32>,
                       %r: !clade.tensor<[token, pe = 2], f32>, %batch: !clade.batch) -> !clade.tensor<[token, heads = 1, v = 3], f32> {
  // CHECK: %[[QN:.*]] = clade.slice %arg0 "qk" from 2 : {{.*}} -> <[token, heads = 1, nope = 2], f32>
  // CHECK: %[[QR:.*]] = clade.slice %arg0 "qk" from 0 : {{.*}} -> <[token, heads = 1, pe = 2], f32>
  // CHECK: clade.head_linear %[[QN]]
  // CHECK: clade.head_linear
  // SMALL-LABEL: func.func @other_order
  // SMALL-NOT: clade.head_linear
  // SMALL: clade.attend
  %w = clade.param @w : !clade.tensor<[heads = 1, "v+nope" = 5, rank = 5], f32>
  %kv = clade.linear %c, %w : !clade.tensor<[token, rank = 5], f32>, !clade.tensor<[heads = 1, "v+nope" = 5, rank = 5], f32> -> !clade.tensor<[token, heads = 1, "v+nope" = 5], f32>
  %v = clade.slice %kv "v+nope" from 0 : !clade.tensor<[token, heads = 1, "v+nope" = 5], f32> -> !clade.tensor<[token, heads = 1, v = 3], f32>
  %kn = clade.slice %kv "v+nope" from 3 : !clade.tensor<[token, heads = 1, "v+nope" = 5], f32> -> !clade.tensor<[token, heads = 1, nope = 2], f32>
  %kr = clade.spread %r : !clade.tensor<[token, pe = 2], f32> -> !clade.tensor<[token, heads = 1, pe = 2], f32>
  %k = clade.join %kr, %kn : (!clade.tensor<[token, heads = 1, pe = 2], f32>, !clade.tensor<[token, heads = 1, nope = 2], f32>) -> !clade.tensor<[token, heads = 1, qk = 4], f32>
  %y = clade.attend %q, %k, %v, %batch state 0 scale 1.0 {bidirectional}
      : (!clade.tensor<[token, heads = 1, qk = 4], f32>, !clade.tensor<[token, heads = 1, qk = 4], f32>, !clade.tensor<[token, heads = 1, v = 3], f32>) -> !clade.tensor<[token, heads = 1, v = 3], f32>
  return %y : !clade.tensor<[token, heads = 1, v = 3], f32>
}

// -----

// A weight that something else reads as well stays whole, and so does a map
// whose result something else reads.

wmap.func @w -> tensor<5x4xf32> {
  %0 = wmap.source "w" : tensor<5x4xf32>
  wmap.return %0 : tensor<5x4xf32>
}
// CHECK-LABEL: func.func @read_twice
// CHECK-NOT: clade.head_linear
// STATE-LABEL: func.func @read_twice
// STATE-NOT: shared
func.func @read_twice(%q: !clade.tensor<[token, heads = 1, qk = 4], f32>, %c: !clade.tensor<[token, rank = 4], f32>,
                      %r: !clade.tensor<[token, pe = 2], f32>, %batch: !clade.batch)
    -> (!clade.tensor<[token, heads = 1, v = 3], f32>, !clade.tensor<[token, heads = 1, v = 3], f32>) {
  %w = clade.param @w : !clade.tensor<[heads = 1, "nope+v" = 5, rank = 4], f32>
  %kv = clade.linear %c, %w : !clade.tensor<[token, rank = 4], f32>, !clade.tensor<[heads = 1, "nope+v" = 5, rank = 4], f32> -> !clade.tensor<[token, heads = 1, "nope+v" = 5], f32>
  %kn = clade.slice %kv "nope+v" from 0 : !clade.tensor<[token, heads = 1, "nope+v" = 5], f32> -> !clade.tensor<[token, heads = 1, nope = 2], f32>
  %v = clade.slice %kv "nope+v" from 2 : !clade.tensor<[token, heads = 1, "nope+v" = 5], f32> -> !clade.tensor<[token, heads = 1, v = 3], f32>
  %kr = clade.spread %r : !clade.tensor<[token, pe = 2], f32> -> !clade.tensor<[token, heads = 1, pe = 2], f32>
  %k = clade.join %kn, %kr : (!clade.tensor<[token, heads = 1, nope = 2], f32>, !clade.tensor<[token, heads = 1, pe = 2], f32>) -> !clade.tensor<[token, heads = 1, qk = 4], f32>
  %y = clade.attend %q, %k, %v, %batch state 0 scale 1.0
      : (!clade.tensor<[token, heads = 1, qk = 4], f32>, !clade.tensor<[token, heads = 1, qk = 4], f32>, !clade.tensor<[token, heads = 1, v = 3], f32>) -> !clade.tensor<[token, heads = 1, v = 3], f32>
  return %y, %v : !clade.tensor<[token, heads = 1, v = 3], f32>, !clade.tensor<[token, heads = 1, v = 3], f32>
}

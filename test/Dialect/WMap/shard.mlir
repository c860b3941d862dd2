// A shard is a slice, and slices move to the sources, by the rule of each op.
// RUN: clade-opt --canonicalize --split-input-file %s | FileCheck %s

// CHECK-LABEL: wmap.func @rows
// CHECK-NEXT: %[[S:.*]] = wmap.source
// CHECK-NEXT: %[[P:.*]] = wmap.slice %[[S]] axis 0 from 4 : tensor<8x6xbf16> -> tensor<2x6xbf16>
// CHECK-NEXT: %[[C:.*]] = wmap.cast %[[P]]
// CHECK-NEXT: %[[A:.*]] = wmap.shift %[[C]] by 1.000000e+00 : tensor<2x6xf32>
// CHECK-NEXT: wmap.return %[[A]]
wmap.func @rows -> tensor<2x6xf32> {
  %0 = wmap.source "w" : tensor<8x6xbf16>
  %1 = wmap.cast %0 : tensor<8x6xbf16> -> tensor<8x6xf32>
  %2 = wmap.shift %1 by 1.0 : tensor<8x6xf32> -> tensor<8x6xf32>
  %3 = wmap.shard %2 axis 0 part 2 of 4 : tensor<8x6xf32> -> tensor<2x6xf32>
  wmap.return %3 : tensor<2x6xf32>
}

// -----
// Of a whole nothing is taken.
// CHECK-LABEL: wmap.func @whole
// CHECK-NEXT: %[[S:.*]] = wmap.source
// CHECK-NEXT: wmap.return %[[S]]
wmap.func @whole -> tensor<8x6xbf16> {
  %0 = wmap.source "w" : tensor<8x6xbf16>
  %1 = wmap.shard %0 axis 1 part 0 of 1 : tensor<8x6xbf16> -> tensor<8x6xbf16>
  wmap.return %1 : tensor<8x6xbf16>
}

// -----
// Columns of a transposed matrix are rows.
// CHECK-LABEL: wmap.func @columns
// CHECK: wmap.slice %{{.*}} axis 0 from 4 : tensor<8x6xbf16> -> tensor<4x6xbf16>
// CHECK-NEXT: wmap.transpose %{{.*}} [1, 0] : tensor<4x6xbf16> -> tensor<6x4xbf16>
wmap.func @columns -> tensor<6x4xbf16> {
  %0 = wmap.source "w" : tensor<8x6xbf16>
  %1 = wmap.transpose %0 [1, 0] : tensor<8x6xbf16> -> tensor<6x8xbf16>
  %2 = wmap.shard %1 axis 1 part 1 of 2 : tensor<6x8xbf16> -> tensor<6x4xbf16>
  wmap.return %2 : tensor<6x4xbf16>
}

// -----
// Operands that the range does not meet are not read.
// CHECK-LABEL: wmap.func @joined
// CHECK-NOT: "q"
// CHECK-DAG: %[[K:.*]] = wmap.source "k"
// CHECK-DAG: %[[V:.*]] = wmap.source "v"
// CHECK-DAG: %[[A:.*]] = wmap.slice %[[K]] axis 0 from 2 : tensor<4x6xbf16> -> tensor<2x6xbf16>
// CHECK-DAG: %[[B:.*]] = wmap.slice %[[V]] axis 0 from 0 : tensor<4x6xbf16> -> tensor<2x6xbf16>
// CHECK: wmap.concat %[[A]], %[[B]] axis 0
wmap.func @joined -> tensor<4x6xbf16> {
  %0 = wmap.source "q" : tensor<8x6xbf16>
  %1 = wmap.source "k" : tensor<4x6xbf16>
  %2 = wmap.source "v" : tensor<4x6xbf16>
  %3 = wmap.concat %0, %1, %2 axis 0 : (tensor<8x6xbf16>, tensor<4x6xbf16>, tensor<4x6xbf16>) -> tensor<16x6xbf16>
  %4 = wmap.slice %3 axis 0 from 10 : tensor<16x6xbf16> -> tensor<4x6xbf16>
  wmap.return %4 : tensor<4x6xbf16>
}

// -----
// CHECK-LABEL: wmap.func @joined_columns
// CHECK-COUNT-2: wmap.slice %{{.*}} axis 1 from 3 : tensor<4x6xbf16> -> tensor<4x3xbf16>
// CHECK: wmap.concat %{{.*}} axis 0 : (tensor<4x3xbf16>, tensor<4x3xbf16>) -> tensor<8x3xbf16>
wmap.func @joined_columns -> tensor<8x3xbf16> {
  %0 = wmap.source "k" : tensor<4x6xbf16>
  %1 = wmap.source "v" : tensor<4x6xbf16>
  %2 = wmap.concat %0, %1 axis 0 : (tensor<4x6xbf16>, tensor<4x6xbf16>) -> tensor<8x6xbf16>
  %3 = wmap.shard %2 axis 1 part 1 of 2 : tensor<8x6xbf16> -> tensor<8x3xbf16>
  wmap.return %3 : tensor<8x3xbf16>
}

// -----
// Numbers of blocks go with their blocks.
// CHECK-LABEL: wmap.func @blocks
// CHECK-DAG: wmap.slice %{{.*}} axis 0 from 128 : tensor<256x64xf8E4M3FN> -> tensor<128x64xf8E4M3FN>
// CHECK-DAG: wmap.slice %{{.*}} axis 0 from 1 : tensor<2x1xf32> -> tensor<1x1xf32>
// CHECK: wmap.scale %{{.*}} by %{{.*}} blocks [128, 128] : (tensor<128x64xf8E4M3FN>, tensor<1x1xf32>) -> tensor<128x64xf32>
wmap.func @blocks -> tensor<128x64xf32> {
  %0 = wmap.source "w" : tensor<256x64xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x1xf32>
  %2 = wmap.scale %0 by %1 blocks [128, 128] : (tensor<256x64xf8E4M3FN>, tensor<2x1xf32>) -> tensor<256x64xf32>
  %3 = wmap.shard %2 axis 0 part 1 of 2 : tensor<256x64xf32> -> tensor<128x64xf32>
  wmap.return %3 : tensor<128x64xf32>
}

// -----
// Half a block is no block: the slice stays.
// CHECK-LABEL: wmap.func @half_a_block
// CHECK: wmap.scale
// CHECK-NEXT: wmap.slice %{{.*}} axis 0 from 64
wmap.func @half_a_block -> tensor<64x64xf32> {
  %0 = wmap.source "w" : tensor<256x64xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x1xf32>
  %2 = wmap.scale %0 by %1 blocks [128, 128] : (tensor<256x64xf8E4M3FN>, tensor<2x1xf32>) -> tensor<256x64xf32>
  %3 = wmap.shard %2 axis 0 part 1 of 4 : tensor<256x64xf32> -> tensor<64x64xf32>
  wmap.return %3 : tensor<64x64xf32>
}

// -----
// One number for all columns: it stays whole.
// CHECK-LABEL: wmap.func @one_block
// CHECK: %[[N:.*]] = wmap.source "z"
// CHECK: wmap.subtract %{{.*}} minus %[[N]] blocks [1, 64] : (tensor<4x32xui8>, tensor<4x1xui8>) -> tensor<4x32xf32>
wmap.func @one_block -> tensor<4x32xf32> {
  %0 = wmap.source "w" : tensor<4x64xui8>
  %1 = wmap.source "z" : tensor<4x1xui8>
  %2 = wmap.subtract %0 minus %1 blocks [1, 64] : (tensor<4x64xui8>, tensor<4x1xui8>) -> tensor<4x64xf32>
  %3 = wmap.shard %2 axis 1 part 1 of 2 : tensor<4x64xf32> -> tensor<4x32xf32>
  wmap.return %3 : tensor<4x32xf32>
}

// -----
// Whole heads move; half a head does not.
// CHECK-LABEL: wmap.func @heads
// CHECK: wmap.slice %{{.*}} axis 0 from 8 : tensor<16x4xf32> -> tensor<8x4xf32>
// CHECK-NEXT: wmap.rope_unpermute %{{.*}} heads 2 : tensor<8x4xf32>
wmap.func @heads -> tensor<8x4xf32> {
  %0 = wmap.source "w" : tensor<16x4xf32>
  %1 = wmap.rope_unpermute %0 heads 4 : tensor<16x4xf32> -> tensor<16x4xf32>
  %2 = wmap.shard %1 axis 0 part 1 of 2 : tensor<16x4xf32> -> tensor<8x4xf32>
  wmap.return %2 : tensor<8x4xf32>
}

// -----
// CHECK-LABEL: wmap.func @half_a_head
// CHECK: wmap.rope_unpermute
// CHECK-NEXT: wmap.slice
wmap.func @half_a_head -> tensor<2x4xf32> {
  %0 = wmap.source "w" : tensor<16x4xf32>
  %1 = wmap.rope_unpermute %0 heads 4 : tensor<16x4xf32> -> tensor<16x4xf32>
  %2 = wmap.shard %1 axis 0 part 1 of 8 : tensor<16x4xf32> -> tensor<2x4xf32>
  wmap.return %2 : tensor<2x4xf32>
}

// -----
// Panels are rows; the last may be short.
// CHECK-LABEL: wmap.func @panels
// CHECK: wmap.slice %{{.*}} axis 0 from 32 : tensor<40x6xbf16> -> tensor<8x6xbf16>
// CHECK-NEXT: wmap.pack %{{.*}} rows 32 inner 2 : tensor<8x6xbf16> -> tensor<1x3x32x2xbf16>
wmap.func @panels -> tensor<1x3x32x2xbf16> {
  %0 = wmap.source "w" : tensor<40x6xbf16>
  %1 = wmap.pack %0 rows 32 inner 2 : tensor<40x6xbf16> -> tensor<2x3x32x2xbf16>
  %2 = wmap.shard %1 axis 0 part 1 of 2 : tensor<2x3x32x2xbf16> -> tensor<1x3x32x2xbf16>
  wmap.return %2 : tensor<1x3x32x2xbf16>
}

// -----
// CHECK-LABEL: wmap.func @experts
// CHECK: wmap.slice %{{.*}} axis 1 from 32 : tensor<4x64x6xbf16> -> tensor<4x32x6xbf16>
// CHECK-NEXT: wmap.slice %{{.*}} axis 0 from 2 : tensor<4x32x6xbf16> -> tensor<2x32x6xbf16>
// CHECK-NEXT: wmap.pack
wmap.func @experts -> tensor<2x1x3x32x2xbf16> {
  %0 = wmap.source "e.{expert}.w" {stack = 4} : tensor<4x64x6xbf16>
  %1 = wmap.pack %0 rows 32 inner 2 : tensor<4x64x6xbf16> -> tensor<4x2x3x32x2xbf16>
  %2 = wmap.shard %1 axis 1 part 1 of 2 : tensor<4x2x3x32x2xbf16> -> tensor<4x1x3x32x2xbf16>
  %3 = wmap.shard %2 axis 0 part 1 of 2 : tensor<4x1x3x32x2xbf16> -> tensor<2x1x3x32x2xbf16>
  wmap.return %3 : tensor<2x1x3x32x2xbf16>
}

// -----
// CHECK-LABEL: wmap.func @flattened
// CHECK: wmap.slice %{{.*}} axis 0 from 2 : tensor<4x8x6xbf16> -> tensor<2x8x6xbf16>
// CHECK-NEXT: wmap.reshape %{{.*}} : tensor<2x8x6xbf16> -> tensor<16x6xbf16>
wmap.func @flattened -> tensor<16x6xbf16> {
  %0 = wmap.source "w" : tensor<4x8x6xbf16>
  %1 = wmap.reshape %0 : tensor<4x8x6xbf16> -> tensor<32x6xbf16>
  %2 = wmap.shard %1 axis 0 part 1 of 2 : tensor<32x6xbf16> -> tensor<16x6xbf16>
  wmap.return %2 : tensor<16x6xbf16>
}

// -----
// CHECK-LABEL: wmap.func @codes
// CHECK: wmap.slice %{{.*}} axis 0 from 2 : tensor<4x2xsi32> -> tensor<2x2xsi32>
// CHECK-NEXT: wmap.bitcast %{{.*}} : tensor<2x2xsi32> -> tensor<2x16xui4>
wmap.func @codes -> tensor<2x16xf32> {
  %0 = wmap.source "w" : tensor<4x2xsi32>
  %1 = wmap.bitcast %0 : tensor<4x2xsi32> -> tensor<4x16xui4>
  %2 = wmap.cast %1 : tensor<4x16xui4> -> tensor<4x16xf32>
  %3 = wmap.shard %2 axis 0 part 1 of 2 : tensor<4x16xf32> -> tensor<2x16xf32>
  wmap.return %3 : tensor<2x16xf32>
}

// -----
// Tables with an index each are cut with it.
// CHECK-LABEL: wmap.func @indexed_experts
// CHECK-DAG: wmap.slice %{{.*}} axis 0 from 1 : tensor<2x8xsi32> -> tensor<1x8xsi32>
// CHECK-DAG: wmap.slice %{{.*}} axis 0 from 1 : tensor<2x2x4xf16> -> tensor<1x2x4xf16>
// CHECK: wmap.gather %{{.*}} by %{{.*}} : (tensor<1x2x4xf16>, tensor<1x8xsi32>) -> tensor<1x8x4xf16>
wmap.func @indexed_experts -> tensor<1x8x4xf16> {
  %0 = wmap.source "s" : tensor<2x2x4xf16>
  %1 = wmap.source "i" : tensor<2x8xsi32>
  %2 = wmap.gather %0 by %1 : (tensor<2x2x4xf16>, tensor<2x8xsi32>) -> tensor<2x8x4xf16>
  %3 = wmap.shard %2 axis 0 part 1 of 2 : tensor<2x8x4xf16> -> tensor<1x8x4xf16>
  wmap.return %3 : tensor<1x8x4xf16>
}

// -----
// An index is cut, or the rows of its table are.
// CHECK-LABEL: wmap.func @indexed
// CHECK-DAG: wmap.slice %{{.*}} axis 0 from 4 : tensor<8xsi32> -> tensor<4xsi32>
// CHECK-DAG: wmap.slice %{{.*}} axis 1 from 2 : tensor<2x4xf16> -> tensor<2x2xf16>
// CHECK: wmap.gather %{{.*}} by %{{.*}} : (tensor<2x2xf16>, tensor<4xsi32>) -> tensor<4x2xf16>
wmap.func @indexed -> tensor<4x2xf16> {
  %0 = wmap.source "s" : tensor<2x4xf16>
  %1 = wmap.source "i" : tensor<8xsi32>
  %2 = wmap.gather %0 by %1 : (tensor<2x4xf16>, tensor<8xsi32>) -> tensor<8x4xf16>
  %3 = wmap.shard %2 axis 0 part 1 of 2 : tensor<8x4xf16> -> tensor<4x4xf16>
  %4 = wmap.shard %3 axis 1 part 1 of 2 : tensor<4x4xf16> -> tensor<4x2xf16>
  wmap.return %4 : tensor<4x2xf16>
}

// -----
// The length of a row is that of all of it.
// CHECK-LABEL: wmap.func @unit_columns
// CHECK: wmap.unit_rows
// CHECK-NEXT: wmap.slice %{{.*}} axis 1
wmap.func @unit_columns -> tensor<8x2xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  %1 = wmap.unit_rows %0 : tensor<8x4xf32> -> tensor<8x4xf32>
  %2 = wmap.shard %1 axis 1 part 0 of 2 : tensor<8x4xf32> -> tensor<8x2xf32>
  wmap.return %2 : tensor<8x2xf32>
}

// -----
// One number divides all scales: a part of them needs it whole.
// CHECK-LABEL: wmap.func @global_scale
// CHECK-DAG: %[[S:.*]] = wmap.slice %{{.*}} axis 0 from 4 : tensor<8x4xf8E4M3FN> -> tensor<4x4xf8E4M3FN>
// CHECK-DAG: %[[G:.*]] = wmap.source "g"
// CHECK: wmap.divide %[[S]] by %[[G]] blocks [8, 4] : (tensor<4x4xf8E4M3FN>, tensor<1x1xf32>) -> tensor<4x4xf32>
wmap.func @global_scale -> tensor<4x4xf32> {
  %0 = wmap.source "s" : tensor<8x4xf8E4M3FN>
  %1 = wmap.source "g" : tensor<1x1xf32>
  %2 = wmap.divide %0 by %1 blocks [8, 4] : (tensor<8x4xf8E4M3FN>, tensor<1x1xf32>) -> tensor<8x4xf32>
  %3 = wmap.shard %2 axis 0 part 1 of 2 : tensor<8x4xf32> -> tensor<4x4xf32>
  wmap.return %3 : tensor<4x4xf32>
}

// -----
// What an adapter adds: rows of B, or columns of A.
// CHECK-LABEL: wmap.func @adapted_rows
// CHECK-DAG: %[[A:.*]] = wmap.source "a"
// CHECK-DAG: %[[B:.*]] = wmap.slice %{{.*}} axis 0 from 4 : tensor<8x2xf32> -> tensor<4x2xf32>
// CHECK-DAG: %[[W:.*]] = wmap.slice %{{.*}} axis 0 from 4 : tensor<8x6xbf16> -> tensor<4x6xbf16>
// CHECK-DAG: %[[P:.*]] = wmap.low_rank %[[B]] by %[[A]] scale 2.000000e+00 : (tensor<4x2xf32>, tensor<2x6xf32>) -> tensor<4x6xf32>
// CHECK: wmap.add %[[W]] plus %[[P]] : tensor<4x6xbf16>, tensor<4x6xf32>
wmap.func @adapted_rows -> tensor<4x6xbf16> {
  %w = wmap.source "w" : tensor<8x6xbf16>
  %b = wmap.source "b" : tensor<8x2xf32>
  %a = wmap.source "a" : tensor<2x6xf32>
  %0 = wmap.low_rank %b by %a scale 2.0 : (tensor<8x2xf32>, tensor<2x6xf32>) -> tensor<8x6xf32>
  %1 = wmap.add %w plus %0 : tensor<8x6xbf16>, tensor<8x6xf32>
  %2 = wmap.shard %1 axis 0 part 1 of 2 : tensor<8x6xbf16> -> tensor<4x6xbf16>
  wmap.return %2 : tensor<4x6xbf16>
}

// -----
// CHECK-LABEL: wmap.func @adapted_columns
// CHECK-DAG: %[[B:.*]] = wmap.source "b"
// CHECK-DAG: %[[A:.*]] = wmap.slice %{{.*}} axis 1 from 3 : tensor<2x6xf32> -> tensor<2x3xf32>
// CHECK: wmap.low_rank %[[B]] by %[[A]] scale 2.000000e+00 : (tensor<8x2xf32>, tensor<2x3xf32>) -> tensor<8x3xf32>
wmap.func @adapted_columns -> tensor<8x3xf32> {
  %b = wmap.source "b" : tensor<8x2xf32>
  %a = wmap.source "a" : tensor<2x6xf32>
  %0 = wmap.low_rank %b by %a scale 2.0 : (tensor<8x2xf32>, tensor<2x6xf32>) -> tensor<8x6xf32>
  %1 = wmap.shard %0 axis 1 part 1 of 2 : tensor<8x6xf32> -> tensor<8x3xf32>
  wmap.return %1 : tensor<8x3xf32>
}

// -----
// Experts of both factors.
// CHECK-LABEL: wmap.func @adapted_experts
// CHECK-COUNT-2: wmap.slice %{{.*}} axis 0 from 2
// CHECK: wmap.low_rank %{{.*}} : (tensor<2x8x2xf32>, tensor<2x2x6xf32>) -> tensor<2x8x6xf32>
wmap.func @adapted_experts -> tensor<2x8x6xf32> {
  %b = wmap.source "b" : tensor<4x8x2xf32>
  %a = wmap.source "a" : tensor<4x2x6xf32>
  %0 = wmap.low_rank %b by %a scale 2.0 : (tensor<4x8x2xf32>, tensor<4x2x6xf32>) -> tensor<4x8x6xf32>
  %1 = wmap.shard %0 axis 0 part 1 of 2 : tensor<4x8x6xf32> -> tensor<2x8x6xf32>
  wmap.return %1 : tensor<2x8x6xf32>
}

// -----
// A slice of what a file is padded behind says so where it stands.
// CHECK-LABEL: wmap.func @padded
// CHECK: wmap.slice %{{.*}} axis 0 from 0 {wmap.padding} : tensor<8x6xf32> -> tensor<6x6xf32>
// CHECK-NEXT: wmap.slice %{{.*}} axis 0 from 3 : tensor<6x6xf32> -> tensor<3x6xf32>
wmap.func @padded -> tensor<3x6xf32> {
  %0 = wmap.source "w" : tensor<8x6xf32>
  %1 = wmap.slice %0 axis 0 from 0 {wmap.padding} : tensor<8x6xf32> -> tensor<6x6xf32>
  %2 = wmap.shard %1 axis 0 part 1 of 2 : tensor<6x6xf32> -> tensor<3x6xf32>
  wmap.return %2 : tensor<3x6xf32>
}

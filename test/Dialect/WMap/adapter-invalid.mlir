// RUN: clade-opt --split-input-file --verify-diagnostics %s

wmap.func @low_rank_c1 -> tensor<8x4xf32> {
  %b = wmap.source "b" : tensor<8x2xf32>
  %a = wmap.source "a" : tensor<1x2x4xf32>
  // expected-error@+1 {{expected matrices that can be multiplied, got 'tensor<8x2xf32>' and 'tensor<1x2x4xf32>'}}
  %0 = wmap.low_rank %b by %a scale 1.0 : (tensor<8x2xf32>, tensor<1x2x4xf32>) -> tensor<8x4xf32>
  wmap.return %0 : tensor<8x4xf32>
}

// -----

wmap.func @low_rank_c2 -> tensor<8x4xf32> {
  %b = wmap.source "b" : tensor<8x3xf32>
  %a = wmap.source "a" : tensor<2x4xf32>
  // expected-error@+1 {{expected matrices that can be multiplied}}
  %0 = wmap.low_rank %b by %a scale 1.0 : (tensor<8x3xf32>, tensor<2x4xf32>) -> tensor<8x4xf32>
  wmap.return %0 : tensor<8x4xf32>
}

// -----

wmap.func @low_rank_c3 -> tensor<8x4xbf16> {
  %b = wmap.source "b" : tensor<8x2xf32>
  %a = wmap.source "a" : tensor<2x4xf32>
  // expected-error@+1 {{expected the f32 product of f32, bf16 or f16 factors, got 'tensor<8x2xf32>' and 'tensor<2x4xf32>' to 'tensor<8x4xbf16>'}}
  %0 = wmap.low_rank %b by %a scale 1.0 : (tensor<8x2xf32>, tensor<2x4xf32>) -> tensor<8x4xbf16>
  wmap.return %0 : tensor<8x4xbf16>
}

// -----

wmap.func @add_c1 -> tensor<4xf64> {
  %w = wmap.source "w" : tensor<4xf64>
  %d = wmap.source "d" : tensor<4xf32>
  // expected-error@+1 {{expected f32, bf16 or f16 elements, got 'tensor<4xf64>'}}
  %0 = wmap.add %w plus %d : tensor<4xf64>, tensor<4xf32>
  wmap.return %0 : tensor<4xf64>
}

// -----

wmap.func @add_c2 -> tensor<4xbf16> {
  %w = wmap.source "w" : tensor<4xbf16>
  %d = wmap.source "d" : tensor<4xbf16>
  // expected-error@+1 {{expected an f32 change in the sizes of 'tensor<4xbf16>', got 'tensor<4xbf16>'}}
  %0 = wmap.add %w plus %d : tensor<4xbf16>, tensor<4xbf16>
  wmap.return %0 : tensor<4xbf16>
}

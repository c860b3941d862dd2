// RUN: clade-opt --split-input-file --verify-diagnostics %s

wmap.func @constant_c1_type -> tensor<2xbf16> {
  // expected-error@+1 {{expected f32 elements for 2 numbers, got 'tensor<2xbf16>'}}
  %y = wmap.constant [1.0, 2.0] : tensor<2xbf16>
  wmap.return %y : tensor<2xbf16>
}

// -----

wmap.func @constant_c1_count -> tensor<3xf32> {
  // expected-error@+1 {{expected f32 elements for 2 numbers, got 'tensor<3xf32>'}}
  %y = wmap.constant [1.0, 2.0] : tensor<3xf32>
  wmap.return %y : tensor<3xf32>
}

// -----

wmap.func @constant_c2_count -> tensor<257xf32> {
  // expected-error@+1 {{expected at most 256 finite numbers, got 257}}
  %y = wmap.constant [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0] : tensor<257xf32>
  wmap.return %y : tensor<257xf32>
}

// -----

wmap.func @bitcast_c1_width -> tensor<4xsi32> {
  %0 = wmap.source "w" : tensor<4xui8>
  // expected-error@+1 {{expected elements of 'tensor<4xui8>' to divide into those of 'tensor<4xsi32>'}}
  %y = wmap.bitcast %0 : tensor<4xui8> -> tensor<4xsi32>
  wmap.return %y : tensor<4xsi32>
}

// -----

wmap.func @bitcast_c1_index -> tensor<4xindex> {
  %0 = wmap.source "w" : tensor<4xui8>
  // expected-error@+1 {{expected elements of 'tensor<4xui8>' to divide into those of 'tensor<4xindex>'}}
  %y = wmap.bitcast %0 : tensor<4xui8> -> tensor<4xindex>
  wmap.return %y : tensor<4xindex>
}

// -----

wmap.func @bitcast_c2_sizes -> tensor<4xui4> {
  %0 = wmap.source "w" : tensor<4xui8>
  // expected-error@+1 {{expected the last size of 'tensor<4xui8>' times 2, got 'tensor<4xui4>'}}
  %y = wmap.bitcast %0 : tensor<4xui8> -> tensor<4xui4>
  wmap.return %y : tensor<4xui4>
}

// -----

wmap.func @bitcast_c2_no_axis -> tensor<ui4> {
  %0 = wmap.source "w" : tensor<ui8>
  // expected-error@+1 {{expected the last size of 'tensor<ui8>' times 2, got 'tensor<ui4>'}}
  %y = wmap.bitcast %0 : tensor<ui8> -> tensor<ui4>
  wmap.return %y : tensor<ui4>
}

// -----

wmap.func @bitcast_c3_high -> tensor<4xf8E8M0FNU> {
  %0 = wmap.source "w" : tensor<4xui8>
  // expected-error@+1 {{expected elements ui4 with 'high_first', got 'tensor<4xf8E8M0FNU>'}}
  %y = wmap.bitcast %0 {high_first} : tensor<4xui8> -> tensor<4xf8E8M0FNU>
  wmap.return %y : tensor<4xf8E8M0FNU>
}

// -----

wmap.func @scale_c1_zero -> tensor<200x300xf32> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected a positive size of a block for each axis of 'tensor<200x300xf8E4M3FN>', got [0, 128]}}
  %y = wmap.scale %0 by %1 blocks [0, 128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xf32>
  wmap.return %y : tensor<200x300xf32>
}

// -----

wmap.func @scale_c1_rank -> tensor<200x300xf32> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected a positive size of a block for each axis of 'tensor<200x300xf8E4M3FN>', got [128]}}
  %y = wmap.scale %0 by %1 blocks [128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xf32>
  wmap.return %y : tensor<200x300xf32>
}

// -----

wmap.func @scale_c2_numbers -> tensor<200x300xf32> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected a number for each block: [4, 3] for 'tensor<200x300xf8E4M3FN>' in blocks of [64, 128], got 'tensor<2x3xf32>'}}
  %y = wmap.scale %0 by %1 blocks [64, 128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xf32>
  wmap.return %y : tensor<200x300xf32>
}

// -----

wmap.func @scale_c3_type -> tensor<200x300xbf16> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected f32 elements in the sizes of 'tensor<200x300xf8E4M3FN>', got 'tensor<200x300xbf16>'}}
  %y = wmap.scale %0 by %1 blocks [128, 128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xbf16>
  wmap.return %y : tensor<200x300xbf16>
}

// -----

wmap.func @subtract_c1_zero -> tensor<200x300xf32> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected a positive size of a block for each axis of 'tensor<200x300xf8E4M3FN>', got [0, 128]}}
  %y = wmap.subtract %0 minus %1 blocks [0, 128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xf32>
  wmap.return %y : tensor<200x300xf32>
}

// -----

wmap.func @subtract_c1_rank -> tensor<200x300xf32> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected a positive size of a block for each axis of 'tensor<200x300xf8E4M3FN>', got [128]}}
  %y = wmap.subtract %0 minus %1 blocks [128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xf32>
  wmap.return %y : tensor<200x300xf32>
}

// -----

wmap.func @subtract_c2_numbers -> tensor<200x300xf32> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected a number for each block: [4, 3] for 'tensor<200x300xf8E4M3FN>' in blocks of [64, 128], got 'tensor<2x3xf32>'}}
  %y = wmap.subtract %0 minus %1 blocks [64, 128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xf32>
  wmap.return %y : tensor<200x300xf32>
}

// -----

wmap.func @subtract_c3_type -> tensor<200x300xbf16> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected f32 elements in the sizes of 'tensor<200x300xf8E4M3FN>', got 'tensor<200x300xbf16>'}}
  %y = wmap.subtract %0 minus %1 blocks [128, 128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xbf16>
  wmap.return %y : tensor<200x300xbf16>
}

// -----

wmap.func @divide_c1_zero -> tensor<200x300xf32> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected a positive size of a block for each axis of 'tensor<200x300xf8E4M3FN>', got [0, 128]}}
  %y = wmap.divide %0 by %1 blocks [0, 128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xf32>
  wmap.return %y : tensor<200x300xf32>
}

// -----

wmap.func @divide_c1_rank -> tensor<200x300xf32> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected a positive size of a block for each axis of 'tensor<200x300xf8E4M3FN>', got [128]}}
  %y = wmap.divide %0 by %1 blocks [128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xf32>
  wmap.return %y : tensor<200x300xf32>
}

// -----

wmap.func @divide_c2_numbers -> tensor<200x300xf32> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected a number for each block: [4, 3] for 'tensor<200x300xf8E4M3FN>' in blocks of [64, 128], got 'tensor<2x3xf32>'}}
  %y = wmap.divide %0 by %1 blocks [64, 128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xf32>
  wmap.return %y : tensor<200x300xf32>
}

// -----

wmap.func @divide_c3_type -> tensor<200x300xbf16> {
  %0 = wmap.source "w" : tensor<200x300xf8E4M3FN>
  %1 = wmap.source "s" : tensor<2x3xf32>
  // expected-error@+1 {{expected f32 elements in the sizes of 'tensor<200x300xf8E4M3FN>', got 'tensor<200x300xbf16>'}}
  %y = wmap.divide %0 by %1 blocks [128, 128] : (tensor<200x300xf8E4M3FN>, tensor<2x3xf32>) -> tensor<200x300xbf16>
  wmap.return %y : tensor<200x300xbf16>
}

// -----

wmap.func @gather_c1_type -> tensor<4xf32> {
  %0 = wmap.source "t" : tensor<4xf32>
  %1 = wmap.source "i" : tensor<4xf32>
  // expected-error@+1 {{expected an index si32 or si64 with an axis, or codes ui4 or ui8, got 'tensor<4xf32>'}}
  %y = wmap.gather %0 by %1 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  wmap.return %y : tensor<4xf32>
}

// -----

wmap.func @gather_c1_axes -> tensor<4xf32> {
  %0 = wmap.source "t" : tensor<4xf32>
  %1 = wmap.source "i" : tensor<si32>
  // expected-error@+1 {{expected an index si32 or si64 with an axis, or codes ui4 or ui8, got 'tensor<si32>'}}
  %y = wmap.gather %0 by %1 : (tensor<4xf32>, tensor<si32>) -> tensor<4xf32>
  wmap.return %y : tensor<4xf32>
}

// -----

wmap.func @gather_c2_tables -> tensor<2x5x3xf32> {
  %0 = wmap.source "t" : tensor<4x4x3xf32>
  %1 = wmap.source "i" : tensor<2x5xsi32>
  // expected-error@+1 {{expected 5 rows of 'tensor<4x4x3xf32>' by 'tensor<2x5xsi32>', got 'tensor<2x5x3xf32>'}}
  %y = wmap.gather %0 by %1 : (tensor<4x4x3xf32>, tensor<2x5xsi32>) -> tensor<2x5x3xf32>
  wmap.return %y : tensor<2x5x3xf32>
}

// -----

wmap.func @gather_c2_rows -> tensor<5x3xf32> {
  %0 = wmap.source "t" : tensor<4x3xf32>
  %1 = wmap.source "i" : tensor<6xsi32>
  // expected-error@+1 {{expected 6 rows of 'tensor<4x3xf32>' by 'tensor<6xsi32>', got 'tensor<5x3xf32>'}}
  %y = wmap.gather %0 by %1 : (tensor<4x3xf32>, tensor<6xsi32>) -> tensor<5x3xf32>
  wmap.return %y : tensor<5x3xf32>
}

// -----

wmap.func @gather_c3_table -> tensor<4xf32> {
  %0 = wmap.source "t" : tensor<16xf32>
  %1 = wmap.source "i" : tensor<4xui8>
  // expected-error@+1 {{expected a table of 256 f32 values and f32 results in the sizes of 'tensor<4xui8>', got 'tensor<16xf32>' and 'tensor<4xf32>'}}
  %y = wmap.gather %0 by %1 : (tensor<16xf32>, tensor<4xui8>) -> tensor<4xf32>
  wmap.return %y : tensor<4xf32>
}

// -----

wmap.func @gather_c4_axis -> tensor<4xf32> {
  %0 = wmap.source "t" : tensor<f32>
  %1 = wmap.source "i" : tensor<4xsi32>
  // expected-error@+1 {{expected a table with an axis, got 'tensor<f32>'}}
  %y = wmap.gather %0 by %1 : (tensor<f32>, tensor<4xsi32>) -> tensor<4xf32>
  wmap.return %y : tensor<4xf32>
}

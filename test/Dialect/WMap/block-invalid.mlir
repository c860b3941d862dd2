// RUN: clade-opt --split-input-file --verify-diagnostics %s

// expected-error@+1 {{expected the format q8_0, q4_0, q5_0, q4_k, q5_k, q6_k, q8_row or fp8_128, got 'q3_k'}}
wmap.func @block_c1 -> tensor<2x32x!wmap.block<"q3_k">> {
}

// -----

wmap.func @quantise_c1_operand -> tensor<2x32x!wmap.block<"q8_0">> {
  %0 = wmap.source "w" : tensor<2x32xsi32>
  // expected-error@+1 {{expected floats and blocks, got 'tensor<2x32xsi32>' and 'tensor<2x32x!wmap.block<"q8_0">>'}}
  %1 = wmap.quantise %0 : tensor<2x32xsi32> -> tensor<2x32x!wmap.block<"q8_0">>
  wmap.return %1 : tensor<2x32x!wmap.block<"q8_0">>
}

// -----

wmap.func @quantise_c1_result -> tensor<2x32xf32> {
  %0 = wmap.source "w" : tensor<2x32xf32>
  // expected-error@+1 {{expected floats and blocks}}
  %1 = wmap.quantise %0 : tensor<2x32xf32> -> tensor<2x32xf32>
  wmap.return %1 : tensor<2x32xf32>
}

// -----

wmap.func @quantise_c3 -> tensor<2x32x!wmap.block<"q5_0">> {
  %0 = wmap.source "w" : tensor<2x32xf32>
  // expected-error@+1 {{expected the format q8_0, q4_0, q4_k, q6_k or q8_row, got 'q5_0'}}
  %1 = wmap.quantise %0 : tensor<2x32xf32> -> tensor<2x32x!wmap.block<"q5_0">>
  wmap.return %1 : tensor<2x32x!wmap.block<"q5_0">>
}

// -----

wmap.func @quantise_c2 -> tensor<2x32x!wmap.block<"q8_0">> {
  %0 = wmap.source "w" : tensor<2x40xf32>
  // expected-error@+1 {{expected the sizes of 'tensor<2x40xf32>' with a last one of whole blocks, got 'tensor<2x32x!wmap.block<"q8_0">>'}}
  %1 = wmap.quantise %0 : tensor<2x40xf32> -> tensor<2x32x!wmap.block<"q8_0">>
  wmap.return %1 : tensor<2x32x!wmap.block<"q8_0">>
}

// -----

wmap.func @quantise_c2_scalar -> tensor<!wmap.block<"q8_0">> {
  %0 = wmap.source "w" : tensor<f32>
  // expected-error@+1 {{with a last one of whole blocks}}
  %1 = wmap.quantise %0 : tensor<f32> -> tensor<!wmap.block<"q8_0">>
  wmap.return %1 : tensor<!wmap.block<"q8_0">>
}

// -----

wmap.func @dequantise_c1 -> tensor<2x30xf32> {
  %0 = wmap.source "w" : tensor<2x30x!wmap.block<"q8_0">>
  // expected-error@+1 {{expected whole blocks, got 'tensor<2x30x!wmap.block<"q8_0">>'}}
  %1 = wmap.dequantise %0 : tensor<2x30x!wmap.block<"q8_0">> -> tensor<2x30xf32>
  wmap.return %1 : tensor<2x30xf32>
}

// -----

wmap.func @dequantise_c2 -> tensor<2x32xbf16> {
  %0 = wmap.source "w" : tensor<2x32x!wmap.block<"q8_0">>
  // expected-error@+1 {{expected f32 elements in the sizes of 'tensor<2x32x!wmap.block<"q8_0">>', got 'tensor<2x32xbf16>'}}
  %1 = wmap.dequantise %0 : tensor<2x32x!wmap.block<"q8_0">> -> tensor<2x32xbf16>
  wmap.return %1 : tensor<2x32xbf16>
}

// -----

wmap.func @pack_blocks_c1 -> tensor<2x1x272xui8> {
  %0 = wmap.source "w" : tensor<16x32x!wmap.block<"q8_0">>
  // expected-error@+1 {{expected whole blocks of two or three axes and a multiple of 16 rows, got 'tensor<16x32x!wmap.block<"q8_0">>' in panels of 8 rows}}
  %1 = wmap.pack_blocks %0 rows 8 : tensor<16x32x!wmap.block<"q8_0">> -> tensor<2x1x272xui8>
  wmap.return %1 : tensor<2x1x272xui8>
}

// -----

wmap.func @pack_blocks_c2 -> tensor<1x1x544xi8> {
  %0 = wmap.source "w" : tensor<16x32x!wmap.block<"q8_0">>
  // expected-error@+1 {{expected panels of 16 rows of 'tensor<16x32x!wmap.block<"q8_0">>', got 'tensor<1x1x544xi8>'}}
  %1 = wmap.pack_blocks %0 rows 16 : tensor<16x32x!wmap.block<"q8_0">> -> tensor<1x1x544xi8>
  wmap.return %1 : tensor<1x1x544xi8>
}

// -----

wmap.func @unpack_blocks_c1 -> tensor<40x32x!wmap.block<"q8_0">> {
  %0 = wmap.source "w" : tensor<2x1x544xui8>
  // expected-error@+1 {{expected panels of 'tensor<40x32x!wmap.block<"q8_0">>', got 'tensor<2x1x544xui8>'}}
  %1 = wmap.unpack_blocks %0 : tensor<2x1x544xui8> -> tensor<40x32x!wmap.block<"q8_0">>
  wmap.return %1 : tensor<40x32x!wmap.block<"q8_0">>
}

// -----

wmap.func @unpack_blocks_c1_rows -> tensor<16x64x!wmap.block<"q8_row">> {
  %0 = wmap.source "w" : tensor<1x16x64xui8>
  // expected-error@+1 {{expected panels of 'tensor<16x64x!wmap.block<"q8_row">>', got 'tensor<1x16x64xui8>'}}
  %1 = wmap.unpack_blocks %0 : tensor<1x16x64xui8> -> tensor<16x64x!wmap.block<"q8_row">>
  wmap.return %1 : tensor<16x64x!wmap.block<"q8_row">>
}

// -----

wmap.func @scaled_blocks_c1 -> tensor<32x128x!wmap.block<"fp8_128">> {
  %0 = wmap.source "w" : tensor<32x128xf8E4M3FN>
  %1 = wmap.source "s" : tensor<1x2xf32>
  // expected-error@+1 {{expected a scale for each block of [128, 128] of 'tensor<32x128xf8E4M3FN>', got 'tensor<1x2xf32>'}}
  %2 = wmap.scaled_blocks %0 by %1 blocks [128, 128] : (tensor<32x128xf8E4M3FN>, tensor<1x2xf32>) -> tensor<32x128x!wmap.block<"fp8_128">>
  wmap.return %2 : tensor<32x128x!wmap.block<"fp8_128">>
}

// -----

wmap.func @concat_c4 -> tensor<16x128x!wmap.block<"q8_row">> {
  %0 = wmap.source "w" : tensor<16x64x!wmap.block<"q8_row">>
  // expected-error@+1 {{expected rows that have a scale each to stay as they are, got axis 1 of 'tensor<16x128x!wmap.block<"q8_row">>'}}
  %1 = wmap.concat %0, %0 axis 1 : (tensor<16x64x!wmap.block<"q8_row">>, tensor<16x64x!wmap.block<"q8_row">>) -> tensor<16x128x!wmap.block<"q8_row">>
  wmap.return %1 : tensor<16x128x!wmap.block<"q8_row">>
}

// -----

wmap.func @scaled_blocks_c2 -> tensor<32x128x!wmap.block<"fp8_128">> {
  %0 = wmap.source "w" : tensor<32x128xf8E4M3FN>
  %1 = wmap.source "s" : tensor<1x2xf32>
  // expected-error@+1 {{expected codes f8E4M3FN with scales of 128 columns or all, got 'tensor<32x128xf8E4M3FN>' in blocks of [32, 64]}}
  %2 = wmap.scaled_blocks %0 by %1 blocks [32, 64] : (tensor<32x128xf8E4M3FN>, tensor<1x2xf32>) -> tensor<32x128x!wmap.block<"fp8_128">>
  wmap.return %2 : tensor<32x128x!wmap.block<"fp8_128">>
}

// -----

wmap.func @reshape_c2 -> tensor<8x128x!wmap.block<"q8_row">> {
  %0 = wmap.source "w" : tensor<16x64x!wmap.block<"q8_row">>
  // expected-error@+1 {{expected rows that have a scale each to stay as they are, got 'tensor<16x64x!wmap.block<"q8_row">>' and 'tensor<8x128x!wmap.block<"q8_row">>'}}
  %1 = wmap.reshape %0 : tensor<16x64x!wmap.block<"q8_row">> -> tensor<8x128x!wmap.block<"q8_row">>
  wmap.return %1 : tensor<8x128x!wmap.block<"q8_row">>
}

// -----

wmap.func @scaled_blocks_c3 -> tensor<32x160x!wmap.block<"q8_0">> {
  %0 = wmap.source "w" : tensor<32x160xf8E4M3FN>
  %1 = wmap.source "s" : tensor<32x1xf32>
  // expected-error@+1 {{expected blocks of fp8_128 in the sizes of 'tensor<32x160xf8E4M3FN>', the last of whole blocks, got 'tensor<32x160x!wmap.block<"q8_0">>'}}
  %2 = wmap.scaled_blocks %0 by %1 blocks [1, 160] : (tensor<32x160xf8E4M3FN>, tensor<32x1xf32>) -> tensor<32x160x!wmap.block<"q8_0">>
  wmap.return %2 : tensor<32x160x!wmap.block<"q8_0">>
}

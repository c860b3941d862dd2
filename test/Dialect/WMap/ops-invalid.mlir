// RUN: clade-opt --split-input-file --verify-diagnostics %s

// expected-error@+1 {{expected a wmap.return of 'tensor<8xf32>'}}
wmap.func @func_c1_type -> tensor<8xf32> {
  %0 = wmap.source "w" : tensor<4xf32>
  wmap.return %0 : tensor<4xf32>
}

// -----

// expected-error@+1 {{expected a body without arguments, got 1}}
wmap.func @func_c2_arguments -> tensor<8xf32> {
^bb0(%a: tensor<8xf32>):
  wmap.return %a : tensor<8xf32>
}

// -----

wmap.func @func_static_sizes -> tensor<8xf32> {
  // expected-error@+1 {{result #0 must be statically shaped tensor of any type values}}
  %0 = wmap.source "w" : tensor<?xf32>
  %1 = wmap.source "w" : tensor<8xf32>
  wmap.return %1 : tensor<8xf32>
}

// -----

func.func @return_outside() {
  %0 = wmap.source "w" : tensor<8xf32>
  // expected-error@+1 {{expects parent op 'wmap.func'}}
  wmap.return %0 : tensor<8xf32>
}

// -----

wmap.func @source_c1_name -> tensor<8xf32> {
  // expected-error@+1 {{expected the name of a tensor}}
  %0 = wmap.source "" : tensor<8xf32>
  wmap.return %0 : tensor<8xf32>
}

// -----

wmap.func @source_c2_encoding -> tensor<32xbf16> {
  // expected-error@+1 {{expected f32 elements of the encoding 'Q8_0', got 'tensor<32xbf16>'}}
  %0 = wmap.source "w" {encoding = "Q8_0"} : tensor<32xbf16>
  wmap.return %0 : tensor<32xbf16>
}

// -----

wmap.func @concat_c1_sizes -> tensor<16x5xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected 'tensor<8x4xf32>' to agree with 'tensor<16x5xf32>' in all but axis 0}}
  %1 = wmap.concat %0, %0 axis 0 : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<16x5xf32>
  wmap.return %1 : tensor<16x5xf32>
}

// -----

wmap.func @concat_c1_element_type -> tensor<16x4xbf16> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{to agree with 'tensor<16x4xbf16>' in all but axis 0}}
  %1 = wmap.concat %0, %0 axis 0 : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<16x4xbf16>
  wmap.return %1 : tensor<16x4xbf16>
}

// -----

wmap.func @concat_c2_sum -> tensor<15x4xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected axis 0 of the result to be 16, got 'tensor<15x4xf32>'}}
  %1 = wmap.concat %0, %0 axis 0 : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<15x4xf32>
  wmap.return %1 : tensor<15x4xf32>
}

// -----

wmap.func @concat_c2_overflow -> tensor<8xf32> {
  %0 = wmap.source "w" : tensor<9223372036854775807xf32>
  // expected-error@+1 {{expected sizes along axis 0 whose sum fits in 63 bits}}
  %1 = wmap.concat %0, %0 axis 0 : (tensor<9223372036854775807xf32>, tensor<9223372036854775807xf32>) -> tensor<8xf32>
  wmap.return %1 : tensor<8xf32>
}

// -----

wmap.func @concat_c3_axis -> tensor<16x4xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected operands and an axis of 'tensor<16x4xf32>', got axis 2}}
  %1 = wmap.concat %0, %0 axis 2 : (tensor<8x4xf32>, tensor<8x4xf32>) -> tensor<16x4xf32>
  wmap.return %1 : tensor<16x4xf32>
}

// -----

wmap.func @concat_c3_nothing -> tensor<8xf32> {
  // expected-error@+1 {{expected operands and an axis of 'tensor<8xf32>', got axis 0}}
  %0 = wmap.concat axis 0 : () -> tensor<8xf32>
  wmap.return %0 : tensor<8xf32>
}

// -----

wmap.func @slice_c1_range -> tensor<4x4xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected a range inside axis 0 of size 8, got 4 from 5}}
  %1 = wmap.slice %0 axis 0 from 5 : tensor<8x4xf32> -> tensor<4x4xf32>
  wmap.return %1 : tensor<4x4xf32>
}

// -----

wmap.func @slice_c1_overflow -> tensor<4x4xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected a range inside axis 0 of size 8, got 4 from 9223372036854775807}}
  %1 = wmap.slice %0 axis 0 from 9223372036854775807 : tensor<8x4xf32> -> tensor<4x4xf32>
  wmap.return %1 : tensor<4x4xf32>
}

// -----

wmap.func @slice_c2_other_sizes -> tensor<4x3xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected 'tensor<4x3xf32>' to differ from 'tensor<8x4xf32>' in axis 0 only}}
  %1 = wmap.slice %0 axis 0 from 0 : tensor<8x4xf32> -> tensor<4x3xf32>
  wmap.return %1 : tensor<4x3xf32>
}

// -----

wmap.func @slice_c3_axis -> tensor<4x4xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected an axis of 'tensor<8x4xf32>', got 2}}
  %1 = wmap.slice %0 axis 2 from 0 : tensor<8x4xf32> -> tensor<4x4xf32>
  wmap.return %1 : tensor<4x4xf32>
}

// -----

wmap.func @transpose_c1_permutation -> tensor<8x8xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected a permutation of 2 axes, got [0, 0]}}
  %1 = wmap.transpose %0 [0, 0] : tensor<8x4xf32> -> tensor<8x8xf32>
  wmap.return %1 : tensor<8x8xf32>
}

// -----

wmap.func @transpose_c2_sizes -> tensor<8x4xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected the sizes of 'tensor<8x4xf32>' permuted, got 'tensor<8x4xf32>'}}
  %1 = wmap.transpose %0 [1, 0] : tensor<8x4xf32> -> tensor<8x4xf32>
  wmap.return %1 : tensor<8x4xf32>
}

// -----

wmap.func @reshape_c1_elements -> tensor<31xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected as many elements of one type, got 'tensor<8x4xf32>' and 'tensor<31xf32>'}}
  %1 = wmap.reshape %0 : tensor<8x4xf32> -> tensor<31xf32>
  wmap.return %1 : tensor<31xf32>
}

// -----

wmap.func @reshape_c1_element_type -> tensor<32xbf16> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected as many elements of one type}}
  %1 = wmap.reshape %0 : tensor<8x4xf32> -> tensor<32xbf16>
  wmap.return %1 : tensor<32xbf16>
}

// -----

wmap.func @cast_c1_sizes -> tensor<4x8xbf16> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected numbers and floats of the same sizes, got 'tensor<8x4xf32>' and 'tensor<4x8xbf16>'}}
  %1 = wmap.cast %0 : tensor<8x4xf32> -> tensor<4x8xbf16>
  wmap.return %1 : tensor<4x8xbf16>
}

// -----

wmap.func @cast_c1_integers -> tensor<8x4xi32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected numbers and floats of the same sizes}}
  %1 = wmap.cast %0 : tensor<8x4xf32> -> tensor<8x4xi32>
  wmap.return %1 : tensor<8x4xi32>
}

// -----

wmap.func @shift_c1_type -> tensor<8x4xbf16> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected operand and result of one type, got 'tensor<8x4xf32>' and 'tensor<8x4xbf16>'}}
  %1 = wmap.shift %0 by 1.0 : tensor<8x4xf32> -> tensor<8x4xbf16>
  wmap.return %1 : tensor<8x4xbf16>
}

// -----

wmap.func @shift_c2_integers -> tensor<8x4xi32> {
  %0 = wmap.source "w" : tensor<8x4xi32>
  // expected-error@+1 {{expected float elements, got 'tensor<8x4xi32>'}}
  %1 = wmap.shift %0 by 1.0 : tensor<8x4xi32> -> tensor<8x4xi32>
  wmap.return %1 : tensor<8x4xi32>
}

// -----

wmap.func @unit_rows_c1_axes -> tensor<8xf32> {
  %0 = wmap.source "w" : tensor<8xf32>
  // expected-error@+1 {{expected a matrix, got 'tensor<8xf32>'}}
  %1 = wmap.unit_rows %0 : tensor<8xf32> -> tensor<8xf32>
  wmap.return %1 : tensor<8xf32>
}

// -----

wmap.func @unit_rows_c1_type -> tensor<8x4xbf16> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected operand and result of one type}}
  %1 = wmap.unit_rows %0 : tensor<8x4xf32> -> tensor<8x4xbf16>
  wmap.return %1 : tensor<8x4xbf16>
}

// -----

wmap.func @unit_rows_c2_integers -> tensor<8x4xi32> {
  %0 = wmap.source "w" : tensor<8x4xi32>
  // expected-error@+1 {{expected float elements, got 'tensor<8x4xi32>'}}
  %1 = wmap.unit_rows %0 : tensor<8x4xi32> -> tensor<8x4xi32>
  wmap.return %1 : tensor<8x4xi32>
}

// -----

wmap.func @rope_unpermute_c1_type -> tensor<8x4xbf16> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected operand and result of one type}}
  %1 = wmap.rope_unpermute %0 heads 2 : tensor<8x4xf32> -> tensor<8x4xbf16>
  wmap.return %1 : tensor<8x4xbf16>
}

// -----

wmap.func @rope_unpermute_c2_heads -> tensor<8x4xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected the rows of 'tensor<8x4xf32>' to divide into 3 heads of even size}}
  %1 = wmap.rope_unpermute %0 heads 3 : tensor<8x4xf32> -> tensor<8x4xf32>
  wmap.return %1 : tensor<8x4xf32>
}

// -----

wmap.func @rope_unpermute_c2_odd_heads -> tensor<8x4xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected the rows of 'tensor<8x4xf32>' to divide into 8 heads of even size}}
  %1 = wmap.rope_unpermute %0 heads 8 : tensor<8x4xf32> -> tensor<8x4xf32>
  wmap.return %1 : tensor<8x4xf32>
}

// -----

wmap.func @rope_unpermute_c2_no_heads -> tensor<8x4xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{to divide into 0 heads of even size}}
  %1 = wmap.rope_unpermute %0 heads 0 : tensor<8x4xf32> -> tensor<8x4xf32>
  wmap.return %1 : tensor<8x4xf32>
}

// -----

wmap.func @pack_c1_axes -> tensor<2x1x4x2xf32> {
  %0 = wmap.source "w" : tensor<8xf32>
  // expected-error@+1 {{expected a matrix or a stack of matrices and positive panel sizes, got 'tensor<8xf32>' in panels of 4 x 2}}
  %1 = wmap.pack %0 rows 4 inner 2 : tensor<8xf32> -> tensor<2x1x4x2xf32>
  wmap.return %1 : tensor<2x1x4x2xf32>
}

// -----

wmap.func @pack_c1_positive -> tensor<2x1x4x2xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected a matrix or a stack of matrices and positive panel sizes, got 'tensor<8x4xf32>' in panels of 0 x 2}}
  %1 = wmap.pack %0 rows 0 inner 2 : tensor<8x4xf32> -> tensor<2x1x4x2xf32>
  wmap.return %1 : tensor<2x1x4x2xf32>
}

// -----

wmap.func @pack_c2_sizes -> tensor<2x1x4x2xf32> {
  %0 = wmap.source "w" : tensor<8x4xf32>
  // expected-error@+1 {{expected panels of 4 rows and 2 columns of 'tensor<8x4xf32>', got 'tensor<2x1x4x2xf32>'}}
  %1 = wmap.pack %0 rows 4 inner 2 : tensor<8x4xf32> -> tensor<2x1x4x2xf32>
  wmap.return %1 : tensor<2x1x4x2xf32>
}

// -----

// source_c3
wmap.func @w -> tensor<4x2xf32> {
  // expected-error @below {{expected 'stack' to be the size of the first axis of 'tensor<4x2xf32>' if the name has '{expert}', and nothing otherwise}}
  %0 = wmap.source "experts.{expert}.weight" : tensor<4x2xf32>
  wmap.return %0 : tensor<4x2xf32>
}

// -----

// source_c3
wmap.func @w -> tensor<4x2xf32> {
  // expected-error @below {{expected 'stack' to be the size of the first axis of 'tensor<4x2xf32>' if the name has '{expert}', and nothing otherwise}}
  %0 = wmap.source "experts.{expert}.weight" {stack = 3 : i64} : tensor<4x2xf32>
  wmap.return %0 : tensor<4x2xf32>
}

// -----

// pack_c2
wmap.func @w -> tensor<2x4x4x2xf32> {
  %0 = wmap.source "w" : tensor<3x8x4xf32>
  // expected-error @below {{expected panels of 4 rows and 2 columns of 'tensor<3x8x4xf32>', got 'tensor<2x4x4x2xf32>'}}
  %1 = wmap.pack %0 rows 4 inner 2 : tensor<3x8x4xf32> -> tensor<2x4x4x2xf32>
  wmap.return %1 : tensor<2x4x4x2xf32>
}

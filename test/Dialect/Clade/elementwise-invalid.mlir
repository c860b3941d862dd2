// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @unary_c1_other_axis(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected operand and result to have the same axes, got '!clade.tensor<[token, d = 8], f32>' and '!clade.tensor<[token, e = 8], f32>'}}
  %0 = clade.unary exp %x : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, e = 8], f32>
  return
}

// -----

func.func @unary_packed_operand(%x: !clade.tensor<[o = 4, i = 4], f32, #clade.panels<rows = 4, inner = 1>>) {
  // expected-error@+1 {{operand #0 must be tensor with named axes that is not packed}}
  %0 = clade.unary exp %x : !clade.tensor<[o = 4, i = 4], f32, #clade.panels<rows = 4, inner = 1>> -> !clade.tensor<[o = 4, i = 4], f32>
  return
}

// -----

func.func @binary_c1_axis_lost(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected every axis of '!clade.tensor<[token, d = 8], f32>' in the result '!clade.tensor<[d = 8], f32>'}}
  %0 = clade.binary add %x, %x : !clade.tensor<[token, d = 8], f32>, !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[d = 8], f32>
  return
}

// -----

func.func @binary_c1_sizes_differ(%x: !clade.tensor<[d = 8], f32>, %y: !clade.tensor<[d = 4], f32>) {
  // expected-error@+1 {{expected every axis of '!clade.tensor<[d = 4], f32>' in the result}}
  %0 = clade.binary add %x, %y : !clade.tensor<[d = 8], f32>, !clade.tensor<[d = 4], f32> -> !clade.tensor<[d = 8], f32>
  return
}

// -----

func.func @binary_c2_axis_from_nowhere(%x: !clade.tensor<[d = 8], f32>) {
  // expected-error@+1 {{expected axis 'e' of the result in an operand, got '!clade.tensor<[d = 8], f32>' and '!clade.tensor<[d = 8], f32>'}}
  %0 = clade.binary add %x, %x : !clade.tensor<[d = 8], f32>, !clade.tensor<[d = 8], f32> -> !clade.tensor<[d = 8, e = 2], f32>
  return
}

// -----

func.func @binary_c3_one_name_twice(%x: !clade.tensor<[d = 8, d = 8], f32>) {
  // expected-error@+1 {{expected axes that differ in their names, got '!clade.tensor<[d = 8, d = 8], f32>'}}
  %0 = clade.binary add %x, %x : !clade.tensor<[d = 8, d = 8], f32>, !clade.tensor<[d = 8, d = 8], f32> -> !clade.tensor<[d = 8, d = 8], f32>
  return
}

// -----

func.func @cast_c1_other_size(%x: !clade.tensor<[d = 8], f32>) {
  // expected-error@+1 {{expected operand and result to have the same axes}}
  %0 = clade.cast %x : !clade.tensor<[d = 8], f32> -> !clade.tensor<[d = 4], bf16>
  return
}

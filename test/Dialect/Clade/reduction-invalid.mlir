// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @reduce_c1_sequence_axis(%x: !clade.tensor<[token, d = 4], f32>) {
  // expected-error@+1 {{expected 'token' to be a feature axis of '!clade.tensor<[token, d = 4], f32>'}}
  %0 = clade.reduce sum %x over ["token"] : !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[d = 4], f32>
  return
}

// -----

func.func @reduce_c1_axis_twice(%x: !clade.tensor<[token, d = 4], f32>) {
  // expected-error@+1 {{expected 'd' to be a feature axis of}}
  %0 = clade.reduce sum %x over ["d", "d"] : !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token], f32>
  return
}

// -----

func.func @reduce_c2_axis_stays(%x: !clade.tensor<[token, d = 4], f32>) {
  // expected-error@+1 {{expected the result to have the other axes of '!clade.tensor<[token, d = 4], f32>', got '!clade.tensor<[token, d = 4], f32>'}}
  %0 = clade.reduce sum %x over ["d"] : !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token, d = 4], f32>
  return
}

// -----

func.func @reduce_c3_one_name_twice(%x: !clade.tensor<[d = 4, d = 4], f32>) {
  // expected-error@+1 {{expected axes that differ in their names, got '!clade.tensor<[d = 4, d = 4], f32>'}}
  %0 = clade.reduce sum %x over ["d"] : !clade.tensor<[d = 4, d = 4], f32> -> !clade.tensor<[d = 4], f32>
  return
}

// -----

func.func @softmax_c1_unknown_axis(%x: !clade.tensor<[token, d = 4], f32>) {
  // expected-error@+1 {{expected 'e' to be a feature axis of '!clade.tensor<[token, d = 4], f32>'}}
  %0 = clade.softmax %x over "e" : !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token, d = 4], f32>
  return
}

// -----

func.func @softmax_c1_sequence_axis(%x: !clade.tensor<[token, d = 4], f32>) {
  // expected-error@+1 {{expected 'token' to be a feature axis of}}
  %0 = clade.softmax %x over "token" : !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token, d = 4], f32>
  return
}

// -----

func.func @softmax_c2_other_axes(%x: !clade.tensor<[token, d = 4], f32>) {
  // expected-error@+1 {{expected operand and result to have the same axes}}
  %0 = clade.softmax %x over "d" : !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token], f32>
  return
}

// -----

func.func @softmax_c3_one_name_twice(%x: !clade.tensor<[d = 4, d = 4], f32>) {
  // expected-error@+1 {{expected axes that differ in their names}}
  %0 = clade.softmax %x over "d" : !clade.tensor<[d = 4, d = 4], f32> -> !clade.tensor<[d = 4, d = 4], f32>
  return
}

// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @view_c1_number_of_features(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected as many features under the same sequence axis, got '!clade.tensor<[token, d = 8], f32>' and '!clade.tensor<[token, d = 9], f32>'}}
  %0 = clade.view %x : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, d = 9], f32>
  return
}

// -----

func.func @view_c1_sequence_lost(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected as many features under the same sequence axis}}
  %0 = clade.view %x : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[d = 8], f32>
  return
}

// -----

func.func @view_c1_element_type(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected as many features under the same sequence axis}}
  %0 = clade.view %x : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, d = 8], bf16>
  return
}

// -----

func.func @slice_c1_sequence_axis(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected 'token' to be a feature axis of '!clade.tensor<[token, d = 8], f32>'}}
  %0 = clade.slice %x "token" from 0 : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, d = 8], f32>
  return
}

// -----

func.func @slice_c2_beyond_the_end(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected a range inside axis 'd' of size 8, got 4 from 5}}
  %0 = clade.slice %x "d" from 5 : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, d = 4], f32>
  return
}

// -----

func.func @slice_c2_negative(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected a range inside axis 'd' of size 8, got 4 from -1}}
  %0 = clade.slice %x "d" from -1 : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, d = 4], f32>
  return
}

// -----

func.func @slice_c2_overflow(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected a range inside axis 'd' of size 8, got 4 from 9223372036854775807}}
  %0 = clade.slice %x "d" from 9223372036854775807 : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, d = 4], f32>
  return
}

// -----

func.func @slice_c2_unknown_size(%x: !clade.tensor<[token, d], f32>) {
  // expected-error@+1 {{expected axis 'd' to have a size, got '!clade.tensor<[token, d], f32>' and '!clade.tensor<[token, d = 4], f32>'}}
  %0 = clade.slice %x "d" from 0 : !clade.tensor<[token, d], f32> -> !clade.tensor<[token, d = 4], f32>
  return
}

// -----

func.func @slice_c3_other_axis(%x: !clade.tensor<[token, n = 2, d = 8], f32>) {
  // expected-error@+1 {{expected the result to differ from '!clade.tensor<[token, n = 2, d = 8], f32>' in axis 'd' only, got '!clade.tensor<[token, n = 1, d = 4], f32>'}}
  %0 = clade.slice %x "d" from 0 : !clade.tensor<[token, n = 2, d = 8], f32> -> !clade.tensor<[token, n = 1, d = 4], f32>
  return
}

// -----

func.func @slice_c3_element_type(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{in axis 'd' only}}
  %0 = clade.slice %x "d" from 0 : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, d = 4], bf16>
  return
}

// -----

func.func @join_c1_other_axes(%a: !clade.tensor<[token, d = 8], f32>, %b: !clade.tensor<[token, n = 2, d = 8], f32>) {
  // expected-error@+1 {{expected '!clade.tensor<[token, n = 2, d = 8], f32>' to agree with '!clade.tensor<[token, both = 16], f32>' in all axes but the last}}
  %0 = clade.join %a, %b : (!clade.tensor<[token, d = 8], f32>, !clade.tensor<[token, n = 2, d = 8], f32>) -> !clade.tensor<[token, both = 16], f32>
  return
}

// -----

func.func @join_c2_total(%a: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected a last axis of size 16, got '!clade.tensor<[token, both = 15], f32>'}}
  %0 = clade.join %a, %a : (!clade.tensor<[token, d = 8], f32>, !clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, both = 15], f32>
  return
}

// -----

func.func @join_c3_nothing() {
  // expected-error@+1 {{expected operands and a result with a feature axis}}
  %0 = "clade.join"() : () -> !clade.tensor<[token, d = 8], f32>
  return
}

// -----

func.func @join_c3_of_the_sequence(%a: !clade.tensor<[token], f32>) {
  // expected-error@+1 {{expected operands and a result with a feature axis}}
  %0 = clade.join %a, %a : (!clade.tensor<[token], f32>, !clade.tensor<[token], f32>) -> !clade.tensor<[token], f32>
  return
}

// -----

func.func @spread_c1_axis_lost(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected every axis of '!clade.tensor<[token, d = 8], f32>' in the result '!clade.tensor<[token, n = 8], f32>'}}
  %0 = clade.spread %x : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, n = 8], f32>
  return
}

// -----

func.func @spread_c2_element_type(%x: !clade.tensor<[d = 8], f32>) {
  // expected-error@+1 {{expected operand and result of one element type, got '!clade.tensor<[d = 8], f32>' and '!clade.tensor<[n = 2, d = 8], bf16>'}}
  %0 = clade.spread %x : !clade.tensor<[d = 8], f32> -> !clade.tensor<[n = 2, d = 8], bf16>
  return
}

// -----

func.func @spread_c3_one_name_twice(%x: !clade.tensor<[d = 8], f32>) {
  // expected-error@+1 {{expected axes that differ in their names, got '!clade.tensor<[d = 8, d = 8], f32>'}}
  %0 = clade.spread %x : !clade.tensor<[d = 8], f32> -> !clade.tensor<[d = 8, d = 8], f32>
  return
}

// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @positions_c1_selected(%batch: !clade.batch) {
  // expected-error@+1 {{expected a result of one i32, or three, for each token, got '!clade.tensor<[selected], i32>'}}
  %0 = clade.positions %batch : !clade.tensor<[selected], i32>
  return
}

// -----

func.func @rotary_table_c1_positions(%p: !clade.tensor<[token], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected positions of one i32 for each token, got '!clade.tensor<[token], f32>'}}
  %0, %1 = clade.rotary_table %p, %batch frequencies [1.0] scale 1.0 : !clade.tensor<[token], f32> -> !clade.tensor<[token, j = 1], f32>
  return
}

// -----

func.func @rotary_table_c1_result(%p: !clade.tensor<[token], i32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a result of 2 frequencies a token, got '!clade.tensor<[token, j = 3], f32>'}}
  %0, %1 = clade.rotary_table %p, %batch frequencies [1.0, 0.5] scale 1.0 : !clade.tensor<[token], i32> -> !clade.tensor<[token, j = 3], f32>
  return
}

// -----

func.func @rotary_table_c2_number(%p: !clade.tensor<[token], i32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected 1 long frequencies and an original length}}
  %0, %1 = clade.rotary_table %p, %batch frequencies [1.0] scale 1.0 {long_frequencies = array<f32: 0.5, 0.25>, original_length = 8 : i64} : !clade.tensor<[token], i32> -> !clade.tensor<[token, j = 1], f32>
  return
}

// -----

func.func @rotary_table_c2_original_length(%p: !clade.tensor<[token], i32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected 1 long frequencies and an original length}}
  %0, %1 = clade.rotary_table %p, %batch frequencies [1.0] scale 1.0 {long_frequencies = array<f32: 0.5>} : !clade.tensor<[token], i32> -> !clade.tensor<[token, j = 1], f32>
  return
}

// -----

func.func @rotary_table_c3(%p: !clade.tensor<[token], i32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a theta and an original length with a dynamic factor}}
  %0, %1 = clade.rotary_table %p, %batch frequencies [1.0] scale 1.0 {dynamic_factor = 2.0 : f64, theta = 1.0 : f64} : !clade.tensor<[token], i32> -> !clade.tensor<[token, j = 1], f32>
  return
}

// -----

func.func @rope_c1_other_sequence(%x: !clade.tensor<[token, head = 4], f32>, %cos: !clade.tensor<[selected, j = 2], f32>) {
  // expected-error@+1 {{expected cosines of each token, got '!clade.tensor<[selected, j = 2], f32>' for '!clade.tensor<[token, head = 4], f32>'}}
  %0 = clade.rope halves %x, %cos, %cos : !clade.tensor<[token, head = 4], f32>, !clade.tensor<[selected, j = 2], f32>
  return
}

// -----

func.func @rope_c1_unknown_size(%x: !clade.tensor<[token, head = 4], f32>, %cos: !clade.tensor<[token, j], f32>) {
  // expected-error@+1 {{expected cosines of each token}}
  %0 = clade.rope halves %x, %cos, %cos : !clade.tensor<[token, head = 4], f32>, !clade.tensor<[token, j], f32>
  return
}

// -----

func.func @rope_c2_too_few_features(%x: !clade.tensor<[token, head = 5], f32>, %cos: !clade.tensor<[token, j = 3], f32>) {
  // expected-error@+1 {{expected a last axis of at least 2 x 3 features, got '!clade.tensor<[token, head = 5], f32>'}}
  %0 = clade.rope halves %x, %cos, %cos : !clade.tensor<[token, head = 5], f32>, !clade.tensor<[token, j = 3], f32>
  return
}

// -----

func.func @rope_c3_types(%x: !clade.tensor<[token, head = 4], f32>, %cos: !clade.tensor<[token, j = 2], f32>) {
  // expected-error@+1 {{failed to verify that all of {input, result} have same type}}
  %0 = "clade.rope"(%x, %cos, %cos) {pairs = #clade<rotary_pairs halves>} : (!clade.tensor<[token, head = 4], f32>, !clade.tensor<[token, j = 2], f32>, !clade.tensor<[token, j = 2], f32>) -> !clade.tensor<[token, head = 4], bf16>
  return
}

// -----

func.func @select_c1_axis_stays(%x: !clade.tensor<[token, d = 4], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected 'selected' in the place of 'token', got '!clade.tensor<[token, d = 4], f32>' and '!clade.tensor<[token, d = 4], f32>'}}
  %0 = clade.select %x, %batch : !clade.tensor<[token, d = 4], f32> -> !clade.tensor<[token, d = 4], f32>
  return
}

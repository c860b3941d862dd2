// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @attend_c1_rank(%q: !clade.tensor<[token, q_heads = 4], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected [token, heads, size] with one size for queries and keys}}
  %0 = clade.attend %q, %k, %v, %batch state 0 scale 1.0 : (!clade.tensor<[token, q_heads = 4], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_c1_selected(%q: !clade.tensor<[selected, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[selected, kv_heads = 2, head = 8], f32>, %v: !clade.tensor<[selected, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected [token, heads, size] with one size for queries and keys}}
  %0 = clade.attend %q, %k, %v, %batch state 0 scale 1.0 : (!clade.tensor<[selected, q_heads = 4, head = 8], f32>, !clade.tensor<[selected, kv_heads = 2, head = 8], f32>, !clade.tensor<[selected, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[selected, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_c1_sizes_differ(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 4], f32>, %v: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected [token, heads, size] with one size for queries and keys}}
  %0 = clade.attend %q, %k, %v, %batch state 0 scale 1.0 : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 4], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_c2_key_and_value_heads(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 4, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected as many key heads as value heads, got}}
  %0 = clade.attend %q, %k, %v, %batch state 0 scale 1.0 : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 4, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_c2_key_heads_divide(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 3, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 3, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected the number of key heads to divide 4, got 3}}
  %0 = clade.attend %q, %k, %v, %batch state 0 scale 1.0 : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 3, head = 8], f32>, !clade.tensor<[token, kv_heads = 3, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_c2_no_key_heads(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 0, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 0, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected the number of key heads to divide 4, got 0}}
  %0 = clade.attend %q, %k, %v, %batch state 0 scale 1.0 : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 0, head = 8], f32>, !clade.tensor<[token, kv_heads = 0, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_c3_size_of_values(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected the result to have the size of the values}}
  %0 = clade.attend %q, %k, %v, %batch state 0 scale 1.0 : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 7], f32>
  return
}

// -----

func.func @attend_c3_heads_of_result(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected query and result to be [token, heads, size] with as many heads}}
  %0 = clade.attend %q, %k, %v, %batch state 0 scale 1.0 : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[token, q_heads = 2, head = 8], f32>
  return
}

// -----

func.func @attend_c4_window(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{attribute 'window' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %0 = clade.attend %q, %k, %v, %batch state 0 scale 1.0 {window = 0 : i64} : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_c5_state(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{attribute 'state' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  %0 = clade.attend %q, %k, %v, %batch state -1 scale 1.0 : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @cache_write_c1_heads(%k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 1, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected [token, heads, size] with as many heads, got}}
  clade.cache_write %k, %v, %batch state 0 : !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 1, head = 8], f32>
  return
}

// -----

func.func @cache_write_c1_rank(%k: !clade.tensor<[token, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected [token, heads, size] with as many heads, got}}
  clade.cache_write %k, %v, %batch state 0 : !clade.tensor<[token, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>
  return
}

// -----

func.func @cache_write_c2_state(%k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %v: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{attribute 'state' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  clade.cache_write %k, %v, %batch state -1 : !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>
  return
}

// -----

func.func @attend_cached_c1_rank(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected query and result to be [token, heads, size] with as many heads}}
  %0 = clade.attend_cached %q, %batch state 0 kv_heads 2 scale 1.0 : !clade.tensor<[token, q_heads = 4, head = 8], f32> -> !clade.tensor<[token, q_heads = 4], f32>
  return
}

// -----

func.func @attend_cached_c2_key_heads_divide(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected the number of key heads to divide 4, got 3}}
  %0 = clade.attend_cached %q, %batch state 0 kv_heads 3 scale 1.0 : !clade.tensor<[token, q_heads = 4, head = 8], f32> -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_cached_c2_no_key_heads(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{attribute 'kv_heads' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %0 = clade.attend_cached %q, %batch state 0 kv_heads 0 scale 1.0 : !clade.tensor<[token, q_heads = 4, head = 8], f32> -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_cached_c3_window(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{attribute 'window' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %0 = clade.attend_cached %q, %batch state 0 kv_heads 2 scale 1.0 {window = -1 : i64} : !clade.tensor<[token, q_heads = 4, head = 8], f32> -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_cached_c4_state(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{attribute 'state' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  %0 = clade.attend_cached %q, %batch state -1 kv_heads 2 scale 1.0 : !clade.tensor<[token, q_heads = 4, head = 8], f32> -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_c6_sink_of_other_heads(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch, %s: !clade.tensor<[kv_heads = 2], f32>) {
  // expected-error@+1 {{expected a sink for each of 4 heads, got '!clade.tensor<[kv_heads = 2], f32>'}}
  %0 = clade.attend %q, %k, %k, %batch sink %s : !clade.tensor<[kv_heads = 2], f32> state 0 scale 1.0 : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_cached_c5_sink_of_other_heads(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch, %s: !clade.tensor<[kv_heads = 2], f32>) {
  // expected-error@+1 {{expected a sink for each of 4 heads, got '!clade.tensor<[kv_heads = 2], f32>'}}
  %0 = clade.attend_cached %q, %batch sink %s : !clade.tensor<[kv_heads = 2], f32> state 0 kv_heads 2 scale 1.0 : !clade.tensor<[token, q_heads = 4, head = 8], f32> -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_c6_sink_of_tokens(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch, %s: !clade.tensor<[token, q_heads = 4], f32>) {
  // expected-error@+1 {{expected a sink for each of 4 heads, got '!clade.tensor<[token, q_heads = 4], f32>'}}
  %0 = clade.attend %q, %k, %k, %batch sink %s : !clade.tensor<[token, q_heads = 4], f32> state 0 scale 1.0 : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_cached_c5_sink_of_tokens(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch, %s: !clade.tensor<[token, q_heads = 4], f32>) {
  // expected-error@+1 {{expected a sink for each of 4 heads, got '!clade.tensor<[token, q_heads = 4], f32>'}}
  %0 = clade.attend_cached %q, %batch sink %s : !clade.tensor<[token, q_heads = 4], f32> state 0 kv_heads 2 scale 1.0 : !clade.tensor<[token, q_heads = 4, head = 8], f32> -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_c7_slopes(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a slope for each of 4 heads, got 2}}
  %0 = clade.attend %q, %k, %k, %batch state 0 scale 1.0 {slopes = array<f32: 0.5, 0.25>} : (!clade.tensor<[token, q_heads = 4, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>, !clade.tensor<[token, kv_heads = 2, head = 8], f32>) -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @attend_cached_c6_slopes(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %k: !clade.tensor<[token, kv_heads = 2, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a slope for each of 4 heads, got 2}}
  %0 = clade.attend_cached %q, %batch state 0 kv_heads 2 scale 1.0 {slopes = array<f32: 0.5, 0.25>} : !clade.tensor<[token, q_heads = 4, head = 8], f32> -> !clade.tensor<[token, q_heads = 4, head = 8], f32>
  return
}

// -----

func.func @cache_write_c3_shared(%k: !clade.tensor<[token, kv_heads = 1, head = 4], f32>, %v: !clade.tensor<[token, kv_heads = 1, head = 5], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected shared values to be no longer than the keys, got '!clade.tensor<[token, kv_heads = 1, head = 5], f32>' and '!clade.tensor<[token, kv_heads = 1, head = 4], f32>'}}
  clade.cache_write %k, %v, %batch state 0 {shared} : !clade.tensor<[token, kv_heads = 1, head = 4], f32>, !clade.tensor<[token, kv_heads = 1, head = 5], f32>
  return
}

// -----

func.func @attend_cached_c9_shared(%q: !clade.tensor<[token, q_heads = 4, head = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected shared values to be no longer than the keys, got '!clade.tensor<[token, q_heads = 4, head = 9], f32>' and '!clade.tensor<[token, q_heads = 4, head = 8], f32>'}}
  %0 = clade.attend_cached %q, %batch state 0 kv_heads 1 scale 1.0 {shared} : !clade.tensor<[token, q_heads = 4, head = 8], f32> -> !clade.tensor<[token, q_heads = 4, head = 9], f32>
  return
}

// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @grid_positions_c1(%batch: !clade.batch) {
  // expected-error@+1 {{expected a result of two i32 for each token, got '!clade.tensor<[token, grid = 3], i32>'}}
  %0 = clade.grid_positions %batch merge 2 : !clade.tensor<[token, grid = 3], i32>
  return
}

// -----

func.func @grid_positions_c1_type(%batch: !clade.batch) {
  // expected-error@+1 {{expected a result of two i32 for each token, got '!clade.tensor<[token, grid = 2], f32>'}}
  %0 = clade.grid_positions %batch merge 2 : !clade.tensor<[token, grid = 2], f32>
  return
}

// -----

func.func @grid_positions_c2(%batch: !clade.batch) {
  // expected-error@+1 {{attribute 'merge' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %0 = clade.grid_positions %batch merge 0 : !clade.tensor<[token, grid = 2], i32>
  return
}

// -----

func.func @grid_frames_c1(%batch: !clade.batch) {
  // expected-error@+1 {{expected results of an i32 for each token, got '!clade.tensor<[token], f32>'}}
  %0:2 = clade.grid_frames %batch : !clade.tensor<[token], f32>
  return
}

// -----

func.func @grid_frames_c1_axes(%batch: !clade.batch) {
  // expected-error@+1 {{expected results of an i32 for each token, got '!clade.tensor<[token, grid = 2], i32>'}}
  %0:2 = clade.grid_frames %batch : !clade.tensor<[token, grid = 2], i32>
  return
}

// -----

func.func @grid_windows_c1(%batch: !clade.batch) {
  // expected-error@+1 {{expected a result of an i32 for each token, got '!clade.tensor<[token], f32>'}}
  %0 = clade.grid_windows %batch merge 2 side 4 : !clade.tensor<[token], f32>
  return
}

// -----

func.func @grid_windows_c2(%batch: !clade.batch) {
  // expected-error@+1 {{attribute 'side' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %0 = clade.grid_windows %batch merge 2 side 0 : !clade.tensor<[token], i32>
  return
}

// -----

func.func @attend_c9(%q: !clade.tensor<[token, heads = 2, head = 4], f32>, %g: !clade.tensor<[token], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected groups of an i32 for each token in both directions, got '!clade.tensor<[token], f32>'}}
  %0 = clade.attend %q, %q, %q, %batch groups %g : !clade.tensor<[token], f32> state 0 scale 0.5 {bidirectional}
      : (!clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[token, heads = 2, head = 4], f32>) -> !clade.tensor<[token, heads = 2, head = 4], f32>
  return
}

// -----

func.func @attend_cached_c8(%q: !clade.tensor<[token, heads = 2, head = 4], f32>, %g: !clade.tensor<[token], i32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected groups of an i32 for each token in both directions, got '!clade.tensor<[token], i32>'}}
  %0 = clade.attend_cached %q, %batch groups %g : !clade.tensor<[token], i32> state 0 kv_heads 2 scale 0.5
      : !clade.tensor<[token, heads = 2, head = 4], f32> -> !clade.tensor<[token, heads = 2, head = 4], f32>
  return
}

// -----

func.func @interpolate_c1(%t: !clade.tensor<[places = 16, d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a table of rows, columns and features, got '!clade.tensor<[places = 16, d = 8], f32>'}}
  %0 = clade.interpolate bicubic %t, %batch merge 1 : !clade.tensor<[places = 16, d = 8], f32> -> !clade.tensor<[token, d = 8], f32>
  return
}

// -----

func.func @interpolate_c2_type(%t: !clade.tensor<[rows = 4, columns = 4, d = 8], bf16>, %batch: !clade.batch) {
  // expected-error@+1 {{expected the features of '!clade.tensor<[rows = 4, columns = 4, d = 8], bf16>' in f32 for each token, got '!clade.tensor<[token, d = 8], bf16>'}}
  %0 = clade.interpolate bilinear %t, %batch merge 1 : !clade.tensor<[rows = 4, columns = 4, d = 8], bf16> -> !clade.tensor<[token, d = 8], bf16>
  return
}

// -----

func.func @interpolate_c2_features(%t: !clade.tensor<[rows = 4, columns = 4, d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{in f32 for each token, got '!clade.tensor<[token, d = 9], f32>'}}
  %0 = clade.interpolate bilinear %t, %batch merge 1 : !clade.tensor<[rows = 4, columns = 4, d = 8], f32> -> !clade.tensor<[token, d = 9], f32>
  return
}

// -----

func.func @interpolate_c3(%t: !clade.tensor<[rows = 4, columns = 4, d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{attribute 'merge' failed to satisfy constraint: 64-bit signless integer attribute whose value is positive}}
  %0 = clade.interpolate bilinear %t, %batch merge 0 : !clade.tensor<[rows = 4, columns = 4, d = 8], f32> -> !clade.tensor<[token, d = 8], f32>
  return
}

// -----

func.func @fold_c1_sequence(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected 'selected' and another axis in the place of 'token', got '!clade.tensor<[token, d = 8], f32>' and '!clade.tensor<[token, fold = 4, d = 8], f32>'}}
  %0 = clade.fold %x : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[token, fold = 4, d = 8], f32>
  return
}

// -----

func.func @fold_c1_features(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected 'selected' and another axis in the place of 'token'}}
  %0 = clade.fold %x : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[selected, fold = 4, d = 16], f32>
  return
}

// -----

func.func @fold_c1_size(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected 'selected' and another axis in the place of 'token'}}
  %0 = clade.fold %x : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[selected, fold, d = 8], f32>
  return
}

// -----

func.func @fold_c2(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error@+1 {{expected one element type, got '!clade.tensor<[token, d = 8], f32>' and '!clade.tensor<[selected, fold = 4, d = 8], bf16>'}}
  %0 = clade.fold %x : !clade.tensor<[token, d = 8], f32> -> !clade.tensor<[selected, fold = 4, d = 8], bf16>
  return
}

// -----

func.func @put_at_c1(%x: !clade.tensor<[selected, d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected features of each token, got '!clade.tensor<[selected, d = 8], f32>'}}
  %0 = clade.put_at %x, %batch tokens [10] from 0 width 8 : !clade.tensor<[selected, d = 8], f32>
  return
}

// -----

func.func @put_at_c2(%x: !clade.tensor<[token, d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected 8 values in rows of 12, got them from 5}}
  %0 = clade.put_at %x, %batch tokens [10] from 5 width 12 : !clade.tensor<[token, d = 8], f32>
  return
}

// -----

func.func @put_at_c3(%x: !clade.tensor<[token, d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected tokens from 0, got [10, -1]}}
  %0 = clade.put_at %x, %batch tokens [10, -1] from 0 width 8 : !clade.tensor<[token, d = 8], f32>
  return
}

// -----

func.func @rotary_table_c1_axes(%p: !clade.tensor<[token], i32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected positions of several i32 for each token, got '!clade.tensor<[token], i32>'}}
  %cos, %sin = clade.rotary_table %p, %batch frequencies [1.0, 0.5] scale 1.0 {axes = array<i64: 0, 1>} : !clade.tensor<[token], i32> -> !clade.tensor<[token, rotary = 2], f32>
  return
}

// -----

func.func @rotary_table_c4_count(%p: !clade.tensor<[token, grid = 2], i32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected an axis of the positions for each of 2 frequencies, got [0]}}
  %cos, %sin = clade.rotary_table %p, %batch frequencies [1.0, 0.5] scale 1.0 {axes = array<i64: 0>} : !clade.tensor<[token, grid = 2], i32> -> !clade.tensor<[token, rotary = 2], f32>
  return
}

// -----

func.func @rotary_table_c4_range(%p: !clade.tensor<[token, grid = 2], i32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected an axis of the positions for each of 2 frequencies, got [0, 2]}}
  %cos, %sin = clade.rotary_table %p, %batch frequencies [1.0, 0.5] scale 1.0 {axes = array<i64: 0, 2>} : !clade.tensor<[token, grid = 2], i32> -> !clade.tensor<[token, rotary = 2], f32>
  return
}

// -----

func.func @attend_c8(%q: !clade.tensor<[token, heads = 2, head = 4], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected neither a window nor slopes in both directions}}
  %0 = clade.attend %q, %q, %q, %batch state 0 scale 0.5 {bidirectional, window = 4 : i64}
      : (!clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[token, heads = 2, head = 4], f32>) -> !clade.tensor<[token, heads = 2, head = 4], f32>
  return
}

// -----

func.func @attend_cached_c7(%q: !clade.tensor<[token, heads = 2, head = 4], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected neither a window nor slopes in both directions}}
  %0 = clade.attend_cached %q, %batch state 0 kv_heads 2 scale 0.5 {bidirectional, slopes = array<f32: 1.0, 1.0>}
      : !clade.tensor<[token, heads = 2, head = 4], f32> -> !clade.tensor<[token, heads = 2, head = 4], f32>
  return
}

// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @causal_conv_c1_axes(%x: !clade.tensor<[token, heads = 2, head = 4], f32>, %w: !clade.tensor<[c = 8, taps = 2], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected [token, channels], got '!clade.tensor<[token, heads = 2, head = 4], f32>'}}
  %0 = clade.causal_conv %x, %w, %batch state 0 : !clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[c = 8, taps = 2], f32>
  return
}

// -----

func.func @causal_conv_c1_sequence(%x: !clade.tensor<[selected, c = 8], f32>, %w: !clade.tensor<[c = 8, taps = 2], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected [token, channels], got '!clade.tensor<[selected, c = 8], f32>'}}
  %0 = clade.causal_conv %x, %w, %batch state 0 : !clade.tensor<[selected, c = 8], f32>, !clade.tensor<[c = 8, taps = 2], f32>
  return
}

// -----

func.func @causal_conv_c1_size(%x: !clade.tensor<[token, c], f32>, %w: !clade.tensor<[c = 8, taps = 2], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected [token, channels], got '!clade.tensor<[token, c], f32>'}}
  %0 = clade.causal_conv %x, %w, %batch state 0 : !clade.tensor<[token, c], f32>, !clade.tensor<[c = 8, taps = 2], f32>
  return
}

// -----

func.func @causal_conv_c2(%x: !clade.tensor<[token, c = 8], f32>, %w: !clade.tensor<[c = 7, taps = 2], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a weight of 8 channels x taps, got '!clade.tensor<[c = 7, taps = 2], f32>'}}
  %0 = clade.causal_conv %x, %w, %batch state 0 : !clade.tensor<[token, c = 8], f32>, !clade.tensor<[c = 7, taps = 2], f32>
  return
}

// -----

func.func @causal_conv_c3(%x: !clade.tensor<[token, c = 8], f32>, %w: !clade.tensor<[c = 8, taps = 2], f32>, %b: !clade.tensor<[c = 7], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a bias of 8 elements, got '!clade.tensor<[c = 7], f32>'}}
  %0 = clade.causal_conv %x, %w bias %b, %batch state 0 : !clade.tensor<[token, c = 8], f32>, !clade.tensor<[c = 8, taps = 2], f32>, !clade.tensor<[c = 7], f32>
  return
}

// -----

func.func @causal_conv_c4(%x: !clade.tensor<[token, c = 8], f32>, %w: !clade.tensor<[c = 8, taps = 2], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{attribute 'state' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  %0 = clade.causal_conv %x, %w, %batch state -1 : !clade.tensor<[token, c = 8], f32>, !clade.tensor<[c = 8, taps = 2], f32>
  return
}

// -----

func.func @scan_c1_element_type(%s: !clade.tensor<[d = 8], bf16>, %batch: !clade.batch) {
  // expected-error@+1 {{expected carried tensors of f32 without a token axis, got '!clade.tensor<[d = 8], bf16>'}}
  clade.scan %batch state 0 carry(%s : !clade.tensor<[d = 8], bf16>) over() {
  ^bb0(%t: !clade.tensor<[d = 8], bf16>):
    clade.yield %t : !clade.tensor<[d = 8], bf16>
  }
  return
}

// -----

func.func @scan_c1_token(%s: !clade.tensor<[token, d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected carried tensors of f32 without a token axis, got '!clade.tensor<[token, d = 8], f32>'}}
  clade.scan %batch state 0 carry(%s : !clade.tensor<[token, d = 8], f32>) over() {
  ^bb0(%t: !clade.tensor<[token, d = 8], f32>):
    clade.yield %t : !clade.tensor<[token, d = 8], f32>
  }
  return
}

// -----

func.func @scan_c2(%s: !clade.tensor<[d = 8], f32>, %x: !clade.tensor<[token, d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected the region to take the carried tensors and the inputs without their token axes, ('!clade.tensor<[d = 8], f32>', '!clade.tensor<[d = 8], f32>'), got ('!clade.tensor<[d = 8], f32>', '!clade.tensor<[token, d = 8], f32>')}}
  clade.scan %batch state 0 carry(%s : !clade.tensor<[d = 8], f32>) over(%x : !clade.tensor<[token, d = 8], f32>) {
  ^bb0(%t: !clade.tensor<[d = 8], f32>, %a: !clade.tensor<[token, d = 8], f32>):
    clade.yield %t : !clade.tensor<[d = 8], f32>
  }
  return
}

// -----

func.func @scan_c3_count(%s: !clade.tensor<[d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a clade.yield of the 1 next carried tensors and 1 results}}
  %0 = clade.scan %batch state 0 carry(%s : !clade.tensor<[d = 8], f32>) over() -> !clade.tensor<[token, d = 8], f32> {
  ^bb0(%t: !clade.tensor<[d = 8], f32>):
    clade.yield %t : !clade.tensor<[d = 8], f32>
  }
  return
}

// -----

func.func @scan_c3_type(%s: !clade.tensor<[d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a clade.yield of the 1 next carried tensors and 0 results}}
  clade.scan %batch state 0 carry(%s : !clade.tensor<[d = 8], f32>) over() {
  ^bb0(%t: !clade.tensor<[d = 8], f32>):
    %1 = clade.cast %t : !clade.tensor<[d = 8], f32> -> !clade.tensor<[d = 8], bf16>
    clade.yield %1 : !clade.tensor<[d = 8], bf16>
  }
  return
}

// -----

func.func @scan_c4(%s: !clade.tensor<[d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a result of '!clade.tensor<[d = 8], f32>' for each token, got '!clade.tensor<[d = 8], f32>'}}
  %0 = clade.scan %batch state 0 carry(%s : !clade.tensor<[d = 8], f32>) over() -> !clade.tensor<[d = 8], f32> {
  ^bb0(%t: !clade.tensor<[d = 8], f32>):
    clade.yield %t, %t : !clade.tensor<[d = 8], f32>, !clade.tensor<[d = 8], f32>
  }
  return
}

// -----

func.func @scan_c5(%s: !clade.tensor<[d = 8], f32>, %w: !clade.tensor<[to = 8, d = 8], f32>, %batch: !clade.batch) {
  clade.scan %batch state 0 carry(%s : !clade.tensor<[d = 8], f32>) over(%w : !clade.tensor<[to = 8, d = 8], f32>) {
  ^bb0(%t: !clade.tensor<[d = 8], f32>, %v: !clade.tensor<[to = 8, d = 8], f32>):
    // expected-error@+1 {{expected only ops that work on each token by itself in a scan}}
    %1 = clade.linear %t, %v : !clade.tensor<[d = 8], f32>, !clade.tensor<[to = 8, d = 8], f32> -> !clade.tensor<[d = 8], f32>
    clade.yield %1 : !clade.tensor<[d = 8], f32>
  }
  return
}

// -----

func.func @scan_c6(%s: !clade.tensor<[d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{attribute 'state' failed to satisfy constraint: 64-bit signless integer attribute whose value is non-negative}}
  clade.scan %batch state -1 carry(%s : !clade.tensor<[d = 8], f32>) over() {
  ^bb0(%t: !clade.tensor<[d = 8], f32>):
    clade.yield %t : !clade.tensor<[d = 8], f32>
  }
  return
}

// -----

func.func @repeat_c1(%x: !clade.tensor<[token, groups = 2], f32>) {
  // expected-error@+1 {{expected 'token' to be a feature axis of '!clade.tensor<[token, groups = 2], f32>'}}
  %0 = clade.repeat %x "token" : !clade.tensor<[token, groups = 2], f32> -> !clade.tensor<[token, heads = 4], f32>
  return
}

// -----

func.func @repeat_c2(%x: !clade.tensor<[token, groups = 2], f32>) {
  // expected-error@+1 {{expected axis 'groups' to become a multiple of its size, got '!clade.tensor<[token, groups = 2], f32>' and '!clade.tensor<[token, heads = 5], f32>'}}
  %0 = clade.repeat %x "groups" : !clade.tensor<[token, groups = 2], f32> -> !clade.tensor<[token, heads = 5], f32>
  return
}

// -----

func.func @repeat_c3_axes(%x: !clade.tensor<[token, groups = 2, d = 8], f32>) {
  // expected-error@+1 {{expected the result to differ from '!clade.tensor<[token, groups = 2, d = 8], f32>' in axis 'groups' only}}
  %0 = clade.repeat %x "groups" : !clade.tensor<[token, groups = 2, d = 8], f32> -> !clade.tensor<[token, heads = 4, e = 8], f32>
  return
}

// -----

func.func @repeat_c3_element_type(%x: !clade.tensor<[token, groups = 2], f32>) {
  // expected-error@+1 {{expected the result to differ from}}
  %0 = clade.repeat %x "groups" : !clade.tensor<[token, groups = 2], f32> -> !clade.tensor<[token, heads = 4], bf16>
  return
}

// -----

func.func @repeat_c4(%x: !clade.tensor<[token, groups = 2, d = 8], f32>) {
  // expected-error@+1 {{expected axes that differ in their names, got '!clade.tensor<[token, d = 4, d = 8], f32>'}}
  %0 = clade.repeat %x "groups" : !clade.tensor<[token, groups = 2, d = 8], f32> -> !clade.tensor<[token, d = 4, d = 8], f32>
  return
}

// -----

func.func @kernel_c5(%x: !clade.tensor<[token, c = 8], f32>) {
  // expected-error@+1 {{expected 1 clade.causal_conv or clade.scan in a kernel of kind 'recurrent', got 0}}
  %0 = clade.kernel recurrent (%x) : (!clade.tensor<[token, c = 8], f32>) -> !clade.tensor<[token, c = 8], f32> {
  ^bb0(%a: !clade.tensor<[token, c = 8], f32>):
    clade.yield %a : !clade.tensor<[token, c = 8], f32>
  }
  return
}

// -----

func.func @kernel_c5_in_others(%x: !clade.tensor<[token, c = 8], f32>, %w: !clade.tensor<[c = 8, taps = 2], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected 0 clade.causal_conv or clade.scan in a kernel of kind 'tokenwise', got 1}}
  %0 = clade.kernel tokenwise (%x, %w, %batch) : (!clade.tensor<[token, c = 8], f32>, !clade.tensor<[c = 8, taps = 2], f32>, !clade.batch) -> !clade.tensor<[token, c = 8], f32> {
  ^bb0(%a: !clade.tensor<[token, c = 8], f32>, %v: !clade.tensor<[c = 8, taps = 2], f32>, %b: !clade.batch):
    %1 = clade.causal_conv %a, %v, %b state 0 : !clade.tensor<[token, c = 8], f32>, !clade.tensor<[c = 8, taps = 2], f32>
    clade.yield %1 : !clade.tensor<[token, c = 8], f32>
  }
  return
}

// -----

func.func @scan_c7_no_matrix(%x: !clade.tensor<[token, d = 8], f32>, %zero: !clade.tensor<[d = 8], f32>, %batch: !clade.batch) {
  // expected-error@+1 {{expected a linear recurrence of one matrix for each head in a scan with a chunk}}
  %0 = clade.scan %batch state 0 {chunk = 16 : i64} carry(%zero : !clade.tensor<[d = 8], f32>) over(%x : !clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
  ^bb0(%s: !clade.tensor<[d = 8], f32>, %a: !clade.tensor<[d = 8], f32>):
    %1 = clade.binary add %s, %a : !clade.tensor<[d = 8], f32>, !clade.tensor<[d = 8], f32> -> !clade.tensor<[d = 8], f32>
    clade.yield %1, %1 : !clade.tensor<[d = 8], f32>, !clade.tensor<[d = 8], f32>
  }
  return
}

// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @linear_c1_elements(%x: !clade.tensor<[token, d = 8], f32>, %w: !clade.tensor<[o = 4, i = 7], f32>) {
  // expected-error@+1 {{expected a weight of 4 x 8 elements, got '!clade.tensor<[o = 4, i = 7], f32>'}}
  %0 = clade.linear %x, %w : !clade.tensor<[token, d = 8], f32>, !clade.tensor<[o = 4, i = 7], f32> -> !clade.tensor<[token, o = 4], f32>
  return
}

// -----

func.func @linear_c1_overflow(%x: !clade.tensor<[token, d = 4294967296], f32>, %w: !clade.tensor<[o = 0], f32>) {
  // expected-error@+1 {{expected a weight of 4294967296 x 4294967296 elements, got '!clade.tensor<[o = 0], f32>'}}
  %0 = clade.linear %x, %w : !clade.tensor<[token, d = 4294967296], f32>, !clade.tensor<[o = 0], f32> -> !clade.tensor<[token, o = 4294967296], f32>
  return
}

// -----

func.func @linear_c2_bias(%x: !clade.tensor<[token, d = 8], f32>, %w: !clade.tensor<[o = 4, i = 8], f32>, %b: !clade.tensor<[o = 3], f32>) {
  // expected-error@+1 {{expected a bias of 4 elements, got '!clade.tensor<[o = 3], f32>'}}
  %0 = clade.linear %x, %w bias %b : !clade.tensor<[token, d = 8], f32>, !clade.tensor<[o = 4, i = 8], f32>, !clade.tensor<[o = 3], f32> -> !clade.tensor<[token, o = 4], f32>
  return
}

// -----

func.func @linear_c3_sequence(%x: !clade.tensor<[token, d = 8], f32>, %w: !clade.tensor<[o = 4, i = 8], f32>) {
  // expected-error@+1 {{expected input and result to have the same sequence axis, got '!clade.tensor<[token, d = 8], f32>' and '!clade.tensor<[selected, o = 4], f32>'}}
  %0 = clade.linear %x, %w : !clade.tensor<[token, d = 8], f32>, !clade.tensor<[o = 4, i = 8], f32> -> !clade.tensor<[selected, o = 4], f32>
  return
}

// -----

func.func @linear_c4_packed_heads(%x: !clade.tensor<[token, d = 8], f32>, %w: !clade.tensor<[h = 2, o = 4, i = 8], f32, #clade.panels<rows = 8, inner = 1>>) {
  // expected-error@+1 {{expected a packed weight to have two axes, got}}
  %0 = clade.linear %x, %w : !clade.tensor<[token, d = 8], f32>, !clade.tensor<[h = 2, o = 4, i = 8], f32, #clade.panels<rows = 8, inner = 1>> -> !clade.tensor<[token, o = 8], f32>
  return
}

// -----

func.func @embed_c1_ids(%ids: !clade.tensor<[token], f32>, %table: !clade.tensor<[vocab = 16, d = 8], f32>) {
  // expected-error@+1 {{expected i32 ids over a sequence axis, got '!clade.tensor<[token], f32>'}}
  %0 = clade.embed %ids, %table : !clade.tensor<[token], f32>, !clade.tensor<[vocab = 16, d = 8], f32> -> !clade.tensor<[token, d = 8], f32>
  return
}

// -----

func.func @embed_c2_other_row(%ids: !clade.tensor<[token], i32>, %table: !clade.tensor<[vocab = 16, d = 8], f32>) {
  // expected-error@+1 {{expected the result to have the axes of the table's rows, got '!clade.tensor<[vocab = 16, d = 8], f32>' and '!clade.tensor<[token, d = 4], f32>'}}
  %0 = clade.embed %ids, %table : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 16, d = 8], f32> -> !clade.tensor<[token, d = 4], f32>
  return
}
// -----

func.func @embed_c3_packed_row(%ids: !clade.tensor<[token], i32>,
                               %table: !clade.tensor<[outputs = 16, inputs = 8], f32, #clade.panels<rows = 16, inner = 1>>) {
  // expected-error @below {{expected the result to have the features of a row of the packed table}}
  %0 = clade.embed %ids, %table : !clade.tensor<[token], i32>, !clade.tensor<[outputs = 16, inputs = 8], f32, #clade.panels<rows = 16, inner = 1>> -> !clade.tensor<[token, d = 4], f32>
  return
}

// -----

func.func @head_linear_c1_heads(%x: !clade.tensor<[token, heads = 2, head = 4], f32>, %w: !clade.tensor<[heads = 2, rank = 3, head = 4], f32>) {
  // expected-error@+1 {{expected [token, heads, size] with the same heads, got '!clade.tensor<[token, heads = 2, head = 4], f32>' and '!clade.tensor<[token, heads = 3, rank = 3], f32>'}}
  %0 = clade.head_linear %x, %w : !clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[heads = 2, rank = 3, head = 4], f32> -> !clade.tensor<[token, heads = 3, rank = 3], f32>
  return
}

// -----

func.func @head_linear_c1_rank(%x: !clade.tensor<[token, head = 8], f32>, %w: !clade.tensor<[heads = 2, rank = 3, head = 4], f32>) {
  // expected-error@+1 {{expected [token, heads, size] with the same heads, got '!clade.tensor<[token, head = 8], f32>' and}}
  %0 = clade.head_linear %x, %w : !clade.tensor<[token, head = 8], f32>, !clade.tensor<[heads = 2, rank = 3, head = 4], f32> -> !clade.tensor<[token, heads = 2, rank = 3], f32>
  return
}

// -----

func.func @head_linear_c2_transposed(%x: !clade.tensor<[token, heads = 2, head = 4], f32>, %w: !clade.tensor<[heads = 2, head = 4, rank = 3], f32>) {
  // expected-error@+1 {{expected a weight [heads, outputs, inputs] for '!clade.tensor<[token, heads = 2, head = 4], f32>' and '!clade.tensor<[token, heads = 2, rank = 3], f32>', got '!clade.tensor<[heads = 2, head = 4, rank = 3], f32>'}}
  %0 = clade.head_linear %x, %w : !clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[heads = 2, head = 4, rank = 3], f32> -> !clade.tensor<[token, heads = 2, rank = 3], f32>
  return
}

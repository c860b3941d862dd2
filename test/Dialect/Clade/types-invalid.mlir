// RUN: clade-opt --split-input-file --verify-diagnostics %s

// expected-error@+1 {{expected the sequence axis 'token' to be first}}
func.func private @tensor_c1_sequence_first(!clade.tensor<[d = 8, token], f32>)

// -----

// expected-error@+1 {{expected the sequence axis 'selected' to be first}}
func.func private @tensor_c1_one_sequence(!clade.tensor<[token, selected], f32>)

// -----

// expected-error@+1 {{expected an integer or float element type, got 'index'}}
func.func private @tensor_c2_element_type(!clade.tensor<[d = 8], index>)

// -----

// expected-error@+1 {{expected a packed layout such as #clade.panels<…>, got 7 : i64}}
func.func private @tensor_c3_layout(!clade.tensor<[d = 8], f32, 7 : i64>)

// -----

// expected-error@+1 {{expected a number of elements that fits in 63 bits}}
func.func private @tensor_c4_size(!clade.tensor<[a = 4294967296, b = 4294967296], f32>)

// -----

// expected-error@+1 {{expected a size of at least 0, got -1}}
func.func private @tensor_negative_size(!clade.tensor<[d = -1], f32>)

// -----

// expected-error@+1 {{expected rows, inner and groups of at least 1, got 0, 2 and 1}}
func.func private @panels_c1(!clade.tensor<[o = 4, i = 4], f32, #clade.panels<rows = 0, inner = 2>>)

// -----

// expected-error@+1 {{expected rows in multiples of 16 and groups of at least 1, got 8 and 1}}
func.func private @blocks_c1(!clade.tensor<[o = 16, i = 32], f32, #clade.blocks<format = "q8_0", rows = 8>>)

// -----

// expected-error@+1 {{expected a format of '!wmap.block', got 'q2_k'}}
func.func private @blocks_c2(!clade.tensor<[o = 16, i = 32], f32, #clade.blocks<format = "q2_k", rows = 16>>)

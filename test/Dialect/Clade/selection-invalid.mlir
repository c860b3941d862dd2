// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @top_k_c1_no_feature(%x: !clade.tensor<[token], f32>) {
  // expected-error@+1 {{expected a last axis with a size to choose from, got '!clade.tensor<[token], f32>'}}
  %v, %i = clade.top_k %x : !clade.tensor<[token], f32> -> !clade.tensor<[token, k = 2], f32>, !clade.tensor<[token, k = 2], i32>
  return
}

// -----

func.func @top_k_c1_no_size(%x: !clade.tensor<[token, experts], f32>) {
  // expected-error@+1 {{expected a last axis with a size to choose from}}
  %v, %i = clade.top_k %x : !clade.tensor<[token, experts], f32> -> !clade.tensor<[token, k = 2], f32>, !clade.tensor<[token, k = 2], i32>
  return
}

// -----

func.func @top_k_c2_too_many(%x: !clade.tensor<[token, experts = 4], f32>) {
  // expected-error@+1 {{expected values that differ from '!clade.tensor<[token, experts = 4], f32>' in the last axis, of size 1 to 4, got '!clade.tensor<[token, k = 5], f32>'}}
  %v, %i = clade.top_k %x : !clade.tensor<[token, experts = 4], f32> -> !clade.tensor<[token, k = 5], f32>, !clade.tensor<[token, k = 5], i32>
  return
}

// -----

func.func @top_k_c2_other_axes(%x: !clade.tensor<[token, experts = 4], f32>) {
  // expected-error@+1 {{expected values that differ from}}
  %v, %i = clade.top_k %x : !clade.tensor<[token, experts = 4], f32> -> !clade.tensor<[k = 2], f32>, !clade.tensor<[k = 2], i32>
  return
}

// -----

func.func @top_k_c3_types(%x: !clade.tensor<[token, experts = 4], f32>) {
  // expected-error@+1 {{expected i32 indices with the axes of '!clade.tensor<[token, k = 2], f32>', got '!clade.tensor<[token, k = 2], f32>'}}
  %v, %i = clade.top_k %x : !clade.tensor<[token, experts = 4], f32> -> !clade.tensor<[token, k = 2], f32>, !clade.tensor<[token, k = 2], f32>
  return
}

// -----

func.func @top_k_c3_axes(%x: !clade.tensor<[token, experts = 4], f32>) {
  // expected-error@+1 {{expected i32 indices with the axes of}}
  %v, %i = clade.top_k %x : !clade.tensor<[token, experts = 4], f32> -> !clade.tensor<[token, k = 2], f32>, !clade.tensor<[token, k = 1], i32>
  return
}

// -----

func.func @top_k_c4_type(%x: !clade.tensor<[token, experts = 4], f32>) {
  // expected-error@+1 {{expected values of type 'f32', got '!clade.tensor<[token, k = 2], bf16>'}}
  %v, %i = clade.top_k %x : !clade.tensor<[token, experts = 4], f32> -> !clade.tensor<[token, k = 2], bf16>, !clade.tensor<[token, k = 2], i32>
  return
}

// -----

func.func @gather_c1_axis(%x: !clade.tensor<[token, experts = 4], f32>, %i: !clade.tensor<[token, k = 2], i32>) {
  // expected-error@+1 {{expected 'd' to be a feature axis with a size of '!clade.tensor<[token, experts = 4], f32>'}}
  %0 = clade.gather %x "d" at %i : !clade.tensor<[token, experts = 4], f32>, !clade.tensor<[token, k = 2], i32> -> !clade.tensor<[token, k = 2], f32>
  return
}

// -----

func.func @gather_c1_sequence(%x: !clade.tensor<[token, experts = 4], f32>, %i: !clade.tensor<[token, k = 2], i32>) {
  // expected-error@+1 {{expected 'token' to be a feature axis with a size of}}
  %0 = clade.gather %x "token" at %i : !clade.tensor<[token, experts = 4], f32>, !clade.tensor<[token, k = 2], i32> -> !clade.tensor<[token, k = 2], f32>
  return
}

// -----

func.func @gather_c2_axis_without_indices(%x: !clade.tensor<[token, g = 2, experts = 4], f32>, %i: !clade.tensor<[token, k = 2], i32>) {
  // expected-error@+1 {{expected axis 'g' of '!clade.tensor<[token, g = 2, experts = 4], f32>' in the indices '!clade.tensor<[token, k = 2], i32>'}}
  %0 = clade.gather %x "experts" at %i : !clade.tensor<[token, g = 2, experts = 4], f32>, !clade.tensor<[token, k = 2], i32> -> !clade.tensor<[token, k = 2], f32>
  return
}

// -----

func.func @gather_c3_type(%x: !clade.tensor<[token, experts = 4], f32>, %i: !clade.tensor<[token, k = 2], f32>) {
  // expected-error@+1 {{expected indices of type i32, got '!clade.tensor<[token, k = 2], f32>'}}
  %0 = clade.gather %x "experts" at %i : !clade.tensor<[token, experts = 4], f32>, !clade.tensor<[token, k = 2], f32> -> !clade.tensor<[token, k = 2], f32>
  return
}

// -----

func.func @gather_c4_result(%x: !clade.tensor<[token, experts = 4], f32>, %i: !clade.tensor<[token, k = 2], i32>) {
  // expected-error@+1 {{expected a result of type '!clade.tensor<[token, k = 2], f32>', got '!clade.tensor<[token, k = 2], bf16>'}}
  %0 = clade.gather %x "experts" at %i : !clade.tensor<[token, experts = 4], f32>, !clade.tensor<[token, k = 2], i32> -> !clade.tensor<[token, k = 2], bf16>
  return
}

// -----

func.func @gather_c5_one_name_twice(%x: !clade.tensor<[d = 4, d = 4], f32>, %i: !clade.tensor<[d = 4], i32>) {
  // expected-error@+1 {{expected axes that differ in their names, got '!clade.tensor<[d = 4, d = 4], f32>'}}
  %0 = clade.gather %x "d" at %i : !clade.tensor<[d = 4, d = 4], f32>, !clade.tensor<[d = 4], i32> -> !clade.tensor<[d = 4], f32>
  return
}

// -----

func.func @member_c1_type(%i: !clade.tensor<[token, k = 2], f32>) {
  // expected-error@+1 {{expected i32 indices along a feature axis with a size, got '!clade.tensor<[token, k = 2], f32>'}}
  %0 = clade.member %i : !clade.tensor<[token, k = 2], f32> -> !clade.tensor<[token, groups = 4], i1>
  return
}

// -----

func.func @member_c1_no_feature(%i: !clade.tensor<[token], i32>) {
  // expected-error@+1 {{expected i32 indices along a feature axis with a size, got '!clade.tensor<[token], i32>'}}
  %0 = clade.member %i : !clade.tensor<[token], i32> -> !clade.tensor<[token, groups = 4], i1>
  return
}

// -----

func.func @member_c2_type(%i: !clade.tensor<[token, k = 2], i32>) {
  // expected-error@+1 {{expected an i1 result that differs from '!clade.tensor<[token, k = 2], i32>' in the last axis, got '!clade.tensor<[token, groups = 4], f32>'}}
  %0 = clade.member %i : !clade.tensor<[token, k = 2], i32> -> !clade.tensor<[token, groups = 4], f32>
  return
}

// -----

func.func @member_c2_axes(%i: !clade.tensor<[token, k = 2], i32>) {
  // expected-error@+1 {{expected an i1 result that differs from}}
  %0 = clade.member %i : !clade.tensor<[token, k = 2], i32> -> !clade.tensor<[groups = 4], i1>
  return
}

// -----

func.func @member_c3_no_size(%i: !clade.tensor<[token, k = 2], i32>) {
  // expected-error@+1 {{expected a last axis with a size, got '!clade.tensor<[token, groups], i1>'}}
  %0 = clade.member %i : !clade.tensor<[token, k = 2], i32> -> !clade.tensor<[token, groups], i1>
  return
}

// -----

func.func @where_c1_axis_of_condition(%c: !clade.tensor<[token, experts = 4], i1>, %x: !clade.tensor<[token, k = 2], f32>) {
  // expected-error@+1 {{expected every axis of '!clade.tensor<[token, experts = 4], i1>' in the result '!clade.tensor<[token, k = 2], f32>'}}
  %0 = clade.where %c, %x, %x : !clade.tensor<[token, experts = 4], i1>, !clade.tensor<[token, k = 2], f32>, !clade.tensor<[token, k = 2], f32> -> !clade.tensor<[token, k = 2], f32>
  return
}

// -----

func.func @where_c1_axis_of_value(%c: !clade.tensor<[token, experts = 4], i1>, %x: !clade.tensor<[token, experts = 4], f32>, %y: !clade.tensor<[token, k = 2], f32>) {
  // expected-error@+1 {{expected every axis of '!clade.tensor<[token, k = 2], f32>' in the result '!clade.tensor<[token, experts = 4], f32>'}}
  %0 = clade.where %c, %x, %y : !clade.tensor<[token, experts = 4], i1>, !clade.tensor<[token, experts = 4], f32>, !clade.tensor<[token, k = 2], f32> -> !clade.tensor<[token, experts = 4], f32>
  return
}

// -----

func.func @where_c2_new_axis(%c: !clade.tensor<[token, experts = 4], i1>, %x: !clade.tensor<[token, experts = 4], f32>) {
  // expected-error@+1 {{expected axis 'd' of the result in an operand, got}}
  %0 = clade.where %c, %x, %x : !clade.tensor<[token, experts = 4], i1>, !clade.tensor<[token, experts = 4], f32>, !clade.tensor<[token, experts = 4], f32> -> !clade.tensor<[token, experts = 4, d = 2], f32>
  return
}

// -----

func.func @where_c3_type(%x: !clade.tensor<[token, experts = 4], f32>) {
  // expected-error@+1 {{expected a condition of type i1, got '!clade.tensor<[token, experts = 4], f32>'}}
  %0 = clade.where %x, %x, %x : !clade.tensor<[token, experts = 4], f32>, !clade.tensor<[token, experts = 4], f32>, !clade.tensor<[token, experts = 4], f32> -> !clade.tensor<[token, experts = 4], f32>
  return
}

// -----

func.func @where_c4_one_name_twice(%c: !clade.tensor<[d = 4], i1>, %x: !clade.tensor<[d = 4, d = 4], f32>) {
  // expected-error@+1 {{expected axes that differ in their names, got '!clade.tensor<[d = 4, d = 4], f32>'}}
  %0 = clade.where %c, %x, %x : !clade.tensor<[d = 4], i1>, !clade.tensor<[d = 4, d = 4], f32>, !clade.tensor<[d = 4, d = 4], f32> -> !clade.tensor<[d = 4, d = 4], f32>
  return
}

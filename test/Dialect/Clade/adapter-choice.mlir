// RUN: clade-opt --split-input-file --verify-diagnostics %s

func.func @adapter_choice(%batch: !clade.batch) -> !clade.tensor<[token, adapter = 1], i32> {
  %0 = clade.adapter_choice %batch : !clade.tensor<[token, adapter = 1], i32>
  return %0 : !clade.tensor<[token, adapter = 1], i32>
}

// -----

func.func @adapter_choice_c1(%batch: !clade.batch) -> !clade.tensor<[token, adapter = 2], i32> {
  // expected-error@+1 {{expected one i32 for each token, got}}
  %0 = clade.adapter_choice %batch : !clade.tensor<[token, adapter = 2], i32>
  return %0 : !clade.tensor<[token, adapter = 2], i32>
}

// -----

func.func @adapter_choice_c1_type(%batch: !clade.batch) -> !clade.tensor<[token, adapter = 1], f32> {
  // expected-error@+1 {{expected one i32 for each token, got}}
  %0 = clade.adapter_choice %batch : !clade.tensor<[token, adapter = 1], f32>
  return %0 : !clade.tensor<[token, adapter = 1], f32>
}

// -----

func.func @adapter_choice_of(%batch: !clade.batch, %chosen: !clade.tensor<[token, active = 2], i32>) -> !clade.tensor<[token, active = 2], i32> {
  %0 = clade.adapter_choice %batch of %chosen : !clade.tensor<[token, active = 2], i32> experts 8
      : !clade.tensor<[token, active = 2], i32>
  return %0 : !clade.tensor<[token, active = 2], i32>
}

// -----

func.func @adapter_choice_c2(%batch: !clade.batch, %chosen: !clade.tensor<[token, active = 2], i32>) -> !clade.tensor<[token, active = 3], i32> {
  // expected-error@+1 {{expected numbers of 8 experts of the type of the result, got}}
  %0 = clade.adapter_choice %batch of %chosen : !clade.tensor<[token, active = 2], i32> experts 8
      : !clade.tensor<[token, active = 3], i32>
  return %0 : !clade.tensor<[token, active = 3], i32>
}

// -----

func.func @adapter_choice_c2_none(%batch: !clade.batch, %chosen: !clade.tensor<[token, active = 2], i32>) -> !clade.tensor<[token, active = 2], i32> {
  // expected-error@+1 {{expected numbers of 0 experts of the type of the result, got}}
  %0 = clade.adapter_choice %batch of %chosen : !clade.tensor<[token, active = 2], i32> experts 0
      : !clade.tensor<[token, active = 2], i32>
  return %0 : !clade.tensor<[token, active = 2], i32>
}

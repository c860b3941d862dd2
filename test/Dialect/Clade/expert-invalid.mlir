// Each constraint of the ops of mixtures of experts, violated.
// RUN: clade-opt %s --split-input-file --verify-diagnostics

!chosen = !clade.tensor<[token, active = 2], i32>
!x = !clade.tensor<[token, d = 8], f32>
!w = !clade.tensor<[experts = 4, ffn = 6, d = 8], f32>
!y = !clade.tensor<[token, active = 2, ffn = 6], f32>

// expert_linear_c1
func.func @choices(%x: !x, %chosen: !clade.tensor<[token, active = 2], f32>, %w: !w) {
  // expected-error @below {{'clade.expert_linear' op expected the choices to be i32 over a sequence axis and one other, got '!clade.tensor<[token, active = 2], f32>'}}
  %0 = clade.expert_linear %x, %chosen, %w : !x, !clade.tensor<[token, active = 2], f32>, !w -> !y
  return
}

// -----

!chosen = !clade.tensor<[token, active = 2], i32>
!x = !clade.tensor<[token, d = 8], f32>
!w = !clade.tensor<[experts = 4, ffn = 6, d = 8], f32>

// expert_linear_c2
func.func @result(%x: !x, %chosen: !chosen, %w: !w) {
  // expected-error @below {{expected a result for each choice of '!clade.tensor<[token, active = 2], i32>', got '!clade.tensor<[token, ffn = 6], f32>'}}
  %0 = clade.expert_linear %x, %chosen, %w : !x, !chosen, !w -> !clade.tensor<[token, ffn = 6], f32>
  return
}

// -----

!chosen = !clade.tensor<[token, active = 2], i32>
!w = !clade.tensor<[experts = 4, ffn = 6, d = 8], f32>
!y = !clade.tensor<[token, active = 2, ffn = 6], f32>

// expert_linear_c3
func.func @sequence(%x: !clade.tensor<[selected, d = 8], f32>, %chosen: !chosen, %w: !w) {
  // expected-error @below {{expected input and choices to have the same sequence axis, got}}
  %0 = clade.expert_linear %x, %chosen, %w : !clade.tensor<[selected, d = 8], f32>, !chosen, !w -> !y
  return
}

// -----

!chosen = !clade.tensor<[token, active = 2], i32>
!x = !clade.tensor<[token, d = 8], f32>
!y = !clade.tensor<[token, active = 2, ffn = 6], f32>

// expert_linear_c4
func.func @weight(%x: !x, %chosen: !chosen, %w: !clade.tensor<[experts = 4, ffn = 6, d = 7], f32>) {
  // expected-error @below {{expected a weight of experts x 6 x 8 elements, got '!clade.tensor<[experts = 4, ffn = 6, d = 7], f32>'}}
  %0 = clade.expert_linear %x, %chosen, %w : !x, !chosen, !clade.tensor<[experts = 4, ffn = 6, d = 7], f32> -> !y
  return
}

// -----

!chosen = !clade.tensor<[token, active = 2], i32>
!x = !clade.tensor<[token, d = 8], f32>
!w = !clade.tensor<[experts = 4, ffn = 6, d = 8], f32>
!y = !clade.tensor<[token, active = 2, ffn = 6], f32>

// expert_linear_c5
func.func @bias(%x: !x, %chosen: !chosen, %w: !w, %b: !clade.tensor<[ffn = 6], f32>) {
  // expected-error @below {{expected a bias of 4 x 6 elements, got '!clade.tensor<[ffn = 6], f32>'}}
  %0 = clade.expert_linear %x, %chosen, %w bias %b : !x, !chosen, !w, !clade.tensor<[ffn = 6], f32> -> !y
  return
}

// -----

!chosen = !clade.tensor<[token, active = 2], i32>
!x = !clade.tensor<[token, d = 8], f32>
!w = !clade.tensor<[outputs = 24, inputs = 8], f32, #clade.panels<rows = 2, inner = 1, groups = 4>>
!y = !clade.tensor<[token, active = 2, ffn = 6], f32>

// expert_linear_c6
func.func @packed(%x: !x, %chosen: !chosen, %w: !w) {
  // expected-error @below {{expected a packed weight to have three axes, got}}
  %0 = clade.expert_linear %x, %chosen, %w : !x, !chosen, !w -> !y
  return
}

// -----

!chosen = !clade.tensor<[token, active = 2], i32>
!y = !clade.tensor<[token, active = 2, d = 6], f32>

// mix_c1
func.func @share(%y: !y, %share: !clade.tensor<[token, active = 3], f32>, %chosen: !chosen) {
  // expected-error @below {{'clade.mix' op expected the share of each choice of '!clade.tensor<[token, active = 2], i32>', got '!clade.tensor<[token, active = 3], f32>'}}
  %0 = clade.mix %y, %share, %chosen sum f32 : !y, !clade.tensor<[token, active = 3], f32>, !chosen -> !clade.tensor<[token, d = 6], f32>
  return
}

// -----

!chosen = !clade.tensor<[token, active = 2], i32>
!share = !clade.tensor<[token, active = 2], f32>
!y = !clade.tensor<[token, active = 2, d = 6], f32>

// mix_c2
func.func @mixed(%y: !y, %share: !share, %chosen: !chosen) {
  // expected-error @below {{expected the operand to be the result with the second axis of '!clade.tensor<[token, active = 2], i32>', got}}
  %0 = clade.mix %y, %share, %chosen sum f32 : !y, !share, !chosen -> !clade.tensor<[token, d = 5], f32>
  return
}

// -----

!chosen = !clade.tensor<[token, active = 2], i32>
!share = !clade.tensor<[token, active = 2], f32>
!y = !clade.tensor<[token, active = 2, d = 6], f32>

// mix_c3
func.func @sum(%y: !y, %share: !share, %chosen: !chosen) {
  // expected-error @below {{expected sums in f32 or 'f32', got 'bf16'}}
  %0 = clade.mix %y, %share, %chosen sum bf16 : !y, !share, !chosen -> !clade.tensor<[token, d = 6], f32>
  return
}

// -----

// kernel_c6
func.func @kernel(%x: !clade.tensor<[token, d = 8], f32>) {
  // expected-error @below {{expected 1 clade.expert_linear or clade.head_linear in a kernel of kind 'experts', got 0}}
  %0 = clade.kernel experts (%x) : (!clade.tensor<[token, d = 8], f32>) -> !clade.tensor<[token, d = 8], f32> {
  ^bb0(%a: !clade.tensor<[token, d = 8], f32>):
    clade.yield %a : !clade.tensor<[token, d = 8], f32>
  }
  return
}

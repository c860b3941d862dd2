// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!chosen = !clade.tensor<[token, active = 2], i32>
!x = !clade.tensor<[token, d = 8], bf16>
!w = !clade.tensor<[experts = 4, ffn = 6, d = 8], bf16>
!y = !clade.tensor<[token, active = 2, ffn = 6], bf16>

// One input for all choices of a token, or one for each.
// CHECK-LABEL: @inputs
func.func @inputs(%x: !x, %each: !clade.tensor<[token, active = 2, d = 8], bf16>, %chosen: !chosen, %w: !w) {
  // CHECK: clade.expert_linear %arg0, %arg2, %arg3 : <[token, d = 8], bf16>, <[token, active = 2], i32>, <[experts = 4, ffn = 6, d = 8], bf16> -> <[token, active = 2, ffn = 6], bf16>
  %0 = clade.expert_linear %x, %chosen, %w : !x, !chosen, !w -> !y
  // CHECK: clade.expert_linear %arg1, %arg2, %arg3 : <[token, active = 2, d = 8], bf16>, <[token, active = 2], i32>, <[experts = 4, ffn = 6, d = 8], bf16> -> <[token, active = 2, ffn = 6], bf16>
  %1 = clade.expert_linear %each, %chosen, %w : !clade.tensor<[token, active = 2, d = 8], bf16>, !chosen, !w -> !y
  return
}

// CHECK-LABEL: @bias
func.func @bias(%x: !x, %chosen: !chosen, %w: !w, %b: !clade.tensor<[experts = 4, ffn = 6], bf16>) {
  // CHECK: clade.expert_linear %arg0, %arg1, %arg2 bias %arg3 : <[token, d = 8], bf16>, <[token, active = 2], i32>, <[experts = 4, ffn = 6, d = 8], bf16>, !clade.tensor<[experts = 4, ffn = 6], bf16> -> <[token, active = 2, ffn = 6], bf16>
  %0 = clade.expert_linear %x, %chosen, %w bias %b : !x, !chosen, !w, !clade.tensor<[experts = 4, ffn = 6], bf16> -> !y
  return
}

// Features of several axes, of the selected tokens.
// CHECK-LABEL: @selected
func.func @selected(%x: !clade.tensor<[selected, parts = 2, d = 4], bf16>, %chosen: !clade.tensor<[selected, active = 2], i32>, %w: !w) {
  // CHECK: clade.expert_linear {{.*}} -> <[selected, active = 2, heads = 3, head = 2], bf16>
  %0 = clade.expert_linear %x, %chosen, %w : !clade.tensor<[selected, parts = 2, d = 4], bf16>, !clade.tensor<[selected, active = 2], i32>, !w
      -> !clade.tensor<[selected, active = 2, heads = 3, head = 2], bf16>
  return
}

wmap.func @packed -> tensor<4x1x4x32x2xbf16> {
  %0 = wmap.source "experts.{expert}.up" {stack = 4 : i64} : tensor<4x6x8xbf16>
  %1 = wmap.pack %0 rows 32 inner 2 : tensor<4x6x8xbf16> -> tensor<4x1x4x32x2xbf16>
  wmap.return %1 : tensor<4x1x4x32x2xbf16>
}
// A packed weight has a matrix in panels for each expert.
// CHECK-LABEL: @panels
func.func @panels(%x: !x, %chosen: !chosen) {
  // CHECK: clade.param @packed : <[experts = 4, outputs = 6, inputs = 8], bf16, #clade.panels<rows = 32, inner = 2, groups = 4>>
  %w = clade.param @packed : !clade.tensor<[experts = 4, outputs = 6, inputs = 8], bf16, #clade.panels<rows = 32, inner = 2, groups = 4>>
  // CHECK: clade.expert_linear {{.*}}, <[experts = 4, outputs = 6, inputs = 8], bf16, #clade.panels<rows = 32, inner = 2, groups = 4>> -> <[token, active = 2, ffn = 6], bf16>
  %0 = clade.expert_linear %x, %chosen, %w
      : !x, !chosen, !clade.tensor<[experts = 4, outputs = 6, inputs = 8], bf16, #clade.panels<rows = 32, inner = 2, groups = 4>> -> !y
  return
}

// Sums in the type of the result or in f32.
// CHECK-LABEL: @mix
func.func @mix(%y: !y, %share: !clade.tensor<[token, active = 2], bf16>, %chosen: !chosen) {
  // CHECK: clade.mix %arg0, %arg1, %arg2 sum bf16 : <[token, active = 2, ffn = 6], bf16>, <[token, active = 2], bf16>, <[token, active = 2], i32> -> <[token, ffn = 6], bf16>
  %0 = clade.mix %y, %share, %chosen sum bf16 : !y, !clade.tensor<[token, active = 2], bf16>, !chosen -> !clade.tensor<[token, ffn = 6], bf16>
  // CHECK: clade.mix %arg0, %arg1, %arg2 sum f32 : {{.*}} -> <[token, ffn = 6], bf16>
  %1 = clade.mix %y, %share, %chosen sum f32 : !y, !clade.tensor<[token, active = 2], bf16>, !chosen -> !clade.tensor<[token, ffn = 6], bf16>
  return
}

// CHECK-LABEL: @kernel
func.func @kernel(%x: !x, %chosen: !chosen, %w: !w) {
  // CHECK: clade.kernel experts(%arg0, %arg1, %arg2)
  %0 = clade.kernel experts (%x, %chosen, %w) : (!x, !chosen, !w) -> !y {
  ^bb0(%a: !x, %c: !chosen, %m: !w):
    // CHECK: clade.expert_linear
    %1 = clade.expert_linear %a, %c, %m : !x, !chosen, !w -> !y
    clade.yield %1 : !y
  }
  return
}

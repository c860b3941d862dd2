// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!x = !clade.tensor<[token, d = 8], bf16>

// CHECK-LABEL: @linear
func.func @linear(%x: !x, %w: !clade.tensor<[heads = 2, head = 4, d = 8], bf16>, %b: !clade.tensor<[heads = 2, head = 4], bf16>,
                  %packed: !clade.tensor<[o = 8, i = 8], bf16, #clade.panels<rows = 8, inner = 2>>) {
  // CHECK: clade.linear %{{.*}}, %{{.*}} : <[token, d = 8], bf16>, <[heads = 2, head = 4, d = 8], bf16> -> <[token, heads = 2, head = 4], bf16>
  %0 = clade.linear %x, %w : !x, !clade.tensor<[heads = 2, head = 4, d = 8], bf16> -> !clade.tensor<[token, heads = 2, head = 4], bf16>
  // CHECK: clade.linear %{{.*}}, %{{.*}} bias %{{.*}} : <[token, d = 8], bf16>, <[heads = 2, head = 4, d = 8], bf16>, !clade.tensor<[heads = 2, head = 4], bf16> -> <[token, heads = 2, head = 4], bf16>
  %1 = clade.linear %x, %w bias %b : !x, !clade.tensor<[heads = 2, head = 4, d = 8], bf16>, !clade.tensor<[heads = 2, head = 4], bf16> -> !clade.tensor<[token, heads = 2, head = 4], bf16>
  // CHECK: clade.linear %{{.*}}, %{{.*}} : <[token, d = 8], bf16>, <[o = 8, i = 8], bf16, #clade.panels<rows = 8, inner = 2>> -> <[token, d = 8], f32>
  %2 = clade.linear %x, %packed : !x, !clade.tensor<[o = 8, i = 8], bf16, #clade.panels<rows = 8, inner = 2>> -> !clade.tensor<[token, d = 8], f32>
  return
}

// CHECK-LABEL: @embed
func.func @embed(%ids: !clade.tensor<[token], i32>, %table: !clade.tensor<[vocab = 16, d = 8], bf16>) {
  // CHECK: clade.embed %{{.*}}, %{{.*}} : <[token], i32>, <[vocab = 16, d = 8], bf16> -> <[token, d = 8], f32>
  %0 = clade.embed %ids, %table : !clade.tensor<[token], i32>, !clade.tensor<[vocab = 16, d = 8], bf16> -> !clade.tensor<[token, d = 8], f32>
  return
}

// CHECK-LABEL: @head_linear
func.func @head_linear(%x: !clade.tensor<[token, heads = 2, head = 4], bf16>, %w: !clade.tensor<[heads = 2, rank = 3, head = 4], bf16>,
                       %packed: !clade.tensor<[experts = 2, outputs = 3, inputs = 4], bf16, #clade.panels<rows = 8, inner = 2, groups = 2>>) {
  // CHECK: clade.head_linear %{{.*}}, %{{.*}} : <[token, heads = 2, head = 4], bf16>, <[heads = 2, rank = 3, head = 4], bf16> -> <[token, heads = 2, rank = 3], bf16>
  %0 = clade.head_linear %x, %w : !clade.tensor<[token, heads = 2, head = 4], bf16>, !clade.tensor<[heads = 2, rank = 3, head = 4], bf16> -> !clade.tensor<[token, heads = 2, rank = 3], bf16>
  // CHECK: clade.head_linear %{{.*}}, %{{.*}} : <[token, heads = 2, head = 4], bf16>, <[experts = 2, outputs = 3, inputs = 4], bf16, #clade.panels<
  %1 = clade.head_linear %x, %packed : !clade.tensor<[token, heads = 2, head = 4], bf16>, !clade.tensor<[experts = 2, outputs = 3, inputs = 4], bf16, #clade.panels<rows = 8, inner = 2, groups = 2>> -> !clade.tensor<[token, heads = 2, rank = 3], bf16>
  return
}

// RUN: clade-opt %s --clade-sink-select | FileCheck %s

// Only the selected tokens go through the experts of the last layer.

!x = !clade.tensor<[token, d = 8], f32>
!sx = !clade.tensor<[selected, d = 8], f32>
!scores = !clade.tensor<[token, experts = 4], f32>
!share = !clade.tensor<[token, active = 2], f32>
!chosen = !clade.tensor<[token, active = 2], i32>
!w = !clade.tensor<[experts = 4, ffn = 6, d = 8], f32>
!v = !clade.tensor<[experts = 4, d = 8, ffn = 6], f32>
!h = !clade.tensor<[token, active = 2, ffn = 6], f32>
!sh = !clade.tensor<[selected, active = 2, ffn = 6], f32>
!y = !clade.tensor<[token, active = 2, d = 8], f32>

// Input and choices are selected; weight and bias have no tokens.
// CHECK-LABEL: func.func @product
// CHECK-DAG:  %[[X:.*]] = clade.select %arg0, %arg4 : <[token, d = 8], f32> -> <[selected, d = 8], f32>
// CHECK-DAG:  %[[C:.*]] = clade.select %arg1, %arg4 : <[token, active = 2], i32> -> <[selected, active = 2], i32>
// CHECK:      %[[Y:.*]] = clade.expert_linear %[[X]], %[[C]], %arg2 bias %arg3 {{.*}} -> <[selected, active = 2, ffn = 6], f32>
// CHECK-NOT:  clade.select
// CHECK:      return %[[Y]]
func.func @product(%x: !x, %chosen: !chosen, %w: !w, %b: !clade.tensor<[experts = 4, ffn = 6], f32>, %batch: !clade.batch) -> !sh {
  %0 = clade.expert_linear %x, %chosen, %w bias %b : !x, !chosen, !w, !clade.tensor<[experts = 4, ffn = 6], f32> -> !h
  %1 = clade.select %0, %batch : !h -> !sh
  return %1 : !sh
}

// CHECK-LABEL: func.func @mixture
// CHECK-DAG:  %[[Y:.*]] = clade.select %arg0, %arg3 : <[token, active = 2, d = 8], f32> -> <[selected, active = 2, d = 8], f32>
// CHECK-DAG:  %[[S:.*]] = clade.select %arg1, %arg3 : <[token, active = 2], f32> -> <[selected, active = 2], f32>
// CHECK-DAG:  %[[C:.*]] = clade.select %arg2, %arg3 : <[token, active = 2], i32> -> <[selected, active = 2], i32>
// CHECK:      clade.mix %[[Y]], %[[S]], %[[C]] sum f32 : {{.*}} -> <[selected, d = 8], f32>
// CHECK-NOT:  clade.select
func.func @mixture(%y: !y, %share: !share, %chosen: !chosen, %batch: !clade.batch) -> !sx {
  %0 = clade.mix %y, %share, %chosen sum f32 : !y, !share, !chosen -> !x
  %1 = clade.select %0, %batch : !x -> !sx
  return %1 : !sx
}

// Through a whole mixture up to its router: the choices, which several ops
// read, are made of all tokens.
// CHECK-LABEL: func.func @layer
// CHECK:      %[[VALUES:.*]], %[[INDICES:.*]] = clade.top_k %arg1
// CHECK:      %[[X:.*]] = clade.select %arg0
// CHECK:      %[[C:.*]] = clade.select %[[INDICES]]
// CHECK:      %[[UP:.*]] = clade.expert_linear %[[X]], %[[C]], %arg2 {{.*}} -> <[selected, active = 2, ffn = 6], f32>
// CHECK:      %[[ACT:.*]] = clade.unary silu %[[UP]]
// CHECK:      %[[DOWN:.*]] = clade.expert_linear %[[ACT]], %{{.*}}, %arg3 {{.*}} -> <[selected, active = 2, d = 8], f32>
// CHECK:      %[[S:.*]] = clade.select %[[VALUES]]
// CHECK:      clade.mix %[[DOWN]], %[[S]], {{.*}} -> <[selected, d = 8], f32>
// CHECK-NEXT: return
func.func @layer(%x: !x, %scores: !scores, %w: !w, %v: !v, %batch: !clade.batch) -> !sx {
  %share, %chosen = clade.top_k %scores : !scores -> !share, !chosen
  %0 = clade.expert_linear %x, %chosen, %w : !x, !chosen, !w -> !h
  %1 = clade.unary silu %0 : !h -> !h
  %2 = clade.expert_linear %1, %chosen, %v : !h, !chosen, !v -> !y
  %3 = clade.mix %2, %share, %chosen sum f32 : !y, !share, !chosen -> !x
  %4 = clade.select %3, %batch : !x -> !sx
  return %4 : !sx
}

// Not above experts whose results all tokens need.
// CHECK-LABEL: func.func @shared
// CHECK:      %[[H:.*]] = clade.expert_linear %arg0, %arg1, %arg2
// CHECK-NEXT: %[[S:.*]] = clade.select %[[H]]
// CHECK-NEXT: return %[[S]], %[[H]]
func.func @shared(%x: !x, %chosen: !chosen, %w: !w, %batch: !clade.batch) -> (!sh, !h) {
  %0 = clade.expert_linear %x, %chosen, %w : !x, !chosen, !w -> !h
  %1 = clade.select %0, %batch : !h -> !sh
  return %1, %0 : !sh, !h
}

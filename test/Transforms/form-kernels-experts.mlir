// RUN: clade-opt %s --clade-form-kernels | FileCheck %s

// A product by chosen experts is a kernel that holds nothing else: what it
// reads has rows that follow each other, what comes after works token by token.

!x = !clade.tensor<[token, d = 8], f32>
!scores = !clade.tensor<[token, experts = 4], f32>
!share = !clade.tensor<[token, active = 2], f32>
!chosen = !clade.tensor<[token, active = 2], i32>
!w = !clade.tensor<[experts = 4, ffn = 6, d = 8], f32>
!v = !clade.tensor<[experts = 4, d = 8, ffn = 6], f32>
!h = !clade.tensor<[token, active = 2, ffn = 6], f32>
!y = !clade.tensor<[token, active = 2, d = 8], f32>

// Router, experts, activation, experts, mixture: what waits for the same is one
// token-wise kernel, and the mixture is in it with the sum after it.
// CHECK-LABEL: func.func @mixture
// CHECK:      %[[TOP:.*]]:2 = clade.kernel tokenwise(%arg1)
// CHECK:        clade.top_k
// CHECK:      %[[UP:.*]] = clade.kernel experts(%arg0, %[[TOP]]#{{[01]}}, %arg2)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.expert_linear
// CHECK-NEXT:   clade.yield
// CHECK:      %[[ACT:.*]] = clade.kernel tokenwise(%[[UP]])
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.unary silu
// CHECK-NEXT:   clade.yield
// CHECK:      %[[DOWN:.*]] = clade.kernel experts(%[[ACT]], %[[TOP]]#{{[01]}}, %arg3)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.expert_linear
// CHECK-NEXT:   clade.yield
// CHECK:      %[[SUM:.*]] = clade.kernel tokenwise(
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.mix
// CHECK-NEXT:   clade.binary add
// CHECK-NEXT:   clade.yield
// CHECK-NOT:  clade.kernel
// CHECK:      return %[[SUM]]
func.func @mixture(%x: !x, %scores: !scores, %w: !w, %v: !v) -> !x {
  %share, %chosen = clade.top_k %scores : !scores -> !share, !chosen
  %0 = clade.expert_linear %x, %chosen, %w : !x, !chosen, !w -> !h
  %1 = clade.unary silu %0 : !h -> !h
  %2 = clade.expert_linear %1, %chosen, %v : !h, !chosen, !v -> !y
  %3 = clade.mix %2, %share, %chosen sum f32 : !y, !share, !chosen -> !x
  %4 = clade.binary add %x, %3 : !x, !x -> !x
  return %4 : !x
}

// A slice that experts read is copied out.
!wide = !clade.tensor<[token, all = 20], f32>
// CHECK-LABEL: func.func @slice
// CHECK:      %[[PART:.*]] = clade.kernel tokenwise(%arg0)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.slice
// CHECK-NEXT:   clade.yield
// CHECK:      clade.kernel experts(%[[PART]], %arg1, %arg2)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.expert_linear
// CHECK-NOT:  clade.kernel
func.func @slice(%x: !wide, %chosen: !chosen, %w: !w) -> !h {
  %0 = clade.slice %x "all" from 12 : !wide -> !x
  %1 = clade.expert_linear %0, %chosen, %w : !x, !chosen, !w -> !h
  return %1 : !h
}

// So is one behind a view, which itself costs nothing.
// CHECK-LABEL: func.func @slice_behind_a_view
// CHECK:      %[[PART:.*]] = clade.kernel tokenwise(%arg0)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.slice
// CHECK-NEXT:   clade.yield
// CHECK:      clade.kernel experts(%[[PART]], %arg1, %arg2)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.view
// CHECK-NEXT:   clade.expert_linear
// CHECK-NOT:  clade.kernel
func.func @slice_behind_a_view(%x: !wide, %chosen: !chosen, %w: !w) -> !h {
  %0 = clade.slice %x "all" from 4 : !wide -> !clade.tensor<[token, flat = 8], f32>
  %1 = clade.view %0 : !clade.tensor<[token, flat = 8], f32> -> !clade.tensor<[token, parts = 2, d = 4], f32>
  %2 = clade.expert_linear %1, %chosen, %w : !clade.tensor<[token, parts = 2, d = 4], f32>, !chosen, !w -> !h
  return %2 : !h
}

// A view alone is read where it is.
// CHECK-LABEL: func.func @view
// CHECK-NOT:  clade.kernel tokenwise
// CHECK:      clade.kernel experts(%arg0, %arg1, %arg2)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.view
// CHECK-NEXT:   clade.expert_linear
// CHECK-NOT:  clade.kernel
func.func @view(%x: !clade.tensor<[token, parts = 2, each = 4], f32>, %chosen: !chosen, %w: !w) -> !h {
  %0 = clade.view %x : !clade.tensor<[token, parts = 2, each = 4], f32> -> !x
  %1 = clade.expert_linear %0, %chosen, %w : !x, !chosen, !w -> !h
  return %1 : !h
}

// Halves of what experts give, such as gate and up, go into one kernel with
// what is computed of them; only its result has rows.
!both = !clade.tensor<[token, active = 2, both = 12], f32>
!half = !clade.tensor<[token, active = 2, half = 6], f32>
!wb = !clade.tensor<[experts = 4, both = 12, d = 8], f32>
// CHECK-LABEL: func.func @halves
// CHECK:      %[[BOTH:.*]] = clade.kernel experts(%arg0, %arg1, %arg2)
// CHECK:      %[[ACT:.*]] = clade.kernel tokenwise(%[[BOTH]])
// CHECK-DAG:    clade.slice {{.*}} "both" from 0
// CHECK-DAG:    clade.slice {{.*}} "both" from 6
// CHECK:        clade.binary mul
// CHECK-NEXT:   clade.yield
// CHECK:      clade.kernel experts(%[[ACT]], %arg1, %arg3)
// CHECK-NOT:  clade.kernel
func.func @halves(%x: !x, %chosen: !chosen, %w: !wb, %v: !v) -> !y {
  %0 = clade.expert_linear %x, %chosen, %w : !x, !chosen, !wb -> !both
  %1 = clade.slice %0 "both" from 0 : !both -> !half
  %2 = clade.slice %0 "both" from 6 : !both -> !half
  %3 = clade.binary mul %1, %2 : !half, !half -> !half
  %4 = clade.expert_linear %3, %chosen, %v : !half, !chosen, !v -> !y
  return %4 : !y
}

// RUN: clade-opt %s --clade-form-kernels | FileCheck %s

// A product by heads is a kernel of its own, as one by experts is; a part of
// each head that it reads gets rows that follow each other.

!q = !clade.tensor<[token, heads = 2, "nope+pe" = 6], f32>
!n = !clade.tensor<[token, heads = 2, nope = 4], f32>
!r = !clade.tensor<[token, heads = 2, pe = 2], f32>
!c = !clade.tensor<[token, heads = 2, rank = 8], f32>
!w = !clade.tensor<[heads = 2, rank = 8, nope = 4], f32>

// CHECK-LABEL: func.func @heads
// CHECK:      %[[N:.*]] = clade.kernel tokenwise(%arg0)
// CHECK:        clade.slice %{{.*}} "nope+pe" from 0
// CHECK-NEXT:   clade.yield
// CHECK:      %[[C:.*]] = clade.kernel experts(%[[N]], %arg1)
// CHECK-NEXT: ^bb0
// CHECK-NEXT:   clade.head_linear
// CHECK-NEXT:   clade.yield
// CHECK:      %[[J:.*]] = clade.kernel tokenwise(
// CHECK:        clade.join
// CHECK-NEXT:   clade.yield
// CHECK-NOT:  clade.kernel
// CHECK:      return %[[J]]
func.func @heads(%q: !q, %w: !w) -> !clade.tensor<[token, heads = 2, "rank+pe" = 10], f32> {
  %n = clade.slice %q "nope+pe" from 0 : !q -> !n
  %r = clade.slice %q "nope+pe" from 4 : !q -> !r
  %c = clade.head_linear %n, %w : !n, !w -> !c
  %j = clade.join %c, %r : (!c, !r) -> !clade.tensor<[token, heads = 2, "rank+pe" = 10], f32>
  return %j : !clade.tensor<[token, heads = 2, "rank+pe" = 10], f32>
}

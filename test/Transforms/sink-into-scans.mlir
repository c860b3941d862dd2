// RUN: clade-opt %s --clade-sink-into-scans | FileCheck %s

!x = !clade.tensor<[token, heads = 4, d = 8], bf16>
!wide = !clade.tensor<[token, heads = 4, d = 8], f32>
!groups = !clade.tensor<[token, groups = 2, d = 8], f32>
!s = !clade.tensor<[heads = 4, d = 8], f32>
!scalar = !clade.tensor<[], f32>

// Widening and repetition go inside, each op once; what others read stays, but for casts.
// CHECK-LABEL: func.func @inputs
// CHECK-SAME: (%[[X:.*]]: !clade{{.*}}, %[[G:.*]]: !clade{{.*}}, %[[B:.*]]: !clade.batch)
// CHECK: %[[READ:.*]] = clade.unary exp %[[G]]
// CHECK: %[[CAST:.*]] = clade.cast %[[X]]
// CHECK: %[[ZERO:.*]] = clade.spread
// CHECK: %[[Y:.*]] = clade.scan %[[B]] state 0 carry(%[[ZERO]] : !clade.tensor<[heads = 4, d = 8], f32>) over(%[[X]], %[[READ]] : 
// CHECK-NEXT: ^bb0(%[[S:.*]]: {{.*}}, %[[ROW:.*]]: !clade.tensor<[heads = 4, d = 8], bf16>, %[[GROW:.*]]: !clade.tensor<[groups = 2, d = 8], f32>):
// CHECK-DAG: %[[WIDE:.*]] = clade.cast %[[ROW]] : <[heads = 4, d = 8], bf16> -> <[heads = 4, d = 8], f32>
// CHECK-DAG: %[[REPEAT:.*]] = clade.repeat %[[GROW]] "groups" : <[groups = 2, d = 8], f32> -> <[heads = 4, d = 8], f32>
// CHECK: clade.binary mul
// CHECK: clade.yield
// CHECK: return %[[Y]], %[[READ]], %[[CAST]]
func.func @inputs(%x: !x, %g: !groups, %batch: !clade.batch) -> (!wide, !groups, !wide) {
  %read = clade.unary exp %g : !groups -> !groups
  %wide = clade.cast %x : !x -> !wide
  %repeat = clade.repeat %read "groups" : !groups -> !wide
  %c = clade.constant 0.0 : !scalar
  %zero = clade.spread %c : !scalar -> !s
  %product = clade.binary mul %wide, %repeat : !wide, !wide -> !wide
  %y = clade.scan %batch state 0 carry(%zero : !s) over(%product : !wide) -> !wide {
  ^bb0(%s: !s, %p: !s):
    %0 = clade.binary add %s, %p : !s, !s -> !s
    clade.yield %0, %0 : !s, !s
  }
  return %y, %read, %wide : !wide, !groups, !wide
}

// Reductions and views stay outside: they would be done again for each head.
// CHECK-LABEL: func.func @stays
// CHECK: clade.reduce
// CHECK: clade.view
// CHECK: clade.scan
// CHECK-NOT: clade.reduce
// CHECK-NOT: clade.view
func.func @stays(%x: !wide, %zero: !s, %batch: !clade.batch) -> !wide {
  %sum = clade.reduce sum %x over ["d"] : !wide -> !clade.tensor<[token, heads = 4], f32>
  %view = clade.view %sum : !clade.tensor<[token, heads = 4], f32> -> !clade.tensor<[token, heads = 4], f32>
  %flat = clade.view %x : !wide -> !clade.tensor<[token, all = 32], f32>
  %back = clade.view %flat : !clade.tensor<[token, all = 32], f32> -> !wide
  %y = clade.scan %batch state 0 carry(%zero : !s) over(%view, %back : !clade.tensor<[token, heads = 4], f32>, !wide) -> !wide {
  ^bb0(%s: !s, %a: !clade.tensor<[heads = 4], f32>, %p: !s):
    %0 = clade.binary mul %s, %a : !s, !clade.tensor<[heads = 4], f32> -> !s
    %1 = clade.binary add %0, %p : !s, !s -> !s
    clade.yield %1, %1 : !s, !s
  }
  return %y : !wide
}

// RUN: clade-opt --canonicalize %s | FileCheck %s

!x = !clade.tensor<[token, d = 8], bf16>
!h = !clade.tensor<[token, heads = 2, head = 4], bf16>

// CHECK-LABEL: @view_of_itself
// CHECK-SAME: (%[[X:.*]]: !clade
func.func @view_of_itself(%x: !x) -> !x {
  // CHECK-NEXT: return %[[X]]
  %0 = clade.view %x : !x -> !x
  return %0 : !x
}

// CHECK-LABEL: @view_and_back
// CHECK-SAME: (%[[X:.*]]: !clade
func.func @view_and_back(%x: !x) -> !x {
  // CHECK-NEXT: return %[[X]]
  %0 = clade.view %x : !x -> !h
  %1 = clade.view %0 : !h -> !x
  return %1 : !x
}

// CHECK-LABEL: @view_of_view
// CHECK-SAME: (%[[X:.*]]: !clade
func.func @view_of_view(%x: !x) -> !clade.tensor<[token, a = 4, b = 2], bf16> {
  // CHECK-NEXT: clade.view %[[X]] : <[token, d = 8], bf16> -> <[token, a = 4, b = 2], bf16>
  // CHECK-NEXT: return
  %0 = clade.view %x : !x -> !h
  %1 = clade.view %0 : !h -> !clade.tensor<[token, a = 4, b = 2], bf16>
  return %1 : !clade.tensor<[token, a = 4, b = 2], bf16>
}

// CHECK-LABEL: @slice_of_everything
// CHECK-SAME: (%[[X:.*]]: !clade
func.func @slice_of_everything(%x: !x) -> !x {
  // CHECK-NEXT: return %[[X]]
  %0 = clade.slice %x "d" from 0 : !x -> !x
  return %0 : !x
}

// Another name for the axis is another type.
// CHECK-LABEL: @slice_that_renames
func.func @slice_that_renames(%x: !x) -> !clade.tensor<[token, e = 8], bf16> {
  // CHECK: clade.slice
  %0 = clade.slice %x "d" from 0 : !x -> !clade.tensor<[token, e = 8], bf16>
  return %0 : !clade.tensor<[token, e = 8], bf16>
}

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

!parts = !clade.tensor<[token, all = 12], bf16>

// CHECK-LABEL: @join_of_neighbours
// CHECK-SAME: (%[[X:.*]]: !clade
func.func @join_of_neighbours(%x: !parts) -> !x {
  // CHECK-NEXT: %[[S:.*]] = clade.slice %[[X]] "all" from 2 : <[token, all = 12], bf16> -> <[token, d = 8], bf16>
  // CHECK-NEXT: return %[[S]]
  %0 = clade.slice %x "all" from 2 : !parts -> !clade.tensor<[token, a = 4], bf16>
  %1 = clade.view %0 : !clade.tensor<[token, a = 4], bf16> -> !clade.tensor<[token, h = 2, s = 2], bf16>
  %2 = clade.view %1 : !clade.tensor<[token, h = 2, s = 2], bf16> -> !clade.tensor<[token, a = 4], bf16>
  %3 = clade.slice %x "all" from 6 : !parts -> !clade.tensor<[token, b = 4], bf16>
  %4 = clade.join %2, %3 : (!clade.tensor<[token, a = 4], bf16>, !clade.tensor<[token, b = 4], bf16>) -> !x
  return %4 : !x
}

// CHECK-LABEL: @join_of_others
func.func @join_of_others(%x: !parts, %h: !clade.tensor<[token, all = 2, s = 4], bf16>) -> (!x, !x) {
  // The second part comes first, and parts within heads are no neighbours.
  // CHECK: clade.join
  // CHECK: clade.join
  %0 = clade.slice %x "all" from 6 : !parts -> !clade.tensor<[token, a = 4], bf16>
  %1 = clade.slice %x "all" from 2 : !parts -> !clade.tensor<[token, b = 4], bf16>
  %2 = clade.join %0, %1 : (!clade.tensor<[token, a = 4], bf16>, !clade.tensor<[token, b = 4], bf16>) -> !x
  %3 = clade.slice %h "s" from 0 : !clade.tensor<[token, all = 2, s = 4], bf16> -> !clade.tensor<[token, all = 2, a = 2], bf16>
  %4 = clade.view %3 : !clade.tensor<[token, all = 2, a = 2], bf16> -> !clade.tensor<[token, a = 4], bf16>
  %5 = clade.slice %h "s" from 2 : !clade.tensor<[token, all = 2, s = 4], bf16> -> !clade.tensor<[token, all = 2, b = 2], bf16>
  %6 = clade.view %5 : !clade.tensor<[token, all = 2, b = 2], bf16> -> !clade.tensor<[token, b = 4], bf16>
  %7 = clade.join %4, %6 : (!clade.tensor<[token, a = 4], bf16>, !clade.tensor<[token, b = 4], bf16>) -> !x
  return %2, %7 : !x, !x
}

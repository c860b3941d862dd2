// RUN: clade-opt --canonicalize %s | FileCheck %s

!x = !clade.tensor<[token, d = 8], bf16>
!f = !clade.tensor<[token, d = 8], f32>
!s = !clade.tensor<[], f32>

// CHECK-LABEL: @cast_to_own_type
// CHECK-SAME: (%[[X:.*]]: !clade
func.func @cast_to_own_type(%x: !x) -> !x {
  // CHECK-NEXT: return %[[X]]
  %0 = clade.cast %x : !x -> !x
  return %0 : !x
}

// CHECK-LABEL: @round_of_widened
// CHECK-SAME: (%[[X:.*]]: !clade
func.func @round_of_widened(%x: !x) -> !x {
  // CHECK-NEXT: return %[[X]]
  %0 = clade.cast %x : !x -> !f
  %1 = clade.cast %0 : !f -> !x
  return %1 : !x
}

// A rounding is not removed.
// CHECK-LABEL: @widened_of_rounded
func.func @widened_of_rounded(%x: !f) -> !f {
  // CHECK-COUNT-2: clade.cast
  %0 = clade.cast %x : !f -> !x
  %1 = clade.cast %0 : !x -> !f
  return %1 : !f
}

// f16 and bf16 are as wide, but neither holds the other.
// CHECK-LABEL: @through_the_other_half
func.func @through_the_other_half(%x: !x) -> !x {
  // CHECK-COUNT-2: clade.cast
  %0 = clade.cast %x : !x -> !clade.tensor<[token, d = 8], f16>
  %1 = clade.cast %0 : !clade.tensor<[token, d = 8], f16> -> !x
  return %1 : !x
}

// f32 does not hold all of i32.
// CHECK-LABEL: @integers_through_floats
func.func @integers_through_floats(%x: !clade.tensor<[token], i32>) -> !clade.tensor<[token], i32> {
  // CHECK-COUNT-2: clade.cast
  %0 = clade.cast %x : !clade.tensor<[token], i32> -> !clade.tensor<[token], f32>
  %1 = clade.cast %0 : !clade.tensor<[token], f32> -> !clade.tensor<[token], i32>
  return %1 : !clade.tensor<[token], i32>
}

// A wider type of another kind cuts the fraction off.
// CHECK-LABEL: @floats_through_integers
func.func @floats_through_integers(%x: !x) -> !x {
  // CHECK-COUNT-2: clade.cast
  %0 = clade.cast %x : !x -> !clade.tensor<[token, d = 8], i32>
  %1 = clade.cast %0 : !clade.tensor<[token, d = 8], i32> -> !x
  return %1 : !x
}

// CHECK-LABEL: @times_one
// CHECK-SAME: (%[[X:.*]]: !clade
func.func @times_one(%x: !x) -> !x {
  // CHECK-NEXT: return %[[X]]
  %one = clade.constant 1.0 : !s
  %0 = clade.binary mul %x, %one : !x, !s -> !x
  %1 = clade.binary div %0, %one : !x, !s -> !x
  return %1 : !x
}

// CHECK-LABEL: @plus_zero
// CHECK-SAME: (%[[X:.*]]: !clade
func.func @plus_zero(%x: !x) -> !x {
  // CHECK-NEXT: return %[[X]]
  %zero = clade.constant 0.0 : !s
  %0 = clade.binary add %x, %zero : !x, !s -> !x
  %1 = clade.binary sub %0, %zero : !x, !s -> !x
  return %1 : !x
}

// CHECK-LABEL: @one_stays_where_it_matters
func.func @one_stays_where_it_matters(%x: !x) -> (!x, !x, !f) {
  // CHECK: clade.binary sub
  // CHECK: clade.binary pow
  // CHECK: clade.binary mul
  %one = clade.constant 1.0 : !s
  %0 = clade.binary sub %x, %one : !x, !s -> !x
  %1 = clade.binary pow %x, %one : !x, !s -> !x
  %2 = clade.binary mul %x, %one : !x, !s -> !f
  return %0, %1, %2 : !x, !x, !f
}

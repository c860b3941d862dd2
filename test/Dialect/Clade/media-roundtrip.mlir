// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!ids = !clade.tensor<[token], i32>
!grid = !clade.tensor<[token, grid = 2], i32>
!x = !clade.tensor<[token, d = 8], bf16>
!table = !clade.tensor<[token, rotary = 4], f32>

// CHECK-LABEL: @grid_positions
// CHECK: clade.grid_positions %{{.*}} merge 2 : <[token, grid = 2], i32>
func.func @grid_positions(%batch: !clade.batch) -> !grid {
  %0 = clade.grid_positions %batch merge 2 : !grid
  return %0 : !grid
}

// CHECK-LABEL: @fold
// CHECK: clade.fold %{{.*}} : <[token, d = 8], bf16> -> <[selected, fold = 4, d = 8], bf16>
func.func @fold(%x: !x) -> !clade.tensor<[selected, fold = 4, d = 8], bf16> {
  %0 = clade.fold %x : !x -> !clade.tensor<[selected, fold = 4, d = 8], bf16>
  return %0 : !clade.tensor<[selected, fold = 4, d = 8], bf16>
}

// CHECK-LABEL: @films
// CHECK: clade.grid_frames %{{.*}} : <[token], i32>
// CHECK: clade.fold %{{.*}} frames %{{.*}} : <[token, d = 8], bf16> -> <[selected, fold = 4, d = 8], bf16>
func.func @films(%x: !x, %batch: !clade.batch) -> (!ids, !ids, !clade.tensor<[selected, fold = 4, d = 8], bf16>) {
  %frame, %frames = clade.grid_frames %batch : !ids
  %0 = clade.fold %x frames %batch : !x -> !clade.tensor<[selected, fold = 4, d = 8], bf16>
  return %frame, %frames, %0 : !ids, !ids, !clade.tensor<[selected, fold = 4, d = 8], bf16>
}

// CHECK-LABEL: @put_at
// CHECK: clade.put_at %{{.*}}, %{{.*}} tokens [10, 12] from 0 width 24 : <[token, d = 8], bf16>
// CHECK: clade.put_at %{{.*}}, %{{.*}} tokens [10] from 16 width 24 {add} : <[token, d = 8], bf16>
func.func @put_at(%x: !x, %batch: !clade.batch) -> !x {
  %0 = clade.put_at %x, %batch tokens [10, 12] from 0 width 24 : !x
  %1 = clade.put_at %0, %batch tokens [10] from 16 width 24 {add} : !x
  return %1 : !x
}

// CHECK-LABEL: @rotary_table_of_axes
// CHECK: clade.rotary_table %{{.*}}, %{{.*}} frequencies [1.0{{.*}}, 5.0{{.*}}] scale 1.0{{.*}} {axes = array<i64: 0, 0, 1, 1>}
func.func @rotary_table_of_axes(%p: !grid, %batch: !clade.batch) -> (!table, !table) {
  %cos, %sin = clade.rotary_table %p, %batch frequencies [1.0, 0.5, 1.0, 0.5] scale 1.0 {axes = array<i64: 0, 0, 1, 1>} : !grid -> !table
  return %cos, %sin : !table, !table
}

// CHECK-LABEL: @bidirectional
// CHECK: clade.attend {{.*}} {bidirectional}
func.func @bidirectional(%q: !clade.tensor<[token, heads = 2, head = 4], f32>, %batch: !clade.batch) -> !clade.tensor<[token, heads = 2, head = 4], f32> {
  %0 = clade.attend %q, %q, %q, %batch state 0 scale 0.5 {bidirectional}
      : (!clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[token, heads = 2, head = 4], f32>) -> !clade.tensor<[token, heads = 2, head = 4], f32>
  return %0 : !clade.tensor<[token, heads = 2, head = 4], f32>
}

// CHECK-LABEL: func.func @places
// CHECK: clade.interpolate bilinear %{{.*}}, %{{.*}} merge 2 corners : <[rows = 4, columns = 6, d = 8], bf16> -> <[token, d = 8], f32>
// CHECK: clade.interpolate bicubic %{{.*}}, %{{.*}} merge 1 : <[rows = 4, columns = 6, d = 8], bf16> -> <[token, d = 8], f32>
func.func @places(%table: !clade.tensor<[rows = 4, columns = 6, d = 8], bf16>, %batch: !clade.batch) {
  %0 = clade.interpolate bilinear %table, %batch merge 2 corners : !clade.tensor<[rows = 4, columns = 6, d = 8], bf16> -> !clade.tensor<[token, d = 8], f32>
  %1 = clade.interpolate bicubic %table, %batch merge 1 : !clade.tensor<[rows = 4, columns = 6, d = 8], bf16> -> !clade.tensor<[token, d = 8], f32>
  return
}

// CHECK-LABEL: func.func @windows
// CHECK: %[[W:.*]] = clade.grid_windows %{{.*}} merge 2 side 8 : <[token], i32>
// CHECK: clade.attend %{{.*}} groups %[[W]] : !clade.tensor<[token], i32> state 0 scale 5.000000e-01 {bidirectional}
// CHECK: clade.attend_cached %{{.*}} groups %[[W]] : !clade.tensor<[token], i32> state 0 kv_heads 2 scale 5.000000e-01 {bidirectional}
func.func @windows(%q: !clade.tensor<[token, heads = 2, head = 4], f32>, %batch: !clade.batch) {
  %w = clade.grid_windows %batch merge 2 side 8 : !clade.tensor<[token], i32>
  %0 = clade.attend %q, %q, %q, %batch groups %w : !clade.tensor<[token], i32> state 0 scale 0.5 {bidirectional}
      : (!clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[token, heads = 2, head = 4], f32>, !clade.tensor<[token, heads = 2, head = 4], f32>) -> !clade.tensor<[token, heads = 2, head = 4], f32>
  %1 = clade.attend_cached %q, %batch groups %w : !clade.tensor<[token], i32> state 0 kv_heads 2 scale 0.5 {bidirectional}
      : !clade.tensor<[token, heads = 2, head = 4], f32> -> !clade.tensor<[token, heads = 2, head = 4], f32>
  return
}

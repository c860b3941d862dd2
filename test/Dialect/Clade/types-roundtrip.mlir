// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

// CHECK-LABEL: @tensors
// CHECK-SAME: !clade.tensor<[], f32>
// CHECK-SAME: !clade.tensor<[token], i32>
// CHECK-SAME: !clade.tensor<[token, "q heads" = 4, head = 8], bf16>
// CHECK-SAME: !clade.tensor<[d = 8, d = 8], f16>
func.func private @tensors(!clade.tensor<[], f32>, !clade.tensor<[token], i32>,
                           !clade.tensor<[token, "q heads" = 4, head = 8], bf16>,
                           !clade.tensor<[d = 8, d = 8], f16>)

// CHECK-LABEL: @packed
// CHECK-SAME: !clade.tensor<[o = 40, i = 6], bf16, #clade.panels<rows = 32, inner = 2>>
func.func private @packed(!clade.tensor<[o = 40, i = 6], bf16, #clade.panels<rows = 32, inner = 2>>)

// CHECK-LABEL: @batch
// CHECK-SAME: !clade.batch
func.func private @batch(!clade.batch)

// CHECK-LABEL: func.func private @blocks
// CHECK-SAME: !clade.tensor<[o = 40, i = 33], f32, #clade.blocks<format = "q4_0", rows = 32, groups = 2>>
func.func private @blocks(!clade.tensor<[o = 40, i = 33], f32, #clade.blocks<format = "q4_0", rows = 32, groups = 2>>)

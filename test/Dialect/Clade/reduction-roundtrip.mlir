// RUN: clade-opt --verify-roundtrip %s | FileCheck %s

!x = !clade.tensor<[token, experts = 8, d = 4], f32>

// CHECK-LABEL: @reduce
func.func @reduce(%x: !x) {
  // CHECK: clade.reduce sum %{{.*}} over ["d"] : <[token, experts = 8, d = 4], f32> -> <[token, experts = 8], f32>
  %0 = clade.reduce sum %x over ["d"] : !x -> !clade.tensor<[token, experts = 8], f32>
  // CHECK: clade.reduce mean %{{.*}} over ["experts", "d"]
  %1 = clade.reduce mean %x over ["experts", "d"] : !x -> !clade.tensor<[token], f32>
  // CHECK: clade.reduce max
  %2 = clade.reduce max %x over ["experts"] : !x -> !clade.tensor<[token, d = 4], f32>
  return
}

// CHECK-LABEL: @softmax
func.func @softmax(%x: !x) {
  // CHECK: clade.softmax %{{.*}} over "experts" : <[token, experts = 8, d = 4], f32> -> <[token, experts = 8, d = 4], bf16>
  %0 = clade.softmax %x over "experts" : !x -> !clade.tensor<[token, experts = 8, d = 4], bf16>
  return
}

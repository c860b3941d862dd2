// RUN: not clade-opt %s --clade-quantise-weights="form=int2" 2>&1 | FileCheck %s
// CHECK: error: expected the form keep, f16, int8, int8_channel, int4, q8_0, q4_0, q4_k or q6_k, got 'int2'

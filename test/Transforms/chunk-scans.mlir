// RUN: clade-opt %s --clade-chunk-scans=tokens=32 | FileCheck %s

!s = !clade.tensor<[heads = 2, values = 4, keys = 8], f32>
!t = !clade.tensor<[heads = 2, keys = 8, values = 4], f32>
!k = !clade.tensor<[heads = 2, keys = 8], f32>
!v = !clade.tensor<[heads = 2, values = 4], f32>
!h = !clade.tensor<[heads = 2], f32>
!ks = !clade.tensor<[token, heads = 2, keys = 8], f32>
!vs = !clade.tensor<[token, heads = 2, values = 4], f32>
!hs = !clade.tensor<[token, heads = 2], f32>

// Mamba-2: the matrix decays and takes the outer product of a key and a value.
// CHECK-LABEL: func.func @state_space
// CHECK: clade.scan %{{.*}} state 0 {chunk = 32 : i64}
func.func @state_space(%g: !hs, %k: !ks, %v: !vs, %q: !ks, %zero: !s, %batch: !clade.batch) -> !vs {
  %y = clade.scan %batch state 0 carry(%zero : !s) over(%g, %k, %v, %q : !hs, !ks, !vs, !ks) -> !vs {
  ^bb0(%s: !s, %g1: !h, %k1: !k, %v1: !v, %q1: !k):
    %d = clade.unary exp %g1 : !h -> !h
    %s1 = clade.binary mul %d, %s : !h, !s -> !s
    %o = clade.binary mul %v1, %k1 : !v, !k -> !s
    %s2 = clade.binary add %s1, %o : !s, !s -> !s
    %p = clade.binary mul %s2, %q1 : !s, !k -> !s
    %r = clade.reduce sum %p over ["keys"] : !s -> !v
    clade.yield %s2, %r : !s, !v
  }
  return %y : !vs
}

// Gated delta rule: the value is what the matrix lacks of it, and the result is rounded.
// CHECK-LABEL: func.func @delta_rule
// CHECK: clade.scan %{{.*}} state 0 {chunk = 32 : i64}
func.func @delta_rule(%g: !hs, %b: !hs, %k: !ks, %v: !vs, %q: !ks, %zero: !t, %batch: !clade.batch) -> !clade.tensor<[token, heads = 2, values = 4], bf16> {
  %y = clade.scan %batch state 0 carry(%zero : !t) over(%g, %b, %k, %v, %q : !hs, !hs, !ks, !vs, !ks) -> !clade.tensor<[token, heads = 2, values = 4], bf16> {
  ^bb0(%s: !t, %g1: !h, %b1: !h, %k1: !k, %v1: !v, %q1: !k):
    %d = clade.unary exp %g1 : !h -> !h
    %s1 = clade.binary mul %s, %d : !t, !h -> !t
    %m = clade.binary mul %s1, %k1 : !t, !k -> !t
    %has = clade.reduce sum %m over ["keys"] : !t -> !v
    %lack = clade.binary sub %v1, %has : !v, !v -> !v
    %w = clade.binary mul %b1, %lack : !h, !v -> !v
    %o = clade.binary mul %k1, %w : !k, !v -> !t
    %s2 = clade.binary add %o, %s1 : !t, !t -> !t
    %p = clade.binary mul %q1, %s2 : !k, !t -> !t
    %r = clade.reduce sum %p over ["keys"] : !t -> !v
    %c = clade.cast %r : !v -> !clade.tensor<[heads = 2, values = 4], bf16>
    clade.yield %s2, %c : !t, !clade.tensor<[heads = 2, values = 4], bf16>
  }
  return %y : !clade.tensor<[token, heads = 2, values = 4], bf16>
}

// What reads the matrix otherwise stays as it is: a decay that depends on it, a sum over the values of the matrix before.
// CHECK-LABEL: func.func @others
// CHECK-NOT: chunk
func.func @others(%g: !hs, %k: !ks, %v: !vs, %q: !ks, %zero: !s, %batch: !clade.batch) -> (!vs, !vs) {
  %y = clade.scan %batch state 0 carry(%zero : !s) over(%k, %v, %q : !ks, !vs, !ks) -> !vs {
  ^bb0(%s: !s, %k1: !k, %v1: !v, %q1: !k):
    %f = clade.reduce sum %s over ["values"] : !s -> !k
    %g1 = clade.reduce sum %f over ["keys"] : !k -> !h
    %d = clade.unary exp %g1 : !h -> !h
    %s1 = clade.binary mul %d, %s : !h, !s -> !s
    %o = clade.binary mul %v1, %k1 : !v, !k -> !s
    %s2 = clade.binary add %s1, %o : !s, !s -> !s
    %p = clade.binary mul %s2, %q1 : !s, !k -> !s
    %r = clade.reduce sum %p over ["keys"] : !s -> !v
    clade.yield %s2, %r : !s, !v
  }
  %z = clade.scan %batch state 1 carry(%zero : !s) over(%g, %k, %v, %q : !hs, !ks, !vs, !ks) -> !vs {
  ^bb0(%s: !s, %g1: !h, %k1: !k, %v1: !v, %q1: !k):
    %d = clade.unary exp %g1 : !h -> !h
    %s1 = clade.binary mul %d, %s : !h, !s -> !s
    %o = clade.binary mul %v1, %k1 : !v, !k -> !s
    %s2 = clade.binary add %s1, %o : !s, !s -> !s
    %p = clade.binary mul %s, %q1 : !s, !k -> !s
    %r = clade.reduce sum %p over ["keys"] : !s -> !v
    clade.yield %s2, %r : !s, !v
  }
  return %y, %z : !vs, !vs
}

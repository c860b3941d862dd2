# ===- torch.py - A PyTorch that says what it was asked for ---------------=== #
#
# Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# ===----------------------------------------------------------------------=== #
"""What gpu-report.py takes of PyTorch, without a GPU: each call takes as many microseconds as its operands have rows and columns, so
that a report shows which call it took for a launch. A product of [rows, k] and [n, k] takes rows + n / 100 + k / 10000; attention of
so many queries to so many keys 1000 · queries + keys."""
import types

bfloat16, int8 = "bfloat16", "int8"
clock = 0.0


class Tensor:
    def __init__(self, *shape):
        self.shape = shape

    def zero_(self):
        pass


class Event:
    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.time = clock

    def synchronize(self):
        pass

    def elapsed_time(self, end):
        return (end.time - self.time) / 1e3  # milliseconds


def randn(*shape, device, dtype):
    assert (device, dtype) == ("cuda", bfloat16)
    return Tensor(*shape)


def empty(size, device, dtype):
    assert (device, dtype) == ("cuda", int8)
    return Tensor(size)


def spend(micro):
    global clock
    clock += micro


def linear(x, w):
    (rows, k), (n, other) = x.shape, w.shape
    assert k == other
    spend(rows + n / 100 + k / 10000)


def scaled_dot_product_attention(q, keys, values, is_causal, enable_gqa):
    assert keys.shape == values.shape and q.shape[3] == keys.shape[3] and q.shape[1] % keys.shape[1] == 0 and enable_gqa
    assert is_causal == (q.shape[2] > 1)
    spend(1000 * q.shape[2] + keys.shape[2])


nn = types.SimpleNamespace(functional=types.SimpleNamespace(linear=linear, scaled_dot_product_attention=scaled_dot_product_attention))
cuda = types.SimpleNamespace(is_available=lambda: True, Event=Event)
backends = types.SimpleNamespace(cuda=types.SimpleNamespace(preferred_blas_library=lambda name: [name].index("cublaslt")))

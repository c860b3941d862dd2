//===- Atomics.cu - Atomic operations ------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cuda/atomic>
#include <cuda_fp16.h>

// One of a kind on eight words in global memory, each thread once.
extern "C" __global__ void atomicsGlobal(const int *in, int *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  atomicAdd(out, in[i]);
  atomicSub(out + 1, in[i]);
  atomicMin(out + 2, in[i]);
  atomicMax(out + 3, in[i]);
  atomicAnd(out + 4, in[i] | 0xff00);
  atomicOr(out + 5, in[i]);
  atomicXor(out + 6, in[i]);
  atomicMax((unsigned *)out + 7, (unsigned)in[i]);
}

extern "C" __global__ void atomicsWide(const unsigned long long *in,
                                       unsigned long long *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  atomicAdd(out, in[i]);
  atomicMin(out + 1, in[i]);
  atomicMax((long long *)out + 2, (long long)in[i]);
  atomicXor(out + 3, in[i]);
  atomicAnd(out + 4, in[i] | 0xffff0000ffffull);
  atomicOr(out + 5, in[i] & 0xf0f0f0f0f0ull);
}

// Bins in shared memory, then added to those of the grid.
extern "C" __global__ void histogram(const unsigned char *in, unsigned *bins,
                                     int n) {
  __shared__ unsigned own[64];
  for (int k = threadIdx.x; k < 64; k += blockDim.x)
    own[k] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n;
       i += gridDim.x * blockDim.x)
    atomicAdd(&own[in[i] / 4], 1);
  __syncthreads();
  for (int k = threadIdx.x; k < 64; k += blockDim.x)
    atomicAdd(&bins[k], own[k]);
}

// Each thread gets a number of its own.
extern "C" __global__ void tickets(unsigned *counter, int *slots,
                                   unsigned limit) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  slots[atomicAdd(counter, 1u)] = i;
  atomicInc(counter + 1, limit);
  atomicDec(counter + 2, limit);
}

// The old values are results: sums of them do not depend on the order.
extern "C" __global__ void exchange(unsigned long long *slot,
                                    unsigned long long *sum) {
  unsigned long long i = blockIdx.x * blockDim.x + threadIdx.x + 1;
  atomicAdd(sum, atomicExch(slot, i));
}

// A loop around compare-and-swap: products modulo a prime.
extern "C" __global__ void casLoop(const unsigned *in, unsigned *product,
                                   int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  unsigned old = *(volatile unsigned *)product, expected;
  do {
    expected = old;
    old = atomicCAS(product, expected,
                    (unsigned)((unsigned long long)expected * in[i] % 65537));
  } while (old != expected);
}

// Whole numbers in floats: exact in any order.
extern "C" __global__ void atomicsFloat(const int *in, float *single,
                                        double *twice, __half2 *pair, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  atomicAdd(single, (float)in[i]);
  atomicAdd(twice, in[i] * 0.5);
  if (i < 100)
    atomicAdd(pair, __floats2half2_rn(1.0f, in[i] % 8));
}

// A flag with release and acquire between blocks; the second spins until the
// first has written.
extern "C" __global__ void messagePassing(int *data, int *flag, int *out) {
  cuda::atomic_ref<int, cuda::thread_scope_device> ready(*flag);
  if (blockIdx.x == 0) {
    data[threadIdx.x] = threadIdx.x * 5;
    __syncthreads();
    if (threadIdx.x == 0)
      ready.store(1, cuda::memory_order_release);
    return;
  }
  if (threadIdx.x == 0)
    while (ready.load(cuda::memory_order_acquire) == 0)
      ;
  __syncthreads();
  out[threadIdx.x] = data[threadIdx.x] + 1;
}

// A lock of the block's scope around a sum that is no atomic.
extern "C" __global__ void spinLock(int *lock, int *value) {
  cuda::atomic_ref<int, cuda::thread_scope_device> gate(*lock);
  if (threadIdx.x % 32 == 0) {
    while (gate.exchange(1, cuda::memory_order_acquire) != 0)
      __nanosleep(50);
    *value = *value * 3 % 1009 + 1;
    gate.store(0, cuda::memory_order_release);
  }
}

// References to atomics of a block's and of the system's scope.
extern "C" __global__ void scopes(const int *in, int *out, int n) {
  __shared__ int own;
  if (threadIdx.x == 0)
    own = 0;
  __syncthreads();
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    cuda::atomic_ref<int, cuda::thread_scope_block>(own).fetch_add(
        in[i], cuda::memory_order_relaxed);
  __syncthreads();
  if (threadIdx.x == 0) {
    cuda::atomic_ref<int, cuda::thread_scope_system>(out[0]).fetch_add(own);
    cuda::atomic_ref<int, cuda::thread_scope_system>(out[1]).fetch_max(own);
  }
}

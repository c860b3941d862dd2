//===- Control.cu - Calls, local memory and switches ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

extern "C" __global__ void __launch_bounds__(128)
    sortLocal(const int *in, int *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  int values[16];
  for (int k = 0; k < 16; ++k)
    values[k] = in[16 * i + k];
  for (int k = 1; k < 16; ++k) {
    int value = values[k], j = k;
    for (; j > 0 && values[j - 1] > value; --j)
      values[j] = values[j - 1];
    values[j] = value;
  }
  for (int k = 0; k < 16; ++k)
    out[16 * i + k] = values[k];
}

// An array that is indexed at run time, hence in local memory.
extern "C" __global__ void permuteLocal(const int *order, const float *in,
                                        float *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  float stack[12];
  for (int k = 0; k < 12; ++k)
    stack[order[k]] = in[12 * i + k] + k;
  float sum = 0;
  for (int k = 0; k < 12; ++k)
    sum = sum * 0.5f + stack[(k * 5 + i) % 12];
  out[i] = sum;
}

__device__ __noinline__ unsigned fibonacci(unsigned n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

// Recursion of different depth in each thread.
extern "C" __global__ void recursion(const unsigned *in, unsigned *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    out[i] = fibonacci(in[i]);
}

__device__ __noinline__ int add(int a, int b) { return a + b; }
__device__ __noinline__ int subtract(int a, int b) { return a - b; }
__device__ __noinline__ int multiply(int a, int b) { return a * b; }
__device__ __noinline__ int larger(int a, int b) { return a > b ? a : b; }

typedef int (*Operation)(int, int);
__device__ Operation operations[4] = {add, subtract, multiply, larger};

// Through a table of functions: each thread its own.
extern "C" __global__ void callThroughTable(const int *which, const int *a,
                                            const int *b, int *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    out[i] = operations[which[i]](a[i], b[i]);
}

struct Shape {
  __device__ virtual float area() const = 0;
  __device__ virtual float perimeter() const { return 0; }
};
struct Square : Shape {
  float side;
  __device__ explicit Square(float side) : side(side) {}
  __device__ float area() const override { return side * side; }
  __device__ float perimeter() const override { return 4 * side; }
};
struct Rectangle : Shape {
  float width, height;
  __device__ Rectangle(float width, float height)
      : width(width), height(height) {}
  __device__ float area() const override { return width * height; }
};

__device__ __noinline__ float measure(const Shape &shape) {
  return shape.area() + shape.perimeter();
}

extern "C" __global__ void virtualCalls(const float *in, float *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  Square square(in[i]);
  Rectangle rectangle(in[i], 3);
  out[i] = measure(i % 3 ? (const Shape &)square : (const Shape &)rectangle);
}

struct Particle {
  double position[3];
  float mass;
  short charge;
  char kind;
};

__device__ __noinline__ Particle advance(Particle p, float step) {
  for (int k = 0; k < 3; ++k)
    p.position[k] += step * p.mass;
  p.charge = (short)(p.charge * p.kind);
  return p;
}

// Structures as arguments and results of functions.
extern "C" __global__ void passStructures(const Particle *in, Particle *out,
                                          float step, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    out[i] = advance(in[i], step);
}

// A program for a machine with a stack: a switch in a loop.
extern "C" __global__ void interpret(const unsigned char *code, int length,
                                     const int *in, int *out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  int stack[8], top = 0;
  stack[0] = in[i];
  for (int at = (i % 2); at < length; ++at) {
    int &value = stack[top];
    switch (code[at]) {
    case 0:
      value += 1;
      break;
    case 1:
      value *= 3;
      break;
    case 2:
      stack[top + 1] = value;
      ++top;
      break;
    case 3:
      --top;
      stack[top] -= value;
      break;
    case 4:
      value = -value;
      break;
    case 5:
      value >>= 1;
      break;
    case 6:
      value ^= 0x55;
      break;
    case 7:
      value = value % 97;
      break;
    case 8:
      value = value > 0 ? value : 1 - value;
      break;
    default:
      at = length;
      break;
    }
  }
  out[i] = stack[top];
}

// Threads leave at different places, some before a barrier of those that stay.
extern "C" __global__ void earlyExit(const int *in, int *out, int n) {
  __shared__ int seen;
  if (threadIdx.x == 0)
    seen = 0;
  __syncthreads();
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (threadIdx.x >= 96)
    return;
  if (in[i] > 50)
    atomicAdd(&seen, 1);
  __syncthreads();
  if (in[i] < 20)
    return;
  out[i] = seen;
}

// A stack frame of its own size in each call.
__device__ __noinline__ int ackermann(int m, int n) {
  if (m == 0)
    return n + 1;
  return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}
extern "C" __global__ void nestedRecursion(int *out) {
  out[threadIdx.x] = ackermann(threadIdx.x % 3, threadIdx.x / 3);
}

// Clock counters grow; nothing is said of by how much.
extern "C" __global__ void clocks(unsigned *out) {
  long long before = clock64();
  unsigned sum = 0;
  for (int i = 0; i < 10; ++i)
    sum += i * threadIdx.x;
  __nanosleep(20);
  out[2 * threadIdx.x] = clock64() >= before;
  out[2 * threadIdx.x + 1] = sum;
}

// Special registers.
extern "C" __global__ void specialRegisters(unsigned *out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned lane, warp, lessThan, greaterEqual;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  asm volatile("mov.u32 %0, %%warpid;" : "=r"(warp));
  asm("mov.u32 %0, %%lanemask_lt;" : "=r"(lessThan));
  asm("mov.u32 %0, %%lanemask_ge;" : "=r"(greaterEqual));
  out[6 * i] = lane;
  out[6 * i + 1] = warp;
  out[6 * i + 2] = lessThan;
  out[6 * i + 3] = greaterEqual;
  out[6 * i + 4] = blockDim.x;
  out[6 * i + 5] = gridDim.x;
}

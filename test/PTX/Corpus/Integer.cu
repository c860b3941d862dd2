//===- Integer.cu - Integer arithmetic, division and bits ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cstdint>

#define INDEX_OR_RETURN                                                        \
  int i = blockIdx.x * blockDim.x + threadIdx.x;                               \
  if (i >= n)                                                                  \
  return

// Quotient and remainder by a value only known at run time.
extern "C" __global__ void divideSigned(const int *a, const int *b, int *q,
                                        int *r, int n) {
  INDEX_OR_RETURN;
  q[i] = a[i] / b[i];
  r[i] = a[i] % b[i];
}

extern "C" __global__ void divideUnsigned(const unsigned *a, const unsigned *b,
                                          unsigned *q, unsigned *r, int n) {
  INDEX_OR_RETURN;
  q[i] = a[i] / b[i];
  r[i] = a[i] % b[i];
}

extern "C" __global__ void divideSigned64(const long long *a,
                                          const long long *b, long long *q,
                                          long long *r, int n) {
  INDEX_OR_RETURN;
  q[i] = a[i] / b[i];
  r[i] = a[i] % b[i];
}

extern "C" __global__ void divideUnsigned64(const uint64_t *a,
                                            const uint64_t *b, uint64_t *q,
                                            uint64_t *r, int n) {
  INDEX_OR_RETURN;
  q[i] = a[i] / b[i];
  r[i] = a[i] % b[i];
}

// By constants: multiplications and shifts.
extern "C" __global__ void divideConstants(const int *a, int *out, int n) {
  INDEX_OR_RETURN;
  out[4 * i] = a[i] / 7;
  out[4 * i + 1] = a[i] % 1000;
  out[4 * i + 2] = a[i] / -3;
  out[4 * i + 3] = (int)((unsigned)a[i] / 641u);
}

// High halves of products, 32 and 64 bits.
extern "C" __global__ void multiplyHigh(const int64_t *a, const int64_t *b,
                                        int64_t *out, int n) {
  INDEX_OR_RETURN;
  out[4 * i] = __mulhi((int)a[i], (int)b[i]);
  out[4 * i + 1] = __umulhi((unsigned)a[i], (unsigned)b[i]);
  out[4 * i + 2] = __mul64hi(a[i], b[i]);
  out[4 * i + 3] = (int64_t)__umul64hi((uint64_t)a[i], (uint64_t)b[i]);
}

// Counting, reversing and finding bits.
extern "C" __global__ void countBits(const uint64_t *a, int *out, int n) {
  INDEX_OR_RETURN;
  unsigned low = (unsigned)a[i];
  out[8 * i] = __popc(low);
  out[8 * i + 1] = __popcll(a[i]);
  out[8 * i + 2] = __clz(low);
  out[8 * i + 3] = __clzll(a[i]);
  out[8 * i + 4] = __ffs(low);
  out[8 * i + 5] = __ffsll(a[i]);
  out[8 * i + 6] = (int)__brev(low);
  out[8 * i + 7] = (int)(__brevll(a[i]) >> 32);
}

// Permutations of bytes and funnel shifts.
extern "C" __global__ void permuteBytes(const unsigned *a, const unsigned *b,
                                        unsigned *out, int n) {
  INDEX_OR_RETURN;
  out[5 * i] = __byte_perm(a[i], b[i], 0x3715);
  out[5 * i + 1] = __byte_perm(a[i], b[i], a[i] & 0x7777);
  out[5 * i + 2] = __funnelshift_l(a[i], b[i], b[i]);
  out[5 * i + 3] = __funnelshift_rc(a[i], b[i], 17 + (b[i] & 31));
  out[5 * i + 4] = __funnelshift_r(a[i], b[i], 9);
}

// Bit fields, signed and unsigned, extracted and inserted.
extern "C" __global__ void bitFields(const unsigned *a, const unsigned *b,
                                     unsigned *out, int n) {
  INDEX_OR_RETURN;
  unsigned position = b[i] & 31, length = (b[i] >> 8) & 31, u, s, inserted,
           found;
  asm("bfe.u32 %0, %1, %2, %3;"
      : "=r"(u)
      : "r"(a[i]), "r"(position), "r"(length));
  asm("bfe.s32 %0, %1, %2, %3;"
      : "=r"(s)
      : "r"(a[i]), "r"(position), "r"(length));
  asm("bfi.b32 %0, %1, %2, %3, %4;"
      : "=r"(inserted)
      : "r"(a[i]), "r"(b[i]), "r"(position), "r"(length));
  asm("bfind.s32 %0, %1;" : "=r"(found) : "r"(a[i]));
  out[4 * i] = u;
  out[4 * i + 1] = s;
  out[4 * i + 2] = inserted;
  out[4 * i + 3] = found;
}

// Chains of carries: 128-bit addition, subtraction and multiplication.
extern "C" __global__ void wideArithmetic(const unsigned __int128 *a,
                                          const unsigned __int128 *b,
                                          unsigned __int128 *out, int n) {
  INDEX_OR_RETURN;
  out[3 * i] = a[i] + b[i];
  out[3 * i + 1] = a[i] - b[i];
  out[3 * i + 2] = a[i] * b[i];
}

// 96-bit addition by hand, with the carry flag.
extern "C" __global__ void carryChain(const unsigned *a, const unsigned *b,
                                      unsigned *out, int n) {
  INDEX_OR_RETURN;
  unsigned x, y, z, carry;
  asm("add.cc.u32 %0, %4, %7;\n\taddc.cc.u32 %1, %5, %8;\n\taddc.cc.u32 %2, "
      "%6, %9;\n\taddc.u32 %3, 0, 0;"
      : "=r"(x), "=r"(y), "=r"(z), "=r"(carry)
      : "r"(a[3 * i]), "r"(a[3 * i + 1]), "r"(a[3 * i + 2]), "r"(b[3 * i]),
        "r"(b[3 * i + 1]), "r"(b[3 * i + 2]));
  out[4 * i] = x;
  out[4 * i + 1] = y;
  out[4 * i + 2] = z;
  out[4 * i + 3] = carry;
}

// Dot products of bytes, absolute differences, three-operand logic.
extern "C" __global__ void packedIntegers(const int *a, const int *b,
                                          const int *c, int *out, int n) {
  INDEX_OR_RETURN;
  out[6 * i] = __dp4a(a[i], b[i], c[i]);
  out[6 * i + 1] = (int)__dp4a((unsigned)a[i], (unsigned)b[i], (unsigned)c[i]);
  out[6 * i + 2] = (int)__sad(a[i], b[i], (unsigned)c[i]);
  out[6 * i + 3] = __dp2a_lo(a[i], b[i], c[i]);
  out[6 * i + 4] = (a[i] & b[i]) ^ (~c[i] | a[i]);
  out[6 * i + 5] = __mul24(a[i], b[i]);
}

// SIMD within a register.
extern "C" __global__ void packedBytes(const unsigned *a, const unsigned *b,
                                       unsigned *out, int n) {
  INDEX_OR_RETURN;
  out[4 * i] = __vadd4(a[i], b[i]);
  out[4 * i + 1] = __vmaxu4(a[i], b[i]);
  out[4 * i + 2] = __vabsdiffu4(a[i], b[i]);
  out[4 * i + 3] = __vavgu2(a[i], b[i]);
}

// Shifts whose amount may pass the width.
extern "C" __global__ void shifts(const int64_t *a, const int *amount,
                                  int64_t *out, int n) {
  INDEX_OR_RETURN;
  int s = amount[i];
  unsigned left;
  int right;
  asm("shl.b32 %0, %1, %2;" : "=r"(left) : "r"((unsigned)a[i]), "r"(s));
  asm("shr.s32 %0, %1, %2;" : "=r"(right) : "r"((int)a[i]), "r"(s));
  out[4 * i] = left;
  out[4 * i + 1] = right;
  out[4 * i + 2] = a[i] << (s & 63);
  out[4 * i + 3] = a[i] >> (s & 63);
}

// Types of 8 and 16 bits, with their conversions.
extern "C" __global__ void smallTypes(const int8_t *a, const uint16_t *b,
                                      int *out, int n) {
  INDEX_OR_RETURN;
  int8_t x = (int8_t)(a[i] * 3);
  uint16_t y = (uint16_t)(b[i] + 40000);
  int16_t z = (int16_t)(b[i] * a[i]);
  out[4 * i] = x;
  out[4 * i + 1] = y;
  out[4 * i + 2] = z;
  out[4 * i + 3] = (int16_t)(y >> 3) / (int16_t)(a[i] | 1);
}

// Loops of different lengths in a warp.
extern "C" __global__ void greatestDivisor(const unsigned *a, const unsigned *b,
                                           unsigned *out, int n) {
  INDEX_OR_RETURN;
  unsigned x = a[i], y = b[i];
  while (y != 0) {
    unsigned rest = x % y;
    x = y;
    y = rest;
  }
  out[i] = x;
}

extern "C" __global__ void collatz(const unsigned *start, unsigned *steps,
                                   int n) {
  INDEX_OR_RETURN;
  uint64_t x = start[i];
  unsigned count = 0;
  for (; x != 1; ++count)
    x = x & 1 ? 3 * x + 1 : x >> 1;
  steps[i] = count;
}

// A generator of random bits and a checksum.
extern "C" __global__ void checksum(const uint64_t *seed, unsigned *out,
                                    int n) {
  INDEX_OR_RETURN;
  uint64_t state = seed[i];
  unsigned crc = 0xffffffff;
  for (int round = 0; round < 8; ++round) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    crc ^= (unsigned)state;
    for (int bit = 0; bit < 32; ++bit)
      crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
  }
  out[i] = ~crc;
}

// Minima, maxima and absolute values of signed and unsigned types.
extern "C" __global__ void minMaxAbs(const int64_t *a, const int64_t *b,
                                     int64_t *out, int n) {
  INDEX_OR_RETURN;
  out[6 * i] = min(a[i], b[i]);
  out[6 * i + 1] = (int64_t)max((uint64_t)a[i], (uint64_t)b[i]);
  out[6 * i + 2] = min((int)a[i], (int)b[i]);
  out[6 * i + 3] = max((unsigned)a[i], (unsigned)b[i]);
  out[6 * i + 4] = llabs(a[i]);
  out[6 * i + 5] = abs((int)a[i]);
}

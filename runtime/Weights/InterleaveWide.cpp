//===- InterleaveWide.cpp - Packing with 64-byte registers ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sixteen rows by sixteen units of four bytes are transposed in AVX-512
// registers, so that each store is a whole line of the panel. Nobody reads a
// panel before all weights are made: the stores bypass the caches, which saves
// reading the lines that they replace.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/Interleave.h"

#if defined(__x86_64__) && defined(__GNUC__)
// g++ 12 warns of the values that its own header leaves undefined on purpose.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

namespace {

constexpr int64_t side = 16;

/// `out` is 64-byte aligned.
__attribute__((target("avx512f"))) void
transposeSquare(const std::byte *const *rows, int64_t unit, int64_t stride,
                std::byte *out) {
  __m512i a[side], b[side];
  for (int64_t r = 0; r < side; ++r)
    a[r] = _mm512_loadu_si512(rows[r] + unit * 4);
  // Within each quarter of 16 bytes: pairs of rows, then fours.
  for (int64_t r = 0; r < side; r += 2) {
    b[r] = _mm512_unpacklo_epi32(a[r], a[r + 1]);
    b[r + 1] = _mm512_unpackhi_epi32(a[r], a[r + 1]);
  }
  for (int64_t r = 0; r < side; r += 4)
    for (int64_t i = 0; i < 2; ++i) {
      a[r + 2 * i] = _mm512_unpacklo_epi64(b[r + i], b[r + 2 + i]);
      a[r + 2 * i + 1] = _mm512_unpackhi_epi64(b[r + i], b[r + 2 + i]);
    }
  // a[4 g + u] holds units u, 4 + u, 8 + u and 12 + u of the rows 4 g … 4 g +
  // 3, a quarter each: the quarters change places.
  for (int64_t u = 0; u < 4; ++u) {
    __m512i low = _mm512_shuffle_i32x4(a[u], a[4 + u], 0x44);
    __m512i high = _mm512_shuffle_i32x4(a[u], a[4 + u], 0xee);
    __m512i lowRest = _mm512_shuffle_i32x4(a[8 + u], a[12 + u], 0x44);
    __m512i highRest = _mm512_shuffle_i32x4(a[8 + u], a[12 + u], 0xee);
    auto store = [&](int64_t at,
                     __m512i value) __attribute__((target("avx512f"))) {
      _mm512_stream_si512(reinterpret_cast<__m512i *>(out + at * stride),
                          value);
    };
    store(u, _mm512_shuffle_i32x4(low, lowRest, 0x88));
    store(4 + u, _mm512_shuffle_i32x4(low, lowRest, 0xdd));
    store(8 + u, _mm512_shuffle_i32x4(high, highRest, 0x88));
    store(12 + u, _mm512_shuffle_i32x4(high, highRest, 0xdd));
  }
}

} // namespace

int64_t clade::rt::interleaveWide(std::span<const std::byte *const> rows,
                                  int64_t units, int64_t stride,
                                  std::byte *out) {
  static const bool isThere = __builtin_cpu_supports("avx512f");
  auto count = static_cast<int64_t>(rows.size());
  bool isAligned =
      reinterpret_cast<uintptr_t>(out) % 64 == 0 && stride % 64 == 0;
  if (!isThere || !isAligned || count == 0 || count % side != 0)
    return 0;
  int64_t whole = units / side * side;
  for (int64_t unit = 0; unit < whole; unit += side)
    for (int64_t row = 0; row < count; row += side)
      transposeSquare(&rows[static_cast<size_t>(row)], unit, stride,
                      out + unit * stride + row * 4);
  // Other threads see the lines once this one says that it is done.
  _mm_sfence();
  return whole;
}

#else

int64_t clade::rt::interleaveWide(std::span<const std::byte *const>, int64_t,
                                  int64_t, std::byte *) {
  return 0;
}

#endif

//===- IntegerTest.cpp - Integer arithmetic, division and bits ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"

#include <numeric>

using namespace corpus;

CORPUS_FILE(Integer);

/// Values with the ends of the type and small ones among them; none is zero.
template <typename T> static std::vector<T> divisors(size_t n, uint64_t seed) {
  Random random(seed);
  auto values = random.patterns<T>(n);
  for (size_t i = 0; i < n; i += 3)
    values[i] = T(random.integer(1, 100));
  values[1] = T(-1);
  values[2] = std::numeric_limits<T>::max();
  values[4] = std::numeric_limits<T>::min();
  for (T &value : values)
    value = value ? value : 1;
  return values;
}

template <typename T, typename F>
static void checkDivision(size_t n, uint64_t seed, F launch) {
  auto a = Random(seed).patterns<T>(n), b = divisors<T>(n, seed + 1);
  a[5] = std::numeric_limits<T>::min();
  b[5] = 3;
  Buffer<T> q(n), r(n);
  launch(Buffer(a), Buffer(b), q, r);
  std::vector<T> quotients(n), rests(n);
  for (size_t i = 0; i < n; ++i) {
    // The one quotient that has no place in the type is not tested.
    quotients[i] = a[i] / b[i];
    rests[i] = a[i] % b[i];
  }
  expectSame(q.read(), quotients);
  expectSame(r.read(), rests);
}

TEST_P(Integer, DivideSigned) {
  checkDivision<int>(1000, 1, [&](auto &&...b) {
    forElements("divideSigned", 1000)(b..., 1000);
  });
}

TEST_P(Integer, DivideUnsigned) {
  checkDivision<unsigned>(1000, 2, [&](auto &&...b) {
    forElements("divideUnsigned", 1000)(b..., 1000);
  });
}

TEST_P(Integer, DivideSigned64) {
  checkDivision<int64_t>(1000, 3, [&](auto &&...b) {
    forElements("divideSigned64", 1000)(b..., 1000);
  });
}

TEST_P(Integer, DivideUnsigned64) {
  checkDivision<uint64_t>(1000, 4, [&](auto &&...b) {
    forElements("divideUnsigned64", 1000)(b..., 1000);
  });
}

TEST_P(Integer, DivideConstants) {
  size_t n = 1000;
  auto a = Random(5).patterns<int>(n);
  a[0] = INT32_MIN, a[1] = INT32_MAX, a[2] = 0, a[3] = -1;
  Buffer<int> out(4 * n);
  forElements("divideConstants", n)(Buffer(a), out, int(n));
  std::vector<int> expected;
  for (int x : a)
    expected.insert(expected.end(),
                    {x / 7, x % 1000, x / -3, int(unsigned(x) / 641u)});
  expectSame(out.read(), expected);
}

TEST_P(Integer, MultiplyHigh) {
  size_t n = 500;
  Random random(6);
  auto a = random.patterns<int64_t>(n), b = random.patterns<int64_t>(n);
  Buffer<int64_t> out(4 * n);
  forElements("multiplyHigh", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<int64_t> expected;
  for (size_t i = 0; i < n; ++i) {
    expected.push_back(int64_t(int(a[i])) * int(b[i]) >> 32);
    expected.push_back(
        int64_t(uint64_t(unsigned(a[i])) * unsigned(b[i]) >> 32));
    expected.push_back(int64_t(__int128(a[i]) * b[i] >> 64));
    expected.push_back(
        int64_t((unsigned __int128)(uint64_t(a[i])) * uint64_t(b[i]) >> 64));
  }
  expectSame(out.read(), expected);
}

/// The place of the first set bit from the top, counted from it.
static int leadingZeros(uint64_t x, int width) {
  int count = 0;
  while (count < width && !(x >> (width - 1 - count) & 1))
    ++count;
  return count;
}

static int firstSet(uint64_t x, int width) {
  for (int i = 0; i < width; ++i)
    if (x >> i & 1)
      return i + 1;
  return 0;
}

static uint64_t reverse(uint64_t x, int width) {
  uint64_t out = 0;
  for (int i = 0; i < width; ++i)
    out |= (x >> i & 1) << (width - 1 - i);
  return out;
}

static int population(uint64_t x) {
  int count = 0;
  for (; x; x >>= 1)
    count += x & 1;
  return count;
}

TEST_P(Integer, CountBits) {
  size_t n = 300;
  auto a = Random(7).patterns<uint64_t>(n);
  for (size_t i = 0; i < n; ++i)
    a[i] >>= i % 65 == 64 ? 0 : i % 65;
  a[0] = 0, a[1] = ~uint64_t(0), a[2] = uint64_t(1) << 32;
  Buffer<int> out(8 * n);
  forElements("countBits", n)(Buffer(a), out, int(n));
  std::vector<int> expected;
  for (uint64_t x : a) {
    uint64_t low = unsigned(x);
    expected.insert(expected.end(),
                    {population(low), population(x), leadingZeros(low, 32),
                     leadingZeros(x, 64), firstSet(low, 32), firstSet(x, 64),
                     int(reverse(low, 32)), int(reverse(x, 64) >> 32)});
  }
  expectSame(out.read(), expected);
}

static unsigned permute(unsigned a, unsigned b, unsigned selector) {
  uint64_t both = uint64_t(b) << 32 | a;
  unsigned out = 0;
  for (unsigned i = 0; i < 4; ++i)
    out |= unsigned(both >> (8 * (selector >> (4 * i) & 7)) & 255) << (8 * i);
  return out;
}

TEST_P(Integer, PermuteBytes) {
  size_t n = 300;
  Random random(8);
  auto a = random.patterns<unsigned>(n), b = random.patterns<unsigned>(n);
  Buffer<unsigned> out(5 * n);
  forElements("permuteBytes", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<unsigned> expected;
  for (size_t i = 0; i < n; ++i) {
    uint64_t both = uint64_t(b[i]) << 32 | a[i];
    unsigned clamped = std::min(32u, 17 + (b[i] & 31));
    expected.push_back(permute(a[i], b[i], 0x3715));
    expected.push_back(permute(a[i], b[i], a[i] & 0x7777));
    expected.push_back(unsigned(both << (b[i] & 31) >> 32));
    expected.push_back(unsigned(both >> clamped));
    expected.push_back(unsigned(both >> 9));
  }
  expectSame(out.read(), expected);
}

TEST_P(Integer, BitFields) {
  size_t n = 500;
  Random random(9);
  auto a = random.patterns<unsigned>(n), b = random.patterns<unsigned>(n);
  b[0] = 0, b[1] = 31, b[2] = 31 | 31 << 8, a[3] = 0, a[4] = ~0u;
  Buffer<unsigned> out(4 * n);
  forElements("bitFields", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<unsigned> expected;
  for (size_t i = 0; i < n; ++i) {
    unsigned x = a[i], position = b[i] & 31, length = b[i] >> 8 & 31;
    // Bits past the top: zero, or the sign.
    unsigned field = 0, signedField = 0, inserted = b[i];
    unsigned last = std::min(position + length - 1, 31u);
    unsigned sign = length ? x >> last & 1 : 0;
    for (unsigned k = 0; k < 32; ++k) {
      bool inside = k < length && position + k < 32;
      field |= (inside ? x >> (position + k) & 1 : 0) << k;
      signedField |= (inside ? x >> (position + k) & 1 : sign) << k;
      if (inside)
        inserted = (inserted & ~(1u << (position + k))) | (x >> k & 1)
                                                              << (position + k);
    }
    // The highest bit that differs from the sign.
    unsigned magnitude = int(x) < 0 ? ~x : x, found = ~0u;
    for (unsigned k = 0; k < 32; ++k)
      if (magnitude >> k & 1)
        found = k;
    expected.insert(expected.end(), {field, signedField, inserted, found});
  }
  expectSame(out.read(), expected);
}

TEST_P(Integer, WideArithmetic) {
  using Wide = unsigned __int128;
  size_t n = 200;
  Random random(10);
  auto a = random.patterns<uint64_t>(2 * n),
       b = random.patterns<uint64_t>(2 * n);
  Buffer<uint64_t> out(6 * n);
  forElements("wideArithmetic", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<uint64_t> expected;
  for (size_t i = 0; i < n; ++i) {
    Wide x = Wide(a[2 * i + 1]) << 64 | a[2 * i],
         y = Wide(b[2 * i + 1]) << 64 | b[2 * i];
    for (Wide value : {x + y, x - y, x * y}) {
      expected.push_back(uint64_t(value));
      expected.push_back(uint64_t(value >> 64));
    }
  }
  expectSame(out.read(), expected);
}

TEST_P(Integer, CarryChain) {
  size_t n = 200;
  Random random(11);
  auto a = random.patterns<unsigned>(3 * n),
       b = random.patterns<unsigned>(3 * n);
  a[0] = a[1] = a[2] = ~0u, b[0] = 1, b[1] = b[2] = 0;
  Buffer<unsigned> out(4 * n);
  forElements("carryChain", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<unsigned> expected;
  for (size_t i = 0; i < n; ++i) {
    uint64_t carry = 0;
    for (unsigned k = 0; k < 3; ++k) {
      carry += uint64_t(a[3 * i + k]) + b[3 * i + k];
      expected.push_back(unsigned(carry));
      carry >>= 32;
    }
    expected.push_back(unsigned(carry));
  }
  expectSame(out.read(), expected);
}

TEST_P(Integer, PackedIntegers) {
  size_t n = 400;
  Random random(12);
  auto a = random.patterns<int>(n), b = random.patterns<int>(n),
       c = random.patterns<int>(n);
  Buffer<int> out(6 * n);
  forElements("packedIntegers", n)(Buffer(a), Buffer(b), Buffer(c), out,
                                   int(n));
  std::vector<int> expected;
  for (size_t i = 0; i < n; ++i) {
    unsigned sum = c[i], unsignedSum = c[i], pair = c[i];
    for (unsigned k = 0; k < 4; ++k) {
      sum += unsigned(int8_t(a[i] >> 8 * k) * int8_t(b[i] >> 8 * k));
      unsignedSum += uint8_t(a[i] >> 8 * k) * uint8_t(b[i] >> 8 * k);
    }
    for (unsigned k = 0; k < 2; ++k)
      pair += unsigned(int16_t(a[i] >> 16 * k) * int8_t(b[i] >> 8 * k));
    unsigned difference = a[i] > b[i] ? unsigned(a[i]) - unsigned(b[i])
                                      : unsigned(b[i]) - unsigned(a[i]);
    auto low24 = [](int x) { return int64_t(int(unsigned(x) << 8) >> 8); };
    expected.insert(expected.end(),
                    {int(sum), int(unsignedSum), int(difference + c[i]),
                     int(pair), (a[i] & b[i]) ^ (~c[i] | a[i]),
                     int(low24(a[i]) * low24(b[i]))});
  }
  expectSame(out.read(), expected);
}

TEST_P(Integer, PackedBytes) {
  size_t n = 300;
  Random random(13);
  auto a = random.patterns<unsigned>(n), b = random.patterns<unsigned>(n);
  Buffer<unsigned> out(4 * n);
  forElements("packedBytes", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<unsigned> expected;
  for (size_t i = 0; i < n; ++i) {
    unsigned sum = 0, most = 0, difference = 0, average = 0;
    for (unsigned k = 0; k < 32; k += 8) {
      int x = a[i] >> k & 255, y = b[i] >> k & 255;
      sum |= unsigned((x + y) & 255) << k;
      most |= unsigned(std::max(x, y)) << k;
      difference |= unsigned(std::abs(x - y)) << k;
    }
    for (unsigned k = 0; k < 32; k += 16)
      average |= ((a[i] >> k & 0xffff) + (b[i] >> k & 0xffff) + 1) / 2 << k;
    expected.insert(expected.end(), {sum, most, difference, average});
  }
  expectSame(out.read(), expected);
}

TEST_P(Integer, Shifts) {
  size_t n = 400;
  Random random(14);
  auto a = random.patterns<int64_t>(n);
  auto amount = random.integers(n, 0, 70);
  Buffer<int64_t> out(4 * n);
  forElements("shifts", n)(Buffer(a), Buffer(amount), out, int(n));
  std::vector<int64_t> expected;
  for (size_t i = 0; i < n; ++i) {
    int s = amount[i];
    expected.push_back(s > 31 ? 0 : unsigned(a[i]) << s);
    expected.push_back(int(a[i]) >> std::min(s, 31));
    expected.push_back(int64_t(uint64_t(a[i]) << (s & 63)));
    expected.push_back(a[i] >> (s & 63));
  }
  expectSame(out.read(), expected);
}

TEST_P(Integer, SmallTypes) {
  size_t n = 500;
  Random random(15);
  auto a = random.patterns<int8_t>(n);
  auto b = random.patterns<uint16_t>(n);
  Buffer<int> out(4 * n);
  forElements("smallTypes", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<int> expected;
  for (size_t i = 0; i < n; ++i) {
    auto y = uint16_t(b[i] + 40000);
    expected.insert(expected.end(), {int8_t(a[i] * 3), y, int16_t(b[i] * a[i]),
                                     int16_t(y >> 3) / int16_t(a[i] | 1)});
  }
  expectSame(out.read(), expected);
}

TEST_P(Integer, GreatestDivisor) {
  size_t n = 300;
  Random random(16);
  auto a = random.integers<unsigned>(n, 0, 100000),
       b = random.integers<unsigned>(n, 0, 100000);
  Buffer<unsigned> out(n);
  forElements("greatestDivisor", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<unsigned> expected(n);
  for (size_t i = 0; i < n; ++i)
    expected[i] = std::gcd(a[i], b[i]);
  expectSame(out.read(), expected);
}

TEST_P(Integer, Collatz) {
  size_t n = 300;
  std::vector<unsigned> start(n), expected(n);
  std::iota(start.begin(), start.end(), 1);
  Buffer<unsigned> steps(n);
  forElements("collatz", n)(Buffer(start), steps, int(n));
  for (size_t i = 0; i < n; ++i)
    for (uint64_t x = start[i]; x != 1; ++expected[i])
      x = x % 2 ? 3 * x + 1 : x / 2;
  expectSame(steps.read(), expected);
}

TEST_P(Integer, Checksum) {
  size_t n = 100;
  auto seed = Random(17).patterns<uint64_t>(n);
  Buffer<unsigned> out(n);
  forElements("checksum", n)(Buffer(seed), out, int(n));
  std::vector<unsigned> expected(n);
  for (size_t i = 0; i < n; ++i) {
    uint64_t state = seed[i];
    unsigned crc = ~0u;
    for (int round = 0; round < 8; ++round) {
      state ^= state << 13;
      state ^= state >> 7;
      state ^= state << 17;
      crc ^= unsigned(state);
      for (int bit = 0; bit < 32; ++bit)
        crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    expected[i] = ~crc;
  }
  expectSame(out.read(), expected);
}

TEST_P(Integer, MinMaxAbs) {
  size_t n = 300;
  Random random(18);
  auto a = random.patterns<int64_t>(n), b = random.patterns<int64_t>(n);
  Buffer<int64_t> out(6 * n);
  forElements("minMaxAbs", n)(Buffer(a), Buffer(b), out, int(n));
  std::vector<int64_t> expected;
  for (size_t i = 0; i < n; ++i)
    expected.insert(expected.end(),
                    {std::min(a[i], b[i]),
                     int64_t(std::max(uint64_t(a[i]), uint64_t(b[i]))),
                     std::min(int(a[i]), int(b[i])),
                     int64_t(std::max(unsigned(a[i]), unsigned(b[i]))),
                     std::llabs(a[i]), std::abs(int(a[i]))});
  expectSame(out.read(), expected);
}

//===- IntegerTest.cpp - Integers against the host ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Evaluate.h"

#include <bit>
#include <climits>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

const std::vector<int32_t> words = {
    0,  1,   -1,      2,       7,           -8,         31,         32,
    33, 255, INT_MAX, INT_MIN, INT_MIN + 1, 0x12345678, -123456789, 0x7fff8000};
const std::vector<int64_t> longs = {0,
                                    1,
                                    -1,
                                    5,
                                    -77,
                                    INT_MAX,
                                    INT_MIN,
                                    INT64_MAX,
                                    INT64_MIN,
                                    0x123456789abcdef0,
                                    -0x0edcba9876543210,
                                    int64_t(1) << 32};
const std::vector<int16_t> shorts = {0,        1,        -1,   255,  256,
                                     SHRT_MAX, SHRT_MIN, 1234, -4321};

template <typename T, typename Function>
void expectBinary(const std::string &code, const std::vector<T> &list,
                  Function function) {
  auto [a, b] = pairsOf(list);
  expectResults<T>(code, function, a, b);
}

TEST(PtxInteger, AddsAndSubtracts) {
  expectBinary<int32_t>("add.s32 %d, %a, %b;", words, [](int32_t a, int32_t b) {
    return int32_t(uint32_t(a) + uint32_t(b));
  });
  expectBinary<int32_t>("sub.u32 %d, %a, %b;", words, [](int32_t a, int32_t b) {
    return int32_t(uint32_t(a) - uint32_t(b));
  });
  expectBinary<int64_t>("add.u64 %d, %a, %b;", longs, [](int64_t a, int64_t b) {
    return int64_t(uint64_t(a) + uint64_t(b));
  });
  expectBinary<int16_t>("sub.s16 %d, %a, %b;", shorts,
                        [](int16_t a, int16_t b) { return int16_t(a - b); });
  auto clamp = [](int64_t v) {
    return int32_t(std::min<int64_t>(std::max<int64_t>(v, INT_MIN), INT_MAX));
  };
  expectBinary<int32_t>(
      "add.sat.s32 %d, %a, %b;", words,
      [&](int32_t a, int32_t b) { return clamp(int64_t(a) + b); });
  expectBinary<int32_t>(
      "sub.sat.s32 %d, %a, %b;", words,
      [&](int32_t a, int32_t b) { return clamp(int64_t(a) - b); });
  expectBinary<int32_t>(
      "add.u16x2 %d, %a, %b;", words, [](int32_t a, int32_t b) {
        return int32_t(
            uint16_t(a + int64_t(b)) |
            uint32_t(uint16_t((uint32_t(a) >> 16) + (uint32_t(b) >> 16)))
                << 16);
      });
}

TEST(PtxInteger, Multiplies) {
  expectBinary<int32_t>(
      "mul.lo.s32 %d, %a, %b;", words,
      [](int32_t a, int32_t b) { return int32_t(uint32_t(a) * uint32_t(b)); });
  expectBinary<int32_t>(
      "mul.hi.s32 %d, %a, %b;", words,
      [](int32_t a, int32_t b) { return int32_t((int64_t(a) * b) >> 32); });
  expectBinary<uint32_t>(
      "mul.hi.u32 %d, %a, %b;",
      std::vector<uint32_t>(words.begin(), words.end()),
      [](uint32_t a, uint32_t b) { return uint32_t((uint64_t(a) * b) >> 32); });
  expectBinary<int64_t>(
      "mul.hi.s64 %d, %a, %b;", longs,
      [](int64_t a, int64_t b) { return int64_t((__int128(a) * b) >> 64); });
  expectBinary<uint64_t>("mul.hi.u64 %d, %a, %b;",
                         std::vector<uint64_t>(longs.begin(), longs.end()),
                         [](uint64_t a, uint64_t b) {
                           return uint64_t(((unsigned __int128)(a)*b) >> 64);
                         });
  expectBinary<int64_t>(
      "mul.lo.s64 %d, %a, %b;", longs,
      [](int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); });
  auto [a, b] = pairsOf(words);
  expectResults<int64_t>(
      "mul.wide.s32 %d, %a, %b;",
      [](int32_t x, int32_t y) { return int64_t(x) * y; }, a, b);
  expectResults<uint64_t>(
      "mul.wide.u32 %d, %a, %b;",
      [](int32_t x, int32_t y) { return uint64_t(uint32_t(x)) * uint32_t(y); },
      a, b);
  auto [c, e] = pairsOf(shorts);
  expectResults<int32_t>(
      "mul.wide.s16 %d, %a, %b;",
      [](int16_t x, int16_t y) { return int32_t(x) * y; }, c, e);
  expectResults<uint16_t>(
      "mul.hi.u16 %d, %a, %b;",
      [](int16_t x, int16_t y) {
        return uint16_t((uint32_t(uint16_t(x)) * uint16_t(y)) >> 16);
      },
      c, e);
  expectResults<int32_t>(
      "mad.lo.s32 %d, %a, %b, %c;",
      [](int32_t x, int32_t y, int32_t z) {
        return int32_t(uint32_t(x) * uint32_t(y) + uint32_t(z));
      },
      a, b, b);
  expectResults<int32_t>(
      "mad.hi.u32 %d, %a, %b, %c;",
      [](int32_t x, int32_t y, int32_t z) {
        return int32_t(uint32_t((uint64_t(uint32_t(x)) * uint32_t(y)) >> 32) +
                       uint32_t(z));
      },
      a, b, b);
  expectResults<int32_t>(
      "mul24.lo.s32 %d, %a, %b;",
      [](int32_t x, int32_t y) {
        return int32_t(int64_t(x << 8 >> 8) * (y << 8 >> 8));
      },
      a, b);
}

TEST(PtxInteger, WidensAndAccumulates) {
  auto [a, b] = pairsOf(words);
  std::vector<int64_t> c;
  for (size_t i = 0; i < a.size(); ++i)
    c.push_back(longs[i % longs.size()]);
  expectResults<int64_t>(
      "mad.wide.s32 %d, %a, %b, %c;",
      [](int32_t x, int32_t y, int64_t z) {
        return int64_t(uint64_t(int64_t(x) * y) + uint64_t(z));
      },
      a, b, c);
}

TEST(PtxInteger, DividesAsGpusDo) {
  expectBinary<int32_t>("div.s32 %d, %a, %b;", words, [](int32_t a, int32_t b) {
    return b == 0 ? -1 : b == -1 ? int32_t(-uint32_t(a)) : a / b;
  });
  expectBinary<int32_t>("rem.s32 %d, %a, %b;", words, [](int32_t a, int32_t b) {
    return b == 0 ? a : b == -1 ? 0 : a % b;
  });
  expectBinary<uint64_t>(
      "div.u64 %d, %a, %b;", std::vector<uint64_t>(longs.begin(), longs.end()),
      [](uint64_t a, uint64_t b) { return b == 0 ? ~uint64_t(0) : a / b; });
  expectBinary<uint64_t>(
      "rem.u64 %d, %a, %b;", std::vector<uint64_t>(longs.begin(), longs.end()),
      [](uint64_t a, uint64_t b) { return b == 0 ? a : a % b; });
}

TEST(PtxInteger, ChainsCarries) {
  // A 128-bit sum, difference and product out of 64-bit and 32-bit halves.
  auto [a, b] = pairsOf(std::vector<uint64_t>(longs.begin(), longs.end()));
  expectResults<uint64_t>(
      ".reg .b64 %l; add.cc.u64 %l, %a, %b; addc.u64 %d, %a, %b;",
      [](uint64_t x, uint64_t y) { return x + y + (x + y < x); }, a, b);
  expectResults<uint64_t>(
      ".reg .b64 %l; sub.cc.u64 %l, %a, %b; subc.u64 %d, %a, %b;",
      [](uint64_t x, uint64_t y) { return x - y - (x < y); }, a, b);
  expectResults<uint32_t>(
      ".reg .b32 %l, %m, %n; cvt.u32.u64 %m, %a; cvt.u32.u64 %n, %b; "
      "mad.lo.cc.u32 %l, %m, %n, %m; madc.hi.u32 %d, %m, %n, 0;",
      [](uint64_t x, uint64_t y) {
        return uint32_t((uint64_t(uint32_t(x)) * uint32_t(y) + uint32_t(x)) >>
                        32);
      },
      a, b);
  expectResults<uint64_t>(
      ".reg .b64 %l; add.cc.u64 %l, %a, %b; addc.cc.u64 %l, %a, %a; addc.u64 "
      "%d, 0, 0;",
      [](uint64_t x, uint64_t y) {
        unsigned __int128 c = (unsigned __int128)(x) + y;
        c = (unsigned __int128)(x) + x + uint64_t(c >> 64);
        return uint64_t(c >> 64);
      },
      a, b);
}

TEST(PtxInteger, ComparesAndSelects) {
  expectBinary<int32_t>("min.s32 %d, %a, %b;", words,
                        [](int32_t a, int32_t b) { return std::min(a, b); });
  expectBinary<uint32_t>("max.u32 %d, %a, %b;",
                         std::vector<uint32_t>(words.begin(), words.end()),
                         [](uint32_t a, uint32_t b) { return std::max(a, b); });
  expectBinary<int64_t>("max.s64 %d, %a, %b;", longs,
                        [](int64_t a, int64_t b) { return std::max(a, b); });
  expectBinary<int32_t>(
      "max.relu.s32 %d, %a, %b;", words,
      [](int32_t a, int32_t b) { return std::max(0, std::max(a, b)); });
  expectResults<int32_t>(
      "abs.s32 %d, %a;",
      [](int32_t a) { return a < 0 ? int32_t(-uint32_t(a)) : a; }, words);
  expectResults<int64_t>(
      "neg.s64 %d, %a;", [](int64_t a) { return int64_t(-uint64_t(a)); },
      longs);
  auto [a, b] = pairsOf(words);
  expectResults<uint32_t>(
      "sad.u32 %d, %a, %b, 5;",
      [](int32_t x, int32_t y) {
        uint32_t p = x, q = y;
        return 5 + (p > q ? p - q : q - p);
      },
      a, b);
  for (auto [name, test] :
       std::vector<std::pair<std::string, bool (*)(int32_t, int32_t)>>{
           {"eq.s32", [](int32_t x, int32_t y) { return x == y; }},
           {"ne.b32", [](int32_t x, int32_t y) { return x != y; }},
           {"lt.s32", [](int32_t x, int32_t y) { return x < y; }},
           {"ge.s32", [](int32_t x, int32_t y) { return x >= y; }},
           {"lo.u32",
            [](int32_t x, int32_t y) { return uint32_t(x) < uint32_t(y); }},
           {"hs.u32",
            [](int32_t x, int32_t y) { return uint32_t(x) >= uint32_t(y); }},
           {"hi.u32",
            [](int32_t x, int32_t y) { return uint32_t(x) > uint32_t(y); }},
           {"ls.u32",
            [](int32_t x, int32_t y) { return uint32_t(x) <= uint32_t(y); }}})
    expectResults<uint32_t>(
        "setp." + name + " %p1, %a, %b; selp.b32 %d, 7, 9, %p1;",
        [test = test](int32_t x, int32_t y) { return test(x, y) ? 7u : 9u; }, a,
        b);
  expectResults<uint32_t>(
      "setp.gt.s32 %p0, %a, 0; setp.lt.and.s32 %p1|%p2, %a, %b, !%p0; selp.b32 "
      "%d, 1, 0, %p1; selp.b32 %r1, 2, 0, %p2; or.b32 %d, %d, %r1;",
      [](int32_t x, int32_t y) {
        bool c = !(x > 0);
        return uint32_t((x < y && c) | (!(x < y) && c) << 1);
      },
      a, b);
  expectResults<uint32_t>(
      "set.le.u32.s32 %d, %a, %b;",
      [](int32_t x, int32_t y) { return x <= y ? ~0u : 0u; }, a, b);
  expectResults<int32_t>(
      "slct.b32.s32 %d, %a, %b, %a;",
      [](int32_t x, int32_t y) { return x >= 0 ? x : y; }, a, b);
}

TEST(PtxInteger, WorksOnBits) {
  auto [a, b] = pairsOf(std::vector<uint32_t>(words.begin(), words.end()));
  expectResults<uint32_t>(
      "and.b32 %d, %a, %b;", [](uint32_t x, uint32_t y) { return x & y; }, a,
      b);
  expectResults<uint32_t>(
      "xor.b32 %d, %a, %b;", [](uint32_t x, uint32_t y) { return x ^ y; }, a,
      b);
  expectResults<uint32_t>("not.b32 %d, %a;", [](uint32_t x) { return ~x; }, a);
  expectResults<uint32_t>(
      "cnot.b32 %d, %a;", [](uint32_t x) { return uint32_t(x == 0); }, a);
  expectResults<uint32_t>(
      "lop3.b32 %d, %a, %b, %a, 0x96;",
      [](uint32_t x, uint32_t y) { return x ^ y ^ x; }, a, b);
  expectResults<uint32_t>(
      "lop3.b32 %d, %a, %b, 0xff00ff00, 0xCA;",
      [](uint32_t x, uint32_t y) { return (x & y) | (~x & 0xff00ff00u); }, a,
      b);
  expectResults<uint32_t>(
      "shl.b32 %d, %a, %b;",
      [](uint32_t x, uint32_t y) { return y > 31 ? 0 : x << y; }, a, b);
  expectResults<uint32_t>(
      "shr.u32 %d, %a, %b;",
      [](uint32_t x, uint32_t y) { return y > 31 ? 0 : x >> y; }, a, b);
  expectResults<int32_t>(
      "shr.s32 %d, %a, %b;",
      [](uint32_t x, uint32_t y) { return int32_t(x) >> std::min(y, 31u); }, a,
      b);
  expectResults<uint32_t>(
      "shf.l.wrap.b32 %d, %a, %b, %b;",
      [](uint32_t x, uint32_t y) {
        return uint32_t((((uint64_t(y) << 32) | x) << (y & 31)) >> 32);
      },
      a, b);
  expectResults<uint32_t>(
      "shf.r.clamp.b32 %d, %a, %b, %b;",
      [](uint32_t x, uint32_t y) {
        return uint32_t(((uint64_t(y) << 32) | x) >> std::min(y, 32u));
      },
      a, b);
  expectResults<uint32_t>(
      "popc.b32 %d, %a;", [](uint32_t x) { return uint32_t(std::popcount(x)); },
      a);
  expectResults<uint32_t>(
      "clz.b32 %d, %a;",
      [](uint32_t x) { return uint32_t(std::countl_zero(x)); }, a);
  expectResults<uint32_t>(
      "clz.b64 %d, %a;",
      [](int64_t x) { return uint32_t(std::countl_zero(uint64_t(x))); }, longs);
  expectResults<uint32_t>(
      "bfind.u32 %d, %a;",
      [](uint32_t x) { return x ? 31u - uint32_t(std::countl_zero(x)) : ~0u; },
      a);
  expectResults<uint32_t>(
      "bfind.shiftamt.s32 %d, %a;",
      [](uint32_t x) {
        uint32_t y = int32_t(x) < 0 ? ~x : x;
        return y ? uint32_t(std::countl_zero(y)) : ~0u;
      },
      a);
  expectResults<uint32_t>(
      "brev.b32 %d, %a;",
      [](uint32_t x) {
        uint32_t y = 0;
        for (unsigned i = 0; i < 32; ++i)
          y |= (x >> i & 1) << (31 - i);
        return y;
      },
      a);
}

TEST(PtxInteger, MovesFields) {
  std::vector<uint32_t> values, starts, lengths;
  for (uint32_t value : {0x89abcdefu, 0x7fffffffu, 0u, 0xffffffffu})
    for (uint32_t start : {0u, 1u, 8u, 31u, 32u, 40u, 255u})
      for (uint32_t length : {0u, 1u, 8u, 31u, 32u, 33u, 255u}) {
        values.push_back(value);
        starts.push_back(start);
        lengths.push_back(length);
      }
  // The pseudo-code of the ISA, bit by bit.
  auto extract = [](uint32_t a, uint32_t pos, uint32_t len, bool isSigned) {
    uint32_t sign =
        !isSigned || len == 0 ? 0 : a >> std::min(pos + len - 1, 31u) & 1;
    uint32_t d = sign ? ~0u : 0;
    for (uint32_t i = 0; i <= 31; ++i) {
      uint32_t bit = i < len && pos + i <= 31 ? a >> (pos + i) & 1 : sign;
      d = (d & ~(1u << i)) | bit << i;
    }
    return d;
  };
  expectResults<uint32_t>(
      "bfe.u32 %d, %a, %b, %c;",
      [&](uint32_t a, uint32_t b, uint32_t c) {
        return extract(a, b, c, false);
      },
      values, starts, lengths);
  expectResults<uint32_t>(
      "bfe.s32 %d, %a, %b, %c;",
      [&](uint32_t a, uint32_t b, uint32_t c) {
        return extract(a, b, c, true);
      },
      values, starts, lengths);
  expectResults<uint32_t>(
      "bfi.b32 %d, %a, 0x5a5a5a5a, %b, %c;",
      [](uint32_t a, uint32_t b, uint32_t c) {
        uint32_t f = 0x5a5a5a5a;
        for (uint32_t i = 0; i < c && b + i <= 31; ++i)
          f = (f & ~(1u << (b + i))) | (a >> i & 1) << (b + i);
        return f;
      },
      values, starts, lengths);
  expectResults<uint32_t>(
      "bmsk.clamp.b32 %d, %b, %c;",
      [](uint32_t, uint32_t b, uint32_t c) {
        uint32_t m = 0;
        for (uint32_t i = 0; i < c && b + i < 32; ++i)
          m |= 1u << (b + i);
        return m;
      },
      values, starts, lengths);
  expectResults<uint32_t>(
      "szext.clamp.s32 %d, %a, %c;",
      [](uint32_t a, uint32_t, uint32_t c) {
        return c > 31   ? a
               : c == 0 ? 0u
                        : uint32_t(int32_t(a << (32 - c)) >> (32 - c));
      },
      values, starts, lengths);
}

TEST(PtxInteger, PermutesBytes) {
  std::vector<uint32_t> a(64, 0x83828180), b(64, 0x07068584), c;
  for (uint32_t i = 0; i < 64; ++i)
    c.push_back(i * 0x01234567u ^ i << 3);
  auto byteOf = [](uint32_t x, uint32_t y, uint32_t select) {
    uint8_t byte = uint8_t(((uint64_t(y) << 32) | x) >> (8 * (select & 7)));
    return uint32_t(select & 8 ? (byte & 0x80 ? 0xff : 0) : byte);
  };
  auto permute = [&](uint32_t x, uint32_t y, uint32_t s) {
    return byteOf(x, y, s & 15) | byteOf(x, y, s >> 4 & 15) << 8 |
           byteOf(x, y, s >> 8 & 15) << 16 | byteOf(x, y, s >> 12 & 15) << 24;
  };
  expectResults<uint32_t>("prmt.b32 %d, %a, %b, %c;", permute, a, b, c);
  expectResults<uint32_t>(
      "prmt.b32.b4e %d, %a, %b, %c;",
      [&](uint32_t x, uint32_t y, uint32_t s) {
        const uint32_t modes[] = {0x5670, 0x6701, 0x7012, 0x0123};
        return permute(x, y, modes[s & 3]);
      },
      a, b, c);
  expectResults<uint32_t>(
      "prmt.b32.ecl %d, %a, %b, %c;",
      [&](uint32_t x, uint32_t y, uint32_t s) {
        const uint32_t modes[] = {0x3210, 0x3211, 0x3222, 0x3333};
        return permute(x, y, modes[s & 3]);
      },
      a, b, c);
}

TEST(PtxInteger, MultipliesBytesAndAdds) {
  auto [a, b] = pairsOf(words);
  auto dot = [](uint32_t x, uint32_t y, bool s, bool t) {
    int32_t sum = 0;
    for (unsigned i = 0; i < 4; ++i)
      sum += (s ? int8_t(x >> 8 * i) : uint8_t(x >> 8 * i)) *
             (t ? int8_t(y >> 8 * i) : uint8_t(y >> 8 * i));
    return sum;
  };
  expectResults<int32_t>(
      "dp4a.s32.u32 %d, %a, %b, 10;",
      [&](int32_t x, int32_t y) {
        return dot(uint32_t(x), uint32_t(y), true, false) + 10;
      },
      a, b);
  expectResults<int32_t>(
      "dp2a.lo.s32.s32 %d, %a, %b, 1;",
      [](int32_t x, int32_t y) {
        return 1 + int16_t(x) * int8_t(y) + int16_t(x >> 16) * int8_t(y >> 8);
      },
      a, b);
}

TEST(PtxInteger, WorksOnPartsOfWords) {
  auto [a, b] = pairsOf(std::vector<uint32_t>(words.begin(), words.end()));
  expectResults<uint32_t>(
      "vabsdiff4.u32.u32.u32.add %d, %a, %b, 7;",
      [](uint32_t x, uint32_t y) {
        uint32_t sum = 7;
        for (unsigned i = 0; i < 32; i += 8)
          sum += uint32_t(std::abs(int(x >> i & 255) - int(y >> i & 255)));
        return sum;
      },
      a, b);
  expectResults<uint32_t>(
      "vadd2.s32.s32.s32.sat %d, %a, %b, 0;",
      [](uint32_t x, uint32_t y) {
        auto clamp = [](int v) {
          return uint16_t(std::min(32767, std::max(-32768, v)));
        };
        return clamp(int16_t(x) + int16_t(y)) |
               uint32_t(clamp(int16_t(x >> 16) + int16_t(y >> 16))) << 16;
      },
      a, b);
  expectResults<uint32_t>(
      "vmax4.u32.u32.u32 %d, %a, %b, 0;",
      [](uint32_t x, uint32_t y) {
        uint32_t out = 0;
        for (unsigned i = 0; i < 32; i += 8)
          out |= std::max(x >> i & 255, y >> i & 255) << i;
        return out;
      },
      a, b);
}

TEST(PtxInteger, PacksAndUnpacks) {
  expectResults<uint64_t>(
      ".reg .b32 %lo, %hi; mov.b64 {%lo, %hi}, %a; mov.b64 %d, {%hi, %lo};",
      [](int64_t x) { return std::rotl(uint64_t(x), 32); }, longs);
  expectResults<uint32_t>(
      "mov.b32 {%h0, %h1}, %a; mov.b32 %d, {%h1, %h0};",
      [](int32_t x) { return std::rotl(uint32_t(x), 16); }, words);
  expectResults<uint32_t>(
      "mov.b32 {%h0, _}, %a; cvt.u32.u16 %d, %h0;",
      [](int32_t x) { return uint32_t(uint16_t(x)); }, words);
}

} // namespace

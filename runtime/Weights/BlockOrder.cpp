//===- BlockOrder.cpp - The fields of a block in packed order -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each type is taken apart into codes, one a byte, and scales; codes are put
// together in one way for all types. The formulas are in Formats/Blocks.h.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/BlockOrder.h"

#include <cstring>

using namespace clade::rt;

namespace {

constexpr int64_t groupCodes = packedGroupColumns, nibbleBytes = groupCodes / 2;
constexpr int64_t maxCodes = 256;

uint32_t loadWord(const uint8_t *from) {
  uint32_t word;
  std::memcpy(&word, from, sizeof(word));
  return word;
}

void storeWord(uint32_t word, uint8_t *to) {
  std::memcpy(to, &word, sizeof(word));
}

/// Where the bits above the fourth of the four columns of a step are: which
/// word, and how far up in each of its bytes.
struct TopPlace {
  TopPlace(int64_t bits, int64_t step)
      : word(bits == 5 ? 0 : step % 4 / 2),
        shift(bits == 5 ? step : 2 * (step % 2) + step / 4 * 4),
        mask(bits == 5 ? 0x01010101u : 0x03030303u) {}
  int64_t word, shift;
  uint32_t mask;
};

/// The codes of a group in packed order.
void putCodes(int64_t bits, const uint8_t *codes, uint8_t *to) {
  for (int64_t i = 0; i < nibbleBytes; ++i)
    to[i] = static_cast<uint8_t>((codes[i] & 15) | codes[nibbleBytes + i] << 4);
  if (bits == 4)
    return;
  uint32_t tops[2] = {0, 0};
  for (int64_t step = 0; step < groupCodes / 4; ++step) {
    TopPlace place(bits, step);
    uint32_t own = loadWord(codes + 4 * step) >> 4 & place.mask;
    tops[place.word] |= own << place.shift;
  }
  std::memcpy(to + nibbleBytes, tops,
              static_cast<size_t>(groupCodes * (bits - 4) / 8));
}

void takeCodes(int64_t bits, const uint8_t *from, uint8_t *codes) {
  for (int64_t i = 0; i < nibbleBytes; ++i) {
    codes[i] = from[i] & 15;
    codes[nibbleBytes + i] = from[i] >> 4;
  }
  if (bits == 4)
    return;
  for (int64_t step = 0; step < groupCodes / 4; ++step) {
    TopPlace place(bits, step);
    uint32_t tops = loadWord(from + nibbleBytes + 4 * place.word);
    uint32_t own = (tops >> place.shift & place.mask) << 4;
    storeWord(loadWord(codes + 4 * step) | own, codes + 4 * step);
  }
}

/// The twelve bytes of scales and minima of Q4_K and Q5_K: four bits of each
/// group in a byte, the others in `tops`.
uint32_t takeScales(const uint8_t *packed, uint8_t *low) {
  uint32_t tops = 0;
  for (int i = 0; i < 4; ++i) {
    uint32_t scale = packed[i], min = packed[4 + i];
    low[i] = static_cast<uint8_t>((scale & 15) | (min & 15) << 4);
    low[4 + i] = packed[8 + i];
    tops |= ((scale >> 4 & 3) | (min >> 4 & 3) << 2) << (4 * i);
    tops |= (scale >> 6 | min >> 6 << 2) << (16 + 4 * i);
  }
  return tops;
}

void putScales(const uint8_t *low, uint32_t tops, uint8_t *packed) {
  for (int i = 0; i < 4; ++i) {
    uint32_t own = tops >> (4 * i) & 15, other = tops >> (16 + 4 * i) & 15;
    packed[i] =
        static_cast<uint8_t>((low[i] & 15) | (own & 3) << 4 | (other & 3) << 6);
    packed[4 + i] =
        static_cast<uint8_t>(low[i] >> 4 | (own >> 2) << 4 | (other >> 2) << 6);
    packed[8 + i] = low[4 + i];
  }
}

/// The nibbles of Q4_K and Q5_K: those of two groups share their bytes.
void takePairs(const uint8_t *from, uint8_t *codes) {
  for (int pair = 0; pair < 4; ++pair)
    for (int i = 0; i < 32; ++i) {
      codes[64 * pair + i] = from[32 * pair + i] & 15;
      codes[64 * pair + 32 + i] = from[32 * pair + i] >> 4;
    }
}

void putPairs(const uint8_t *codes, uint8_t *to) {
  for (int pair = 0; pair < 4; ++pair)
    for (int i = 0; i < 32; ++i)
      to[32 * pair + i] = static_cast<uint8_t>((codes[64 * pair + i] & 15) |
                                               codes[64 * pair + 32 + i] << 4);
}

/// A block in parts. Scales are in packed order.
struct Parts {
  uint8_t head[8];
  uint8_t scales[16]; ///< Of all groups.
  uint8_t codes[maxCodes];
};

/// Where run `run` of 32 groupCodes of Q6_K has its codes.
struct RunQ6 {
  explicit RunQ6(int run)
      : low(run / 4 * 64 + run % 2 * 32), top(128 + run / 4 * 32),
        lowShift(run % 4 / 2 * 4), topShift(run % 4 * 2) {}
  int low, top, lowShift, topShift;
};

void takeQ5_0(const uint8_t *block, Parts &parts) {
  std::memcpy(parts.scales, block, 2);
  uint32_t top = loadWord(block + 2);
  for (int i = 0; i < 16; ++i) {
    parts.codes[i] =
        static_cast<uint8_t>((block[6 + i] & 15) | (top >> i & 1) << 4);
    parts.codes[16 + i] =
        static_cast<uint8_t>(block[6 + i] >> 4 | (top >> (16 + i) & 1) << 4);
  }
}

void putQ5_0(const Parts &parts, uint8_t *block) {
  std::memcpy(block, parts.scales, 2);
  uint32_t top = 0;
  for (int i = 0; i < 32; ++i)
    top |= static_cast<uint32_t>(parts.codes[i] >> 4) << i;
  storeWord(top, block + 2);
  for (int i = 0; i < 16; ++i)
    block[6 + i] =
        static_cast<uint8_t>((parts.codes[i] & 15) | parts.codes[16 + i] << 4);
}

void takeWithMinimum(int64_t bits, const uint8_t *block, Parts &parts) {
  std::memcpy(parts.head, block, 4);
  storeWord(takeScales(block + 4, parts.scales), parts.head + 4);
  takePairs(block + (bits == 5 ? 48 : 16), parts.codes);
  if (bits == 5)
    for (int i = 0; i < maxCodes; ++i)
      parts.codes[i] = static_cast<uint8_t>(
          parts.codes[i] | (block[16 + i % 32] >> (i / 32) & 1) << 4);
}

void putWithMinimum(int64_t bits, const Parts &parts, uint8_t *block) {
  std::memcpy(block, parts.head, 4);
  putScales(parts.scales, loadWord(parts.head + 4), block + 4);
  putPairs(parts.codes, block + (bits == 5 ? 48 : 16));
  if (bits == 4)
    return;
  for (int i = 0; i < 32; ++i) {
    int high = 0;
    for (int group = 0; group < 8; ++group)
      high |= (parts.codes[32 * group + i] >> 4) << group;
    block[16 + i] = static_cast<uint8_t>(high);
  }
}

void takeQ6_K(const uint8_t *block, Parts &parts) {
  std::memcpy(parts.head, block + 208, 2);
  std::memcpy(parts.scales, block + 192, 16);
  for (int run = 0; run < 8; ++run) {
    RunQ6 at(run);
    for (int i = 0; i < 32; ++i)
      parts.codes[32 * run + i] =
          static_cast<uint8_t>((block[at.low + i] >> at.lowShift & 15) |
                               (block[at.top + i] >> at.topShift & 3) << 4);
  }
}

void putQ6_K(const Parts &parts, uint8_t *block) {
  std::memset(block, 0, 192);
  for (int run = 0; run < 8; ++run) {
    RunQ6 at(run);
    for (int i = 0; i < 32; ++i) {
      int code = parts.codes[32 * run + i];
      uint8_t &low = block[at.low + i], &top = block[at.top + i];
      low = static_cast<uint8_t>(low | (code & 15) << at.lowShift);
      top = static_cast<uint8_t>(top | code >> 4 << at.topShift);
    }
  }
  std::memcpy(block + 192, parts.scales, 16);
  std::memcpy(block + 208, parts.head, 2);
}

} // namespace

void clade::rt::orderBlock(const PackedLayout &layout, const std::byte *block,
                           std::byte *ordered) {
  const auto *from = reinterpret_cast<const uint8_t *>(block);
  auto *to = reinterpret_cast<uint8_t *>(ordered);
  Parts parts;
  if (layout.hasMinimum)
    takeWithMinimum(layout.bits, from, parts);
  else if (layout.bits == 6)
    takeQ6_K(from, parts);
  else
    takeQ5_0(from, parts);
  std::memcpy(to, parts.head, static_cast<size_t>(layout.headBytes));
  to += layout.headBytes;
  for (int64_t group = 0; group < layout.groups; ++group) {
    std::memcpy(to, parts.scales + group * layout.scaleBytes,
                static_cast<size_t>(layout.scaleBytes));
    putCodes(layout.bits, parts.codes + group * groupCodes,
             to + layout.scaleBytes);
    to += layout.groupBytes();
  }
}

void clade::rt::restoreBlock(const PackedLayout &layout,
                             const std::byte *ordered, std::byte *block) {
  const auto *from = reinterpret_cast<const uint8_t *>(ordered);
  auto *to = reinterpret_cast<uint8_t *>(block);
  Parts parts;
  std::memcpy(parts.head, from, static_cast<size_t>(layout.headBytes));
  from += layout.headBytes;
  for (int64_t group = 0; group < layout.groups; ++group) {
    std::memcpy(parts.scales + group * layout.scaleBytes, from,
                static_cast<size_t>(layout.scaleBytes));
    takeCodes(layout.bits, from + layout.scaleBytes,
              parts.codes + group * groupCodes);
    from += layout.groupBytes();
  }
  if (layout.hasMinimum)
    putWithMinimum(layout.bits, parts, to);
  else if (layout.bits == 6)
    putQ6_K(parts, to);
  else
    putQ5_0(parts, to);
}

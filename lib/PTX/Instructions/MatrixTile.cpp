//===- MatrixTile.cpp - Fragments in registers as tiles -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/MatrixTile.h"
#include "lib/PTX/NarrowFloat.h"

#include <charconv>
#include <cmath>

namespace clade::ptx {

/// Calls `set(position, bits)` for every element, `bits` shifted down but with
/// the neighbours above it.
template <unsigned bits, typename Set>
static void forEachElement(const Warp &warp, const Slot *slots,
                           const Fragment &fragment, unsigned thread, Set set) {
  constexpr unsigned perRegister = 32 / bits;
  unsigned registers = fragment.registers();
  for (unsigned r = 0; r < registers; ++r) {
    const auto *row = warp.row<uint32_t>(slots[r]);
    const uint16_t *positions =
        &fragment.positions[thread * fragment.perThread + r * perRegister];
    for (unsigned lane = 0; lane < warpSize; ++lane) {
      uint32_t word = row[lane];
      for (unsigned i = 0; i < perRegister; ++i)
        set(positions[i], word >> (i * bits));
      positions += fragment.perThread;
    }
  }
}

void gatherTile(const Warp &warp, const Slot *slots, const Fragment &fragment,
                Type type, unsigned thread, float *tile) {
  switch (type) {
  case Type::F16:
    return forEachElement<16>(warp, slots, fragment, thread,
                              [&](unsigned at, uint32_t bits) {
                                tile[at] = halfToFloat(uint16_t(bits));
                              });
  case Type::BF16:
    return forEachElement<16>(warp, slots, fragment, thread,
                              [&](unsigned at, uint32_t bits) {
                                tile[at] = bfloatToFloat(uint16_t(bits));
                              });
  case Type::E4M3:
  case Type::E5M2: {
    const float *values = type == Type::E4M3 ? e4m3Values() : e5m2Values();
    return forEachElement<8>(
        warp, slots, fragment, thread,
        [&](unsigned at, uint32_t bits) { tile[at] = values[bits & 0xFF]; });
  }
  case Type::TF32:
    return forEachElement<32>(
        warp, slots, fragment, thread, [&](unsigned at, uint32_t bits) {
          tile[at] = std::bit_cast<float>(bits & 0xFFFFE000);
        });
  default:
    return forEachElement<32>(warp, slots, fragment, thread,
                              [&](unsigned at, uint32_t bits) {
                                tile[at] = std::bit_cast<float>(bits);
                              });
  }
}

void gatherTile(const Warp &warp, const Slot *slots, const Fragment &fragment,
                Type type, unsigned thread, int32_t *tile) {
  switch (type) {
  case Type::S8:
    return forEachElement<8>(
        warp, slots, fragment, thread,
        [&](unsigned at, uint32_t bits) { tile[at] = int8_t(bits); });
  case Type::U8:
    return forEachElement<8>(
        warp, slots, fragment, thread,
        [&](unsigned at, uint32_t bits) { tile[at] = uint8_t(bits); });
  case Type::S4:
    return forEachElement<4>(warp, slots, fragment, thread,
                             [&](unsigned at, uint32_t bits) {
                               tile[at] = int32_t(bits << 28) >> 28;
                             });
  case Type::U4:
    return forEachElement<4>(
        warp, slots, fragment, thread,
        [&](unsigned at, uint32_t bits) { tile[at] = int32_t(bits & 15); });
  default:
    return forEachElement<32>(
        warp, slots, fragment, thread,
        [&](unsigned at, uint32_t bits) { tile[at] = int32_t(bits); });
  }
}

void gatherTile(const Warp &warp, const Slot *slots, const Fragment &fragment,
                double *tile) {
  for (unsigned r = 0; r < fragment.perThread; ++r) {
    const auto *row = warp.row<double>(slots[r]);
    for (unsigned lane = 0; lane < warpSize; ++lane)
      tile[fragment.at(lane, r)] = row[lane];
  }
}

void gatherBits(const Warp &warp, const Slot *slots, const Fragment &fragment,
                bool isB, unsigned thread, uint32_t *tile) {
  for (unsigned r = 0; r < fragment.registers(); ++r) {
    const auto *row = warp.row<uint32_t>(slots[r]);
    for (unsigned lane = 0; lane < warpSize; ++lane) {
      unsigned position = fragment.at(thread + lane, r * 32);
      unsigned line = position / fragment.columns;
      unsigned column = position % fragment.columns;
      unsigned words = (isB ? fragment.rows : fragment.columns) / 32;
      tile[isB ? column * words + line / 32 : line * words + column / 32] =
          row[lane];
    }
  }
}

void scatterTile(Warp &warp, const Slot *slots, const Fragment &fragment,
                 Type type, unsigned thread, const float *tile) {
  auto wordOf = [](float value) {
    return std::isnan(value) ? 0x7FFFFFFFu : std::bit_cast<uint32_t>(value);
  };
  unsigned perRegister = type == Type::F16 ? 2 : 1;
  for (unsigned r = 0; r < fragment.registers(); ++r) {
    if (slots[r].isSink())
      continue;
    auto *row = warp.rowOut<uint32_t>(slots[r]);
    for (unsigned lane = 0; lane < warpSize; ++lane) {
      const uint16_t *at =
          &fragment.positions[(thread + lane) * fragment.perThread +
                              r * perRegister];
      if (type == Type::F16)
        row[lane] = encodeNarrow(formatF16, tile[at[0]], {}) |
                    encodeNarrow(formatF16, tile[at[1]], {}) << 16;
      else
        row[lane] = wordOf(tile[at[0]]);
    }
  }
}

void scatterTile(Warp &warp, const Slot *slots, const Fragment &fragment,
                 unsigned thread, const int32_t *tile) {
  for (unsigned r = 0; r < fragment.perThread; ++r) {
    if (slots[r].isSink())
      continue;
    auto *row = warp.rowOut<int32_t>(slots[r]);
    for (unsigned lane = 0; lane < warpSize; ++lane)
      row[lane] = tile[fragment.at(thread + lane, r)];
  }
}

void scatterTile(Warp &warp, const Slot *slots, const Fragment &fragment,
                 const double *tile) {
  for (unsigned r = 0; r < fragment.perThread; ++r) {
    if (slots[r].isSink())
      continue;
    auto *row = warp.rowOut<double>(slots[r]);
    for (unsigned lane = 0; lane < warpSize; ++lane)
      row[lane] = tile[fragment.at(lane, r)];
  }
}

void decodeElements(Type type, const std::byte *from, unsigned count,
                    float *to) {
  auto at = [&](auto zero, unsigned i) {
    std::memcpy(&zero, from + i * sizeof zero, sizeof zero);
    return zero;
  };
  const float *values = type == Type::E4M3 ? e4m3Values() : e5m2Values();
  for (unsigned i = 0; i < count; ++i)
    switch (type) {
    case Type::F16:
      to[i] = halfToFloat(at(uint16_t(0), i));
      break;
    case Type::BF16:
      to[i] = bfloatToFloat(at(uint16_t(0), i));
      break;
    case Type::TF32:
      to[i] = std::bit_cast<float>(at(uint32_t(0), i) & 0xFFFFE000);
      break;
    default:
      to[i] = values[at(uint8_t(0), i)];
      break;
    }
}

void decodeElements(Type type, const std::byte *from, unsigned count,
                    int32_t *to) {
  for (unsigned i = 0; i < count; ++i)
    to[i] = type == Type::S8 ? int8_t(from[i]) : uint8_t(from[i]);
}

bool needsWholeWarp(Warp &warp, const Op &op, LaneMask exec) {
  if (!warp.convergeAll(op, exec))
    return false;
  if (exec == allLanes)
    return true;
  // Lanes that took another way were reported by convergeAll.
  if (!(warp.alive() & ~exec))
    warp.report(FindingKind::WarpSyncMismatch, op, std::countr_zero(exec),
                "all 32 threads of a warp must execute this instruction "
                "together, but the warp has only " +
                    std::to_string(std::popcount(exec)));
  return false;
}

std::optional<MatrixShape> parseShape(std::string_view text) {
  unsigned parts[3];
  const char letters[] = {'m', 'n', 'k'};
  const char *next = text.data(), *end = next + text.size();
  for (unsigned i = 0; i < 3; ++i) {
    if (next == end || *next != letters[i])
      return std::nullopt;
    auto [stop, error] = std::from_chars(next + 1, end, parts[i]);
    if (error != std::errc())
      return std::nullopt;
    next = stop;
  }
  if (next != end)
    return std::nullopt;
  return MatrixShape{parts[0], parts[1], parts[2]};
}

std::string shapeName(MatrixShape shape) {
  return "m" + std::to_string(shape.m) + "n" + std::to_string(shape.n) + "k" +
         std::to_string(shape.k);
}

} // namespace clade::ptx

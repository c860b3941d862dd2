//===- Lanes.h - Handlers from a function of one lane -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_INSTRUCTIONS_LANES_H
#define CLADE_PTX_INSTRUCTIONS_LANES_H

#include "lib/PTX/Decoder.h"
#include "lib/PTX/Execution.h"

#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>

namespace clade::ptx {

/// A handler that computes each lane's result from the operands of the lane:
/// `lanes<function, result, operands...>`. All lanes are computed, so that the
/// loop is one of vectors, and those that execute are stored.
template <auto function, typename Out, typename... In, size_t... index>
void runLanes(Warp &warp, const Op &op, LaneMask exec,
              std::index_sequence<index...>) {
  alignas(64) Out out[warpSize];
  std::tuple<const In *...> rows = {warp.row<In>(op.list[index + 1])...};
  for (unsigned i = 0; i < warpSize; ++i)
    out[i] = function(std::get<index>(rows)[i]...);
  warp.write(op.list[0], out, exec);
}

template <auto function, typename Out, typename... In>
void lanes(Warp &warp, const Op &op, LaneMask exec) {
  runLanes<function, Out, In...>(warp, op, exec,
                                 std::index_sequence_for<In...>());
}

/// The same with the op as the first argument, for what a decoder left there.
template <auto function, typename Out, typename... In, size_t... index>
void runLanesOf(Warp &warp, const Op &op, LaneMask exec,
                std::index_sequence<index...>) {
  alignas(64) Out out[warpSize];
  std::tuple<const In *...> rows = {warp.row<In>(op.list[index + 1])...};
  for (unsigned i = 0; i < warpSize; ++i)
    out[i] = function(op, std::get<index>(rows)[i]...);
  warp.write(op.list[0], out, exec);
}

template <auto function, typename Out, typename... In>
void lanesOf(Warp &warp, const Op &op, LaneMask exec) {
  runLanesOf<function, Out, In...>(warp, op, exec,
                                   std::index_sequence_for<In...>());
}

/// 32 truth values, one byte each (0 or 1), as a mask.
inline LaneMask packMask(const uint8_t *truth) {
  LaneMask mask = 0;
  for (unsigned i = 0; i < 4; ++i) {
    uint64_t bytes;
    std::memcpy(&bytes, truth + 8 * i, 8);
    mask |= LaneMask((bytes * 0x0102040810204080u) >> 56) << (8 * i);
  }
  return mask;
}

/// The last modifier as a type: what an opcode of several families is about.
inline Type lastType(const Decoder &d) {
  const auto &modifiers = d.source.modifiers;
  if (modifiers.empty())
    return Type::None;
  return typeNamed(modifiers.back()).value_or(Type::None);
}

inline bool isInteger(Type type) { return isSigned(type) || isUnsigned(type); }

/// Calls `make` with a value of the C++ type of an integer type.
template <typename Make> Handler forInteger(Type type, Make make) {
  switch (type) {
  case Type::U8:
  case Type::B8:
    return make(uint8_t());
  case Type::S8:
    return make(int8_t());
  case Type::U16:
  case Type::B16:
    return make(uint16_t());
  case Type::S16:
    return make(int16_t());
  case Type::U32:
  case Type::B32:
    return make(uint32_t());
  case Type::S32:
    return make(int32_t());
  case Type::S64:
    return make(int64_t());
  default:
    return make(uint64_t());
  }
}

/// Calls `make` with an unsigned value as wide as the type.
template <typename Make> Handler forBits(Type type, Make make) {
  switch (sizeOf(type)) {
  case 1:
    return make(uint8_t());
  case 2:
    return make(uint16_t());
  case 4:
    return make(uint32_t());
  default:
    return make(uint64_t());
  }
}

/// An instruction "opcode d, a, b, …" whose operands all have the type.
inline void sameTypes(Decoder &d, Type type, unsigned sources, Handler handler,
                      Class kind) {
  d.finishModifiers();
  if (!d.expectOperands(sources + 1))
    return;
  d.result(0, type);
  for (unsigned i = 1; i <= sources; ++i)
    d.value(i, type);
  d.use(handler, kind);
}

} // namespace clade::ptx

#endif // CLADE_PTX_INSTRUCTIONS_LANES_H

//===- Atomic.cpp - Atomic operations -------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/AccessModifiers.h"
#include "lib/PTX/Instructions/Formats.h"
#include "lib/PTX/Instructions/Lanes.h"
#include "lib/PTX/Launch.h"

#include <bit>
#include <cmath>

using namespace clade::ptx;

namespace {

enum class Update : uint8_t {
  And,
  Or,
  Xor,
  Exch,
  Add,
  Inc,
  Dec,
  Min,
  Max,
  Cas
};

constexpr uint8_t flagFlushes = 1; ///< f32 add on global memory.

//===----------------------------------------------------------------------===//
// The new value from the old one
//===----------------------------------------------------------------------===//

float addFloat(float a, float b, bool flushes) {
  float sum = flushes ? flush(flush(a) + flush(b)) : a + b;
  return std::isnan(sum) ? std::bit_cast<float>(0x7fffffffu) : sum;
}

template <Update update, bool isBFloat>
uint16_t updateHalf(uint16_t a, uint16_t b) {
  float x = isBFloat ? bfloatToFloat(a) : halfToFloat(a);
  float y = isBFloat ? bfloatToFloat(b) : halfToFloat(b);
  if constexpr (update == Update::Add)
    // The sum of two is exact in a double.
    return isBFloat ? toBFloat(double(x) + double(y))
                    : toHalf(double(x) + double(y));
  if (std::isnan(x) || std::isnan(y))
    return std::isnan(x) && std::isnan(y) ? 0x7fff : std::isnan(x) ? b : a;
  bool first = update == Update::Min ? x < y || (x == y && std::signbit(x))
                                     : x > y || (x == y && !std::signbit(x));
  return first ? a : b;
}

/// How a type is updated: T is the storage, Kind what it holds.
struct AsInteger {};
struct AsFloat {};
struct AsHalf {};
struct AsBFloat {};
struct AsHalfPair {};
struct AsBFloatPair {};

template <Update update, typename Kind, typename T>
T updated(T old, T b, T c, bool flushes) {
  if constexpr (std::is_same_v<Kind, AsFloat>) {
    if constexpr (sizeof(T) == 4)
      return std::bit_cast<T>(addFloat(std::bit_cast<float>(old),
                                       std::bit_cast<float>(b), flushes));
    else
      return std::bit_cast<T>(std::bit_cast<double>(old) +
                              std::bit_cast<double>(b));
  } else if constexpr (std::is_same_v<Kind, AsHalf>) {
    return updateHalf<update, false>(old, b);
  } else if constexpr (std::is_same_v<Kind, AsBFloat>) {
    return updateHalf<update, true>(old, b);
  } else if constexpr (std::is_same_v<Kind, AsHalfPair> ||
                       std::is_same_v<Kind, AsBFloatPair>) {
    constexpr bool isBFloat = std::is_same_v<Kind, AsBFloatPair>;
    return updateHalf<update, isBFloat>(uint16_t(old), uint16_t(b)) |
           T(updateHalf<update, isBFloat>(uint16_t(old >> 16),
                                          uint16_t(b >> 16)))
               << 16;
  } else {
    using U = std::make_unsigned_t<T>;
    switch (update) {
    case Update::And:
      return old & b;
    case Update::Or:
      return old | b;
    case Update::Xor:
      return old ^ b;
    case Update::Exch:
      return b;
    case Update::Add:
      return T(U(old) + U(b));
    case Update::Inc:
      return old >= b ? T(0) : T(old + 1);
    case Update::Dec:
      return old == 0 || old > b ? b : T(old - 1);
    case Update::Min:
      return old < b ? old : b;
    case Update::Max:
      return old > b ? old : b;
    case Update::Cas:
      return old == b ? c : old;
    }
  }
}

/// One element in memory, atomically also between blocks on other threads.
template <Update update, typename Kind, typename T>
T apply(std::byte *at, T b, T c, bool flushes) {
  T *place = reinterpret_cast<T *>(at);
  T old = __atomic_load_n(place, __ATOMIC_RELAXED);
  while (true) {
    T next = updated<update, Kind, T>(old, b, c, flushes);
    if (__atomic_compare_exchange_n(place, &old, next, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_RELAXED))
      return old;
  }
}

//===----------------------------------------------------------------------===//
// Handlers
//===----------------------------------------------------------------------===//

/// Slots: the results (sinks for red), the address, the operands, and for cas
/// the new values.
template <Update update, typename Kind, typename T>
void handleAtomic(Warp &warp, const Op &op, LaneMask exec) {
  const unsigned n = op.vector;
  uint64_t addresses[warpSize];
  warp.addresses(op, op.list[n], addresses);
  AccessShape shape;
  shape.kind = AccessKind::Atomic;
  shape.bytes = uint8_t(sizeof(T) * n);
  shape.alignment = shape.bytes;
  shape.space = op.space;
  shape.isStrong = true;
  Pointers pointers;
  warp.access(op, exec, addresses, shape, pointers);
  bool checks = warp.block.launch.options.checks.uninitialised;
  if (checks && update != Update::Exch &&
      !Warp::allWritten(pointers, shape.bytes))
    if (LaneMask bad = warp.unwritten(pointers, 0, shape.bytes))
      warp.report(FindingKind::UninitialisedValue, op,
                  unsigned(std::countr_zero(bad)),
                  "it updates memory that was never written");
  bool flushes = (op.flags & flagFlushes) && op.space != Space::Shared;
  T out[8][warpSize] = {};
  for (LaneMask rest = pointers.valid; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    for (unsigned k = 0; k < n; ++k) {
      T b = warp.row<T>(op.list[n + 1 + k])[lane];
      T c = update == Update::Cas ? warp.row<T>(op.list[n + 2])[lane] : T();
      bool inShared = addresses[lane] >> 56 == sharedWindow >> 56;
      out[k][lane] = apply<update, Kind, T>(pointers.lane[lane] + k * sizeof(T),
                                            b, c, flushes && !inShared);
    }
  }
  for (unsigned k = 0; k < n; ++k)
    if (!op.list[k].isSink())
      warp.write(op.list[k], out[k], exec);
  warp.markWritten(pointers, shape.bytes);
}

template <typename Kind, typename T> Handler floatHandler(Update update) {
  if (update == Update::Add)
    return handleAtomic<Update::Add, Kind, T>;
  if constexpr (!std::is_same_v<Kind, AsFloat>) {
    if (update == Update::Min)
      return handleAtomic<Update::Min, Kind, T>;
    if (update == Update::Max)
      return handleAtomic<Update::Max, Kind, T>;
  }
  return nullptr;
}

template <typename T> Handler integerHandler(Update update) {
  switch (update) {
  case Update::And:
    return handleAtomic<Update::And, AsInteger, T>;
  case Update::Or:
    return handleAtomic<Update::Or, AsInteger, T>;
  case Update::Xor:
    return handleAtomic<Update::Xor, AsInteger, T>;
  case Update::Exch:
    return handleAtomic<Update::Exch, AsInteger, T>;
  case Update::Add:
    return handleAtomic<Update::Add, AsInteger, T>;
  case Update::Inc:
    return handleAtomic<Update::Inc, AsInteger, T>;
  case Update::Dec:
    return handleAtomic<Update::Dec, AsInteger, T>;
  case Update::Min:
    return handleAtomic<Update::Min, AsInteger, T>;
  case Update::Max:
    return handleAtomic<Update::Max, AsInteger, T>;
  case Update::Cas:
    return handleAtomic<Update::Cas, AsInteger, T>;
  }
  return nullptr;
}

Handler atomicHandler(Type type, Update update) {
  switch (type) {
  case Type::F32:
    return floatHandler<AsFloat, uint32_t>(update);
  case Type::F64:
    return floatHandler<AsFloat, uint64_t>(update);
  case Type::F16:
    return floatHandler<AsHalf, uint16_t>(update);
  case Type::BF16:
    return floatHandler<AsBFloat, uint16_t>(update);
  case Type::F16x2:
    return floatHandler<AsHalfPair, uint32_t>(update);
  case Type::BF16x2:
    return floatHandler<AsBFloatPair, uint32_t>(update);
  case Type::S32:
    return integerHandler<int32_t>(update);
  case Type::S64:
    return integerHandler<int64_t>(update);
  case Type::U64:
  case Type::B64:
    return integerHandler<uint64_t>(update);
  case Type::B16:
    return update == Update::Cas
               ? handleAtomic<Update::Cas, AsInteger, uint16_t>
               : nullptr;
  default:
    return integerHandler<uint32_t>(update);
  }
}

/// Whether the ISA has the operation for the type.
bool isLegal(Type type, Update update) {
  switch (update) {
  case Update::And:
  case Update::Or:
  case Update::Xor:
    return type == Type::B32 || type == Type::B64;
  case Update::Exch:
    return isBits(type) && type != Type::B16;
  case Update::Cas:
    return isBits(type);
  case Update::Inc:
  case Update::Dec:
    return type == Type::U32;
  case Update::Add:
    return type == Type::U32 || type == Type::S32 || type == Type::U64 ||
           type == Type::S64 || isFloat(type);
  case Update::Min:
  case Update::Max:
    return (isInteger(type) && sizeOf(type) >= 4) || sizeOf(type) == 2 ||
           type == Type::F16x2 || type == Type::BF16x2;
  }
  return false;
}

template <bool isRed> void decodeAtomic(Decoder &d) {
  if (d.peek() == "async")
    return d.pass();
  AccessModifiers modifiers = takeAccessModifiers(d);
  auto update = d.takeOneOf(
      {"and", "or", "xor", "exch", "add", "inc", "dec", "min", "max", "cas"});
  if (!update)
    return d.fail("expected an operation such as .add or .cas");
  // .noftz, the cache hint and the vector stand after the operation.
  AccessModifiers more = takeAccessModifiers(d);
  Type type =
      d.expectType({Type::U32, Type::S32, Type::U64, Type::S64, Type::B32,
                    Type::B64, Type::B16, Type::F32, Type::F64, Type::F16,
                    Type::F16x2, Type::BF16, Type::BF16x2});
  d.finishModifiers();
  bool isCas = Update(*update) == Update::Cas;
  bool hasPolicy = modifiers.hasCachePolicy || more.hasCachePolicy;
  unsigned operands = 3 + isCas - isRed;
  if (!d.expectOperands(operands, operands + hasPolicy) || d.hasFailed())
    return;
  Handler handler =
      isLegal(type, Update(*update)) &&
              !(isRed && (isCas || Update(*update) == Update::Exch))
          ? atomicHandler(type, Update(*update))
          : nullptr;
  if (!handler)
    return d.fail("this operation is not for ." + std::string(nameOf(type)));
  unsigned vector = more.vector;
  if (vector * sizeOf(type) > 16)
    return d.fail("a vector has at most 128 bits");
  d.op.vector = uint8_t(vector);
  if (isRed)
    for (unsigned k = 0; k < vector; ++k)
      d.sink();
  else
    d.result(0, type);
  unsigned address = isRed ? 0 : 1;
  d.address(address, modifiers.space);
  d.value(address + 1, type);
  if (isCas)
    d.value(address + 2, type);
  auto count = [](const Operand &operand) {
    return operand.kind == Operand::Kind::Vector ? operand.elements.size() : 1;
  };
  if (count(d.operand(address + 1)) != vector ||
      (!isRed && count(d.operand(0)) != vector))
    return d.fail("expected vectors of " + std::to_string(vector) +
                  " elements");
  d.op.type = type;
  d.op.space = resolveSpace(d, modifiers.space);
  d.op.flags = type == Type::F32 ? flagFlushes : 0;
  d.setPoison(PoisonIsFinding);
  d.use(handler, Class::Atomic);
}

} // namespace

void clade::ptx::addAtomic(Registry &r) {
  r.add("atom", decodeAtomic<false>);
  r.add("red", decodeAtomic<true>);
}

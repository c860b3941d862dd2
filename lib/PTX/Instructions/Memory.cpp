//===- Memory.cpp - Loads, stores and hints -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/AccessModifiers.h"
#include "lib/PTX/Instructions/Lanes.h"
#include "lib/PTX/Launch.h"

#include <bit>

using namespace clade::ptx;

AccessModifiers clade::ptx::takeAccessModifiers(Decoder &d) {
  AccessModifiers result;
  struct {
    std::string_view name;
    Space space;
  } constexpr spaces[] = {
      {"global", Space::Global},      {"shared", Space::Shared},
      {"shared::cta", Space::Shared}, {"shared::cluster", Space::Shared},
      {"local", Space::Local},        {"const", Space::Constant},
      {"param", Space::Param},        {"param::entry", Space::Param},
      {"param::func", Space::Param}};
  while (true) {
    std::string_view next = d.peek();
    bool isTaken = false;
    for (auto [name, space] : spaces)
      if (next == name) {
        result.space = space;
        isTaken = true;
      }
    for (std::string_view name :
         {"relaxed", "volatile", "mmio", "acquire", "release", "acq_rel"})
      if (next == name) {
        result.isStrong = true;
        result.isAcquire |= next.starts_with("acq");
        result.isRelease |= next == "release" || next == "acq_rel";
        isTaken = true;
      }
    for (std::string_view name : {"cta", "cluster", "gpu", "sys"})
      if (next == name) {
        result.scope = next;
        isTaken = true;
      }
    for (std::string_view name : {"weak", "nc", "ca", "cg", "cs", "lu", "cv",
                                  "wb", "wt", "noftz", "unified"})
      isTaken |= next == name;
    if (next == "v2" || next == "v4" || next == "v8") {
      result.vector = unsigned(next[1] - '0');
      isTaken = true;
    }
    if (next.starts_with("L1::") || next.starts_with("L2::")) {
      result.hasCachePolicy |= next == "L2::cache_hint";
      isTaken = true;
    }
    if (!isTaken)
      return result;
    d.advance();
  }
}

Space clade::ptx::resolveSpace(const Decoder &d, Space space) {
  if (space == Space::Constant)
    return Space::Global;
  if (space != Space::Param)
    return space;
  if (d.op.base == AddressBase::Kernel)
    return Space::Global;
  if (d.op.base == AddressBase::Frame)
    return Space::Local;
  return d.inKernel() ? Space::Global : Space::Local;
}

namespace {

constexpr uint8_t flagStrong = 1;

Class classOf(Space declared, Space space) {
  if (declared == Space::Constant || declared == Space::Param)
    return Class::ConstantMemory;
  switch (space) {
  case Space::Shared:
    return Class::SharedMemory;
  case Space::Local:
    return Class::LocalMemory;
  default:
    return Class::GlobalMemory;
  }
}

AccessShape shapeOf(const Op &op, AccessKind kind, unsigned bytes) {
  AccessShape shape;
  shape.kind = kind;
  shape.bytes = uint8_t(bytes);
  shape.alignment = uint8_t(bytes);
  shape.space = op.space;
  shape.isStrong = op.flags & flagStrong;
  return shape;
}

struct Quad {
  uint64_t low, high;
};

//===----------------------------------------------------------------------===//
// ld
//===----------------------------------------------------------------------===//

/// Says which results hold bytes that were never written.
void trackLoaded(Warp &warp, const Op &op, LaneMask exec,
                 const Pointers &pointers, unsigned elementBytes) {
  if (!warp.block.launch.options.checks.uninitialised)
    return;
  bool isGood = Warp::allWritten(pointers, elementBytes * op.vector);
  if (isGood && !warp.frame->mayPoison)
    return;
  unsigned id = 0;
  for (unsigned k = 0; k < op.vector; ++k) {
    if (op.list[k].isSink())
      continue;
    LaneMask bad =
        isGood ? 0 : warp.unwritten(pointers, k * elementBytes, elementBytes);
    warp.setPoison(op.writes[id++], bad, exec, op);
  }
}

/// Elements in memory into registers that are as wide or wider; the sign is
/// extended where the element has one.
template <typename Element, typename Reg>
void load(Warp &warp, const Op &op, LaneMask exec) {
  const unsigned n = op.vector;
  uint64_t addresses[warpSize];
  warp.addresses(op, op.list[n], addresses);
  Pointers pointers;
  warp.access(op, exec, addresses,
              shapeOf(op, AccessKind::Read, sizeof(Element) * n), pointers);
  if (n == 1 && pointers.isContiguous) {
    if constexpr (sizeof(Element) == sizeof(Reg)) {
      std::memcpy(warp.rowOut<Reg>(op.list[0]), pointers.lane[0],
                  sizeof(Reg) * warpSize);
    } else {
      Reg out[warpSize];
      Element in[warpSize];
      std::memcpy(in, pointers.lane[0], sizeof in);
      for (unsigned i = 0; i < warpSize; ++i)
        out[i] = Reg(in[i]);
      warp.write(op.list[0], out, exec);
    }
    return trackLoaded(warp, op, exec, pointers, sizeof(Element));
  }
  Reg out[8][warpSize] = {};
  if (pointers.isUniform) {
    Element in[8];
    std::memcpy(in, pointers.lane[std::countr_zero(exec)], sizeof(Element) * n);
    for (unsigned k = 0; k < n; ++k)
      std::fill_n(out[k], warpSize, Reg(in[k]));
  } else {
    for (LaneMask rest = pointers.valid; rest; rest &= rest - 1) {
      unsigned lane = unsigned(std::countr_zero(rest));
      Element in[8];
      std::memcpy(in, pointers.lane[lane], sizeof(Element) * n);
      for (unsigned k = 0; k < n; ++k)
        out[k][lane] = Reg(in[k]);
    }
  }
  for (unsigned k = 0; k < n; ++k)
    warp.write(op.list[k], out[k], exec);
  trackLoaded(warp, op, exec, pointers, sizeof(Element));
}

template <typename Element> Handler loadInto(unsigned bytes) {
  if constexpr (sizeof(Element) <= 1)
    if (bytes == 1)
      return load<Element, std::conditional_t<std::is_signed_v<Element>, int8_t,
                                              uint8_t>>;
  constexpr bool isSigned = std::is_signed_v<Element>;
  if constexpr (sizeof(Element) <= 2)
    if (bytes == 2)
      return load<Element, std::conditional_t<isSigned, int16_t, uint16_t>>;
  if constexpr (sizeof(Element) <= 4)
    if (bytes == 4)
      return load<Element, std::conditional_t<isSigned, int32_t, uint32_t>>;
  if constexpr (sizeof(Element) <= 8)
    if (bytes == 8)
      return load<Element, std::conditional_t<isSigned, int64_t, uint64_t>>;
  return nullptr;
}

constexpr std::initializer_list<Type> loadable = {
    Type::B8,    Type::B16,    Type::B32, Type::B64, Type::B128,
    Type::U8,    Type::U16,    Type::U32, Type::U64, Type::S8,
    Type::S16,   Type::S32,    Type::S64, Type::F16, Type::BF16,
    Type::F16x2, Type::BF16x2, Type::F32, Type::F64};

/// The elements of a vector operand, or the operand itself.
std::span<const Operand> elementsOf(const Operand &operand) {
  if (operand.kind == Operand::Kind::Vector)
    return operand.elements;
  return {&operand, 1};
}

/// Bytes of the registers of a vector operand, which must agree; else 0.
unsigned commonWidth(const Decoder &d, std::span<const Operand> elements,
                     unsigned otherwise) {
  unsigned common = 0;
  for (const Operand &element : elements) {
    unsigned bytes = d.width(element);
    if (!bytes)
      continue;
    if (common && common != bytes)
      return 0;
    common = bytes;
  }
  return common ? common : otherwise;
}

/// Checks that a vector operand fits the type; gives the registers' width.
unsigned checkVector(Decoder &d, const Operand &operand, unsigned vector,
                     Type type) {
  auto elements = elementsOf(operand);
  if (elements.size() != vector) {
    d.fail("expected a vector of " + std::to_string(vector) + ", found " +
               std::to_string(elements.size()) + " elements",
           operand.column);
    return 0;
  }
  if (sizeOf(type) * vector > 32) {
    d.fail("an access has at most 32 bytes");
    return 0;
  }
  unsigned bytes = commonWidth(d, elements, sizeOf(type));
  if (!bytes)
    d.fail("the registers of the vector must have one width", operand.column);
  return bytes;
}

void decodeLoad(Decoder &d) {
  AccessModifiers modifiers = takeAccessModifiers(d);
  Type type = d.expectType(loadable);
  d.finishModifiers();
  if (!d.expectOperands(2, modifiers.hasCachePolicy ? 3 : 2) || d.hasFailed())
    return;
  unsigned bytes = checkVector(d, d.operand(0), modifiers.vector, type);
  if (!bytes)
    return;
  d.result(0, type, true);
  d.address(1, modifiers.space);
  d.op.type = type;
  d.op.vector = uint8_t(modifiers.vector);
  d.op.space = resolveSpace(d, modifiers.space);
  d.op.flags = modifiers.isStrong ? flagStrong : 0;
  d.setPoison(PoisonByHandler);
  if (d.op.base == AddressBase::Kernel && !d.op.addressBytes) {
    int64_t end = d.op.offset + int64_t(sizeOf(type) * modifiers.vector);
    if (d.op.offset < 0 || uint64_t(end) > d.parameterBytes())
      d.fail("the access ends " + std::to_string(end) +
             " bytes into the parameters, of which there are " +
             std::to_string(d.parameterBytes()));
  }
  Handler handler = nullptr;
  if (sizeOf(type) == 16)
    handler = bytes == 16 ? load<Quad, Quad> : nullptr;
  else
    handler = forInteger(
        isFloat(type)
            ? std::array{Type::B8, Type::B16, Type::B32, Type::B32,
                         Type::B64}[std::min<unsigned>(4, sizeOf(type) / 2)]
            : type,
        [&]<typename T>(T) -> Handler { return loadInto<T>(bytes); });
  if (!handler)
    return d.fail("a register of " + std::to_string(8 * bytes) +
                  " bits cannot hold it");
  d.use(handler, classOf(modifiers.space, d.op.space));
}

//===----------------------------------------------------------------------===//
// st
//===----------------------------------------------------------------------===//

/// Lanes and elements that are stored without ever having had a value: the
/// bytes stay unwritten, and if nothing of a lane's store had a value and it
/// leaves the block, that is a finding.
void trackStored(Warp &warp, const Op &op, LaneMask exec,
                 const uint64_t *addresses, const Pointers &pointers,
                 unsigned elementBytes) {
  LaneMask poison[8] = {};
  LaneMask all = exec;
  unsigned read = op.addressBytes != 0;
  uint32_t first = 0;
  for (unsigned k = 0; k < op.vector; ++k) {
    if (op.extra >> k & 1) {
      poison[k] = warp.poisonOf(op.reads[read]) & exec;
      if (poison[k])
        first = op.reads[read];
      ++read;
    }
    all &= poison[k];
  }
  for (unsigned k = 0; k < op.vector; ++k)
    for (LaneMask rest = poison[k] & pointers.valid; rest; rest &= rest - 1)
      std::memset(pointers.shadow[std::countr_zero(rest)] + k * elementBytes, 0,
                  elementBytes);
  bool isGlobal = op.space == Space::Global;
  for (LaneMask rest = all; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    if (isGlobal || (op.space == Space::Generic && !(addresses[lane] >> 56)))
      return warp.reportPoison(op, lane, "the value that is stored, ", first);
  }
}

template <typename Element, typename Reg>
void store(Warp &warp, const Op &op, LaneMask exec) {
  const unsigned n = op.vector;
  uint64_t addresses[warpSize];
  warp.addresses(op, op.list[0], addresses);
  Pointers pointers;
  warp.access(op, exec, addresses,
              shapeOf(op, AccessKind::Write, sizeof(Element) * n), pointers);
  const Reg *rows[8];
  for (unsigned k = 0; k < n; ++k)
    rows[k] = warp.row<Reg>(op.list[1 + k]);
  if (n == 1 && pointers.isContiguous) {
    if constexpr (sizeof(Element) == sizeof(Reg)) {
      std::memcpy(pointers.lane[0], rows[0], sizeof(Reg) * warpSize);
    } else {
      Element out[warpSize];
      for (unsigned i = 0; i < warpSize; ++i)
        out[i] = Element(rows[0][i]);
      std::memcpy(pointers.lane[0], out, sizeof out);
    }
  } else {
    for (LaneMask rest = pointers.valid; rest; rest &= rest - 1) {
      unsigned lane = unsigned(std::countr_zero(rest));
      Element out[8];
      for (unsigned k = 0; k < n; ++k)
        out[k] = Element(rows[k][lane]);
      std::memcpy(pointers.lane[lane], out, sizeof(Element) * n);
    }
  }
  // Also where nobody asks: a later launch may.
  warp.markWritten(pointers, sizeof(Element) * n);
  if (warp.frame->mayPoison)
    trackStored(warp, op, exec, addresses, pointers, sizeof(Element));
}

template <typename Element> Handler storeFrom(unsigned bytes) {
  if constexpr (sizeof(Element) <= 1)
    if (bytes == 1)
      return store<Element, uint8_t>;
  if constexpr (sizeof(Element) <= 2)
    if (bytes == 2)
      return store<Element, uint16_t>;
  if constexpr (sizeof(Element) <= 4)
    if (bytes == 4)
      return store<Element, uint32_t>;
  if constexpr (sizeof(Element) <= 8)
    if (bytes == 8)
      return store<Element, uint64_t>;
  return nullptr;
}

void decodeStore(Decoder &d) {
  if (d.peek() == "async" || d.peek() == "bulk")
    return d.pass();
  AccessModifiers modifiers = takeAccessModifiers(d);
  Type type = d.expectType(loadable);
  d.finishModifiers();
  if (!d.expectOperands(2, modifiers.hasCachePolicy ? 3 : 2) || d.hasFailed())
    return;
  if (modifiers.space == Space::Constant)
    return d.fail("constant memory cannot be written");
  const Operand &values = d.operand(1);
  unsigned bytes = checkVector(d, values, modifiers.vector, type);
  if (!bytes)
    return;
  d.address(0, modifiers.space);
  if (d.op.base == AddressBase::Kernel)
    return d.fail("the parameters of a kernel cannot be written");
  // Immediates have rows of the type's width.
  auto elements = elementsOf(values);
  bool hasNumber = false;
  for (unsigned k = 0; k < elements.size(); ++k) {
    d.op.extra |= uint64_t(elements[k].isRegister()) << k;
    hasNumber |= !elements[k].isRegister();
  }
  Type rowType = bytes == sizeOf(type) ? type
                 : bytes == 2          ? Type::B16
                 : bytes == 4          ? Type::B32
                                       : Type::B64;
  if (hasNumber && bytes != sizeOf(type) && isFloat(type))
    return d.fail("a float that is wider than its type");
  d.value(1, hasNumber ? rowType : type, true);
  d.op.type = type;
  d.op.vector = uint8_t(modifiers.vector);
  d.op.space = resolveSpace(d, modifiers.space);
  d.op.flags = modifiers.isStrong ? flagStrong : 0;
  d.setPoison(PoisonByHandler);
  Handler handler = sizeOf(type) == 16
                        ? (bytes == 16 ? store<Quad, Quad> : nullptr)
                        : forBits(type, [&]<typename T>(T) -> Handler {
                            return storeFrom<T>(bytes);
                          });
  if (!handler)
    return d.fail("a register of " + std::to_string(8 * bytes) +
                  " bits cannot be stored so");
  d.use(handler, classOf(modifiers.space, d.op.space));
}

//===----------------------------------------------------------------------===//
// Hints
//===----------------------------------------------------------------------===//

void ignore(Warp &, const Op &, LaneMask) {}

/// prefetch, applypriority, discard: a cache is told something; no value
/// depends on it.
void decodeHint(Decoder &d) {
  while (!d.peek().empty())
    d.advance();
  d.use(ignore, Class::Other);
}

void decodeCreatePolicy(Decoder &d) {
  while (d.peek() != "b64" && !d.peek().empty())
    d.advance();
  d.expectType({Type::B64});
  if (!d.expectOperands(1, 4))
    return;
  d.result(0, Type::B64);
  d.constant(Type::B64, 0);
  d.use(lanes<[](uint64_t a) { return a; }, uint64_t, uint64_t>, Class::Other);
}

} // namespace

void clade::ptx::addMemory(Registry &r) {
  r.add("ld", decodeLoad);
  r.add("ldu", decodeLoad);
  r.add("st", decodeStore);
  r.add("prefetch", decodeHint);
  r.add("prefetchu", decodeHint);
  r.add("applypriority", decodeHint);
  r.add("discard", decodeHint);
  r.add("createpolicy", decodeCreatePolicy);
}

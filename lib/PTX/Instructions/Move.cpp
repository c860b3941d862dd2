//===- Move.cpp - Moves, selections and address spaces --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Builder.h"
#include "lib/PTX/Instructions/Lanes.h"
#include "lib/PTX/Launch.h"

using namespace clade::ptx;

//===----------------------------------------------------------------------===//
// Hidden ops
//===----------------------------------------------------------------------===//

void clade::ptx::handleNot(Warp &warp, const Op &op, LaneMask exec) {
  warp.setPredicate(op.s[0], ~warp.predicate(op.s[1]), exec);
}

void clade::ptx::handleFrameAddress(Warp &warp, const Op &op, LaneMask exec) {
  uint64_t address[warpSize];
  std::fill_n(address, warpSize, warp.frame->localBase + uint64_t(op.offset));
  warp.writeWide(op.s[0], op.widths[0], address, exec);
}

void clade::ptx::handleKernelAddress(Warp &warp, const Op &op, LaneMask exec) {
  uint64_t address[warpSize];
  std::fill_n(address, warpSize,
              warp.block.launch.parameterBase + uint64_t(op.offset));
  warp.writeWide(op.s[0], op.widths[0], address, exec);
}

namespace {

//===----------------------------------------------------------------------===//
// mov
//===----------------------------------------------------------------------===//

template <typename T> void move(Warp &warp, const Op &op, LaneMask exec) {
  warp.write(op.s[0], warp.row<T>(op.s[1]), exec);
}

void movePredicate(Warp &warp, const Op &op, LaneMask exec) {
  warp.setPredicate(op.s[0], warp.predicate(op.s[1]), exec);
}

struct Quad {
  uint64_t low, high;
};

/// "mov.b64 d, {a, b}": elements of `op.widths[1]` bytes into one of
/// `op.widths[0]`, the first in the lowest bits.
template <typename Whole, typename Part>
void pack(Warp &warp, const Op &op, LaneMask exec) {
  constexpr unsigned n = sizeof(Whole) / sizeof(Part);
  alignas(64) Part out[warpSize * n];
  for (unsigned k = 0; k < n; ++k) {
    const Part *part = warp.row<Part>(op.list[1 + k]);
    for (unsigned i = 0; i < warpSize; ++i)
      out[i * n + k] = part[i];
  }
  Whole whole[warpSize];
  std::memcpy(whole, out, sizeof out);
  warp.write(op.list[0], whole, exec);
}

template <typename Whole, typename Part>
void unpack(Warp &warp, const Op &op, LaneMask exec) {
  constexpr unsigned n = sizeof(Whole) / sizeof(Part);
  // Copied first: a part may be the whole's own register.
  Part parts[warpSize * n];
  std::memcpy(parts, warp.row<Whole>(op.list[n]), sizeof parts);
  for (unsigned k = 0; k < n; ++k) {
    Part out[warpSize];
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = parts[i * n + k];
    warp.write(op.list[k], out, exec);
  }
}

template <bool isPack> Handler packHandler(unsigned whole, unsigned part) {
  auto choose = [](auto w, auto p) -> Handler {
    if constexpr (isPack)
      return pack<decltype(w), decltype(p)>;
    else
      return unpack<decltype(w), decltype(p)>;
  };
  switch (whole * 16 + part) {
  case 2 * 16 + 1:
    return choose(uint16_t(), uint8_t());
  case 4 * 16 + 1:
    return choose(uint32_t(), uint8_t());
  case 4 * 16 + 2:
    return choose(uint32_t(), uint16_t());
  case 8 * 16 + 1:
    return choose(uint64_t(), uint8_t());
  case 8 * 16 + 2:
    return choose(uint64_t(), uint16_t());
  case 8 * 16 + 4:
    return choose(uint64_t(), uint32_t());
  case 16 * 16 + 4:
    return choose(Quad(), uint32_t());
  case 16 * 16 + 8:
    return choose(Quad(), uint64_t());
  }
  return nullptr;
}

Type bitsOf(unsigned bytes) {
  return bytes == 1   ? Type::B8
         : bytes == 2 ? Type::B16
         : bytes == 4 ? Type::B32
         : bytes == 8 ? Type::B64
                      : Type::B128;
}

void decodeMov(Decoder &d) {
  Type type = d.expectType(
      {Type::B32, Type::B64, Type::B16, Type::B8, Type::B128, Type::Pred,
       Type::U16, Type::U32, Type::U64, Type::S16, Type::S32, Type::S64,
       Type::F16, Type::BF16, Type::F16x2, Type::BF16x2, Type::F32, Type::F64});
  d.finishModifiers();
  if (!d.expectOperands(2))
    return;
  bool packs = d.operand(1).kind == Operand::Kind::Vector;
  bool unpacks = d.operand(0).kind == Operand::Kind::Vector;
  if (packs || unpacks) {
    unsigned n = unsigned(d.operand(packs ? 1 : 0).elements.size());
    unsigned whole = sizeOf(type);
    if (packs == unpacks || n == 0 || whole % n ||
        !packHandler<true>(whole, whole / n))
      return d.fail("expected a vector whose elements make up " +
                    std::to_string(8 * whole) + " bits");
    Type part = bitsOf(whole / n);
    d.result(0, unpacks ? part : type);
    d.value(1, packs ? part : type);
    return d.use(packs ? packHandler<true>(whole, whole / n)
                       : packHandler<false>(whole, whole / n),
                 Class::Move);
  }
  d.result(0, type);
  d.value(1, type);
  if (type == Type::Pred)
    return d.use(movePredicate, Class::Move);
  switch (sizeOf(type)) {
  case 1:
    return d.use(move<uint8_t>, Class::Move);
  case 2:
    return d.use(move<uint16_t>, Class::Move);
  case 4:
    return d.use(move<uint32_t>, Class::Move);
  case 8:
    return d.use(move<uint64_t>, Class::Move);
  default:
    return d.use(move<Quad>, Class::Move);
  }
}

//===----------------------------------------------------------------------===//
// selp, slct
//===----------------------------------------------------------------------===//

template <typename T> void select(Warp &warp, const Op &op, LaneMask exec) {
  const T *a = warp.row<T>(op.s[1]);
  const T *b = warp.row<T>(op.s[2]);
  LaneMask choice = warp.predicate(op.s[3]);
  T out[warpSize];
  for (unsigned i = 0; i < warpSize; ++i)
    out[i] = choice >> i & 1 ? a[i] : b[i];
  warp.write(op.s[0], out, exec);
  if (!warp.frame->mayPoison || !op.numWrites)
    return;
  // Only what is chosen counts. `extra` says which operands are registers.
  LaneMask poison[3] = {0, 0, 0};
  unsigned next = 0;
  for (unsigned k = 0; k < 3; ++k)
    if (op.extra >> k & 1)
      poison[k] = warp.poisonOf(op.reads[next++]);
  warp.setPoison(op.writes[0],
                 poison[2] | (choice & poison[0]) | (~choice & poison[1]), exec,
                 op);
}

void decodeSelp(Decoder &d) {
  Type type = d.expectType({Type::B32, Type::B16, Type::B64, Type::U16,
                            Type::U32, Type::U64, Type::S16, Type::S32,
                            Type::S64, Type::F32, Type::F64, Type::F16,
                            Type::BF16, Type::F16x2, Type::BF16x2});
  d.finishModifiers();
  if (!d.expectOperands(4))
    return;
  d.result(0, type);
  d.value(1, type);
  d.value(2, type);
  d.value(3, Type::Pred);
  for (unsigned k = 0; k < 3; ++k)
    d.op.extra |= uint64_t(d.operand(k + 1).isRegister()) << k;
  d.setPoison(PoisonByHandler);
  d.use(forBits(type, []<typename T>(T) -> Handler { return select<T>; }),
        Class::Move);
}

void decodeSlct(Decoder &d) {
  bool ftz = d.take("ftz"); // A subnormal and a zero of the same sign agree.
  Type type = d.expectType({Type::B32, Type::B16, Type::B64, Type::U16,
                            Type::U32, Type::U64, Type::S16, Type::S32,
                            Type::S64, Type::F32, Type::F64});
  Type by = d.expectType({Type::S32, Type::F32});
  d.finishModifiers();
  if (!d.expectOperands(4))
    return;
  (void)ftz;
  d.result(0, type);
  d.value(1, type);
  d.value(2, type);
  d.value(3, by);
  d.use(forBits(
            type,
            [&]<typename T>(T) -> Handler {
              if (by == Type::S32)
                return lanes<[](T a, T b, int32_t c) { return c >= 0 ? a : b; },
                             T, T, T, int32_t>;
              return lanes<[](T a, T b, float c) { return c >= 0 ? a : b; }, T,
                           T, T, float>;
            }),
        Class::Move);
}

//===----------------------------------------------------------------------===//
// cvta, isspacep, mapa, getctarank
//===----------------------------------------------------------------------===//

uint64_t addWindow(const Op &op, uint64_t a) { return a + op.extra; }

Space spaceNamed(std::string_view name) {
  if (name.starts_with("shared"))
    return Space::Shared;
  if (name == "global")
    return Space::Global;
  if (name == "const")
    return Space::Constant;
  if (name == "local")
    return Space::Local;
  if (name.starts_with("param"))
    return Space::Param;
  return Space::Generic;
}

uint64_t windowOf(Space space, bool inKernel) {
  switch (space) {
  case Space::Shared:
    return sharedWindow;
  case Space::Local:
    return localWindow;
  case Space::Param: // Of a kernel they are global, of a function local.
    return inKernel ? 0 : localWindow;
  default:
    return 0;
  }
}

void decodeCvta(Decoder &d) {
  bool isBack = d.take("to");
  Space space = spaceNamed(d.peek());
  if (space == Space::Generic)
    return d.fail("expected a state space");
  d.advance();
  d.expectType({Type::U64, Type::B64});
  d.finishModifiers();
  if (!d.expectOperands(2))
    return;
  uint64_t window = windowOf(space, d.inKernel());
  d.op.extra = isBack ? -window : window;
  d.result(0, Type::U64);
  d.value(1, Type::U64);
  d.use(lanesOf<addWindow, uint64_t, uint64_t>, Class::Move);
}

void isInSpace(Warp &warp, const Op &op, LaneMask exec) {
  const uint64_t *addresses = warp.row<uint64_t>(op.s[1]);
  LaneMask bits = 0;
  for (unsigned i = 0; i < warpSize; ++i) {
    uint64_t window = addresses[i] >> 56 << 56;
    bool isThere = window == op.extra;
    if (op.space == Space::Constant || op.space == Space::Global ||
        op.space == Space::Param) {
      const DeviceMemory::Allocation *owner =
          window ? nullptr : warp.block.launch.memory.at(addresses[i]);
      bool isParameter =
          owner && owner->base == warp.block.launch.parameterBase;
      bool isConstant = owner && owner->isReadOnly && !isParameter;
      isThere = op.space == Space::Param ? isParameter
                : op.space == Space::Constant
                    ? isConstant
                    : !window && !isConstant && !isParameter;
    }
    bits |= LaneMask(isThere) << i;
  }
  warp.setPredicate(op.s[0], bits, exec);
}

void decodeIsspacep(Decoder &d) {
  Space space = spaceNamed(d.peek());
  if (space == Space::Generic)
    return d.fail("expected a state space");
  d.advance();
  d.finishModifiers();
  if (!d.expectOperands(2))
    return;
  d.result(0, Type::Pred);
  d.value(1, Type::U64);
  d.op.space = space;
  d.op.extra = windowOf(space, d.inKernel());
  d.use(isInSpace, Class::Compare);
}

/// In a cluster of one block an address of the cluster is that of the block.
void decodeMapa(Decoder &d) {
  d.take("shared::cluster");
  Type type = d.expectType({Type::U32, Type::U64});
  d.finishModifiers();
  if (!d.expectOperands(3))
    return;
  d.result(0, type);
  d.value(1, type);
  d.value(2, Type::U32);
  d.use(type == Type::U32 ? lanes<[](uint32_t a, uint32_t) { return a; },
                                  uint32_t, uint32_t, uint32_t>
                          : lanes<[](uint64_t a, uint32_t) { return a; },
                                  uint64_t, uint64_t, uint32_t>,
        Class::Move);
}

void decodeGetctarank(Decoder &d) {
  d.take("shared::cluster");
  Type type = d.expectType({Type::U32, Type::U64});
  d.finishModifiers();
  if (!d.expectOperands(2))
    return;
  d.result(0, Type::U32);
  d.value(1, type);
  d.use(type == Type::U32
            ? lanes<[](uint32_t) { return 0u; }, uint32_t, uint32_t>
            : lanes<[](uint64_t) { return 0u; }, uint32_t, uint64_t>,
        Class::Move);
}

} // namespace

void clade::ptx::addMove(Registry &r) {
  r.add("mov", decodeMov);
  r.add("selp", decodeSelp);
  r.add("slct", decodeSlct);
  r.add("cvta", decodeCvta);
  r.add("isspacep", decodeIsspacep);
  r.add("mapa", decodeMapa);
  r.add("getctarank", decodeGetctarank);
}

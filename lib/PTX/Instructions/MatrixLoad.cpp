//===- MatrixLoad.cpp - wmma.load and wmma.store --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/MatrixTile.h"

using namespace clade::ptx;

namespace {

struct Transfer {
  Fragment layout;
  Type type;
  bool isRowMajor = true;
  Slot address;
};

} // namespace

static const Transfer &transferOf(const Op &op) {
  return *static_cast<const Transfer *>(op.record);
}

/// The distance, in elements, of element `i` of a thread from the start.
static uint64_t elementOffset(const Transfer &t, unsigned lane, unsigned i,
                              uint64_t stride) {
  unsigned position = t.layout.at(lane, i);
  uint64_t row = position / t.layout.columns,
           column = position % t.layout.columns;
  return t.isRowMajor ? row * stride + column : column * stride + row;
}

/// Checks what the ISA asks of the address: alignment to a thread's share.
static bool isAligned(Warp &warp, const Op &op, uint64_t address,
                      uint64_t stride) {
  const Transfer &t = transferOf(op);
  uint64_t share = t.layout.perThread * t.layout.elementBits / 8;
  uint64_t strideBytes = stride * t.layout.elementBits / 8;
  if (address % share == 0 && strideBytes % share == 0)
    return true;
  // The hardware needs 16 bytes; more is asked by the text only.
  if (share > 16 && address % 16 == 0 && strideBytes % 16 == 0)
    return true;
  warp.report(FindingKind::Misaligned, op, 0,
              "the matrix begins at address " + std::to_string(address) +
                  " with a stride of " + std::to_string(strideBytes) +
                  " bytes; both must be multiples of " +
                  std::to_string(std::min<uint64_t>(share, 16)));
  return false;
}

/// Runs `use` with the pointers of each element of the threads: `bytes` that
/// hold element `i` of every lane, and the element's bit in them.
template <typename Use>
static void forEachAccess(Warp &warp, const Op &op, AccessKind kind, Use use) {
  const Transfer &t = transferOf(op);
  uint64_t base[warpSize], addresses[warpSize];
  warp.addresses(op, t.address, base);
  uint64_t stride = warp.readLane(op.list[op.numSlots - 1], 4, 0);
  if (!isAligned(warp, op, base[0], stride))
    return;
  unsigned bits = t.layout.elementBits;
  // Elements below a byte lie side by side along K: a register at once.
  unsigned step = bits < 8 ? 32 / bits : 1;
  AccessShape shape;
  shape.kind = kind;
  shape.bytes = shape.alignment = bits < 8 ? 4 : bits / 8;
  shape.space = op.space;
  for (unsigned i = 0; i < t.layout.perThread; i += step) {
    for (unsigned lane = 0; lane < warpSize; ++lane)
      addresses[lane] = base[0] + elementOffset(t, lane, i, stride) * bits / 8;
    Pointers pointers;
    warp.access(op, allLanes, addresses, shape, pointers);
    if (pointers.valid != allLanes)
      return;
    use(i, pointers, shape.bytes);
  }
}

static void loadFragment(Warp &warp, const Op &op, LaneMask exec) {
  if (!needsWholeWarp(warp, op, exec))
    return;
  const Transfer &t = transferOf(op);
  unsigned width = t.layout.elementBits == 64 ? 8 : 4;
  LaneMask unwritten = 0;
  forEachAccess(warp, op, AccessKind::Read,
                [&](unsigned i, const Pointers &pointers, unsigned bytes) {
                  unsigned byte = i * t.layout.elementBits / 8;
                  auto *row = warp.rowOut<std::byte>(op.list[byte / width]);
                  if (!op.list[byte / width].isSink())
                    for (unsigned lane = 0; lane < warpSize; ++lane)
                      std::memcpy(row + lane * width + byte % width,
                                  pointers.lane[lane], bytes);
                  unwritten |= warp.unwritten(pointers, 0, bytes);
                });
  for (unsigned r = 0; r < op.numWrites; ++r)
    warp.setPoison(op.writes[r], unwritten ? allLanes : 0, exec, op);
}

static void storeFragment(Warp &warp, const Op &op, LaneMask exec) {
  if (!needsWholeWarp(warp, op, exec))
    return;
  const Transfer &t = transferOf(op);
  unsigned width = t.layout.elementBits == 64 ? 8 : 4;
  forEachAccess(warp, op, AccessKind::Write,
                [&](unsigned i, const Pointers &pointers, unsigned bytes) {
                  unsigned byte = i * t.layout.elementBits / 8;
                  const auto *row = warp.row<std::byte>(op.list[byte / width]);
                  for (unsigned lane = 0; lane < warpSize; ++lane)
                    std::memcpy(pointers.lane[lane],
                                row + lane * width + byte % width, bytes);
                  // The address is the first that was read.
                  unsigned read = byte / width + (op.addressBytes ? 1 : 0);
                  warp.markWritten(
                      pointers, bytes,
                      read < op.numReads ? warp.poisonOf(op.reads[read]) : 0);
                });
}

static void decodeTransfer(Decoder &d) {
  bool isLoad = d.take("load");
  if (!isLoad && !d.take("store"))
    return d.pass();
  auto which = d.takeOneOf({"a", "b", "c", "d"});
  std::optional<MatrixShape> shape;
  std::optional<unsigned> layout;
  std::optional<Type> type;
  while (!d.peek().empty()) {
    if (auto found = parseShape(d.peek())) {
      shape = found;
      d.advance();
    } else if (auto order = d.takeOneOf({"row", "col"})) {
      layout = order;
    } else if (d.take("global")) {
      d.op.space = Space::Global;
    } else if (d.takeOneOf({"shared", "shared::cta"})) {
      d.op.space = Space::Shared;
    } else if (d.takeOneOf({"sync", "aligned"})) {
      continue;
    } else if (auto found = d.takeType()) {
      type = found;
    } else {
      break;
    }
  }
  d.finishModifiers();
  if (!which || !shape || !layout || !type || !matrixElementBits(*type) ||
      isLoad != (*which < 3))
    return d.fail("expected .load with .a, .b or .c, or .store with .d, a "
                  "layout, a shape and a type");
  Transfer t;
  t.type = *type;
  t.isRowMajor = *layout == 0;
  MatrixRole role = *which == 0   ? MatrixRole::A
                    : *which == 1 ? MatrixRole::B
                                  : MatrixRole::Accumulator;
  t.layout = wmmaFragment(role, *shape, t.type);
  if (!d.expectOperands(2, 3))
    return;
  unsigned vector = isLoad ? 0 : 1;
  const Operand &registers = d.operand(vector);
  unsigned found =
      registers.kind == Operand::Kind::Vector ? registers.elements.size() : 1;
  if (found != t.layout.registers())
    return d.fail("expected " + std::to_string(t.layout.registers()) +
                  " registers, found " + std::to_string(found));
  Type word = t.type == Type::F64 ? Type::F64 : Type::B32;
  Decoder::AddressParts parts =
      d.addressParts(d.operand(isLoad ? 1 : 0), d.op.space);
  if (isLoad)
    d.result(vector, word);
  else
    d.value(vector, word);
  t.address = parts.slot;
  d.op.base = parts.base;
  d.op.offset = parts.offset;
  d.op.addressBytes = parts.bytes;
  if (d.numOperands() == 3)
    d.value(2, Type::B32);
  else
    d.constant(Type::B32, t.isRowMajor ? t.layout.columns : t.layout.rows);
  d.op.record = d.keep(std::move(t));
  d.setPoison(PoisonByHandler);
  d.use(isLoad ? loadFragment : storeFragment, Class::Matrix);
}

void clade::ptx::addMatrixLoad(Registry &registry) {
  registry.add("wmma", decodeTransfer);
}

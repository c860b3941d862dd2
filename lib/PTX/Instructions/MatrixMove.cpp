//===- MatrixMove.cpp - ldmatrix, stmatrix and movmatrix ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An 8x8 matrix of 16-bit elements is eight rows of 16 bytes, each at an
// address of its own; thread t holds elements 2 * (t % 4) and the next of row
// t / 4, or of column t / 4 with .trans (PTX ISA 9.7.14.5.15 to 17).
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/MatrixTile.h"

using namespace clade::ptx;

namespace {

struct Move {
  unsigned count = 1; ///< Matrices.
  bool isTransposed = false;
  bool isByte16 = false; ///< .m16n16.trans.b8
  Slot address;
};

/// Where byte `i` of a thread's register `r` lies.
struct RowByte {
  unsigned row, byte;
};

} // namespace

static const Move &moveOf(const Op &op) {
  return *static_cast<const Move *>(op.record);
}

/// The place of byte `i` of register `r` of thread `lane`; rows are numbered
/// through all matrices, as the threads that give their addresses are.
static RowByte placeOf(const Move &m, unsigned r, unsigned lane, unsigned i) {
  unsigned group = lane / 4, member = lane % 4;
  if (m.isByte16)
    return {r / 2 * 16 + member * 4 + i, group + r % 2 * 8};
  if (m.isTransposed)
    return {r * 8 + member * 2 + i / 2, group * 2 + i % 2};
  return {r * 8 + group, member * 4 + i};
}

/// Resolves the addresses of the rows; false where some are not allowed.
static bool resolve(Warp &warp, const Op &op, AccessKind kind,
                    Pointers &pointers) {
  const Move &m = moveOf(op);
  unsigned rows = m.count * (m.isByte16 ? 16 : 8);
  LaneMask lanes = rows == 32 ? allLanes : (LaneMask(1) << rows) - 1;
  uint64_t addresses[warpSize];
  warp.addresses(op, m.address, addresses);
  AccessShape shape;
  shape.kind = kind;
  shape.bytes = 16;
  shape.alignment = 16;
  shape.space = op.space;
  warp.access(op, lanes, addresses, shape, pointers);
  return pointers.valid == lanes;
}

static void loadMatrix(Warp &warp, const Op &op, LaneMask exec) {
  if (!needsWholeWarp(warp, op, exec))
    return;
  const Move &m = moveOf(op);
  Pointers pointers;
  if (!resolve(warp, op, AccessKind::Read, pointers))
    return;
  unsigned registers = m.count * (m.isByte16 ? 2 : 1);
  for (unsigned r = 0; r < registers; ++r) {
    uint32_t words[warpSize];
    LaneMask unwritten = 0;
    for (unsigned lane = 0; lane < warpSize; ++lane) {
      uint32_t word = 0, written = 0;
      for (unsigned i = 0; i < 4; ++i) {
        RowByte at = placeOf(m, r, lane, i);
        word |= uint32_t(pointers.lane[at.row][at.byte]) << (8 * i);
        written |= pointers.shadow[at.row][at.byte];
      }
      words[lane] = word;
      unwritten |= LaneMask(written == 0) << lane;
    }
    if (!op.list[r].isSink())
      warp.write(op.list[r], words, exec);
    if (r < op.numWrites)
      warp.setPoison(op.writes[r], unwritten, exec, op);
  }
}

static void storeMatrix(Warp &warp, const Op &op, LaneMask exec) {
  if (!needsWholeWarp(warp, op, exec))
    return;
  const Move &m = moveOf(op);
  Pointers pointers;
  if (!resolve(warp, op, AccessKind::Write, pointers))
    return;
  for (unsigned r = 0; r < m.count; ++r) {
    const auto *words = warp.row<uint32_t>(op.list[r]);
    unsigned read = r + (op.addressBytes ? 1 : 0); // The address comes first.
    LaneMask poison = read < op.numReads ? warp.poisonOf(op.reads[read]) : 0;
    for (unsigned lane = 0; lane < warpSize; ++lane)
      for (unsigned i = 0; i < 4; ++i) {
        RowByte at = placeOf(m, r, lane, i);
        pointers.lane[at.row][at.byte] = std::byte(words[lane] >> (8 * i));
        pointers.shadow[at.row][at.byte] = !(poison >> lane & 1);
      }
  }
}

static void moveMatrix(Warp &warp, const Op &op, LaneMask exec) {
  if (!needsWholeWarp(warp, op, exec))
    return;
  const auto *from = warp.row<uint32_t>(op.s[1]);
  uint32_t words[warpSize];
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    unsigned column = lane / 4, row = lane % 4 * 2;
    auto element = [&](unsigned r) {
      return from[r * 4 + column / 2] >> (column % 2 * 16) & 0xFFFF;
    };
    words[lane] = element(row) | element(row + 1) << 16;
  }
  warp.write(op.s[0], words, exec);
}

/// The modifiers that ldmatrix and stmatrix share, up to the address.
static bool decodeMove(Decoder &d, Move &m) {
  d.take("sync");
  d.take("aligned");
  std::string_view shape = d.peek();
  d.advance();
  auto count = d.takeOneOf({"x1", "x2", "x4"});
  m.isTransposed = d.take("trans");
  d.op.space =
      d.takeOneOf({"shared", "shared::cta"}) ? Space::Shared : Space::Generic;
  bool isByte = d.take("b8");
  bool isLoad = d.source.opcode == "ldmatrix";
  m.isByte16 = isByte && isLoad && shape == "m16n16" && m.isTransposed;
  bool isKnown = m.isByte16 || (shape == "m8n8" && d.take("b16"));
  if (!count || !isKnown || (m.isByte16 && *count == 2)) {
    d.fail("expected .m8n8 with .x1, .x2 or .x4 and .b16" +
           std::string(isLoad ? ", or .m16n16 with .x1 or .x2, .trans and .b8"
                              : ""));
    return false;
  }
  m.count = 1u << *count;
  d.finishModifiers();
  return d.expectOperands(2);
}

static void expectVector(Decoder &d, unsigned i, unsigned registers) {
  const Operand &operand = d.operand(i);
  unsigned found =
      operand.kind == Operand::Kind::Vector ? operand.elements.size() : 1;
  if (found != registers)
    d.fail("expected " + std::to_string(registers) + " registers, found " +
           std::to_string(found));
}

static void decodeLoadMatrix(Decoder &d) {
  Move m;
  if (!decodeMove(d, m))
    return;
  unsigned registers = m.count * (m.isByte16 ? 2 : 1);
  expectVector(d, 0, registers);
  d.result(0, Type::B32);
  Decoder::AddressParts parts = d.addressParts(d.operand(1), d.op.space);
  m.address = parts.slot;
  d.op.base = parts.base;
  d.op.offset = parts.offset;
  d.op.addressBytes = parts.bytes;
  d.op.record = d.keep(m);
  d.setPoison(PoisonByHandler);
  d.use(loadMatrix, Class::Matrix);
}

static void decodeStoreMatrix(Decoder &d) {
  Move m;
  if (!decodeMove(d, m))
    return;
  expectVector(d, 1, m.count);
  Decoder::AddressParts parts = d.addressParts(d.operand(0), d.op.space);
  d.value(1, Type::B32);
  m.address = parts.slot;
  d.op.base = parts.base;
  d.op.offset = parts.offset;
  d.op.addressBytes = parts.bytes;
  d.op.record = d.keep(m);
  d.setPoison(PoisonByHandler);
  d.use(storeMatrix, Class::Matrix);
}

static void decodeMoveMatrix(Decoder &d) {
  d.take("sync");
  d.take("aligned");
  if (!d.take("m8n8") || !d.take("trans") || !d.take("b16"))
    return d.fail("expected .m8n8.trans.b16");
  d.finishModifiers();
  if (!d.expectOperands(2))
    return;
  d.result(0, Type::B32);
  d.value(1, Type::B32);
  d.setPoison(PoisonCrossLane);
  d.use(moveMatrix, Class::Matrix);
}

void clade::ptx::addMatrixMove(Registry &registry) {
  registry.add("ldmatrix", decodeLoadMatrix);
  registry.add("stmatrix", decodeStoreMatrix);
  registry.add("movmatrix", decodeMoveMatrix);
}

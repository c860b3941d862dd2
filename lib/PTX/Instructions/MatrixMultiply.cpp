//===- MatrixMultiply.cpp - mma and wmma.mma ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/MatrixTile.h"
#include "lib/PTX/MatrixMath.h"

using namespace clade::ptx;

namespace {

/// D = A * B + C of one warp.
struct Product {
  MatrixShape shape;
  unsigned count = 1; ///< Independent products: four for m8n8k4 of f16.
  Type a, b, c, d;
  Fragment layoutA, layoutB, layoutC, layoutD;
  unsigned slotA, slotB, slotC; ///< D's slots come first.
  bool saturates = false;
  bool isXor = false;
};

constexpr unsigned maxTile = 32 * 32;

} // namespace

static const Product &productOf(const Op &op) {
  return *static_cast<const Product *>(op.record);
}

/// Counts the operation; false where it cannot be done.
static bool begin(Warp &warp, const Op &op, LaneMask exec) {
  if (!needsWholeWarp(warp, op, exec))
    return false;
  const Product &p = productOf(op);
  warp.counter(op).flops += 2ull * p.shape.m * p.shape.n * p.shape.k * p.count;
  return true;
}

static void multiplyFloats(Warp &warp, const Op &op, LaneMask exec) {
  if (!begin(warp, op, exec))
    return;
  const Product &p = productOf(op);
  float a[maxTile], b[maxTile], c[maxTile];
  gatherTile(warp, op.list + p.slotA, p.layoutA, p.a, 0, a);
  gatherTile(warp, op.list + p.slotB, p.layoutB, p.b, 0, b);
  gatherTile(warp, op.list + p.slotC, p.layoutC, p.c, 0, c);
  for (unsigned i = 0; i < p.count; ++i)
    multiplyTile(a + i * p.shape.m * p.shape.k, b + i * p.shape.k * p.shape.n,
                 c + i * p.shape.m * p.shape.n, p.shape);
  scatterTile(warp, op.list, p.layoutD, p.d, 0, c);
}

static void multiplyDoubles(Warp &warp, const Op &op, LaneMask exec) {
  if (!begin(warp, op, exec))
    return;
  const Product &p = productOf(op);
  double a[maxTile], b[maxTile], c[maxTile];
  gatherTile(warp, op.list + p.slotA, p.layoutA, a);
  gatherTile(warp, op.list + p.slotB, p.layoutB, b);
  gatherTile(warp, op.list + p.slotC, p.layoutC, c);
  multiplyTile(a, b, c, p.shape);
  scatterTile(warp, op.list, p.layoutD, c);
}

static void multiplyIntegers(Warp &warp, const Op &op, LaneMask exec) {
  if (!begin(warp, op, exec))
    return;
  const Product &p = productOf(op);
  int32_t a[maxTile], b[maxTile], c[maxTile];
  gatherTile(warp, op.list + p.slotA, p.layoutA, p.a, 0, a);
  gatherTile(warp, op.list + p.slotB, p.layoutB, p.b, 0, b);
  gatherTile(warp, op.list + p.slotC, p.layoutC, p.c, 0, c);
  multiplyTile(a, b, c, p.shape, p.saturates);
  scatterTile(warp, op.list, p.layoutD, 0, c);
}

static void multiplySingleBits(Warp &warp, const Op &op, LaneMask exec) {
  if (!begin(warp, op, exec))
    return;
  const Product &p = productOf(op);
  uint32_t a[maxTile / 4], b[maxTile / 4];
  int32_t c[maxTile];
  gatherBits(warp, op.list + p.slotA, p.layoutA, false, 0, a);
  gatherBits(warp, op.list + p.slotB, p.layoutB, true, 0, b);
  gatherTile(warp, op.list + p.slotC, p.layoutC, p.c, 0, c);
  multiplyBits(a, b, c, p.shape, p.isXor);
  scatterTile(warp, op.list, p.layoutD, 0, c);
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

namespace {

/// What the modifiers say, in whatever order.
struct Modifiers {
  std::optional<MatrixShape> shape;
  std::vector<bool> isRow;
  std::vector<Type> types;
  bool saturates = false;
  bool isXor = false;
  bool isPopcount = false;
};

/// Shapes of a multiplicand type.
struct ShapeRow {
  Type type;
  std::vector<MatrixShape> mma;
  std::vector<MatrixShape> wmma;
};

} // namespace

static const std::vector<ShapeRow> &shapeRows() {
  static const MatrixShape square = {16, 16, 16}, wide = {8, 32, 16},
                           tall = {32, 8, 16};
  static const std::vector<ShapeRow> rows = {
      {Type::F16, {{8, 8, 4}, {16, 8, 8}, {16, 8, 16}}, {square, wide, tall}},
      {Type::BF16, {{16, 8, 8}, {16, 8, 16}}, {square, wide, tall}},
      {Type::TF32, {{16, 8, 4}, {16, 8, 8}}, {{16, 16, 8}}},
      {Type::E4M3, {{16, 8, 16}, {16, 8, 32}}, {}},
      {Type::E5M2, {{16, 8, 16}, {16, 8, 32}}, {}},
      {Type::F64,
       {{8, 8, 4}, {16, 8, 4}, {16, 8, 8}, {16, 8, 16}},
       {{8, 8, 4}}},
      {Type::S8, {{8, 8, 16}, {16, 8, 16}, {16, 8, 32}}, {square, wide, tall}},
      {Type::U8, {{8, 8, 16}, {16, 8, 16}, {16, 8, 32}}, {square, wide, tall}},
      {Type::S4, {{8, 8, 32}, {16, 8, 32}, {16, 8, 64}}, {{8, 8, 32}}},
      {Type::U4, {{8, 8, 32}, {16, 8, 32}, {16, 8, 64}}, {{8, 8, 32}}},
      {Type::B1, {{8, 8, 128}, {16, 8, 128}, {16, 8, 256}}, {{8, 8, 128}}},
  };
  return rows;
}

static Modifiers readModifiers(Decoder &d) {
  Modifiers m;
  while (!d.peek().empty()) {
    if (auto shape = parseShape(d.peek())) {
      m.shape = shape;
      d.advance();
    } else if (auto layout = d.takeOneOf({"row", "col"})) {
      m.isRow.push_back(*layout == 0);
    } else if (d.take("satfinite")) {
      m.saturates = true;
    } else if (d.take("xor")) {
      m.isXor = true;
    } else if (d.take("popc")) {
      m.isPopcount = true;
    } else if (d.takeOneOf({"sync", "aligned", "and", "rn"})) {
      continue;
    } else if (auto type = d.takeType()) {
      m.types.push_back(*type);
    } else {
      d.fail("'." + std::string(d.peek()) + "' is not known with '" +
             std::string(d.source.opcode) + "'");
      return m;
    }
  }
  return m;
}

static unsigned countElements(Decoder &d, unsigned operand) {
  const Operand &vector = d.operand(operand);
  return vector.kind == Operand::Kind::Vector ? vector.elements.size() : 1;
}

/// An error unless operand `i` has as many registers as the layout.
static void expectRegisters(Decoder &d, unsigned i, const Fragment &layout,
                            const char *name) {
  if (countElements(d, i) != layout.registers())
    d.fail("operand " + std::string(name) + " has " +
           std::to_string(countElements(d, i)) + " registers, but this shape " +
           "and type need " + std::to_string(layout.registers()));
}

static bool isKnownShape(const Product &p, bool isWmma) {
  for (const ShapeRow &row : shapeRows())
    if (row.type == p.a)
      for (MatrixShape shape : isWmma ? row.wmma : row.mma)
        if (shape == p.shape)
          return true;
  return false;
}

static void chooseLayouts(Product &p, const Modifiers &m, bool isWmma) {
  unsigned bitsA = matrixElementBits(p.a), bitsC = matrixElementBits(p.c),
           bitsD = matrixElementBits(p.d);
  if (!isWmma && p.a == Type::F16 && p.shape.m == 8) {
    p.count = 4;
    p.layoutA = quadPairFragment(MatrixRole::A, m.isRow[0], bitsA);
    p.layoutB = quadPairFragment(MatrixRole::B, m.isRow[1], bitsA);
    p.layoutC = quadPairFragment(MatrixRole::Accumulator, true, bitsC);
    p.layoutD = quadPairFragment(MatrixRole::Accumulator, true, bitsD);
    return;
  }
  if (!isWmma) {
    p.layoutA = mmaFragment(MatrixRole::A, p.shape, bitsA);
    p.layoutB = mmaFragment(MatrixRole::B, p.shape, bitsA);
    p.layoutC = mmaFragment(MatrixRole::Accumulator, p.shape, bitsC);
    p.layoutD = mmaFragment(MatrixRole::Accumulator, p.shape, bitsD);
    return;
  }
  p.layoutA = wmmaFragment(MatrixRole::A, p.shape, p.a);
  p.layoutB = wmmaFragment(MatrixRole::B, p.shape, p.a);
  p.layoutC = wmmaFragment(MatrixRole::Accumulator, p.shape, p.c);
  p.layoutD = wmmaFragment(MatrixRole::Accumulator, p.shape, p.d);
}

static void decodeProduct(Decoder &d, bool isWmma) {
  Modifiers m = readModifiers(d);
  Product p;
  // wmma of .f16 names D and C only.
  if (isWmma && m.types.size() == 2)
    m.types = {m.types[0], Type::F16, Type::F16, m.types[1]};
  if (!m.shape || m.types.size() != 4 || m.isRow.size() != 2)
    return d.fail("expected a shape, two layouts and the types of D, A, B and "
                  "C");
  p.shape = *m.shape;
  p.d = m.types[0], p.a = m.types[1], p.b = m.types[2], p.c = m.types[3];
  p.saturates = m.saturates;
  p.isXor = m.isXor;
  if (!isKnownShape(p, isWmma))
    return d.fail("there is no shape ." + shapeName(p.shape) + " for ." +
                  std::string(nameOf(p.a)));
  bool isFloat = p.a == Type::F16 || p.a == Type::BF16 || p.a == Type::TF32 ||
                 p.a == Type::E4M3 || p.a == Type::E5M2;
  auto isSum = [&](Type type) {
    if (p.a == Type::F64)
      return type == Type::F64;
    if (!isFloat)
      return type == Type::S32;
    return type == Type::F32 ||
           (type == Type::F16 && p.a != Type::BF16 && p.a != Type::TF32);
  };
  if (!isSum(p.c) || !isSum(p.d) ||
      matrixElementBits(p.a) != matrixElementBits(p.b))
    return d.fail("the types of D, A, B and C do not go together");
  chooseLayouts(p, m, isWmma);
  if (!d.expectOperands(4))
    return;
  expectRegisters(d, 0, p.layoutD, "d");
  expectRegisters(d, 1, p.layoutA, "a");
  expectRegisters(d, 2, p.layoutB, "b");
  expectRegisters(d, 3, p.layoutC, "c");
  p.slotA = p.layoutD.registers();
  p.slotB = p.slotA + p.layoutA.registers();
  p.slotC = p.slotB + p.layoutB.registers();
  Type word = p.a == Type::F64 ? Type::F64 : Type::B32;
  d.result(0, word);
  for (unsigned i = 1; i < 4; ++i)
    d.value(i, word);
  d.setPoison(PoisonCrossLane);
  Handler handler = p.a == Type::F64  ? multiplyDoubles
                    : p.a == Type::B1 ? multiplySingleBits
                    : isFloat         ? multiplyFloats
                                      : multiplyIntegers;
  d.op.type = p.a;
  d.op.record = d.keep(std::move(p));
  d.use(handler, Class::Matrix);
}

static void decodeMma(Decoder &d) { decodeProduct(d, false); }

static void decodeWmma(Decoder &d) {
  if (!d.take("mma"))
    return d.pass();
  decodeProduct(d, true);
}

void clade::ptx::addMatrixMultiply(Registry &registry) {
  registry.add("mma", decodeMma);
  registry.add("wmma", decodeWmma);
}

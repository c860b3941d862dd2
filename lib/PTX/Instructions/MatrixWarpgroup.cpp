//===- MatrixWarpgroup.cpp - wgmma and setmaxnreg -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each of the four warps of a warpgroup computes its 16 rows of D by itself,
// when it waits: see AsyncState.h. A in registers is read then, too.
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/AsyncState.h"
#include "lib/PTX/Instructions/MatrixTile.h"
#include "lib/PTX/MatrixMath.h"
#include "lib/PTX/RaceChecker.h"
#include "lib/PTX/SharedTile.h"

using namespace clade::ptx;

namespace {

struct WarpgroupShape {
  MatrixShape shape; ///< Of the warpgroup: M is 64.
  Type a, b, d;
  bool isAInShared = false;
  bool transposesA = false;
  bool transposesB = false;
  bool negatesA = false;
  bool negatesB = false;
  bool saturates = false;
  Fragment layoutA, layoutD;
  /// In the list of slots, after D (as destination and as source).
  unsigned slotA = 0;
  unsigned slotB = 0;
  unsigned slotScale = 0;

  bool isFloat() const { return d != Type::S32; }
  unsigned elementBytes() const { return matrixElementBits(a) / 8; }
};

constexpr unsigned maxN = 256, warpRows = 16;

} // namespace

static const WarpgroupShape &shapeOf(const Op &op) {
  return *static_cast<const WarpgroupShape *>(op.record);
}

//===----------------------------------------------------------------------===//
// Issue
//===----------------------------------------------------------------------===//

/// Reads the descriptor in `slot`, which all lanes must agree on.
static std::optional<uint64_t> readDescriptor(Warp &warp, const Op &op,
                                              Slot slot, const char *name) {
  const auto *row = warp.row<uint64_t>(slot);
  auto fail = [&](std::string text) {
    warp.report(FindingKind::AsyncMisuse, op, 0,
                "the descriptor of " + std::string(name) +
                    " cannot be used: " + text);
    return std::nullopt;
  };
  for (unsigned lane = 1; lane < warpSize; ++lane)
    if (row[lane] != row[0])
      return fail("lane " + std::to_string(lane) + " has another one");
  if (const char *problem = descriptorProblem(decodeDescriptor(row[0])))
    return fail(problem);
  return row[0];
}

/// Checks that the bytes that a matrix is read from are there, and who wrote
/// them. `rows` are along M or N, from `first` on.
static bool checkMatrix(Warp &warp, const Op &op, uint64_t bits,
                        bool isTransposed, unsigned first, unsigned rows) {
  const WarpgroupShape &w = shapeOf(op);
  MatrixDescriptor descriptor = decodeDescriptor(bits);
  unsigned bytes = w.elementBytes(), perPiece = 16 / bytes;
  AccessShape shape;
  shape.kind = AccessKind::AsyncRead;
  shape.bytes = shape.alignment = 16;
  shape.space = Space::Shared;
  shape.isCounted = false;
  // Pieces of 16 bytes are never torn by a layout.
  unsigned outerStep = isTransposed ? perPiece : 1;
  unsigned innerStep = isTransposed ? 1 : perPiece;
  for (unsigned outer = first; outer < first + rows; outer += outerStep)
    for (unsigned k = 0; k < w.shape.k; k += innerStep) {
      uint32_t at = elementAddress(descriptor, isTransposed, bytes, outer, k);
      uint8_t *shadow = nullptr;
      if (!warp.accessRange(op, 0, at, 16, shape, &shadow))
        return false;
      if (!shadow)
        continue;
      if (std::all_of(shadow, shadow + 16, [](uint8_t s) { return s == 0; })) {
        warp.report(FindingKind::UninitialisedValue, op, 0,
                    "the matrix unit reads shared memory at " +
                        std::to_string(at) + " that was never written");
        return false;
      }
    }
  return true;
}

static void issueProduct(Warp &warp, const Op &op, LaneMask exec) {
  if (!needsWholeWarp(warp, op, exec))
    return;
  const WarpgroupShape &w = shapeOf(op);
  WarpAsync &state = asyncOf(warp);
  if ((warp.index | 3) >= warp.block.warps.size())
    return warp.report(FindingKind::AsyncMisuse, op, 0,
                       "a warpgroup is four warps, but warp " +
                           std::to_string(warp.index) +
                           " is in an incomplete one");
  if (!state.hasFenced) {
    state.hasFenced = true;
    warp.report(FindingKind::AsyncMisuse, op, 0,
                "no wgmma.fence before the first wgmma.mma_async of the warp");
  }
  LaneMask accumulates = warp.predicate(op.list[w.slotScale]);
  for (unsigned i = 0; i < op.numWrites && accumulates; ++i)
    if (LaneMask bad = warp.poisonOf(op.writes[i])) {
      warp.reportPoison(op, std::countr_zero(bad), "the accumulator ",
                        op.writes[i]);
      break;
    }
  WarpgroupProduct product;
  product.op = &op;
  product.frame = warp.frame;
  product.accumulates = accumulates;
  product.group = state.productGroup;
  warp.counter(op).flops += 2ull * warpRows * w.shape.n * w.shape.k;

  RaceChecker *checker = checkerOf(warp.block);
  AsyncScope scope(checker, warp, QueueKind::Warpgroup, warp.index);
  unsigned firstRow = warp.index % 4 * warpRows;
  if (w.isAInShared) {
    auto bits = readDescriptor(warp, op, op.list[w.slotA], "A");
    if (!bits ||
        !checkMatrix(warp, op, *bits, w.transposesA, firstRow, warpRows))
      return;
    product.descriptorA = *bits;
    warp.countShared(op, uint64_t(warpRows) * w.shape.k * w.elementBytes());
  }
  auto bits = readDescriptor(warp, op, op.list[w.slotB], "B");
  if (!bits || !checkMatrix(warp, op, *bits, w.transposesB, 0, w.shape.n))
    return;
  product.descriptorB = *bits;
  // The four warps of the warpgroup share B.
  warp.countShared(op, uint64_t(w.shape.n) * w.shape.k * w.elementBytes() / 4);
  product.time = scope.time();
  warp.setInFlight(op, true);
  state.products.push_back(product);
}

//===----------------------------------------------------------------------===//
// Completion
//===----------------------------------------------------------------------===//

/// Decodes rows `first` to `first + rows` of a matrix in shared memory, as
/// rows x k.
template <typename T>
static void loadOuterRows(Warp &warp, const WarpgroupShape &w, uint64_t bits,
                          Type type, bool isTransposed, unsigned first,
                          unsigned rows, bool negates, T *tile) {
  MatrixDescriptor descriptor = decodeDescriptor(bits);
  unsigned bytes = w.elementBytes(), perPiece = 16 / bytes;
  T values[16];
  unsigned outerStep = isTransposed ? perPiece : 1;
  unsigned innerStep = isTransposed ? 1 : perPiece;
  for (unsigned outer = 0; outer < rows; outer += outerStep)
    for (unsigned k = 0; k < w.shape.k; k += innerStep) {
      uint32_t at =
          elementAddress(descriptor, isTransposed, bytes, first + outer, k);
      decodeElements(type, warp.block.shared.data() + at, perPiece, values);
      for (unsigned i = 0; i < perPiece; ++i) {
        unsigned row = outer + (isTransposed ? i : 0);
        unsigned column = k + (isTransposed ? 0 : i);
        tile[row * w.shape.k + column] = negates ? -values[i] : values[i];
      }
    }
}

template <typename T>
static void computeProduct(Warp &warp, const WarpgroupProduct &product) {
  const Op &op = *product.op;
  const WarpgroupShape &w = shapeOf(op);
  unsigned thread = warp.index % 4 * warpSize, firstRow = thread / 2;
  std::vector<T> whole(64 * std::max(w.shape.k, w.shape.n));
  std::vector<T> a(warpRows * w.shape.k), c(warpRows * w.shape.n);
  std::vector<T> columns(w.shape.n * w.shape.k), b(w.shape.n * w.shape.k);
  if (w.isAInShared) {
    loadOuterRows(warp, w, product.descriptorA, w.a, w.transposesA, firstRow,
                  warpRows, w.negatesA, a.data());
  } else {
    gatherTile(warp, op.list + w.slotA, w.layoutA, w.a, thread, whole.data());
    for (unsigned i = 0; i < a.size(); ++i) {
      T value = whole[firstRow * w.shape.k + i];
      a[i] = w.negatesA ? -value : value;
    }
  }
  loadOuterRows(warp, w, product.descriptorB, w.b, w.transposesB, 0, w.shape.n,
                w.negatesB, columns.data());
  for (unsigned n = 0; n < w.shape.n; ++n)
    for (unsigned k = 0; k < w.shape.k; ++k)
      b[k * w.shape.n + n] = columns[n * w.shape.k + k];
  if (product.accumulates & 1) {
    gatherTile(warp, op.list, w.layoutD, w.d, thread, whole.data());
    std::copy_n(whole.data() + firstRow * w.shape.n, c.size(), c.data());
  }
  MatrixShape shape = {warpRows, w.shape.n, w.shape.k};
  if constexpr (std::is_same_v<T, float>)
    multiplyTile(a.data(), b.data(), c.data(), shape);
  else
    multiplyTile(a.data(), b.data(), c.data(), shape, w.saturates);
  std::copy_n(c.data(), c.size(), whole.data() + firstRow * w.shape.n);
  if constexpr (std::is_same_v<T, float>)
    scatterTile(warp, op.list, w.layoutD, w.d, thread, whole.data());
  else
    scatterTile(warp, op.list, w.layoutD, thread, whole.data());
}

static void finishProduct(Warp &warp, const WarpgroupProduct &product) {
  Frame *frame = warp.frame;
  warp.frame = product.frame;
  if (shapeOf(*product.op).isFloat())
    computeProduct<float>(warp, product);
  else
    computeProduct<int32_t>(warp, product);
  warp.setInFlight(*product.op, false);
  for (unsigned i = 0; i < product.op->numWrites; ++i)
    warp.setPoison(product.op->writes[i], 0, allLanes, *product.op);
  warp.frame = frame;
}

static void fenceProducts(Warp &warp, const Op &op, LaneMask exec) {
  if (needsWholeWarp(warp, op, exec))
    asyncOf(warp).hasFenced = true;
}

static void commitProducts(Warp &warp, const Op &op, LaneMask exec) {
  if (needsWholeWarp(warp, op, exec))
    ++asyncOf(warp).productGroup;
}

static void waitProducts(Warp &warp, const Op &op, LaneMask exec) {
  if (!needsWholeWarp(warp, op, exec))
    return;
  WarpAsync &state = asyncOf(warp);
  RaceChecker *checker = checkerOf(warp.block);
  while (!state.products.empty() &&
         state.products.front().group + op.extra < state.productGroup) {
    WarpgroupProduct product = state.products.front();
    state.products.pop_front();
    finishProduct(warp, product);
    if (checker)
      checker->learn(warp, QueueKind::Warpgroup, warp.index, product.time);
  }
  // Registers that a later product still writes are not to be touched yet.
  for (const WarpgroupProduct &product : state.products)
    if (product.frame == warp.frame)
      warp.setInFlight(*product.op, true);
}

static void setMaxRegisters(Warp &warp, const Op &op, LaneMask exec) {
  needsWholeWarp(warp, op, exec);
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

static bool isKnownShape(const WarpgroupShape &w) {
  unsigned bits = matrixElementBits(w.a);
  if (w.shape.m != 64 || w.shape.n < 8 || w.shape.n > maxN || w.shape.n % 8 ||
      w.shape.k * bits != 256)
    return false;
  // Integers have N of 8, 16, 24, 32 and then multiples of 16.
  return w.isFloat() || w.shape.n <= 32 || w.shape.n % 16 == 0;
}

/// Takes an immediate operand that must be one of two values; true for the
/// second.
static bool takeFlag(Decoder &d, unsigned i, int64_t first, int64_t second) {
  int64_t value = int64_t(d.immediate(i));
  if (value != first && value != second)
    d.fail("operand " + std::to_string(i + 1) + " must be " +
           std::to_string(first) + " or " + std::to_string(second));
  return value == second;
}

static void decodeProduct(Decoder &d) {
  WarpgroupShape w;
  d.take("sync");
  d.take("aligned");
  auto shape = parseShape(d.peek());
  if (!shape)
    return d.fail("expected a shape such as .m64n64k16");
  d.advance();
  w.shape = *shape;
  w.saturates = d.take("satfinite");
  w.d = d.expectType({Type::F16, Type::F32, Type::S32});
  w.a = d.expectType({Type::F16, Type::BF16, Type::TF32, Type::E4M3, Type::E5M2,
                      Type::S8, Type::U8});
  w.b = d.expectType({Type::F16, Type::BF16, Type::TF32, Type::E4M3, Type::E5M2,
                      Type::S8, Type::U8});
  w.saturates |= d.take("satfinite");
  d.finishModifiers();
  if (d.hasFailed() || !d.expectOperands(4, 8))
    return;
  bool isInteger = w.a == Type::S8 || w.a == Type::U8;
  if (!isKnownShape(w) || isInteger == w.isFloat() ||
      matrixElementBits(w.a) != matrixElementBits(w.b))
    return d.fail("there is no product ." + shapeName(w.shape) +
                  " of these types");
  w.layoutD =
      wgmmaFragment(MatrixRole::Accumulator, w.shape, matrixElementBits(w.d));
  w.layoutA = wgmmaFragment(MatrixRole::A, w.shape, matrixElementBits(w.a));
  w.isAInShared = d.operand(1).kind != Operand::Kind::Vector;
  unsigned numD = w.layoutD.registers();
  if (d.operand(0).elements.size() != numD)
    return d.fail("operand d needs " + std::to_string(numD) + " registers");
  if (!w.isAInShared && d.operand(1).elements.size() != 4)
    return d.fail("operand a needs 4 registers, or a descriptor");
  // Negation and transposition: floating point only; 16-bit types only.
  bool mayTranspose = matrixElementBits(w.a) == 16;
  unsigned expected = 4;
  if (w.isFloat())
    expected += 2 + (mayTranspose ? (w.isAInShared ? 2 : 1) : 0);
  if (!d.expectOperands(expected))
    return;
  if (w.isFloat()) {
    w.negatesA = takeFlag(d, 4, 1, -1);
    w.negatesB = takeFlag(d, 5, 1, -1);
    if (mayTranspose && w.isAInShared)
      w.transposesA = takeFlag(d, 6, 0, 1);
    if (mayTranspose)
      w.transposesB = takeFlag(d, w.isAInShared ? 7 : 6, 0, 1);
  }
  d.result(0, Type::B32);
  w.slotA = numD;
  d.value(1, w.isAInShared ? Type::B64 : Type::B32);
  w.slotB = w.slotA + (w.isAInShared ? 1 : 4);
  d.value(2, Type::B64);
  w.slotScale = w.slotB + 1;
  d.value(3, Type::Pred);
  d.op.type = w.a;
  d.op.record = d.keep(std::move(w));
  d.setPoison(PoisonByHandler | PoisonIsFinding | PoisonMayBeInFlight);
  d.use(issueProduct, Class::Matrix);
}

static void decodeWarpgroup(Decoder &d) {
  if (d.take("mma_async"))
    return decodeProduct(d);
  auto which = d.takeOneOf({"fence", "commit_group", "wait_group"});
  d.take("sync");
  d.take("aligned");
  if (!which)
    return d.fail("expected .mma_async, .fence, .commit_group or .wait_group");
  d.finishModifiers();
  if (!d.expectOperands(*which == 2 ? 1 : 0))
    return;
  if (*which == 2)
    d.op.extra = d.immediate(0);
  static const Handler handlers[] = {fenceProducts, commitProducts,
                                     waitProducts};
  d.use(handlers[*which], Class::Async);
}

static void decodeMaxRegisters(Decoder &d) {
  if (!d.takeOneOf({"inc", "dec"}))
    return d.fail("expected .inc or .dec");
  d.take("sync");
  d.take("aligned");
  d.take("u32");
  d.finishModifiers();
  if (!d.expectOperands(1))
    return;
  uint64_t count = d.immediate(0);
  if (count < 24 || count > 256 || count % 8)
    return d.fail("the number of registers must be a multiple of 8 from 24 to "
                  "256");
  d.use(setMaxRegisters, Class::Other);
}

void clade::ptx::addWarpgroup(Registry &registry) {
  registry.add("wgmma", decodeWarpgroup);
  registry.add("setmaxnreg", decodeMaxRegisters);
}

//===- Experts.cpp - Products by chosen experts ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Experts.h"

#include "lib/CodeGen/CPU/GroupProduct.h"
#include "lib/CodeGen/CPU/RowEmitter.h"
#include "lib/CodeGen/CPU/StepABI.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

/// i32 numbers of the plan: the number of tiles and padding, then for each
/// choice its place, in the order of the experts, and for each tile its expert,
/// its first choice in that order and how many it has.
static constexpr int64_t planHeader = 16;
static constexpr int64_t planArrays = 4;

namespace {
class ExpertsEmitter {
public:
  ExpertsEmitter(Location loc, const Target &target, const ExpertsShape &shape,
                 const ExpertsOperands &operands, ExpertsEpilogue epilogue)
      : loc(loc), target(target), shape(shape), in(operands),
        epilogue(epilogue) {}

  void emit(OpBuilder &builder);

private:
  /// Rows of one expert in the order of a tile: gives the choice of row i.
  using Order = llvm::function_ref<Value(OpBuilder &, Value)>;

  void emitPlan(OpBuilder &builder, Value choices, Value tileRows);
  void emitTiles(OpBuilder &builder, Value choices, const ProductShape &product,
                 Value buffer);
  void emitTile(OpBuilder &builder, Value choices, const ProductShape &product,
                Value buffer, Value tile, Value firstPanel, Value endPanel);
  void emitTileOfAll(OpBuilder &builder, const ProductShape &product,
                     Value buffer, Value tile, Value firstPanel,
                     Value endPanel);
  void emitRows(OpBuilder &builder, const ProductShape &product, Value buffer,
                Value expert, Value count, Value firstPanel, Value endPanel,
                Order order);
  void packRows(OpBuilder &builder, const ProductShape &product, Value count,
                Order order);

  Value index(OpBuilder &builder, int64_t value) {
    return emitIndex(builder, loc, value);
  }
  /// The plan's array: 0 the order, 1 experts, 2 first choices, 3 counts.
  Value planArray(OpBuilder &builder, Value choices, int64_t number) {
    Value offset =
        emitAdd(builder, loc, index(builder, planHeader),
                emitMul(builder, loc, choices, index(builder, number)));
    return emitAddress(builder, loc, in.plan, builder.getI32Type(), offset);
  }
  Value loadNumber(OpBuilder &builder, Value base, Value at) {
    Value value = emitLoad(builder, loc, builder.getI32Type(), base, at);
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                      value);
  }
  void storeNumber(OpBuilder &builder, Value value, Value base, Value at) {
    Value number =
        arith::IndexCastOp::create(builder, loc, builder.getI32Type(), value);
    emitStore(builder, loc, number, base, at);
  }
  void forEach(OpBuilder &builder, Value begin, Value end,
               function_ref<void(OpBuilder &, Value)> body) {
    scf::ForOp::create(builder, loc, begin, end, index(builder, 1),
                       ValueRange{},
                       [&](OpBuilder &inner, Location, Value i, ValueRange) {
                         body(inner, i);
                         scf::YieldOp::create(inner, loc);
                       });
  }

  Location loc;
  const Target &target;
  const ExpertsShape &shape;
  const ExpertsOperands &in;
  ExpertsEpilogue epilogue;
};
} // namespace

ProductShape ExpertsShape::product(const Target &target,
                                   TokenClass tokens) const {
  Type type = form == WeightForm::Plain
                  ? elementType
                  : Float32Type::get(elementType.getContext());
  ProductShape product{n,
                       k,
                       type,
                       /*rowTile=*/1,
                       form,
                       isExact,
                       /*ofExperts=*/true};
  product.rowTile = productRowTile(target, product, tokens);
  return product;
}

/// Bytes of one tile of packed rows.
static int64_t tileBytes(const Target &target, const ProductShape &product) {
  return llvm::alignTo(packedActivationTileBytes(target, product), 64);
}

/// What a thread keeps: a tile, and a row that becomes groups.
static int64_t scratchBytes(const Target &target, const ExpertsShape &shape,
                            TokenClass tokens) {
  ProductShape product = shape.product(target, tokens);
  int64_t row = hasBlocks(shape.form) ? groupRowBytes(product) : 0;
  return tileBytes(target, product) + row;
}

int64_t expertsScratchBytes(const Target &target, const ExpertsShape &shape) {
  int64_t counts = llvm::alignTo(shape.experts * 4, 64);
  return std::max({counts, scratchBytes(target, shape, TokenClass::One),
                   scratchBytes(target, shape, TokenClass::Many)});
}

int64_t expertsPlanBytesPerToken(const ExpertsShape &shape) {
  // The header lies in what the 64 more tokens add.
  static_assert(planHeader <= 64 * planArrays);
  return planArrays * 4 * shape.active;
}

void ExpertsEmitter::emit(OpBuilder &builder) {
  Value choices =
      emitMul(builder, loc, in.numTokens, index(builder, shape.active));
  // A few tokens seldom share an expert: then every row is multiplied alone.
  Value isFew = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::sle,
                                      in.numTokens,
                                      index(builder, shape.choosesAll ? 1 : 8));
  ProductShape one = shape.product(target, TokenClass::One),
               many = shape.product(target, TokenClass::Many);
  if (!shape.choosesAll) {
    Value isFirst = arith::CmpIOp::create(
        builder, loc, arith::CmpIPredicate::eq, in.thread, index(builder, 0));
    scf::IfOp::create(builder, loc, isFirst, [&](OpBuilder &inner, Location) {
      Value rows =
          arith::SelectOp::create(inner, loc, isFew, index(inner, one.rowTile),
                                  index(inner, many.rowTile));
      emitPlan(inner, choices, rows);
      scf::YieldOp::create(inner, loc);
    });
    emitBarrier(builder, loc, in.step, in.thread);
  }
  auto branch = [&](const ProductShape &product) {
    Value buffer = emitProductBuffer(builder, loc, target, product);
    return [&, product, buffer](OpBuilder &inner, Location) {
      emitTiles(inner, choices, product, buffer);
      scf::YieldOp::create(inner, loc);
    };
  };
  auto few = branch(one), others = branch(many);
  scf::IfOp::create(builder, loc, isFew, few, others);
}

/// Sorts the choices by expert (counting sort, stable) and cuts each expert's
/// into tiles.
void ExpertsEmitter::emitPlan(OpBuilder &builder, Value choices,
                              Value tileRows) {
  Value zero = index(builder, 0), one = index(builder, 1),
        experts = index(builder, shape.experts);
  Value counts = in.scratch;
  forEach(builder, zero, experts, [&](OpBuilder &b, Value expert) {
    storeNumber(b, index(b, 0), counts, expert);
  });
  forEach(builder, zero, choices, [&](OpBuilder &b, Value choice) {
    Value expert = loadNumber(b, in.chosen, choice);
    Value count = loadNumber(b, counts, expert);
    storeNumber(b, emitAdd(b, loc, count, index(b, 1)), counts, expert);
  });
  Value tileExperts = planArray(builder, choices, 1),
        tileFirsts = planArray(builder, choices, 2),
        tileCounts = planArray(builder, choices, 3);
  // After this, counts[e] is the place of the first choice of expert e.
  auto loop = scf::ForOp::create(
      builder, loc, zero, experts, one, ValueRange{zero, zero},
      [&](OpBuilder &b, Location, Value expert, ValueRange carried) {
        Value first = carried[0], tile = carried[1];
        Value count = loadNumber(b, counts, expert);
        storeNumber(b, first, counts, expert);
        Value tiles = emitCeilDiv(b, loc, count, tileRows);
        forEach(b, index(b, 0), tiles, [&](OpBuilder &inner, Value i) {
          Value at = emitAdd(inner, loc, tile, i);
          Value done = emitMul(inner, loc, i, tileRows);
          Value left = arith::SubIOp::create(inner, loc, count, done);
          storeNumber(inner, expert, tileExperts, at);
          storeNumber(inner, emitAdd(inner, loc, first, done), tileFirsts, at);
          storeNumber(inner, arith::MinSIOp::create(inner, loc, left, tileRows),
                      tileCounts, at);
        });
        scf::YieldOp::create(b, loc,
                             ValueRange{emitAdd(b, loc, first, count),
                                        emitAdd(b, loc, tile, tiles)});
      });
  storeNumber(builder, loop.getResult(1), in.plan, zero);
  Value order = planArray(builder, choices, 0);
  forEach(builder, zero, choices, [&](OpBuilder &b, Value choice) {
    Value expert = loadNumber(b, in.chosen, choice);
    Value place = loadNumber(b, counts, expert);
    storeNumber(b, choice, order, place);
    storeNumber(b, emitAdd(b, loc, place, index(b, 1)), counts, expert);
  });
}

/// This thread's range of (tile, panel).
void ExpertsEmitter::emitTiles(OpBuilder &builder, Value choices,
                               const ProductShape &product, Value buffer) {
  Value panels = index(builder, llvm::divideCeil(shape.n, target.panelRows));
  Value tiles = shape.choosesAll
                    ? emitMul(builder, loc, index(builder, shape.experts),
                              emitCeilDiv(builder, loc, in.numTokens,
                                          index(builder, product.rowTile)))
                    : loadNumber(builder, in.plan, index(builder, 0));
  Value tasks = emitMul(builder, loc, tiles, panels);
  auto boundary = [&](Value part) -> Value {
    return arith::DivUIOp::create(
        builder, loc, emitMul(builder, loc, tasks, part), in.numThreads);
  };
  Value begin = boundary(in.thread),
        end = boundary(emitAdd(builder, loc, in.thread, index(builder, 1)));
  Value firstTile = arith::DivUIOp::create(builder, loc, begin, panels),
        endTile = emitCeilDiv(builder, loc, end, panels);
  // An empty range may begin behind the last tile.
  endTile = arith::SelectOp::create(
      builder, loc,
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, begin,
                            end),
      endTile, firstTile);
  forEach(builder, firstTile, endTile, [&](OpBuilder &b, Value tile) {
    Value before = emitMul(b, loc, tile, panels);
    auto clamp = [&](Value task) -> Value {
      Value at = arith::SubIOp::create(b, loc, task, before);
      at = arith::MaxSIOp::create(b, loc, at, index(b, 0));
      return arith::MinSIOp::create(b, loc, at, panels);
    };
    if (shape.choosesAll)
      emitTileOfAll(b, product, buffer, tile, clamp(begin), clamp(end));
    else
      emitTile(b, choices, product, buffer, tile, clamp(begin), clamp(end));
  });
}

void ExpertsEmitter::emitTile(OpBuilder &builder, Value choices,
                              const ProductShape &product, Value buffer,
                              Value tile, Value firstPanel, Value endPanel) {
  auto number = [&](int64_t array) {
    return loadNumber(builder, planArray(builder, choices, array), tile);
  };
  Value expert = number(1), first = number(2), count = number(3);
  Value order = emitAddress(builder, loc, planArray(builder, choices, 0),
                            builder.getI32Type(), first);
  emitRows(builder, product, buffer, expert, count, firstPanel, endPanel,
           [&](OpBuilder &b, Value row) { return loadNumber(b, order, row); });
}

/// A tile where every token chooses all experts: the tiles of an expert follow
/// each other, and row i of an expert is token i.
void ExpertsEmitter::emitTileOfAll(OpBuilder &builder,
                                   const ProductShape &product, Value buffer,
                                   Value tile, Value firstPanel,
                                   Value endPanel) {
  Value rows = index(builder, product.rowTile);
  Value tilesOfExpert = emitCeilDiv(builder, loc, in.numTokens, rows);
  Value expert = arith::DivUIOp::create(builder, loc, tile, tilesOfExpert);
  Value first =
      emitMul(builder, loc,
              arith::RemUIOp::create(builder, loc, tile, tilesOfExpert), rows);
  Value left = arith::SubIOp::create(builder, loc, in.numTokens, first);
  Value count = arith::MinSIOp::create(builder, loc, left, rows);
  emitRows(builder, product, buffer, expert, count, firstPanel, endPanel,
           [&](OpBuilder &b, Value row) {
             Value token = emitAdd(b, loc, first, row);
             return emitAdd(b, loc,
                            emitMul(b, loc, token, index(b, shape.active)),
                            expert);
           });
}

/// The product of `count` rows with panels of one expert's matrix.
void ExpertsEmitter::emitRows(OpBuilder &builder, const ProductShape &product,
                              Value buffer, Value expert, Value count,
                              Value firstPanel, Value endPanel, Order order) {
  packRows(builder, product, count, order);
  int64_t matrix = packedWeightBytes(target, product);
  Value weights =
      emitAddress(builder, loc, in.weights, builder.getI8Type(),
                  emitMul(builder, loc, expert, index(builder, matrix)));
  emitProductPanels(builder, loc, target, product, in.scratch, weights, count,
                    firstPanel, endPanel, buffer,
                    [&](OpBuilder &b, Location, Value row, Value column,
                        Value accumulator, Value mask) {
                      epilogue(b, loc, order(b, row), expert, column,
                               accumulator, mask);
                    });
}

void ExpertsEmitter::packRows(OpBuilder &builder, const ProductShape &product,
                              Value count, Order order) {
  bool isPlain = !hasBlocks(shape.form);
  Value numbers;
  if (!isPlain) {
    numbers = emitAddress(builder, loc, in.scratch, builder.getI8Type(),
                          index(builder, tileBytes(target, product)));
    emitPadRow(builder, loc, product, numbers);
  }
  forEach(builder, index(builder, 0), count, [&](OpBuilder &rows, Value i) {
    Value row = order(rows, i);
    if (!shape.perChoice)
      row = arith::DivUIOp::create(rows, loc, row, index(rows, shape.active));
    Value base = emitAddress(rows, loc, in.input, shape.elementType,
                             emitMul(rows, loc, row, index(rows, shape.k)));
    int64_t width = target.width, whole = shape.k / width * width;
    auto copy = [&](OpBuilder &b, Value column, Value mask) {
      Value values = RowEmitter::loadVector(b, loc, width, shape.elementType,
                                            base, column, mask);
      if (isPlain)
        emitStorePacked(b, loc, target, product.elementType, product.rowTile,
                        shape.k, in.scratch, i, column, values);
      else
        emitStore(b, loc, values, numbers, column, mask);
    };
    if (whole > 0)
      scf::ForOp::create(rows, loc, index(rows, 0), index(rows, whole),
                         index(rows, width), ValueRange{},
                         [&](OpBuilder &b, Location, Value column, ValueRange) {
                           copy(b, column, {});
                           scf::YieldOp::create(b, loc);
                         });
    if (whole < shape.k)
      copy(rows, index(rows, whole),
           emitConstantMask(rows, loc, width, shape.k - whole));
    if (!isPlain)
      emitPackGroups(rows, loc, target, product, numbers, i, in.scratch);
  });
}

void emitExperts(OpBuilder &builder, Location loc, const Target &target,
                 const ExpertsShape &shape, const ExpertsOperands &operands,
                 ExpertsEpilogue epilogue) {
  ExpertsEmitter(loc, target, shape, operands, epilogue).emit(builder);
}

} // namespace clade::cpu

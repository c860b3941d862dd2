//===- AttentionAMX.cpp - Tiles of attention by the tiles of AMX ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The two products of a tile of several tokens in bf16, page by page: 32 keys
// are two tiles of rows, and as many columns as a tile multiplies.
//
//   scores [key][row]   = keys [key][element] · queries [pair of elements][row]
//   sums [row][column] += weights [row][key] · values [pair of keys][column]
//
// Keys are multiplied as the cache has them, and queries are transposed once
// for all keys. Weights are exponentials rounded to bf16, as flash attention
// has them (Dao et al. 2022), and are transposed in the place of the scores.
// Pairs of rows of values are mixed for some pages at a time, which all rows of
// the tile use: sums are loaded and stored once for those.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/AttentionTile.h"

#include "lib/CodeGen/CPU/TileOps.h"
#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "runtime/include/clade/abi.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace clade::cpu {

static_assert(CLADE_PAGE_TOKENS == tileColumns);

bool hasTilesOfAttention(const Target &target, const AttentionShape &shape) {
  return target.hasTiles && target.hasBF16 &&
         target.width == Target::tileRows && shape.elementType.isBF16() &&
         shape.keySize % tileColumns == 0 && shape.valueSize % tileColumns == 0;
}

int64_t mixedBytesOfPage(const AttentionShape &shape) {
  return shape.valueSize * CLADE_PAGE_TOKENS * 2;
}

Value TileEmitter::bytesFrom(Value base, Value bytes) {
  return emitAddress(builder, loc, base, builder.getI8Type(), bytes);
}

/// Calls `body` with the first tile of rows of each two, and their number.
void TileEmitter::forRowTiles(
    llvm::function_ref<void(Value firstRow, int64_t count)> body) {
  int64_t pairs = plan.rows / tileColumns;
  loop(index(0), index(pairs), 1, {}, [&](Value pair, ValueRange) -> Values {
    body(mul(pair, tileColumns), 2);
    return {};
  });
  if (plan.rows % tileColumns != 0)
    body(index(pairs * tileColumns), 1);
}

/// Queries as [pair of elements][row].
void TileEmitter::packQueryTiles() {
  loop(index(0), index(plan.rows), Target::tileRows, {},
       [&](Value firstRow, ValueRange) -> Values {
         Values sources;
         for (int64_t row = 0; row < Target::tileRows; ++row)
           sources.push_back(queryRow(add(firstRow, row)));
         loop(index(0), index(shape.keySize), tileColumns, {},
              [&](Value element, ValueRange) -> Values {
                Values vectors;
                for (Value source : sources)
                  vectors.push_back(loadChunk(source, element, chunk()));
                emitTranspose(builder, loc, vectors);
                Value place = add(
                    mul(arith::DivUIOp::create(builder, loc, element, index(2)),
                        plan.rows),
                    firstRow);
                for (auto [pair, vector] : llvm::enumerate(vectors))
                  emitStore(builder, loc, vector, packedQueries,
                            add(place, static_cast<int64_t>(pair) * plan.rows));
                return {};
              });
         return {};
       });
}

/// The products of a page of keys with all rows, at `place` (in f32) of the
/// scores.
void TileEmitter::multiplyKeys(Value keys, Value place) {
  int64_t keyBytes = shape.keySize * 2, rowBytes = plan.rows * 4;
  forRowTiles([&](Value firstRow, int64_t count) {
    for (int64_t sum = 0; sum < 2 * count; ++sum)
      emitZeroTile(builder, loc, sum);
    Value queries = bytesFrom(packedQueries, mul(firstRow, 4));
    loop(index(0), index(shape.keySize), tileColumns, {},
         [&](Value element, ValueRange) -> Values {
           for (int64_t j = 0; j < count; ++j)
             emitLoadTile(builder, loc, firstColumnTile + j,
                          bytesFrom(queries, add(mul(element, rowBytes / 2),
                                                 j * tileRowBytes)),
                          rowBytes);
           for (int64_t i = 0; i < 2; ++i) {
             emitLoadTile(builder, loc, firstRowTile + i,
                          bytesFrom(keys, add(mul(element, 2),
                                              i * Target::tileRows * keyBytes)),
                          keyBytes);
             for (int64_t j = 0; j < count; ++j)
               emitMultiplyTiles(builder, loc, i * count + j, firstRowTile + i,
                                 firstColumnTile + j);
           }
           return {};
         });
    Value start = mul(add(place, firstRow), 4);
    for (int64_t i = 0; i < 2; ++i)
      for (int64_t j = 0; j < count; ++j)
        emitStoreTile(
            builder, loc, i * count + j,
            bytesFrom(scores, add(start, i * Target::tileRows * rowBytes +
                                             j * tileRowBytes)),
            rowBytes);
  });
}

/// The scores of a page of keys, the first of which is `key`; returns the next
/// maxima.
Values TileEmitter::pageScores(Value keys, Value key, ValueRange maxima) {
  Value place = mul(sub(key, baseKey), plan.rows);
  multiplyKeys(keys, place);
  return loop(index(0), index(CLADE_PAGE_TOKENS), 1, maxima,
              [&](Value slot, ValueRange carried) {
                Values next(carried);
                Value row = add(place, mul(slot, plan.rows));
                for (int64_t v = 0; v < rowVectors(); ++v) {
                  Value at = add(row, v * target.width);
                  Value score = emitLoad(builder, loc, f32Vector, scores, at);
                  score = finishScore(score, add(key, slot), v * target.width);
                  emitStore(builder, loc, score, scores, at);
                  next[v] = emitLarger(builder, loc, score, next[v]);
                }
                return next;
              });
}

/// Weights become tiles [row][key] of bf16: of 16 rows, those of a page's keys
/// take the places of the first 16 keys' scores.
void TileEmitter::transposeWeights() {
  auto pairs = VectorType::get(2 * target.width, builder.getBF16Type());
  SmallVector<int64_t> order;
  for (int64_t lane = 0; lane < target.width; ++lane)
    order.append({lane, target.width + lane});
  loop(firstPage, endPage, 1, {}, [&](Value page, ValueRange) -> Values {
    Value start = mul(sub(mul(page, CLADE_PAGE_TOKENS), baseKey), plan.rows);
    loop(index(0), index(plan.rows), Target::tileRows, {},
         [&](Value firstRow, ValueRange) -> Values {
           Value place = add(start, firstRow);
           auto weights = [&](int64_t key) {
             return emitLoad(builder, loc, f32Vector, scores,
                             add(place, key * plan.rows));
           };
           Values vectors;
           for (int64_t key = 0; key < CLADE_PAGE_TOKENS; key += 2) {
             // The first operand comes last.
             Value both = LLVM::CallIntrinsicOp::create(
                              builder, loc, pairs,
                              builder.getStringAttr(
                                  "llvm.x86.avx512bf16.cvtne2ps2bf16.512"),
                              ValueRange{weights(key + 1), weights(key)})
                              .getResult(0);
             Value mixed =
                 vector::ShuffleOp::create(builder, loc, both, both, order);
             vectors.push_back(
                 vector::BitCastOp::create(builder, loc, i32Vector, mixed));
           }
           emitTranspose(builder, loc, vectors);
           for (auto [row, vector] : llvm::enumerate(vectors))
             emitStore(builder, loc, vector, scores,
                       add(place, static_cast<int64_t>(row) * plan.rows));
           return {};
         });
    return {};
  });
}

/// Tiles [pair of keys][column] of a page of values, at `place`: for each chunk
/// of columns one of the even ones and one of the odd ones.
void TileEmitter::mixValues(Value page, Value place) {
  Value base = pageOf(/*isKey=*/false, page);
  Value start = mul(page, CLADE_PAGE_TOKENS);
  Value firstSlot = arith::MaxSIOp::create(builder, loc, sub(firstKey, start),
                                           index(0)),
        lastSlot = sub(minimum(sub(endKey, start), index(CLADE_PAGE_TOKENS)),
                       index(1));
  // A key outside of the range weighs nothing: any written row will do.
  auto clamp = [&](Value slot) -> Value {
    return minimum(arith::MaxSIOp::create(builder, loc, slot, firstSlot),
                   lastSlot);
  };
  loop(index(0), index(CLADE_PAGE_TOKENS), 2, {},
       [&](Value slot, ValueRange) -> Values {
         Value low = mul(clamp(slot), shape.valueStride()),
               high = mul(clamp(add(slot, 1)), shape.valueStride());
         Value pair = mul(slot, tileRowBytes / 2);
         loop(index(0), index(shape.valueSize), tileColumns, {},
              [&](Value column, ValueRange) -> Values {
                Values mixed =
                    mixChunks(loadChunk(base, add(low, column), chunk()),
                              loadChunk(base, add(high, column), chunk()));
                // Two tiles for 32 columns.
                Value to =
                    bytesFrom(place, add(pair, mul(column, tileRowBytes)));
                for (auto [unit, vector] : llvm::enumerate(mixed))
                  emitStore(
                      builder, loc, vector,
                      bytesFrom(to, index(static_cast<int64_t>(unit) *
                                          Target::tileRows * tileRowBytes)),
                      index(0));
                return {};
              });
         return {};
       });
}

/// Adds the weighed values of the pages [first, end), which are mixed.
void TileEmitter::multiplyValues(Value first, Value end) {
  int64_t sumBytes = sumStride() * 4, weightBytes = plan.rows * 4;
  forRowTiles([&](Value firstRow, int64_t count) {
    loop(index(0), index(shape.valueSize), tileColumns, {},
         [&](Value column, ValueRange) -> Values {
           auto forSums = [&](llvm::function_ref<void(int64_t, Value)> body) {
             Value start = add(mul(firstRow, sumBytes), mul(column, 4));
             for (int64_t i = 0; i < count; ++i)
               for (int64_t j = 0; j < 2; ++j)
                 body(2 * i + j,
                      bytesFrom(sums,
                                add(start, i * Target::tileRows * sumBytes +
                                               j * tileRowBytes)));
           };
           forSums([&](int64_t tile, Value address) {
             emitLoadTile(builder, loc, tile, address, sumBytes);
           });
           loop(first, end, 1, {}, [&](Value page, ValueRange) -> Values {
             Value key = sub(mul(page, CLADE_PAGE_TOKENS), baseKey);
             Value weights =
                 bytesFrom(scores, mul(add(mul(key, plan.rows), firstRow), 4));
             Value values =
                 bytesFrom(mixedValues,
                           add(mul(sub(page, first), mixedBytesOfPage(shape)),
                               mul(column, tileRowBytes)));
             for (int64_t j = 0; j < 2; ++j)
               emitLoadTile(builder, loc, firstColumnTile + j,
                            bytesFrom(values, index(j * Target::tileRows *
                                                    tileRowBytes)),
                            tileRowBytes);
             for (int64_t i = 0; i < count; ++i) {
               emitLoadTile(builder, loc, firstRowTile + i,
                            bytesFrom(weights, index(i * tileRowBytes)),
                            weightBytes);
               for (int64_t j = 0; j < 2; ++j)
                 emitMultiplyTiles(builder, loc, 2 * i + j, firstRowTile + i,
                                   firstColumnTile + j);
             }
             return {};
           });
           forSums([&](int64_t tile, Value address) {
             emitStoreTile(builder, loc, tile, address, sumBytes);
           });
           return {};
         });
  });
}

void TileEmitter::emitTileValues() {
  loop(firstPage, endPage, mixedPages, {},
       [&](Value first, ValueRange) -> Values {
         Value end = minimum(add(first, mixedPages), endPage);
         loop(first, end, 1, {}, [&](Value page, ValueRange) -> Values {
           mixValues(page,
                     bytesFrom(mixedValues,
                               mul(sub(page, first), mixedBytesOfPage(shape))));
           return {};
         });
         multiplyValues(first, end);
         return {};
       });
}

} // namespace clade::cpu

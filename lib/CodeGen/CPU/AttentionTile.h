//===- AttentionTile.h - Attention of one tile of queries -------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Internal to Attention.cpp and its parts. A tile is a few neighbouring tokens
// of one sequence with the query heads that share one key/value head; a row of
// the tile is one token and head. The scores of a tile lie in scratch memory as
// [key][row], so that softmax runs down the columns of whole vectors:
//
//   scores    AttentionScores.cpp    q . k, scale, soft cap, mask, maximum
//   softmax   AttentionScores.cpp    exp, sum, in the reference's mode the
//                                    rounded probabilities, pairs of weights
//   values    AttentionValues.cpp    sum of p * v, page by page, and the output
//   both products by tile registers  AttentionAMX.cpp
//   slices    AttentionSlices.cpp    sums of parts of a context become one
//
// Two forms of the first product serve different tiles. `Packed`: lanes are
// rows, keys are broadcast; queries are transposed once per tile. `Dot`: lanes
// are elements of keys and queries, and sums over lanes follow; best for the
// few rows of one token.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_ATTENTIONTILE_H
#define CLADE_CODEGEN_CPU_ATTENTIONTILE_H

#include "lib/CodeGen/CPU/Attention.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/ADT/SmallVector.h"

namespace clade::cpu {

/// How tiles are cut and computed.
struct TilePlan {
  enum class Form { Packed, Dot };
  Form form;
  int64_t tokens;   ///< tokens of a full tile
  int64_t heads;    ///< query heads of a tile
  int64_t rows;     ///< tokens * heads and padding: a multiple of the vector
                    ///< width, or a power of two below it
  int64_t keyBlock; ///< keys whose scores are computed together; a power of two
                    ///< that divides a page
  int64_t rowBlock; ///< rows whose sums of values are computed together
  bool usesTiles = false; ///< the tile registers of AMX multiply
};

/// Whether tiles of several tokens can be multiplied so (AttentionAMX.cpp).
bool hasTilesOfAttention(const Target &target, const AttentionShape &shape);
/// Pages whose values are mixed at a time for that, and the bytes that it takes
/// for each.
inline constexpr int64_t mixedPages = 8;
int64_t mixedBytesOfPage(const AttentionShape &shape);

/// The plans of a shape: `single` serves tiles of one token where it is better
/// than `full`.
struct AttentionPlan {
  int64_t headParts; ///< tasks that share one key/value head
  TilePlan full;
  std::optional<TilePlan> single;

  static AttentionPlan of(const Target &target, const AttentionShape &shape);
  /// The plan of a tile of one token.
  const TilePlan &one() const { return single ? *single : full; }
};

/// What a slice of a context leaves for each of its rows: the sum of values,
/// weighed by exponentials of the distance to the largest score of the slice;
/// that score; and the sum of the exponentials. Offsets in bytes.
struct SliceLayout {
  int64_t sums = 0, maxima, totals, bytes;

  SliceLayout(const Target &target, const AttentionShape &shape,
              const TilePlan &plan);
};

/// The slices of a context are of as many whole pages as make at most so many
/// of them, and of so many pages at least. They follow from the context alone,
/// and so does the result.
inline constexpr int64_t maxSlices = 8, minSlicePages = 32;

/// Whether a token's context can be cut: not where every step of the reference
/// is rounded, which are of the whole row.
bool hasSlices(const AttentionShape &shape);

/// The slices of a tile's context (index).
struct Slices {
  mlir::Value count;      ///< at least 1
  mlir::Value pages;      ///< of a slice
  mlir::Value areSeveral; ///< i1
};

/// Offsets in bytes of the parts of a thread's scratch memory.
struct ScratchLayout {
  int64_t queries = 0;
  int64_t sums;
  int64_t positions;
  int64_t inverses;
  int64_t sinks;
  int64_t slopes;
  int64_t mixed; ///< pages of values in pairs, for the tiles of AMX
  int64_t scores;

  ScratchLayout(const Target &target, const AttentionShape &shape);
};

/// One tile, as values of type index unless noted.
struct Tile {
  mlir::Value firstToken; ///< of the step
  mlir::Value tokens;     ///< 1 to TilePlan::tokens
  mlir::Value sequence;   ///< row of the page table
  mlir::Value kvHead;
  mlir::Value firstQueryHead;
  mlir::Value heads; ///< 1 to TilePlan::heads
  /// Null where contexts are not cut.
  std::optional<Slices> slices = {};
  mlir::Value slice = {};       ///< the number of the slice, of type index
  mlir::Value partOfSlice = {}; ///< !llvm.ptr: where a slice leaves what it has
};

/// What is the same for all tiles of a call.
struct AttentionValues {
  mlir::Value state;     ///< !llvm.ptr
  mlir::Value keys;      ///< !llvm.ptr
  mlir::Value values;    ///< !llvm.ptr
  mlir::Value positions; ///< !llvm.ptr
  /// !llvm.ptr: CladeStep::first_token.
  mlir::Value firstTokens;
  mlir::Value queries; ///< !llvm.ptr
  mlir::Value output;  ///< !llvm.ptr
  mlir::Value scratch; ///< !llvm.ptr
  mlir::Value slices;  ///< !llvm.ptr
  mlir::Value sinks;   ///< !llvm.ptr, null if there are none
  mlir::Value slopes;  ///< !llvm.ptr, null if there are none
  mlir::Value groups;  ///< !llvm.ptr: i32 of each token; null if there are none
};

using Values = llvm::SmallVector<mlir::Value>;

/// Emits `for (iv = lower; iv < upper; iv += step)`; `body` gives the next
/// values of `carried`, whose last values are returned.
Values emitLoop(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value lower,
                mlir::Value upper, int64_t step, mlir::ValueRange carried,
                llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body);

/// The larger of `a` and `b` in each lane; `b` where `a` is not a number.
mlir::Value emitLarger(mlir::OpBuilder &builder, mlir::Location loc,
                       mlir::Value a, mlir::Value b);

class TileEmitter {
public:
  TileEmitter(mlir::OpBuilder &builder, mlir::Location loc,
              const Target &target, const AttentionShape &shape,
              const TilePlan &plan, const AttentionValues &call,
              const Tile &tile);

  void emit();
  /// Makes the output of what the tile's slices left, that of the first at
  /// `Tile::partOfSlice` and the others behind.
  void emitJoin();

private:
  using PageBody =
      llvm::function_ref<Values(mlir::Value page, mlir::Value firstSlot,
                                mlir::Value endSlot, mlir::ValueRange carried)>;

  /// A page of values, and the part of the scores that belongs to its slots.
  struct PageOfValues {
    mlir::Value base;   ///< !llvm.ptr
    mlir::Value scores; ///< !llvm.ptr
    mlir::Value firstSlot, endSlot;
    /// !llvm.ptr: the page that is read next; null if it is not asked for.
    mlir::Value next = {};
  };
  /// Where a row of output goes, what it is made of, and by what it is
  /// multiplied unless null.
  struct OutputRow {
    mlir::Value base; ///< !llvm.ptr
    mlir::Value sums; ///< !llvm.ptr
    mlir::Value inverse;
  };

  // AttentionTile.cpp
  mlir::Value lastKeyOf(mlir::Value token);
  void emitPositions();
  mlir::Value tokenOfRow(mlir::Value lane);
  void emitKeyRange();
  Values valuesOfHeads(mlir::Value numbers, mlir::Type type, mlir::Value rows);
  void packQueries();
  void packRow(mlir::Value row, mlir::Value source);
  void transposeRow(mlir::Value row, mlir::Value source);
  mlir::Value queryRow(mlir::Value row);
  Values
  forEachPage(mlir::ValueRange carried, PageBody body,
              llvm::function_ref<void(mlir::Value page, mlir::Value firstSlot,
                                      mlir::Value endSlot)>
                  skipped = {});
  mlir::Value isSeen(mlir::Value firstKey, mlir::Value endKey);
  mlir::Value groupOfKey(mlir::Value key);
  mlir::Value pageOf(bool isKey, mlir::Value page);
  mlir::Value pageBehind(bool isKey, mlir::Value page);
  void askFor(mlir::Value base, mlir::Value offset, int64_t count);
  mlir::Value loadChunk(mlir::Value base, mlir::Value offset, int64_t count);
  Values splitChunk(mlir::Value chunk);
  Values productOperands(mlir::Value chunk);
  Values mixChunks(mlir::Value low, mlir::Value high);

  // AttentionScores.cpp
  Values emitScores();
  Values blockScores(mlir::Value keyRows);
  mlir::Value addProduct(mlir::Value sum, mlir::Value a, mlir::Value b);
  Values packedStep(mlir::Value keyRows, mlir::Value group, bool tail,
                    mlir::ValueRange sums);
  Values broadcastKey(mlir::Value keyRows, mlir::Value element, bool tail);
  Values packedScores(mlir::Value keyRows);
  Values dotStep(mlir::Value keyRows, mlir::Value chunkIndex, int64_t count,
                 mlir::ValueRange sums);
  Values dotScores(mlir::Value keyRows);
  mlir::Value finishScore(mlir::Value score, mlir::Value firstKey,
                          int64_t flat);
  mlir::Value transform(mlir::Value score);
  mlir::Value keysOf(mlir::Value firstKey, int64_t flat);
  mlir::Value groupsOfKeys(mlir::Value firstKey, int64_t flat);
  mlir::Value biasScore(mlir::Value score, mlir::Value firstKey, int64_t flat);
  mlir::Value maskScore(mlir::Value score, mlir::Value firstKey, int64_t flat);
  Values
  foldLanes(mlir::ValueRange vectors,
            llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);
  Values overScores(mlir::ValueRange carried,
                    llvm::function_ref<mlir::Value(mlir::Value score, int64_t v,
                                                   mlir::Value &carried)>
                        body);
  struct Softmax {
    Values maxima, totals, inverses;
  };
  Softmax emitExponentials(mlir::ValueRange maxima);
  mlir::Value powerOf(mlir::Value score, mlir::Value maximum);
  void emitProbabilities(mlir::ValueRange inverse);
  void pairWeights();

  // AttentionValues.cpp
  int64_t sumStride() const;
  void clearSums();
  void emitValues();
  void emitColumns(const PageOfValues &page, mlir::Value firstRow);
  void emitColumnGroup(const PageOfValues &page, mlir::Value firstRow,
                       mlir::Value firstChunk, int64_t chunks, int64_t count);
  void emitOutput();
  void emitOutputRow(mlir::Value token, mlir::Value head);
  void storeChunk(const OutputRow &output, mlir::Value column, int64_t count);

  // AttentionAMX.cpp
  mlir::Value bytesFrom(mlir::Value base, mlir::Value bytes);
  void forRowTiles(
      llvm::function_ref<void(mlir::Value firstRow, int64_t count)> body);
  void packQueryTiles();
  void multiplyKeys(mlir::Value keys, mlir::Value place);
  Values pageScores(mlir::Value keys, mlir::Value key, mlir::ValueRange maxima);
  void transposeWeights();
  void mixValues(mlir::Value page, mlir::Value place);
  void multiplyValues(mlir::Value first, mlir::Value end);
  void emitTileValues();

  // AttentionSlices.cpp
  void narrowToSlice();
  void keepSlice(const Softmax &softmax);
  void joinScales(mlir::Value maxima, mlir::Value totals, int64_t v);
  void joinRow(mlir::Value row, mlir::Value maxima);

  // Small pieces.
  mlir::Value index(int64_t value);
  mlir::Value add(mlir::Value a, mlir::Value b);
  mlir::Value add(mlir::Value a, int64_t b);
  mlir::Value sub(mlir::Value a, mlir::Value b);
  mlir::Value mul(mlir::Value a, int64_t b);
  mlir::Value minimum(mlir::Value a, mlir::Value b);
  mlir::Value alignDown(mlir::Value a, int64_t b);
  mlir::Value toI32(mlir::Value value);
  mlir::Value splatF32(float value);
  mlir::Value round(mlir::Value vector);
  Values loop(mlir::Value lower, mlir::Value upper, int64_t step,
              mlir::ValueRange carried,
              llvm::function_ref<Values(mlir::Value, mlir::ValueRange)> body);

  bool isBF16() const { return shape.elementType.isBF16(); }
  bool usesDotBF16() const { return isBF16() && target.hasBF16; }
  /// Whether values of two keys are multiplied at once, by weights in bf16.
  bool pairsKeys() const {
    return usesDotBF16() && plan.form == TilePlan::Form::Packed;
  }
  /// Whether pages are asked for one ahead: a single token waits for memory.
  bool asksAhead() const {
    return plan.form == TilePlan::Form::Dot && target.asksAhead(1);
  }
  bool rounds() const { return isBF16() && shape.referenceRounding; }
  /// Vectors of f32 in a chunk of elements.
  int64_t units() const { return isBF16() ? 2 : 1; }
  /// Elements of a row that are loaded together.
  int64_t chunk() const { return units() * target.width; }
  /// Vectors that hold one number for each row.
  int64_t rowVectors() const {
    return std::max<int64_t>(1, plan.rows / target.width);
  }

  mlir::OpBuilder &builder;
  mlir::Location loc;
  const Target &target;
  const AttentionShape &shape;
  const TilePlan &plan;
  const AttentionValues &call;
  const Tile &tile;
  mlir::VectorType f32Vector, i32Vector;
  mlir::Type f32, i32;

  // Parts of the scratch memory.
  mlir::Value packedQueries, sums, rowPositions, inverses, mixedValues, scores;
  // Keys [firstKey, endKey) are attended by some row; scores begin at baseKey,
  // the first key of firstKey's page.
  mlir::Value firstKey, endKey, firstPage, endPage, baseKey;
  mlir::Value pageTable;
  /// The last position that each row attends, and the one before its first.
  Values lastPositions, beforePositions;
  /// The group of each row's token, and the least and the greatest of them
  /// (i32); empty if there are none.
  Values rowGroups, groupRange;
  /// The sink and the slope of each row's head; empty if there are none.
  Values rowSinks, rowSlopes;
};

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_ATTENTIONTILE_H

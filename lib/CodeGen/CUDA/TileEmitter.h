//===- TileEmitter.h - A tile of a product on tensor cores ---- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the threads of a block do to multiply a tile of rows with a tile of
// weights: asynchronous copies bring both to shared memory some steps ahead,
// ldmatrix takes fragments from there, mma.sync multiplies them. These are
// instructions of sm_80, which all later architectures have. On sm_90a
// warpgroups multiply large tiles, and a warp of its own may copy them. Which
// tile a block has, and what becomes of the sums, is the caller's.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_TILEEMITTER_H
#define CLADE_CODEGEN_CUDA_TILEEMITTER_H

#include "lib/CodeGen/CUDA/TensorCores.h"
#include "runtime/Weights/PackedBlocks.h"

namespace clade::cuda {

/// How products are cut: a block has `m` x `n` of the result and takes `k`
/// elements of rows in a step. `stages` are the steps whose operands are in
/// shared memory or on the way to it. Its warps share the result, and those
/// with the same part of it the step.
struct Tiling {
  int64_t m, n, k;
  int64_t warpsM, warpsN, warpsK;
  int64_t stages;
  /// Warpgroups multiply, each 64 rows by all columns; a warp's part of it is
  /// 16 rows.
  bool usesWarpgroups = false;
  /// One more warp copies both operands by tensor maps, and those that multiply
  /// do nothing else. For warpgroups.
  bool hasProducer = false;

  /// Threads that multiply, and those of a block.
  constexpr int64_t multipliers() const {
    return warpsM * warpsN * warpsK * warpSize;
  }
  constexpr int64_t threads() const {
    return multipliers() + (hasProducer ? warpSize : 0);
  }
  constexpr int64_t warpM() const { return m / warpsM; }
  constexpr int64_t warpN() const { return n / warpsN; }
  constexpr int64_t warpK() const { return k / warpsK; }
  /// Bytes of a row of operands in shared memory, and of a stage.
  constexpr int64_t rowBytes() const { return 2 * k; }
  constexpr int64_t stageBytes() const { return (m + n) * rowBytes(); }
  /// Floats from one row of sums in shared memory to the next: rows that one
  /// access writes are eight banks apart.
  constexpr int64_t sumStride() const { return n + 8; }
  /// Where the barriers of stages are in shared memory, and how many bytes they
  /// have: of each stage one says that it is full, one that it is empty.
  constexpr int64_t barriersAt() const { return stages * stageBytes(); }
  constexpr int64_t barrierBytes() const {
    return hasProducer ? 16 * stages : 0;
  }
  /// Dynamic shared memory of a block.
  constexpr int64_t sharedBytes() const {
    return std::max(barriersAt() + barrierBytes(), m * sumStride() * 4);
  }
};

/// For many rows: a warp has 64 x 64 of the result, 128 accumulators a thread,
/// which is what fits in its registers.
Tiling largeTiling(const Target &target);
/// The same where tensor maps describe the operands, and for still more rows,
/// where a block asks for least of L2: twice the columns. For an architecture
/// that has warpgroups.
Tiling mappedTiling(const Target &target);
Tiling wideTiling(const Target &target);
/// Where the others would be too few for the multiprocessors there are.
Tiling smallTiling(const Target &target);
/// Where these are too few: for few rows, whose time is that of the weights.
/// Many stages are under way, since one block has a multiprocessor.
Tiling narrowTiling(const Target &target);

/// The tile of a block: where its operands are, and how much of it is there.
struct Tile {
  mlir::Value input;   ///< !llvm.ptr to row 0 of activations.
  mlir::Value weight;  ///< !llvm.ptr to row 0 of weights, or to panel 0.
  mlir::Value row;     ///< index: where its rows begin.
  mlir::Value column;  ///< index: where its columns begin, rows of weights.
  mlir::Value rows;    ///< i32: how many rows are there, at least one.
  mlir::Value columns; ///< The same for columns; null if all are.
  /// The row of activations for a row of the tile (both index) that is there.
  /// Null: they follow each other from `row` on.
  llvm::function_ref<mlir::Value(mlir::Value)> inputRow = nullptr;
  /// With a producer in place of `input` and `weight`: !llvm.ptr to the tensor
  /// maps of both, whose boxes are its tile's operands of one step.
  mlir::Value inputMap, weightMap;
};

/// Whether rows of `k` elements of these types can be tiled: tensor cores
/// multiply them, and rows consist of pieces of at least four bytes, which
/// copies ask for.
bool canTile(mlir::Type inputType, mlir::Type weightType, int64_t k);
/// The same for weights in panels: activations are rows of bf16.
constexpr bool canTileCodes(int64_t k) { return k % 2 == 0; }
/// Whether tensor maps can describe rows of `k` numbers of 16 bits: rows begin
/// at multiples of 16 bytes.
constexpr bool canMap(int64_t k) { return k % 8 == 0; }

class PanelTile;

class TileEmitter : private TensorCores {
public:
  /// Emits what does not depend on the tile; `n` and `k` are the sizes of the
  /// weights, `numbers` their type. With `codes` they are panels of blocks,
  /// which become bf16 on their way (PanelTile.h).
  TileEmitter(mlir::OpBuilder &builder, mlir::Location loc,
              const Tiling &tiling, int64_t n, int64_t k, mlir::Type numbers,
              const rt::PackedLayout *codes = nullptr);
  ~TileEmitter();

  /// How much is left of `count` (index) from `first` (index) on, at most
  /// `limit`, as i32.
  using TensorCores::left;
  /// The tile's number of columns, null if all tiles have all.
  mlir::Value columnsFrom(mlir::Value column);

  /// Emits the product. All threads of the block must get here. `store` is
  /// called with a row and a column of the tile (index) and their sum, for each
  /// place in the code where a thread has one; it leaves the builder in place.
  void emit(const Tile &tile,
            llvm::function_ref<void(mlir::Value row, mlir::Value column,
                                    mlir::Value sum)>
                store);

private:
  /// This thread's part in copying the tile of an operand: pieces of a few
  /// rows.
  struct Copies {
    /// In step 0, !llvm.ptr<1>, and in a stage, i32: of each row, or of the
    /// first where the others follow at a distance.
    llvm::SmallVector<mlir::Value> sources, targets;
    mlir::Value row;  ///< i32, of the first in the tile.
    mlir::Value rows; ///< i32, how many rows are there; null for all.
    int64_t count;    ///< of rows
  };
  // Copies (TileCopies.cpp).
  Copies beginCopies(mlir::Value base, mlir::Value firstRow, int64_t offset,
                     int64_t tileRows, mlir::Value rowsThere,
                     llvm::function_ref<mlir::Value(mlir::Value)> sourceRow);
  /// Copies both tiles of `step` (i32) to the stage at `stage` (i32, bytes),
  /// but no codes.
  void fetch(mlir::Value stage, mlir::Value step);
  void fetchOne(const Copies &copies, mlir::Value stage, mlir::Value step);
  /// Elements that one copy brings, and rows from one of a thread's to the
  /// next.
  int64_t copyElements() const { return k % 8 == 0 ? 8 : k % 4 == 0 ? 4 : 2; }
  int64_t rowStep() const {
    return tiling.multipliers() * copyElements() / tiling.k;
  }
  // Products (TileEmitter.cpp).
  /// What there is to do beside the multiplication of a step, in so many parts.
  using Beside = llvm::function_ref<void(int64_t part, int64_t numParts)>;
  /// Adds the product of the tiles at `stage`.
  Values multiplyStage(mlir::Value stage, Values sums, Beside beside);
  /// Steps that are fetched before they are multiplied: a stage is written when
  /// the step that had it is done.
  int64_t stepsAhead() const {
    return tiling.stages - (tiling.usesWarpgroups ? 2 : 1);
  }
  Values multiplyAll();
  void beginFragments();
  /// Fetches the first steps, and begins to make weights of their codes.
  void fetchFirst();
  /// Brings sums to shared memory, the same place for warps with the same part
  /// of the result.
  void storeSums(const Values &sums);
  void storePart(const Values &sums, bool isFirst);
  int64_t numSteps() const {
    return static_cast<int64_t>(llvm::divideCeil(k, tiling.k));
  }

  // Warpgroups (WarpgroupTile.cpp).
  /// The descriptor of a matrix `offset` bytes (i32) into shared memory.
  mlir::Value descriptorAt(mlir::Value offset);
  /// The same as multiplyStage; the sums are there once
  /// `waitForWarpgroups(0)` says so.
  Values multiplyOnWarpgroups(mlir::Value stage, const Values &sums,
                              Beside beside = nullptr);
  /// Waits for all products but those of the last `count` steps.
  void waitForWarpgroups(uint32_t count);
  /// As waitFor, for what multiplies.
  void waitForStage(uint32_t count);

  // A producer and those that multiply (TileRing.cpp).
  /// A place in the ring of stages, i32 each: where the stage is, where the
  /// barrier that says it is full, both in bytes, and the parity of the phase
  /// that is to complete next.
  struct Place {
    mlir::Value stage, full, parity;
  };
  Place beginRing(int64_t parity);
  Place following(const Place &place);
  mlir::Value emptyBarrier(mlir::Value full);
  void beginBarriers();
  void waitAt(mlir::Value barrier, mlir::Value parity);
  void copyBox(mlir::Value target, mlir::Value map, mlir::Value step,
               mlir::Value row, mlir::Value barrier);
  /// What the producer does, and what the others do to get sums.
  void produce(const Tile &tile);
  Values multiplyRing();
  /// A barrier of those that multiply.
  void syncMultipliers();
  void emitWithProducer(
      const Tile &tile,
      llvm::function_ref<void(mlir::Value, mlir::Value, mlir::Value)> store);

  const Tiling tiling;
  const int64_t n, k;
  mlir::Value warpRow, warpColumn; ///< i32
  mlir::Value warpDepth;           ///< i32: which part of a step the warp has.
  Copies inputCopies, weightCopies;
  const rt::PackedLayout *codes; ///< Of weights in panels, or null.
  std::unique_ptr<PanelTile> panels;
  /// Where this lane's rows of fragments begin in a stage.
  mlir::Value inputLane, weightLane;
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_TILEEMITTER_H

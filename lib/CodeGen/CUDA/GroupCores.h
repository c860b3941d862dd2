//===- GroupCores.h - Weights in groups on tensor cores -------- -*- C++
//-*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Products of weights in blocks (PackedBlocks.h, panels of 16 rows) with
// activations in 8 bits, by mma.sync on integers. A group of 16 rows and 32
// columns is one fragment: the words of a run of 64 bytes are those that lanes
// have, so codes go from memory to tensor cores without another way. A lane
// with number 4 g + t has rows 2 g and 2 g + 1 of a panel, and in each group
// columns 4 t … and 16 + 4 t ….
//
// Activations are records of a row and a group; those of four groups are 192
// bytes, which the last ones of a row fill with zeros:
//
//   0    of each group 32 codes, i8, in words of four columns: 0, 4, 1, 5, 2,
//   6,
//        3, 7
//   128  of each group 16 bytes: their scale, f32, and what a sum of integers
//        begins with, i32, for each part of a group; of weights with minima in
//        its place the sum of the numbers, f32
//
// Where weights have one scale for a row, activations have one for a batch, of
// which the end of the first record alone counts; sums of integers run through
// the batch, and those of f32 are multiplied by the scales of rows at last.
//
// The numbers are those that CPUs have (GroupProduct.h there): a sum of
// integers is exact, and is multiplied by both scales and added in f32.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CUDA_GROUPCORES_H
#define CLADE_CODEGEN_CUDA_GROUPCORES_H

#include "lib/CodeGen/CUDA/PanelSums.h"
#include "lib/CodeGen/CUDA/TensorCores.h"
#include "runtime/Weights/PackedBlocks.h"

namespace clade::cuda {

/// Groups whose records lie together, and their bytes.
inline constexpr int64_t recordBatch = 4, recordCodeBytes = 32,
                         recordEndBytes = 16,
                         batchEndsAt = recordBatch * recordCodeBytes,
                         batchBytes =
                             batchEndsAt + recordBatch * recordEndBytes;
/// Bytes that the rows of a panel have of a field of one byte or two.
inline constexpr int64_t byteField = panelRows, halfField = 2 * panelRows;
/// Runs of low halves of bytes in a group.
inline constexpr int64_t lowRuns = 4;

/// Groups of rows with `k` columns, whole blocks.
int64_t numGroups(const rt::PackedLayout &layout, int64_t k);
/// Bytes of a panel of such rows.
int64_t panelBytes(const rt::PackedLayout &layout, int64_t k);
/// Records of a row, and their bytes.
int64_t numRecords(const rt::PackedLayout &layout, int64_t k);
int64_t recordRowBytes(const rt::PackedLayout &layout, int64_t k);

/// Sums of integers begin with this, more than what they are: they are then the
/// bits of 2^23 + 2^22 and them as f32, as they are below 2^22.
inline constexpr int32_t sumBias = 0x4b400000;

/// The layout of blocks of a format's name.
const rt::PackedLayout &layoutOf(llvm::StringRef format);

/// The 6 bits each (i32) of the scale and the minimum of group `index` (i32) of
/// a block: four of both in the group's byte, two in the block's word `tops`.
std::pair<mlir::Value, mlir::Value>
emitScaleBits(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value byte,
              mlir::Value tops, mlir::Value index);

class GroupCores : protected TensorCores {
public:
  GroupCores(mlir::OpBuilder &builder, mlir::Location loc,
             const rt::PackedLayout &layout, int64_t k);

  /// Four sums of a lane: rows 2 g and 2 g + 1 of a panel, and of each
  /// activations 2 t and 2 t + 1.
  using Sums = llvm::SmallVector<mlir::Value>;
  Sums zeroSums();
  /// What is left to do for the sums of all groups of the panel at `panel`.
  void finish(mlir::Value panel, llvm::MutableArrayRef<mlir::Value> sums);

  /// What a lane has of a group of a panel.
  struct Weights {
    Values codes;  ///< i32: of columns 4 t the two rows, of 16 + 4 t the two.
    Values scales; ///< f32: of each part the two rows.
    Values minima; ///< f32: of two rows, or none.
  };
  /// Loads groups `first` (i32) … of the panel at `panel`: the batch that
  /// begins there, or any single one where blocks are of one group; the last
  /// group in place of what would be behind it. All lanes must get here.
  llvm::SmallVector<Weights> load(mlir::Value panel, mlir::Value first,
                                  int64_t count);

  /// What a lane has of a group of eight rows of activations.
  struct Inputs {
    Values codes;  ///< i32: row g, columns 4 t … and 16 + 4 t ….
    Values scales; ///< f32: of rows 2 t and 2 t + 1.
    Values starts; ///< of each part the two rows; i32, or f32 with minima.
  };
  /// Loads them from this lane's words of row g and the ends of records of rows
  /// 2 t and 2 t + 1, or of the only row.
  Inputs loadInputs(mlir::Value codes, llvm::ArrayRef<mlir::Value> ends);

  /// Adds the products of a group to four sums.
  void multiplyAdd(const Weights &weights, const Inputs &inputs,
                   llvm::MutableArrayRef<mlir::Value> sums);
  /// Those of a batch, where rows have one scale. Of the first group's inputs
  /// there are scales and starts.
  void multiplyAddBatch(llvm::ArrayRef<Weights> weights,
                        llvm::ArrayRef<Inputs> inputs,
                        llvm::MutableArrayRef<mlir::Value> sums);

  mlir::Value getRowPair() const { return rowPair; }
  mlir::Value getQuarter() const { return quarter; }

protected:
  mlir::Value loadAt(mlir::Type type, mlir::Value pointer, mlir::Value offset,
                     unsigned alignment);
  /// Both halves or words of what two rows have beside each other.
  Values loadPair(mlir::Value pointer, mlir::Value offset, unsigned bits);
  Values loadCodes(mlir::Value group);
  void loadScales(mlir::Value unit, mlir::Value group, mlir::Value index,
                  Weights &weights);
  Values multiply(llvm::ArrayRef<mlir::Value> a, llvm::ArrayRef<mlir::Value> b,
                  llvm::ArrayRef<mlir::Value> starts, int64_t columns);
  mlir::Value unbiased(mlir::Value bits);

  const rt::PackedLayout &layout;
  const int64_t groups;         ///< Of a row.
  mlir::Value rowPair, quarter; ///< i32: g and t.
};

} // namespace clade::cuda

#endif // CLADE_CODEGEN_CUDA_GROUPCORES_H

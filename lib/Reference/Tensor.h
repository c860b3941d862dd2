//===- Tensor.h - Values of the reference interpreter -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tensors of the reference interpreter. Every element is held as f32, which
// holds each value of bf16 and f16, and the i32 values that models use; a rule
// computes in f32 or wider and rounds to the element type of its result.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_REFERENCE_TENSOR_H
#define CLADE_LIB_REFERENCE_TENSOR_H

#include "dialect/Clade/CladeDialect.h"

#include <memory>
#include <vector>

namespace clade::reference {

/// The element types that rules know.
enum class Element { F32, F16, BF16, I32, I1 };

/// The element type `type`, or a diagnostic at `op`.
mlir::FailureOr<Element> elementOf(mlir::Operation *op, mlir::Type type);

/// `value` rounded once to `element`, to nearest and ties to even; for I32
/// toward zero, as float to integer conversions do; for I1 to 1 unless it is 0.
float roundTo(Element element, double value);

/// Whether `element` holds fewer values than f32, so that rounding matters.
inline bool isNarrow(Element element) {
  return element == Element::F16 || element == Element::BF16;
}

/// What one step works on: some tokens of some sequences.
struct Batch {
  /// The token ids, those of one sequence adjacent and in order.
  std::vector<int32_t> ids;
  /// Of each token: index of its sequence in this step, and place there.
  std::vector<int64_t> sequenceOf;
  std::vector<int64_t> positions;
  /// Of each token its type.
  std::vector<int64_t> types;
  /// Tokens whose output is wanted, ascending.
  std::vector<int64_t> selected;
  /// Of each sequence: the length that its rotary scalings are fixed for.
  std::vector<int64_t> scaledLengths;
  /// Of an entry for images: the values of each patch, and of each sequence the
  /// rows and columns of patches.
  llvm::ArrayRef<float> pixels;
  std::vector<std::pair<int64_t, int64_t>> grids;
  /// Of a model with images: rows that its entry for them gave, and of each
  /// token its row, or -1.
  llvm::ArrayRef<float> media;
  std::vector<int64_t> mediaRows;
  /// [tokens][3], for positions of time, row and column.
  std::vector<int64_t> mediaPositions;
  /// Of each token the place of its sequence's adapter; 0 is none.
  std::vector<int64_t> adapters;

  int64_t numTokens() const { return ids.size(); }
};

/// A row-major tensor. Copies share their elements.
struct Tensor {
  NamedTensorType type;
  Element element = Element::F32;
  /// The sizes of all axes; that of the sequence axis is the step's.
  llvm::SmallVector<int64_t> shape;
  std::shared_ptr<std::vector<float>> elements;

  llvm::ArrayRef<float> data() const { return *elements; }
  llvm::MutableArrayRef<float> data() { return *elements; }
  int64_t size() const { return elements->size(); }
  /// Number of rows, if every token has one: the size of the sequence axis, or
  /// 1 for a tensor without.
  int64_t numRows() const { return type.hasSequence() ? shape[0] : 1; }
  /// Elements of a row.
  int64_t rowSize() const { return numRows() == 0 ? 0 : size() / numRows(); }
};

/// A tensor of zeros of `type`, its sequence axis as long as the batch says.
/// Diagnosed at `op`: an element type without rules, a size that is not known,
/// a tensor of more than 2^32 elements.
mlir::FailureOr<Tensor> makeTensor(mlir::Operation *op, NamedTensorType type,
                                   const Batch &batch);

/// The steps, in elements, by which `operand` moves when the axes of `result`
/// advance by one: 0 along an axis that the operand lacks.
llvm::SmallVector<int64_t> stridesAlong(const Tensor &operand,
                                        const Tensor &result);

/// Calls `visit(place, offsets)` for each element of `shape` in row-major
/// order; offsets[i] is the place in operand i, which moves by `strides[i]`.
void forEachElement(
    llvm::ArrayRef<int64_t> shape,
    llvm::ArrayRef<llvm::SmallVector<int64_t>> strides,
    llvm::function_ref<void(int64_t place, llvm::ArrayRef<int64_t> offsets)>
        visit);

/// Σ a[i]·b[i] for i < size, in f64.
double dot(const double *a, const double *b, int64_t size);

} // namespace clade::reference

#endif // CLADE_LIB_REFERENCE_TENSOR_H

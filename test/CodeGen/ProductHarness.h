//===- ProductHarness.h - Products as callable functions --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Builds a module around the emitters of products, compiles, links and loads
// it, and packs operands for it. Used by the tests and by product-bench.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_PRODUCTHARNESS_H
#define CLADE_TEST_CODEGEN_PRODUCTHARNESS_H

#include "lib/CodeGen/CPU/LoadedCode.h"
#include "lib/CodeGen/CPU/Product.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

namespace clade::cpu::test {

/// Memory for vectors: 64-byte aligned, zeroed, and with at least 64 bytes past
/// its end that tests may look at.
class Buffer {
public:
  explicit Buffer(size_t size)
      : bytes(size), data(std::aligned_alloc(64, (size + 127) / 64 * 64)) {
    std::memset(data.get(), 0, (size + 127) / 64 * 64);
  }
  template <typename T> T *as() const { return static_cast<T *>(data.get()); }
  size_t size() const { return bytes; }

private:
  struct Free {
    void operator()(void *pointer) const { std::free(pointer); }
  };
  size_t bytes;
  std::unique_ptr<void, Free> data;
};

/// f32 bits of a bf16 and back (to nearest, ties to even; NaN not expected).
float widenBF16(uint16_t bits);
uint16_t roundToBF16(float value);

/// y[row * n + column] of a product, for this thread's part.
using ProductFunction = void(const void *activations, const void *weights,
                             float *y, int64_t numTokens, int64_t thread,
                             int64_t numThreads);
/// Packs `numTokens` rows of f32, `rowStride` elements apart.
using PackFunction = void(const float *x, void *packed, int64_t numTokens);

/// Adds `func @name` whose arguments are `pointers` pointers and then `counts`
/// of type index.
void addFunction(mlir::ModuleOp module, llvm::StringRef name, int pointers,
                 int counts,
                 llvm::function_ref<void(mlir::OpBuilder &, mlir::Location,
                                         mlir::ValueRange)>
                     body);

/// Adds `func @name` with the signature of ProductFunction to `module`.
void addProductFunction(mlir::ModuleOp module, llvm::StringRef name,
                        const Target &target, const ProductShape &shape);

/// Adds `func @name` with the signature of PackFunction to `module`. Rows are
/// `k` rounded up to `lanes` apart and `lanes` elements are stored at a time.
void addPackFunction(mlir::ModuleOp module, llvm::StringRef name,
                     const Target &target, mlir::Type elementType,
                     int64_t rowTile, int64_t k, int64_t lanes);

/// A context with every dialect that kernels need.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// Where element (row, column) of a matrix with `k` columns is in the layout
/// with `tile` rows of `pack` elements each.
int64_t packedIndex(int64_t row, int64_t column, int64_t k, int64_t tile,
                    int64_t pack);

/// Row-major f32 [rows, k] (representable in the element type) to the layout
/// with `tile` rows of P elements each; rows past the end are set to NaN.
Buffer packMatrix(const std::vector<float> &matrix, int64_t rows, int64_t k,
                  int64_t tile, bool bf16);
/// The same as the activations of products on `target`.
Buffer packActivations(const Target &target, const std::vector<float> &matrix,
                       int64_t rows, int64_t k, int64_t tile, bool bf16);

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_PRODUCTHARNESS_H

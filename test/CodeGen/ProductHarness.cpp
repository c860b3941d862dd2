//===- ProductHarness.cpp - Products as callable functions ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/ProductHarness.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>
#include <limits>

using namespace mlir;

namespace clade::cpu::test {

float widenBF16(uint16_t bits) {
  return llvm::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t roundToBF16(float value) {
  uint32_t bits = llvm::bit_cast<uint32_t>(value);
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

std::unique_ptr<MLIRContext> makeContext() {
  DialectRegistry registry;
  registerCompileDialects(registry);
  auto context =
      std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
  context->loadAllAvailableDialects();
  return context;
}

void addFunction(ModuleOp module, StringRef name, int pointers, int counts,
                 function_ref<void(OpBuilder &, Location, ValueRange)> body) {
  OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
  SmallVector<Type> types(pointers,
                          LLVM::LLVMPointerType::get(builder.getContext()));
  types.append(counts, builder.getIndexType());
  auto function = func::FuncOp::create(builder, module.getLoc(), name,
                                       builder.getFunctionType(types, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  body(builder, module.getLoc(), function.getArguments());
  func::ReturnOp::create(builder, module.getLoc());
}

void addProductFunction(ModuleOp module, StringRef name, const Target &target,
                        const ProductShape &shape) {
  addFunction(module, name, 3, 3,
              [&](OpBuilder &builder, Location loc, ValueRange args) {
                // Parts lie apart: between two of them is one element.
                SmallVector<Value> weights;
                int64_t before = 0;
                for (int64_t rows : shape.partRows) {
                  int64_t at = before * shape.k + weights.size();
                  weights.push_back(emitAddress(builder, loc, args[1],
                                                shape.elementType,
                                                emitIndex(builder, loc, at)));
                  before += rows;
                }
                if (weights.empty())
                  weights.push_back(args[1]);
                int64_t bytes = productScratchBytes(target, shape);
                Value scratch = emitStackBuffer(builder, loc, bytes + 64);
                emitProduct(builder, loc, target, shape, args[0], weights,
                            scratch, args[3], args[4], args[5],
                            [&](OpBuilder &b, Location, Value row, Value column,
                                Value sums, Value mask) {
                              Value n = emitIndex(b, loc, shape.n);
                              Value index = emitAdd(
                                  b, loc, emitMul(b, loc, row, n), column);
                              emitStore(b, loc, sums, args[2], index, mask);
                            });
              });
}

/// A loop over [0, end) in steps of `step`.
static void emitLoop(OpBuilder &builder, Location loc, Value end, int64_t step,
                     function_ref<void(OpBuilder &, Value)> body) {
  scf::ForOp::create(builder, loc, emitIndex(builder, loc, 0), end,
                     emitIndex(builder, loc, step), ValueRange{},
                     [&](OpBuilder &inner, Location, Value i, ValueRange) {
                       body(inner, i);
                       scf::YieldOp::create(inner, loc);
                     });
}

void addPackFunction(ModuleOp module, StringRef name, const Target &target,
                     Type elementType, int64_t rowTile, int64_t k,
                     int64_t lanes) {
  auto type = VectorType::get(lanes, Float32Type::get(module.getContext()));
  int64_t stride = llvm::alignTo(k, lanes);
  addFunction(
      module, name, 2, 1,
      [&](OpBuilder &builder, Location loc, ValueRange args) {
        emitLoop(builder, loc, args[2], 1, [&](OpBuilder &rows, Value row) {
          Value start = emitMul(rows, loc, row, emitIndex(rows, loc, stride));
          Value end = emitIndex(rows, loc, k);
          emitLoop(rows, loc, end, lanes, [&](OpBuilder &b, Value column) {
            Value x =
                emitLoad(b, loc, type, args[0], emitAdd(b, loc, start, column));
            emitStorePacked(b, loc, target, elementType, rowTile, k, args[1],
                            row, column, x);
          });
        });
      });
}

int64_t packedIndex(int64_t row, int64_t column, int64_t k, int64_t tile,
                    int64_t pack) {
  return row / tile * tile * llvm::alignTo(k, pack) +
         column / pack * pack * tile + row % tile * pack + column % pack;
}

/// A matrix in tiles with `pack` neighbours of K together, which is filled with
/// zeros up to a multiple of `depth`.
static Buffer packMatrix(const std::vector<float> &matrix, int64_t rows,
                         int64_t k, int64_t tile, int64_t pack, int64_t depth,
                         bool bf16) {
  int64_t paddedK = llvm::alignTo(k, depth);
  int64_t paddedRows = llvm::alignTo(rows, tile);
  Buffer packed(paddedRows * paddedK * (bf16 ? 2 : 4));
  for (int64_t row = 0; row < paddedRows; ++row)
    for (int64_t column = 0; column < paddedK; ++column) {
      float value = column < k ? std::numeric_limits<float>::quiet_NaN() : 0;
      if (row < rows && column < k)
        value = matrix[row * k + column];
      int64_t index = packedIndex(row, column, paddedK, tile, pack);
      if (bf16)
        packed.as<uint16_t>()[index] = roundToBF16(value);
      else
        packed.as<float>()[index] = value;
    }
  return packed;
}

Buffer packMatrix(const std::vector<float> &matrix, int64_t rows, int64_t k,
                  int64_t tile, bool bf16) {
  int64_t pack = bf16 ? 2 : 1;
  return packMatrix(matrix, rows, k, tile, pack, pack, bf16);
}

Buffer packActivations(const Target &target, const std::vector<float> &matrix,
                       int64_t rows, int64_t k, int64_t tile, bool bf16) {
  if (!bf16 || (target.hasBF16 && !target.hasTiles))
    return packMatrix(matrix, rows, k, tile, bf16);
  if (target.hasTiles)
    return packMatrix(matrix, rows, k, tile, /*pack=*/32, /*depth=*/32, bf16);
  return packMatrix(matrix, rows, k, tile, /*pack=*/1, /*depth=*/2,
                    /*bf16=*/false);
}

} // namespace clade::cpu::test

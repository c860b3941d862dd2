//===- TileHarness.h - Generated kernels on the PTX machine ---- -*- C++
//-*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What tests of tiles share: a kernel from its generator as PTX, and numbers in
// bf16 of which sums of products are exact.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_CUDA_TILEHARNESS_H
#define CLADE_TEST_CODEGEN_CUDA_TILEHARNESS_H

#include "lib/CodeGen/CUDA/Compile.h"
#include "lib/CodeGen/CUDA/Product.h"
#include "lib/PTX/TensorMap.h"
#include "test/PTX/KernelHarness.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/Sequence.h"

#include <bit>
#include <cmath>

namespace clade::cuda {

inline Target targetOf(llvm::StringRef arch) {
  mlir::MLIRContext context;
  return *Target::resolve(mlir::UnknownLoc::get(&context), arch);
}

/// The PTX of a kernel `kernel` with blocks of so many threads. Its arguments
/// are `pointers` addresses, of which the first `maps` are of tensor maps, and,
/// last, a number of rows (index).
inline std::string
kernelText(const Target &target, int64_t threads, size_t pointers,
           llvm::function_ref<void(mlir::OpBuilder &, mlir::Location,
                                   mlir::ValueRange arguments)>
               body,
           int32_t maps = 0) {
  using namespace mlir;
  DialectRegistry registry;
  registerCompileDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  Location loc = UnknownLoc::get(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  auto code = gpu::GPUModuleOp::create(builder, loc, "kernels");
  builder.setInsertionPointToEnd(code.getBody());
  SmallVector<Type> types(pointers, LLVM::LLVMPointerType::get(&context));
  types.push_back(builder.getIndexType());
  auto function = gpu::GPUFuncOp::create(builder, loc, "kernel",
                                         builder.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                    builder.getUnitAttr());
  if (maps)
    function->setAttr(tensorMapsAttr,
                      builder.getDenseI32ArrayAttr(
                          llvm::to_vector(llvm::seq<int32_t>(0, maps))));
  function.setKnownBlockSizeAttr(
      builder.getDenseI32ArrayAttr({static_cast<int32_t>(threads), 1, 1}));
  Block &entry = function.getBody().front();
  builder.setInsertionPointToStart(&entry);
  {
    OpBuilder::InsertionGuard guard(builder);
    body(builder, loc, entry.getArguments());
  }
  gpu::ReturnOp::create(builder, loc);
  FailureOr<std::string> text = compileToPTX(code, target);
  EXPECT_TRUE(succeeded(text));
  return succeeded(text) ? *text : "";
}

/// How a kernel of `grid` is launched for so many rows.
inline ptx::LaunchOptions launchOf(const Grid &grid, int64_t rows,
                                   int64_t sharedBytes) {
  ptx::LaunchOptions options;
  options.grid = {
      static_cast<uint32_t>(grid.columns),
      static_cast<uint32_t>(llvm::divideCeil(rows, grid.rowsPerBlock)), 1};
  options.block = {static_cast<uint32_t>(grid.threads), 1, 1};
  options.dynamicShared = static_cast<uint32_t>(sharedBytes);
  return options;
}

/// The tensor map of `rows` rows of bf16 at `address`, as the runtime's.
inline ptx::TensorMap mapOf(uint64_t address, const MappedRows &matrix,
                            int64_t rows) {
  uint64_t sizes[] = {static_cast<uint64_t>(matrix.columns),
                      static_cast<uint64_t>(rows)};
  uint64_t strides[] = {sizes[0] * 2};
  uint32_t box[] = {static_cast<uint32_t>(matrix.boxColumns),
                    static_cast<uint32_t>(matrix.boxRows)};
  uint32_t steps[] = {1, 1};
  ptx::TensorMapRequest request;
  request.type = unsigned(ptx::TensorType::BF16);
  request.rank = 2;
  request.address = address;
  request.sizes = sizes;
  request.strides = strides;
  request.box = box;
  request.steps = steps;
  request.swizzle = unsigned(ptx::Swizzle::Bytes128);
  ptx::Result<ptx::TensorMap> map = ptx::encodeTensorMap(request);
  EXPECT_TRUE(map) << map.error().message;
  return map ? *map : ptx::TensorMap();
}

/// Numbers in [-1, 1] with few bits, so that their products and sums are exact.
inline std::vector<uint16_t> bfloats(int64_t count, uint32_t seed) {
  std::vector<uint16_t> numbers;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t hash = (static_cast<uint32_t>(i) + seed) * 2654435761u;
    float value = static_cast<float>(static_cast<int>(hash >> 25) - 64) / 64;
    numbers.push_back(
        static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16));
  }
  return numbers;
}

inline float floatOf(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/// The sum of products of two rows, as `found` must be but for its rounding.
inline void expectProduct(uint16_t found, const uint16_t *a, const uint16_t *b,
                          int64_t count) {
  double exact = 0;
  for (int64_t i = 0; i < count; ++i)
    exact += double(floatOf(a[i])) * floatOf(b[i]);
  EXPECT_LE(std::fabs(floatOf(found) - exact), std::fabs(exact) * 0x1p-8);
}

} // namespace clade::cuda

#endif // CLADE_TEST_CODEGEN_CUDA_TILEHARNESS_H

//===- CacheWriteTest.cpp - Rows written to the paged cache ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/CacheWrite.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "runtime/include/clade/abi.h"
#include "test/CodeGen/KernelTestSupport.h"
#include "test/CodeGen/ProductHarness.h"

#include <algorithm>
#include <gtest/gtest.h>

using namespace mlir;

namespace clade::cpu::test {

namespace {

constexpr int64_t heads = 3;
constexpr int64_t numPages = 5;

/// Elements of a cache and of the rows given to it.
struct Types {
  bool bf16Cache, bf16Source;
};

/// `void(state, row, sequence, position, head)` that writes `row`.
using WriteFunction = void(const CladeKVState *, const void *, int64_t, int64_t,
                           int64_t);

class CacheWriteTest : public testing::TestWithParam<TestCPU> {
protected:
  void compile(int64_t size, Types types, bool isKey) {
    OpBuilder builder(context.get());
    Location loc = builder.getUnknownLoc();
    FailureOr<Target> target = Target::resolve(loc, GetParam().cpu);
    ASSERT_TRUE(succeeded(target));
    OwningOpRef<ModuleOp> owner = ModuleOp::create(loc);
    builder.setInsertionPointToEnd(owner->getBody());
    SmallVector<Type> arguments(2, LLVM::LLVMPointerType::get(context.get()));
    arguments.append(3, builder.getIndexType());
    auto function = func::FuncOp::create(
        builder, loc, "write", builder.getFunctionType(arguments, {}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    ValueRange args = function.getArguments();

    auto elementType = [&](bool bf16) {
      return bf16 ? Type(builder.getBF16Type()) : builder.getF32Type();
    };
    CacheLayout layout{heads, size, elementType(types.bf16Cache)};
    Value row = emitCacheRowPointer(builder, loc, layout, args[0], args[2],
                                    args[3], args[4], isKey);
    emitCacheWrite(
        builder, loc, *target, layout, row, [&](int64_t offset, int64_t count) {
          auto type = VectorType::get(count, elementType(types.bf16Source));
          return emitLoad(builder, loc, type, args[1],
                          emitIndex(builder, loc, offset));
        });
    func::ReturnOp::create(builder, loc);
    CompileOptions options;
    options.cpu = GetParam().cpu;
    module = LoadedCode::create(*owner, options, {"write"});
    ASSERT_TRUE(module);
  }

  /// Writes one row into an empty cache, which must change nothing else.
  void check(int64_t size, Types types, bool isKey) {
    SCOPED_TRACE(testing::Message() << size << " elements, bf16 "
                                    << types.bf16Cache << types.bf16Source);
    compile(size, types, isKey);
    if (HasFatalFailure())
      return;
    // Sequence 1, position 70: entry 2 of its row, slot 6.
    std::vector<int32_t> pages = {-1, -1, -1, -1, -1, -1, 3, -1};
    int64_t first = ((3 * heads + 2) * CLADE_PAGE_TOKENS + 6) * size;
    int64_t elements = numPages * heads * CLADE_PAGE_TOKENS * size;
    Buffer cache(elements * 4), source(size * 4);
    CladeKVState state = {};
    (isKey ? state.keys : state.values) = cache.as<void>();
    state.pages = pages.data();
    state.pages_stride = 4;

    for (int64_t i = 0; i < size; ++i)
      store(source, types.bf16Source, i, 1 + i / 1024.0f);
    module->function<WriteFunction>("write")(&state, source.as<void>(), 1, 70,
                                             2);
    for (int64_t i = 0; i < elements; ++i) {
      float expected = 0;
      if (i >= first && i < first + size)
        expected = load(source, types.bf16Source, i - first);
      if (types.bf16Cache)
        expected = widenBF16(roundToBF16(expected));
      ASSERT_EQ(load(cache, types.bf16Cache, i), expected) << "element " << i;
    }
  }

private:
  static float load(const Buffer &buffer, bool bf16, int64_t i) {
    return bf16 ? widenBF16(buffer.as<uint16_t>()[i]) : buffer.as<float>()[i];
  }
  static void store(const Buffer &buffer, bool bf16, int64_t i, float value) {
    if (bf16)
      buffer.as<uint16_t>()[i] = roundToBF16(value);
    else
      buffer.as<float>()[i] = value;
  }

  std::unique_ptr<MLIRContext> context = makeContext();
  std::unique_ptr<LoadedCode> module;
};

TEST_P(CacheWriteTest, rows) {
  for (int64_t size : {1, 16, 24, 80, 256})
    for (bool isKey : {true, false})
      for (Types types :
           {Types{true, false}, {true, true}, {false, false}, {false, true}})
        check(size, types, isKey);
}

INSTANTIATE_TEST_SUITE_P(CPUs, CacheWriteTest, testing::ValuesIn(testCPUs()),
                         [](const auto &info) { return info.param.name; });

} // namespace

} // namespace clade::cpu::test

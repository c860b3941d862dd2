//===- BlockHelpersTest.cpp - Code that the threads of a block share ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Kernels of one helper each, compiled to PTX and run through the driver that
// CLADE_CUDA_DRIVER names, against the C++ library in f64.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/BlockHelpers.h"

#include "lib/CodeGen/CPU/VectorHelpers.h"
#include "lib/CodeGen/CUDA/Compile.h"
#include "lib/CodeGen/CUDA/Power.h"
#include "runtime/Device/DeviceModel.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace mlir;
using namespace clade;
using namespace clade::cuda;

namespace {

/// Runs `body` in a block for each row, with the arrays `input` and the output
/// of `width` floats a row; gives the output.
std::vector<float>
runKernel(int32_t rows, int64_t width, int32_t threads, int32_t shared,
          const std::vector<float> &input,
          llvm::function_ref<void(OpBuilder &, Location, Value row, Value input,
                                  Value output)>
              body) {
  DialectRegistry registry;
  registerCompileDialects(registry);
  MLIRContext context(registry);
  context.loadAllAvailableDialects();
  Location loc = UnknownLoc::get(&context);
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
  auto code = gpu::GPUModuleOp::create(builder, loc, "kernels");
  builder.setInsertionPointToEnd(code.getBody());
  SmallVector<Type> types(3, LLVM::LLVMPointerType::get(&context));
  auto function = gpu::GPUFuncOp::create(builder, loc, "kernel",
                                         builder.getFunctionType(types, {}));
  function->setAttr(gpu::GPUDialect::getKernelFuncAttrName(),
                    builder.getUnitAttr());
  Block &entry = function.getBody().front();
  builder.setInsertionPointToStart(&entry);
  body(builder, loc, emitBlock(builder, loc, Axis::Y), entry.getArgument(1),
       entry.getArgument(2));
  gpu::ReturnOp::create(builder, loc);

  rt::DeviceModelSources sources;
  FailureOr<std::string> ptx =
      compileToPTX(code, *Target::resolve(loc, "sm_80"));
  EXPECT_TRUE(succeeded(ptx));
  if (failed(ptx))
    return {};
  using Space = rt::LaunchArgument::Space;
  sources.arch = "sm_80";
  sources.kernels = *ptx;
  sources.plan.kernels["kernel"] = {/*onSelected=*/true, 1, 1, threads, shared};
  sources.plan.launches = {
      {"kernel", {{Space::Weight, 0}, {Space::Output, 0}}}};
  sources.outputWidth = width;
  sources.weights = {std::as_bytes(std::span(input))};
  auto model = rt::DeviceModel::create(sources, 0);
  EXPECT_TRUE(model.ok()) << model.status().message();
  if (!model.ok())
    return {};
  auto runner = rt::DeviceStep::create(*model);
  EXPECT_TRUE(runner.ok()) << runner.status().message();
  std::vector<int32_t> numbers(static_cast<size_t>(rows) + 1);
  std::vector<float> output(static_cast<size_t>(rows * width));
  CladeStep step = {};
  step.num_tokens = step.num_selected = rows;
  step.num_sequences = 1;
  step.tokens = step.positions = step.sequence_of = step.selected =
      step.first_token = step.scaled_lengths = numbers.data();
  step.output = output.data();
  rt::Status status = (*runner)->run(step);
  EXPECT_TRUE(status.ok()) << status.message();
  return output;
}

TEST(BlockHelpersTest, SineAndCosineRoundOnceAtAnyAngle) {
  std::vector<float> angles{0.0f, 1e-30f, 1.57079637f, 3.14159274f,
                            6.28318548f};
  // Positions times frequencies, and multiples of a quarter turn, where a
  // reduction in f32 has lost all digits.
  for (int i = 1; i < 200; ++i) {
    angles.push_back(float(i) * 5237.0f * 0.31622776f);
    angles.push_back(float(double(i) * i * i * 1.5707963267948966));
    angles.push_back(-float(i) * 0.37f);
  }
  auto rows = static_cast<int32_t>(angles.size());
  std::vector<float> output = runKernel(
      rows, 2, 1, 0, angles,
      [&](OpBuilder &b, Location loc, Value row, Value input, Value output) {
        Value angle = emitLoadFloat(b, loc, b.getF32Type(), input, row);
        auto [sine, cosine] = emitSinCos(b, loc, angle);
        Value first = cpu::emitMul(b, loc, row, cpu::emitIndex(b, loc, 2));
        cpu::emitStore(b, loc, sine, output, first);
        cpu::emitStore(b, loc, cosine, output,
                       cpu::emitAdd(b, loc, first, cpu::emitIndex(b, loc, 1)));
      });
  ASSERT_EQ(output.size(), 2 * angles.size());
  for (size_t i = 0; i < angles.size(); ++i) {
    auto angle = static_cast<long double>(angles[i]);
    EXPECT_EQ(output[2 * i], float(std::sin(angle))) << angles[i];
    EXPECT_EQ(output[2 * i + 1], float(std::cos(angle))) << angles[i];
  }
}

TEST(BlockHelpersTest, AllThreadsHaveTheJoinedValue) {
  constexpr int32_t threads = 128;
  std::vector<float> values(threads);
  float sum = 0;
  for (int32_t i = 0; i < threads; ++i)
    sum += values[static_cast<size_t>(i)] = float(i * 37 % 101);
  std::vector<float> output = runKernel(
      1, threads, threads, threads / warpSize * 4, values,
      [&](OpBuilder &b, Location loc, Value, Value input, Value output) {
        Value thread = emitThread(b, loc);
        Value joined = emitBlockReduce(
            b, loc, threads,
            emitLoadFloat(b, loc, b.getF32Type(), input, thread),
            emitShared(b, loc), [&](Value x, Value y) -> Value {
              return arith::AddFOp::create(b, loc, x, y);
            });
        cpu::emitStore(b, loc, joined, output, thread);
      });
  EXPECT_EQ(output, std::vector<float>(threads, sum));
}

/// bf16, i32 and bytes as f32 and back; bf16 rounds to even.
TEST(BlockHelpersTest, ElementsAreReadAndWrittenByTheirType) {
  // 1 + 3/256 is half way between two numbers of bf16, 1 + 1/256 too.
  std::vector<float> values{1.01171875f, 1.00390625f, -0.0f, INFINITY, 3e38f};
  auto rows = static_cast<int32_t>(values.size());
  std::vector<float> output = runKernel(
      rows, 1, 1, 0, values,
      [&](OpBuilder &b, Location loc, Value row, Value input, Value output) {
        Value value = emitLoadFloat(b, loc, b.getF32Type(), input, row);
        // In the first half of the place of the result.
        Value place = cpu::emitMul(b, loc, row, cpu::emitIndex(b, loc, 2));
        emitStoreFloat(b, loc, value, b.getBF16Type(), output, place);
        Value back = emitLoadFloat(b, loc, b.getBF16Type(), output, place);
        cpu::emitStore(b, loc, back, output, row);
      });
  EXPECT_EQ(output, (std::vector<float>{1.015625f, 1.0f, -0.0f, INFINITY,
                                        3.00405527e38f}));
}

/// All pairs of bases and exponents, special ones among them.
TEST(BlockHelpersTest, PowersRoundOnce) {
  std::vector<float> numbers{0.0f,     1.0f,      -1.0f, 2.0f,    0.5f,
                             -3.0f,    1e-4f,     0.25f, 127.0f,  -0.75f,
                             1e30f,    1e-40f,    7e-7f, 10000.f, 500000.f,
                             INFINITY, -INFINITY, NAN};
  for (int i = 0; i < 24; ++i)
    numbers.push_back(float(i) / 24.0f + 0.01f);
  auto count = static_cast<int64_t>(numbers.size());
  std::vector<float> output = runKernel(
      static_cast<int32_t>(count), count, 1, 0, numbers,
      [&](OpBuilder &b, Location loc, Value row, Value input, Value output) {
        Value base = emitLoadFloat(b, loc, b.getF32Type(), input, row);
        Value start = cpu::emitMul(b, loc, row, cpu::emitIndex(b, loc, count));
        emitStridedLoop(
            b, loc, emitThread(b, loc), 1, cpu::emitIndex(b, loc, count),
            [&](Value at) {
              Value exponent = emitLoadFloat(b, loc, b.getF32Type(), input, at);
              cpu::emitStore(
                  b, loc, emitBinary(b, loc, BinaryKind::Pow, base, exponent),
                  output, cpu::emitAdd(b, loc, start, at));
            });
      });
  ASSERT_EQ(output.size(), numbers.size() * numbers.size());
  for (size_t i = 0; i < numbers.size(); ++i)
    for (size_t j = 0; j < numbers.size(); ++j) {
      float base = numbers[i], exponent = numbers[j],
            got = output[i * numbers.size() + j];
      // Infinite exponents are for what is not one.
      if (std::isinf(exponent) && std::fabs(base) == 1.0f)
        continue;
      auto expected =
          float(std::pow(static_cast<double>(base), double(exponent)));
      if (std::isnan(expected))
        EXPECT_TRUE(std::isnan(got)) << base << " ^ " << exponent;
      else
        EXPECT_EQ(got, expected) << base << " ^ " << exponent;
    }
}

} // namespace

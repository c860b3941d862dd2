//===- ReferenceTest.cpp - Runs modules written in tests ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

#include "dialect/WMap/WMapDialect.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/Parser/Parser.h"

#include <cstring>
#include <filesystem>
#include <fstream>

#include <unistd.h>

using namespace clade;
using namespace clade::reference;

ReferenceTest::ReferenceTest() {
  context
      .loadDialect<CladeDialect, wmap::WMapDialect, mlir::func::FuncDialect>();
  context.getDiagEngine().registerHandler([this](mlir::Diagnostic &diagnostic) {
    diagnostics += diagnostic.str() + "\n";
    return mlir::success();
  });
  std::string pattern = ::testing::TempDir() + "clade-reference-XXXXXX";
  if (mkdtemp(pattern.data()))
    directory = pattern;
}

ReferenceTest::~ReferenceTest() {
  std::error_code ignored;
  if (!directory.empty())
    std::filesystem::remove_all(directory, ignored);
}

void ReferenceTest::addTensor(const std::string &name,
                              std::vector<int64_t> shape,
                              std::vector<float> values, rt::DType dtype) {
  std::vector<std::byte> &data = bytes[name];
  size_t width = dtype == rt::DType::F32 ? 4 : 2;
  data.resize(values.size() * width);
  for (size_t i = 0; i < values.size(); ++i) {
    uint16_t narrow = dtype == rt::DType::F16 ? rt::f32ToF16(values[i])
                                              : rt::f32ToBF16(values[i]);
    const void *source = &values[i];
    if (width == 2)
      source = &narrow;
    std::memcpy(data.data() + i * width, source, width);
  }
  tensors.push_back({name, dtype, std::move(shape), data});
}

void ReferenceTest::addWeight(const std::string &name,
                              std::vector<int64_t> shape,
                              std::vector<float> values, rt::DType dtype) {
  std::string type = "tensor<";
  for (int64_t size : shape)
    type += std::to_string(size) + "x";
  type += (dtype == rt::DType::F32   ? "f32"
           : dtype == rt::DType::F16 ? "f16"
                                     : "bf16") +
          std::string(">");
  weightFunctions += "wmap.func @" + name + " -> " + type +
                     " {\n  %0 = wmap.source \"" + name + "\" : " + type +
                     "\n  wmap.return %0 : " + type + "\n}\n";
  addTensor(name, std::move(shape), std::move(values), dtype);
}

void ReferenceTest::reset() {
  tensors.clear();
  bytes.clear();
  weightFunctions.clear();
}

bool ReferenceTest::openCheckpoint() {
  std::ofstream(directory + "/config.json") << "{}";
  rt::Status written =
      rt::writeSafetensors(directory + "/model.safetensors", tensors);
  if (!written.ok()) {
    diagnostics += written.message() + "\n";
    return false;
  }
  rt::StatusOr<rt::Checkpoint> opened = rt::Checkpoint::open(directory);
  if (!opened.ok()) {
    diagnostics += opened.status().message() + "\n";
    return false;
  }
  checkpoint.emplace(std::move(*opened));
  return true;
}

bool ReferenceTest::load(const std::string &text, llvm::StringRef entry) {
  interpreter.reset();
  if (!openCheckpoint())
    return false;
  // Aliases have to be known before their uses, so weights come last.
  module =
      mlir::parseSourceString<mlir::ModuleOp>(text + weightFunctions, &context);
  if (!module)
    return false;
  auto created = Interpreter::create(*module, *checkpoint, {}, entry);
  if (failed(created))
    return false;
  interpreter = std::move(*created);
  interpreter->setObserver([this](const Event &event) {
    observed.push_back({event.op->getName().getStringRef().str(), event.layer,
                        event.value.data().vec()});
  });
  return true;
}

bool ReferenceTest::step(std::vector<SequenceChunk> chunks) {
  observed.clear();
  rows.clear();
  auto result = interpreter->step(chunks);
  if (failed(result))
    return false;
  rows = std::move(*result);
  return true;
}

static const char entryHead[] =
    "func.func @main(%tokens: !clade.tensor<[token], i32>, %batch: "
    "!clade.batch) -> !clade.tensor<[selected], i32> attributes {clade.entry} "
    "{\n";
static const char entryTail[] =
    "\n  %out = clade.select %tokens, %batch : !clade.tensor<[token], i32> -> "
    "!clade.tensor<[selected], i32>\n  return %out : "
    "!clade.tensor<[selected], i32>\n}\n";

bool ReferenceTest::runOps(const std::string &aliases, const std::string &body,
                           std::vector<int32_t> tokens) {
  if (!load(aliases + "\n" + entryHead + body + entryTail))
    return false;
  int sequence = interpreter->addSequence(tokens.size());
  return step({{sequence, std::move(tokens), {}}});
}

bool ReferenceTest::runLayerOps(const std::string &aliases,
                                const std::string &body,
                                std::vector<int32_t> tokens) {
  std::string layers =
      "!hidden = !clade.tensor<[token], f32>\n"
      "func.func @kind(%x: !hidden, %batch: !clade.batch) -> !hidden {\n" +
      body +
      "\n  return %y : !hidden\n}\nclade.schedule @layers kinds [@kind] rows "
      "[0, 0]\n";
  return runOps(aliases + "\n" + layers,
                "  %x = clade.cast %tokens : !clade.tensor<[token], i32> -> "
                "!hidden\n  %y = clade.layers @layers(%x, %batch) : (!hidden, "
                "!clade.batch) -> !hidden\n",
                std::move(tokens));
}

std::vector<float> ReferenceTest::last(llvm::StringRef op) const {
  for (const Observed &result : llvm::reverse(observed))
    if (op == result.op)
      return result.values;
  ADD_FAILURE() << "no result of " << op.str() << " in:\n" << diagnostics;
  return {};
}

void reference::expectNear(const std::vector<float> &actual,
                           const std::vector<float> &expected, double bound) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    EXPECT_NEAR(actual[i], expected[i], bound) << "at place " << i;
}

//===- ReferenceTest.h - Runs modules written in tests ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A fixture that writes a tiny checkpoint, parses a module, runs it in the
// reference interpreter, and keeps what every op gave.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_REFERENCE_REFERENCETEST_H
#define CLADE_TEST_REFERENCE_REFERENCETEST_H

#include "lib/Reference/Interpreter.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/Formats/Checkpoint.h"

#include <gtest/gtest.h>

#include <map>

namespace clade::reference {

/// One result of one op that ran.
struct Observed {
  std::string op;
  int64_t layer;
  std::vector<float> values;
};

class ReferenceTest : public ::testing::Test {
protected:
  ReferenceTest();
  ~ReferenceTest() override;

  /// Adds a tensor to the checkpoint, stored in f32 or, rounded, in bf16.
  void addTensor(const std::string &name, std::vector<int64_t> shape,
                 std::vector<float> values, rt::DType dtype = rt::DType::F32);

  /// Adds a tensor and, before all modules, a `wmap.func @name` that is it.
  void addWeight(const std::string &name, std::vector<int64_t> shape,
                 std::vector<float> values, rt::DType dtype = rt::DType::F32);

  /// Forgets all tensors and weights.
  void reset();

  /// Parses, verifies and loads the module `text`. Says why not in
  /// `diagnostics`.
  bool load(const std::string &text, llvm::StringRef entry = {});

  /// Runs a step and keeps `rows` and `observed`.
  bool step(std::vector<SequenceChunk> chunks);

  /// Loads an entry around `body`, which uses %tokens and %batch, and runs it
  /// on one sequence of `tokens`. `aliases` come before the functions.
  bool runOps(const std::string &aliases, const std::string &body,
              std::vector<int32_t> tokens);

  /// As runOps, with `body` in the function of two layers, which uses %x (f32,
  /// token) and %batch and ends with the value %y of the type of %x.
  bool runLayerOps(const std::string &aliases, const std::string &body,
                   std::vector<int32_t> tokens);

  /// What the last op of that name gave.
  std::vector<float> last(llvm::StringRef op) const;

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::unique_ptr<Interpreter> interpreter;
  std::vector<std::vector<float>> rows;
  std::vector<Observed> observed;
  std::string diagnostics; ///< One line each.

private:
  bool openCheckpoint();

  std::string directory;
  std::map<std::string, std::vector<std::byte>> bytes;
  std::vector<rt::StoredTensor> tensors;
  std::string weightFunctions;
  std::optional<rt::Checkpoint> checkpoint;
};

/// All elements of both, within `bound` of each other.
void expectNear(const std::vector<float> &actual,
                const std::vector<float> &expected, double bound);

/// Steps of f32 at 1: enough for one rounding of a value of about 1.
inline constexpr double epsF32 = 1.2e-7;

} // namespace clade::reference

#endif // CLADE_TEST_REFERENCE_REFERENCETEST_H

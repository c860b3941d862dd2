//===- KernelRun.h - The kernels of a model, one by one ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Compiles every kernel of a module so that it can be called by itself, with
// each operand, result, weight and state in memory between walls.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_SWEEP_KERNELRUN_H
#define CLADE_TEST_CODEGEN_SWEEP_KERNELRUN_H

#include "clade/abi.h"
#include "lib/CodeGen/CPU/KernelEmitter.h"
#include "lib/CodeGen/CPU/LoadedCode.h"
#include "lib/Reference/Tensor.h"
#include "lib/Weights/Slots.h"
#include "runtime/Formats/Checkpoint.h"
#include "test/CodeGen/GuardedBuffer.h"
#include <deque>

namespace clade::cpu::test {

/// One step of a module: some tokens of each of some sequences.
struct StepTokens {
  std::vector<int32_t> tokens, positions, sequenceOf, firstToken{0}, selected,
      scaledLengths;
  /// Of an entry for images, as in CladeStep.
  std::vector<float> pixels;
  std::vector<int32_t> grids;
  /// Of text of a model with images: the rows of all images, of each token its
  /// row, or -1, and its time, row and column.
  std::vector<float> media;
  std::vector<int32_t> mediaRows, mediaPositions;
  /// Of each token the place of its adapter.
  std::vector<int32_t> adapters;
  /// Of each sequence of the step its number among all.
  std::vector<int32_t> sequences;
  int64_t longestContext = 0;
};

/// Where a kernel is called from.
struct KernelPlace {
  KernelOp kernel;
  const LayerSlots *layer = nullptr; ///< Null outside of layers.
  bool outputIsF32 = false;          ///< It makes the result of the entry.
};

class KernelRunner {
public:
  /// Takes the kernels of the entry of `module`, whose weights are packed, and
  /// their weights out of `checkpoint`; sequences have up to `maxTokens` tokens
  /// each. Null after an error.
  static std::unique_ptr<KernelRunner>
  create(mlir::ModuleOp module, const Target &target, bool referenceRounding,
         const rt::Checkpoint &checkpoint, int64_t numSequences,
         int64_t maxTokens);

  /// Calls a kernel on `inputs`, its operands that are tensors, by `threads`
  /// threads. Returns its results.
  std::vector<std::vector<float>> run(const KernelPlace &place,
                                      const StepTokens &step,
                                      llvm::ArrayRef<reference::Tensor> inputs,
                                      int threads);

private:
  bool compile(bool referenceRounding);
  bool addKernel(mlir::ModuleOp code, KernelEmitter &kernels, KernelOp kernel,
                 llvm::ArrayRef<llvm::StringRef> params, bool outputIsF32,
                 std::vector<std::string> &names);
  bool loadWeights(const rt::Checkpoint &checkpoint);
  void makeStates();
  /// The rows of CladeStep::states for the sequences of a step.
  std::vector<CladeKVState> stateRows(const StepTokens &step,
                                      std::deque<GuardedBuffer> &memory);

  struct State {
    bool isRecurrent = false;
    std::unique_ptr<GuardedBuffer> keys, values;
  };

  mlir::ModuleOp module;
  Target target;
  int64_t numSequences = 0, pagesOfSequence = 0, packedBytesPerRow = 0,
          packedBytesPerSequence = 0;
  SlotTable slots;
  ScratchNeed scratch;
  std::unique_ptr<LoadedCode> loaded;
  llvm::DenseMap<mlir::Operation *, std::string> functions;
  std::deque<GuardedBuffer> weights;
  std::vector<const void *> weightTable;
  std::vector<State> states;
};

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_SWEEP_KERNELRUN_H

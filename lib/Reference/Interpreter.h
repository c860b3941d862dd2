//===- Interpreter.h - Runs the clade dialect by its rules ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The reference interpreter: what a module means, one obvious rule per op
// (Rules.h). It is the oracle for published implementations on one side and for
// passes and kernels on the other. It runs modules before weights are packed.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_REFERENCE_INTERPRETER_H
#define CLADE_LIB_REFERENCE_INTERPRETER_H

#include "lib/Reference/Tensor.h"
#include "mlir/IR/BuiltinOps.h"
#include "runtime/Weights/WeightLoader.h"

#include "runtime/Engine/Images.h"
#include "runtime/Engine/Route.h"

#include <functional>

namespace clade::reference {

/// Some next tokens of one sequence.
struct SequenceChunk {
  /// What addSequence returned; at most one chunk of each in a step.
  int sequence = 0;
  std::vector<int32_t> tokens;
  /// As long as `tokens`: whose outputs the caller wants. Empty for those of
  /// the last token alone.
  std::vector<bool> wanted;
  /// For each token its row of the images, or -1; empty if none has one.
  std::vector<int32_t> mediaRows;
  /// For each token time, row and column; empty for those of a text.
  std::vector<int32_t> mediaPositions;
  /// For each token its type; empty where all are 0.
  std::vector<int32_t> types = {};
  /// Place of the adapter that the sequence has; 0 is none.
  int32_t adapter = 0;
};

/// One result of one op, just computed.
struct Event {
  mlir::Operation *op;
  unsigned resultNumber;
  /// The layer that runs, counted from 0 over its schedule; -1 outside.
  int64_t layer;
  /// An observer may put another value in its place, of the same shape.
  Tensor &value;
};

/// Runs one entry function of a module, step by step, over sequences that it
/// remembers. Errors are diagnostics at the op that fails. Not thread-safe.
class Interpreter {
public:
  /// Loads the weights of `module` from `checkpoint`. `entry` names a function
  /// with the attribute `clade.entry`, from (tokens [token] i32, batch), or
  /// (tokens, types of tokens, batch), to one tensor [selected, …]; empty for
  /// the only one, or 'forward'. The module outlives the interpreter and does
  /// not change.
  static mlir::FailureOr<std::unique_ptr<Interpreter>>
  create(mlir::ModuleOp module, const rt::Checkpoint &checkpoint,
         const rt::LoadOptions &options = {}, llvm::StringRef entry = {});
  ~Interpreter();

  /// Starts a sequence and gives its number. Rotary scalings that depend on
  /// length are fixed for `scaledLength` tokens.
  int addSequence(int64_t scaledLength);

  /// Forgets what a sequence holds; its number is not used again.
  void removeSequence(int sequence);

  /// Tokens that a sequence holds.
  int64_t length(int sequence) const;

  /// Runs `chunks` together: a mix of prefill and decode. Returns one row of
  /// the entry's result for each wanted token, in the order of the chunks.
  /// After an error the sequences are as they were before.
  mlir::FailureOr<std::vector<std::vector<float>>>
  step(llvm::ArrayRef<SequenceChunk> chunks);

  /// Runs the module's entry for images on some, each of whose `fold` patches
  /// gives a row, and keeps the rows for mediaRows of later steps. Gives the
  /// number of the first.
  mlir::FailureOr<int64_t> addImages(const rt::ImagePatches &images,
                                     int64_t fold);
  /// Values of a row of the entry's result.
  int64_t outputWidth() const;

  /// Calls `observer` after each op of each later step; null for none.
  void setObserver(std::function<void(const Event &)> observer);

  /// Calls `router` for each token in each layer with routed experts of each
  /// later step; it may change them. Null for none.
  void
  setRouter(std::function<void(int sequence, const rt::Route &route)> router);

private:
  class Impl;
  explicit Interpreter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl;
};

} // namespace clade::reference

#endif // CLADE_LIB_REFERENCE_INTERPRETER_H

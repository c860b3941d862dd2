//===- Builder.h - From a parsed kernel to its program ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_BUILDER_H
#define CLADE_PTX_BUILDER_H

#include "lib/PTX/Decoder.h"
#include "lib/PTX/Program.h"
#include "lib/PTX/Result.h"

#include <map>
#include <unordered_map>

namespace clade::ptx {

/// Where the loader placed the global and constant variables of a module.
using GlobalAddresses = std::unordered_map<std::string_view, uint64_t>;

/// Decodes a kernel and every function that it can call.
Result<std::shared_ptr<const Program>>
buildProgram(std::shared_ptr<const Module> module, const Function &kernel,
             const GlobalAddresses &globals);

/// What the functions of a program share while they are built.
class ProgramBuilder {
public:
  ProgramBuilder(Program &program, const GlobalAddresses &globals);
  std::optional<Error> build();

  /// The index of a function by name, whose code will be built; -1 if there is
  /// none of the name.
  int32_t use(std::string_view name);
  /// An indirect call: any function may be called.
  void useAll();

  Program &program;
  const GlobalAddresses &globals;
  /// Offsets of the shared variables of the module that are used.
  uint32_t placeShared(const Variable &variable);

private:
  std::vector<size_t> worklist;
  std::map<const Variable *, uint32_t> placed;
  std::vector<const Variable *> dynamic;
};

/// Builds the code of one function.
class CodeBuilder {
public:
  CodeBuilder(ProgramBuilder &parent, Code &code);
  std::optional<Error> build();

  Program &program() { return parent.program; }
  const Module &module() const { return *parent.program.module; }
  const Function &function() const { return *code.function; }

  Slot registerSlot(int32_t id);
  /// A row of 32 values of `width` bytes, or a mask of predicates (width 0).
  Slot constantSlot(unsigned width, uint64_t low, uint64_t high = 0);
  /// A row that no register of the text has.
  Slot temporary(unsigned width);
  /// An op before the one that is decoded.
  void prepend(Op op, std::vector<uint32_t> reads = {});
  ProgramBuilder &parent;
  Code &code;
  /// Offset of a variable of the function in its local memory.
  std::vector<uint64_t> variableOffsets;
  Slot carrySlot; ///< The condition code; the sink until it is used.
  std::vector<uint32_t> sharedOffsets; ///< Of the function's shared variables.

private:
  void placeVariables();
  std::optional<Error> decode(const Instruction &instruction, Op &op);
  void finish(Op &op, Decoder &decoder);
  void resolveTargets();
  void findUnassigned();

  struct Flow {
    std::vector<int32_t> targets;
    bool fallsThrough = true;
  };
  std::vector<Flow> flows;       ///< By op.
  std::vector<uint32_t> firstOp; ///< Of each instruction, and of the end.
  std::map<std::pair<unsigned, std::pair<uint64_t, uint64_t>>, Slot> constants;
  uint32_t current = 0; ///< Index of the instruction that is decoded.
};

// Handlers of hidden ops.
void handleSpecial(Warp &warp, const Op &op, LaneMask exec);
void handleNot(Warp &warp, const Op &op, LaneMask exec);
void handleFrameAddress(Warp &warp, const Op &op, LaneMask exec);
void handleKernelAddress(Warp &warp, const Op &op, LaneMask exec);
void handleReturn(Warp &warp, const Op &op, LaneMask exec);

} // namespace clade::ptx

#endif // CLADE_PTX_BUILDER_H

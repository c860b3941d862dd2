//===- Builder.cpp - From a parsed kernel to its program ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Builder.h"

#include "lib/PTX/Execution.h"

#include <algorithm>
#include <bit>

using namespace clade::ptx;

namespace {

constexpr size_t rowAlignment = 64;

size_t alignUp(size_t value, size_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

/// Bytes of a register's row.
size_t rowBytes(Type type) {
  return type == Type::Pred ? sizeof(LaneMask)
                            : alignUp(sizeOf(type) * warpSize, rowAlignment);
}

} // namespace

//===----------------------------------------------------------------------===//
// Program
//===----------------------------------------------------------------------===//

ProgramBuilder::ProgramBuilder(Program &program, const GlobalAddresses &globals)
    : program(program), globals(globals) {
  program.codes.resize(program.module->functions.size());
  program.sharedEnd = reservedShared;
}

int32_t ProgramBuilder::use(std::string_view name) {
  const Function *function = program.module->findFunction(name);
  if (!function)
    return -1;
  size_t index = function - program.module->functions.data();
  if (!program.codes[index]) {
    program.codes[index] = std::make_unique<Code>();
    program.codes[index]->function = function;
    worklist.push_back(index);
  }
  return int32_t(index);
}

void ProgramBuilder::useAll() {
  for (const Function &function : program.module->functions)
    if (function.hasBody && !function.isKernel)
      use(function.name);
}

uint32_t ProgramBuilder::placeShared(const Variable &variable) {
  auto found = placed.find(&variable);
  if (found != placed.end())
    return found->second;
  if (variable.isUnbounded) {
    // Its place is known when every static variable has one: see build().
    program.dynamicAlignment =
        std::max(program.dynamicAlignment, variable.alignment);
    dynamic.push_back(&variable);
    return 0;
  }
  uint32_t offset = alignUp(program.sharedEnd, variable.alignment);
  program.sharedEnd =
      offset + uint32_t(std::min<uint64_t>(variable.size, 1 << 28));
  program.shared.push_back({variable.name, offset, uint32_t(variable.size)});
  placed[&variable] = offset;
  return offset;
}

std::optional<Error> ProgramBuilder::build() {
  const Module &module = *program.module;
  use(program.kernel->name);
  // Shared variables first, so that the dynamic ones follow all static ones:
  // those of the module that some function of it names, and those of functions.
  // The first pass finds the functions, the second places, the third decodes.
  auto isNamed = [&](const Function &function, std::string_view name) {
    for (const Instruction &instruction : function.instructions)
      for (const Operand &operand : instruction.operands) {
        if (operand.scope == Operand::Scope::Module && operand.name == name)
          return true;
        for (const Operand &element : operand.elements)
          if (element.scope == Operand::Scope::Module && element.name == name)
            return true;
      }
    return false;
  };
  for (size_t i = 0; i < worklist.size(); ++i) {
    const Function &function = *program.codes[worklist[i]]->function;
    for (const Instruction &instruction : function.instructions)
      for (const Operand &operand : instruction.operands)
        if (operand.kind == Operand::Kind::Symbol &&
            operand.scope == Operand::Scope::Module)
          use(operand.name);
        else if (operand.kind == Operand::Kind::Register &&
                 instruction.opcode == "call")
          useAll();
  }
  for (const Variable &variable : module.variables) {
    if (variable.space != Space::Shared)
      continue;
    bool isUsed =
        std::any_of(worklist.begin(), worklist.end(), [&](size_t index) {
          return isNamed(module.functions[index], variable.name);
        });
    if (isUsed)
      placeShared(variable);
  }
  for (size_t index : worklist)
    for (const Variable &variable : module.functions[index].variables)
      if (variable.space == Space::Shared)
        placeShared(variable);
  program.staticShared = program.sharedEnd - reservedShared;
  program.dynamicOffset = alignUp(program.sharedEnd, program.dynamicAlignment);
  for (const Variable *variable : dynamic)
    placed[variable] = program.dynamicOffset;
  for (size_t i = 0; i < worklist.size(); ++i)
    if (auto error = CodeBuilder(*this, *program.codes[worklist[i]]).build())
      return error;
  program.entry = program.codes[program.kernel - module.functions.data()].get();
  return std::nullopt;
}

Result<std::shared_ptr<const Program>>
clade::ptx::buildProgram(std::shared_ptr<const Module> module,
                         const Function &kernel,
                         const GlobalAddresses &globals) {
  auto program = std::make_shared<Program>();
  program->module = std::move(module);
  program->kernel = &kernel;
  if (auto error = ProgramBuilder(*program, globals).build())
    return std::move(*error);
  return std::shared_ptr<const Program>(std::move(program));
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

CodeBuilder::CodeBuilder(ProgramBuilder &parent, Code &code)
    : parent(parent), code(code) {}

Slot CodeBuilder::registerSlot(int32_t id) {
  int32_t &offset = code.registerOffsets[id];
  if (offset == 0) {
    Type type = function().registers[id].type;
    size_t bytes = rowBytes(type);
    code.frameBytes = alignUp(code.frameBytes, std::min(bytes, rowAlignment));
    offset = int32_t(code.frameBytes);
    code.frameBytes += bytes;
  }
  return {offset};
}

Slot CodeBuilder::temporary(unsigned width) {
  size_t bytes =
      width ? alignUp(width * warpSize, rowAlignment) : sizeof(LaneMask);
  code.frameBytes = alignUp(code.frameBytes, std::min(bytes, rowAlignment));
  Slot slot{int32_t(code.frameBytes)};
  code.frameBytes += bytes;
  return slot;
}

Slot CodeBuilder::constantSlot(unsigned width, uint64_t low, uint64_t high) {
  auto [found, isNew] = constants.try_emplace({width, {low, high}});
  if (!isNew)
    return found->second;
  size_t offset =
      alignUp(std::max(code.constants.size(), rowAlignment), rowAlignment);
  if (width == 0) {
    code.constants.resize(offset + sizeof(LaneMask));
    LaneMask mask = low ? allLanes : 0;
    std::memcpy(code.constants.data() + offset, &mask, sizeof(mask));
  } else {
    code.constants.resize(offset + width * warpSize);
    uint64_t words[2] = {low, high};
    for (unsigned i = 0; i < warpSize; ++i)
      std::memcpy(code.constants.data() + offset + i * width, words, width);
  }
  return found->second = Slot{-int32_t(offset)};
}

void CodeBuilder::prepend(Op op, std::vector<uint32_t> reads) {
  op.source = current;
  op.isHidden = true;
  op.counter = parent.program.numCounters++;
  if (!reads.empty()) {
    code.idLists.push_back(std::move(reads));
    op.reads = code.idLists.back().data();
    op.numReads = uint16_t(code.idLists.back().size());
  }
  code.ops.push_back(op);
  flows.emplace_back();
}

/// Local memory: variables of the function, its parameters and results, and
/// those of its calls.
void CodeBuilder::placeVariables() {
  uint64_t offset = 0;
  auto place = [&](uint64_t size, uint64_t alignment) {
    offset = alignUp(offset, std::max<uint64_t>(alignment, 1));
    uint64_t at = offset;
    offset += size;
    return at;
  };
  for (const Variable &variable : function().variables) {
    bool isLocal =
        variable.space == Space::Local || variable.space == Space::Param;
    variableOffsets.push_back(isLocal ? place(variable.size, variable.alignment)
                                      : 0);
    sharedOffsets.push_back(
        variable.space == Space::Shared ? parent.placeShared(variable) : 0);
  }
  if (!function().isKernel) {
    for (const Parameter &parameter : function().parameters)
      code.parameterOffsets.push_back(
          place(parameter.size, parameter.alignment));
    for (const Parameter &result : function().results)
      code.resultOffsets.push_back(place(result.size, result.alignment));
  }
  code.localBytes = alignUp(offset, 16);
}

std::optional<Error> CodeBuilder::decode(const Instruction &instruction,
                                         Op &op) {
  auto failure = [&](std::string message) {
    return Error{std::move(message), module().name, instruction.line,
                 instruction.column};
  };
  const std::vector<DecodeFn> *candidates =
      Registry::get().find(instruction.opcode);
  if (!candidates) {
    std::string known;
    for (std::string_view name : Registry::get().opcodes())
      known += (known.empty() ? "" : ", ") + std::string(name);
    return failure("unknown instruction '" + instruction.fullName() +
                   "'; known are " + known);
  }
  for (DecodeFn candidate : *candidates) {
    op = Op();
    op.source = current;
    Decoder decoder(*this, instruction, op);
    candidate(decoder);
    if (decoder.passed)
      continue;
    if (decoder.error)
      return std::move(*decoder.error);
    finish(op, decoder);
    return std::nullopt;
  }
  return failure("'" + instruction.fullName() + "' is not a form of '" +
                 std::string(instruction.opcode) + "' that the machine knows");
}

void CodeBuilder::finish(Op &op, Decoder &decoder) {
  if (decoder.source.guard >= 0) {
    op.guard = registerSlot(decoder.source.guard);
    op.guardNegated = decoder.source.guardNegated;
    op.guardId = decoder.source.guard;
  }
  op.numSlots = uint16_t(decoder.slots.size());
  for (size_t i = 0; i < std::min<size_t>(4, decoder.slots.size()); ++i)
    op.s[i] = decoder.slots[i];
  code.slotLists.push_back(std::move(decoder.slots));
  op.list = code.slotLists.back().data();
  code.idLists.push_back(std::move(decoder.readIds));
  op.reads = code.idLists.back().data();
  op.numReads = uint16_t(code.idLists.back().size());
  code.idLists.push_back(std::move(decoder.writeIds));
  op.writes = code.idLists.back().data();
  op.numWrites = uint16_t(code.idLists.back().size());
  op.counter = parent.program.numCounters++;
  code.ops.push_back(op);
  flows.push_back(
      {std::move(decoder.targets), decoder.fallsThrough || op.guardId >= 0});
}

std::optional<Error> CodeBuilder::build() {
  const Function &source = function();
  if (!source.hasBody)
    return std::nullopt; // Known by name, or an error where it is called.
  code.registerOffsets.assign(source.registers.size(), 0);
  code.frameBytes = 16 * warpSize; // The sink.
  placeVariables();
  for (current = 0; current < source.instructions.size(); ++current) {
    firstOp.push_back(uint32_t(code.ops.size()));
    Op op;
    if (auto error = decode(source.instructions[current], op))
      return error;
  }
  firstOp.push_back(uint32_t(code.ops.size()));
  Op end;
  end.handler = handleReturn;
  end.kind = Class::Control;
  end.source = source.instructions.empty()
                   ? 0
                   : uint32_t(source.instructions.size() - 1);
  end.counter = parent.program.numCounters++;
  code.ops.push_back(end);
  flows.push_back({{}, false});
  resolveTargets();
  findUnassigned();
  code.frameBytes = alignUp(code.frameBytes, rowAlignment);
  return std::nullopt;
}

void CodeBuilder::resolveTargets() {
  for (size_t i = 0; i < code.ops.size(); ++i) {
    for (int32_t &target : flows[i].targets)
      target = int32_t(firstOp[target]);
    if (!flows[i].targets.empty()) {
      code.ops[i].target = uint32_t(flows[i].targets[0]);
      code.targetLists[uint32_t(i)].assign(flows[i].targets.begin(),
                                           flows[i].targets.end());
    }
  }
}

/// A forward analysis: which registers every path has written. A guarded write
/// counts for the lanes of the guard only and so does not count.
void CodeBuilder::findUnassigned() {
  size_t numOps = code.ops.size();
  size_t words = (function().registers.size() + 63) / 64;
  if (words == 0)
    return;
  std::vector<bool> isLeader(numOps + 1, false);
  isLeader[0] = true;
  for (size_t i = 0; i < numOps; ++i) {
    for (int32_t target : flows[i].targets)
      isLeader[target] = true;
    if (!flows[i].targets.empty() || !flows[i].fallsThrough)
      isLeader[i + 1] = true;
  }
  std::vector<uint32_t> blockOf(numOps);
  std::vector<uint32_t> begins;
  for (size_t i = 0; i < numOps; ++i) {
    if (isLeader[i])
      begins.push_back(uint32_t(i));
    blockOf[i] = uint32_t(begins.size() - 1);
  }
  size_t numBlocks = begins.size();
  begins.push_back(uint32_t(numOps));
  // Known at the begin of a block; all ones: not reached yet.
  std::vector<uint64_t> known(numBlocks * words, ~uint64_t(0));
  std::fill_n(known.begin(), words, 0);
  for (const Parameter &parameter : function().parameters)
    if (parameter.registerId >= 0)
      known[parameter.registerId / 64] |= uint64_t(1)
                                          << (parameter.registerId % 64);
  std::vector<bool> isReached(numBlocks, false);
  std::vector<uint32_t> todo = {0};
  isReached[0] = true;
  std::vector<uint64_t> state(words);
  std::vector<bool> isUnassigned(function().registers.size(), false);
  auto walk = [&](uint32_t block, bool isFinal) {
    std::copy_n(known.begin() + block * words, words, state.begin());
    for (uint32_t i = begins[block]; i < begins[block + 1]; ++i) {
      const Op &op = code.ops[i];
      if (isFinal) {
        for (unsigned r = 0; r < op.numReads; ++r)
          if (!(state[op.reads[r] / 64] >> (op.reads[r] % 64) & 1))
            isUnassigned[op.reads[r]] = true;
        if (op.guardId >= 0 &&
            !(state[op.guardId / 64] >> (op.guardId % 64) & 1))
          isUnassigned[op.guardId] = true;
      }
      if (op.guardId < 0)
        for (unsigned w = 0; w < op.numWrites; ++w)
          state[op.writes[w] / 64] |= uint64_t(1) << (op.writes[w] % 64);
    }
  };
  while (!todo.empty()) {
    uint32_t block = todo.back();
    todo.pop_back();
    walk(block, false);
    uint32_t last = begins[block + 1] - 1;
    auto flowTo = [&](uint32_t target) {
      bool changed = !isReached[target];
      isReached[target] = true;
      for (size_t w = 0; w < words; ++w) {
        uint64_t &word = known[target * words + w];
        uint64_t met = word & state[w];
        changed |= met != word;
        word = met;
      }
      if (changed)
        todo.push_back(target);
    };
    for (int32_t target : flows[last].targets)
      flowTo(blockOf[target]);
    if (flows[last].fallsThrough && last + 1 < numOps)
      flowTo(blockOf[last + 1]);
  }
  for (uint32_t block = 0; block < numBlocks; ++block)
    if (isReached[block])
      walk(block, true);
  for (uint32_t id = 0; id < isUnassigned.size(); ++id)
    if (isUnassigned[id])
      code.maybeUnassigned.push_back(id);
}

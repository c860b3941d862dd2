//===- Program.h - A kernel decoded for execution ---------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A kernel and the functions that it can call, each instruction decoded once
// into a compact record: a handler and the places of its operands in the
// register file of a warp. Immediates are rows of 32 equal values, so that a
// handler reads every operand in the same way.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_PROGRAM_H
#define CLADE_PTX_PROGRAM_H

#include "lib/PTX/Counters.h"
#include "lib/PTX/Module.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace clade::ptx {

/// A bit for each of the 32 threads of a warp.
using LaneMask = uint32_t;
constexpr unsigned warpSize = 32;
constexpr LaneMask allLanes = ~LaneMask(0);

class Warp;
struct Op;
using Handler = void (*)(Warp &, const Op &, LaneMask exec);

/// Where the row of an operand begins: a byte offset into the frame's registers
/// where it is positive or zero, else into the constants of the function
/// (negated). A row holds 32 values of the register's own width (a predicate is
/// one 32-bit mask) and is aligned to 64 bytes. Offset 0 is the sink: a row of
/// 32x16 bytes for results that nobody wants.
struct Slot {
  int32_t offset = 0;
  bool isSink() const { return offset == 0; }
};

/// What an address is relative to, besides its register and its offset.
enum class AddressBase : uint8_t {
  None,
  Frame,  ///< The local memory of the function's frame.
  Kernel, ///< The parameter block of the launch.
};

/// One decoded instruction.
struct Op {
  Handler handler = nullptr;
  /// All operands in the order in which the decoder took them, vectors
  /// expanded; the first four are also in `s`.
  const Slot *list = nullptr;
  Slot s[4];
  uint16_t numSlots = 0;
  bool guardNegated = false;
  /// Part of the instruction of the next op: not counted by itself.
  bool isHidden = false;
  Class kind = Class::Other;
  Slot guard; ///< The sink where there is none.
  Type type = Type::None;
  Space space = Space::Generic;
  AddressBase base = AddressBase::None;
  /// Bytes of the address register; 0 where the address has none.
  uint8_t addressBytes = 0;
  uint8_t vector = 1;               ///< Elements of .v2, .v4, .v8.
  uint8_t flags = 0;                ///< Of the family that decoded it.
  uint8_t widths[4] = {0, 0, 0, 0}; ///< Bytes of the registers in `s`.
  /// Rules for values that were never initialised: see Decoder.
  uint8_t poison = 0;
  uint32_t source = 0;          ///< Index of Function::instructions.
  uint32_t counter = 0;         ///< Index of the launch's counters.
  int64_t offset = 0;           ///< Added to an address; or a value.
  uint32_t target = 0;          ///< Of a branch: an index of Code::ops.
  uint64_t extra = 0;           ///< Of the family.
  const void *record = nullptr; ///< Of the family, kept by Program::records.
  /// Registers that are read and written, for values never initialised.
  const uint32_t *reads = nullptr;
  const uint32_t *writes = nullptr;
  uint16_t numReads = 0;
  uint16_t numWrites = 0;
  int32_t guardId = -1; ///< The register of the guard.
};

/// A function's code.
struct Code {
  const Function *function = nullptr;
  /// One an instruction, some with a hidden one before (a special register as
  /// an operand), and an implied `ret` at the end.
  std::vector<Op> ops;
  std::vector<std::byte> constants;     ///< Rows; the first is at offset 64.
  size_t frameBytes = 0;                ///< Of the registers of a frame.
  std::vector<int32_t> registerOffsets; ///< Of each register's row.
  uint64_t localBytes = 0; ///< A thread's local memory: .local and .param.
  /// Offset in the frame's local memory of each parameter and result of a
  /// function (not of a kernel).
  std::vector<uint64_t> parameterOffsets;
  std::vector<uint64_t> resultOffsets;
  /// Registers that some path reads before it writes them.
  std::vector<uint32_t> maybeUnassigned;
  /// Targets of an op with several (brx.idx), by its index.
  std::map<uint32_t, std::vector<uint32_t>> targetLists;
  /// Storage behind the pointers of the ops.
  std::deque<std::vector<Slot>> slotLists;
  std::deque<std::vector<uint32_t>> idLists;
};

/// A variable of shared memory, placed.
struct SharedVariable {
  std::string_view name;
  uint32_t offset;
  uint32_t size;
};

/// A kernel with everything that it can call.
struct Program {
  std::shared_ptr<const Module> module;
  const Function *kernel = nullptr;
  /// By index of Module::functions; null where the kernel cannot get there.
  std::vector<std::unique_ptr<Code>> codes;
  const Code *entry = nullptr;        ///< The kernel's.
  std::vector<SharedVariable> shared; ///< By offset.
  uint32_t staticShared = 0;          ///< Bytes, without the reserved ones.
  uint32_t sharedEnd = 0;             ///< Where the static variables end.
  uint32_t dynamicOffset = 0;         ///< Where dynamic shared memory begins.
  uint32_t dynamicAlignment = 16;
  uint32_t numCounters = 0;
  /// Records of families (Op::record).
  std::vector<std::shared_ptr<void>> records;

  const Instruction &instruction(const Code &code, const Op &op) const {
    return code.function->instructions[op.source];
  }
};

} // namespace clade::ptx

#endif // CLADE_PTX_PROGRAM_H

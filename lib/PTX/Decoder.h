//===- Decoder.h - How an instruction family decodes ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// To add instructions: write Instructions/NAME.cpp with handlers, decode
// functions and `void addNAME(Registry &)`, and name it in Registry.cpp.
//
//   static void decodeBrev(Decoder &d) {
//     Type type = d.expectType({Type::B32, Type::B64});
//     d.finishModifiers();
//     d.result(0, type);
//     d.value(1, type);
//     d.use(type == Type::B32 ? brev<uint32_t> : brev<uint64_t>,
//           Class::Integer);
//   }
//   void addBits(Registry &r) { r.add("brev", decodeBrev); }
//
// The first error that is reported stays; a decode function need not stop at
// it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_DECODER_H
#define CLADE_PTX_DECODER_H

#include "lib/PTX/Program.h"
#include "lib/PTX/Result.h"

#include <initializer_list>
#include <map>
#include <optional>

namespace clade::ptx {

class Decoder;
class CodeBuilder;
using DecodeFn = void (*)(Decoder &);

/// Every instruction that the machine has, by opcode. Several functions may
/// share an opcode (`cvt`): they are asked in the order in which they were
/// added, and one that calls Decoder::pass() gives the turn to the next.
class Registry {
public:
  void add(std::string_view opcode, DecodeFn decode);
  const std::vector<DecodeFn> *find(std::string_view opcode) const;
  std::vector<std::string_view> opcodes() const;
  static const Registry &get();

private:
  std::map<std::string_view, std::vector<DecodeFn>> entries;
};

/// Rules for values that were never initialised ("poison"). By default a result
/// is poison in the lanes in which an operand is.
enum PoisonRule : uint8_t {
  /// A lane's result depends on other lanes': poison in any makes all poison.
  PoisonCrossLane = 1,
  /// The handler sets the poison of its results itself.
  PoisonByHandler = 2,
  /// Using poison here is a finding: it decides what happens.
  PoisonIsFinding = 4,
  /// The results are good whatever the operands (`xor r, a, a`; activemask).
  PoisonNever = 8,
};

/// One instruction while it is decoded.
class Decoder {
public:
  Decoder(CodeBuilder &builder, const Instruction &source, Op &op);

  const Instruction &source;
  Op &op;

  //===--- Modifiers, in the order in which they are written ---===//

  /// Whether the next modifier is `name`; takes it.
  bool take(std::string_view name);
  /// Whether a modifier that is not yet taken is `name`; takes it.
  bool takeAnywhere(std::string_view name);
  /// The index of the next modifier in `names`, which is taken, or nothing.
  std::optional<unsigned>
  takeOneOf(std::initializer_list<std::string_view> names);
  /// The next modifier as a type, where it is one.
  std::optional<Type> takeType();
  /// As takeType; an error if there is none, or none of `allowed`.
  Type expectType(std::initializer_list<Type> allowed);
  /// The next modifier without taking it; empty at the end.
  std::string_view peek() const;
  void advance();
  /// An error if modifiers are left.
  void finishModifiers();

  //===--- Operands ---===//

  unsigned numOperands() const { return source.operands.size(); }
  const Operand &operand(unsigned i) const;
  /// An error unless there are so many.
  bool expectOperands(unsigned least, unsigned most);
  bool expectOperands(unsigned exactly) {
    return expectOperands(exactly, exactly);
  }

  /// Appends operand `i` to the op's slots as a destination of the type: a
  /// register of the type's width, a vector of such, or "_". With `orWider` a
  /// register may be wider (ld, cvt). With `alsoRead` it is read too.
  void result(unsigned i, Type type, bool orWider = false,
              bool alsoRead = false);
  /// Appends operand `i` as a source: a register, a vector, an immediate, the
  /// address of a symbol.
  void value(unsigned i, Type type, bool orWider = false);
  void value(const Operand &operand, Type type, bool orWider = false);
  void result(const Operand &operand, Type type, bool orWider = false,
              bool alsoRead = false);
  /// Appends a row with the value in all lanes.
  void constant(Type type, uint64_t bits);
  /// Appends the sink.
  void sink();
  /// Appends the condition code of carry chains (CC.CF), a mask of the frame.
  void carry();
  /// Appends the base of an address operand and sets `op.offset`, `op.base`
  /// and `op.addressBytes`. `space` is where it points; a symbol must be there.
  /// For a second address of an instruction see `secondAddress`.
  void address(unsigned i, Space space);
  /// As `address`, with everything folded into one row: a hidden add before the
  /// op is not needed since the offset is given back.
  struct AddressParts {
    Slot slot;
    uint8_t bytes = 0;
    AddressBase base = AddressBase::None;
    int64_t offset = 0;
  };
  AddressParts addressParts(const Operand &operand, Space space);
  /// The value of an immediate operand; an error if it is none.
  uint64_t immediate(unsigned i);
  /// Whether the op is of a kernel rather than of a function that it calls.
  bool inKernel() const;
  /// Bytes of the kernel's parameters.
  uint64_t parameterBytes() const;
  /// Bytes of the register of an operand; 0 where it is none.
  unsigned width(const Operand &operand) const;
  /// The place of an operand without appending it: for families that keep their
  /// own record of operands. It counts as read or written.
  Slot sourceSlot(const Operand &operand, Type type, bool orWider = false);
  Slot resultSlot(const Operand &operand, Type type, bool orWider = false,
                  bool alsoRead = false);

  //===--- Control flow ---===//

  /// The op branches to the label that operand `i` names (`op.target` is set
  /// when all labels are placed).
  void branchTo(const Operand &operand);
  /// The op never falls through to the next one.
  void endsPath();

  //===--- The outcome ---===//

  void use(Handler handler, Class kind);
  void setPoison(uint8_t rules) { op.poison = rules; }
  /// Keeps a record for the program's life, for `op.record`.
  template <typename T> T *keep(T record) {
    auto held = std::make_shared<T>(std::move(record));
    T *pointer = held.get();
    keepRecord(std::move(held));
    return pointer;
  }
  /// This function does not know the form; another of the opcode may.
  void pass() { passed = true; }
  /// The instruction is not right, or not known: why.
  void fail(std::string message, unsigned column = 0);
  bool hasFailed() const { return error.has_value(); }

  CodeBuilder &builder;
  std::optional<Error> error;
  bool passed = false;
  /// Where an op may go besides the next one: indices of instructions.
  std::vector<int32_t> targets;
  bool fallsThrough = true;

private:
  void keepRecord(std::shared_ptr<void> record);
  void append(Slot slot, unsigned width);
  void failOperand(const Operand &operand, Type type);
  Slot symbolSlot(const Operand &operand, Type type);

  size_t nextModifier = 0;
  std::vector<bool> taken;
  friend class CodeBuilder;
  std::vector<Slot> slots;
  std::vector<uint32_t> readIds;
  std::vector<uint32_t> writeIds;
};

// The families; each is in its file of Instructions/.
void addArithmetic(Registry &);
void addAsync(Registry &);
void addAtomic(Registry &);
void addBarrier(Registry &);
void addCompare(Registry &);
void addControl(Registry &);
void addConvert(Registry &);
void addConvertNarrow(Registry &);
void addFloat(Registry &);
void addHalf(Registry &);
void addLogic(Registry &);
void addMatrix(Registry &);
void addMemory(Registry &);
void addMove(Registry &);
void addVideo(Registry &);
void addExchange(Registry &);

} // namespace clade::ptx

#endif // CLADE_PTX_DECODER_H

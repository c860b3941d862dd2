//===- Decoder.cpp - How an instruction family decodes --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Decoder.h"

#include "lib/PTX/Builder.h"
#include "lib/PTX/Execution.h"

#include <algorithm>
#include <bit>

using namespace clade::ptx;

Decoder::Decoder(CodeBuilder &builder, const Instruction &source, Op &op)
    : source(source), op(op), builder(builder),
      taken(source.modifiers.size(), false) {}

void Decoder::fail(std::string message, unsigned column) {
  if (!error)
    error = Error{"'" + source.fullName() + "': " + std::move(message),
                  builder.module().name, source.line,
                  column ? column : source.column};
}

//===----------------------------------------------------------------------===//
// Modifiers
//===----------------------------------------------------------------------===//

std::string_view Decoder::peek() const {
  size_t i = nextModifier;
  while (i < taken.size() && taken[i])
    ++i;
  return i < taken.size() ? source.modifiers[i] : std::string_view();
}

void Decoder::advance() {
  while (nextModifier < taken.size() && taken[nextModifier])
    ++nextModifier;
  if (nextModifier < taken.size())
    taken[nextModifier++] = true;
}

bool Decoder::take(std::string_view name) {
  if (name.empty() || peek() != name)
    return false;
  advance();
  return true;
}

bool Decoder::takeAnywhere(std::string_view name) {
  for (size_t i = 0; i < taken.size(); ++i)
    if (!taken[i] && source.modifiers[i] == name) {
      taken[i] = true;
      return true;
    }
  return false;
}

std::optional<unsigned>
Decoder::takeOneOf(std::initializer_list<std::string_view> names) {
  unsigned index = 0;
  for (std::string_view name : names) {
    if (take(name))
      return index;
    ++index;
  }
  return std::nullopt;
}

std::optional<Type> Decoder::takeType() {
  std::optional<Type> type = typeNamed(peek());
  if (type)
    advance();
  return type;
}

Type Decoder::expectType(std::initializer_list<Type> allowed) {
  std::string_view found = peek();
  std::optional<Type> type = takeType();
  if (type && std::find(allowed.begin(), allowed.end(), *type) != allowed.end())
    return *type;
  std::string list;
  for (Type one : allowed)
    list += (list.empty() ? "." : ", .") + std::string(nameOf(one));
  fail("expected one of the types " + list + ", found " +
       (found.empty() ? "none" : "'." + std::string(found) + "'"));
  return allowed.size() ? *allowed.begin() : Type::B32;
}

void Decoder::finishModifiers() {
  std::string_view rest = peek();
  if (!rest.empty())
    fail("modifier '." + std::string(rest) + "' is not known here");
}

//===----------------------------------------------------------------------===//
// Operands
//===----------------------------------------------------------------------===//

const Operand &Decoder::operand(unsigned i) const {
  static const Operand none;
  return i < source.operands.size() ? source.operands[i] : none;
}

bool Decoder::expectOperands(unsigned least, unsigned most) {
  unsigned found = numOperands();
  if (found >= least && found <= most)
    return true;
  std::string wanted = std::to_string(least);
  if (least != most)
    wanted += " to " + std::to_string(most);
  fail("expected " + wanted + " operands, found " + std::to_string(found));
  return false;
}

bool Decoder::inKernel() const { return builder.function().isKernel; }

uint64_t Decoder::parameterBytes() const {
  return builder.function().parameterBytes;
}

unsigned Decoder::width(const Operand &operand) const {
  if (!operand.isRegister())
    return 0;
  return sizeOf(builder.function().registers[operand.id].type);
}

void Decoder::append(Slot slot, unsigned width) {
  if (slots.size() < 4)
    op.widths[slots.size()] = uint8_t(width);
  slots.push_back(slot);
}

void Decoder::failOperand(const Operand &operand, Type type) {
  std::string wanted =
      type == Type::Pred ? "a predicate"
                         : "a register of " + std::to_string(8 * sizeOf(type)) +
                               " bits for ." + std::string(nameOf(type));
  std::string found = "another operand";
  switch (operand.kind) {
  case Operand::Kind::None:
    found = "none";
    break;
  case Operand::Kind::Register: {
    const Register &reg = builder.function().registers[operand.id];
    found = "'" + reg.str() + "' (." + std::string(nameOf(reg.type)) + ")";
    break;
  }
  case Operand::Kind::Vector:
    found = "a vector";
    break;
  case Operand::Kind::Address:
    found = "an address";
    break;
  case Operand::Kind::Immediate:
    found = "a number";
    break;
  case Operand::Kind::Label:
  case Operand::Kind::Symbol:
    found = "'" + std::string(operand.name) + "'";
    break;
  default:
    break;
  }
  fail("expected " + wanted + ", found " + found, operand.column);
}

Slot Decoder::resultSlot(const Operand &operand, Type type, bool orWider,
                         bool alsoRead) {
  if (operand.kind == Operand::Kind::Sink)
    return {};
  if (!operand.isRegister() || operand.isNegated) {
    failOperand(operand, type);
    return {};
  }
  Type found = builder.function().registers[operand.id].type;
  bool isPredicate = type == Type::Pred;
  bool isGood = (found == Type::Pred) == isPredicate &&
                (isPredicate || sizeOf(found) == sizeOf(type) ||
                 (orWider && sizeOf(found) > sizeOf(type)));
  if (!isGood) {
    failOperand(operand, type);
    return {};
  }
  writeIds.push_back(operand.id);
  if (alsoRead)
    readIds.push_back(operand.id);
  return builder.registerSlot(operand.id);
}

void Decoder::result(const Operand &operand, Type type, bool orWider,
                     bool alsoRead) {
  if (operand.kind == Operand::Kind::Vector) {
    for (const Operand &element : operand.elements)
      result(element, type, orWider, alsoRead);
    return;
  }
  unsigned bytes = width(operand);
  append(resultSlot(operand, type, orWider, alsoRead),
         bytes ? bytes : sizeOf(type));
}

void Decoder::result(unsigned i, Type type, bool orWider, bool alsoRead) {
  result(operand(i), type, orWider, alsoRead);
}

/// The address of a variable, a parameter or a function as a value.
Slot Decoder::symbolSlot(const Operand &operand, Type type) {
  unsigned bytes = sizeOf(type);
  if (bytes < 4 || bytes > 8) {
    fail("the address of '" + std::string(operand.name) +
             "' needs 32 or 64 bits",
         operand.column);
    return {};
  }
  if (operand.scope == Operand::Scope::Module)
    if (int32_t index = builder.parent.use(operand.name); index >= 0)
      return builder.constantSlot(bytes, functionWindow + uint64_t(index) +
                                             operand.offset);
  Operand address = operand;
  address.kind = Operand::Kind::Address;
  address.base = Operand::Kind::Symbol;
  AddressParts parts = addressParts(address, Space::Register);
  if (parts.base == AddressBase::None)
    return builder.constantSlot(bytes, uint64_t(parts.offset));
  Op hidden;
  hidden.handler = parts.base == AddressBase::Frame ? handleFrameAddress
                                                    : handleKernelAddress;
  hidden.kind = Class::Move;
  hidden.offset = parts.offset;
  hidden.widths[0] = uint8_t(bytes);
  hidden.s[0] = builder.temporary(bytes);
  builder.prepend(hidden);
  return hidden.s[0];
}

Slot Decoder::sourceSlot(const Operand &operand, Type type, bool orWider) {
  unsigned bytes = sizeOf(type);
  bool isPredicate = type == Type::Pred;
  switch (operand.kind) {
  case Operand::Kind::Register: {
    Type found = builder.function().registers[operand.id].type;
    bool isGood = (found == Type::Pred) == isPredicate &&
                  (isPredicate || sizeOf(found) == bytes ||
                   (orWider && sizeOf(found) > bytes)) &&
                  (isPredicate || !operand.isNegated);
    if (!isGood)
      break;
    readIds.push_back(operand.id);
    Slot slot = builder.registerSlot(operand.id);
    if (!operand.isNegated)
      return slot;
    Op hidden;
    hidden.handler = handleNot;
    hidden.kind = Class::Move;
    hidden.s[1] = slot;
    hidden.s[0] = builder.temporary(0);
    builder.prepend(hidden, {uint32_t(operand.id)});
    return hidden.s[0];
  }
  case Operand::Kind::Immediate: {
    uint64_t bits = operand.bits;
    if (isPredicate)
      return builder.constantSlot(0, (bits != 0) != operand.isNegated);
    bool isWide = type == Type::F64;
    switch (operand.immediate) {
    case Operand::Form::Integer:
      if (type == Type::F32)
        bits = std::bit_cast<uint32_t>(float(int64_t(bits)));
      else if (isWide)
        bits = std::bit_cast<uint64_t>(double(int64_t(bits)));
      break;
    case Operand::Form::Float32:
      if (isWide || bytes == 8)
        bits = std::bit_cast<uint64_t>(
            double(std::bit_cast<float>(uint32_t(bits))));
      else if (bytes != 4)
        return fail("a 32-bit float does not fit ." + std::string(nameOf(type)),
                    operand.column),
               Slot();
      break;
    case Operand::Form::Float64:
      if (bytes == 4)
        bits = std::bit_cast<uint32_t>(float(std::bit_cast<double>(bits)));
      else if (bytes != 8)
        return fail("a 64-bit float does not fit ." + std::string(nameOf(type)),
                    operand.column),
               Slot();
      break;
    }
    if (bytes < 8)
      bits &= (uint64_t(1) << (8 * bytes)) - 1;
    return builder.constantSlot(
        bytes, bits, bytes == 16 && int64_t(bits) < 0 ? ~uint64_t(0) : 0);
  }
  case Operand::Kind::Special: {
    if (bytes < 4 || isPredicate)
      break;
    Op hidden;
    hidden.handler = handleSpecial;
    hidden.kind = Class::Move;
    hidden.extra = uint64_t(operand.special);
    hidden.widths[0] = uint8_t(bytes);
    hidden.s[0] = builder.temporary(bytes);
    builder.prepend(hidden);
    return hidden.s[0];
  }
  case Operand::Kind::Symbol:
    if (operand.scope == Operand::Scope::Targets ||
        operand.scope == Operand::Scope::Prototype)
      break;
    return symbolSlot(operand, type);
  default:
    break;
  }
  failOperand(operand, type);
  return {};
}

void Decoder::value(const Operand &operand, Type type, bool orWider) {
  if (operand.kind == Operand::Kind::Vector) {
    for (const Operand &element : operand.elements)
      value(element, type, orWider);
    return;
  }
  unsigned bytes = width(operand);
  append(sourceSlot(operand, type, orWider), bytes ? bytes : sizeOf(type));
}

void Decoder::value(unsigned i, Type type, bool orWider) {
  value(operand(i), type, orWider);
}

void Decoder::constant(Type type, uint64_t bits) {
  append(builder.constantSlot(type == Type::Pred ? 0 : sizeOf(type), bits),
         sizeOf(type));
}

void Decoder::sink() { append({}, 0); }

void Decoder::carry() {
  Slot &slot = builder.carrySlot;
  if (slot.isSink())
    slot = builder.temporary(0);
  append(slot, 0);
}

uint64_t Decoder::immediate(unsigned i) {
  const Operand &found = operand(i);
  if (found.kind != Operand::Kind::Immediate ||
      found.immediate != Operand::Form::Integer)
    fail("operand " + std::to_string(i + 1) + " must be a number",
         found.column);
  return found.bits;
}

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

Decoder::AddressParts Decoder::addressParts(const Operand &operand,
                                            Space space) {
  AddressParts parts;
  parts.offset = operand.offset;
  const Function &function = builder.function();
  // `Register` asks for a symbol's address in its own space.
  bool isAnySpace = space == Space::Register;
  auto expectSpace = [&](Space found) {
    bool isGood = isAnySpace || space == Space::Generic || space == found;
    if (!isGood)
      fail("'" + std::string(operand.name) + "' is in " +
               std::string(nameOf(found)) + " memory, not in " +
               std::string(nameOf(space)) + " memory",
           operand.column);
  };
  if (operand.kind != Operand::Kind::Address) {
    fail("expected an address in brackets", operand.column);
    return parts;
  }
  if (operand.base == Operand::Kind::Register) {
    Type type = function.registers[operand.id].type;
    parts.bytes = uint8_t(sizeOf(type));
    if (type == Type::Pred || (parts.bytes != 4 && parts.bytes != 8))
      fail("an address needs a register of 32 or 64 bits", operand.column);
    readIds.push_back(operand.id);
    parts.slot = builder.registerSlot(operand.id);
    return parts;
  }
  if (operand.base == Operand::Kind::Immediate) {
    parts.offset += int64_t(operand.bits);
    return parts;
  }
  auto addVariable = [&](const Variable &variable, uint64_t local,
                         uint32_t shared) {
    expectSpace(variable.space);
    switch (variable.space) {
    case Space::Shared:
      parts.offset +=
          shared + (space == Space::Generic ? int64_t(sharedWindow) : 0);
      return;
    case Space::Local:
    case Space::Param:
      parts.base = AddressBase::Frame;
      parts.offset +=
          int64_t(local) + (space == Space::Generic ? int64_t(localWindow) : 0);
      return;
    default: {
      auto found = builder.parent.globals.find(variable.name);
      if (found == builder.parent.globals.end())
        return fail("'" + std::string(variable.name) +
                        "' is declared but not defined in the module",
                    operand.column);
      parts.offset += int64_t(found->second);
      return;
    }
    }
  };
  switch (operand.scope) {
  case Operand::Scope::Variable:
    addVariable(function.variables[operand.id],
                builder.variableOffsets[operand.id],
                builder.sharedOffsets[operand.id]);
    return parts;
  case Operand::Scope::Parameter:
    expectSpace(Space::Param);
    if (function.isKernel) {
      parts.base = AddressBase::Kernel;
      parts.offset += int64_t(function.parameters[operand.id].offset);
    } else {
      parts.base = AddressBase::Frame;
      parts.offset += int64_t(builder.code.parameterOffsets[operand.id]);
    }
    return parts;
  case Operand::Scope::Result:
    expectSpace(Space::Param);
    parts.base = AddressBase::Frame;
    parts.offset += int64_t(builder.code.resultOffsets[operand.id]);
    return parts;
  case Operand::Scope::Module:
    if (const Variable *variable =
            builder.module().findVariable(operand.name)) {
      addVariable(*variable, 0,
                  variable->space == Space::Shared
                      ? builder.parent.placeShared(*variable)
                      : 0);
      return parts;
    }
    break;
  default:
    break;
  }
  fail("'" + std::string(operand.name) + "' is no variable", operand.column);
  return parts;
}

void Decoder::address(unsigned i, Space space) {
  AddressParts parts = addressParts(operand(i), space);
  op.base = parts.base;
  op.offset = parts.offset;
  op.addressBytes = parts.bytes;
  op.space = space;
  append(parts.slot, parts.bytes);
}

//===----------------------------------------------------------------------===//
// The outcome
//===----------------------------------------------------------------------===//

void Decoder::use(Handler handler, Class kind) {
  op.handler = handler;
  op.kind = kind;
}

void Decoder::branchTo(const Operand &operand) {
  if (operand.kind == Operand::Kind::Label)
    targets.push_back(operand.id);
  else
    fail("expected a label", operand.column);
}

void Decoder::endsPath() { fallsThrough = false; }

void Decoder::keepRecord(std::shared_ptr<void> record) {
  builder.program().records.push_back(std::move(record));
}

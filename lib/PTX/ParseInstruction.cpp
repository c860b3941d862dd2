//===- ParseInstruction.cpp - Instructions and their operands -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/ParserState.h"

#include <algorithm>

using namespace clade::ptx;

namespace {

constexpr unsigned deepest = 16;
/// wgmma has 128 registers in a vector; tcgen05 256.
constexpr size_t mostElements = 1024;

} // namespace

std::optional<Parser::RegisterRange>
Parser::findRegister(std::string_view name) const {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
    if (auto found = scope->registers.find(name);
        found != scope->registers.end())
      return found->second;
  return std::nullopt;
}

std::optional<Parser::Named> Parser::findName(std::string_view name) const {
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope)
    if (auto found = scope->names.find(name); found != scope->names.end())
      return found->second;
  return std::nullopt;
}

/// Makes `operand` the register of a name, if it names one: "%p" itself, or
/// "%r12" of ".reg %r<20>".
bool Parser::resolveRegister(std::string_view name, Operand &operand) {
  if (auto range = findRegister(name); range && !range->isNumbered) {
    operand.kind = Operand::Kind::Register;
    operand.id = range->first;
    if (range->vector > 1) {
      // The elements of a vector register, or with ".y" one of them.
      operand.kind = Operand::Kind::Vector;
      for (unsigned i = 0; i < range->vector; ++i) {
        Operand element;
        element.kind = Operand::Kind::Register;
        element.id = range->first + int32_t(i);
        operand.elements.push_back(element);
      }
    }
    return true;
  }
  size_t digits = name.size();
  while (digits > 0 && name[digits - 1] >= '0' && name[digits - 1] <= '9')
    --digits;
  if (digits == name.size() || digits == 0 || name.size() - digits > 7)
    return false;
  // "%r1<4>" has the prefix "%r1": the longest prefix that fits.
  for (size_t split = digits; split < name.size(); ++split) {
    if (name[split] == '0' && split + 1 < name.size())
      continue;
    auto range = findRegister(name.substr(0, split));
    if (!range || !range->isNumbered)
      continue;
    int32_t number = 0;
    for (char c : name.substr(split))
      number = number * 10 + (c - '0');
    if (number >= range->count)
      continue;
    operand.kind = Operand::Kind::Register;
    operand.id = range->first + number * int32_t(range->vector);
    return true;
  }
  return false;
}

Operand Parser::parseNamed() {
  Operand operand;
  operand.column = token.column;
  Token place = token;
  std::string_view name = token.text;
  advance();
  if (name == "_") {
    operand.kind = Operand::Kind::Sink;
    return operand;
  }
  if (resolveRegister(name, operand)) {
    if (operand.kind == Operand::Kind::Vector && token.isDotted()) {
      static constexpr std::string_view names[][2] = {
          {".x", ".r"}, {".y", ".g"}, {".z", ".b"}, {".w", ".a"}};
      for (size_t i = 0; i < operand.elements.size(); ++i)
        if (at(names[i][0]) || at(names[i][1])) {
          advance();
          Operand element = operand.elements[i];
          element.column = operand.column;
          return element;
        }
      failExpected("an element of a vector register");
    }
    return operand;
  }
  if (name[0] == '%') {
    std::string full(name);
    bool hasComponent =
        token.isDotted() && (at(".x") || at(".y") || at(".z") || at(".w"));
    if (hasComponent) {
      full += token.text;
      advance();
    }
    if (auto special = specialNamed(full)) {
      operand.kind = Operand::Kind::Special;
      operand.special = *special;
      return operand;
    }
    fail(place, "unknown register '" + full + "'");
    return operand;
  }
  if (name == "WARP_SZ") {
    operand.kind = Operand::Kind::Immediate;
    operand.bits = 32;
    return operand;
  }
  operand.kind = Operand::Kind::Symbol;
  operand.name = name;
  if (auto named = findName(name)) {
    operand.scope = named->scope;
    operand.id = named->id;
  }
  if (at("+") || at("-"))
    operand.offset = parseExpression();
  return operand;
}

Operand Parser::parseNumber() {
  Operand operand;
  operand.kind = Operand::Kind::Immediate;
  operand.column = token.column;
  bool isNegative = at("-") && (ahead.kind == Token::Kind::Float32 ||
                                ahead.kind == Token::Kind::Float64);
  if (isNegative)
    advance();
  if (token.kind == Token::Kind::Float32 ||
      token.kind == Token::Kind::Float64) {
    bool isSingle = token.kind == Token::Kind::Float32;
    operand.immediate =
        isSingle ? Operand::Form::Float32 : Operand::Form::Float64;
    operand.bits = token.bits;
    if (isNegative)
      operand.bits ^= uint64_t(1) << (isSingle ? 31 : 63);
    advance();
    return operand;
  }
  operand.bits = uint64_t(parseExpression());
  return operand;
}

/// "{a, b}", or the rest of an address after its '['.
Operand Parser::parseVector(std::string_view close, unsigned depth) {
  Operand operand;
  operand.kind = Operand::Kind::Vector;
  operand.column = token.column;
  advance();
  if (accept(close))
    return operand;
  do {
    if (operand.elements.size() >= mostElements) {
      fail(token, "more than " + std::to_string(mostElements) + " elements");
      return operand;
    }
    operand.elements.push_back(parseOperand(depth + 1));
  } while (accept(","));
  expect(close, "or ',' after an operand");
  return operand;
}

/// "[%rd1+8]", "[name]", "[name+4]", "[16]", and with coordinates
/// "[%rd1, {%r1, %r2}]".
Operand Parser::parseAddress(unsigned depth) {
  Operand operand;
  operand.kind = Operand::Kind::Address;
  operand.column = token.column;
  advance(); // '['
  Operand base = token.isWord() ? parseNamed() : parseNumber();
  operand.base = base.kind;
  operand.id = base.id;
  operand.bits = base.bits;
  operand.name = base.name;
  operand.scope = base.scope;
  operand.offset = base.offset;
  if (base.kind == Operand::Kind::Register && (at("+") || at("-")))
    operand.offset = parseExpression();
  bool isGood = base.kind == Operand::Kind::Register ||
                base.kind == Operand::Kind::Symbol ||
                (base.kind == Operand::Kind::Immediate &&
                 base.immediate == Operand::Form::Integer);
  if (!isGood && !error)
    fail(token, "expected a register, a name or a number as an address");
  while (accept(","))
    operand.elements.push_back(parseOperand(depth + 1));
  expect("]", "after an address");
  return operand;
}

Operand Parser::parseOperand(unsigned depth) {
  if (depth > deepest) {
    fail(token, "operands nest too deeply");
    return {};
  }
  if (at("{"))
    return parseVector("}", depth);
  if (at("["))
    return parseAddress(depth);
  bool isNegated = false;
  if ((at("!") || at("-")) && ahead.isWord()) {
    isNegated = true;
    advance();
  }
  if (token.isWord()) {
    Operand operand = parseNamed();
    operand.isNegated = isNegated;
    if (accept("|")) // setp, shfl, elect: a second result.
      operand.elements.push_back(parseOperand(depth + 1));
    return operand;
  }
  if (token.isNumber() || at("-") || at("(") || at("~") || at("!") || at("+"))
    return parseNumber();
  failExpected("an operand");
  return {};
}

/// Notes the names of an instruction that may be labels further down.
void Parser::notePending(const Instruction &instruction) {
  int32_t index = int32_t(function->instructions.size());
  auto note = [&](const Operand &operand, int32_t i, int32_t element) {
    bool isSymbol = operand.kind == Operand::Kind::Symbol ||
                    (operand.kind == Operand::Kind::Address &&
                     operand.base == Operand::Kind::Symbol);
    if (isSymbol && operand.scope == Operand::Scope::Module)
      scopes.back().pending.push_back(
          {operand.name, index, i, element, instruction.line, operand.column});
  };
  for (size_t i = 0; i < instruction.operands.size(); ++i) {
    const Operand &operand = instruction.operands[i];
    note(operand, int32_t(i), -1);
    for (size_t j = 0; j < operand.elements.size(); ++j)
      note(operand.elements[j], int32_t(i), int32_t(j));
  }
}

Operand Parser::parseCallList() {
  if (at("("))
    return parseVector(")", 0);
  failExpected("'(' before the arguments of a call");
  return {};
}

/// "call (results), callee, (arguments), prototype", in which results,
/// arguments and prototype may be missing.
void Parser::parseCall(Instruction &instruction) {
  Operand results, arguments, list;
  results.kind = arguments.kind = Operand::Kind::Vector;
  if (at("(")) {
    results = parseCallList();
    expect(",", "after the results of a call");
  }
  Operand callee = parseOperand();
  if (accept(",")) {
    if (at("(")) {
      arguments = parseCallList();
      if (accept(","))
        list = parseOperand();
    } else {
      list = parseOperand();
    }
  }
  instruction.operands = {std::move(results), std::move(callee),
                          std::move(arguments), std::move(list)};
}

void Parser::parseInstruction() {
  Instruction instruction;
  instruction.line = token.line;
  instruction.column = token.column;
  instruction.location = location;
  if (accept("@")) {
    instruction.guardNegated = accept("!");
    Token place = token;
    Operand guard;
    std::string_view name = expectName("a predicate register after '@'");
    if (!error && (!resolveRegister(name, guard) ||
                   guard.kind != Operand::Kind::Register ||
                   function->registers[guard.id].type != Type::Pred))
      return fail(place, "expected a predicate register after '@', found '" +
                             std::string(name) + "'");
    instruction.guard = guard.id;
  }
  instruction.opcode = expectName("an instruction");
  while (token.isDotted()) {
    instruction.modifiers.push_back(token.text.substr(1));
    advance();
  }
  if (instruction.opcode == "call") {
    parseCall(instruction);
  } else if (!at(";")) {
    do
      instruction.operands.push_back(parseOperand());
    while (accept(","));
  }
  expect(";", "or ',' after an operand");
  if (error)
    return;
  notePending(instruction);
  function->instructions.push_back(std::move(instruction));
}

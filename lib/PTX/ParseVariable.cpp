//===- ParseVariable.cpp - Variables, initialisers, constants -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/ParserState.h"

#include <algorithm>
#include <bit>
#include <cstring>

using namespace clade::ptx;

namespace {

/// A variable larger than this is a slip, and its product would overflow.
constexpr uint64_t largestVariable = uint64_t(1) << 40;
/// Initialisers and expressions nest no deeper.
constexpr unsigned deepest = 100;

} // namespace

Parser::Linkage Parser::parseLinkage() {
  Linkage linkage;
  while (true) {
    if (accept(".extern"))
      linkage.isExtern = true;
    else if (accept(".visible"))
      linkage.isVisible = true;
    else if (!accept(".weak") && !accept(".common"))
      return linkage;
  }
}

std::optional<Type> Parser::acceptType() {
  if (!token.isDotted())
    return std::nullopt;
  std::optional<Type> type = typeNamed(token.text.substr(1));
  if (type)
    advance();
  return type;
}

uint32_t Parser::parseAlignment() {
  Token place = token;
  uint64_t alignment = expectInteger("an alignment");
  if (!error && (!std::has_single_bit(alignment) || alignment > 1 << 20))
    fail(place,
         "expected an alignment that is a power of two up to 1048576, found " +
             std::to_string(alignment));
  return error ? 1 : uint32_t(alignment);
}

bool Parser::parseExtent(uint64_t &count, bool &isUnbounded) {
  if (!accept("["))
    return false;
  if (accept("]")) {
    isUnbounded = true;
    return true;
  }
  Token place = token;
  int64_t extent = parseExpression();
  expect("]", "after an extent");
  if (!error && (extent < 0 || uint64_t(extent) > largestVariable ||
                 (extent && count > largestVariable / uint64_t(extent))))
    fail(place, "expected an extent that makes no more than 2^40 elements");
  count *= uint64_t(error ? 0 : extent);
  return true;
}

std::vector<Variable> Parser::parseVariables(Space space, Linkage linkage) {
  std::vector<Variable> variables;
  uint32_t alignment = 1;
  while (true) {
    if (accept(".align"))
      alignment = parseAlignment();
    else if (accept(".attribute"))
      skipAttribute();
    else
      break;
  }
  unsigned vector = accept(".v2") ? 2 : accept(".v4") ? 4 : 1;
  std::optional<Type> type = acceptType();
  if (!type || *type == Type::Pred) {
    failExpected("the type of a variable");
    return variables;
  }
  do {
    Variable variable;
    variable.space = space;
    variable.type = *type;
    variable.vectorSize = vector;
    variable.isExtern = linkage.isExtern;
    variable.isVisible = linkage.isVisible;
    variable.line = token.line;
    Token place = token;
    variable.name = expectName("the name of a variable");
    if (at("<"))
      fail(place, "numbered variables ('" + std::string(variable.name) +
                      "<…>') are not supported");
    uint64_t count = vector;
    while (parseExtent(count, variable.isUnbounded)) {
    }
    uint64_t bytes = sizeOf(*type);
    variable.alignment = std::max<uint32_t>(alignment, bytes * vector);
    variable.size = variable.isUnbounded ? 0 : bytes * count;
    if (accept("=")) {
      if (space != Space::Global && space != Space::Constant)
        fail(place, "'" + std::string(variable.name) +
                        "' cannot have an initialiser: it is in " +
                        std::string(nameOf(space)) + " memory");
      uint64_t offset = 0;
      parseInitialiser(variable, offset, 0);
      if (variable.isUnbounded && !error) {
        variable.size = std::max<uint64_t>(offset, variable.initialiser.size());
        variable.isUnbounded = false;
      }
    }
    if (!error && variable.isUnbounded && !variable.isExtern &&
        space != Space::Shared)
      fail(place, "'" + std::string(variable.name) + "' has no size");
    if (error)
      return variables;
    variables.push_back(std::move(variable));
  } while (accept(","));
  expect(";", "after a variable");
  return variables;
}

void Parser::parseInitialiser(Variable &variable, uint64_t &at,
                              unsigned depth) {
  if (depth > deepest)
    return fail(token, "the initialiser nests too deeply");
  if (!accept("{"))
    return parseInitialValue(variable, at);
  if (accept("}"))
    return;
  do
    parseInitialiser(variable, at, depth + 1);
  while (accept(","));
  expect("}", "or ',' in an initialiser");
}

void Parser::parseInitialValue(Variable &variable, uint64_t &at) {
  unsigned bytes = sizeOf(variable.type);
  Token place = token;
  uint64_t bits = 0;
  std::optional<Relocation> relocation;
  bool isNegative = accept("-");
  if (token.kind == Token::Kind::Float32 ||
      token.kind == Token::Kind::Float64) {
    bool isSingle = token.kind == Token::Kind::Float32;
    double value = isSingle ? double(std::bit_cast<float>(uint32_t(token.bits)))
                            : std::bit_cast<double>(token.bits);
    value = isNegative ? -value : value;
    bits = std::bit_cast<uint64_t>(value);
    // The bits of a NaN are kept where the widths agree.
    if (bytes == 4)
      bits = isSingle ? token.bits ^ (isNegative ? 0x80000000u : 0)
                      : std::bit_cast<uint32_t>(float(value));
    advance();
  } else if (token.isWord() ||
             (token.kind == Token::Kind::Integer && ahead.is("("))) {
    // name, name+4, generic(name), 0xFF00(name): bytes of an address.
    relocation = Relocation{at, bytes, 0, false, {}, 0};
    unsigned closes = 0;
    if (token.kind == Token::Kind::Integer) {
      uint64_t mask = token.bits;
      unsigned shift = mask ? std::countr_zero(mask) : 0;
      if (mask >> shift != 0xff)
        return fail(
            place,
            "expected a mask of one byte such as 0xFF00 before an address");
      relocation->shift = shift;
      relocation->size = 1;
      advance();
      advance();
      ++closes;
    }
    if (at < variable.size + 1 && token.is("generic") && ahead.is("(")) {
      relocation->isGeneric = true;
      advance();
      advance();
      ++closes;
    }
    Token name = token;
    relocation->symbol = expectName("the name of a variable or a function");
    references.push_back({name.text, 0, 0, 0, name.line, name.column});
    auto parseAddend = [&] {
      if (this->at("+") || this->at("-"))
        relocation->addend += parseExpression();
    };
    parseAddend();
    for (; closes; --closes) {
      expect(")", "after an address");
      parseAddend();
    }
    if (relocation->size > 1 && bytes < 8)
      return fail(place, "an address needs 64 bits");
  } else {
    bits = uint64_t(parseExpression());
    bits = isNegative ? -bits : bits;
    if (variable.type == Type::F64)
      bits = std::bit_cast<uint64_t>(double(int64_t(bits)));
    else if (variable.type == Type::F32)
      bits = std::bit_cast<uint32_t>(float(int64_t(bits)));
  }
  if (error)
    return;
  if (!variable.isUnbounded && at + bytes > variable.size)
    return fail(place, "'" + std::string(variable.name) +
                           "' has more initial values than its " +
                           std::to_string(variable.size) + " bytes hold");
  if (relocation)
    variable.relocations.push_back(*relocation);
  variable.initialiser.resize(at + bytes);
  std::memcpy(variable.initialiser.data() + at, &bits, std::min(bytes, 8u));
  at += bytes;
}

//===----------------------------------------------------------------------===//
// Constant expressions of integers
//===----------------------------------------------------------------------===//

int64_t Parser::parseTerm(unsigned depth) {
  if (depth > deepest) {
    fail(token, "the expression nests too deeply");
    return 0;
  }
  if (accept("-"))
    return int64_t(-uint64_t(parseTerm(depth + 1)));
  if (accept("+"))
    return parseTerm(depth + 1);
  if (accept("~"))
    return ~parseTerm(depth + 1);
  if (accept("!"))
    return !parseTerm(depth + 1);
  if (accept("(")) {
    // A cast.
    if (at(".s64") || at(".u64")) {
      advance();
      expect(")", "after a cast");
      return parseTerm(depth + 1);
    }
    int64_t value = parseExpression(depth + 1);
    expect(")", "in an expression");
    return value;
  }
  return int64_t(expectInteger("a number"));
}

int64_t Parser::parseExpression(unsigned depth, unsigned level) {
  // From the weakest to the strongest.
  static constexpr std::string_view operators[][3] = {
      {"|"}, {"^"}, {"&"}, {"<<", ">>"}, {"+", "-"}, {"*", "/", "%"}};
  if (level == std::size(operators))
    return parseTerm(depth);
  uint64_t left = uint64_t(parseExpression(depth, level + 1));
  while (!error) {
    std::string_view found;
    for (std::string_view candidate : operators[level])
      if (!candidate.empty() && at(candidate))
        found = candidate;
    if (found.empty())
      break;
    Token place = token;
    advance();
    uint64_t right = uint64_t(parseExpression(depth, level + 1));
    bool isDivision = found == "/" || found == "%";
    if (isDivision && (right == 0 || (int64_t(right) == -1))) {
      if (right == 0)
        fail(place, "division by zero in an expression");
      left = found == "/" ? -left : 0;
      continue;
    }
    left = found == "|"    ? left | right
           : found == "^"  ? left ^ right
           : found == "&"  ? left & right
           : found == "<<" ? (right < 64 ? left << right : 0)
           : found == ">>"
               ? uint64_t(int64_t(left) >> std::min<uint64_t>(right, 63))
           : found == "+" ? left + right
           : found == "-" ? left - right
           : found == "*" ? left * right
           : found == "/" ? uint64_t(int64_t(left) / int64_t(right))
                          : uint64_t(int64_t(left) % int64_t(right));
  }
  return int64_t(left);
}

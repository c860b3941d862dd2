//===- ParseBody.cpp - The body of a function -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/ParserState.h"

#include <algorithm>

using namespace clade::ptx;

namespace {

constexpr size_t mostRegisters = 1 << 20;
constexpr size_t mostScopes = 100;

} // namespace

void Parser::openScope() {
  if (scopes.size() >= mostScopes)
    return fail(token, "more than 100 scopes are open");
  scopes.emplace_back();
}

/// Names that are labels of the scope become so; the others are asked of the
/// scope around it, and in the end of the module.
void Parser::closeScope() {
  Scope scope = std::move(scopes.back());
  scopes.pop_back();
  for (const Pending &use : scope.pending) {
    auto label = scope.labels.find(use.name);
    if (use.instruction < 0) { // A list of targets.
      TargetList &list = function->targetLists[-1 - use.instruction];
      if (label != scope.labels.end())
        list.labels[use.operand] = label->second;
      else if (!scopes.empty())
        scopes.back().pending.push_back(use);
      else {
        Token place;
        place.line = use.line;
        place.column = use.column;
        fail(place, "unknown label '" + std::string(use.name) + "'");
      }
      continue;
    }
    Instruction &user = function->instructions[use.instruction];
    Operand &operand = use.element < 0
                           ? user.operands[use.operand]
                           : user.operands[use.operand].elements[use.element];
    if (label != scope.labels.end() && operand.kind == Operand::Kind::Symbol) {
      operand.kind = Operand::Kind::Label;
      operand.id = label->second;
    } else if (!scopes.empty()) {
      scopes.back().pending.push_back(use);
    } else {
      // Lists and prototypes may stand after their use.
      bool isKnown = false;
      for (size_t i = 0; i < function->targetLists.size() && !isKnown; ++i)
        if (function->targetLists[i].name == use.name) {
          operand.scope = Operand::Scope::Targets;
          operand.id = int32_t(i);
          isKnown = true;
        }
      for (size_t i = 0; i < function->prototypes.size() && !isKnown; ++i)
        if (function->prototypes[i].name == use.name) {
          operand.scope = Operand::Scope::Prototype;
          operand.id = int32_t(i);
          isKnown = true;
        }
      if (!isKnown)
        references.push_back(use);
    }
  }
}

void Parser::declare(std::string_view name, Named named) {
  scopes.back().names[name] = named;
}

int32_t Parser::addRegister(std::string_view name, int32_t number, Type type) {
  function->registers.push_back({name, number, type});
  return int32_t(function->registers.size() - 1);
}

void Parser::declareParameters(std::vector<Parameter> &parameters,
                               Operand::Scope scope) {
  for (size_t i = 0; i < parameters.size(); ++i) {
    Parameter &parameter = parameters[i];
    if (parameter.registerId >= 0) {
      parameter.registerId = addRegister(parameter.name, -1, parameter.type);
      scopes.back().registers[parameter.name] = {parameter.registerId, 1, 1,
                                                 false};
    } else {
      declare(parameter.name, {scope, int32_t(i)});
    }
  }
}

void Parser::parseRegisters() {
  unsigned vector = accept(".v2") ? 2 : accept(".v4") ? 4 : 1;
  std::optional<Type> type = acceptType();
  if (!type)
    return failExpected("the type of a register");
  do {
    Token place = token;
    std::string_view name = expectName("the name of a register");
    uint64_t count = 1;
    bool isNumbered = accept("<");
    if (isNumbered) {
      count = expectInteger("how many registers");
      expect(">", "after how many registers");
    }
    if (error)
      return;
    if (count * vector + function->registers.size() > mostRegisters ||
        count > mostRegisters)
      return fail(place, "function '" + std::string(function->name) +
                             "' has more than " +
                             std::to_string(mostRegisters) + " registers");
    int32_t first = int32_t(function->registers.size());
    for (uint64_t i = 0; i < count * vector; ++i)
      addRegister(name, isNumbered || vector > 1 ? int32_t(i) : -1, *type);
    scopes.back().registers[name] = {first, int32_t(count), vector, isNumbered};
  } while (accept(","));
  expect(";", "after registers");
}

void Parser::parseLocation() {
  location.file = uint32_t(expectInteger("the index of a file"));
  location.line = uint32_t(expectInteger("a line"));
  location.column = uint32_t(expectInteger("a column"));
  // ", function_name label+offset, inlined_at file line column"
  while (accept(",")) {
    if (accept("function_name")) {
      expectName("a label");
      if (accept("+"))
        expectInteger("an offset");
    } else if (accept("inlined_at")) {
      expectInteger("the index of a file");
      expectInteger("a line");
      expectInteger("a column");
    } else {
      return failExpected("function_name or inlined_at");
    }
  }
}

void Parser::parsePrototype(std::string_view name) {
  Prototype prototype;
  prototype.name = name;
  if (accept("("))
    prototype.results = parseParameters(")");
  expectName("'_'");
  if (accept("("))
    prototype.parameters = parseParameters(")");
  while (token.isDotted() && !error) // .noreturn and the like.
    if (accept(".abi_preserve") || accept(".abi_preserve_control"))
      expectInteger("a number of registers");
    else
      advance();
  expect(";", "after a prototype");
  function->prototypes.push_back(std::move(prototype));
  declare(name, {Operand::Scope::Prototype,
                 int32_t(function->prototypes.size() - 1)});
}

void Parser::parseTargets(std::string_view name, bool isBranch) {
  TargetList list;
  list.name = name;
  int32_t index = int32_t(function->targetLists.size());
  do {
    Token target = token;
    std::string_view label =
        expectName(isBranch ? "a label" : "the name of a function");
    Pending use{label, 0, 0, -1, target.line, target.column};
    if (isBranch) {
      use.instruction = -1 - index;
      use.operand = int32_t(list.labels.size());
      scopes.back().pending.push_back(use);
      list.labels.push_back(-1);
    } else {
      references.push_back(use);
      list.functions.push_back(label);
    }
  } while (accept(","));
  expect(";", "after targets");
  function->targetLists.push_back(std::move(list));
  declare(name, {Operand::Scope::Targets, index});
}

void Parser::parseLabel() {
  Token place = token;
  std::string_view name = token.text;
  advance();
  advance(); // ':'
  if (accept(".callprototype"))
    return parsePrototype(name);
  if (accept(".branchtargets"))
    return parseTargets(name, true);
  if (accept(".calltargets"))
    return parseTargets(name, false);
  int32_t target = int32_t(function->instructions.size());
  if (!scopes.back().labels.emplace(name, target).second)
    return fail(place, "label '" + std::string(name) +
                           "' is defined twice in a scope");
  function->labels.push_back({name, target});
}

void Parser::parseScopedDirective() {
  if (accept(".reg"))
    return parseRegisters();
  if (accept(".loc"))
    return parseLocation();
  if (accept(".file"))
    return parseFile();
  if (accept(".pragma")) {
    if (token.kind != Token::Kind::String)
      return failExpected("a string after .pragma");
    advance();
    return expect(";", "after .pragma");
  }
  struct {
    std::string_view name;
    Space space;
  } constexpr spaces[] = {{".local", Space::Local},
                          {".shared", Space::Shared},
                          {".param", Space::Param},
                          {".global", Space::Global},
                          {".const", Space::Constant}};
  Linkage linkage = parseLinkage();
  for (auto [name, space] : spaces) {
    if (!accept(name))
      continue;
    for (Variable &variable : parseVariables(space, linkage)) {
      declare(variable.name,
              {Operand::Scope::Variable, int32_t(function->variables.size())});
      function->variables.push_back(std::move(variable));
    }
    return;
  }
  failExpected("a directive of a function (.reg, .local, .shared, .param, "
               ".global, .const, .loc, .pragma) or an instruction");
}

void Parser::parseStatement() {
  if (accept("{"))
    return openScope();
  if (at("}")) {
    // Closed first: the token after it may be the first of the next function.
    closeScope();
    advance();
    return;
  }
  if (accept(";"))
    return;
  if (token.isDotted())
    return parseScopedDirective();
  if (token.isWord() && ahead.is(":"))
    return parseLabel();
  parseInstruction();
}

void Parser::parseBody() {
  location = SourceLocation();
  advance(); // '{'
  scopes.clear();
  openScope();
  declareParameters(function->results, Operand::Scope::Result);
  declareParameters(function->parameters, Operand::Scope::Parameter);
  while (!scopes.empty() && !token.isEnd())
    parseStatement();
  if (!scopes.empty() && !error)
    failExpected("'}' at the end of '" + std::string(function->name) + "'");
}

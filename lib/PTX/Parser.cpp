//===- Parser.cpp - The level of a module ---------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Parser.h"

#include "lib/PTX/ParserState.h"

#include <algorithm>

using namespace clade::ptx;

//===----------------------------------------------------------------------===//
// Tokens
//===----------------------------------------------------------------------===//

Parser::Parser(Module &module, std::string_view text)
    : module(module), lexer(text) {
  token = lexer.next();
  ahead = lexer.next();
}

void Parser::advance() {
  token = ahead;
  if (!token.isEnd())
    ahead = lexer.next();
}

bool Parser::accept(std::string_view text) {
  if (!at(text))
    return false;
  advance();
  return true;
}

void Parser::fail(const Token &place, std::string message) {
  if (error)
    return;
  error = Error{std::move(message), module.name, place.line, place.column};
  // Nothing more is read.
  token = Token();
  token.line = place.line;
  token.column = place.column;
  ahead = token;
}

void Parser::failExpected(std::string_view what) {
  fail(token, "expected " + std::string(what) + ", found " + token.described());
}

void Parser::expect(std::string_view text, std::string_view where) {
  if (!accept(text))
    failExpected("'" + std::string(text) + "' " + std::string(where));
}

std::string_view Parser::expectName(std::string_view what) {
  std::string_view name = token.text;
  if (!token.isWord())
    failExpected(what);
  else
    advance();
  return name;
}

uint64_t Parser::expectInteger(std::string_view what) {
  uint64_t bits = token.bits;
  if (token.kind != Token::Kind::Integer)
    failExpected(what);
  else
    advance();
  return bits;
}

//===----------------------------------------------------------------------===//
// The module
//===----------------------------------------------------------------------===//

void Parser::parseHeader() {
  expect(".version", "at the beginning of a module");
  // "8.7" is one token, or two where the lexer sees ".7" by itself.
  std::string_view version = token.text;
  size_t dot = version.find('.');
  if (token.kind != Token::Kind::Float64 || dot == std::string_view::npos ||
      version.size() > 5)
    return failExpected("a version such as 8.7");
  for (char c : version.substr(0, dot))
    module.versionMajor = module.versionMajor * 10 + (c - '0');
  for (char c : version.substr(dot + 1))
    module.versionMinor = module.versionMinor * 10 + (c - '0');
  if (module.versionMajor < 6 || module.versionMajor > 9)
    return fail(token, "PTX ISA " + std::string(version) +
                           " is not known: the machine reads 6.0 to 9.x");
  advance();
  expect(".target", "after .version");
  module.target = expectName("a target such as sm_90a");
  if (!error && !module.target.starts_with("sm_"))
    fail(token, "expected a target such as sm_90a, found '" +
                    std::string(module.target) + "'");
  while (accept(","))
    expectName("a target option");
  if (!at(".address_size"))
    return;
  advance();
  Token size = token;
  module.addressSize = expectInteger("64");
  if (!error && module.addressSize != 64)
    fail(size, "expected .address_size 64, found " + std::string(size.text) +
                   ": the machine has 64-bit addresses only");
}

void Parser::parseFile() {
  Token place = token;
  uint64_t index = expectInteger("the index of a file");
  std::string_view name = token.text;
  if (token.kind != Token::Kind::String)
    return failExpected("the name of a file in quotes");
  advance();
  if (index > 1000000)
    return fail(place, "expected the index of a file below 1000000");
  if (module.files.size() <= index)
    module.files.resize(index + 1);
  module.files[index] = name.substr(1, name.size() - 2);
  while (accept(",")) // Time and size.
    expectInteger("a number");
}

void Parser::parseAlias() {
  Module::Alias alias;
  alias.name = expectName("a name after .alias");
  expect(",", "between the names of .alias");
  alias.function = expectName("a function's name");
  expect(";", "after .alias");
  module.aliases.push_back(alias);
}

void Parser::skipSection() {
  if (token.isDotted() || token.isWord())
    advance();
  else
    return failExpected("the name of a section");
  expect("{", "after the name of a section");
  while (!at("}") && !token.isEnd())
    advance();
  expect("}", "at the end of a section");
}

void Parser::skipAttribute() {
  expect("(", "after .attribute");
  unsigned depth = 1;
  while (depth && !token.isEnd()) {
    depth += at("(");
    depth -= at(")");
    advance();
  }
  if (depth)
    failExpected("')' after an attribute");
}

void Parser::parseTopLevel() {
  if (accept(".file"))
    return parseFile();
  if (accept(".section"))
    return skipSection();
  if (accept(".alias"))
    return parseAlias();
  if (accept(".pragma")) {
    if (token.kind != Token::Kind::String)
      return failExpected("a string after .pragma");
    advance();
    return expect(";", "after .pragma");
  }
  if (accept("@@")) { // @@DWARF of old modules: one line.
    unsigned line = token.line;
    while (token.line == line && !token.isEnd())
      advance();
    return;
  }
  if (accept(";"))
    return;
  Linkage linkage = parseLinkage();
  if (accept(".entry"))
    return parseFunction(true, linkage.isVisible);
  if (accept(".func"))
    return parseFunction(false, linkage.isVisible);
  struct {
    std::string_view name;
    Space space;
  } constexpr spaces[] = {{".global", Space::Global},
                          {".const", Space::Constant},
                          {".shared", Space::Shared}};
  for (auto [name, space] : spaces)
    if (accept(name)) {
      for (Variable &variable : parseVariables(space, linkage))
        module.variables.push_back(std::move(variable));
      return;
    }
  failExpected("a directive of a module (.entry, .func, .global, .const, "
               ".shared, .file, .section, .alias, .pragma)");
}

void Parser::parseThreads(std::array<uint32_t, 3> &sizes) {
  sizes = {1, 1, 1};
  for (unsigned i = 0; i < 3; ++i) {
    Token place = token;
    uint64_t size = expectInteger("a size");
    if (!error && (size == 0 || size > 0x7fffffff))
      fail(place, "expected a size from 1 to 2147483647, found " +
                      std::to_string(size));
    sizes[i] = uint32_t(size);
    if (!accept(","))
      return;
  }
}

void Parser::parseDirectives(Function &function) {
  while (token.isDotted()) {
    if (accept(".maxntid"))
      parseThreads(function.maxThreads);
    else if (accept(".reqntid"))
      parseThreads(function.requiredThreads);
    else if (accept(".reqnctapercluster"))
      parseThreads(function.requiredCluster);
    else if (accept(".explicitcluster"))
      function.isExplicitCluster = true;
    else if (accept(".maxclusterrank"))
      function.maxCluster = expectInteger("the blocks of a cluster");
    else if (accept(".minnctapersm"))
      function.minBlocks = expectInteger("a number of blocks");
    else if (accept(".maxnctapersm"))
      expectInteger("a number of blocks");
    else if (accept(".maxnreg"))
      function.maxRegisters = expectInteger("a number of registers");
    else if (accept(".abi_preserve") || accept(".abi_preserve_control"))
      expectInteger("a number of registers");
    else if (accept(".attribute"))
      skipAttribute();
    else if (accept(".pragma")) {
      if (token.kind != Token::Kind::String)
        return failExpected("a string after .pragma");
      advance();
      expect(";", "after .pragma");
    } else if (!accept(".noreturn") && !accept(".blocksareclusters") &&
               !accept(".unique"))
      return failExpected("a performance directive or '{'");
  }
}

Parameter Parser::parseParameter() {
  Parameter parameter;
  bool isRegister = at(".reg");
  if (!accept(".reg"))
    expect(".param", "or .reg before a parameter");
  if (accept(".align"))
    parameter.alignment = parseAlignment();
  unsigned vector = accept(".v2") ? 2 : accept(".v4") ? 4 : 1;
  std::optional<Type> type = acceptType();
  if (!type) {
    failExpected("the type of a parameter");
    return parameter;
  }
  parameter.type = *type;
  if (accept(".ptr")) {
    parameter.isPointer = true;
    parameter.pointsTo = accept(".global")   ? Space::Global
                         : accept(".shared") ? Space::Shared
                         : accept(".local")  ? Space::Local
                         : accept(".const")  ? Space::Constant
                                             : Space::Generic;
    if (accept(".align"))
      parseAlignment();
  }
  if (accept(".align")) // As LLVM writes it for arrays without .ptr.
    parameter.alignment = parseAlignment();
  Token place = token;
  parameter.name = expectName("the name of a parameter");
  uint64_t count = vector;
  bool isUnbounded = false;
  while (parseExtent(count, isUnbounded)) {
  }
  uint64_t bytes = sizeOf(*type);
  if (!error && count > (uint64_t(1) << 32))
    fail(place, "parameter '" + std::string(place.text) + "' is too large");
  parameter.size = isUnbounded ? 0 : bytes * count;
  parameter.alignment = std::max<uint32_t>(parameter.alignment, bytes);
  if (isRegister)
    parameter.registerId = 0; // The body gives it a register.
  return parameter;
}

std::vector<Parameter> Parser::parseParameters(std::string_view close) {
  std::vector<Parameter> parameters;
  if (accept(close))
    return parameters;
  do
    parameters.push_back(parseParameter());
  while (accept(","));
  expect(close, "after the parameters");
  return parameters;
}

void Parser::parseFunction(bool isKernel, bool isVisible) {
  Function result;
  result.isKernel = isKernel;
  result.isVisible = isVisible;
  result.line = token.line;
  if (accept(".attribute"))
    skipAttribute();
  if (!isKernel && accept("("))
    result.results = parseParameters(")");
  Token place = token;
  result.name =
      expectName(isKernel ? "the name of a kernel" : "the name of a function");
  if (accept("("))
    result.parameters = parseParameters(")");
  uint64_t offset = 0;
  for (Parameter &parameter : result.parameters) {
    uint64_t alignment = parameter.alignment;
    parameter.offset = (offset + alignment - 1) / alignment * alignment;
    offset = parameter.offset + parameter.size;
    if (isKernel && !error && offset > 32764)
      fail(place, "kernel '" + std::string(result.name) +
                      "' has more than 32764 bytes of parameters");
  }
  result.parameterBytes = offset;
  parseDirectives(result);
  if (at("{")) {
    result.hasBody = true;
    function = &result;
    parseBody();
    function = nullptr;
  } else {
    expect(";", "or '{' after the head of a function");
  }
  if (error)
    return;
  // A definition takes the place of its declaration.
  for (Function &other : module.functions) {
    if (other.name != result.name)
      continue;
    if (other.hasBody && result.hasBody)
      return fail(place, "'" + std::string(result.name) +
                             "' is defined twice; the first is in line " +
                             std::to_string(other.line));
    if (result.hasBody)
      other = std::move(result);
    return;
  }
  module.functions.push_back(std::move(result));
}

std::optional<Error> Parser::run() {
  parseHeader();
  while (!token.isEnd() && !error)
    parseTopLevel();
  for (const Pending &reference : references) {
    if (error)
      break;
    auto isAlias = [&](const Module::Alias &alias) {
      return alias.name == reference.name;
    };
    if (module.findFunction(reference.name) ||
        module.findVariable(reference.name) ||
        std::any_of(module.aliases.begin(), module.aliases.end(), isAlias))
      continue;
    Token place;
    place.line = reference.line;
    place.column = reference.column;
    fail(place, "unknown name '" + std::string(reference.name) + "'");
  }
  return error;
}

Result<Module> clade::ptx::parse(std::string_view text, std::string name) {
  Module module;
  module.name = std::move(name);
  module.text = std::make_shared<std::string>(text);
  if (std::optional<Error> error = Parser(module, *module.text).run())
    return std::move(*error);
  return module;
}

//===----------------------------------------------------------------------===//
// What a module is asked
//===----------------------------------------------------------------------===//

const Function *Module::findFunction(std::string_view name) const {
  for (const Function &function : functions)
    if (function.name == name)
      return &function;
  for (const Alias &alias : aliases)
    if (alias.name == name && alias.function != name)
      for (const Function &function : functions)
        if (function.name == alias.function)
          return &function;
  return nullptr;
}

const Variable *Module::findVariable(std::string_view name) const {
  for (const Variable &variable : variables)
    if (variable.name == name)
      return &variable;
  return nullptr;
}

std::string_view Module::lineText(unsigned line) const {
  std::string_view rest = *text;
  for (unsigned i = 1; i < line; ++i) {
    size_t end = rest.find('\n');
    if (end == std::string_view::npos)
      return {};
    rest.remove_prefix(end + 1);
  }
  rest = rest.substr(0, rest.find('\n'));
  return rest.ends_with('\r') ? rest.substr(0, rest.size() - 1) : rest;
}

std::string Instruction::fullName() const {
  std::string name(opcode);
  for (std::string_view modifier : modifiers) {
    name += '.';
    name += modifier;
  }
  return name;
}

//===- ParserState.h - What the parts of the parser share -------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_PARSERSTATE_H
#define CLADE_PTX_PARSERSTATE_H

#include "lib/PTX/Lexer.h"
#include "lib/PTX/Module.h"
#include "lib/PTX/Result.h"

#include <map>
#include <optional>

namespace clade::ptx {

/// A recursive-descent parser. After the first error the text is at its end, so
/// that every loop stops.
class Parser {
public:
  Parser(Module &module, std::string_view text);
  std::optional<Error> run();

private:
  //===--- Tokens ---===//
  Token token; ///< The one that is looked at.
  Token ahead; ///< The one after it.
  void advance();
  bool at(std::string_view text) const { return token.is(text); }
  bool accept(std::string_view text);
  void expect(std::string_view text, std::string_view where);
  std::string_view expectName(std::string_view what);
  uint64_t expectInteger(std::string_view what);
  void fail(const Token &place, std::string message);
  void failExpected(std::string_view what);

  //===--- The module (Parser.cpp) ---===//
  void parseHeader();
  void parseTopLevel();
  void parseFile();
  void parseAlias();
  void skipSection();
  void parseFunction(bool isKernel, bool isVisible);
  void parseDirectives(Function &function);
  void parseThreads(std::array<uint32_t, 3> &sizes);
  std::vector<Parameter> parseParameters(std::string_view close);
  Parameter parseParameter();
  void skipAttribute();

  //===--- Variables (ParseVariable.cpp) ---===//
  struct Linkage {
    bool isExtern = false;
    bool isVisible = false;
  };
  Linkage parseLinkage();
  std::vector<Variable> parseVariables(Space space, Linkage linkage);
  bool parseExtent(uint64_t &count, bool &isUnbounded);
  void parseInitialiser(Variable &variable, uint64_t &at, unsigned depth);
  void parseInitialValue(Variable &variable, uint64_t &at);
  std::optional<Type> acceptType();
  uint32_t parseAlignment();

  //===--- Constant expressions (ParseVariable.cpp) ---===//
  int64_t parseExpression(unsigned depth = 0, unsigned level = 0);
  int64_t parseTerm(unsigned depth);

  //===--- Bodies (ParseBody.cpp) ---===//
  struct RegisterRange {
    int32_t first;
    int32_t count;
    unsigned vector; ///< Elements of a vector register; else 1.
    bool isNumbered;
  };
  struct Named {
    Operand::Scope scope;
    int32_t id;
  };
  /// A name that may be a label further down: which operand uses it.
  struct Pending {
    std::string_view name;
    int32_t instruction; ///< Or of a target list: -1 - its index.
    int32_t operand;
    int32_t element; ///< -1: the operand itself.
    unsigned line;
    unsigned column;
  };
  struct Scope {
    std::map<std::string_view, RegisterRange> registers;
    std::map<std::string_view, Named> names;
    std::map<std::string_view, int32_t> labels;
    std::vector<Pending> pending;
  };
  void parseBody();
  void parseStatement();
  void parseScopedDirective();
  void parseRegisters();
  void parseLocation();
  void parseLabel();
  void parsePrototype(std::string_view name);
  void parseTargets(std::string_view name, bool isBranch);
  void openScope();
  void closeScope();
  void declare(std::string_view name, Named named);
  int32_t addRegister(std::string_view name, int32_t number, Type type);
  void declareParameters(std::vector<Parameter> &parameters,
                         Operand::Scope scope);

  //===--- Instructions (ParseInstruction.cpp) ---===//
  void parseInstruction();
  void parseCall(Instruction &instruction);
  Operand parseCallList();
  Operand parseOperand(unsigned depth = 0);
  Operand parseNamed();
  Operand parseNumber();
  Operand parseAddress(unsigned depth);
  Operand parseVector(std::string_view close, unsigned depth);
  std::optional<RegisterRange> findRegister(std::string_view name) const;
  std::optional<Named> findName(std::string_view name) const;
  void notePending(const Instruction &instruction);
  bool resolveRegister(std::string_view name, Operand &operand);

  Module &module;
  Lexer lexer;
  std::optional<Error> error;
  Function *function = nullptr; ///< Whose body is parsed.
  std::vector<Scope> scopes;
  SourceLocation location;
  /// Names that must be declared somewhere in the module.
  std::vector<Pending> references;
};

} // namespace clade::ptx

#endif // CLADE_PTX_PARSERSTATE_H

//===- Module.h - A parsed PTX module ---------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What a text says, with its names resolved: registers and labels are indices,
// scopes are gone. It owns its text, into which the string views point.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_MODULE_H
#define CLADE_PTX_MODULE_H

#include "lib/PTX/Special.h"
#include "lib/PTX/Types.h"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace clade::ptx {

/// The address of a symbol inside an initialiser.
struct Relocation {
  uint64_t offset; ///< Of the first byte to fill, in the variable.
  unsigned size;   ///< Bytes to fill: 8, or 1 with a byte of the address.
  unsigned shift;  ///< The address is shifted right by so many bits first.
  bool isGeneric;  ///< generic(symbol) rather than the address in its space.
  std::string_view symbol; ///< A variable or a function of the module.
  int64_t addend;
};

/// A variable in memory: of the module, or of a function.
struct Variable {
  std::string_view name;
  Space space = Space::Global;
  Type type = Type::B8;
  unsigned vectorSize = 1; ///< 2 or 4 with .v2 or .v4.
  uint32_t alignment = 1;  ///< In bytes, of the declaration or natural.
  uint64_t size = 0;       ///< In bytes; 0 where unbounded ("name[]").
  bool isExtern = false;
  bool isUnbounded = false; ///< Dynamic shared memory, or defined elsewhere.
  bool isVisible = false;
  /// The first bytes; those that are missing are zero in the spaces that
  /// are initialised (global and constant).
  std::vector<uint8_t> initialiser;
  std::vector<Relocation> relocations;
  unsigned line = 0;
};

/// A parameter of a kernel or a function, or what a function returns.
struct Parameter {
  std::string_view name;
  Type type = Type::B8;
  uint64_t size = 0;       ///< In bytes.
  uint32_t alignment = 1;  ///< In bytes.
  uint64_t offset = 0;     ///< In the packed parameter block of a kernel.
  int32_t registerId = -1; ///< Where a function declares it with .reg.
  /// .ptr: the space that a pointer points into, and its alignment.
  bool isPointer = false;
  Space pointsTo = Space::Generic;
};

struct Register {
  std::string_view name; ///< With its number: "%r7" is prefix "%r", number 7.
  int32_t number = -1;   ///< -1 where the name has none.
  Type type = Type::B32;
  std::string str() const {
    return std::string(name) + (number < 0 ? "" : std::to_string(number));
  }
};

/// An operand, its names resolved.
struct Operand {
  enum class Kind : uint8_t {
    None,
    Register,  ///< `id` in Function::registers.
    Immediate, ///< `bits`, of the form `immediate`.
    Symbol,    ///< `name` (a variable or function), plus `offset`.
    Address,   ///< [base + offset]; the base is `base`.
    Vector,    ///< `elements` in braces or brackets, or a call's list.
    Special,   ///< `special`.
    Label,     ///< `id` of an instruction of the function.
    Sink,      ///< "_".
  };
  /// How an immediate was written; the bits of an integer are 64 and signed.
  enum class Form : uint8_t { Integer, Float32, Float64 };

  Kind kind = Kind::None;
  Form immediate = Form::Integer;
  bool isNegated = false; ///< "!p", or "-a" before a register.
  /// Where the name of a Symbol (or of an Address's base) was declared, with
  /// `id` its index there; a name of the module has no index.
  enum class Scope : uint8_t {
    Module,
    Variable,  ///< Function::variables
    Parameter, ///< Function::parameters
    Result,    ///< Function::results
    Prototype, ///< Function::prototypes
    Targets,   ///< Function::targetLists
  };
  Scope scope = Scope::Module;
  /// What an Address starts from: Register (`id`), Symbol (`name`), Immediate
  /// (`bits`).
  Kind base = Kind::None;
  SpecialRegister special = SpecialRegister::None;
  int32_t id = -1;
  uint64_t bits = 0;
  int64_t offset = 0;
  std::string_view name;
  /// "reg|pred" as a destination: the second one, as the only element of
  /// `elements` of a Register; the elements of a Vector; for a tensor address
  /// "[desc, {x, y}]" the coordinates and what else the brackets hold.
  std::vector<Operand> elements;
  unsigned column = 0;

  bool isRegister() const { return kind == Kind::Register; }
};

/// Where a text was generated from (.loc).
struct SourceLocation {
  uint32_t file = 0; ///< Of Module::files; 0 says that nothing is known.
  uint32_t line = 0;
  uint32_t column = 0;
};

/// One instruction as written, with its names resolved.
struct Instruction {
  std::string_view opcode; ///< "ld".
  /// "global", "v4", "f32": as written, split at each dot.
  std::vector<std::string_view> modifiers;
  /// `call` has four: results (Vector), callee (Symbol or Register), arguments
  /// (Vector), and None or the prototype or target list (Symbol).
  std::vector<Operand> operands;
  int32_t guard = -1; ///< Predicate register of "@p".
  bool guardNegated = false;
  unsigned line = 0; ///< From 1.
  unsigned column = 0;
  SourceLocation location;

  /// The opcode with its modifiers.
  std::string fullName() const;
};

/// ".callprototype": what an indirect call passes and gets.
struct Prototype {
  std::string_view name;
  std::vector<Parameter> results;
  std::vector<Parameter> parameters;
};

/// ".branchtargets" (ids of instructions) or ".calltargets" (names).
struct TargetList {
  std::string_view name;
  std::vector<int32_t> labels;
  std::vector<std::string_view> functions;
};

/// A named place in a function.
struct Label {
  std::string_view name;
  int32_t instruction; ///< The one that follows; may be one past the last.
};

/// A kernel (.entry) or a function (.func).
struct Function {
  std::string_view name;
  bool isKernel = false;
  bool isVisible = false;
  bool hasBody = false; ///< Otherwise a declaration.
  std::vector<Parameter> results;
  std::vector<Parameter> parameters;
  uint64_t parameterBytes = 0; ///< Of a kernel's packed parameter block.
  std::vector<Register> registers;
  /// .local, .shared and .param (for calls) variables declared in the body.
  std::vector<Variable> variables;
  std::vector<Instruction> instructions;
  std::vector<Label> labels;
  std::vector<Prototype> prototypes;
  std::vector<TargetList> targetLists;
  unsigned line = 0;

  /// Performance directives; 0 where the text has none.
  std::array<uint32_t, 3> maxThreads = {0, 0, 0};      ///< .maxntid
  std::array<uint32_t, 3> requiredThreads = {0, 0, 0}; ///< .reqntid
  std::array<uint32_t, 3> requiredCluster = {0, 0, 0}; ///< .reqnctapercluster
  bool isExplicitCluster = false;                      ///< .explicitcluster
  uint32_t maxCluster = 0;                             ///< .maxclusterrank
  uint32_t minBlocks = 0;                              ///< .minnctapersm
  uint32_t maxRegisters = 0;                           ///< .maxnreg
};

struct Module {
  std::string name;                  ///< For messages: the file's name.
  std::shared_ptr<std::string> text; ///< What the views point into.
  unsigned versionMajor = 0;         ///< .version 8.7
  unsigned versionMinor = 0;
  std::string_view target; ///< "sm_90a".
  unsigned addressSize = 64;
  std::vector<Variable> variables;
  std::vector<Function> functions;
  /// .file: names by index; index 0 is no file.
  std::vector<std::string> files;
  /// .alias alias, function.
  struct Alias {
    std::string_view name;
    std::string_view function;
  };
  std::vector<Alias> aliases;

  const Function *findFunction(std::string_view name) const;
  const Variable *findVariable(std::string_view name) const;
  /// The text of a line, without its end.
  std::string_view lineText(unsigned line) const;
};

} // namespace clade::ptx

#endif // CLADE_PTX_MODULE_H

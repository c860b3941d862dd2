//===- Builtins.h - Parameters of the built-ins -----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All built-ins of the language, those without a compiled form too, and the
// reading of their arguments as the import's ArgReader does it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CHECK_BUILTINS_H
#define CLADE_CHECK_BUILTINS_H

#include "lib/Check/FamilyChecker.h"

namespace clade::check {

struct Builtin {
  enum class Kind {
    Elementwise, ///< As many tensors or numbers as parameters.
    Reduction,
    Number,   ///< A number of numbers.
    Mask,     ///< A predicate on the order of query and source.
    Unary,    ///< Keeps the axes of its first argument.
    Tensor,   ///< A tensor of axes that are not followed.
    Special,  ///< Has a rule of its own.
    Variadic, ///< Has a rule of its own for pairing its arguments, too.
  };
  StringRef name;
  Kind kind;
  /// Names in order; one that ends in '?' may be left out.
  std::vector<StringRef> parameters;
};

ArrayRef<Builtin> builtins();
const Builtin *findBuiltin(StringRef name);

/// The arguments of one call, by parameter.
class BuiltinArgs {
public:
  BuiltinArgs(FamilyChecker &checker, const Builtin &builtin,
              ArrayRef<FamilyChecker::CallArg> args, Location loc);

  /// False if the arguments do not fit the parameters, which was reported.
  bool ok() const { return valid; }
  bool has(StringRef parameter) const { return values.count(parameter.str()); }
  /// The type of an argument; Unknown if it was left out.
  Type get(StringRef parameter) const;
  /// A tensor, or Unknown; anything else is reported.
  Type tensor(StringRef parameter) const;
  /// The axes that an argument names, if they are known.
  std::optional<Axes> shape(StringRef parameter) const;
  /// Reports an argument that is neither a number nor none.
  void number(StringRef parameter) const;
  void boolean(StringRef parameter) const;
  /// Reports an argument that is none of the words.
  void word(StringRef parameter, ArrayRef<StringRef> allowed) const;
  Type error(const llvm::Twine &message) const;
  Location getLoc() const { return loc; }

private:
  FamilyChecker &checker;
  StringRef builtin;
  std::map<std::string, const FamilyChecker::CallArg *, std::less<>> values;
  Location loc;
  bool valid = true;
};

} // namespace clade::check

#endif // CLADE_CHECK_BUILTINS_H

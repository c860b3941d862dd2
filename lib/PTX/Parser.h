//===- Parser.h - From PTX text to a module ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_PARSER_H
#define CLADE_PTX_PARSER_H

#include "lib/PTX/Module.h"
#include "lib/PTX/Result.h"

namespace clade::ptx {

/// Reads PTX of ISA 6 to 9. Instructions are split into opcode, modifiers and
/// operands and their names are resolved; whether the machine knows them is
/// found when a module is loaded. An error has the line, the column, what was
/// expected and what was found. `name` is the file's name for messages.
Result<Module> parse(std::string_view text, std::string name);

} // namespace clade::ptx

#endif // CLADE_PTX_PARSER_H

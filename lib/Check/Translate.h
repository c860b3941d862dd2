//===- Translate.h - Checks as a translation --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CHECK_TRANSLATE_H
#define CLADE_CHECK_TRANSLATE_H

namespace clade::check {

/// Registers `--check-spec` of clade-translate, which checks the families of a
/// text as `clade check` does and prints the types of their entries. The
/// standard families are those of import::standardSpecs().
void registerCheckTranslations();

} // namespace clade::check

#endif // CLADE_CHECK_TRANSLATE_H

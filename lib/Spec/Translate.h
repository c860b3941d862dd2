//===- Translate.h - Translations of .spec files ----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_SPEC_TRANSLATE_H
#define CLADE_SPEC_TRANSLATE_H

namespace clade::spec {

/// Registers the translations of clade-translate that need no MLIR:
/// `--parse-spec` prints the canonical text of a .spec file, `--dump-spec` its
/// syntax tree.
void registerSpecTranslations();

} // namespace clade::spec

#endif // CLADE_SPEC_TRANSLATE_H

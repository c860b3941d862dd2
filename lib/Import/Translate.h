//===- Translate.h - Import as a translation --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_TRANSLATE_H
#define CLADE_IMPORT_TRANSLATE_H

#include <string>

namespace clade::import {

/// Registers `--import-spec` of clade-translate: the module that the last
/// family of a .spec text makes of a configuration and a list of tensors.
///
/// The configuration is the file --config, or what stands behind `// config:`
/// at the beginning of lines of the text, so that diagnostics about it can be
/// checked in place. The tensors are those of the file --tensors (safetensors,
/// or the JSON header of one), or behind `// tensors:`; else those that the
/// family asks for. --checkpoint imports a whole checkpoint instead.
void registerImportTranslations();

/// The folder of the standard families, for every translation: --specs-dir, or
/// $CLADE_SPECS, or that of the source tree.
std::string standardSpecs();

} // namespace clade::import

#endif // CLADE_IMPORT_TRANSLATE_H

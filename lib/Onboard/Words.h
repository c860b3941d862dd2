//===- Words.h - What the text of a family names ----------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A family that is one field short of being built asks for no weights. Its text
// tells all the same which tensors it knows: the names in its addresses.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_WORDS_H
#define CLADE_ONBOARD_WORDS_H

#include "lib/Import/SpecLibrary.h"
#include "lib/Onboard/Tensors.h"

namespace clade::onboard {

/// The text of a node as it was written.
llvm::StringRef textOf(const spec::Node &node);

/// How many of the groups are tensors of modules whose own name stands nowhere
/// in the blocks and weight equations of the family.
size_t strangers(const import::SpecLibrary &library,
                 const spec::FamilyDecl *family,
                 llvm::ArrayRef<TensorGroup> groups);

} // namespace clade::onboard

#endif // CLADE_ONBOARD_WORDS_H

//===- AccessModifiers.h - Modifiers of memory instructions -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_INSTRUCTIONS_ACCESSMODIFIERS_H
#define CLADE_PTX_INSTRUCTIONS_ACCESSMODIFIERS_H

#include "lib/PTX/Decoder.h"

namespace clade::ptx {

/// What the modifiers of an access say before its type.
struct AccessModifiers {
  Space space = Space::Generic;
  bool isStrong = false;
  bool isAcquire = false;
  bool isRelease = false;
  bool isShared = false;
  std::string_view scope = "gpu";
  unsigned vector = 1;
  bool hasCachePolicy = false; ///< A last operand that only hints.
};

/// Takes modifiers of ordering, scope, space, caching and vectors, in any
/// order.
AccessModifiers takeAccessModifiers(Decoder &d);

/// Where an access goes, given what its address is relative to.
Space resolveSpace(const Decoder &d, Space space);

} // namespace clade::ptx

#endif // CLADE_PTX_INSTRUCTIONS_ACCESSMODIFIERS_H

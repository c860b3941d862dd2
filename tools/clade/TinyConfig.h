//===- TinyConfig.h - A small configuration for a family --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_TINYCONFIG_H
#define CLADE_TOOLS_CLADE_TINYCONFIG_H

#include "lib/Import/SpecLibrary.h"

#include <nlohmann/json.hpp>

namespace clade::driver {

/// A config.json with small sizes for the keys that the family reads, among
/// those that decoders publish; objects for its parts.
nlohmann::json tinyConfig(const import::SpecLibrary &library,
                          const spec::FamilyDecl &family, int depth = 0);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_TINYCONFIG_H

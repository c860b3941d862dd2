//===- Causes.h - Likely mistakes in a spec ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What families get wrong most often, each as a family that differs from a
// given one in this alone: if it computes what the published implementation
// does, the mistake is found.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_CAUSES_H
#define CLADE_ONBOARD_CAUSES_H

#include "lib/Import/Config.h"
#include "lib/Import/Family.h"
#include "lib/Onboard/Tensors.h"

namespace clade::onboard {

struct Cause {
  std::string says; ///< 'rotary pairs are side by side'
  std::string text; ///< Of the family `causeName`, as a spec.
};

inline constexpr llvm::StringLiteral causeName = "with_another_cause";

/// The likeliest first. Some do not fit the configuration or the tensors.
std::vector<Cause> causesFor(const import::SpecLibrary &library,
                             const spec::FamilyDecl *family,
                             llvm::ArrayRef<TensorGroup> tensors);

} // namespace clade::onboard

#endif // CLADE_ONBOARD_CAUSES_H

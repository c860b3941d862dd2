//===- Fitting.h - How near a family is to a checkpoint ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A probe of a family with its differences by name, and one number for all of
// them, by which families and changes to a family are compared.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_ONBOARD_FITTING_H
#define CLADE_ONBOARD_FITTING_H

#include "lib/Onboard/Tensors.h"

namespace clade::onboard {

struct Fitting {
  const spec::FamilyDecl *family = nullptr;
  import::Probe probe;
  std::vector<WeightGroup> missing, misshapen;
  std::vector<TensorGroup> unused;
  /// Of missing and unused ones that may be the same; the lists above have
  /// them, too.
  std::vector<Pairing> pairings;
  std::vector<WeightGroup> unpairedMissing;
  std::vector<TensorGroup> unpairedUnused;
  /// Positions are learned, and rotated or sloped as well.
  bool hasTwoPositions = false;
  /// What is to be settled, weighed by how much work it is; 0 for a family that
  /// fits.
  double cost = 0;
  /// What the configuration does not speak for: fields that are read from keys
  /// that it lacks. No reason for a change, but of two families for the other.
  double defaults = 0;
  /// The sum, for ranking: of a family that cannot be built yet, what its text
  /// says of the tensors takes the place of what it would leave over.
  double distance = 0;
  size_t unusedTensors() const { return probe.unused.size(); }
};

/// Whether a field is a table of rotations or slopes.
bool isOfPositions(const spec::FieldDecl &field);

Fitting fit(import::SpecLibrary &library, const spec::FamilyDecl *family,
            const import::Config &config,
            llvm::ArrayRef<rt::StoredTensor> tensors);

/// All families that serve an architecture, the nearest first.
std::vector<Fitting> rankFamilies(import::SpecLibrary &library,
                                  const import::Config &config,
                                  llvm::ArrayRef<rt::StoredTensor> tensors);

} // namespace clade::onboard

#endif // CLADE_ONBOARD_FITTING_H

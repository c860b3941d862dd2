//===- Certificate.h - What was proven of a weight mapping ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The compiler proves a mapping from the headers of a checkpoint: every tensor
// is read or dropped by name, every weight has one source, shapes and types
// agree, and which tensors come back bit for bit. The certificate says so,
// tensor by tensor, and for which plan; the engine checks that the checkpoint
// it is given is the one that was proven. docs/weights-format.md describes the
// file.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_CERTIFICATE_H
#define CLADE_RUNTIME_WEIGHTS_CERTIFICATE_H

#include "runtime/Formats/Safetensors.h"

namespace clade::rt {

/// The file's name in an artifact.
inline constexpr const char *certificateFile = "certificate.json";

/// A tensor of the checkpoint.
struct CertifiedTensor {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape;
  /// The weights that are made of it; none for a tensor that is dropped.
  std::vector<std::string> weights;
  /// Why it does not come back bit for bit; empty if it does.
  std::string loss;
};

struct Certificate {
  std::string plan;                     ///< hashOf() the weights table.
  std::vector<CertifiedTensor> tensors; ///< Sorted by name.

  std::string toJson() const;
  /// Corruption for text that is no certificate, Unsupported for another
  /// version.
  static StatusOr<Certificate> fromJson(std::string_view text);

  /// Corruption if it is not about the weights table `tableText`.
  Status checkPlan(std::string_view tableText) const;
  /// InvalidArgument unless `tensors`, sorted by name, are those that were
  /// proven. `place` is where they are, for messages.
  Status checkTensors(std::span<const StoredTensor> tensors,
                      const std::string &place) const;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_CERTIFICATE_H

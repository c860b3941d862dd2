//===- PublishedRecord.h - Recorded published values ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the published implementation makes of a checkpoint, in a safetensors
// file, for machines that cannot run it (docs/verify.md has the format). A
// record says of which configuration and weights it is. Nothing in it is
// trusted.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_PUBLISHEDRECORD_H
#define CLADE_TOOLS_CLADE_PUBLISHEDRECORD_H

#include "tools/clade/PublishedValues.h"

#include "runtime/Formats/Safetensors.h"

#include <nlohmann/json.hpp>

#include <optional>

namespace clade::driver {

/// What must be equal for two checkpoints to give the same values.
struct CheckpointIdentity {
  nlohmann::json config;  ///< config.json.
  nlohmann::json adapter; ///< adapter_config.json; null without an adapter.
  /// By name: type, shape and a hash of the bytes, 'BF16 [64, 32] 0123…'.
  std::map<std::string, std::string> weights;

  /// Reads all bytes of the tensors.
  static rt::StatusOr<CheckpointIdentity>
  of(const std::string &configText,
     const std::optional<std::string> &adapterText,
     const std::vector<rt::StoredTensor> &tensors);
};

/// One file of recorded values.
struct PublishedRecord {
  CheckpointIdentity checkpoint;
  /// What the weights were made from, if they are random.
  std::optional<uint64_t> seed;
  std::string dtype; ///< Of the checkpoint's own run, f32 or bf16.
  VerifyText text;
  PublishedRun wide; ///< In f32.
  /// In bf16; empty where `dtype` is f32.
  PublishedRun narrow;

  /// Corruption, Unsupported or NotFound, with the file's name, and what was
  /// expected and found under which name in it.
  static rt::StatusOr<PublishedRecord> open(const std::string &path);
  /// The same for an image in memory; `name` stands for the path in messages.
  static rt::StatusOr<PublishedRecord> parse(rt::ByteSpan image,
                                             const std::string &name);

  /// Writes the file, whole or not at all.
  rt::Status write(const std::string &path) const;

  /// The run of a type, or InvalidArgument: which there are.
  rt::StatusOr<const PublishedRun *> run(const std::string &dtype) const;
};

/// InvalidArgument, with the first key or tensor in which `recorded` is of
/// another checkpoint than `own`.
rt::Status checkSame(const CheckpointIdentity &recorded,
                     const CheckpointIdentity &own);

/// InvalidArgument if a model of this vocabulary does not take the text: tokens
/// behind the prompt only where it continues a text, types only where it has
/// some.
rt::Status checkText(const VerifyText &text, int64_t vocab, bool isWhole,
                     int32_t numTypes);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_PUBLISHEDRECORD_H

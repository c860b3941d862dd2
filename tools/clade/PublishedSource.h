//===- PublishedSource.h - Where published values come from -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_PUBLISHEDSOURCE_H
#define CLADE_TOOLS_CLADE_PUBLISHEDSOURCE_H

#include "tools/clade/PublishedRecord.h"
#include "tools/clade/PublishedRun.h"

#include "runtime/Formats/Checkpoint.h"

namespace clade::driver {

/// What a model asks of a text.
struct TextNeeds {
  int64_t vocab = 1;
  bool isWhole = false; ///< It reads a text as a whole and continues none.
  int32_t numTypes = 0; ///< Of tokens; 0 for none.
};

/// Where what the published implementation computes comes from.
class PublishedSource {
public:
  virtual ~PublishedSource() = default;
  /// The text that both sides run.
  virtual rt::StatusOr<VerifyText> text(const TextNeeds &needs) = 0;
  /// What comes of it in f32 or bf16. Lives as long as this object.
  virtual rt::StatusOr<const PublishedRun *> run(const VerifyText &text,
                                                 const std::string &dtype) = 0;
};

/// A class of Python, run once in each type.
class PublishedLibrary : public PublishedSource {
public:
  PublishedLibrary(PublishedChoice choice, int tokens)
      : choice(std::move(choice)), tokens(tokens) {}
  rt::StatusOr<VerifyText> text(const TextNeeds &needs) override;
  rt::StatusOr<const PublishedRun *> run(const VerifyText &text,
                                         const std::string &dtype) override;

private:
  PublishedChoice choice;
  int tokens;
  std::map<std::string, PublishedRun> runs; ///< By type.
};

/// A record; needs no Python.
class RecordedSource : public PublishedSource {
public:
  explicit RecordedSource(std::shared_ptr<const PublishedRecord> record)
      : record(std::move(record)) {}
  rt::StatusOr<VerifyText> text(const TextNeeds &needs) override;
  rt::StatusOr<const PublishedRun *> run(const VerifyText &text,
                                         const std::string &dtype) override;

private:
  std::shared_ptr<const PublishedRecord> record;
};

/// The file that a path given for a record means: in a folder it has a name of
/// its own.
std::string recordFile(const std::string &path);

/// What `checkpoint` is, with its adapter; reads all tensors.
rt::StatusOr<CheckpointIdentity> identityOf(const rt::Checkpoint &checkpoint);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_PUBLISHEDSOURCE_H

//===- PackedWeights.h - Compiled weights in a file -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The compiled weights of an artifact, made once: packed.bin holds them as they
// lie in memory, packed.json says where each slot begins, of which weights
// table and source files they were made, and the hashes of their chunks.
// Loading is a mapping. docs/artifact-format.md describes both files.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_PACKEDWEIGHTS_H
#define CLADE_RUNTIME_WEIGHTS_PACKEDWEIGHTS_H

#include "runtime/Weights/WeightLoader.h"

namespace clade::rt {

/// Bytes that share a hash.
inline constexpr int64_t packedChunkBytes = int64_t(16) << 20;

/// A file of the checkpoint that weights were made of, as it was then.
struct SourceFile {
  std::string path; ///< Absolute.
  int64_t bytes = 0;
  int64_t modified = 0; ///< Nanoseconds since 1970.

  bool operator==(const SourceFile &other) const = default;
};

/// The files that hold the tensors of `checkpoint`.
StatusOr<std::vector<SourceFile>> sourceFiles(const Checkpoint &checkpoint);

/// Makes the weights of a table in the new file `path` and gives the text of
/// packed.json. `tableText` is the JSON of `table`. Memory does not grow with
/// the weights: they are written where the file is mapped. Errors are those of
/// loadWeights(), and IOError for a file that cannot be made or is too large
/// for the disk.
StatusOr<std::string> packWeights(const std::string &path,
                                  const WeightTable &table,
                                  std::string_view tableText,
                                  const Checkpoint &checkpoint,
                                  const LoadOptions &options = {});

/// Packed weights, mapped. Thread-safe: it never changes after open().
class PackedWeights {
public:
  /// Maps `path`. `index` is the text of packed.json, `tableText` the weights
  /// table of the artifact. Corruption for an index that contradicts itself or
  /// the table, or a file of another size; Unsupported for another version.
  static StatusOr<PackedWeights> open(const std::string &path,
                                      std::string_view index,
                                      std::string_view tableText);

  int32_t numSlots() const { return static_cast<int32_t>(spans.size()); }
  ByteSpan slot(int32_t slot) const { return spans[static_cast<size_t>(slot)]; }
  int64_t bytes() const { return static_cast<int64_t>(file->bytes().size()); }

  /// InvalidArgument if a source file still exists but is not the one that the
  /// weights were made of.
  Status checkSource() const;
  /// Reads all and compares the hashes of all chunks: Corruption names the
  /// first that differs, with its range.
  Status verify(const LoadOptions &options = {}) const;

  const std::shared_ptr<const MappedFile> &mapping() const { return file; }

private:
  std::shared_ptr<const MappedFile> file;
  std::vector<ByteSpan> spans;
  std::vector<std::string> hashes; ///< Of the chunks in turn.
  std::vector<SourceFile> sources;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_PACKEDWEIGHTS_H

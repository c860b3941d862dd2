//===- Safetensors.h - The safetensors format -------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads one safetensors file or a sharded set, and writes single files. A file
// is an 8-byte little-endian header length, a JSON header {"name": {"dtype",
// "shape", "data_offsets": [begin, end]}, "__metadata__": {…}}, then the data
// (https://github.com/huggingface/safetensors). Nothing in a file is trusted:
// every range is checked against shape, dtype, its neighbours and the file.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_FORMATS_SAFETENSORS_H
#define CLADE_RUNTIME_FORMATS_SAFETENSORS_H

#include "runtime/Formats/DType.h"
#include "runtime/Support/MappedFile.h"

#include <map>

namespace clade::rt {

/// A stored tensor: a view into a mapped file, contiguous and row-major.
/// The mapping is owned by the file object that lists the tensor.
struct StoredTensor {
  std::string name;
  DType dtype = DType::F32;
  std::vector<int64_t> shape; ///< As PyTorch prints it; [] is a scalar.
  ByteSpan bytes;
};

/// Finds `name` in a list sorted by name, or null.
const StoredTensor *findTensor(std::span<const StoredTensor> tensors,
                               std::string_view name);

/// One safetensors file. Thread-safe: it never changes after open().
class SafetensorsFile {
public:
  /// Maps `path` and checks its header. Corruption names file and tensor.
  static StatusOr<SafetensorsFile> open(const std::string &path);

  /// Checks a file image that the caller keeps alive; `name` stands for the
  /// path in messages.
  static StatusOr<SafetensorsFile> parse(ByteSpan image,
                                         const std::string &name);

  const std::string &path() const { return filePath; }
  /// Sorted by name.
  const std::vector<StoredTensor> &tensors() const & { return tensorList; }
  std::vector<StoredTensor> tensors() && { return std::move(tensorList); }
  const StoredTensor *find(std::string_view name) const {
    return findTensor(tensorList, name);
  }
  /// The "__metadata__" strings.
  const std::map<std::string, std::string> &metadata() const {
    return metadataMap;
  }
  /// The mapping that the tensors view; null after parse().
  const std::shared_ptr<const MappedFile> &mapping() const { return file; }

private:
  std::string filePath;
  std::shared_ptr<const MappedFile> file;
  std::vector<StoredTensor> tensorList;
  std::map<std::string, std::string> metadataMap;
};

/// The safetensors of one model: `model.safetensors`, or the shards that
/// `model.safetensors.index.json` lists.
class SafetensorsSet {
public:
  /// Opens the files of `directory`. Besides each file's own errors: no such
  /// file (NotFound), an index that names a missing file or tensor, a tensor
  /// in two shards, a tensor of a shard that the index lacks.
  static StatusOr<SafetensorsSet> openDirectory(const std::string &directory);

  /// One file as a set.
  static StatusOr<SafetensorsSet> openFile(const std::string &path);

  /// Of the files; the tensors view them.
  const std::vector<std::shared_ptr<const MappedFile>> &mappings() const {
    return mappingList;
  }
  /// Those of all files, sorted by name.
  const std::vector<StoredTensor> &tensors() const & { return tensorList; }
  std::vector<StoredTensor> tensors() && { return std::move(tensorList); }

private:
  std::vector<std::shared_ptr<const MappedFile>> mappingList;
  std::vector<StoredTensor> tensorList;
};

/// What a file is before its data.
struct SafetensorsLayout {
  std::string header;           ///< With its length in front.
  std::vector<int64_t> offsets; ///< Of each tensor, in the file.
  int64_t bytes = 0;            ///< Of the whole file.
};

/// The layout of a file of `tensors`, of which `bytes` is not looked at.
/// InvalidArgument for two of one name, and for block types.
StatusOr<SafetensorsLayout>
layOutSafetensors(std::span<const StoredTensor> tensors,
                  const std::map<std::string, std::string> &metadata = {});

/// Writes `tensors` to `path`, complete or not at all (temporary file and
/// rename). Checks that names are unique and each `bytes` fits dtype and shape;
/// block types are refused. The data start, and each tensor's start where
/// sizes allow, is 64-byte aligned so that a reader can use it in place.
Status
writeSafetensors(const std::string &path, std::span<const StoredTensor> tensors,
                 const std::map<std::string, std::string> &metadata = {});

} // namespace clade::rt

#endif // CLADE_RUNTIME_FORMATS_SAFETENSORS_H

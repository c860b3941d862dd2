//===- Checkpoint.h - A model as it was published ---------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A directory with config.json and safetensors files, or one GGUF file, behind
// one interface: named tensors, and the texts beside them. Compiler and engine
// both read checkpoints through this class only. Opening reads headers, never
// tensor data.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_FORMATS_CHECKPOINT_H
#define CLADE_RUNTIME_FORMATS_CHECKPOINT_H

#include "runtime/Formats/Adapter.h"
#include "runtime/Formats/GGUF.h"
#include "runtime/Formats/Safetensors.h"

namespace clade::rt {

/// An open checkpoint. Movable; moving it keeps all spans valid. Thread-safe:
/// it never changes after open().
class Checkpoint {
public:
  enum class Kind { Safetensors, GGUF };

  /// Opens a directory (config.json, and model.safetensors or
  /// model.safetensors.index.json) or a file that begins with GGUF's magic.
  static StatusOr<Checkpoint> open(const std::string &path);

  /// The same with an adapter beside it, whose tensors are then among
  /// tensors(); none if `adapterPath` is empty. Corruption for an adapter that
  /// has a tensor of a name that the checkpoint has, too.
  static StatusOr<Checkpoint> open(const std::string &path,
                                   const std::string &adapterPath);

  Kind kind() const { return checkpointKind; }
  const std::string &path() const { return checkpointPath; }

  /// All tensors, sorted by name.
  const std::vector<StoredTensor> &tensors() const { return tensorList; }
  /// Those without the adapter's.
  const std::vector<StoredTensor> &ownTensors() const {
    return adapterFile ? ownList : tensorList;
  }
  /// The adapter beside it, or null.
  const Adapter *adapter() const { return adapterFile.get(); }
  /// The tensor of that name, or null.
  const StoredTensor *find(std::string_view name) const {
    return findTensor(tensorList, name);
  }

  /// config.json; nothing for a GGUF file.
  const std::optional<std::string> &configText() const { return config; }
  /// generation_config.json, if a directory has one.
  const std::optional<std::string> &generationConfigText() const {
    return generationConfig;
  }
  /// The path of tokenizer.json, if a directory has one.
  const std::optional<std::string> &tokenizerPath() const { return tokenizer; }
  /// The path of any other file of a directory, if it exists.
  std::optional<std::string> filePath(std::string_view name) const;

  /// The GGUF file with its metadata; null for a directory.
  const GGUFFile *gguf() const { return ggufFile.get(); }

  /// The mappings that tensors() view. Whoever keeps a span longer than this
  /// object keeps these as well.
  const std::vector<std::shared_ptr<const MappedFile>> &mappings() const {
    return mappingList;
  }

private:
  static StatusOr<Checkpoint> openDirectory(const std::string &path);
  static StatusOr<Checkpoint> openGGUF(const std::string &path);

  Kind checkpointKind = Kind::Safetensors;
  std::string checkpointPath;
  std::vector<StoredTensor> tensorList;
  std::vector<StoredTensor> ownList; ///< With an adapter.
  std::shared_ptr<const Adapter> adapterFile;
  std::optional<std::string> config;
  std::optional<std::string> generationConfig;
  std::optional<std::string> tokenizer;
  std::shared_ptr<const GGUFFile> ggufFile;
  std::vector<std::shared_ptr<const MappedFile>> mappingList;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_FORMATS_CHECKPOINT_H

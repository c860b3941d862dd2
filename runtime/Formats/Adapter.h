//===- Adapter.h - A LoRA adapter as PEFT publishes it ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A directory with adapter_config.json and adapter_model.safetensors. Keys of
// the file name modules of the published implementation; here they become pairs
// of factors, each with its rank and scale. Which weights of a checkpoint they
// belong to is for the importer to find out.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_FORMATS_ADAPTER_H
#define CLADE_RUNTIME_FORMATS_ADAPTER_H

#include "runtime/Formats/AdapterConfig.h"
#include "runtime/Formats/Safetensors.h"

#include <map>

namespace clade::rt {

/// The two factors of what is added to one weight.
struct AdapterFactors {
  /// Linear: A [rank, in], B [out, rank], added is scale · B·A.
  /// Embedding: A [rank, rows], B [width, rank], added is scale · (B·A)ᵀ.
  /// Parameter: a stack of matrices that is no module; A [experts · rank, in],
  /// B [out, rank · experts] with the expert as the fastest index of B.
  enum class Kind { Linear, Embedding, Parameter };
  Kind kind = Kind::Linear;
  int64_t rank = 0;
  int64_t experts = 0; ///< Parameter.
  double scale = 0;
  /// What of the names of the two tensors is behind that of the module.
  std::string suffixA, suffixB;
  const StoredTensor *a = nullptr, *b = nullptr;
};

/// The names that modules of the published implementation may have where a
/// checkpoint's names begin like `name`: itself, and with other prefixes.
std::vector<std::string> moduleNames(std::string_view name);

/// An open adapter. Movable; moving it keeps all spans and pointers valid.
/// Thread-safe: it never changes after open().
class Adapter {
public:
  /// Opens a directory. NotFound without one of its files, Corruption and
  /// Unsupported as AdapterConfig::parse and for: a tensor that is no factor, a
  /// factor without the other, ranks that do not agree with each other or with
  /// the configuration.
  static StatusOr<Adapter> open(const std::string &path);

  const std::string &path() const { return directory; }
  const std::string &configText() const { return text; }
  const AdapterConfig &config() const { return settings; }
  /// All tensors of the file, sorted by name.
  const std::vector<StoredTensor> &tensors() const { return file->tensors(); }
  const std::shared_ptr<const MappedFile> &mapping() const {
    return file->mapping();
  }

  /// The factors by the name of what they adapt: a module's, such as
  /// "model.layers.0.self_attn.q_proj", or a parameter's, such as
  /// "model.layers.0.mlp.experts.down_proj".
  const std::map<std::string, AdapterFactors, std::less<>> &factors() const {
    return byModule;
  }
  /// Whole weights that PEFT stores beside the factors, by the name of the
  /// module: they must be those of the checkpoint.
  const std::map<std::string, const StoredTensor *> &wholeWeights() const {
    return wholes;
  }
  /// The names of the two tensors of a module with these suffixes; the module
  /// may have placeholders.
  std::string tensorName(const AdapterFactors &factors, std::string module,
                         const std::string &suffix) const;

private:
  Status readKey(const StoredTensor &tensor);
  Status nameParameters();
  Status checkFactors(const std::string &module, AdapterFactors &factors);

  std::string directory, text, prefix;
  AdapterConfig settings;
  std::shared_ptr<const SafetensorsFile> file;
  std::map<std::string, AdapterFactors, std::less<>> byModule;
  std::map<std::string, const StoredTensor *> wholes;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_FORMATS_ADAPTER_H

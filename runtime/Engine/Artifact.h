//===- Artifact.h - A compiled model on disk --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A directory with manifest.json, the code, weights.json, perhaps the packed
// weights, and copies of the tokenizer's files. docs/artifact-format.md
// describes it byte by byte. The compiler writes artifacts through
// writeArtifact, the engine opens them. An artifact is code: the hashes detect
// damage, not malice.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_ARTIFACT_H
#define CLADE_RUNTIME_ENGINE_ARTIFACT_H

#include "runtime/Device/LaunchPlan.h"
#include "runtime/Device/MachineCode.h"
#include "runtime/Engine/Manifest.h"

#include <functional>
#include <memory>
#include <optional>

namespace clade::rt {

/// The weights as the code reads them, and what is said about that file. The
/// manifest lists the index only: the data has hashes of its own, by chunks.
inline constexpr const char *packedData = "packed.bin";
inline constexpr const char *packedIndex = "packed.json";

/// What goes into an artifact beside its manifest.
struct ArtifactContents {
  /// Path of the shared object; its content is copied. None for a GPU, whose
  /// code is among the extra files.
  std::string code;
  std::string weights; ///< Text of the weight table, weights.json.
  /// Name and content of further files, such as `tokenizer.json`.
  std::map<std::string, std::string> extraFiles;
  /// If set: writes packed.bin to the path it is given and returns the text of
  /// packed.json (runtime/Weights/PackedWeights.h).
  std::function<StatusOr<std::string>(const std::string &path)> pack = nullptr;
};

/// Writes an artifact to the directory `path`: whole under a temporary name
/// beside it, then renamed. `manifest.files` is filled in here. An existing
/// artifact or an empty directory is replaced; anything else, and an artifact
/// with files that its manifest does not list, is InvalidArgument.
Status writeArtifact(const std::string &path, Manifest manifest,
                     const ArtifactContents &contents);

/// Writes the artifact `from` once more, as writeArtifact() does. Corruption if
/// a file is not what its manifest says, NotFound if one is missing,
/// InvalidArgument for an artifact that holds its weights.
Status copyArtifact(const std::string &from, const std::string &path);

/// Whether `path` is a directory with a manifest of an artifact, of any
/// version and in any state.
bool isArtifact(const std::string &path);

/// An open artifact: its manifest, checked, and its code, loaded. Thread-safe:
/// it never changes after open().
class Artifact {
public:
  /// Checks versions, CPU features, sizes and hashes of all files, then loads
  /// the code. Corruption for damage, Unsupported for another version or CPU,
  /// NotFound for a missing file.
  static StatusOr<std::shared_ptr<const Artifact>>
  open(const std::string &path);

  ~Artifact();
  Artifact(const Artifact &) = delete;
  Artifact &operator=(const Artifact &) = delete;

  const std::string &path() const { return directory; }
  const Manifest &manifest() const { return content; }
  /// The entry `forward`; null if the code is for a GPU.
  CladeStepFunction forward() const { return forwardFunction; }
  /// Of code for a GPU: the text of kernels.ptx, and the launches of a step.
  const std::string &kernels() const { return kernelText; }
  const MachineCode &machineCode() const { return machineCodes; }
  const LaunchPlan &launches() const { return plan; }
  /// The same of a step of images, if the model takes any.
  const std::optional<LaunchPlan> &imageLaunches() const { return imagePlan; }
  /// The entry `image`, or null.
  CladeStepFunction image() const { return imageFunction; }
  /// The text of weights.json, as it was checked.
  const std::string &weightTable() const { return weights; }
  /// Whether the manifest lists a file of that name.
  bool hasFile(const std::string &name) const {
    return content.files.count(name) != 0;
  }
  /// The path of a file of that name inside the artifact.
  std::string filePath(const std::string &name) const {
    return directory + "/" + name;
  }

private:
  Artifact(std::string directory, Manifest content)
      : directory(std::move(directory)), content(std::move(content)) {}
  Status checkFiles();
  Status loadCode();
  Status readLaunches();
  StatusOr<LaunchPlan> readPlan(const char *name, size_t states) const;

  std::string directory;
  Manifest content;
  std::string weights, kernelText;
  MachineCode machineCodes;
  LaunchPlan plan;
  std::optional<LaunchPlan> imagePlan;
  int codeFile = -1; ///< Open as long as the code is loaded.
  void *library = nullptr;
  CladeStepFunction forwardFunction = nullptr;
  CladeStepFunction imageFunction = nullptr;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_ARTIFACT_H

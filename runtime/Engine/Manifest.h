//===- Manifest.h - What an artifact says about itself ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The content of an artifact's manifest.json, as the compiler fills it in and
// the engine reads it. docs/artifact-format.md describes the file.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_MANIFEST_H
#define CLADE_RUNTIME_ENGINE_MANIFEST_H

#include "clade/abi.h"
#include "runtime/Engine/Images.h"
#include "runtime/Support/Status.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clade::rt {

/// Version of the artifact format that this runtime reads and writes.
inline constexpr int64_t artifactVersion = 7;

/// The model that was compiled.
struct ManifestModel {
  std::string family;       ///< Name of the spec's family, such as `llama`.
  std::string architecture; ///< Such as `LlamaForCausalLM`.
  std::string dtype;        ///< `bf16` or `f32`.
  std::string precision;    ///< `fused` or `reference`.
  int64_t vocab = 0;        ///< Token ids that are read are in [0, vocab).
  std::string checkpoint;   ///< Absolute path that the weights are read from.
  std::vector<int32_t> eos; ///< Tokens that end a text.
  std::optional<int32_t> bos;
  /// Tokens that a sequence may have; without a value the code has no limit.
  std::optional<int64_t> maxPositions;
  /// Absolute path of the adapter that is merged into the weights, if one is.
  std::optional<std::string> adapter = std::nullopt;
  /// What weights of products are held as: `dense`, `keep`, `f16`, `int8`,
  /// `int8_channel`, `int4`, `q8_0`, `q4_0`, `q4_k` or `q6_k`.
  std::string weights = "dense";
  /// Where weights of single products are published row by row in the type they
  /// are multiplied in: `panels`, made of them, or `rows`, read as they are.
  std::string layout = "panels";
};

/// The machine that the code is for.
struct ManifestTarget {
  std::string kind = "cpu"; ///< `cpu` or `cuda`.
  std::string cpu;          ///< LLVM's name, such as `znver4` or `sm_80`.
  std::vector<std::string> features; ///< LLVM's names, `+avx2` or `-avx2`.

  bool isCuda() const { return kind == "cuda"; }
};

/// A function of code.so that the engine may call (a CladeStepFunction).
struct ManifestEntry {
  std::string symbol;
  int64_t outputWidth = 0; ///< f32 values in a row of CladeStep::output.
};

/// One state slot. Kind `kv` is a paged key/value state (CladeKVState), kind
/// `latent` one of keys whose first elements are the values, kind `recurrent` a
/// number of bytes for each sequence (CladeRecurrentState).
struct ManifestState {
  std::string kind = "kv";
  int32_t group = 0; ///< Index of the group whose page numbers it shares.
  // Keys and values.
  int32_t heads = 0; ///< Key/value heads.
  int32_t keySize = 0;
  int32_t valueSize = 0;
  std::string dtype; ///< `bf16` or `f32`.
  // Recurrent.
  int64_t bytes = 0; ///< Of one sequence; a multiple of 64.

  bool isRecurrent() const { return kind == "recurrent"; }
  bool isLatent() const { return kind == "latent"; }
  /// Bytes that the keys or the values of one page take. A recurrent state
  /// counts as keys; a latent one has no values.
  int64_t keyPageBytes() const;
  int64_t valuePageBytes() const;
};

/// States that keep the same positions. With a window w, the token at position
/// p reads positions above p - w only; pages before that are given back. The
/// states of a group are all recurrent, with one page for each sequence, or
/// none is.
struct ManifestGroup {
  std::optional<int32_t> window;
  bool perSequence = false;
};

/// Sizes of CladeStep::workspace in bytes: the sum over the step's numbers.
struct ManifestWorkspace {
  int64_t fixed = 0;
  int64_t perToken = 0;    ///< Times CladeStep::num_tokens.
  int64_t perSelected = 0; ///< Times CladeStep::num_selected.
  int64_t perSequence = 0; ///< Times CladeStep::num_sequences.
};

/// Bytes of scratch that each thread needs. The context is the length of the
/// step's longest sequence after the step, rounded up to whole pages.
struct ManifestScratch {
  int64_t fixed = 0;
  int64_t perContext = 0;
};

/// The entry `image`: what it takes, and what its steps need.
struct ManifestImages {
  ImageLayout layout;
  /// Token ids that stand for rows of its output, ascending.
  std::vector<int32_t> tokens;
  /// Whether positions of tokens are time, row and column.
  bool gridPositions = false;
  std::vector<CladeLayer> layers;
  /// Keys and values of one layer's attention at a time; in no group.
  std::vector<ManifestState> states;
  ManifestWorkspace workspace;
  ManifestScratch scratch;
};

/// Places for adapters that are loaded beside the weights.
struct ManifestAdapters {
  int32_t count = 0; ///< Adapters at once.
  int32_t rank = 0;  ///< The largest rank that one may have.
  /// Slot i of adapters.json is a part of this weight, which has one for each
  /// place, from that of no adapter on, one behind the other.
  std::vector<int32_t> weights;
};

/// The file of an artifact with places that says how an adapter fills one.
inline constexpr const char *adaptersFile = "adapters.json";

/// Size and hash of another file of the artifact.
struct ManifestFile {
  uint64_t bytes = 0;
  std::string xxh128; ///< hashOf() its content.
};

/// Everything in manifest.json.
struct Manifest {
  ManifestModel model;
  ManifestTarget target;
  std::map<std::string, ManifestEntry> entries; ///< `forward` must be there.
  std::vector<CladeLayer> layers;
  int32_t weightSlots = 0;
  std::vector<ManifestState> states;
  std::vector<ManifestGroup> groups;
  ManifestWorkspace workspace;
  ManifestScratch scratch;
  /// Of a model with an entry `image`, and only of one.
  std::optional<ManifestImages> images;
  /// Of code with places for adapters.
  std::optional<ManifestAdapters> adapters;
  /// True if rotary angles depend on the length that a sequence is scaled for.
  bool lengthDependentRotary = false;
  /// True if tokens see those behind them: a step takes a sequence as a whole.
  bool wholeSequences = false;
  /// Types of tokens that the code has rows for; 0 if it takes no types.
  int32_t tokenTypes = 0;
  std::map<std::string, ManifestFile> files; ///< writeArtifact fills it in.

  /// f32 values in a row of logits. The struct must be valid.
  int64_t logitsWidth() const { return entries.at("forward").outputWidth; }
  /// The canonical text of the manifest, its hash included. The struct must be
  /// valid.
  std::string toJson() const;
  /// Reads what toJson() gives. Corruption if the text does not match its hash,
  /// lacks or contradicts something; Unsupported for another version.
  static StatusOr<Manifest> fromJson(std::string_view text);
  /// Reads any JSON with a manifest's members and ignores `hash`: for tools
  /// that write manifests by hand. fromJson(m.toJson()) holds for the result.
  static StatusOr<Manifest> fromLooseJson(std::string_view text);
  /// Whether numbers, names and references fit together.
  Status validate() const;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_ENGINE_MANIFEST_H

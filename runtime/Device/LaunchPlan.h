//===- LaunchPlan.h - The launches of a step on a GPU --------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the compiler writes down for a GPU in place of a function: the kernels
// of the step's code, and the launches of a step in order, each with what its
// arguments point to. docs/artifact-format.md describes the file.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_LAUNCHPLAN_H
#define CLADE_RUNTIME_DEVICE_LAUNCHPLAN_H

#include "runtime/Support/Status.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clade::rt {

/// The files of an artifact for a GPU.
inline constexpr const char *kernelsFile = "kernels.ptx";
inline constexpr const char *launchesFile = "launches.json";
/// Of a model that takes images: the launches of a step of these.
inline constexpr const char *imageLaunchesFile = "image_launches.json";

/// Arrays of a CladeStep that kernels are given.
enum class LaunchInput : int64_t {
  Tokens,     ///< CladeStep::tokens
  TokenTypes, ///< CladeStep::token_types
  Pixels,     ///< CladeStep::pixels
  Draws       ///< a TokenDraw for each selected token, in steps that draw
};
inline constexpr int64_t numLaunchInputs = 4;

/// A matrix of bf16 or f16 that an argument describes by a tensor map in place
/// of its address: rows that follow each other, and how much of them one copy
/// of a kernel brings to shared memory, in a swizzle of 128 bytes.
struct LaunchMap {
  int32_t columns = 8;    ///< elements of a row, a multiple of 8
  int64_t rows = 0;       ///< at most 2^31 - 1; 0 for those of the kernel
  int32_t boxColumns = 8; ///< 8 … 64, a multiple of 8
  int32_t boxRows = 1;    ///< 1 … 256

  friend bool operator==(const LaunchMap &, const LaunchMap &) = default;
};

/// What an argument of a launch points to.
struct LaunchArgument {
  enum class Space {
    Fixed,    ///< workspace: `number` bytes, whatever the rows
    Token,    ///< workspace, behind these: for each row of tokens
    Selected, ///< workspace, behind these: for each row of selected tokens
    Output,   ///< CladeStep::output
    Input,    ///< an array of the CladeStep, as LaunchInput numbers them
    Choices,  ///< room for the choices of a LaunchRouter, or null
    Weight,   ///< weight `number`
    State     ///< the CladeKVState `number`
  };
  Space space = Space::Output;
  int64_t number = 0;
  /// Of weights with their rows, of tokens without.
  std::optional<LaunchMap> map = {};

  friend bool operator==(const LaunchArgument &,
                         const LaunchArgument &) = default;
};

/// A kernel of the code. Its grid has `columns` blocks along x and, along y,
/// one for each `rowsPerBlock` rows; its first argument is the CladeStep.
struct LaunchKernel {
  bool onSelected = false;  ///< Rows are selected tokens, not all.
  int32_t columns = 1;      ///< 1 … 2^31 - 1
  int32_t rowsPerBlock = 1; ///< 1 … 65536
  int32_t threads = 1;      ///< of a block, 1 … 1024
  int32_t sharedBytes = 0;  ///< dynamic shared memory of a block

  friend bool operator==(const LaunchKernel &, const LaunchKernel &) = default;
};

struct Launch {
  std::string kernel;
  std::vector<LaunchArgument> arguments; ///< behind the CladeStep
  /// It is for steps in which its kernel has so many rows, 1 … 2^31 - 1 each.
  int32_t minRows = 1, maxRows = INT32_MAX;
  /// In place of its kernel's, 1 … 2^31 - 1.
  std::optional<int32_t> columns = {};
  /// And in which some sequence has so many tokens or more, and some has so
  /// many or fewer, 1 … 2^31 - 1 each.
  int32_t minLongest = 1, maxShortest = INT32_MAX;

  friend bool operator==(const Launch &, const Launch &) = default;
};

/// A choice of `active` of `experts` experts for each token, in layer `layer`
/// of the published model. It has room of its own, i32 [token][2][active] from
/// `offset` bytes for each token on: what the code chose, and what it is to
/// choose instead, -1 for its own.
struct LaunchRouter {
  int64_t offset = 0;
  int32_t layer = 0, active = 1, experts = 1;

  friend bool operator==(const LaunchRouter &, const LaunchRouter &) = default;
};

/// A value that is shown behind the first `launches` launches, to those that
/// trace a step: rows of `rowBytes` bytes, of all tokens in the space Token and
/// of selected ones in Selected and Output.
struct LaunchTrace {
  int64_t launches = 0;
  LaunchArgument value;
  int64_t rowBytes = 1;

  friend bool operator==(const LaunchTrace &, const LaunchTrace &) = default;
};

/// Launches behind those of a step that choose the token with the largest value
/// of each row of output.
struct LaunchGreedy {
  std::vector<Launch> launches;
  /// i32 in the space Selected: for each row of selected tokens the least token
  /// of those with the largest value, -1 if none is above minus infinity.
  LaunchArgument tokens = {LaunchArgument::Space::Selected, 0};

  friend bool operator==(const LaunchGreedy &, const LaunchGreedy &) = default;
};

/// Launches behind those of a step, in place of LaunchGreedy's, that do of each
/// row of output what its TokenDraw asks.
struct LaunchDraws {
  std::vector<Launch> launches;
  /// In the space Selected, for each row of selected tokens: a DrawnToken, and
  /// `maxCandidates` TokenCandidates, of which the first are there.
  LaunchArgument rows = {LaunchArgument::Space::Selected, 0};
  LaunchArgument candidates = {LaunchArgument::Space::Selected, 0};

  friend bool operator==(const LaunchDraws &, const LaunchDraws &) = default;
};

struct LaunchPlan {
  /// Bytes of the workspace in any step, and for each row of tokens and of
  /// selected tokens, whose numbers are rounded up to `rowBlock`.
  int64_t fixedBytes = 0, tokenBytes = 0, selectedBytes = 0;
  /// Bytes of choices for each row of tokens, rounded up likewise. They are
  /// there in steps whose choices somebody makes or sees.
  int64_t choiceBytes = 0;
  std::map<std::string, LaunchKernel> kernels;
  std::vector<Launch> launches;
  std::vector<LaunchRouter> routers;
  /// In the order of `launches`; of code that was compiled to be traced.
  std::vector<LaunchTrace> traces;
  /// For steps that ask for tokens in place of the output; may be missing.
  std::optional<LaunchGreedy> greedy = {};
  std::optional<LaunchDraws> draws = {};

  /// Rows of a buffer are counted in blocks of so many: every buffer begins at
  /// a multiple of 64 bytes.
  static constexpr int64_t rowBlock = 64;

  std::string toJson() const;
  /// Reads what toJson() gives; `weights` and `states` are how many there are.
  /// Corruption or InvalidArgument for anything else.
  static StatusOr<LaunchPlan> fromJson(std::string_view text, int64_t weights,
                                       int64_t states);

  friend bool operator==(const LaunchPlan &, const LaunchPlan &) = default;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_LAUNCHPLAN_H

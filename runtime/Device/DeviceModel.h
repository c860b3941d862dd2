//===- DeviceModel.h - A compiled model on a GPU -------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels of an artifact, loaded, and its weights, uploaded: what all
// sessions share. A DeviceStep is what one session has: a stream, the memory of
// its steps, and the launches.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_DEVICEMODEL_H
#define CLADE_RUNTIME_DEVICE_DEVICEMODEL_H

#include "clade/abi.h"
#include "runtime/Device/CudaGraph.h"
#include "runtime/Device/LaunchPlan.h"
#include "runtime/Device/LaunchTimes.h"
#include "runtime/Device/MachineCode.h"
#include "runtime/Device/TokenDraw.h"

#include <array>
#include <functional>
#include <optional>
#include <vector>

namespace clade::rt {

/// What steps of an entry launch, and what they take and give.
struct DeviceEntry {
  LaunchPlan plan;
  int64_t numStates = 0;
  int64_t outputWidth = 0; ///< Values of a row of CladeStep::output.
  int64_t pixelWidth = 0;  ///< Of a row of CladeStep::pixels; 0 if none.
  int64_t mediaWidth = 0;  ///< Of a row of CladeStep::media; 0 if none.
};

/// What a model for a GPU is made of: its entry for text is the entry.
struct DeviceModelSources : DeviceEntry {
  std::string arch;    ///< As in the manifest, such as `sm_80`.
  std::string kernels; ///< Text of kernels.ptx.
  MachineCode machineCode;
  /// Of a model that takes images: its kernels are in the same text.
  std::optional<DeviceEntry> images;
  /// The weights in the host's memory, in the order of slots; those that are
  /// one have one address.
  std::vector<std::span<const std::byte>> weights;
  /// Called with bytes uploaded and in all. May be empty.
  std::function<void(int64_t done, int64_t total)> progress;
};

/// Thread-safe: it never changes.
class DeviceModel {
public:
  /// Loads the kernels and uploads the weights. The errors of CudaDevice::open;
  /// Unsupported for code of another architecture, Corruption for kernels that
  /// do not load or are not there, ResourceExhausted if weights do not fit.
  static StatusOr<std::shared_ptr<const DeviceModel>>
  create(const DeviceModelSources &sources, int deviceNumber);
  ~DeviceModel();
  DeviceModel(const DeviceModel &) = delete;
  DeviceModel &operator=(const DeviceModel &) = delete;

  const std::shared_ptr<const CudaDevice> &device() const { return gpu; }
  /// What was loaded: an architecture, or `PTX`.
  const std::string &loadedCode() const { return loaded; }

private:
  friend class DeviceStep;
  struct Kernel {
    LaunchKernel shape;
    CUfunction function = nullptr;
  };
  DeviceModel() = default;
  Status loadCode(const DeviceModelSources &sources);
  /// Loads text or machine code. Unsupported if the driver does not take it.
  Status loadImage(const std::string &image, const std::string &what);
  Status loadKernels(const LaunchPlan &plan);
  Status uploadWeights(const DeviceModelSources &sources);

  std::shared_ptr<const CudaDevice> gpu;
  DeviceEntry text;
  std::optional<DeviceEntry> images;
  CUmodule module = nullptr;
  std::string loaded;
  std::map<std::string, Kernel> kernels;
  DeviceBuffer arena; ///< All weights.
  std::vector<CUdeviceptr> weights;
};

/// What is asked and shown of the choices of a step: `experts` of a router for
/// a token. Before the step they are -1 and may be told; behind it they are
/// those that the code chose by itself.
using DeviceRouter =
    std::function<void(const LaunchRouter &router, int32_t token,
                       std::span<int32_t> experts, bool isAsked)>;

/// Not thread-safe.
class DeviceStep {
public:
  /// Steps of the entry for text, or with `ofImages` of that for images, which
  /// the model must have.
  static StatusOr<std::unique_ptr<DeviceStep>>
  create(std::shared_ptr<const DeviceModel> model, bool ofImages = false);

  /// Runs a step and waits for it. Arrays of `step`, page tables included, are
  /// the host's; keys and values of its states lie on the device; `output` is
  /// the host's. Weights, layers, workspace and scratch are not read. A `trace`
  /// gets what the plan shows, copied to the host. `choose` may be empty.
  /// With `draws`, one for each selected token, as many of `chosen` get what is
  /// asked for, and only rows with hasLogits of `output` are written: those
  /// that are asked for, that the plan has no launches for, or that have too
  /// many candidates. Candidates are there until the next step.
  Status run(const CladeStep &step, const DeviceRouter &choose = {},
             std::span<const TokenDraw> draws = {},
             std::span<ChosenRow> chosen = {});

  const std::shared_ptr<CudaStream> &stream() const { return queue; }
  /// Lets later steps read weight `slot`, one of the model's, at `address`.
  void setWeight(int32_t slot, CUdeviceptr address);

  /// What became of the launches of steps.
  struct Counts {
    int64_t plainSteps = 0; ///< Launched one by one.
    int64_t graphSteps = 0; ///< Launched as a graph.
    int64_t graphs = 0;     ///< Made.
    size_t nodes = 0;       ///< Launches of the last graph that was made.
    int64_t rows = 0;       ///< Of output, copied to the host.
  };
  const Counts &counts() const { return counted; }

private:
  /// What decides which kernels are launched, and how.
  struct Shape {
    int32_t tokens = 0, selected = 0;
    int32_t longest = 1, shortest = INT32_MAX; ///< Tokens of sequences.
    bool isRouted = false; ///< Choices of experts are told and shown.
    /// What is done with rows of output in all: Largest or Any, or Row.
    DrawKind draws = DrawKind::Row;

    friend bool operator==(const Shape &, const Shape &) = default;
  };
  struct KeptGraph {
    Shape shape;
    CudaGraph graph;
  };
  static Shape shapeOf(const CladeStep &step);
  /// Rows of output that follow each other: the first, and how many.
  using Rows = std::vector<std::pair<int32_t, int32_t>>;
  static Rows allRows(int32_t count);
  static Rows rowsWithLogits(std::span<const ChosenRow> chosen);
  /// What kernels read of a step, in one piece.
  class Arguments;
  /// The rows of images that tokens of a step stand for, behind each other.
  struct Media {
    std::vector<float> values;
    std::vector<int32_t> rows; ///< As CladeStep::media_rows.
  };
  Media mediaOf(const CladeStep &step) const;
  CladeStep layOut(const CladeStep &step, const Media &media,
                   std::span<const TokenDraw> draws,
                   std::vector<CladeKVState> &states, Arguments &pieces);
  Status reserve(DeviceBuffer &buffer, uint64_t bytes, const char *what);
  Status reserveWorkspace(const Shape &shape);
  Status uploadArguments(const CladeStep &step,
                         std::span<const TokenDraw> draws);
  /// Calls `choose` with the choices of all tokens in the staged memory.
  void forEachChoice(const CladeStep &step, bool isAsked,
                     const DeviceRouter &choose);
  Status uploadChoices(const CladeStep &step, const DeviceRouter &choose);
  Status showChoices(const CladeStep &step, const DeviceRouter &choose);
  CUdeviceptr addressOf(const LaunchArgument &argument,
                        const Shape &shape) const;
  Status launch(const Launch &launch, const Shape &shape);
  /// `traced` is the step that shows values, or null.
  Status launchOneByOne(const Shape &shape, const CladeStep *traced);
  Status launchAll(const Shape &shape, const CladeStep *traced);
  Status show(const LaunchTrace &trace, const Shape &shape,
              const CladeStep &step);
  DrawKind launchesFor(std::span<const TokenDraw> draws) const;
  /// Both queue copies to the staged memory.
  Status downloadRows(const Rows &rows);
  Status downloadChoices(const Shape &shape, std::span<const TokenDraw> draws);
  /// Reads the staged memory; gives the rows with too many candidates.
  Rows readChoices(const Shape &shape, std::span<const TokenDraw> draws,
                   std::span<ChosenRow> chosen) const;
  void copyRows(const Rows &rows, float *to);

  std::shared_ptr<const DeviceModel> model;
  const DeviceEntry *entry = nullptr; ///< One of the model's.
  std::shared_ptr<CudaStream> queue;
  DeviceBuffer arguments, workspace, output, choices;
  PinnedBuffer stagedArguments, stagedOutput, stagedChoices, stagedDraws;
  std::vector<CUdeviceptr> weights; ///< The model's, or this session's own.
  uint64_t statesOffset = 0;        ///< Of the states in `arguments`.
  /// Of the arrays that kernels are given there, which depend on the numbers of
  /// states and of tokens alone.
  std::array<uint64_t, numLaunchInputs> inputOffsets = {};
  /// Of steps that came twice, the last used first. Their arguments are the
  /// addresses of the buffers above.
  std::vector<KeptGraph> graphs;
  Shape lastShape;
  Counts counted;
  std::unique_ptr<LaunchTimes> times; ///< Null unless launches are measured.
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_DEVICEMODEL_H

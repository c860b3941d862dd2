//===- DeviceStep.cpp - Running a step on a GPU ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step is one copy to the device (the CladeStep with all it points to), the
// launches of the plan, and copies back: the rows of output, or what was chosen
// from them, beside the rows that are asked for. Rows with too many candidates
// follow in a second round. What changes from step to step is in the copied
// struct, which stays where it is until a buffer grows: so the launches of a
// step are those of an earlier one of the same shape, and can be one graph.
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/DeviceModel.h"
#include "runtime/Device/TensorMaps.h"

#include "runtime/Support/CheckedMath.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

using namespace clade::rt;

namespace {

/// A grid has at most this many blocks along y.
constexpr int64_t maxGridY = 65535;

/// Graphs that a session keeps: for as many numbers of sequences.
constexpr size_t mostGraphs = 16;

uint64_t alignUp(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

int64_t paddedRows(int64_t rows) {
  return ceilDiv(rows, LaunchPlan::rowBlock) * LaunchPlan::rowBlock;
}

} // namespace

/// Lays out pieces of memory behind each other; writes them if there is a
/// place.
class DeviceStep::Arguments {
public:
  Arguments(char *host, CUdeviceptr device) : host(host), device(device) {}

  /// Adds an array, if there is one; gives its address on the device.
  template <typename T> T *add(const T *data, int64_t count) {
    uint64_t size = data ? static_cast<uint64_t>(std::max<int64_t>(count, 0)) *
                               sizeof(std::remove_cv_t<T>)
                         : 0;
    if (host && size)
      std::memcpy(host + used, data, size);
    CUdeviceptr address = device + used;
    used += alignUp(size);
    return reinterpret_cast<T *>(address);
  }
  uint64_t size() const { return used; }

private:
  char *host;
  CUdeviceptr device;
  uint64_t used = 0;
};

DeviceStep::Shape DeviceStep::shapeOf(const CladeStep &step) {
  Shape shape;
  shape.tokens = step.num_tokens;
  shape.selected = step.num_selected;
  for (int32_t i = 0; i < step.num_sequences; ++i) {
    int32_t count = step.first_token[i + 1] - step.first_token[i];
    shape.longest = std::max(shape.longest, count);
    shape.shortest = std::min(shape.shortest, count);
  }
  return shape;
}

StatusOr<std::unique_ptr<DeviceStep>>
DeviceStep::create(std::shared_ptr<const DeviceModel> model, bool ofImages) {
  std::unique_ptr<DeviceStep> result(new DeviceStep());
  result->entry = ofImages ? &*model->images : &model->text;
  CLADE_ASSIGN_OR_RETURN(result->queue, CudaStream::create(model->device()));
  result->weights = model->weights;
  result->model = std::move(model);
  result->times = LaunchTimes::fromEnvironment(result->queue);
  return result;
}

void DeviceStep::setWeight(int32_t slot, CUdeviceptr address) {
  graphs.clear();
  weights[static_cast<size_t>(slot)] = address;
}

Status DeviceStep::reserve(DeviceBuffer &buffer, uint64_t bytes,
                           const char *what) {
  if (bytes <= buffer.size())
    return {};
  graphs.clear();
  buffer = DeviceBuffer(); // Its content is not kept: never two at once.
  // Half as much again, so that steadily growing needs allocate rarely; what is
  // needed if that does not fit.
  uint64_t half = bytes / 2;
  StatusOr<DeviceBuffer> larger =
      DeviceBuffer::allocate(queue->device(), bytes + half, what);
  if (!larger.ok()) {
    CLADE_ASSIGN_OR_RETURN(
        buffer, DeviceBuffer::allocate(queue->device(), bytes, what));
    return {};
  }
  buffer = std::move(*larger);
  return {};
}

DeviceStep::Media DeviceStep::mediaOf(const CladeStep &step) const {
  Media media;
  if (!entry->mediaWidth || !step.media_rows)
    return media;
  auto width = static_cast<size_t>(entry->mediaWidth);
  for (int32_t token = 0; token < step.num_tokens; ++token) {
    int32_t row = step.media_rows[token];
    if (row < 0) {
      media.rows.push_back(-1);
      continue;
    }
    media.rows.push_back(static_cast<int32_t>(media.values.size() / width));
    const float *values = step.media + static_cast<size_t>(row) * width;
    media.values.insert(media.values.end(), values, values + width);
  }
  return media;
}

/// Lays out a step with all it points to; `states` become those of the device.
CladeStep DeviceStep::layOut(const CladeStep &step, const Media &media,
                             std::span<const TokenDraw> draws,
                             std::vector<CladeKVState> &states,
                             Arguments &pieces) {
  CladeStep copy = step;
  // The struct comes first; its pointers are known at the end. Its size, that
  // of the states and of what kernels are given are the same in all steps of so
  // many tokens.
  pieces.add(&step, 1);
  statesOffset = pieces.size();
  copy.states = pieces.add(states.data(), entry->numStates);
  auto addInput = [&](LaunchInput input, auto *data, int64_t count) {
    inputOffsets[static_cast<size_t>(input)] = pieces.size();
    return pieces.add(data, count);
  };
  copy.tokens = addInput(LaunchInput::Tokens, step.tokens, step.num_tokens);
  copy.token_types =
      addInput(LaunchInput::TokenTypes, step.token_types, step.num_tokens);
  copy.pixels = addInput(LaunchInput::Pixels, step.pixels,
                         step.num_tokens * entry->pixelWidth);
  addInput(LaunchInput::Draws, draws.data(),
           static_cast<int64_t>(draws.size()));
  copy.positions = pieces.add(step.positions, step.num_tokens);
  copy.sequence_of = pieces.add(step.sequence_of, step.num_tokens);
  copy.first_token = pieces.add(step.first_token, step.num_sequences + 1);
  copy.selected = pieces.add(step.selected, step.num_selected);
  copy.scaled_lengths = pieces.add(step.scaled_lengths, step.num_sequences);
  copy.adapters = pieces.add(step.adapters, step.num_tokens);
  copy.grids = pieces.add(step.grids, 2 * int64_t(step.num_sequences));
  copy.media_positions =
      pieces.add(step.media_positions,
                 entry->mediaWidth ? 3 * int64_t(step.num_tokens) : 0);
  copy.media_rows =
      pieces.add(media.rows.data(), static_cast<int64_t>(media.rows.size()));
  copy.media = pieces.add(media.values.data(),
                          static_cast<int64_t>(media.values.size()));
  // States of a group share a page table.
  std::map<const int32_t *, const int32_t *> tables;
  for (size_t i = 0; i < states.size(); ++i) {
    const CladeKVState &state = step.states[i];
    auto [table, isNew] = tables.emplace(state.pages, nullptr);
    if (isNew)
      table->second = pieces.add(state.pages, int64_t(state.pages_stride) *
                                                  step.num_sequences);
    states[i] = state;
    states[i].pages = table->second;
  }
  // What kernels are given otherwise, or what only CPUs have.
  copy.layers = nullptr;
  copy.weights = nullptr;
  copy.output = nullptr;
  copy.workspace = copy.scratch = nullptr;
  copy.barrier = nullptr;
  copy.trace = nullptr;
  copy.route = nullptr;
  return copy;
}

/// Copies the step with all it points to.
Status DeviceStep::uploadArguments(const CladeStep &step,
                                   std::span<const TokenDraw> draws) {
  std::vector<CladeKVState> states(static_cast<size_t>(entry->numStates));
  Media media = mediaOf(step);
  Arguments measured(nullptr, 0);
  layOut(step, media, draws, states, measured);
  CLADE_RETURN_IF_ERROR(
      reserve(arguments, measured.size(), "the arguments of a step"));
  if (stagedArguments.size() < arguments.size()) {
    CLADE_ASSIGN_OR_RETURN(stagedArguments,
                           PinnedBuffer::allocate(queue->device(),
                                                  arguments.size(),
                                                  "the arguments of a step"));
  }
  Arguments written(stagedArguments.data(), arguments.address());
  CladeStep copy = layOut(step, media, draws, states, written);
  std::memcpy(stagedArguments.data(), &copy, sizeof(copy));
  if (!states.empty())
    std::memcpy(stagedArguments.data() + statesOffset, states.data(),
                states.size() * sizeof(CladeKVState));
  return queue->upload(arguments.address(), stagedArguments.data(),
                       written.size());
}

void DeviceStep::forEachChoice(const CladeStep &step, bool isAsked,
                               const DeviceRouter &choose) {
  int64_t rows = paddedRows(step.num_tokens);
  for (const LaunchRouter &router : entry->plan.routers) {
    auto *first = reinterpret_cast<int32_t *>(stagedChoices.data() +
                                              router.offset * rows);
    for (int32_t token = 0; token < step.num_tokens; ++token) {
      // What is told lies behind what was chosen.
      int32_t *own = first + int64_t(2) * token * router.active,
              *told = own + router.active;
      if (isAsked)
        std::fill(own, told + router.active, -1);
      choose(router, token,
             {isAsked ? told : own, static_cast<size_t>(router.active)},
             isAsked);
    }
  }
}

/// Asks what the step is to choose, and brings it to the device.
Status DeviceStep::uploadChoices(const CladeStep &step,
                                 const DeviceRouter &choose) {
  std::optional<int64_t> bytes =
      checkedMul(entry->plan.choiceBytes, paddedRows(step.num_tokens));
  const char *what = "choices of experts";
  CLADE_RETURN_IF_ERROR(
      reserve(choices,
              bytes ? static_cast<uint64_t>(*bytes)
                    : uint64_t(std::numeric_limits<int64_t>::max()),
              what));
  if (stagedChoices.size() < choices.size()) {
    CLADE_ASSIGN_OR_RETURN(
        stagedChoices,
        PinnedBuffer::allocate(queue->device(), choices.size(), what));
  }
  forEachChoice(step, /*isAsked=*/true, choose);
  return queue->upload(choices.address(), stagedChoices.data(),
                       static_cast<uint64_t>(*bytes));
}

Status DeviceStep::showChoices(const CladeStep &step,
                               const DeviceRouter &choose) {
  auto bytes = static_cast<uint64_t>(entry->plan.choiceBytes *
                                     paddedRows(step.num_tokens));
  CLADE_RETURN_IF_ERROR(
      queue->download(stagedChoices.data(), choices.address(), bytes));
  CLADE_RETURN_IF_ERROR(queue->synchronize());
  forEachChoice(step, /*isAsked=*/false, choose);
  return {};
}

CUdeviceptr DeviceStep::addressOf(const LaunchArgument &argument,
                                  const Shape &shape) const {
  auto number = static_cast<uint64_t>(argument.number),
       tokens = static_cast<uint64_t>(paddedRows(shape.tokens)),
       selected = static_cast<uint64_t>(paddedRows(shape.selected)),
       fixed = alignUp(static_cast<uint64_t>(entry->plan.fixedBytes));
  switch (argument.space) {
  case LaunchArgument::Space::Fixed:
    return workspace.address() + number;
  case LaunchArgument::Space::Token:
    return workspace.address() + fixed + number * tokens;
  case LaunchArgument::Space::Selected:
    return workspace.address() + fixed +
           static_cast<uint64_t>(entry->plan.tokenBytes) * tokens +
           number * selected;
  case LaunchArgument::Space::Output:
    return output.address();
  case LaunchArgument::Space::Input:
    return arguments.address() + inputOffsets[number];
  case LaunchArgument::Space::Choices:
    return shape.isRouted ? choices.address() + number * tokens : 0;
  case LaunchArgument::Space::Weight:
    return weights[number];
  case LaunchArgument::Space::State:
    return arguments.address() + statesOffset + number * sizeof(CladeKVState);
  }
  return 0;
}

Status DeviceStep::launch(const Launch &launch, const Shape &shape) {
  const DeviceModel::Kernel &kernel = model->kernels.at(launch.kernel);
  int64_t rows = kernel.shape.onSelected ? shape.selected : shape.tokens;
  if (rows < launch.minRows || rows > launch.maxRows ||
      shape.longest < launch.minLongest || shape.shortest > launch.maxShortest)
    return {};
  int64_t blocks = ceilDiv(rows, kernel.shape.rowsPerBlock);
  if (blocks > maxGridY)
    return Status::invalidArgument(
        "a step of " + std::to_string(rows) +
        " tokens is too large for a GPU, which takes " +
        std::to_string(maxGridY * kernel.shape.rowsPerBlock));
  // Addresses and tensor maps stay where they are while they are pointed to.
  std::vector<CUdeviceptr> addresses(launch.arguments.size() + 1);
  std::vector<CUtensorMap> maps(launch.arguments.size());
  addresses[0] = arguments.address();
  std::vector<void *> pointers{addresses.data()};
  for (size_t i = 0; i < launch.arguments.size(); ++i) {
    const LaunchArgument &argument = launch.arguments[i];
    addresses[i + 1] = addressOf(argument, shape);
    pointers.push_back(&addresses[i + 1]);
    if (!argument.map)
      continue;
    CLADE_RETURN_IF_ERROR(describeMatrix(*queue->device(), addresses[i + 1],
                                         *argument.map, rows, launch.kernel,
                                         maps[i]));
    pointers.back() = &maps[i];
  }
  int32_t columns = launch.columns.value_or(kernel.shape.columns);
  CLADE_RETURN_IF_ERROR(
      queue->launch(kernel.function, static_cast<unsigned>(columns),
                    static_cast<unsigned>(blocks),
                    static_cast<unsigned>(kernel.shape.threads),
                    static_cast<unsigned>(kernel.shape.sharedBytes),
                    pointers.data(), launch.kernel));
  return times ? times->mark(launch.kernel, columns, blocks) : Status();
}

/// Brings a value to the host and shows it.
Status DeviceStep::show(const LaunchTrace &trace, const Shape &shape,
                        const CladeStep &step) {
  int64_t rows = trace.value.space == LaunchArgument::Space::Token
                     ? shape.tokens
                     : shape.selected;
  int64_t bytes = rows * trace.rowBytes;
  std::vector<char> values(static_cast<size_t>(bytes));
  if (bytes)
    CLADE_RETURN_IF_ERROR(queue->download(values.data(),
                                          addressOf(trace.value, shape),
                                          static_cast<uint64_t>(bytes)));
  CLADE_RETURN_IF_ERROR(queue->synchronize());
  step.trace(step.trace_state, values.data(), bytes);
  return {};
}

Status DeviceStep::launchOneByOne(const Shape &shape, const CladeStep *traced) {
  if (times)
    CLADE_RETURN_IF_ERROR(times->begin());
  const LaunchPlan &plan = entry->plan;
  auto next = plan.traces.begin();
  for (size_t i = 0; i < plan.launches.size(); ++i) {
    CLADE_RETURN_IF_ERROR(launch(plan.launches[i], shape));
    for (; traced && next != plan.traces.end() &&
           next->launches == static_cast<int64_t>(i) + 1;
         ++next)
      CLADE_RETURN_IF_ERROR(show(*next, shape, *traced));
  }
  if (shape.draws == DrawKind::Row)
    return {};
  for (const Launch &last : shape.draws == DrawKind::Largest
                                ? plan.greedy->launches
                                : plan.draws->launches)
    CLADE_RETURN_IF_ERROR(launch(last, shape));
  return {};
}

/// What comes a second time in a row, as decoding does, becomes a graph.
Status DeviceStep::launchAll(const Shape &shape, const CladeStep *traced) {
  bool isRepeated = shape == std::exchange(lastShape, shape);
  auto known =
      std::find_if(graphs.begin(), graphs.end(),
                   [&](const KeptGraph &kept) { return kept.shape == shape; });
  if (known == graphs.end()) {
    if (!isRepeated || times || traced) {
      ++counted.plainSteps;
      return launchOneByOne(shape, traced);
    }
    CLADE_ASSIGN_OR_RETURN(CudaGraph graph, CudaGraph::capture(queue, [&] {
                             return launchOneByOne(shape, nullptr);
                           }));
    ++counted.graphs;
    counted.nodes = graph.numNodes();
    if (graphs.size() == mostGraphs)
      graphs.pop_back();
    graphs.push_back({shape, std::move(graph)});
    known = graphs.end() - 1;
  }
  std::rotate(graphs.begin(), known, known + 1);
  ++counted.graphSteps;
  return graphs.front().graph.launch();
}

/// The workspace and the output of a step of such a shape.
Status DeviceStep::reserveWorkspace(const Shape &shape) {
  auto fixed = static_cast<int64_t>(
      alignUp(static_cast<uint64_t>(entry->plan.fixedBytes)));
  std::optional<int64_t> tokens = checkedMul(entry->plan.tokenBytes,
                                             paddedRows(shape.tokens)),
                         selected = checkedMul(entry->plan.selectedBytes,
                                               paddedRows(shape.selected)),
                         rows = tokens && selected
                                    ? checkedAdd(*tokens, *selected)
                                    : std::nullopt,
                         bytes = rows ? checkedAdd(*rows, fixed) : std::nullopt;
  CLADE_RETURN_IF_ERROR(
      reserve(workspace,
              bytes ? static_cast<uint64_t>(*bytes)
                    : uint64_t(std::numeric_limits<int64_t>::max()),
              "the workspace"));
  // Not larger than the logits of the step, whose size was checked.
  uint64_t outputBytes = static_cast<uint64_t>(shape.selected) *
                         static_cast<uint64_t>(entry->outputWidth) *
                         sizeof(float);
  CLADE_RETURN_IF_ERROR(reserve(output, outputBytes, "the logits"));
  if (stagedOutput.size() < outputBytes) {
    CLADE_ASSIGN_OR_RETURN(
        stagedOutput,
        PinnedBuffer::allocate(queue->device(), output.size(), "the logits"));
  }
  return {};
}

Status DeviceStep::run(const CladeStep &step, const DeviceRouter &choose,
                       std::span<const TokenDraw> draws,
                       std::span<ChosenRow> chosen) {
  Shape shape = shapeOf(step);
  shape.draws = launchesFor(draws);
  shape.isRouted = choose && !entry->plan.routers.empty();
  if (shape.isRouted)
    CLADE_RETURN_IF_ERROR(uploadChoices(step, choose));
  CLADE_RETURN_IF_ERROR(reserveWorkspace(shape));
  CLADE_RETURN_IF_ERROR(uploadArguments(step, draws));
  bool isTraced = step.trace && !entry->plan.traces.empty();
  CLADE_RETURN_IF_ERROR(launchAll(shape, isTraced ? &step : nullptr));
  for (size_t i = 0; i < chosen.size(); ++i) {
    DrawKind kind = draws[i].kind;
    chosen[i] = {};
    chosen[i].hasLogits =
        kind == DrawKind::Row || shape.draws == DrawKind::Row ||
        (kind != DrawKind::Largest && shape.draws == DrawKind::Largest);
  }
  Rows rows = chosen.empty() ? allRows(shape.selected) : rowsWithLogits(chosen);
  CLADE_RETURN_IF_ERROR(downloadRows(rows));
  if (shape.selected)
    CLADE_RETURN_IF_ERROR(downloadChoices(shape, draws));
  CLADE_RETURN_IF_ERROR(queue->synchronize());
  if (times)
    CLADE_RETURN_IF_ERROR(times->write(step.num_tokens));
  copyRows(rows, step.output);
  Rows late = readChoices(shape, draws, chosen);
  if (!late.empty()) {
    CLADE_RETURN_IF_ERROR(downloadRows(late));
    CLADE_RETURN_IF_ERROR(queue->synchronize());
    copyRows(late, step.output);
  }
  return shape.isRouted ? showChoices(step, choose) : Status();
}

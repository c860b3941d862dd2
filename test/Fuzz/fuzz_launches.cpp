//===- fuzz_launches.cpp - Fuzzes what an artifact has for a GPU ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The input is a list of launches, and machine code. A list that is read is
// written and read again as the same, and only names what is there.
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/LaunchPlan.h"
#include "runtime/Device/MachineCode.h"
#include "runtime/Device/TokenDraw.h"

#include <cstdlib>

using namespace clade::rt;

namespace {

constexpr int64_t numWeights = 8, numStates = 4;

void require(bool condition) {
  if (!condition)
    std::abort();
}

bool isThere(const LaunchArgument &argument, const LaunchPlan &plan) {
  using Space = LaunchArgument::Space;
  switch (argument.space) {
  case Space::Fixed:
    return argument.number < plan.fixedBytes;
  case Space::Token:
    return argument.number < plan.tokenBytes;
  case Space::Selected:
    return argument.number < plan.selectedBytes;
  case Space::Output:
    return argument.number == 0;
  case Space::Input:
    return argument.number < numLaunchInputs;
  case Space::Choices:
    return argument.number < plan.choiceBytes;
  case Space::Weight:
    return argument.number < numWeights;
  case Space::State:
    return argument.number < numStates;
  }
  return false;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string_view text(reinterpret_cast<const char *>(data), size);
  (void)checkMachineCode(text).ok();
  (void)archOfMachineCode(std::string(text));
  (void)runsPtxOf(std::string(text), 80);
  StatusOr<LaunchPlan> plan = LaunchPlan::fromJson(text, numWeights, numStates);
  if (!plan.ok())
    return 0;
  StatusOr<LaunchPlan> again =
      LaunchPlan::fromJson(plan->toJson(), numWeights, numStates);
  require(again.ok() && *again == *plan);
  std::vector<Launch> launches = plan->launches;
  auto addLaunches = [&](const std::vector<Launch> &others) {
    launches.insert(launches.end(), others.begin(), others.end());
  };
  auto fits = [&](const LaunchArgument &place, int64_t bytes) {
    return place.space == LaunchArgument::Space::Selected &&
           place.number >= 0 && place.number + bytes <= plan->selectedBytes;
  };
  if (const auto &greedy = plan->greedy) {
    addLaunches(greedy->launches);
    require(fits(greedy->tokens, sizeof(int32_t)));
  }
  if (const auto &draws = plan->draws) {
    addLaunches(draws->launches);
    require(fits(draws->rows, sizeof(DrawnToken)));
    require(fits(draws->candidates, candidatesBytes));
  }
  for (const Launch &launch : launches) {
    require(plan->kernels.count(launch.kernel) == 1);
    require(launch.minRows >= 1 && launch.minRows <= launch.maxRows);
    require(launch.columns.value_or(1) >= 1);
    require(launch.minLongest >= 1 && launch.maxShortest >= 1);
    for (const LaunchArgument &argument : launch.arguments) {
      require(argument.number >= 0 && isThere(argument, *plan));
      if (const auto &map = argument.map)
        require(map->columns >= 8 && map->rows >= 0 && map->boxColumns >= 8 &&
                map->boxColumns <= 64 && map->boxRows >= 1 &&
                map->boxRows <= 256);
    }
  }
  return 0;
}

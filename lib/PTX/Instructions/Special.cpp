//===- Special.cpp - Special registers ------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Builder.h"
#include "lib/PTX/Execution.h"
#include "lib/PTX/Launch.h"

#include <algorithm>
#include <chrono>

using namespace clade::ptx;

namespace {

/// Nanoseconds; in a deterministic launch a count of readings instead.
uint64_t clockOf(Warp &warp) {
  if (warp.block.launch.options.deterministic)
    return warp.block.ticks += warpSize;
  auto now = std::chrono::steady_clock::now().time_since_epoch();
  return uint64_t(
      std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

/// A register that all lanes of a warp see alike.
uint64_t uniformValue(Warp &warp, SpecialRegister special) {
  using S = SpecialRegister;
  Block &block = warp.block;
  const Launch &launch = block.launch;
  const LaunchOptions &options = launch.options;
  auto component = [&](S first) { return unsigned(special) - unsigned(first); };
  switch (special) {
  case S::NtidX:
  case S::NtidY:
  case S::NtidZ:
    return options.block[component(S::NtidX)];
  case S::CtaidX:
  case S::CtaidY:
  case S::CtaidZ:
    return block.id[component(S::CtaidX)];
  case S::NctaidX:
  case S::NctaidY:
  case S::NctaidZ:
    return options.grid[component(S::NctaidX)];
  // Clusters are of one block.
  case S::ClusterIdX:
  case S::ClusterIdY:
  case S::ClusterIdZ:
    return block.id[component(S::ClusterIdX)];
  case S::NClusterIdX:
  case S::NClusterIdY:
  case S::NClusterIdZ:
    return options.grid[component(S::NClusterIdX)];
  case S::ClusterNctaIdX:
  case S::ClusterNctaIdY:
  case S::ClusterNctaIdZ:
  case S::ClusterNctaRank:
    return 1;
  case S::IsExplicitCluster:
    return launch.program.kernel->isExplicitCluster;
  case S::WarpId:
    return warp.index;
  case S::NWarpId:
    return block.warps.size();
  case S::SmId:
    return block.linearId % launch.limits.numSms;
  case S::NSmId:
    return launch.limits.numSms;
  case S::GridId:
    return launch.gridId;
  case S::Clock:
  case S::Clock64:
  case S::GlobalTimer:
  case S::GlobalTimerLo:
    return clockOf(warp);
  case S::ClockHi:
  case S::GlobalTimerHi:
    return clockOf(warp) >> 32;
  case S::DynamicSharedSize:
    return options.dynamicShared;
  case S::TotalSharedSize:
  case S::AggregateSharedSize:
    return launch.sharedBytes;
  case S::EnvGridHigh:
    return options.gridWorkspace >> 32;
  case S::EnvGridLow:
    return uint32_t(options.gridWorkspace);
  case S::ReservedSharedEnd:
  case S::ReservedSharedCap:
    return reservedShared;
  default:
    return 0;
  }
}

} // namespace

void clade::ptx::handleSpecial(Warp &warp, const Op &op, LaneMask exec) {
  using S = SpecialRegister;
  S special = S(op.extra);
  const auto &shape = warp.block.launch.options.block;
  uint64_t out[warpSize];
  uint32_t first = warp.index * warpSize;
  switch (special) {
  case S::TidX:
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = (first + i) % shape[0];
    break;
  case S::TidY:
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = (first + i) / shape[0] % shape[1];
    break;
  case S::TidZ:
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = (first + i) / shape[0] / shape[1];
    break;
  case S::LaneId:
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = i;
    break;
  case S::LaneMaskEq:
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = LaneMask(1) << i;
    break;
  case S::LaneMaskLt:
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = (LaneMask(1) << i) - 1;
    break;
  case S::LaneMaskLe:
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = LaneMask(2u << i) - 1;
    break;
  case S::LaneMaskGt:
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = LaneMask(~((2u << i) - 1));
    break;
  case S::LaneMaskGe:
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = LaneMask(~((1u << i) - 1));
    break;
  default:
    std::fill_n(out, warpSize, uniformValue(warp, special));
  }
  warp.writeWide(op.s[0], op.widths[0], out, exec);
}

//===- Special.h - Special registers of PTX ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_SPECIAL_H
#define CLADE_PTX_SPECIAL_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace clade::ptx {

/// The special registers (PTX ISA 10) that the machine has.
enum class SpecialRegister : uint8_t {
  None,
  TidX,
  TidY,
  TidZ,
  NtidX,
  NtidY,
  NtidZ,
  CtaidX,
  CtaidY,
  CtaidZ,
  NctaidX,
  NctaidY,
  NctaidZ,
  LaneId,
  WarpId,
  NWarpId,
  SmId,
  NSmId,
  GridId,
  LaneMaskEq,
  LaneMaskLe,
  LaneMaskLt,
  LaneMaskGe,
  LaneMaskGt,
  Clock,
  ClockHi,
  Clock64,
  GlobalTimer,
  GlobalTimerLo,
  GlobalTimerHi,
  DynamicSharedSize,
  TotalSharedSize,
  AggregateSharedSize,
  ReservedSharedBegin,
  ReservedSharedEnd,
  ReservedSharedCap,
  ClusterIdX,
  ClusterIdY,
  ClusterIdZ,
  NClusterIdX,
  NClusterIdY,
  NClusterIdZ,
  ClusterCtaIdX,
  ClusterCtaIdY,
  ClusterCtaIdZ,
  ClusterNctaIdX,
  ClusterNctaIdY,
  ClusterNctaIdZ,
  ClusterCtaRank,
  ClusterNctaRank,
  IsExplicitCluster,
  CurrentGraphExec,
  EnvGridHigh, ///< %envreg1: of the address of LaunchOptions::gridWorkspace.
  EnvGridLow,  ///< %envreg2.
  Env,         ///< The others of %envreg0 to %envreg31, all zero.
};

/// The special register of a name such as "%tid.x".
std::optional<SpecialRegister> specialNamed(std::string_view name);
std::string_view nameOf(SpecialRegister special);

} // namespace clade::ptx

#endif // CLADE_PTX_SPECIAL_H

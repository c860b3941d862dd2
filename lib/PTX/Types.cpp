//===- Types.cpp - Types and state spaces of PTX --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Types.h"

#include "lib/PTX/Special.h"

#include <iterator>

using namespace clade::ptx;

namespace {

struct TypeInfo {
  Type type;
  std::string_view name;
  unsigned bytes;
};

constexpr TypeInfo types[] = {
    {Type::None, "", 0},           {Type::Pred, "pred", 1},
    {Type::B8, "b8", 1},           {Type::B16, "b16", 2},
    {Type::B32, "b32", 4},         {Type::B64, "b64", 8},
    {Type::B128, "b128", 16},      {Type::U8, "u8", 1},
    {Type::U16, "u16", 2},         {Type::U32, "u32", 4},
    {Type::U64, "u64", 8},         {Type::S8, "s8", 1},
    {Type::S16, "s16", 2},         {Type::S32, "s32", 4},
    {Type::S64, "s64", 8},         {Type::F16, "f16", 2},
    {Type::F16x2, "f16x2", 4},     {Type::BF16, "bf16", 2},
    {Type::BF16x2, "bf16x2", 4},   {Type::F32, "f32", 4},
    {Type::F32x2, "f32x2", 8},     {Type::F64, "f64", 8},
    {Type::TF32, "tf32", 4},       {Type::U16x2, "u16x2", 4},
    {Type::S16x2, "s16x2", 4},     {Type::E4M3, "e4m3", 1},
    {Type::E5M2, "e5m2", 1},       {Type::E4M3x2, "e4m3x2", 2},
    {Type::E5M2x2, "e5m2x2", 2},   {Type::E4M3x4, "e4m3x4", 4},
    {Type::E5M2x4, "e5m2x4", 4},   {Type::E2M1x2, "e2m1x2", 1},
    {Type::E2M3x2, "e2m3x2", 2},   {Type::E3M2x2, "e3m2x2", 2},
    {Type::UE8M0x2, "ue8m0x2", 2}, {Type::S4, "s4", 1},
    {Type::U4, "u4", 1},           {Type::B1, "b1", 1},
};
static_assert(std::size(types) == unsigned(Type::B1) + 1);

struct SpecialInfo {
  SpecialRegister special;
  std::string_view name;
};

using S = SpecialRegister;
constexpr SpecialInfo specials[] = {
    {S::None, ""},
    {S::TidX, "%tid.x"},
    {S::TidY, "%tid.y"},
    {S::TidZ, "%tid.z"},
    {S::NtidX, "%ntid.x"},
    {S::NtidY, "%ntid.y"},
    {S::NtidZ, "%ntid.z"},
    {S::CtaidX, "%ctaid.x"},
    {S::CtaidY, "%ctaid.y"},
    {S::CtaidZ, "%ctaid.z"},
    {S::NctaidX, "%nctaid.x"},
    {S::NctaidY, "%nctaid.y"},
    {S::NctaidZ, "%nctaid.z"},
    {S::LaneId, "%laneid"},
    {S::WarpId, "%warpid"},
    {S::NWarpId, "%nwarpid"},
    {S::SmId, "%smid"},
    {S::NSmId, "%nsmid"},
    {S::GridId, "%gridid"},
    {S::LaneMaskEq, "%lanemask_eq"},
    {S::LaneMaskLe, "%lanemask_le"},
    {S::LaneMaskLt, "%lanemask_lt"},
    {S::LaneMaskGe, "%lanemask_ge"},
    {S::LaneMaskGt, "%lanemask_gt"},
    {S::Clock, "%clock"},
    {S::ClockHi, "%clock_hi"},
    {S::Clock64, "%clock64"},
    {S::GlobalTimer, "%globaltimer"},
    {S::GlobalTimerLo, "%globaltimer_lo"},
    {S::GlobalTimerHi, "%globaltimer_hi"},
    {S::DynamicSharedSize, "%dynamic_smem_size"},
    {S::TotalSharedSize, "%total_smem_size"},
    {S::AggregateSharedSize, "%aggr_smem_size"},
    {S::ReservedSharedBegin, "%reserved_smem_offset_begin"},
    {S::ReservedSharedEnd, "%reserved_smem_offset_end"},
    {S::ReservedSharedCap, "%reserved_smem_offset_cap"},
    {S::ClusterIdX, "%clusterid.x"},
    {S::ClusterIdY, "%clusterid.y"},
    {S::ClusterIdZ, "%clusterid.z"},
    {S::NClusterIdX, "%nclusterid.x"},
    {S::NClusterIdY, "%nclusterid.y"},
    {S::NClusterIdZ, "%nclusterid.z"},
    {S::ClusterCtaIdX, "%cluster_ctaid.x"},
    {S::ClusterCtaIdY, "%cluster_ctaid.y"},
    {S::ClusterCtaIdZ, "%cluster_ctaid.z"},
    {S::ClusterNctaIdX, "%cluster_nctaid.x"},
    {S::ClusterNctaIdY, "%cluster_nctaid.y"},
    {S::ClusterNctaIdZ, "%cluster_nctaid.z"},
    {S::ClusterCtaRank, "%cluster_ctarank"},
    {S::ClusterNctaRank, "%cluster_nctarank"},
    {S::IsExplicitCluster, "%is_explicit_cluster"},
    {S::CurrentGraphExec, "%current_graph_exec"},
    {S::EnvGridHigh, "%envreg1"},
    {S::EnvGridLow, "%envreg2"},
    {S::Env, "%envreg"},
};
static_assert(std::size(specials) == unsigned(S::Env) + 1);

} // namespace

unsigned clade::ptx::sizeOf(Type type) { return types[unsigned(type)].bytes; }

std::string_view clade::ptx::nameOf(Type type) {
  return types[unsigned(type)].name;
}

std::optional<Type> clade::ptx::typeNamed(std::string_view name) {
  if (name.empty())
    return std::nullopt;
  for (const TypeInfo &info : types)
    if (info.name == name)
      return info.type;
  return std::nullopt;
}

bool clade::ptx::isSigned(Type type) {
  return type >= Type::S8 && type <= Type::S64;
}
bool clade::ptx::isUnsigned(Type type) {
  return type >= Type::U8 && type <= Type::U64;
}
bool clade::ptx::isBits(Type type) {
  return type >= Type::B8 && type <= Type::B128;
}
bool clade::ptx::isFloat(Type type) {
  return type >= Type::F16 && type <= Type::F64;
}

std::string_view clade::ptx::nameOf(Space space) {
  static constexpr std::string_view names[] = {
      "generic", "register", "special", "constant",
      "global",  "local",    "param",   "shared"};
  return names[unsigned(space)];
}

std::optional<SpecialRegister> clade::ptx::specialNamed(std::string_view name) {
  if (name.size() < 2 || name[0] != '%')
    return std::nullopt;
  for (const SpecialInfo &info : specials)
    if (info.name == name)
      return info.special;
  // The others of %envreg0 to %envreg31; %pm0… are not there.
  if (!name.starts_with("%envreg"))
    return std::nullopt;
  std::string_view digits = name.substr(7);
  if (digits.empty() || digits.size() > 2)
    return std::nullopt;
  unsigned number = 0;
  for (char c : digits) {
    if (c < '0' || c > '9')
      return std::nullopt;
    number = number * 10 + (c - '0');
  }
  if (number > 31)
    return std::nullopt;
  return SpecialRegister::Env;
}

std::string_view clade::ptx::nameOf(SpecialRegister special) {
  return specials[unsigned(special)].name;
}

//===- Types.h - Types and state spaces of PTX ------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_TYPES_H
#define CLADE_PTX_TYPES_H

#include <cstdint>
#include <optional>
#include <string_view>

namespace clade::ptx {

/// A type as an instruction or a declaration names it (PTX ISA 5.2).
enum class Type : uint8_t {
  None,
  Pred,
  B8,
  B16,
  B32,
  B64,
  B128,
  U8,
  U16,
  U32,
  U64,
  S8,
  S16,
  S32,
  S64,
  F16,
  F16x2,
  BF16,
  BF16x2,
  F32,
  F32x2,
  F64,
  TF32,
  U16x2,
  S16x2,
  E4M3,
  E5M2,
  E4M3x2,
  E5M2x2,
  E4M3x4,
  E5M2x4,
  E2M1x2,
  E2M3x2,
  E3M2x2,
  UE8M0x2,
  S4,
  U4,
  B1,
};

/// Bytes of a value of the type in memory and in a register; a predicate and a
/// type below eight bits count as one byte.
unsigned sizeOf(Type type);
/// The type that ".name" without its dot names, if any does.
std::optional<Type> typeNamed(std::string_view name);
std::string_view nameOf(Type type);

bool isSigned(Type type);   ///< .s8 to .s64.
bool isUnsigned(Type type); ///< .u8 to .u64.
bool isBits(Type type);     ///< .b8 to .b128.
bool isFloat(Type type);    ///< .f16 to .f64, packed forms among them.

/// Where a variable or an access lives (PTX ISA 5.1).
enum class Space : uint8_t {
  Generic,
  Register,
  Special,
  Constant,
  Global,
  Local,
  Param, ///< Of a kernel or a function, or a variable for a call.
  Shared,
};
std::string_view nameOf(Space space);

} // namespace clade::ptx

#endif // CLADE_PTX_TYPES_H

//===- Operations.cpp - What an instruction is, for its counts ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Operations.h"

#include <algorithm>

using namespace clade::ptx;

static bool hasAny(const Instruction &instruction,
                   std::initializer_list<std::string_view> names) {
  return std::any_of(instruction.modifiers.begin(), instruction.modifiers.end(),
                     [&](std::string_view modifier) {
                       return std::find(names.begin(), names.end(), modifier) !=
                              names.end();
                     });
}

static bool isOneOf(std::string_view opcode,
                    std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), opcode) != names.end();
}

Format clade::ptx::tensorFormat(Type type) {
  switch (type) {
  case Type::F64:
    return Format::F64;
  case Type::TF32:
    return Format::TF32;
  case Type::E4M3:
  case Type::E5M2:
    return Format::F8;
  case Type::S8:
  case Type::U8:
    return Format::I8;
  case Type::S4:
  case Type::U4:
    return Format::I4;
  case Type::B1:
    return Format::B1;
  default:
    return Format::F16;
  }
}

unsigned clade::ptx::operationsOf(const Instruction &instruction, Class kind) {
  if (kind != Class::Float16 && kind != Class::Float32 &&
      kind != Class::Float64 && kind != Class::SpecialFunction)
    return 0;
  unsigned packed = hasAny(instruction, {"f16x2", "bf16x2", "f32x2"}) ? 2 : 1;
  if (isOneOf(instruction.opcode, {"fma", "mad"}))
    return 2 * packed;
  if (isOneOf(instruction.opcode,
              {"add", "sub", "mul", "div", "rcp", "sqrt", "rsqrt", "sin", "cos",
               "lg2", "ex2", "tanh"}))
    return packed;
  return 0;
}

Format clade::ptx::vectorFormat(const Instruction &instruction) {
  if (hasAny(instruction, {"f64"}))
    return Format::F64;
  // Of fma.f32.f16 the sum is f32.
  if (hasAny(instruction, {"f32"}))
    return Format::F32;
  return hasAny(instruction, {"f16", "f16x2", "bf16", "bf16x2"}) ? Format::F16
                                                                 : Format::F32;
}

bool clade::ptx::usesL1(const Instruction &instruction) {
  if (instruction.opcode == "cp")
    return hasAny(instruction, {"ca"});
  if (!isOneOf(instruction.opcode, {"ld", "ldu", "wmma"}))
    return false;
  return !hasAny(instruction, {"cg", "cv", "volatile", "relaxed", "acquire",
                               "mmio", "L1::no_allocate"});
}

bool clade::ptx::evictsFirst(const Instruction &instruction) {
  return instruction.opcode == "st" && hasAny(instruction, {"cs"});
}

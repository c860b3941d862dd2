//===- Registry.cpp - Which instructions the machine has ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Decoder.h"

using namespace clade::ptx;

void Registry::add(std::string_view opcode, DecodeFn decode) {
  entries[opcode].push_back(decode);
}

const std::vector<DecodeFn> *Registry::find(std::string_view opcode) const {
  auto found = entries.find(opcode);
  return found == entries.end() ? nullptr : &found->second;
}

std::vector<std::string_view> Registry::opcodes() const {
  std::vector<std::string_view> names;
  for (const auto &[name, decode] : entries)
    names.push_back(name);
  return names;
}

const Registry &Registry::get() {
  static const Registry registry = [] {
    Registry r;
    // Narrow formats first: Convert.cpp takes every other `cvt`.
    addConvertNarrow(r);
    addConvert(r);
    addArithmetic(r);
    addFloat(r);
    addHalf(r);
    addLogic(r);
    addCompare(r);
    addMove(r);
    addMemory(r);
    addAtomic(r);
    addExchange(r);
    addVideo(r);
    addControl(r);
    addBarrier(r);
    addMatrix(r);
    addAsync(r);
    return r;
  }();
  return registry;
}

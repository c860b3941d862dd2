//===- weights-read.cpp - What loading reads of a checkpoint --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// usage: weights-read ARTIFACT CHECKPOINT
//
// Loads the weights of a compiled model from a checkpoint, none of them in
// place. Prints how many bytes of the tensors were asked for, how many bytes
// those tensors have that any weight is made from, how many bytes the largest
// weight has, and how much memory a thread used beside the weights.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/File.h"
#include "runtime/Weights/WeightLoader.h"

#include <algorithm>
#include <cstdio>
#include <set>

using namespace clade::rt;

namespace {

int fail(const Status &status) {
  std::fprintf(stderr, "error: %s\n", status.message().c_str());
  return 1;
}

/// Replaces '{layer}' or '{expert}' in a name.
std::string with(std::string name, const std::string &what, int64_t number) {
  size_t at = name.find(what);
  if (at != std::string::npos)
    name.replace(at, what.size(), std::to_string(number));
  return name;
}

/// The tensors that a program reads for a layer, and for an expert of a stack.
void collect(const WeightNode &node, int64_t layer, int64_t expert,
             std::set<std::string> &names) {
  if (node.op == WeightOp::Source)
    names.insert(with(with(node.name, "{layer}", layer), "{expert}", expert));
  bool isStack = node.op == WeightOp::Stack;
  for (int64_t i = 0; i < (isStack ? node.stacked : 1); ++i)
    for (const WeightNode &input : node.inputs)
      collect(input, layer, isStack ? i : expert, names);
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: weights-read ARTIFACT CHECKPOINT\n");
    return 2;
  }
  std::string place = std::string(argv[1]) + "/weights.json";
  auto text = readTextFile(place);
  if (!text.ok())
    return fail(text.status());
  auto table = WeightTable::parse(*text, place);
  if (!table.ok())
    return fail(table.status());
  auto checkpoint = Checkpoint::open(argv[2]);
  if (!checkpoint.ok())
    return fail(checkpoint.status());
  LoadOptions options;
  options.useMappings = false;
  auto loaded = loadWeights(*table, *checkpoint, options);
  if (!loaded.ok())
    return fail(loaded.status());
  std::set<std::string> names;
  for (const WeightEntry &entry : table->entries)
    for (size_t i = 0; i < entry.slots.size(); ++i)
      collect(entry.program, i < entry.layers.size() ? entry.layers[i] : 0, 0,
              names);
  size_t stored = 0, largest = 0;
  for (const StoredTensor &tensor : checkpoint->tensors())
    if (names.count(tensor.name))
      stored += tensor.bytes.size();
  for (int32_t slot = 0; slot < loaded->numSlots(); ++slot)
    largest = std::max(largest, loaded->slot(slot).size());
  std::printf("read %lld of %zu bytes, largest weight %zu, beside it %lld\n",
              static_cast<long long>(loaded->readBytes()), stored, largest,
              static_cast<long long>(loaded->scratchBytes()));
  return 0;
}

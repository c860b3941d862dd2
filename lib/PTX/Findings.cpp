//===- Findings.cpp - What the checks find --------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Findings.h"

#include <iterator>

using namespace clade::ptx;

namespace {

struct KindInfo {
  std::string_view name;
  bool isFatal;
};

constexpr KindInfo kinds[] = {
    {"out-of-bounds", true},        {"use-after-free", true},
    {"misaligned", true},           {"write-to-read-only", true},
    {"uninitialised-value", false}, {"shared-race", false},
    {"global-race", false},         {"divergent-barrier", false},
    {"barrier-deadlock", true},     {"invalid-barrier", false},
    {"warp-sync-mismatch", false},  {"read-before-async-wait", false},
    {"async-misuse", false},        {"mbarrier-misuse", false},
    {"missing-proxy-fence", false}, {"illegal-launch", true},
    {"budget-exhausted", true},     {"stack-overflow", true},
    {"invalid-call", true},         {"trap", true},
    {"assert-failed", true},        {"illegal-operand", false},
};
static_assert(std::size(kinds) == unsigned(FindingKind::IllegalOperand) + 1);

std::string triple(const std::array<uint32_t, 3> &values) {
  return "(" + std::to_string(values[0]) + "," + std::to_string(values[1]) +
         "," + std::to_string(values[2]) + ")";
}

std::string describe(const Place &place, const ThreadId *thread) {
  std::string text =
      "line " + std::to_string(place.line) + ": " + place.instruction;
  if (thread)
    text += "\n    block " + triple(thread->block) + " thread " +
            triple(thread->thread);
  if (place.sourceLine)
    text += "\n    from " + place.sourceFile + ":" +
            std::to_string(place.sourceLine);
  return text;
}

} // namespace

std::string_view clade::ptx::nameOf(FindingKind kind) {
  return kinds[unsigned(kind)].name;
}

bool clade::ptx::isFatal(FindingKind kind) {
  return kinds[unsigned(kind)].isFatal;
}

std::string Finding::str() const {
  std::string result(nameOf(kind));
  result += " in " + kernel + ": " + text;
  if (place.line)
    result += "\n  at " + describe(place, &thread);
  if (otherPlace)
    result += "\n  and " +
              describe(*otherPlace, otherThread ? &*otherThread : nullptr);
  if (count > 1)
    result += "\n  " + std::to_string(count) + " times";
  return result;
}

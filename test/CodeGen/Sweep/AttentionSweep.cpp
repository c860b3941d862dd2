//===- AttentionSweep.cpp - Random attention ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each compiled attention runs several steps: prefill, decode and mixtures,
// over sequences whose pages lie in any order.
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/Attention/AttentionReference.h"
#include "test/CodeGen/Sweep/Sweep.h"

#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace clade::cpu;
using namespace clade::cpu::test;

static constexpr int stepsOfCase = 5;

static AttentionCase draw(Sweep &sweep) {
  AttentionCase c;
  c.bf16 = sweep.chance(50);
  c.kvHeads = sweep.between(1, 3);
  c.qHeads = c.kvHeads *
             (sweep.chance(20) ? sweep.between(5, 20) : sweep.between(1, 4));
  c.keySize = sweep.size(sweep.chance(15) ? 256 : 80);
  c.valueSize = sweep.chance(60) ? c.keySize : sweep.size(80);
  c.scale = 1 / std::sqrt(static_cast<float>(c.keySize));
  if (sweep.chance(20))
    c.softcap = static_cast<float>(sweep.between(1, 30));
  c.referenceRounding = c.bf16 && sweep.chance(30);
  if (sweep.chance(20)) {
    c.isBidirectional = true;
    c.groups = static_cast<int32_t>(sweep.chance(50) ? sweep.between(1, 4) : 0);
    c.groupRun = sweep.between(1, 70);
  } else if (sweep.chance(40)) {
    c.window = sweep.between(1, sweep.chance(20) ? 2000 : 100);
  }
  c.hasSinks = sweep.chance(20);
  if (!c.isBidirectional && sweep.chance(15)) {
    c.hasSharedRows = true;
    c.valueSize = sweep.between(1, c.keySize);
  }
  return c;
}

static std::vector<SequencePart> drawStep(Sweep &sweep,
                                          const AttentionCase &c) {
  std::vector<SequencePart> parts;
  for (int64_t i = sweep.between(1, 4); i > 0; --i) {
    bool isDecode = !c.isBidirectional && sweep.chance(40);
    int64_t start = c.isBidirectional || sweep.chance(30)
                        ? 0
                        : sweep.below(sweep.chance(20) ? 300 : 100);
    // A context that is cut into slices.
    if (isDecode && sweep.chance(10))
      start = sweep.below(5000);
    parts.push_back({start, isDecode ? 1 : sweep.between(1, 40)});
  }
  return parts;
}

static std::string textOf(const AttentionCase &c, const TestCPU &cpu) {
  return llvm::formatv(
      "{0} {1}, {2}/{3} heads of {4}/{5}, window {6}, cap {7}{8}{9}{10}{11}: ",
      cpu.name, c.bf16 ? "bf16" : "f32", c.qHeads, c.kvHeads, c.keySize,
      c.valueSize, c.window.value_or(0), c.softcap.value_or(0),
      c.referenceRounding ? ", rounding" : "",
      c.isBidirectional ? ", both ways" : "", c.hasSharedRows ? ", latent" : "",
      c.hasSinks ? ", sinks" : "");
}

static std::string compare(const std::vector<float> &actual,
                           const std::vector<Interval> &expected) {
  if (actual.size() != expected.size())
    return "another size";
  for (size_t i = 0; i < actual.size(); ++i)
    // Written so that a NaN fails.
    if (!(actual[i] >= expected[i].low && actual[i] <= expected[i].high))
      return llvm::formatv("element {0}: expected {1} to {2}, got {3}", i,
                           expected[i].low, expected[i].high, actual[i]);
  return "";
}

void clade::cpu::test::sweepAttention(Sweep &sweep, int64_t cases) {
  for (int64_t done = 0; done < cases; done += stepsOfCase) {
    const TestCPU &cpu = sweep.cpu();
    AttentionCase attention = draw(sweep);
    auto compiled = CompiledAttention::create(attention, cpu);
    for (int i = 0; i < stepsOfCase; ++i) {
      sweep.drawWall();
      sweep.begin(textOf(attention, cpu));
      std::string difference = "does not compile";
      if (compiled) {
        AttentionData data(attention, drawStep(sweep, attention),
                           static_cast<unsigned>(sweep.engine()()));
        difference =
            compare(compiled->run(data, static_cast<int>(sweep.between(1, 4))),
                    attentionIntervals(data));
      }
      if (!difference.empty())
        difference = textOf(attention, cpu) + difference;
      sweep.count("attention", difference);
    }
  }
}

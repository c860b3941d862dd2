//===- Predictions.cpp - What a launch would take on GPUs -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Predictions.h"

#include "Text.h"

#include <nlohmann/json.hpp>

using namespace clade::ptx;
using nlohmann::json;

Result<std::vector<const Gpu *>>
clade::ptx::chooseGpus(const std::vector<std::string> &names) {
  std::vector<const Gpu *> chosen;
  for (const std::string &name : names) {
    if (name == "all") {
      for (const Gpu &gpu : gpus())
        chosen.push_back(&gpu);
      continue;
    }
    const Gpu *gpu = findGpu(name);
    if (!gpu)
      return Error{"--gpu " + name + ": expected a100, h100, b200 or all"};
    chosen.push_back(gpu);
  }
  return chosen;
}

std::vector<KernelPrediction>
clade::ptx::predictAll(const std::vector<const Gpu *> &gpus,
                       const Module &module, const Kernel &kernel,
                       const LaunchOptions &options, const LaunchReport &report,
                       const RegisterSource &registers) {
  std::vector<KernelPrediction> result;
  LaunchedKernel launched;
  launched.target = module.target;
  launched.blocks =
      uint64_t(options.grid[0]) * options.grid[1] * options.grid[2];
  launched.block.threads =
      options.block[0] * options.block[1] * options.block[2];
  launched.block.shared =
      uint64_t(kernel.staticShared()) + options.dynamicShared;
  static const Trace none;
  for (const Gpu *gpu : gpus) {
    KernelPrediction one;
    if (gpu->runs(module.target))
      one.registers = registers.registersFor(gpu->architecture);
    launched.block.registers = one.registers.kernel.registers;
    one.block = launched.block;
    one.prediction = predict(*gpu, launched, report.counters,
                             report.trace ? *report.trace : none);
    result.push_back(std::move(one));
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

static std::string sectorText(double sectors) {
  return format("%.4g MB", sectors * 32 / 1e6);
}

static std::string occupancyText(const KernelPrediction &one) {
  const Prediction &p = one.prediction;
  std::string registers = one.block.registers
                              ? std::to_string(one.block.registers) +
                                    " registers (" + one.registers.source + ")"
                              : "unknown registers";
  const CompiledKernel &compiled = one.registers.kernel;
  if (compiled.spillStores || compiled.spillLoads)
    registers +=
        format(", %llu and %llu bytes of spill stores and loads",
               Count(compiled.spillStores), Count(compiled.spillLoads));
  unsigned most = p.gpu->limits().threads / 32;
  return "  " + registers +
         format(", %llu bytes of shared memory: %u blocks of %u threads an SM, "
                "%u of %u warps, held by ",
                Count(one.block.shared), p.occupancy.blocks, one.block.threads,
                p.occupancy.warps, most) +
         std::string(nameOf(p.occupancy.limit)) + "\n";
}

std::string clade::ptx::predictionText(const KernelPrediction &one) {
  const Prediction &p = one.prediction;
  std::string text = "predicted for " + std::string(p.gpu->name) + ": ";
  if (!p.obstacle.empty())
    return text + "nothing, " + p.obstacle + "\n";
  text += "at least " + timeText(p.bound.seconds) + ", bound by " +
          std::string(p.bound.name) + "\n" + occupancyText(one);
  text += format("  %.2f waves; the busiest SM has %.2f times the blocks of "
                 "the average\n",
                 p.waves, p.imbalance);
  const Traffic &t = p.traffic;
  text +=
      "  L1 reads " + sectorText(t.l1Reads) +
      format(" (%.1f %% hit), L2 reads ",
             t.l1Reads ? 100 * t.l1Hits / t.l1Reads : 0) +
      sectorText(t.l2Reads) +
      format(" (%.1f %% hit), ", t.l2Reads ? 100 * t.l2Hits / t.l2Reads : 0) +
      "L2 writes " + sectorText(t.l2Writes) + "; DRAM reads " +
      sectorText(t.dramReads) + ", writes " + sectorText(t.dramWrites) +
      "\n  at peak rates:";
  for (const RooflineTerm &term : p.terms)
    text += (&term == p.terms.data() ? " " : ", ") + std::string(term.name) +
            " " + timeText(term.seconds);
  text += "\n";
  for (const std::string &note : p.notes)
    text += "  note: " + note + "\n";
  return text;
}

//===----------------------------------------------------------------------===//
// JSON
//===----------------------------------------------------------------------===//

json clade::ptx::predictionJson(const KernelPrediction &one) {
  const Prediction &p = one.prediction;
  json result = {
      {"gpu", p.gpu->id}, {"name", p.gpu->name}, {"predicted", true}};
  if (!p.obstacle.empty()) {
    result["obstacle"] = p.obstacle;
    return result;
  }
  result["seconds"] = p.bound.seconds;
  result["bound"] = p.bound.name;
  for (const RooflineTerm &term : p.terms)
    result["terms"][std::string(term.name)] = term.seconds;
  result["occupancy"] = {
      {"registers", one.block.registers},
      {"registers_from", one.registers.source},
      {"spill_store_bytes", one.registers.kernel.spillStores},
      {"spill_load_bytes", one.registers.kernel.spillLoads},
      {"shared_bytes", one.block.shared},
      {"blocks", p.occupancy.blocks},
      {"warps", p.occupancy.warps},
      {"held_by", nameOf(p.occupancy.limit)}};
  result["waves"] = p.waves;
  result["imbalance"] = p.imbalance;
  const Traffic &t = p.traffic;
  result["bytes"] = {
      {"l1_reads", 32 * t.l1Reads},      {"l1_hits", 32 * t.l1Hits},
      {"l2_reads", 32 * t.l2Reads},      {"l2_hits", 32 * t.l2Hits},
      {"l2_writes", 32 * t.l2Writes},    {"dram_reads", 32 * t.dramReads},
      {"dram_writes", 32 * t.dramWrites}};
  result["traced_blocks"] = t.tracedBlocks;
  result["notes"] = p.notes;
  return result;
}

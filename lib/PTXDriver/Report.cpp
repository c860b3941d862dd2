//===- Report.cpp - A file of what launches did ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// One line of JSON for each launch: its shape, what was found, what was
// counted.
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Graphs.h"
#include "lib/PTXDriver/Module.h"
#include "lib/PTXDriver/Operations.h"

#include "lib/PTX/Program.h"
#include "lib/PTX/Roofline.h"

#include <fstream>
#include <nlohmann/json.hpp>

using namespace clade;
using namespace clade::vcuda;
using Json = nlohmann::ordered_json;

static Json json(const ptx::Place &place) {
  Json out = {{"line", place.line}, {"instruction", place.instruction}};
  if (!place.sourceFile.empty()) {
    out["file"] = place.sourceFile;
    out["fileLine"] = place.sourceLine;
  }
  return out;
}

static Json json(const ptx::ThreadId &thread) {
  return {{"block", thread.block}, {"thread", thread.thread}};
}

static Json json(const ptx::Finding &finding) {
  Json out = {{"kind", std::string(ptx::nameOf(finding.kind))},
              {"text", finding.text},
              {"count", finding.count},
              {"place", json(finding.place)},
              {"thread", json(finding.thread)}};
  if (finding.otherPlace)
    out["otherPlace"] = json(*finding.otherPlace);
  if (finding.otherThread)
    out["otherThread"] = json(*finding.otherThread);
  return out;
}

static Json json(const ptx::OpCounter &counter) {
  Json out = Json::object();
  auto add = [&](const char *name, uint64_t value) {
    if (value)
      out[name] = value;
  };
  add("warps", counter.warps);
  add("lanes", counter.lanes);
  add("bytes", counter.bytes);
  add("requests", counter.requests);
  add("sectors", counter.sectors);
  add("idealSectors", counter.idealSectors);
  add("sharedRequests", counter.sharedRequests);
  add("sharedWaves", counter.sharedWaves);
  add("idealWaves", counter.idealWaves);
  add("divergences", counter.divergences);
  add("flops", counter.flops);
  return out;
}

/// What the launch would take on the device's product; null where no rates of
/// it are known. See docs/ptx-counters.md.
static Json predictionOf(const Function &function,
                         const KernelOperation &operation,
                         const ptx::LaunchReport &report) {
  const DeviceModel &model =
      *Driver::get().modules.find(function.module)->device->model;
  const ptx::Gpu *gpu = nullptr;
  for (const ptx::Gpu &known : ptx::gpus())
    if (known.architecture == model.architecture)
      gpu = &known;
  if (!gpu || !report.trace || !report.completed)
    return nullptr;
  auto product = [](const std::array<unsigned, 3> &sizes) {
    return uint64_t(sizes[0]) * sizes[1] * sizes[2];
  };
  ptx::LaunchedKernel kernel;
  kernel.target = function.kernel.program->module->target;
  kernel.blocks = product(operation.grid);
  kernel.block = demandOf(function, uint32_t(product(operation.block)),
                          operation.dynamicShared);
  ptx::Prediction found =
      ptx::predict(*gpu, kernel, report.counters, *report.trace);
  if (!found.obstacle.empty())
    return nullptr;
  return {{"gpu", gpu->name},
          {"seconds", found.bound.seconds},
          {"bound", found.bound.name},
          {"registers", kernel.block.registers},
          {"blocksPerMultiprocessor", found.occupancy.blocks},
          {"l2Bytes", found.traffic.l2Bytes()},
          {"dramReadBytes", 32 * found.traffic.dramReads},
          {"dramWriteBytes", 32 * found.traffic.dramWrites}};
}

void vcuda::writeReport(const Function &function,
                        const KernelOperation &operation,
                        const ptx::LaunchReport &report) {
  const std::string &path = Driver::get().settings.reportPath;
  if (path.empty())
    return;
  Json line = {{"kernel", function.name},
               {"grid", operation.grid},
               {"block", operation.block},
               {"dynamicShared", operation.dynamicShared},
               {"graph", Graphs::get().isLaunching},
               {"completed", report.completed},
               {"findings", Json::array()},
               {"blocks", report.counters.blocks},
               {"threads", report.counters.threads},
               {"total", json(report.counters.total)},
               {"classes", Json::object()}};
  for (const ptx::Finding &finding : report.findings)
    line["findings"].push_back(json(finding));
  for (unsigned i = 0; i < ptx::numClasses; ++i)
    if (report.counters.byClass[i].warps)
      line["classes"][std::string(ptx::nameOf(ptx::Class(i)))] =
          json(report.counters.byClass[i]);
  line["tensorShare"] = report.counters.tensorShare();
  line["predicted"] = predictionOf(function, operation, report);
  std::ofstream file(path, std::ios::app);
  file << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  if (!file)
    say("cannot write '" + path + "', the file of CLADE_CUDA_REPORT");
}

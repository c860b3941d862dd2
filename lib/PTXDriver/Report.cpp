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

#include "lib/PTXDriver/Operations.h"

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
  add("sectors", counter.sectors);
  add("idealSectors", counter.idealSectors);
  add("sharedWaves", counter.sharedWaves);
  add("idealWaves", counter.idealWaves);
  add("divergences", counter.divergences);
  add("flops", counter.flops);
  return out;
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
  std::ofstream file(path, std::ios::app);
  file << line.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n';
  if (!file)
    say("cannot write '" + path + "', the file of CLADE_CUDA_REPORT");
}

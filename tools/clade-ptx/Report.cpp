//===- Report.cpp - What a launch did, as text and as JSON ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "Text.h"

#include <nlohmann/json.hpp>

#include <algorithm>

using namespace clade::ptx;
using nlohmann::json;

namespace {

json placeJson(const Place &place) {
  json result = {{"line", place.line}, {"instruction", place.instruction}};
  if (place.sourceLine)
    result["source"] =
        place.sourceFile + ":" + std::to_string(place.sourceLine);
  return result;
}

json threadJson(const ThreadId &id) {
  return {{"block", id.block}, {"thread", id.thread}};
}

json counterJson(const OpCounter &count) {
  return {{"warps", count.warps},
          {"threads", count.lanes},
          {"bytes", count.bytes},
          {"requests", count.requests},
          {"sectors", count.sectors},
          {"ideal_sectors", count.idealSectors},
          {"shared_requests", count.sharedRequests},
          {"shared_waves", count.sharedWaves},
          {"ideal_waves", count.idealWaves},
          {"bank_conflicts", count.bankConflicts()},
          {"divergences", count.divergences},
          {"tensor_flops", count.flops}};
}

} // namespace

/// Counts by format: "f16 1024, f32 32".
static std::string
formatsText(const std::array<uint64_t, numFormats> &operations) {
  std::string text;
  for (unsigned i = 0; i < numFormats; ++i)
    if (operations[i])
      text += (text.empty() ? "" : ", ") + std::string(nameOf(Format(i))) +
              format(" %llu", Count(operations[i]));
  return text.empty() ? "none" : text;
}

/// The lines with most of what a better pattern of addresses would save.
template <typename Excess>
static std::string worstText(const Module &module, const Counters &counters,
                             const char *unit, Excess excess) {
  constexpr size_t most = 3;
  std::vector<unsigned> lines;
  for (unsigned line = 0; line < counters.byLine.size(); ++line)
    if (excess(counters.byLine[line]))
      lines.push_back(line);
  std::stable_sort(lines.begin(), lines.end(), [&](unsigned a, unsigned b) {
    return excess(counters.byLine[a]) > excess(counters.byLine[b]);
  });
  lines.resize(std::min(lines.size(), most));
  std::string text;
  for (unsigned line : lines) {
    std::string_view source = module.lineText(line);
    source.remove_prefix(
        std::min(source.find_first_not_of(" \t"), source.size()));
    text += format("  line %u: %llu %s too many: ", line,
                   Count(excess(counters.byLine[line])), unit) +
            std::string(source) + "\n";
  }
  return text;
}

static std::string countersText(const Module &module,
                                const Counters &counters) {
  const OpCounter &total = counters.total;
  std::string text =
      format("%llu blocks, %llu threads, %llu instructions of warps, "
             "%.1f of 32 lanes active\n",
             Count(counters.blocks), Count(counters.threads),
             Count(total.warps), ratio(total.lanes, total.warps));
  for (unsigned i = 0; i < numClasses; ++i)
    if (counters.byClass[i].warps)
      text += format("  %-18s %12llu  %5.1f %%\n",
                     std::string(nameOf(Class(i))).c_str(),
                     Count(counters.byClass[i].warps),
                     100 * ratio(counters.byClass[i].warps, total.warps));
  text += format("divergent branches %llu\n", Count(total.divergences));
  if (total.sectors)
    text +=
        format("global memory: %llu sectors of 32 bytes, %.2f times the "
               "fewest; %llu requests, %.2f sectors each\n",
               Count(total.sectors), ratio(total.sectors, total.idealSectors),
               Count(total.requests), ratio(total.sectors, total.requests)) +
        worstText(module, counters, "sectors", [](const OpCounter &count) {
          return count.sectors - count.idealSectors;
        });
  if (total.sharedWaves)
    text += format("shared memory: %llu passes over the banks, %.2f times the "
                   "fewest; %llu requests, %llu bank conflicts\n",
                   Count(total.sharedWaves),
                   ratio(total.sharedWaves, total.idealWaves),
                   Count(total.sharedRequests), Count(total.bankConflicts())) +
            worstText(module, counters, "passes", [](const OpCounter &count) {
              return count.bankConflicts();
            });
  text +=
      "floating-point operations: " + formatsText(counters.vectorOperations) +
      "\n";
  if (total.flops)
    text +=
        "tensor cores: " + formatsText(counters.tensorOperations) +
        format(" operations, %.2f %% of all\n", 100 * counters.tensorShare());
  return text;
}

std::string clade::ptx::reportText(const Module &module,
                                   const LaunchReport &report) {
  std::string text;
  for (const Finding &finding : report.findings)
    text += finding.str() + "\n";
  if (uint64_t warps = report.counters.total.warps) {
    text += countersText(module, report.counters);
    text += "executed in " + timeText(report.seconds) +
            format(" on %u threads: %.2f million instructions of warps a "
                   "second and thread\n",
                   report.workers,
                   double(warps) / 1e6 / report.seconds / report.workers);
  }
  text += report.findings.empty() ? "no findings\n"
          : report.findings.size() == 1
              ? "1 finding\n"
              : std::to_string(report.findings.size()) + " findings\n";
  if (!report.completed)
    text += "the launch did not complete\n";
  return text;
}

/// Counts by format, those that are not zero.
static json formatsJson(const std::array<uint64_t, numFormats> &operations) {
  json result = json::object();
  for (unsigned i = 0; i < numFormats; ++i)
    if (operations[i])
      result[std::string(nameOf(Format(i)))] = operations[i];
  return result;
}

static json countersJson(const Module &module, const Counters &counters) {
  json result = {{"blocks", counters.blocks},
                 {"threads", counters.threads},
                 {"total", counterJson(counters.total)},
                 {"vector_operations", formatsJson(counters.vectorOperations)},
                 {"tensor_operations", formatsJson(counters.tensorOperations)},
                 {"tensor_share", counters.tensorShare()},
                 {"lines", json::array()}};
  for (unsigned i = 0; i < numClasses; ++i)
    if (counters.byClass[i].warps)
      result["classes"][std::string(nameOf(Class(i)))] =
          counterJson(counters.byClass[i]);
  for (unsigned line = 0; line < counters.byLine.size(); ++line) {
    if (!counters.byLine[line].warps)
      continue;
    json one = counterJson(counters.byLine[line]);
    one["line"] = line;
    one["text"] = module.lineText(line);
    result["lines"].push_back(std::move(one));
  }
  return result;
}

std::string
clade::ptx::reportJson(const Module &module, const LaunchReport &report,
                       const std::vector<KernelPrediction> &predictions) {
  json result;
  result["completed"] = report.completed;
  result["findings"] = json::array();
  for (const Finding &finding : report.findings) {
    json one = {{"kind", nameOf(finding.kind)},
                {"kernel", finding.kernel},
                {"text", finding.text},
                {"count", finding.count}};
    one["place"] = placeJson(finding.place);
    one["thread"] = threadJson(finding.thread);
    if (finding.otherPlace)
      one["other_place"] = placeJson(*finding.otherPlace);
    if (finding.otherThread)
      one["other_thread"] = threadJson(*finding.otherThread);
    result["findings"].push_back(std::move(one));
  }
  result["counters"] = countersJson(module, report.counters);
  result["execution"] = {{"seconds", report.seconds},
                         {"threads", report.workers}};
  for (const KernelPrediction &prediction : predictions)
    result["predictions"].push_back(predictionJson(prediction));
  // Texts of a module need not be UTF-8.
  return result.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

//===- Report.cpp - What a launch did, as text and as JSON ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include <nlohmann/json.hpp>

#include <cstdarg>
#include <cstdio>

using namespace clade::ptx;
using nlohmann::json;

namespace {

[[gnu::format(printf, 1, 2)]] std::string format(const char *pattern, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

using Count = unsigned long long;

double ratio(uint64_t part, uint64_t whole) {
  return whole ? double(part) / double(whole) : 0;
}

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
          {"sectors", count.sectors},
          {"ideal_sectors", count.idealSectors},
          {"shared_waves", count.sharedWaves},
          {"ideal_waves", count.idealWaves},
          {"divergences", count.divergences},
          {"tensor_flops", count.flops}};
}

} // namespace

std::string clade::ptx::reportText(const LaunchReport &report) {
  std::string text;
  for (const Finding &finding : report.findings)
    text += finding.str() + "\n";
  const Counters &counters = report.counters;
  const OpCounter &total = counters.total;
  if (total.warps) {
    text += format("%llu blocks, %llu threads, %llu instructions of warps, "
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
      text += format(
          "global memory: %llu sectors of 32 bytes, %.2f times the fewest\n",
          Count(total.sectors), ratio(total.sectors, total.idealSectors));
    if (total.sharedWaves)
      text += format(
          "shared memory: %llu passes over the banks, %.2f times the fewest\n",
          Count(total.sharedWaves), ratio(total.sharedWaves, total.idealWaves));
    if (total.flops)
      text += format("tensor cores: %llu floating-point operations\n",
                     Count(total.flops));
  }
  text += report.findings.empty() ? "no findings\n"
          : report.findings.size() == 1
              ? "1 finding\n"
              : std::to_string(report.findings.size()) + " findings\n";
  if (!report.completed)
    text += "the launch did not complete\n";
  return text;
}

std::string clade::ptx::reportJson(const LaunchReport &report) {
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
  json &counters = result["counters"];
  counters["blocks"] = report.counters.blocks;
  counters["threads"] = report.counters.threads;
  counters["total"] = counterJson(report.counters.total);
  for (unsigned i = 0; i < numClasses; ++i)
    if (report.counters.byClass[i].warps)
      counters["classes"][std::string(nameOf(Class(i)))] =
          counterJson(report.counters.byClass[i]);
  // Texts of a module need not be UTF-8.
  return result.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string clade::ptx::annotatedText(const Module &module,
                                      const Function &kernel,
                                      const LaunchReport &report) {
  const auto &lines = report.counters.byLine;
  std::string text = "       warps  lanes  sectors/fewest  waves/fewest\n";
  unsigned first = kernel.line, last = first;
  for (const Instruction &instruction : kernel.instructions)
    last = std::max(last, instruction.line);
  auto appendLine = [&](unsigned line) {
    OpCounter count = line < lines.size() ? lines[line] : OpCounter();
    if (!count.warps)
      text += std::string(49, ' ');
    else
      text +=
          format("%12llu  %5.1f  ", Count(count.warps),
                 ratio(count.lanes, count.warps)) +
          (count.sectors
               ? format("%14.2f  ", ratio(count.sectors, count.idealSectors))
               : std::string(16, ' ')) +
          (count.sharedWaves
               ? format("%12.2f", ratio(count.sharedWaves, count.idealWaves))
               : std::string(12, ' '));
    text += "  " + format("%5u  ", line) + std::string(module.lineText(line)) +
            "\n";
  };
  for (unsigned line = first; line <= last; ++line)
    appendLine(line);
  // Functions that it called.
  for (const Function &function : module.functions) {
    if (&function == &kernel || function.isKernel || !function.hasBody)
      continue;
    bool isUsed = false;
    unsigned end = function.line;
    for (const Instruction &instruction : function.instructions) {
      isUsed |=
          instruction.line < lines.size() && lines[instruction.line].warps;
      end = std::max(end, instruction.line);
    }
    for (unsigned line = function.line; isUsed && line <= end; ++line)
      appendLine(line);
  }
  return text;
}

std::string clade::ptx::listText(const Module &module) {
  std::string text =
      format("PTX ISA %u.%u for ", module.versionMajor, module.versionMinor) +
      std::string(module.target) + "\n";
  auto triple = [](const std::array<uint32_t, 3> &sizes) {
    return format("%u, %u, %u", sizes[0], sizes[1], sizes[2]);
  };
  for (const Function &function : module.functions) {
    if (!function.isKernel)
      continue;
    text += std::string(function.name) + "\n";
    for (const Parameter &parameter : function.parameters)
      text += format("  %4llu  %-5s %llu bytes  ", Count(parameter.offset),
                     std::string(nameOf(parameter.type)).c_str(),
                     Count(parameter.size)) +
              std::string(parameter.name) + "\n";
    if (function.maxThreads[0])
      text += "  at most " + triple(function.maxThreads) + " threads\n";
    if (function.requiredThreads[0])
      text += "  exactly " + triple(function.requiredThreads) + " threads\n";
    text += format("  %zu instructions\n", function.instructions.size());
  }
  return text;
}

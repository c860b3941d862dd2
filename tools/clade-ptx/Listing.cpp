//===- Listing.cpp - Kernels as text, with counts -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Report.h"

#include "Text.h"

#include <algorithm>

using namespace clade::ptx;

static constexpr const char *columns =
    "       warps  lanes     sectors /fewest      passes /fewest";

/// What a line counted; blanks where it was not executed.
static std::string countsText(const OpCounter &count) {
  if (!count.warps)
    return std::string(std::string_view(columns).size(), ' ');
  auto pair = [](uint64_t found, uint64_t fewest) {
    return found ? format("%12llu %7.2f", Count(found), ratio(found, fewest))
                 : std::string(20, ' ');
  };
  return format("%12llu  %5.1f", Count(count.warps),
                ratio(count.lanes, count.warps)) +
         pair(count.sectors, count.idealSectors) +
         pair(count.sharedWaves, count.idealWaves);
}

std::string clade::ptx::annotatedText(const Module &module,
                                      const Function &kernel,
                                      const LaunchReport &report,
                                      const Traffic *traffic) {
  const auto &lines = report.counters.byLine;
  std::string text =
      std::string(columns) + (traffic ? "     DRAM kB" : "") + "\n";
  unsigned first = kernel.line, last = first;
  for (const Instruction &instruction : kernel.instructions)
    last = std::max(last, instruction.line);
  auto appendLine = [&](unsigned line) {
    text += countsText(line < lines.size() ? lines[line] : OpCounter());
    if (traffic) {
      double sectors =
          line < traffic->dramByLine.size() ? traffic->dramByLine[line] : 0;
      text += sectors > 0 ? format("%12.1f", sectors * 32 / 1000)
                          : std::string(12, ' ');
    }
    text += format("  %5u  ", line) + std::string(module.lineText(line)) + "\n";
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

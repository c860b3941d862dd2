//===- CompilerReport.cpp - What ptxas says of a kernel -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/CompilerReport.h"

#include <charconv>

using namespace clade::ptx;

/// The number before `unit`, as in "Used 40 registers"; nothing where it is not
/// there.
static std::optional<uint64_t> numberBefore(std::string_view line,
                                            std::string_view unit) {
  size_t at = line.find(unit);
  if (at == std::string_view::npos)
    return std::nullopt;
  size_t begin = at;
  while (begin > 0 && line[begin - 1] >= '0' && line[begin - 1] <= '9')
    --begin;
  uint64_t value = 0;
  auto [end, error] =
      std::from_chars(line.data() + begin, line.data() + at, value);
  if (error != std::errc() || begin == at)
    return std::nullopt;
  return value;
}

/// What stands between the first pair of quotes from `from` on.
static std::string_view quoted(std::string_view line, size_t from) {
  size_t begin = line.find('\'', from);
  size_t end =
      begin == std::string_view::npos ? begin : line.find('\'', begin + 1);
  return end == std::string_view::npos
             ? std::string_view()
             : line.substr(begin + 1, end - begin - 1);
}

std::optional<CompiledKernel>
clade::ptx::readCompilerReport(std::string_view text, std::string_view kernel,
                               std::string_view architecture) {
  std::optional<CompiledKernel> result;
  CompiledKernel current;
  bool isWanted = false;
  while (!text.empty()) {
    size_t length = text.find('\n');
    std::string_view line = text.substr(0, length);
    text = length == std::string_view::npos ? std::string_view()
                                            : text.substr(length + 1);
    constexpr std::string_view start = "Compiling entry function '";
    if (size_t at = line.find(start); at != std::string_view::npos) {
      isWanted = quoted(line, at) == kernel;
      current = {};
      if (size_t target = line.find(" for '", at);
          target != std::string_view::npos)
        current.architecture = quoted(line, target);
      continue;
    }
    if (!isWanted)
      continue;
    if (auto bytes = numberBefore(line, " bytes spill stores"))
      current.spillStores = *bytes;
    if (auto bytes = numberBefore(line, " bytes spill loads"))
      current.spillLoads = *bytes;
    auto registers = numberBefore(line, " registers");
    if (!registers)
      continue;
    current.registers = uint32_t(*registers);
    if (!result || result->architecture != architecture)
      result = current;
    isWanted = false;
  }
  return result;
}

//===- ChecksPageTest.cpp - The examples of docs/ptx-checks.md ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each example of the page is the defective version of a file of Defects/, and
// the text below it is what the machine says of it.
//
//===----------------------------------------------------------------------===//

#include "DefectCase.h"

#include <fstream>
#include <regex>
#include <sstream>

using namespace clade::ptx;
using namespace clade::ptx::test;

namespace {

struct Example {
  std::string file; ///< Without its extension.
  std::string kernel;
  std::string finding;
};

/// The blocks of the page: "<!-- Defects/NAME.ptx -->", the kernel, the
/// finding.
std::vector<Example> readExamples() {
  std::ifstream page(std::string(CLADE_PTX_INPUTS) +
                     "/../../docs/ptx-checks.md");
  std::vector<Example> examples;
  std::string line, *block = nullptr;
  while (std::getline(page, line)) {
    constexpr std::string_view mark = "<!-- Defects/";
    if (line.starts_with(mark)) {
      examples.push_back(
          {line.substr(mark.size(), line.find(".ptx") - mark.size())});
    } else if (line == "```ptx") {
      block = &examples.back().kernel;
    } else if (line == "```text") {
      block = &examples.back().finding;
    } else if (line == "```") {
      block = nullptr;
    } else if (block) {
      *block += line + "\n";
    }
  }
  return examples;
}

/// What the page shows of a text: the lines of the body, without tags.
std::string shown(const std::string &text) {
  std::istringstream lines(text);
  std::string line, result;
  bool isBody = false;
  while (std::getline(lines, line)) {
    isBody |= line.starts_with(".visible") || line.starts_with(".extern") ||
              line.starts_with(".const");
    if (!isBody || line.empty())
      continue;
    if (size_t tags = line.find(" \t//"); tags != std::string::npos)
      line.resize(tags);
    result += line + "\n";
  }
  return result;
}

/// Where memory begins is the system's choice if another has the usual place,
/// as under a sanitizer: of an address the last five digits.
std::string withoutBase(const std::string &text) {
  return std::regex_replace(text, std::regex("0x[0-9a-f]{7}([0-9a-f]{5})"),
                            "0x...$1");
}

TEST(ChecksPage, ExamplesAreTested) {
  std::vector<Example> examples = readExamples();
  std::set<std::string> kinds;
  for (const Example &example : examples) {
    DefectCase bad = readDefect(std::string(CLADE_PTX_INPUTS) + "/Defects/" +
                                    example.file + ".ptx",
                                true);
    EXPECT_EQ(example.kernel, shown(bad.text)) << example.file;
    std::string found;
    for (const Finding &finding : runDefect(bad).findings)
      if (found.empty() && nameOf(finding.kind) == bad.kind)
        found = finding.str() + "\n";
    // Tags of the tests are not shown.
    for (size_t at; (at = found.find(" \t//")) != std::string::npos;)
      found.erase(at, found.find('\n', at) - at);
    EXPECT_EQ(withoutBase(example.finding), withoutBase(found)) << example.file;
    kinds.insert(bad.kind);
  }
  EXPECT_EQ(kinds.size(), 16u);
}

} // namespace

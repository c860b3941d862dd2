//===- DefectCase.h - Kernels with one defect -------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every file of Defects/ is a kernel and a defective version of it. Lines that
// end in "//bad" are of the defective one only, those with "//good" of the
// other only; "//here" marks where the finding is expected. What is launched
// stands at the top:
//
//   //! [good|bad] grid X [Y [Z]]       1 unless given
//   //! [good|bad] block X [Y [Z]]
//   //! [good|bad] shared BYTES         dynamic shared memory
//   //! [good|bad] in N [modulo M]      words 0, 1, 2 … (modulo M)
//   //! [good|bad] in N uninitialised
//   //! [good|bad] out N [zero]
//   //! bad freed in|out                before the launch
//   //! deterministic                   blocks run in order
//   //! finding KIND
//   //! consequence KIND                may follow from the defect
//
// The defective version must have the finding, at the line, and none of a kind
// that is not named; the other one must have none at all.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_PTX_DEFECTCASE_H
#define CLADE_TEST_PTX_DEFECTCASE_H

#include "KernelHarness.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

namespace clade::ptx::test {

/// One of the two buffers of a case.
struct DefectBuffer {
  uint64_t words = 1;
  uint64_t modulo = 0;
  bool isZero = false;
  bool isUninitialised = false;
  bool isFreed = false;
};

/// One version of a kernel.
struct DefectCase {
  std::string text;
  LaunchOptions options;
  DefectBuffer in, out;
  std::string kind;
  std::set<std::string> consequences;
  unsigned line = 0;
};

inline void readDirective(std::istringstream words, bool isBad,
                          DefectCase &result) {
  std::string word;
  words >> word;
  if (word == "good" || word == "bad") {
    if ((word == "bad") != isBad)
      return;
    words >> word;
  }
  if (word == "grid" || word == "block") {
    auto &shape = word == "grid" ? result.options.grid : result.options.block;
    shape = {1, 1, 1};
    for (uint32_t &extent : shape)
      if (uint32_t value; words >> value)
        extent = value;
  } else if (word == "shared") {
    words >> result.options.dynamicShared;
  } else if (word == "deterministic") {
    result.options.deterministic = true;
  } else if (word == "finding") {
    words >> result.kind;
  } else if (word == "consequence") {
    words >> word;
    result.consequences.insert(word);
  } else if (word == "freed") {
    words >> word;
    (word == "in" ? result.in : result.out).isFreed = true;
  } else if (word == "in" || word == "out") {
    DefectBuffer &buffer = word == "in" ? result.in : result.out;
    buffer = {};
    buffer.isUninitialised = word == "out";
    words >> buffer.words;
    while (words >> word) {
      if (word == "modulo")
        words >> buffer.modulo;
      buffer.isZero |= word == "zero";
      buffer.isUninitialised |= word == "uninitialised";
    }
  } else {
    ADD_FAILURE() << "unknown directive '" << word << "'";
  }
}

/// One of the two versions of a file. Lines of the other are empty, so that
/// numbers stay.
inline DefectCase readDefect(const std::filesystem::path &path, bool isBad) {
  DefectCase result;
  std::ifstream file(path);
  std::string line;
  for (unsigned number = 1; std::getline(file, line); ++number) {
    if (line.starts_with("//! "))
      readDirective(std::istringstream(line.substr(4)), isBad, result);
    std::string tags;
    if (size_t at = line.find("//"); at != 0 && at != std::string::npos)
      tags = line.substr(at + 2);
    auto has = [&](const char *tag) {
      return tags.find(tag) != std::string::npos;
    };
    if (has("here") && !has(isBad ? "good" : "bad"))
      result.line = number;
    result.text += has(isBad ? "good" : "bad") ? "\n" : line + "\n";
  }
  return result;
}

inline uint64_t makeBuffer(Harness &harness, const DefectBuffer &buffer) {
  if (buffer.isUninitialised && !buffer.isZero)
    return harness.buffer(buffer.words * 4);
  std::vector<uint32_t> values(buffer.words);
  for (uint64_t i = 0; i < buffer.words && !buffer.isZero; ++i)
    values[i] = uint32_t(buffer.modulo ? i % buffer.modulo : i);
  return harness.buffer(values);
}

inline LaunchReport runDefect(const DefectCase &given) {
  Harness harness(given.text);
  harness.mayFind = true;
  uint64_t in = makeBuffer(harness, given.in);
  uint64_t out = makeBuffer(harness, given.out);
  if (given.in.isFreed) {
    EXPECT_TRUE(harness.machine.free(in));
  }
  if (given.out.isFreed) {
    EXPECT_TRUE(harness.machine.free(out));
  }
  return harness.launch("kernel", given.options, in, out);
}

} // namespace clade::ptx::test

#endif // CLADE_TEST_PTX_DEFECTCASE_H

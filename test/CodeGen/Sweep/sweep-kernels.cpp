//===- sweep-kernels.cpp - Random cases of every kernel -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Usage: sweep-kernels [--cases N] [--seed S] [--only KIND]
//
// Runs about N random cases (2,800 unless told) of products, products with
// quantised weights, attention, and the kernels of models, and compares them
// with sums in double precision or with the reference interpreter.
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/Sweep/Sweep.h"

#include "llvm/Support/CommandLine.h"
#include "llvm/Support/raw_ostream.h"

#include <csignal>
#include <cstring>
#include <unistd.h>

using namespace clade::cpu::test;
namespace cl = llvm::cl;

/// The case that runs, for the handler of the signal.
static char current[4096];

static void write(const char *text) {
  [[maybe_unused]] ssize_t written = ::write(STDOUT_FILENO, text, strlen(text));
}

static void tellOfFault(int) {
  write("FAIL: leaves its memory: ");
  write(current);
  write("\n");
  _exit(1);
}

void Sweep::begin(const std::string &text) {
  strncpy(current, text.c_str(), sizeof(current) - 1);
}

void Sweep::count(const std::string &kind, const std::string &difference) {
  Count &count = counts[kind];
  ++count.cases;
  if (difference.empty())
    return;
  // The first ones tell enough.
  if (++count.failed <= 5)
    llvm::outs() << "FAIL: " << kind << ": " << difference << "\n";
}

int64_t Sweep::total() const {
  int64_t all = 0;
  for (const auto &[kind, count] : counts)
    all += count.cases;
  return all;
}

bool Sweep::report() const {
  Count all;
  for (const auto &[kind, count] : counts) {
    llvm::outs() << kind << ": " << count.cases << " cases, " << count.failed
                 << " failed\n";
    all.cases += count.cases;
    all.failed += count.failed;
  }
  llvm::outs() << all.cases - all.failed << " passed, " << all.failed
               << " failed\n";
  return all.failed == 0 && all.cases > 0;
}

int main(int argc, char **argv) {
  cl::OptionCategory category("Options");
  cl::opt<int64_t> cases("cases", cl::desc("About how many cases to run"),
                         cl::init(2800), cl::cat(category));
  cl::opt<uint64_t> seed("seed", cl::desc("What draws them"), cl::init(1),
                         cl::cat(category));
  cl::opt<std::string> only(
      "only", cl::desc("products, groups, attention or models alone"),
      cl::cat(category));
  cl::HideUnrelatedOptions(category);
  cl::ParseCommandLineOptions(argc, argv, "Random cases of every kernel\n");
  std::signal(SIGSEGV, tellOfFault);
  Sweep sweep(seed);
  // Of all kinds, or of the one that is wanted.
  auto share = [all = int64_t(cases), one = std::string(only)](
                   llvm::StringRef kind, int64_t part) -> int64_t {
    if (one.empty())
      return all * part / 14;
    return kind == one ? all : 0;
  };
  sweepProducts(sweep, share("products", 3));
  sweepGroupProducts(sweep, share("groups", 2));
  sweepAttention(sweep, share("attention", 2));
  if (int64_t models = share("models", 7); models > 0)
    sweepModels(sweep, models, CLADE_SWEEP_SPECS);
  return sweep.report() ? 0 : 1;
}

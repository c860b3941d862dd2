//===- VerifyReport.cpp - What verify prints -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/VerifyReport.h"

#include "tools/clade/Progress.h"

#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using nlohmann::json;

/// Which code is the reference, where that is known.
static void printCode(const PublishedCode &code) {
  if (!code.name.empty())
    llvm::outs() << "published: " << code.name << " of " << code.library
                 << "\n";
}

/// Prints what --json asks for; gives the status of the command.
static int printObject(json object, const PublishedCode &code, bool passed) {
  if (!code.name.empty())
    object["published"] = {{"class", code.name}, {"library", code.library}};
  llvm::outs() << object.dump(2, ' ', false, json::error_handler_t::replace)
               << "\n";
  return passed ? Done : Failed;
}

//===----------------------------------------------------------------------===//
// Logits
//===----------------------------------------------------------------------===//

LogitsRow driver::compareLogits(std::string name, const Values &result,
                                const Values &reference, const Values *wide) {
  LogitsRow row{std::move(name), distance(result, reference), std::nullopt,
                false};
  bool sameSize = result.size() == reference.size() && !reference.empty();
  if (wide) {
    double ratio = 0;
    row.passed = sameSize && withinBF16(result, reference, *wide, ratio);
    row.ratio = ratio;
  } else {
    row.passed = sameSize && withinF32(row.distance);
  }
  return row;
}

int driver::reportLogits(const std::vector<LogitsRow> &rows,
                         const VerifyOptions &options, const std::string &dtype,
                         const PublishedCode &code) {
  clearProgress();
  bool ok = llvm::all_of(rows, [](const LogitsRow &row) { return row.passed; });
  if (options.asJson) {
    json list = json::array();
    for (const LogitsRow &row : rows)
      list.push_back({{"name", row.name},
                      {"largest", row.distance.largest},
                      {"cosine", row.distance.cosine},
                      {"ratio", row.ratio ? json(*row.ratio) : json()},
                      {"passed", row.passed}});
    json object = {{"level", 3},
                   {"against", options.against},
                   {"dtype", dtype},
                   {"rows", list},
                   {"passed", ok}};
    return printObject(std::move(object), code, ok);
  }
  printCode(code);
  llvm::outs() << llvm::format("%-44s %-5s %12s %14s %7s\n", "logits", "dtype",
                               "largest", "1 - cosine", "ratio");
  for (const LogitsRow &row : rows) {
    llvm::outs() << llvm::format("%-44s %-5s %12.3e %14.3e ", row.name.c_str(),
                                 dtype.c_str(), row.distance.largest,
                                 1 - row.distance.cosine);
    if (row.ratio)
      llvm::outs() << llvm::format("%7.3f", *row.ratio);
    else
      llvm::outs() << "      -";
    llvm::outs() << (row.passed ? "  ok\n" : "  FAIL\n");
  }
  return ok ? Done : Failed;
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

void driver::printNames(llvm::StringRef title,
                        llvm::ArrayRef<std::string> names) {
  if (names.empty())
    return;
  llvm::outs() << title << ":";
  constexpr size_t most = 8;
  for (const std::string &name : names.take_front(most))
    llvm::outs() << " '" << name << "'";
  if (names.size() > most)
    llvm::outs() << " … and " << names.size() - most << " more";
  llvm::outs() << "\n";
}

int driver::reportBlocks(const BlockComparison &blocks,
                         const VerifyOptions &options,
                         const PublishedCode &code) {
  clearProgress();
  // The logits alone are no block.
  bool hasBlocks = llvm::any_of(
      blocks.rows, [](const auto &row) { return row.name != logitsRow; });
  bool ok = hasBlocks && llvm::all_of(blocks.rows, [](const auto &row) {
              return row.passed;
            });
  if (options.asJson) {
    json list = json::array();
    for (const BlockRow &row : blocks.rows)
      list.push_back({{"name", row.name},
                      {"layers", row.layers},
                      {"layer", row.worst < 0 ? json() : json(row.worst)},
                      {"largest", row.distance.largest},
                      {"cosine", row.distance.cosine},
                      {"passed", row.passed}});
    json object = {{"level", 2},
                   {"against", options.against},
                   {"rows", list},
                   {"not_compared", blocks.notCompared},
                   {"passed", ok}};
    return printObject(std::move(object), code, ok);
  }
  printCode(code);
  llvm::outs() << llvm::format("%-52s %6s %5s %12s %14s\n",
                               "block, up to the value", "layers", "worst",
                               "largest", "1 - cosine");
  for (const BlockRow &row : blocks.rows) {
    std::string worst = row.worst < 0 ? "-" : std::to_string(row.worst),
                layers = row.layers == 0 ? "-" : std::to_string(row.layers);
    llvm::outs() << llvm::format(
        "%-52s %6s %5s %12.3e %14.3e  %s\n", row.name.c_str(), layers.c_str(),
        worst.c_str(), row.distance.largest, 1 - row.distance.cosine,
        row.passed ? "ok" : "FAIL");
  }
  printNames("not compared", blocks.notCompared);
  if (!hasBlocks)
    return fail("no value of the model is one that the published "
                "implementation names");
  return ok ? Done : Failed;
}

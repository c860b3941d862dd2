//===- VerifyReport.h - What verify prints ----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_VERIFYREPORT_H
#define CLADE_TOOLS_CLADE_VERIFYREPORT_H

#include "tools/clade/Compare.h"
#include "tools/clade/PublishedValues.h"
#include "tools/clade/VerifyBlocks.h"
#include "tools/clade/VerifyOptions.h"

namespace clade::driver {

/// One comparison of the table.
struct LogitsRow {
  std::string name;
  Distance distance;
  std::optional<double> ratio; ///< bf16: error over the reference's own error.
  bool passed = false;
};

/// Compares; `wide` is the reference in f32 where the comparison is in bf16.
LogitsRow compareLogits(std::string name, const Values &result,
                        const Values &reference, const Values *wide);

/// Prints the table of level 3 and gives the exit status. `code` is which code
/// the reference is, if it is published.
int reportLogits(const std::vector<LogitsRow> &rows,
                 const VerifyOptions &options, const std::string &dtype,
                 const PublishedCode &code = {});

/// The same for level 2.
int reportBlocks(const BlockComparison &blocks, const VerifyOptions &options,
                 const PublishedCode &code);

/// Prints 'title: 'a' 'b' … and N more', or nothing without names.
void printNames(llvm::StringRef title, llvm::ArrayRef<std::string> names);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_VERIFYREPORT_H

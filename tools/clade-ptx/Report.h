//===- Report.h - What a launch did, as text and as JSON --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_TOOL_REPORT_H
#define CLADE_PTX_TOOL_REPORT_H

#include "Predictions.h"

#include "lib/PTX/Machine.h"

#include <string>

namespace clade::ptx {

/// Findings and the sums of the counters.
std::string reportText(const Module &module, const LaunchReport &report);
/// The same with the counters of each line, and predictions.
std::string reportJson(const Module &module, const LaunchReport &report,
                       const std::vector<KernelPrediction> &predictions);
/// The lines of the kernel with counts beside them, and with what each moves to
/// and from DRAM if a model's traffic is given.
std::string annotatedText(const Module &module, const Function &kernel,
                          const LaunchReport &report, const Traffic *traffic);
/// The kernels of a module with their parameters and sizes.
std::string listText(const Module &module);

} // namespace clade::ptx

#endif // CLADE_PTX_TOOL_REPORT_H

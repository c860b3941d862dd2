//===- Predictions.h - What a launch would take on GPUs ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_TOOL_PREDICTIONS_H
#define CLADE_PTX_TOOL_PREDICTIONS_H

#include "Compiler.h"

#include "lib/PTX/Machine.h"
#include "lib/PTX/Roofline.h"

#include <nlohmann/json_fwd.hpp>

namespace clade::ptx {

struct KernelPrediction {
  Prediction prediction;
  KernelRegisters registers;
  BlockDemand block;
};

/// Requests to global memory that are kept for the caches (512 MiB).
constexpr uint64_t predictionTrace = uint64_t(1) << 26;

/// The GPUs that "--gpu" names: ids, or "all".
Result<std::vector<const Gpu *>>
chooseGpus(const std::vector<std::string> &names);

std::vector<KernelPrediction>
predictAll(const std::vector<const Gpu *> &gpus, const Module &module,
           const Kernel &kernel, const LaunchOptions &options,
           const LaunchReport &report, const RegisterSource &registers);

std::string predictionText(const KernelPrediction &prediction);
nlohmann::json predictionJson(const KernelPrediction &prediction);

} // namespace clade::ptx

#endif // CLADE_PTX_TOOL_PREDICTIONS_H

//===- BenchReport.h - What clade bench has measured ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_BENCHREPORT_H
#define CLADE_TOOLS_CLADE_BENCHREPORT_H

#include "llvm/ADT/StringRef.h"

#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace clade::driver {

/// One figure of every round.
class Samples {
public:
  void add(double value) { values.push_back(value); }
  bool empty() const { return values.empty(); }
  double median() const;
  double least() const;
  double most() const;
  /// {"median", "min", "max", "rounds"}.
  nlohmann::json toJson() const;

private:
  std::vector<double> values;
};

/// An engine beside Clade.
struct PeerFigures {
  std::string name, version;
  Samples tokensPerSecond;
};

/// Prefill of a prompt, or decoding behind a context.
struct BenchRow {
  bool isPrefill = false;
  int64_t context = 0; ///< Tokens of the prompt.
  int64_t batch = 1;
  Samples tokensPerSecond;
  /// Of the limit that binds it: arithmetic in prefill, reading in decode.
  Samples share;
  std::vector<PeerFigures> peers;

  std::string title() const;
};

/// A kernel of all layers that have it, in one step.
struct KernelRow {
  std::string function, kind, weights;
  int64_t calls = 1;
  double bytes = 0, flops = 0; ///< Predicted, of all calls.
  Samples seconds;             ///< Of all calls.
};

struct KernelTable {
  std::string title;
  bool isPrefill = false;
  std::vector<KernelRow> rows;
};

struct BenchReport {
  std::string cpu, cpuName, family, dtype, weights, arithmetic;
  int threads = 0;
  double bytesPerStep = 0;
  int64_t multiplyAddsPerToken = 0;
  Samples readBandwidth; ///< Bytes a second.
  Samples peak;          ///< Operations a second, in the products' type.
  std::vector<BenchRow> rows;
  std::vector<KernelTable> kernels;
  std::vector<std::string> notes; ///< What was left out, and why.
  nlohmann::json weightError;     ///< Of a form of weights, else null.

  nlohmann::json toJson() const;
  void print() const;
  /// Bars of tokens a second, Clade's and the peers'.
  std::string toSvg() const;
};

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_BENCHREPORT_H

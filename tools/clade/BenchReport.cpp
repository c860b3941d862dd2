//===- BenchReport.cpp - What clade bench has measured --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/BenchReport.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"

#include <algorithm>

using namespace clade::driver;
using nlohmann::json;

double Samples::median() const {
  if (values.empty())
    return 0;
  std::vector<double> sorted(values);
  llvm::sort(sorted);
  size_t middle = sorted.size() / 2;
  return sorted.size() % 2 ? sorted[middle]
                           : (sorted[middle - 1] + sorted[middle]) / 2;
}

double Samples::least() const {
  return values.empty() ? 0 : *llvm::min_element(values);
}

double Samples::most() const {
  return values.empty() ? 0 : *llvm::max_element(values);
}

json Samples::toJson() const {
  return {{"median", median()},
          {"min", least()},
          {"max", most()},
          {"rounds", values.size()}};
}

std::string BenchRow::title() const {
  return isPrefill
             ? llvm::formatv("prefill {0}", context).str()
             : llvm::formatv("decode at {0}, batch {1}", context, batch).str();
}

static json toJson(const BenchRow &row) {
  json peers = json::array();
  for (const PeerFigures &peer : row.peers)
    peers.push_back({{"name", peer.name},
                     {"version", peer.version},
                     {"tok_s", peer.tokensPerSecond.toJson()},
                     {"ratio", row.tokensPerSecond.median() /
                                   peer.tokensPerSecond.median()}});
  return {{"phase", row.isPrefill ? "prefill" : "decode"},
          {"context", row.context},
          {"batch", row.batch},
          {"tok_s", row.tokensPerSecond.toJson()},
          {"share_of_limit", row.share.toJson()},
          {"limit", row.isPrefill ? "peak" : "read"},
          {"peers", peers}};
}

/// What a row reaches of a limit: bytes or operations a second.
static double rate(const KernelTable &table, const KernelRow &row) {
  double seconds = row.seconds.median();
  return seconds > 0 ? (table.isPrefill ? row.flops : row.bytes) / seconds : 0;
}

json BenchReport::toJson() const {
  json rowObjects = json::array(), tables = json::array();
  for (const BenchRow &row : rows)
    rowObjects.push_back(::toJson(row));
  for (const KernelTable &table : kernels) {
    json entries = json::array();
    for (const KernelRow &row : table.rows)
      entries.push_back({{"function", row.function},
                         {"kind", row.kind},
                         {"weights", row.weights},
                         {"calls", row.calls},
                         {"predicted_bytes", row.bytes},
                         {"predicted_flops", row.flops},
                         {"seconds", row.seconds.toJson()}});
    tables.push_back({{"step", table.title}, {"kernels", entries}});
  }
  return {{"machine",
           {{"cpu", cpu},
            {"name", cpuName},
            {"threads", threads},
            {"read_bytes_s", readBandwidth.toJson()},
            {"peak_flop_s", peak.toJson()}}},
          {"model",
           {{"family", family},
            {"dtype", dtype},
            {"weights", weights},
            {"bytes_per_step", bytesPerStep},
            {"multiply_adds_per_token", multiplyAddsPerToken}}},
          {"rows", rowObjects},
          {"kernels", tables},
          {"weight_error", weightError},
          {"notes", notes}};
}

static void printKernels(const KernelTable &table, double limit) {
  llvm::raw_ostream &os = llvm::outs();
  const char *unit = table.isPrefill ? "GFLOP" : "MB";
  double scale = table.isPrefill ? 1e9 : 1e6, total = 0;
  for (const KernelRow &row : table.rows)
    total += row.seconds.median();
  os << "\nkernels of " << table.title << "\n"
     << llvm::format("%-10s %5s %9s %7s %9s %9s %6s  %s\n", "kind", "calls",
                     "ms", "time", unit, table.isPrefill ? "GFLOP/s" : "GB/s",
                     "limit", "weights");
  for (const KernelRow &row : table.rows) {
    double work = table.isPrefill ? row.flops : row.bytes;
    os << llvm::format("%-10s %5d %9.3f %5.1f %% ", row.kind.c_str(),
                       static_cast<int>(row.calls), row.seconds.median() * 1e3,
                       100 * row.seconds.median() / total);
    if (work > 0)
      os << llvm::format("%9.3f %9.1f %4.0f %%", work / scale,
                         rate(table, row) / 1e9,
                         100 * rate(table, row) / limit);
    else
      os << llvm::format("%9s %9s %6s", "-", "-", "-");
    os << "  " << row.weights << "\n";
  }
  os << llvm::format("%-10s %5s %9.3f\n", "all", "", total * 1e3);
}

void BenchReport::print() const {
  llvm::raw_ostream &os = llvm::outs();
  os << cpuName << " (" << cpu << "), " << threads
     << (threads == 1 ? " thread" : " threads") << ": reads "
     << llvm::format("%.1f GB/s, computes %.0f GFLOP/s in %s\n",
                     readBandwidth.median() / 1e9, peak.median() / 1e9,
                     arithmetic.c_str())
     << family << ", " << dtype
     << (weights == "dense" ? "" : ", weights " + weights) << ": a token reads "
     << llvm::format("%.1f MB of weights and takes %.3f GFLOP\n\n",
                     bytesPerStep / 1e6, 2e-9 * multiplyAddsPerToken)
     << llvm::format("%-26s %9s %19s %9s", "medians", "tok/s", "least - most",
                     "of limit");
  std::vector<std::string> names;
  for (const BenchRow &row : rows)
    for (const PeerFigures &peer : row.peers)
      if (!llvm::is_contained(names, peer.name))
        names.push_back(peer.name);
  for (const std::string &name : names)
    os << llvm::format(" %14s %6s", name.c_str(), "ratio");
  os << "\n";
  for (const BenchRow &row : rows) {
    os << llvm::format("%-26s %9.1f %8.1f - %8.1f %7.1f %%",
                       row.title().c_str(), row.tokensPerSecond.median(),
                       row.tokensPerSecond.least(), row.tokensPerSecond.most(),
                       100 * row.share.median());
    for (const std::string &name : names) {
      auto peer = llvm::find_if(row.peers, [&](const PeerFigures &figures) {
        return figures.name == name;
      });
      if (peer == row.peers.end())
        os << llvm::format(" %14s %6s", "-", "-");
      else
        os << llvm::format(" %14.1f %6.2f", peer->tokensPerSecond.median(),
                           row.tokensPerSecond.median() /
                               peer->tokensPerSecond.median());
    }
    os << "\n";
  }
  for (const KernelTable &table : kernels)
    printKernels(table, (table.isPrefill ? peak : readBandwidth).median());
  for (const std::string &note : notes)
    os << "note: " << note << "\n";
}

std::string BenchReport::toSvg() const {
  constexpr int left = 190, width = 480, bar = 16, gap = 14, top = 46;
  static constexpr const char *colours[] = {"#2b6cb0", "#a0aec0", "#cbd5e0",
                                            "#e2e8f0"};
  std::string body, text;
  llvm::raw_string_ostream os(body);
  int y = top;
  for (const BenchRow &row : rows) {
    std::vector<std::pair<std::string, double>> bars{
        {"clade", row.tokensPerSecond.median()}};
    for (const PeerFigures &peer : row.peers)
      bars.emplace_back(peer.name, peer.tokensPerSecond.median());
    double longest = 0;
    for (const auto &[name, value] : bars)
      longest = std::max(longest, value);
    os << llvm::formatv("<text x=\"8\" y=\"{0}\">{1}</text>\n", y + 12,
                        row.title());
    for (auto [i, entry] : llvm::enumerate(bars)) {
      auto [name, value] = entry;
      int length = longest > 0 ? static_cast<int>(width * value / longest) : 0;
      os << llvm::formatv("<rect x=\"{0}\" y=\"{1}\" width=\"{2}\" "
                          "height=\"{3}\" fill=\"{4}\"/>\n"
                          "<text x=\"{5}\" y=\"{6}\">{7} {8:f1}</text>\n",
                          left, y, length, bar - 2,
                          colours[std::min<size_t>(i, 3)], left + length + 6,
                          y + 12, name, value);
      y += bar;
    }
    y += gap;
  }
  llvm::raw_string_ostream(text)
      << llvm::formatv(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" "
             "height=\"{0}\" font-family=\"sans-serif\" font-size=\"12\">\n"
             "<rect width=\"860\" height=\"{0}\" fill=\"white\"/>\n"
             "<text x=\"8\" y=\"20\" font-size=\"14\">{1}, {2}: tokens a "
             "second on {3}, {4} threads</text>\n",
             y, family, dtype, cpuName, threads)
      << body << "</svg>\n";
  return text;
}

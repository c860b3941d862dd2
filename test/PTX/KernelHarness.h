//===- KernelHarness.h - Runs one kernel of a text --------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_PTX_KERNELHARNESS_H
#define CLADE_TEST_PTX_KERNELHARNESS_H

#include "lib/PTX/Machine.h"
#include "lib/PTX/Parser.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace clade::ptx::test {

/// A machine with one module; kernels get buffers by address.
class Harness {
public:
  explicit Harness(const std::string &text) {
    Result<Module> parsed = parse(text, "test.ptx");
    EXPECT_TRUE(parsed) << parsed.error().str();
    if (!parsed)
      return;
    Result<ModuleId> loaded = machine.load(std::move(*parsed));
    EXPECT_TRUE(loaded) << loaded.error().str();
    if (loaded)
      module = *loaded;
  }

  template <typename T> uint64_t buffer(const std::vector<T> &values) {
    uint64_t address = *machine.allocate(values.size() * sizeof(T));
    EXPECT_TRUE(
        machine.copyIn(address, values.data(), values.size() * sizeof(T)));
    return address;
  }
  uint64_t buffer(size_t bytes) { return *machine.allocate(bytes); }
  template <typename T> std::vector<T> read(uint64_t address, size_t count) {
    std::vector<T> values(count);
    EXPECT_TRUE(machine.copyOut(values.data(), address, count * sizeof(T)));
    return values;
  }

  /// Launches with parameters of the kernel's own sizes; findings are failures
  /// unless `mayFind`.
  template <typename... Ts>
  LaunchReport launch(const char *name, LaunchOptions options,
                      const Ts &...parameters) {
    Result<Kernel> kernel = machine.findKernel(module, name);
    EXPECT_TRUE(kernel) << kernel.error().str();
    if (!kernel)
      return {};
    const Function &function = kernel->function();
    options.parameters.resize(function.parameterBytes);
    size_t next = 0;
    (pass(options.parameters, function, next, parameters), ...);
    EXPECT_EQ(next, function.parameters.size());
    Result<LaunchReport> report = machine.launch(*kernel, options);
    EXPECT_TRUE(report) << report.error().str();
    if (!report)
      return {};
    if (!mayFind)
      for (const Finding &finding : report->findings)
        ADD_FAILURE() << finding.str();
    return std::move(*report);
  }
  template <typename... Ts>
  LaunchReport run(const char *name, unsigned grid, unsigned block,
                   const Ts &...parameters) {
    LaunchOptions options;
    options.grid = {grid, 1, 1};
    options.block = {block, 1, 1};
    return launch(name, options, parameters...);
  }

  /// The counts of the first executed line that holds a text.
  OpCounter lineWith(const LaunchReport &report, std::string_view text) {
    const Module &loaded = *machine.module(module);
    const auto &lines = report.counters.byLine;
    for (unsigned line = 1; line < lines.size(); ++line)
      if (lines[line].warps &&
          loaded.lineText(line).find(text) != std::string_view::npos)
        return lines[line];
    ADD_FAILURE() << "no line with " << text;
    return {};
  }

  Machine machine;
  ModuleId module = 0;
  bool mayFind = false;

private:
  template <typename T>
  static void pass(std::vector<uint8_t> &bytes, const Function &function,
                   size_t &next, const T &value) {
    ASSERT_LT(next, function.parameters.size());
    const Parameter &parameter = function.parameters[next++];
    ASSERT_EQ(parameter.size, sizeof(T)) << parameter.name;
    std::memcpy(bytes.data() + parameter.offset, &value, sizeof(T));
  }
};

inline std::string ptxHeader(const char *target = "sm_90a") {
  return ".version 8.7\n.target " + std::string(target) +
         "\n.address_size 64\n";
}

} // namespace clade::ptx::test

#endif // CLADE_TEST_PTX_KERNELHARNESS_H

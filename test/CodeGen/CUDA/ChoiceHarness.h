//===- ChoiceHarness.h - Tokens chosen on the PTX machine ------ -*- C++
//-*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The kernels that choose and draw tokens, launched as the plan says.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_CUDA_CHOICEHARNESS_H
#define CLADE_TEST_CODEGEN_CUDA_CHOICEHARNESS_H

#include "lib/CodeGen/CUDA/ChooseToken.h"
#include "lib/CodeGen/CUDA/DrawToken.h"

#include "TileHarness.h"
#include "runtime/Device/TokenDraw.h"

#include <optional>

namespace clade::cuda {

/// For rows of `vocab` logits.
class ChoiceKernels {
public:
  explicit ChoiceKernels(int64_t vocab) : vocab(vocab) {
    using namespace mlir;
    DialectRegistry registry;
    registerCompileDialects(registry);
    MLIRContext context(registry);
    context.loadAllAvailableDialects();
    Location loc = UnknownLoc::get(&context);
    OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
    OpBuilder builder = OpBuilder::atBlockEnd(module->getBody());
    auto code = gpu::GPUModuleOp::create(builder, loc, "kernels");
    addGreedyChoice(code, loc, vocab, plan);
    addDraws(code, loc, vocab, plan);
    FailureOr<std::string> made = compileToPTX(code, targetOf("sm_80"));
    EXPECT_TRUE(succeeded(made));
    text = succeeded(made) ? *made : "";
  }

  /// Launches for these rows, and, with `draws`, what is asked of each. Reports
  /// of the launches, by name.
  std::map<std::string, ptx::LaunchReport>
  run(const std::vector<rt::Launch> &launches, const std::vector<float> &logits,
      const std::vector<rt::TokenDraw> &draws = {}) {
    rows = static_cast<int64_t>(logits.size()) / vocab;
    // Memory that nobody wrote is a finding: all that is read was written.
    harness.emplace(text);
    uint64_t output = harness->buffer(logits),
             asked = draws.empty() ? 0 : harness->buffer(draws);
    selected = harness->buffer(static_cast<size_t>(plan.selectedBytes * rows));
    std::map<std::string, ptx::LaunchReport> reports;
    for (const rt::Launch &launch : launches) {
      using Space = rt::LaunchArgument::Space;
      std::vector<uint64_t> addresses{0};
      for (const rt::LaunchArgument &argument : launch.arguments)
        addresses.push_back(argument.space == Space::Output  ? output
                            : argument.space == Space::Input ? asked
                                                             : at(argument));
      const rt::LaunchKernel &kernel = plan.kernels.at(launch.kernel);
      EXPECT_TRUE(kernel.onSelected);
      auto options =
          launchOf({kernel.columns, kernel.rowsPerBlock, kernel.threads}, rows,
                   kernel.sharedBytes);
      ptx::LaunchReport &report = reports[launch.kernel];
      report = pass(launch.kernel, options, addresses);
      EXPECT_TRUE(report.clean()) << launch.kernel;
    }
    return reports;
  }

  /// `count` values of each row at a place of the plan.
  template <typename T>
  std::vector<T> read(const rt::LaunchArgument &place, int64_t count = 1) {
    return harness->read<T>(at(place), static_cast<size_t>(rows * count));
  }

  /// The first `count` of the `capacity` values of one row.
  template <typename T>
  std::vector<T> readOf(const rt::LaunchArgument &place, int64_t row,
                        int64_t capacity, int64_t count) {
    auto offset = static_cast<uint64_t>(row * capacity) * sizeof(T);
    return harness->read<T>(at(place) + offset, static_cast<size_t>(count));
  }

  rt::LaunchPlan plan;
  std::string text; ///< PTX.

private:
  uint64_t at(const rt::LaunchArgument &place) const {
    return selected + static_cast<uint64_t>(place.number * rows);
  }
  ptx::LaunchReport pass(const std::string &name,
                         const ptx::LaunchOptions &options,
                         const std::vector<uint64_t> &a) {
    const char *kernel = name.c_str();
    switch (a.size()) {
    case 4:
      return harness->launch(kernel, options, a[0], a[1], a[2], a[3]);
    case 6:
      return harness->launch(kernel, options, a[0], a[1], a[2], a[3], a[4],
                             a[5]);
    case 7:
      return harness->launch(kernel, options, a[0], a[1], a[2], a[3], a[4],
                             a[5], a[6]);
    case 8:
      return harness->launch(kernel, options, a[0], a[1], a[2], a[3], a[4],
                             a[5], a[6], a[7]);
    }
    ADD_FAILURE() << name << " has " << a.size() << " arguments";
    return {};
  }

  int64_t vocab, rows = 0;
  std::optional<ptx::test::Harness> harness;
  uint64_t selected = 0;
};

/// Numbers in [-1, 1] of which some come again.
inline std::vector<float> someLogits(int64_t count) {
  std::vector<float> logits;
  for (uint16_t bits : bfloats(count, 7))
    logits.push_back(floatOf(bits));
  return logits;
}

} // namespace clade::cuda

#endif // CLADE_TEST_CODEGEN_CUDA_CHOICEHARNESS_H

//===- DeviceTest.cpp - Memory, streams and models of a GPU ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Against the driver that CLADE_CUDA_DRIVER names: the virtual one.
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/DeviceModel.h"
#include "runtime/Device/DevicePages.h"
#include "runtime/Device/TensorMaps.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <numeric>

using namespace clade::rt;

namespace {

/// Adds a weight to the positions of a step's tokens: out[i] = position + w[0].
/// The offset of CladeStep::positions is put in.
std::string kernelText() {
  return ".version 8.0\n.target sm_80\n.address_size 64\n"
         ".visible .entry add(.param .u64 step, .param .u64 weight, "
         ".param .u64 out) {\n"
         "  .reg .b64 %rd<6>; .reg .b32 %r<3>; .reg .f32 %f<4>;\n"
         "  ld.param.u64 %rd0, [step];\n"
         "  ld.global.u64 %rd1, [%rd0+" +
         std::to_string(offsetof(CladeStep, positions)) +
         "];\n"
         "  mov.u32 %r0, %ctaid.y;\n"
         "  mul.wide.u32 %rd2, %r0, 4;\n"
         "  add.u64 %rd1, %rd1, %rd2;\n"
         "  ld.global.u32 %r1, [%rd1];\n"
         "  cvt.rn.f32.s32 %f0, %r1;\n"
         "  ld.param.u64 %rd3, [weight];\n"
         "  ld.global.f32 %f1, [%rd3];\n"
         "  add.f32 %f2, %f0, %f1;\n"
         "  ld.param.u64 %rd4, [out];\n"
         "  add.u64 %rd4, %rd4, %rd2;\n"
         "  st.global.f32 [%rd4], %f2;\n"
         "  ret;\n}\n";
}

DeviceModelSources sources(std::span<const float> weight) {
  using Space = LaunchArgument::Space;
  DeviceModelSources result;
  result.arch = "sm_80";
  result.kernels = kernelText();
  result.plan.tokenBytes = 4;
  result.plan.kernels["add"] = {/*onSelected=*/true, 1, 1, 1, 0};
  result.plan.launches = {{"add", {{Space::Weight, 0}, {Space::Output, 0}}}};
  result.outputWidth = 1;
  result.weights = {std::as_bytes(weight), std::as_bytes(weight)};
  return result;
}

/// A step of `count` tokens at positions from 10 on, all selected.
struct Step {
  explicit Step(int32_t count)
      : numbers(static_cast<size_t>(count)), output(numbers.size()) {
    std::iota(numbers.begin(), numbers.end(), 10);
    step.num_tokens = step.num_selected = count;
    step.num_sequences = 1;
    step.tokens = step.positions = step.sequence_of = step.selected =
        numbers.data();
    step.first_token = step.scaled_lengths = ends;
    step.output = output.data();
  }
  std::vector<int32_t> numbers;
  std::vector<float> output;
  int32_t ends[2] = {0, 0};
  CladeStep step = {};
};

TEST(DeviceModelTest, RunsStepsOfGrowingSizes) {
  std::vector<float> weight{0.5f};
  auto model = DeviceModel::create(sources(weight), 0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  for (int32_t count : {1, 3, 200, 2}) {
    Step step(count);
    Status status = (*runner)->run(step.step);
    ASSERT_TRUE(status.ok()) << status.message();
    for (int32_t i = 0; i < count; ++i)
      EXPECT_EQ(step.output[static_cast<size_t>(i)], 10.5f + float(i));
  }
}

TEST(DeviceModelTest, StepsThatComeAgainAreGraphs) {
  std::vector<float> weight{0.5f};
  DeviceModelSources threeTimes = sources(weight);
  for (int i = 0; i < 2; ++i)
    threeTimes.plan.launches.push_back(threeTimes.plan.launches[0]);
  auto model = DeviceModel::create(threeTimes, 0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok());
  auto run = [&](int32_t count, int32_t position) {
    Step step(count);
    std::iota(step.numbers.begin(), step.numbers.end(), position);
    Status status = (*runner)->run(step.step);
    ASSERT_TRUE(status.ok()) << status.message();
    for (int32_t i = 0; i < count; ++i)
      EXPECT_EQ(step.output[static_cast<size_t>(i)],
                float(position + i) + 0.5f);
  };
  auto expect = [&](int64_t plain, int64_t graph, int64_t made) {
    const DeviceStep::Counts &counts = (*runner)->counts();
    EXPECT_EQ(counts.plainSteps, plain);
    EXPECT_EQ(counts.graphSteps, graph);
    EXPECT_EQ(counts.graphs, made);
    EXPECT_EQ(counts.nodes, made ? 3u : 0u);
  };
  // A prompt, then tokens: the second one makes the graph, the others use it.
  run(200, 10);
  run(1, 210);
  expect(2, 0, 0);
  for (int32_t i = 0; i < 4; ++i)
    run(1, 211 + i);
  expect(2, 4, 1);
  // Another shape in between, and back again.
  run(2, 500);
  run(2, 600);
  run(1, 700);
  expect(3, 6, 2);
  // Larger buffers, which are elsewhere: what was made is not used.
  run(3000, 10);
  run(1, 5);
  expect(5, 6, 2);
  run(1, 6);
  expect(5, 7, 3);
}

/// Makes a whole number of each value: tokens[i] = (int)out[i].
const char *wholeText =
    ".visible .entry whole(.param .u64 step, .param .u64 out, "
    ".param .u64 tokens) {\n"
    "  .reg .b64 %rd<4>; .reg .b32 %r<3>; .reg .f32 %f<2>;\n"
    "  mov.u32 %r0, %ctaid.y;\n"
    "  mul.wide.u32 %rd0, %r0, 4;\n"
    "  ld.param.u64 %rd1, [out];\n"
    "  add.u64 %rd1, %rd1, %rd0;\n"
    "  ld.global.f32 %f0, [%rd1];\n"
    "  cvt.rzi.s32.f32 %r1, %f0;\n"
    "  ld.param.u64 %rd2, [tokens];\n"
    "  add.u64 %rd2, %rd2, %rd0;\n"
    "  st.global.u32 [%rd2], %r1;\n"
    "  ret;\n}\n";

/// Gives of each row its value as `top`, the whole number of it as `token`, the
/// `random` that it was asked for as `total`, and says that there are `topK`
/// candidates, of which it writes the first.
const char *drawText =
    ".visible .entry draw(.param .u64 step, .param .u64 out, "
    ".param .u64 draws, .param .u64 drawn, .param .u64 candidates) {\n"
    "  .reg .b64 %rd<8>; .reg .b32 %r<4>; .reg .f32 %f<2>;\n"
    "  mov.u32 %r0, %ctaid.y;\n"
    "  mul.wide.u32 %rd0, %r0, 4;\n"
    "  ld.param.u64 %rd1, [out];\n"
    "  add.u64 %rd1, %rd1, %rd0;\n"
    "  ld.global.f32 %f0, [%rd1];\n"
    "  cvt.rzi.s32.f32 %r1, %f0;\n"
    "  ld.param.u64 %rd2, [draws];\n"
    "  mul.wide.u32 %rd3, %r0, 40;\n"
    "  add.u64 %rd2, %rd2, %rd3;\n"
    "  ld.global.u32 %r2, [%rd2+4];\n"
    "  ld.global.u64 %rd4, [%rd2+32];\n"
    "  ld.param.u64 %rd5, [drawn];\n"
    "  mul.wide.u32 %rd6, %r0, 24;\n"
    "  add.u64 %rd5, %rd5, %rd6;\n"
    "  st.global.f32 [%rd5], %f0;\n"
    "  st.global.u32 [%rd5+4], %r1;\n"
    "  st.global.u64 [%rd5+8], %rd4;\n"
    "  st.global.u32 [%rd5+16], %r2;\n"
    "  st.global.u32 [%rd5+20], 0;\n"
    "  ld.param.u64 %rd5, [candidates];\n"
    "  mul.wide.u32 %rd6, %r0, 8192;\n"
    "  add.u64 %rd5, %rd5, %rd6;\n"
    "  st.global.u32 [%rd5], %r1;\n"
    "  st.global.f32 [%rd5+4], %f0;\n"
    "  ret;\n}\n";

/// A plan that finds the largest, or, with `draws`, draws as well.
DeviceModelSources choosingSources(std::span<const float> weight, bool isGreedy,
                                   bool draws) {
  using Space = LaunchArgument::Space;
  DeviceModelSources result = sources(weight);
  result.kernels += std::string(wholeText) + drawText;
  result.plan.selectedBytes = 8256;
  LaunchArgument output{Space::Output, 0}, tokens{Space::Selected, 4},
      rows{Space::Selected, 8}, candidates{Space::Selected, 64};
  result.plan.kernels["whole"] =
      result.plan.kernels["draw"] = {/*onSelected=*/true, 1, 1, 1, 0};
  if (isGreedy)
    result.plan.greedy = LaunchGreedy{{{"whole", {output, tokens}}}, tokens};
  if (draws)
    result.plan.draws =
        LaunchDraws{{{"draw", {output, {Space::Input, 3}, rows, candidates}}},
                    rows,
                    candidates};
  return result;
}

TokenDraw drawOf(DrawKind kind, int32_t candidates = 0) {
  TokenDraw draw;
  draw.kind = kind;
  draw.topK = candidates;
  draw.random = 77;
  return draw;
}

/// Steps that ask for tokens have more launches, get nothing else, and have
/// graphs of their own.
TEST(DeviceModelTest, TokensAreChosenWhereTheyAreAskedFor) {
  std::vector<float> weight{0.5f};
  auto model = DeviceModel::create(choosingSources(weight, true, false), 0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok());
  auto run = [&](int32_t count, bool isGreedy) {
    Step step(count);
    std::ranges::fill(step.output, -7.0f);
    std::vector<TokenDraw> draws;
    if (isGreedy)
      draws.assign(step.numbers.size(), drawOf(DrawKind::Largest));
    std::vector<ChosenRow> chosen(draws.size());
    Status status = (*runner)->run(step.step, {}, draws, chosen);
    ASSERT_TRUE(status.ok()) << status.message();
    for (size_t i = 0; i < step.numbers.size(); ++i)
      EXPECT_EQ(step.output[i], isGreedy ? -7 : float(step.numbers[i]) + 0.5f);
    for (size_t i = 0; i < chosen.size(); ++i) {
      EXPECT_FALSE(chosen[i].hasLogits);
      EXPECT_EQ(chosen[i].drawn.token, step.numbers[i]);
    }
  };
  auto expect = [&](int64_t plainSteps, int64_t graphSteps, int64_t graphs,
                    size_t nodes, int64_t rows) {
    const DeviceStep::Counts &counts = (*runner)->counts();
    EXPECT_EQ(counts.plainSteps, plainSteps);
    EXPECT_EQ(counts.graphSteps, graphSteps);
    EXPECT_EQ(counts.graphs, graphs);
    EXPECT_EQ(counts.nodes, nodes);
    EXPECT_EQ(counts.rows, rows);
  };
  run(70, true);
  run(70, true);
  expect(1, 1, 1, 2, 0);
  run(70, false);
  expect(2, 1, 1, 2, 70);
  run(70, false);
  expect(2, 2, 2, 1, 140);
  run(70, true);
  run(70, false);
  expect(2, 4, 2, 1, 210);
  Step none(4);
  none.step.num_selected = 0;
  EXPECT_TRUE((*runner)->run(none.step).ok());
  expect(3, 4, 2, 1, 210);
}

/// A step gives of each row what is asked of it, and copies the rows that are
/// asked for alone, beside those with too many candidates.
TEST(DeviceModelTest, RowsThatAreServedAreNotCopied) {
  std::vector<float> weight{0.5f};
  auto model = DeviceModel::create(choosingSources(weight, true, true), 0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok());
  auto run = [&](const std::vector<TokenDraw> &draws, int64_t rows) {
    Step step(static_cast<int32_t>(draws.size()));
    std::ranges::fill(step.output, -7.0f);
    std::vector<ChosenRow> chosen(draws.size());
    int64_t before = (*runner)->counts().rows;
    Status status = (*runner)->run(step.step, {}, draws, chosen);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ((*runner)->counts().rows - before, rows);
    for (size_t i = 0; i < draws.size(); ++i) {
      const ChosenRow &row = chosen[i];
      float value = float(step.numbers[i]) + 0.5f;
      bool isFull = draws[i].kind == DrawKind::Candidates &&
                    (draws[i].topK < 0 || draws[i].topK > maxCandidates);
      EXPECT_EQ(row.hasLogits, draws[i].kind == DrawKind::Row || isFull) << i;
      EXPECT_EQ(step.output[i], row.hasLogits ? value : -7) << i;
      if (row.hasLogits)
        continue;
      EXPECT_EQ(row.drawn.token, step.numbers[i]) << i;
      if (draws[i].kind == DrawKind::Largest)
        continue;
      EXPECT_EQ(row.drawn.top, value) << i;
      EXPECT_EQ(row.drawn.total, 77u) << i;
      size_t count = draws[i].kind == DrawKind::Candidates
                         ? static_cast<size_t>(draws[i].topK)
                         : 0;
      ASSERT_EQ(row.candidates.size(), count) << i;
      if (count) {
        EXPECT_EQ(row.candidates[0].token, step.numbers[i]) << i;
        EXPECT_EQ(row.candidates[0].logit, value) << i;
      }
    }
  };
  TokenDraw row = drawOf(DrawKind::Row), largest = drawOf(DrawKind::Largest),
            any = drawOf(DrawKind::Any), few = drawOf(DrawKind::Candidates, 3),
            most = drawOf(DrawKind::Candidates, maxCandidates),
            tooMany = drawOf(DrawKind::Candidates, maxCandidates + 1),
            broken = drawOf(DrawKind::Candidates, -1);
  run({any}, 0);
  run({few}, 0);
  run({any, few, largest, most}, 0);
  run({largest, largest}, 0);
  // Rows in between, at the ends, next to each other.
  run({row, any, row, row, few, largest, row}, 4);
  run({largest, row, largest}, 1);
  run({row, row}, 2);
  run({tooMany}, 1);
  run({few, tooMany, row, tooMany, any, tooMany, broken}, 5);
  run(std::vector<TokenDraw>(100, few), 0);
}

/// A plan without the launches gives rows in their place.
TEST(DeviceModelTest, PlansThatDoNotDrawGiveRows) {
  std::vector<float> weight{0.5f};
  const DrawKind kinds[] = {DrawKind::Row, DrawKind::Largest, DrawKind::Any,
                            DrawKind::Candidates};
  for (bool isGreedy : {false, true})
    for (bool draws : {false, true}) {
      auto model =
          DeviceModel::create(choosingSources(weight, isGreedy, draws), 0);
      ASSERT_TRUE(model.ok()) << model.status().message();
      auto runner = DeviceStep::create(*model);
      ASSERT_TRUE(runner.ok());
      Step step(4);
      std::vector<TokenDraw> asked;
      for (DrawKind kind : kinds)
        asked.push_back(drawOf(kind, 1));
      std::vector<ChosenRow> chosen(4);
      Status status = (*runner)->run(step.step, {}, asked, chosen);
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_TRUE(chosen[0].hasLogits);
      // What draws finds the largest on the way.
      EXPECT_EQ(chosen[1].hasLogits, !isGreedy && !draws);
      EXPECT_EQ(chosen[2].hasLogits, !draws);
      EXPECT_EQ(chosen[3].hasLogits, !draws);
      for (size_t i = 0; i < 4; ++i)
        EXPECT_EQ(step.output[i],
                  chosen[i].hasLogits ? float(step.numbers[i]) + 0.5f : 0.0f);
    }
}

TEST(DeviceModelTest, ASessionMayHaveWeightsOfItsOwn) {
  std::vector<float> weight{0.5f}, own{2.0f};
  auto model = DeviceModel::create(sources(weight), 0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto runner = DeviceStep::create(*model), other = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok() && other.ok());
  auto memory = DeviceBuffer::allocate((*model)->device(), 4, "a weight");
  ASSERT_TRUE(memory.ok()) << memory.status().message();
  const std::shared_ptr<CudaStream> &stream = (*runner)->stream();
  ASSERT_TRUE(stream->upload(memory->address(), own.data(), 4).ok());
  auto run = [](DeviceStep &runner) {
    Step step(1);
    Status status = runner.run(step.step);
    EXPECT_TRUE(status.ok()) << status.message();
    return step.output[0];
  };
  // A graph was made with the model's.
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(run(**runner), 10.5f);
  (*runner)->setWeight(0, memory->address());
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(run(**runner), 12.0f);
  EXPECT_EQ(run(**other), 10.5f);
}

TEST(DeviceModelTest, LaunchesAreMeasuredOneByOne) {
  std::vector<float> weight{0.5f};
  auto model = DeviceModel::create(sources(weight), 0);
  ASSERT_TRUE(model.ok());
  std::string path = testing::TempDir() + "clade-launch-times.json";
  std::remove(path.c_str());
  ::setenv(timesVariable, path.c_str(), 1);
  auto runner = DeviceStep::create(*model);
  ::setenv(timesVariable, "/nowhere/times", 1);
  auto failing = DeviceStep::create(*model);
  ::unsetenv(timesVariable);
  ASSERT_TRUE(runner.ok() && failing.ok());
  for (int i = 0; i < 3; ++i) {
    Step step(7);
    ASSERT_TRUE((*runner)->run(step.step).ok());
  }
  EXPECT_EQ((*runner)->counts().plainSteps, 3);
  std::ifstream file(path);
  std::string line;
  int lines = 0;
  while (std::getline(file, line)) {
    ++lines;
    EXPECT_EQ(line.rfind("{\"launches\":[{\"blocks\":7,\"columns\":1,"
                         "\"kernel\":\"add\",\"us\":",
                         0),
              0u)
        << line;
    EXPECT_NE(line.find("\"tokens\":7}"), std::string::npos) << line;
  }
  EXPECT_EQ(lines, 3);
  Step step(1);
  EXPECT_EQ((*failing)->run(step.step).message(),
            "cannot write '/nowhere/times', the file of CLADE_CUDA_TIMES");
}

TEST(DeviceModelTest, OfTheGraphsThoseUsedLastAreKept) {
  std::vector<float> weight{0.5f};
  auto model = DeviceModel::create(sources(weight), 0);
  ASSERT_TRUE(model.ok());
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok());
  auto runTwice = [&](int32_t count) {
    for (int i = 0; i < 2; ++i) {
      Step step(count);
      ASSERT_TRUE((*runner)->run(step.step).ok());
    }
  };
  runTwice(100);
  for (int32_t count = 1; count <= 15; ++count)
    runTwice(count);
  EXPECT_EQ((*runner)->counts().graphs, 16);
  runTwice(100); // Is there still, and is now the last used.
  EXPECT_EQ((*runner)->counts().graphs, 16);
  runTwice(16); // In place of 1.
  runTwice(100);
  EXPECT_EQ((*runner)->counts().graphs, 17);
  runTwice(1);
  EXPECT_EQ((*runner)->counts().graphs, 18);
}

TEST(DeviceModelTest, FindingsOfGraphsAreErrors) {
  std::vector<float> weight{0.5f};
  DeviceModelSources wrong = sources(weight);
  // At position 12, reads behind the weight.
  size_t at = wrong.kernels.find("  ld.global.f32 %f1");
  wrong.kernels.insert(at, "  .reg .pred %p0;\n"
                           "  setp.eq.u32 %p0, %r1, 12;\n"
                           "  @%p0 add.u64 %rd3, %rd3, 4096;\n");
  auto model = DeviceModel::create(wrong, 0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok());
  for (int32_t position : {10, 11}) {
    Step step(1);
    step.numbers[0] = position;
    Status status = (*runner)->run(step.step);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  Step step(1);
  step.numbers[0] = 12;
  Status status = (*runner)->run(step.step);
  EXPECT_EQ(status.code(), StatusCode::IOError);
  EXPECT_NE(status.message().find("cannot run a step of 1 kernels on GPU 0"),
            std::string::npos)
      << status.message();
}

/// Two kernels on matrices of rows of 128 bytes. `fill` writes row number + 1
/// to all words of a row. `sum` copies a box of four rows from its own on, and
/// one of four of a weight; a row's first word lies where the swizzle of 128
/// bytes puts it: 16 bytes further on in every row.
constexpr const char *mapKernels = R"(
.version 8.6
.target sm_90a
.address_size 64
.extern .shared .align 1024 .b8 tile[];
.visible .entry fill(.param .u64 step, .param .u64 rows) {
  .reg .b64 %rd<3>; .reg .b32 %r<4>;
  ld.param.u64 %rd0, [rows];
  mov.u32 %r0, %ctaid.y;
  mov.u32 %r1, %tid.x;
  mad.lo.u32 %r2, %r0, 32, %r1;
  mul.wide.u32 %rd1, %r2, 4;
  add.u64 %rd0, %rd0, %rd1;
  add.u32 %r3, %r0, 1;
  st.global.u32 [%rd0], %r3;
  ret;
}
.visible .entry sum(.param .u64 step, .param .align 64 .b8 rows[128],
                    .param .align 64 .b8 weight[128], .param .u64 out) {
  .reg .pred %p; .reg .b64 %rd<5>; .reg .b32 %r<10>; .reg .f32 %f;
  mbarrier.init.shared.b64 [tile+1024], 1;
  fence.proxy.async.shared::cta;
  mbarrier.arrive.expect_tx.shared.b64 %rd0, [tile+1024], 1024;
  mov.u32 %r0, %ctaid.y;
  mov.u32 %r1, 0;
  mov.b64 %rd1, rows;
  cvta.param.u64 %rd1, %rd1;
  mov.b64 %rd2, weight;
  cvta.param.u64 %rd2, %rd2;
  cp.async.bulk.tensor.2d.shared::cta.global.tile.mbarrier::complete_tx::bytes [tile], [%rd1, {%r1, %r0}], [tile+1024];
  cp.async.bulk.tensor.2d.shared::cta.global.tile.mbarrier::complete_tx::bytes [tile+2048], [%rd2, {%r1, %r1}], [tile+1024];
wait:
  mbarrier.try_wait.parity.shared.b64 %p, [tile+1024], 0;
  @!%p bra wait;
  ld.shared.u32 %r2, [tile];
  ld.shared.u32 %r3, [tile+144];
  ld.shared.u32 %r4, [tile+288];
  ld.shared.u32 %r5, [tile+432];
  ld.shared.u32 %r6, [tile+2048];
  ld.shared.u32 %r7, [tile+2192];
  ld.shared.u32 %r8, [tile+2336];
  ld.shared.u32 %r9, [tile+2480];
  add.u32 %r2, %r2, %r3;
  add.u32 %r2, %r2, %r4;
  add.u32 %r2, %r2, %r5;
  add.u32 %r2, %r2, %r6;
  add.u32 %r2, %r2, %r7;
  add.u32 %r2, %r2, %r8;
  add.u32 %r2, %r2, %r9;
  cvt.rn.f32.u32 %f, %r2;
  ld.param.u64 %rd3, [out];
  mul.wide.u32 %rd4, %r0, 4;
  add.u64 %rd3, %rd3, %rd4;
  st.global.f32 [%rd3], %f;
  ret;
}
)";

/// Maps have the step's rows, and zeros behind these and behind the weight's,
/// in steps of their own and in graphs.
TEST(DeviceModelTest, MatricesAreDescribedByTensorMaps) {
  using Space = LaunchArgument::Space;
  std::vector<uint32_t> weight(64);
  weight[0] = 100, weight[32] = 1000; // Two rows.
  DeviceModelSources maps;
  maps.arch = "sm_90a";
  maps.kernels = mapKernels;
  maps.plan.tokenBytes = 256;
  maps.plan.kernels["fill"] = {/*onSelected=*/false, 1, 1, 32, 0};
  maps.plan.kernels["sum"] = {/*onSelected=*/false, 1, 1, 1, 4096};
  maps.plan.launches = {{"fill", {{Space::Token, 128}}},
                        {"sum",
                         {{Space::Token, 128, LaunchMap{64, 0, 64, 4}},
                          {Space::Weight, 0, LaunchMap{64, 2, 64, 4}},
                          {Space::Output, 0}}}};
  maps.outputWidth = 1;
  maps.weights = {std::as_bytes(std::span(weight))};
  auto model = DeviceModel::create(maps, 1);
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok());
  for (int32_t count : {5, 1, 70, 70, 70}) {
    Step step(count);
    Status status = (*runner)->run(step.step);
    ASSERT_TRUE(status.ok()) << status.message();
    for (int32_t row = 0; row < count; ++row) {
      int32_t sum = 1100;
      for (int32_t i = row; i < std::min(row + 4, count); ++i)
        sum += i + 1;
      EXPECT_EQ(step.output[static_cast<size_t>(row)], float(sum)) << row;
    }
  }
  EXPECT_EQ((*runner)->counts().graphSteps, 2);
}

TEST(TensorMapsTest, SaysWhatCannotBeDescribed) {
  auto device = CudaDevice::open(1);
  ASSERT_TRUE(device.ok());
  CUtensorMap map;
  Status failed =
      describeMatrix(**device, 8, LaunchMap{64, 0, 64, 4}, 7, "wide", map);
  EXPECT_EQ(failed.code(), StatusCode::IOError);
  std::string expected =
      "cannot describe a matrix of 7 x 64 for the kernel 'wide' on " +
      (*device)->name() + ": ";
  EXPECT_EQ(failed.message().find(expected), 0u) << failed.message();
  EXPECT_NE(failed.message().find("INVALID_VALUE"), std::string::npos)
      << failed.message();
}

TEST(CudaGraphTest, AFailedCaptureLeavesTheStreamUsable) {
  auto device = CudaDevice::open(0);
  ASSERT_TRUE(device.ok());
  auto stream = CudaStream::create(*device);
  ASSERT_TRUE(stream.ok());
  auto graph = CudaGraph::capture(
      *stream, [] { return Status::invalidArgument("not today"); });
  EXPECT_EQ(graph.status().message(), "not today");
  EXPECT_TRUE((*stream)->synchronize().ok());
}

TEST(DeviceModelTest, LaunchesNothingForNoRows) {
  std::vector<float> weight{0.5f};
  auto model = DeviceModel::create(sources(weight), 0);
  ASSERT_TRUE(model.ok());
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok());
  Step step(4);
  step.step.num_selected = 0;
  EXPECT_TRUE((*runner)->run(step.step).ok());
}

TEST(DeviceModelTest, LaunchesWhatIsForThatManyRows) {
  std::vector<float> weight{0.5f, 0.25f};
  DeviceModelSources twoForms = sources(std::span(weight).first(1));
  twoForms.weights[1] = std::as_bytes(std::span(weight).last(1));
  Launch few = twoForms.plan.launches[0], many = few;
  few.maxRows = 8;
  many.minRows = 9;
  many.arguments[0].number = 1;
  twoForms.plan.launches = {few, many};
  auto model = DeviceModel::create(twoForms, 0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok());
  for (int32_t count : {1, 8, 9, 20}) {
    Step step(count);
    ASSERT_TRUE((*runner)->run(step.step).ok());
    EXPECT_EQ(step.output[0], count <= 8 ? 10.5f : 10.25f) << count;
  }
}

TEST(DeviceModelTest, TooManyRowsAreRefused) {
  std::vector<float> weight{0.5f};
  auto model = DeviceModel::create(sources(weight), 0);
  ASSERT_TRUE(model.ok());
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok());
  Step step(70000);
  Status status = (*runner)->run(step.step);
  EXPECT_EQ(status.code(), StatusCode::InvalidArgument);
  EXPECT_EQ(status.message(), "a step of 70000 tokens is too large for a GPU, "
                              "which takes 65535");
}

TEST(DeviceModelTest, SaysWhatIsWrongWithTheCode) {
  std::vector<float> weight{0.5f};
  DeviceModelSources broken = sources(weight);
  broken.kernels = ".version 8.0\n.target sm_80\n.address_size 64\nnothing";
  StatusOr<std::shared_ptr<const DeviceModel>> model =
      DeviceModel::create(broken, 0);
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.status().message().find("cannot load the kernels on GPU 0"),
            std::string::npos)
      << model.status().message();
  DeviceModelSources other = sources(weight);
  other.plan.kernels["absent"] = {};
  model = DeviceModel::create(other, 0);
  EXPECT_EQ(model.status().message(), "the code has no kernel 'absent'");
}

TEST(DeviceModelTest, MachineCodeIsUsedOrSaidToBeDamaged) {
  std::vector<float> weight{0.5f};
  DeviceModelSources both = sources(weight);
  EXPECT_EQ((*DeviceModel::create(both, 0))->loadedCode(), "PTX");
  // Not for this GPU, whatever it is.
  both.machineCode["sm_90a"] = "nothing";
  EXPECT_EQ((*DeviceModel::create(both, 0))->loadedCode(), "PTX");
  both.machineCode["sm_80"] = "nothing";
  auto model = DeviceModel::create(both, 0);
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.status().code(), StatusCode::Corruption);
  EXPECT_EQ(model.status().message(),
            "the machine code for sm_80: expected an ELF file");
}

TEST(DeviceModelTest, FindingsOfChecksAreErrors) {
  std::vector<float> weight{0.5f};
  DeviceModelSources wrong = sources(weight);
  // Reads behind the weight.
  size_t at = wrong.kernels.find("[%rd3]");
  wrong.kernels.replace(at, 6, "[%rd3+4096]");
  auto model = DeviceModel::create(wrong, 0);
  ASSERT_TRUE(model.ok()) << model.status().message();
  auto runner = DeviceStep::create(*model);
  ASSERT_TRUE(runner.ok());
  Step step(1);
  Status status = (*runner)->run(step.step);
  EXPECT_EQ(status.code(), StatusCode::IOError);
  EXPECT_NE(status.message().find("cannot run the kernel 'add' on GPU 0"),
            std::string::npos)
      << status.message();
}

TEST(DevicePagesTest, KeepsItsContentAsItGrows) {
  auto device = CudaDevice::open(0);
  ASSERT_TRUE(device.ok()) << device.status().message();
  auto stream = CudaStream::create(*device);
  ASSERT_TRUE(stream.ok());
  DevicePages pages(*stream, /*limit=*/1000);
  ASSERT_TRUE(pages.commit(64).ok());
  auto address = [&](uint64_t offset) {
    return reinterpret_cast<CUdeviceptr>(pages.base()) + offset;
  };
  std::vector<char> text(64, 'x'), back(1000, '?');
  ASSERT_TRUE((*stream)->upload(address(0), text.data(), 64).ok());
  ASSERT_TRUE(pages.commit(1000).ok());
  ASSERT_TRUE(pages.copy(/*to=*/128, /*from=*/0, 32).ok());
  ASSERT_TRUE(pages.zero(0, 16).ok());
  ASSERT_TRUE((*stream)->download(back.data(), address(0), 1000).ok());
  ASSERT_TRUE((*stream)->synchronize().ok());
  std::vector<char> expected(1000, 0);
  std::fill(expected.begin() + 16, expected.begin() + 64, 'x');
  std::fill(expected.begin() + 128, expected.begin() + 160, 'x');
  EXPECT_EQ(back, expected);
}

TEST(DevicePagesTest, SaysHowMuchIsMissing) {
  auto device = CudaDevice::open(0);
  ASSERT_TRUE(device.ok());
  auto stream = CudaStream::create(*device);
  ASSERT_TRUE(stream.ok());
  DevicePages pages(*stream, uint64_t(1) << 50);
  Status status = pages.commit(uint64_t(1) << 40);
  EXPECT_EQ(status.code(), StatusCode::ResourceExhausted);
  EXPECT_NE(status.message().find(
                "cannot allocate 1099511627776 bytes for keys and values: GPU"),
            std::string::npos)
      << status.message();
}

} // namespace

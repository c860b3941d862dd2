//===- TraceTest.cpp - What a family computes, step by step ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Diff/Trace.h"

#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/StringExtras.h"

#include <gtest/gtest.h>

using namespace clade;
using namespace clade::diff;

namespace {

class TraceTest : public ::testing::Test {
protected:
  void add(llvm::StringRef text, llvm::StringRef name, bool isPrelude = false) {
    ASSERT_TRUE(mlir::succeeded(library.addText(text, name, isPrelude)));
  }

  /// One step a line: 'op at address (name: text) <inputs> if conditions'.
  std::string steps(llvm::StringRef family, KnownFields known = {}) {
    import::Family whole(library, library.findFamily(family));
    std::string text;
    for (const Step &step : traceFamily(whole, known).steps) {
      text += step.op;
      if (!step.address.empty())
        text += " at " + step.address;
      for (const Argument &argument : step.arguments)
        text += " (" + argument.name + ": " + argument.text + ")";
      for (unsigned input : step.inputs)
        text += " <" + std::to_string(input);
      if (!step.conditions.empty())
        text += " if " + llvm::join(step.conditions, " and ");
      text += step.inLayers ? " *\n" : "\n";
    }
    return text;
  }

  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  import::SpecLibrary library{&context};
};

TEST_F(TraceTest, CallsOperatorsAndAddresses) {
  add("family f {\n  config { d = 4 }\n  block mlp(x) = linear(x, [d]) at up\n"
      "  entry forward(t) {\n    x = embed(t, [d]) at table\n"
      "    for layer in 2 at layers.{layer} { x += mlp(x) at mlp }\n"
      "    return x * 2\n  }\n}",
      "f.spec");
  EXPECT_EQ(steps("f"), "embed at table (ids: t) (shape: [d])\n"
                        "linear at layers.{layer}.mlp.up (shape: [d]) <0 *\n"
                        "+ <0 <1 *\n"
                        "* (: 2) <2\n");
}

TEST_F(TraceTest, BothBranchesOrTheOneThatIsKnown) {
  add("family f {\n  config { wide = is_wide ?? false }\n"
      "  entry forward(t) {\n    x = embed(t, [4]) at table\n"
      "    if wide { return tanh(x) }\n    return exp(x)\n  }\n}\n"
      "family g from f { config { wide = true } }\n"
      "family h from f { config { wide = false } }",
      "f.spec");
  EXPECT_EQ(steps("f"), "embed at table (ids: t) (shape: [4])\n"
                        "tanh <0 if wide\nexp <0 if not wide\n");
  EXPECT_EQ(steps("g"), "embed at table (ids: t) (shape: [4])\ntanh <0\n");
  EXPECT_EQ(steps("h"), "embed at table (ids: t) (shape: [4])\nexp <0\n");
}

TEST_F(TraceTest, MatchAndVariablesOfBranches) {
  add("family f {\n  config { kind = k ?? \"a\" }\n"
      "  entry forward(t) {\n    x = embed(t, [4]) at table\n"
      "    y = match kind { \"a\" => exp(x)    \"b\" => log(x) }\n"
      "    return tanh(y)\n  }\n}\n"
      "family g from f { config { kind = \"b\" } }",
      "f.spec");
  EXPECT_EQ(steps("f"), "embed at table (ids: t) (shape: [4])\n"
                        "exp <0 if kind == \"a\"\nlog <0 if kind == \"b\"\n"
                        "tanh <1 <2\n");
  EXPECT_EQ(steps("g"), "embed at table (ids: t) (shape: [4])\n"
                        "log <0\ntanh <1\n");
}

/// A standard block is one step, unless the family replaces what it calls.
TEST_F(TraceTest, StandardBlocks) {
  add("block norm(x) = scaled(x)\nblock scaled(x) = 2 * x\n", "std.spec", true);
  add("family f {\n  entry forward(t) = norm(embed(t, [4]) at table) at n\n}\n"
      "family g from f { block scaled(x) = exp(x) }",
      "f.spec");
  EXPECT_EQ(steps("f"), "embed at table (ids: t) (shape: [4])\nnorm at n <0\n");
  EXPECT_EQ(steps("g"), "embed at table (ids: t) (shape: [4])\nexp <0\n");
}

/// What is made of weights alone is an argument, not a step.
TEST_F(TraceTest, WeightsAreArguments) {
  add("family f {\n  entry forward(t) {\n    x = embed(t, [4]) at table\n"
      "    return x * (1 + f32(weight([4]) at gain))\n  }\n}",
      "f.spec");
  EXPECT_EQ(steps("f"), "embed at table (ids: t) (shape: [4])\n"
                        "* (: 1 + f32(weight at gain)) <0\n");
}

TEST_F(TraceTest, TuplesSplitsAndLambdas) {
  add("family f {\n  config { experts = 4 }\n"
      "  block heads(x) = linear(x, [2]) at q, linear(x, [2]) at k\n"
      "  entry forward(t) {\n    x = embed(t, [4]) at table\n"
      "    q, k = heads(x) at a\n    chosen = top_k(q, 2)\n"
      "    return mix(chosen, k) { e => linear(x, [4]) at experts.{e} }\n"
      "  }\n}",
      "f.spec");
  EXPECT_EQ(steps("f"), "embed at table (ids: t) (shape: [4])\n"
                        "linear at a.q (shape: [2]) <0\n"
                        "linear at a.k (shape: [2]) <0\n"
                        "top_k (k: 2) <1\n"
                        "linear at experts.{e} (shape: [4]) <0\n"
                        "mix <3 <2 <4\n");
}

TEST_F(TraceTest, Parts) {
  add("family inner {\n  config { d = size }\n"
      "  block run(x) = linear(x, [d]) at up\n}\n"
      "family f {\n  part = inner with config.text at model.text\n"
      "  entry forward(t) = part.run(embed(t, [4]) at table)\n}",
      "f.spec");
  EXPECT_EQ(steps("f"), "embed at table (ids: t) (shape: [4])\n"
                        "linear at model.text.up (shape: [d]) <0\n");
}

/// With a configuration, values of fields choose, for one layer.
TEST_F(TraceTest, KnownFields) {
  add("family f {\n  config {\n    layers = n    moe[layer] = layer in list\n"
      "  }\n  entry forward(t) {\n    x = embed(t, [4]) at table\n"
      "    for layer in layers at l.{layer} {\n"
      "      x = if moe { exp(x) } else { log(x) }\n    }\n"
      "    return x\n  }\n}",
      "f.spec");
  auto config = import::Config::parse("{\"n\": 2, \"list\": [1]}", "c.json",
                                      library.getSourceMgr(), &context);
  ASSERT_TRUE(mlir::succeeded(config));
  import::Family family(library, library.findFamily("f"));
  import::FieldValues values(family, **config);
  EXPECT_EQ(steps("f", {&values, 0}),
            "embed at table (ids: t) (shape: [4])\nlog <0 *\n");
  EXPECT_EQ(steps("f", {&values, 1}),
            "embed at table (ids: t) (shape: [4])\nexp <0 *\n");
  EXPECT_EQ(values.layers(values.getRoot()), 2);
  EXPECT_EQ(values.text(values.getRoot(), "moe"), "false, true");
  EXPECT_EQ(values.text(values.getRoot(), "moe", 1), "false, …");
  EXPECT_EQ(values.text(values.getRoot(), "nothing"), "");
}

/// Blocks that call themselves end the trace, not the program.
TEST_F(TraceTest, AFamilyWithoutAnEnd) {
  add("family f {\n  block again(x) = again(exp(x))\n"
      "  entry forward(t) = again(embed(t, [4]) at table)\n}",
      "f.spec");
  import::Family family(library, library.findFamily("f"));
  EXPECT_FALSE(traceFamily(family).isWhole);
  add("family g {\n  block twice(x) = twice(twice(x))\n"
      "  entry forward(t) = twice(embed(t, [4]) at table)\n}",
      "g.spec");
  import::Family other(library, library.findFamily("g"));
  EXPECT_FALSE(traceFamily(other).isWhole);
}

} // namespace

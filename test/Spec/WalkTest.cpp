//===- WalkTest.cpp - All statements and expressions of a file ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/Walk.h"
#include "lib/Spec/Parser.h"

#include "mlir/IR/MLIRContext.h"

#include <gtest/gtest.h>

using namespace clade::spec;

namespace {

/// The names that a text reads, in the order in which they are visited, and how
/// many statements it has.
struct Visited {
  explicit Visited(llvm::StringRef text) {
    unsigned id = sources.AddNewSourceBuffer(
        llvm::MemoryBuffer::getMemBufferCopy(text, "text"), llvm::SMLoc());
    auto parsed = parseSpec(sources, id, &context);
    if (failed(parsed)) {
      ADD_FAILURE() << text.str();
      return;
    }
    walk(
        **parsed,
        [&](const Expr &expr) {
          if (auto *name = llvm::dyn_cast<NameExpr>(&expr))
            names += (names.empty() ? "" : " ") + name->name.str();
          ++numExprs;
        },
        [&](const Stmt &) { ++numStmts; });
  }

  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  llvm::SourceMgr sources;
  std::string names;
  int numExprs = 0, numStmts = 0;
};

TEST(WalkTest, Operators) {
  EXPECT_EQ(Visited("block f(x) = -(a + b) ^ c").names, "a b c");
  EXPECT_EQ(Visited("block f(x) = not a and b ?? c").names, "a b c");
  EXPECT_EQ(Visited("block f(x) = a, b").names, "a b");
}

TEST(WalkTest, CallsAndTheirArguments) {
  EXPECT_EQ(Visited("block f(x) = g(a, n: b)[c]").names, "g a b c");
  EXPECT_EQ(Visited("block f(x) = a.g(b) as [c]").names, "a b c");
  EXPECT_EQ(Visited("block f(x) = g(a) at p.{b}.{c where d > 1}").names,
            "g a b c d");
  EXPECT_EQ(Visited("block f(x) = g(a .. b, c where d)").names, "g a b c d");
  EXPECT_EQ(Visited("block f(x) = mix(a, b) { e => c }").names, "mix a b c");
}

TEST(WalkTest, BranchesAndLoops) {
  Visited branch("block f(x) { if a { b } else { c } }");
  EXPECT_EQ(branch.names, "a b c");
  EXPECT_EQ(branch.numStmts, 3);
  EXPECT_EQ(Visited("block f(x) { match a { b => c    d => e } }").names,
            "a b c d e");
  EXPECT_EQ(Visited("block f(x) { for i in a at p.{b} { y = c } }").names,
            "a b c");
  Visited scan("block f(x) { scan token carry S = a { S = b    emit c } }");
  EXPECT_EQ(scan.names, "a b c");
  EXPECT_EQ(scan.numStmts, 3);
}

TEST(WalkTest, Statements) {
  EXPECT_EQ(Visited("block f(x) {\n  y = a\n  y += b\n  return c\n}").numStmts,
            3);
  EXPECT_EQ(
      Visited("block f(x) {\n  y[a] = b\n  return x from layer c\n}").names,
      "a b x c");
}

TEST(WalkTest, Declarations) {
  EXPECT_EQ(Visited("family f {\n  config { d = a    e[layer] = b\n"
                    "    require c }\n  p = g with config.t\n"
                    "  block h(x = d) at q.{e} = k\n"
                    "  weights { m = n if o }\n}")
                .names,
            "a b c config d e k");
  EXPECT_EQ(Visited("config { d = a }\nblock h(x) = b").names, "a b");
  EXPECT_EQ(Visited("").numExprs, 0);
}

} // namespace

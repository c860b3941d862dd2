//===- ParserTest.cpp - The tree as other code sees it --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/Parser.h"
#include "lib/Spec/Format.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"

#include "gtest/gtest.h"

using namespace clade::spec;

namespace {

class Parser : public testing::Test {
protected:
  std::unique_ptr<File> parse(StringRef text) {
    unsigned buffer = sourceMgr.AddNewSourceBuffer(
        llvm::MemoryBuffer::getMemBufferCopy(text, "test.spec"), SMLoc());
    auto file = parseSpec(sourceMgr, buffer, &context);
    if (mlir::failed(file)) {
      ADD_FAILURE() << "the text does not parse";
      return std::make_unique<File>();
    }
    return std::move(*file);
  }

  /// The value of the only block of `text`, which is a short one.
  const Expr *valueOf(const File &file) {
    return llvm::cast<ReturnStmt>(file.blocks[0]->body->stmts[0])->value;
  }

  static std::pair<unsigned, unsigned> position(mlir::Location loc) {
    auto where = llvm::cast<mlir::FileLineColLoc>(loc);
    EXPECT_EQ(where.getFilename(), "test.spec");
    return {where.getLine(), where.getColumn()};
  }

  mlir::MLIRContext context;
  llvm::SourceMgr sourceMgr;
};

using Position = std::pair<unsigned, unsigned>;

} // namespace

TEST_F(Parser, FindsDeclarationsByName) {
  auto file = parse("family a {\n  block f(x) = x\n  t = b with c\n}\n"
                    "family b { }\nblock g(x) = x\n");
  const FamilyDecl *family = file->findFamily("a");
  ASSERT_TRUE(family);
  EXPECT_EQ(file->findFamily("c"), nullptr);
  EXPECT_TRUE(family->findBlock("f"));
  EXPECT_EQ(family->findBlock("g"), nullptr);
  EXPECT_TRUE(family->findPart("t"));
  EXPECT_EQ(family->findPart("f"), nullptr);
  EXPECT_TRUE(file->findBlock("g"));
  EXPECT_EQ(file->findBlock("f"), nullptr);
}

TEST_F(Parser, PointsAtOperatorsAndFirstTokens) {
  auto file = parse("block f(x) =\n  g(x) at p + y\n");
  const auto *sum = llvm::cast<BinaryExpr>(valueOf(*file));
  EXPECT_EQ(position(sum->getLoc()), Position(2, 13));
  const auto *call = llvm::cast<AtExpr>(sum->lhs);
  EXPECT_EQ(position(call->getLoc()), Position(2, 3));
  EXPECT_EQ(position(call->path->getLoc()), Position(2, 11));
  EXPECT_EQ(position(sum->rhs->getLoc()), Position(2, 15));
}

TEST_F(Parser, RangesCoverTheWholeText) {
  auto file = parse("block f(x) = g(x) at p + y\n");
  auto textOf = [](const Node &node) {
    const char *begin = node.getRange().Start.getPointer();
    return StringRef(begin, node.getRange().End.getPointer() - begin);
  };
  const auto *sum = llvm::cast<BinaryExpr>(valueOf(*file));
  EXPECT_EQ(textOf(*sum), "g(x) at p + y");
  EXPECT_EQ(textOf(*sum->lhs), "g(x) at p");
  EXPECT_EQ(textOf(*file->blocks[0]), "block f(x) = g(x) at p + y");
}

TEST_F(Parser, OutlivesItsText) {
  std::unique_ptr<File> file;
  {
    llvm::SourceMgr other;
    unsigned buffer = other.AddNewSourceBuffer(
        llvm::MemoryBuffer::getMemBufferCopy(
            "block f(x) = if x { g(\"s\") } else { match x { -1 => 2, -2 => 3 "
            "} } at /p.{l}_1.{q..} // c\n",
            "other.spec"),
        SMLoc());
    auto result = parseSpec(other, buffer, &context);
    ASSERT_TRUE(mlir::succeeded(result));
    file = std::move(*result);
  }
  EXPECT_EQ(toString(*valueOf(*file)),
            "if x { g(\"s\") } else { match x { -1 => 2,    -2 => 3 } } at "
            "/p.{l}_1.{q..}");
  EXPECT_EQ(file->comments[0].text, "// c");
  std::string tree;
  llvm::raw_string_ostream os(tree);
  dump(*file, os);
  EXPECT_NE(tree.find("(at (if x (do (call g (arg \"s\")))"),
            std::string::npos);
}

TEST_F(Parser, JoinsTheTextOfPathSegments) {
  auto file = parse("block f(x) = x at a.0.1.3d.w_{e}x{f}");
  const Path *path = llvm::cast<AtExpr>(valueOf(*file))->path;
  EXPECT_FALSE(path->isAbsolute);
  ASSERT_EQ(path->segments.size(), 5u);
  EXPECT_EQ(path->segments[2].front().text, "1");
  ASSERT_EQ(path->segments[3].size(), 1u);
  EXPECT_EQ(path->segments[3].front().text, "3d");
  PathSegment last = path->segments[4];
  ASSERT_EQ(last.size(), 4u);
  EXPECT_EQ(last[0].text, "w_");
  EXPECT_FALSE(last[1].isText());
  EXPECT_EQ(last[2].text, "x");
  EXPECT_EQ(toString(*path), "a.0.1.3d.w_{e}x{f}");
}

TEST_F(Parser, ReadsNumbersExactly) {
  auto file = parse("block f(x) = [9223372036854775807, 1e-6, 2.50, 1e-400]");
  auto number = [&](size_t index) {
    return llvm::cast<NumberExpr>(
        llvm::cast<ListExpr>(valueOf(*file))->args[index].value);
  };
  EXPECT_TRUE(number(0)->isInteger);
  EXPECT_EQ(number(0)->intValue, INT64_MAX);
  EXPECT_FALSE(number(1)->isInteger);
  EXPECT_EQ(number(1)->value, 1e-6);
  EXPECT_EQ(number(2)->value, 2.5);
  EXPECT_EQ(number(2)->spelling, "2.50");
  EXPECT_EQ(number(3)->value, 0.0);
}

TEST_F(Parser, FailsWithADiagnostic) {
  std::string message;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &d) {
    message = d.str();
    EXPECT_EQ(position(d.getLocation()), Position(1, 8));
    return mlir::success();
  });
  unsigned buffer = sourceMgr.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy("family 1 { }", "test.spec"),
      SMLoc());
  EXPECT_TRUE(mlir::failed(parseSpec(sourceMgr, buffer, &context)));
  EXPECT_EQ(message, "expected the name of a family, got '1'");
}

TEST_F(Parser, FormatsEmptyTexts) {
  EXPECT_EQ(format(*parse(""), sourceMgr), "");
  EXPECT_EQ(format(*parse("\n \n"), sourceMgr), "");
  EXPECT_EQ(format(*parse("//x"), sourceMgr), "// x\n");
}

//===- CodePartsTest.cpp - Modules of code in parts -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/CodeParts.h"
#include "lib/CodeGen/CPU/Compile.h"
#include "test/CodeGen/KernelTestSupport.h"
#include "test/CodeGen/ProductHarness.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <dlfcn.h>
#include <gtest/gtest.h>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

/// A function of two others and of a constant that two of the three read; the
/// largest is `sum`.
constexpr const char *kText = R"(
llvm.mlir.global internal constant @table(dense<[3, 5]> : tensor<2xi32>)
    : !llvm.array<2 x i32>
llvm.mlir.global external constant @version(7 : i32) : i32
func.func private @first() -> i32 {
  %table = llvm.mlir.addressof @table : !llvm.ptr
  %0 = llvm.load %table : !llvm.ptr -> i32
  return %0 : i32
}
func.func private @second() -> i32 {
  %table = llvm.mlir.addressof @table : !llvm.ptr
  %place = llvm.getelementptr %table[1] : (!llvm.ptr) -> !llvm.ptr, i32
  %0 = llvm.load %place : !llvm.ptr -> i32
  return %0 : i32
}
func.func @sum() -> i32 {
  %0 = call @first() : () -> i32
  %1 = call @second() : () -> i32
  %2 = arith.muli %0, %1 : i32
  %3 = arith.addi %2, %0 : i32
  %4 = arith.addi %3, %1 : i32
  return %4 : i32
}
)";

class CodePartsTest : public testing::Test {
protected:
  SmallVector<OwningOpRef<ModuleOp>> cut(unsigned count,
                                         StringRef text = kText) {
    whole = parseSourceString<ModuleOp>(text, context.get());
    EXPECT_TRUE(whole);
    return cutIntoParts(*whole, count);
  }

  /// The names of what a part defines and, behind a '-', of what it declares.
  static std::string symbols(ModuleOp part) {
    std::string defined, declared;
    for (Operation &op : *part.getBody()) {
      std::string name = SymbolTable::getSymbolName(&op).str() + " ";
      auto function = dyn_cast<func::FuncOp>(op);
      (function && function.isExternal() ? declared : defined) += name;
    }
    return defined + "- " + declared;
  }

  std::unique_ptr<MLIRContext> context = makeContext();
  OwningOpRef<ModuleOp> whole;
};

TEST_F(CodePartsTest, DeclareWhatTheyCallAndHaveTheConstantsThatTheyRead) {
  auto parts = cut(2);
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(symbols(*parts[0]), "version sum - first second ");
  EXPECT_EQ(symbols(*parts[1]), "first second table - ");
  for (auto &part : parts)
    EXPECT_TRUE(succeeded(verify(*part)));
}

TEST_F(CodePartsTest, AreAsManyAsThereAreFunctionsAtMost) {
  auto parts = cut(8);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(symbols(*parts[0]), "version sum - first second ");
  EXPECT_EQ(symbols(*parts[1]), "second table - ");
  EXPECT_EQ(symbols(*parts[2]), "first table - ");
  for (unsigned count : {0, 1}) {
    parts = cut(count);
    ASSERT_EQ(parts.size(), 1u);
    EXPECT_EQ(symbols(*parts[0]), "version first second sum table - ");
  }
  parts = cut(2, "llvm.mlir.global external constant @v(7 : i32) : i32");
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(symbols(*parts[0]), "v - ");
}

TEST_F(CodePartsTest, AreOneWhereFunctionsShareWhatCanChange) {
  auto parts = cut(2, "llvm.mlir.global internal @state(0 : i32) : i32\n"
                      "func.func @f() -> !llvm.ptr {\n"
                      "  %0 = llvm.mlir.addressof @state : !llvm.ptr\n"
                      "  return %0 : !llvm.ptr\n"
                      "}\n"
                      "func.func @g() { return }");
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(symbols(*parts[0]), "state f g - ");
}

TEST_F(CodePartsTest, KeepDeclarationsAndWhatAModuleSays) {
  auto parts = cut(2, "module attributes {clade.note = 1 : i32} {\n"
                      "  func.func private @out()\n"
                      "  func.func private @unused()\n"
                      "  func.func @f() { call @out() : () -> () return }\n"
                      "  func.func @g() { call @f() : () -> () return }\n"
                      "}");
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(symbols(*parts[0]), "f - out ");
  EXPECT_EQ(symbols(*parts[1]), "g - f ");
  for (auto &part : parts) {
    EXPECT_TRUE((*part)->hasAttr("clade.note"));
    EXPECT_TRUE(succeeded(verify(*part)));
  }
}

TEST_F(CodePartsTest, AreLinkedToWhatTheWholeDoes) {
  SmallString<128> folder;
  ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("clade-parts", folder));
  for (unsigned count : {1, 2, 3}) {
    auto parts = cut(count);
    SmallVector<ModuleOp> modules;
    for (auto &part : parts)
      modules.push_back(*part);
    auto objects = compileToObjects(modules, {});
    ASSERT_TRUE(succeeded(objects));
    SmallVector<llvm::MemoryBufferRef> buffers;
    for (const SmallVector<char> &object : *objects)
      buffers.emplace_back(StringRef(object.data(), object.size()), "part");
    std::string path = (folder + "/" + std::to_string(count) + ".so").str();
    ASSERT_TRUE(succeeded(linkSharedObject(UnknownLoc::get(context.get()),
                                           buffers, path, {"sum", "version"})));
    void *library = dlopen(path.c_str(), RTLD_NOW);
    ASSERT_TRUE(library) << dlerror();
    auto *sum = reinterpret_cast<int (*)()>(dlsym(library, "sum"));
    ASSERT_TRUE(sum);
    EXPECT_EQ(sum(), 3 * 5 + 3 + 5);
    EXPECT_EQ(*static_cast<int *>(dlsym(library, "version")), 7);
    EXPECT_EQ(dlsym(library, "first"), nullptr);
    dlclose(library);
  }
  llvm::sys::fs::remove_directories(folder);
}

TEST_F(CodePartsTest, TellWhatIsWrongInAnyOfThem) {
  CollectedErrors errors(context.get());
  auto good =
      parseSourceString<ModuleOp>("func.func @f() { return }", context.get());
  auto bad =
      parseSourceString<ModuleOp>("func.func private @g(tensor<4xf32>)\n"
                                  "func.func @h(%x: tensor<4xf32>) {\n"
                                  "  call @g(%x) : (tensor<4xf32>) -> ()\n"
                                  "  return\n"
                                  "}",
                                  context.get());
  ASSERT_TRUE(good && bad);
  bool wasThreaded = context->isMultithreadingEnabled();
  EXPECT_TRUE(failed(compileToObjects({*good, *bad}, {})));
  EXPECT_NE(errors.text(), "");
  EXPECT_EQ(context->isMultithreadingEnabled(), wasThreaded);
  auto none = compileToObjects({}, {});
  ASSERT_TRUE(succeeded(none));
  EXPECT_TRUE(none->empty());
}

} // namespace

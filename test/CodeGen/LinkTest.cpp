//===- LinkTest.cpp - Shared objects from objects -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Compile.h"
#include "test/CodeGen/KernelTestSupport.h"
#include "test/CodeGen/ProductHarness.h"

#include "mlir/Parser/Parser.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <thread>

using namespace mlir;
using namespace clade::cpu;
using namespace clade::cpu::test;

namespace {

class LinkTest : public testing::Test {
protected:
  void SetUp() override {
    ASSERT_FALSE(llvm::sys::fs::createUniqueDirectory("clade-link", directory));
    one = compile("func.func @one() -> i32 {\n"
                  "  %0 = arith.constant 1 : i32\n"
                  "  return %0 : i32\n"
                  "}\n"
                  "func.func @hidden() { return }");
    two = compile("func.func private @one() -> i32\n"
                  "func.func @two() -> i32 {\n"
                  "  %0 = call @one() : () -> i32\n"
                  "  %1 = arith.addi %0, %0 : i32\n"
                  "  return %1 : i32\n"
                  "}");
  }
  void TearDown() override { llvm::sys::fs::remove_directories(directory); }

  SmallVector<char> compile(StringRef text) {
    OwningOpRef<ModuleOp> module =
        parseSourceString<ModuleOp>(text, context.get());
    FailureOr<SmallVector<char>> object = compileToObject(*module);
    EXPECT_TRUE(succeeded(object));
    return succeeded(object) ? *object : SmallVector<char>();
  }

  static llvm::MemoryBufferRef reference(ArrayRef<char> object) {
    return {StringRef(object.data(), object.size()), "object"};
  }

  std::string path(StringRef name) {
    SmallString<128> result(directory);
    llvm::sys::path::append(result, name);
    return std::string(result);
  }

  LogicalResult link(ArrayRef<llvm::MemoryBufferRef> objects, StringRef file,
                     ArrayRef<std::string> symbols) {
    CollectedErrors errors(context.get());
    LogicalResult result = linkSharedObject(UnknownLoc::get(context.get()),
                                            objects, file, symbols);
    message = errors.text();
    return result;
  }

  /// Names of everything in the test's directory.
  std::vector<std::string> files() {
    std::vector<std::string> names;
    std::error_code error;
    for (llvm::sys::fs::directory_iterator i(directory, error), end;
         i != end && !error; i.increment(error))
      names.push_back(llvm::sys::path::filename(i->path()).str());
    return names;
  }

  std::unique_ptr<MLIRContext> context = makeContext();
  SmallString<128> directory;
  SmallVector<char> one, two;
  std::string message;
};

TEST_F(LinkTest, LinksObjectsAndExportsWhatIsAskedFor) {
  ASSERT_TRUE(
      succeeded(link({reference(one), reference(two)}, path("a.so"), {"two"})))
      << message;
  EXPECT_EQ(files(), std::vector<std::string>{"a.so"});
  void *handle = dlopen(path("a.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(handle) << dlerror();
  auto *function = reinterpret_cast<int (*)()>(dlsym(handle, "two"));
  ASSERT_TRUE(function);
  EXPECT_EQ(function(), 2);
  EXPECT_FALSE(dlsym(handle, "one"));
  EXPECT_FALSE(dlsym(handle, "hidden"));
  dlclose(handle);
}

TEST_F(LinkTest, ReplacesAnOlderFile) {
  ASSERT_TRUE(succeeded(link(reference(one), path("a.so"), {"one"})));
  ASSERT_TRUE(succeeded(link(reference(one), path("a.so"), {"hidden"})));
  void *handle = dlopen(path("a.so").c_str(), RTLD_NOW | RTLD_LOCAL);
  ASSERT_TRUE(handle) << dlerror();
  EXPECT_FALSE(dlsym(handle, "one"));
  EXPECT_TRUE(dlsym(handle, "hidden"));
  dlclose(handle);
}

TEST_F(LinkTest, FailuresHaveMessagesAndLeaveNothing) {
  EXPECT_TRUE(failed(link(reference(one), path("a.so"), {"absent"})));
  EXPECT_NE(message.find("cannot link '" + path("a.so") + "': "),
            std::string::npos)
      << message;
  EXPECT_NE(message.find("'absent' failed: symbol not defined"),
            std::string::npos)
      << message;

  SmallVector<char> garbage(100, 'x');
  EXPECT_TRUE(failed(link(reference(garbage), path("a.so"), {})));
  EXPECT_EQ(message, "cannot link '" + path("a.so") +
                         "': damaged object 'object': expected a relocatable "
                         "ELF object\n");
  EXPECT_EQ(files(), std::vector<std::string>());

  EXPECT_TRUE(failed(link(reference(one), path("none/a.so"), {"one"})));
  EXPECT_EQ(message, "cannot link '" + path("none/a.so") +
                         "': No such file or directory\n");

  // Another run after failures works.
  EXPECT_TRUE(succeeded(link(reference(one), path("a.so"), {"one"})))
      << message;
}

TEST_F(LinkTest, DamagedObjectsDoNotReachTheLinker) {
  for (size_t size = 0; size < one.size(); size += 7) {
    SmallVector<char> truncated(one.begin(), one.begin() + size);
    EXPECT_TRUE(failed(link(reference(truncated), path("a.so"), {}))) << size;
    EXPECT_NE(message.find("damaged object 'object': "), std::string::npos)
        << message;
  }
  EXPECT_TRUE(succeeded(link(reference(one), path("a.so"), {"one"})))
      << message;
}

TEST_F(LinkTest, RefusesNamesThatAreNoSymbols) {
  for (const char *name : {"", "a\"; b", "*", "a b"}) {
    EXPECT_TRUE(failed(link(reference(one), path("a.so"), {name})));
    EXPECT_EQ(message, "cannot link '" + path("a.so") +
                           "': expected the name of a symbol, got '" + name +
                           "'\n");
  }
}

TEST_F(LinkTest, ThreadsTakeTurns) {
  std::vector<std::thread> threads;
  std::vector<int> results(4);
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, i] {
      MLIRContext own;
      results[i] =
          succeeded(linkSharedObject(UnknownLoc::get(&own), reference(one),
                                     path(std::to_string(i) + ".so"), {"one"}));
    });
  for (std::thread &thread : threads)
    thread.join();
  EXPECT_EQ(results, std::vector<int>(4, 1));
  EXPECT_EQ(files().size(), 4u);
}

} // namespace

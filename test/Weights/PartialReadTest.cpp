//===- PartialReadTest.cpp - A part of a weight reads its own bytes -------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The sources lie in memory that nobody may read. Each page that is read all
// the same is counted by the handler of the fault, and becomes readable. A row
// is a page, so pages are what was read.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/WeightLoader.h"
#include "test/Weights/Sources.h"

#include <csignal>
#include <sys/mman.h>
#include <unistd.h>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

/// Pages, and how many were read.
class GuardedPages {
public:
  explicit GuardedPages(size_t count) : count(count) {
    begin = static_cast<std::byte *>(::mmap(
        nullptr, bytes(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    active = this;
    struct sigaction action = {};
    action.sa_sigaction = onFault;
    action.sa_flags = SA_SIGINFO;
    ::sigaction(SIGSEGV, &action, &before);
  }
  ~GuardedPages() {
    ::sigaction(SIGSEGV, &before, nullptr);
    ::munmap(begin, bytes());
    active = nullptr;
  }
  GuardedPages(const GuardedPages &) = delete;
  GuardedPages &operator=(const GuardedPages &) = delete;

  static size_t size() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }
  ByteSpan pages(size_t first, size_t number) const {
    return {begin + first * size(), number * size()};
  }
  int read() const { return faults; }

private:
  size_t bytes() const { return count * size(); }

  static void onFault(int, siginfo_t *info, void *) {
    auto *address = static_cast<std::byte *>(info->si_addr);
    if (address < active->begin || address >= active->begin + active->bytes())
      _exit(86); // None of ours: nothing can be told from here.
    size_t page = static_cast<size_t>(address - active->begin) / size();
    ::mprotect(active->begin + page * size(), size(), PROT_READ);
    active->faults = active->faults + 1;
  }

  static inline GuardedPages *active = nullptr;
  struct sigaction before = {};
  std::byte *begin;
  size_t count;
  volatile sig_atomic_t faults = 0;
};

int64_t columns() { return static_cast<int64_t>(GuardedPages::size() / 2); }

std::string source(const std::string &name, int64_t rows) {
  return Sources::json(name, DType::BF16, {rows, columns()});
}

std::string slice(int axis, int64_t begin, int64_t end,
                  const std::string &input) {
  return R"({"op":"slice","axis":)" + std::to_string(axis) + R"(,"begin":)" +
         std::to_string(begin) + R"(,"end":)" + std::to_string(end) +
         R"(,"input":)" + input + "}";
}

std::string of(const std::string &op, const std::string &input) {
  return "{" + op + R"(,"input":)" + input + "}";
}

std::string concat(const std::string &a, const std::string &b) {
  return R"({"op":"concat","axis":0,"inputs":[)" + a + "," + b + "]}";
}

const char *toF32 = R"("op":"cast","dtype":"f32")";
const char *pack = R"("op":"pack","rows":16,"inner":2)";

/// Pages that are read of sources "a" and "b" of 64 rows, and of "e0" … "e3" of
/// 8, when all of a program is evaluated, or `share` of it from the front.
int pagesRead(const std::string &program, int64_t share = 1) {
  GuardedPages pages(64 + 64 + 4 * 8);
  auto node = parseWeightProgram(program);
  EXPECT_TRUE(node.ok()) << node.status().message();
  if (!node.ok())
    return -1;
  auto resolve = [&](const WeightNode &node) -> StatusOr<ByteSpan> {
    if (node.name == "a")
      return pages.pages(0, 64);
    if (node.name == "b")
      return pages.pages(64, 64);
    auto expert = static_cast<size_t>(node.name[1] - '0');
    return pages.pages(128 + expert * 8, 8);
  };
  auto bound = bindProgram(*node, resolve);
  EXPECT_TRUE(bound.ok());
  const Evaluator &evaluator = **bound;
  int64_t end = evaluator.count() / share;
  std::vector<std::byte> out(static_cast<size_t>(evaluator.bytes(end)));
  Scratch scratch;
  evaluator.read(0, end, out.data(), scratch);
  return pages.read();
}

TEST(PartialRead, ASliceReadsItsRows) {
  EXPECT_EQ(pagesRead(source("a", 64)), 64);
  EXPECT_EQ(pagesRead(slice(0, 16, 32, source("a", 64))), 16);
  EXPECT_EQ(pagesRead(of(toF32, slice(0, 16, 32, source("a", 64)))), 16);
  EXPECT_EQ(pagesRead(slice(0, 16, 32, of(toF32, source("a", 64)))), 16);
  EXPECT_EQ(pagesRead(of(pack, slice(0, 16, 48, source("a", 64)))), 32);
}

TEST(PartialRead, AcrossOperations) {
  std::string both = concat(source("a", 64), source("b", 64));
  EXPECT_EQ(pagesRead(slice(0, 60, 68, both)), 8);
  EXPECT_EQ(pagesRead(of(pack, slice(0, 48, 80, both))), 32);
  // What each rank takes of fused queries and keys: a part of either.
  EXPECT_EQ(pagesRead(of(pack, concat(slice(0, 16, 32, source("a", 64)),
                                      slice(0, 0, 16, source("b", 64))))),
            32);
  // Columns of a transposed matrix are rows of the stored one.
  std::string turned = of(R"("op":"transpose","perm":[1,0])", source("a", 64));
  EXPECT_EQ(pagesRead(slice(1, 8, 24, turned)), 16);
  EXPECT_EQ(pagesRead(slice(0, 0, 2, turned)), 64);
  EXPECT_EQ(pagesRead(slice(0, 4, 8,
                            of(R"("op":"reshape","shape":[16,)" +
                                   std::to_string(4 * columns()) + "]",
                               source("a", 64)))),
            16);
}

TEST(PartialRead, Experts) {
  std::string all =
      R"({"op":"stack","count":4,"input":)" + source("e{expert}", 8) + "}";
  EXPECT_EQ(pagesRead(all), 32);
  EXPECT_EQ(pagesRead(slice(0, 1, 3, all)), 16);
  EXPECT_EQ(pagesRead(slice(1, 0, 2, all)), 8);
}

TEST(PartialRead, APanelReadsItsRows) {
  // A quarter of the panels.
  EXPECT_EQ(pagesRead(of(pack, source("a", 64)), /*share=*/4), 16);
}

TEST(PartialRead, ARangeOfLayers) {
  GuardedPages pages(8 * 4);
  std::vector<StoredTensor> tensors;
  for (size_t layer = 0; layer < 8; ++layer)
    tensors.push_back({"w." + std::to_string(layer),
                       DType::BF16,
                       {4, columns()},
                       pages.pages(layer * 4, 4)});
  auto table = WeightTable::parse(
      R"({"version":1,"weights":[{"param":"w","slots":[0,1,2],)"
      R"("layers":[2,3,4],"program":)" +
          of(R"("op":"pack","rows":4,"inner":2)", source("w.{layer}", 4)) +
          "}]}",
      "f");
  ASSERT_OK(table);
  LoadOptions options;
  options.threads = 1;
  auto loaded =
      loadWeights(*table, WeightSources{tensors, "here", {}}, options);
  ASSERT_OK(loaded);
  EXPECT_EQ(pages.read(), 3 * 4);
}

} // namespace

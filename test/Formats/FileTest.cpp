//===- FileTest.cpp - Mapped, small and atomic files ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/File.h"
#include "runtime/Support/RandomReads.h"
#include "test/Formats/TestFiles.h"

#include <cstdio>
#include <fstream>
#include <sys/stat.h>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

TEST(MappedFile, Content) {
  TempDir dir;
  auto file = MappedFile::open(dir.write("f", "abc"));
  ASSERT_OK(file);
  EXPECT_EQ(std::memcmp((*file)->bytes().data(), "abc", 3), 0);
  EXPECT_EQ((*file)->bytes().size(), 3u);
  auto empty = MappedFile::open(dir.write("e", ""));
  ASSERT_OK(empty);
  EXPECT_TRUE((*empty)->bytes().empty());
}

/// Whether the system was told that reads of the mapping that holds `at` are
/// random: "rr" among its flags.
bool isRandom(const std::byte *at) {
  std::ifstream maps("/proc/self/smaps");
  bool isHere = false;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &begin, &end) == 2)
      isHere = reinterpret_cast<unsigned long>(at) >= begin &&
               reinterpret_cast<unsigned long>(at) < end;
    else if (isHere && line.starts_with("VmFlags:"))
      return line.find(" rr") != std::string::npos;
  }
  return false;
}

TEST(MappedFile, RandomReads) {
  TempDir dir;
  auto file = MappedFile::open(dir.write("f", "abc"));
  auto empty = MappedFile::open(dir.write("e", ""));
  ASSERT_OK(file);
  ASSERT_OK(empty);
  const std::byte *at = (*file)->bytes().data();
  EXPECT_FALSE(isRandom(at));
  {
    RandomReads reads({*file, *empty});
    EXPECT_TRUE(isRandom(at));
    EXPECT_EQ(std::memcmp(at, "abc", 3), 0);
  }
  EXPECT_FALSE(isRandom(at));
}

TEST(MappedFile, Errors) {
  TempDir dir;
  std::string missing = dir / "missing";
  expectError(MappedFile::open(missing).status(), StatusCode::NotFound,
              "cannot open '" + missing + "': No such file or directory");
  expectError(MappedFile::open(dir.path()).status(),
              StatusCode::InvalidArgument,
              "'" + dir.path() + "' is not a regular file");
  std::string pipe = dir / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  expectError(MappedFile::open(pipe).status(), StatusCode::InvalidArgument,
              "'" + pipe + "' is not a regular file");
}

TEST(File, ReadTextFile) {
  TempDir dir;
  std::string path = dir.write("f", "hello");
  auto text = readTextFile(path, 5);
  ASSERT_OK(text);
  EXPECT_EQ(*text, "hello");
  expectError(readTextFile(path, 4).status(), StatusCode::Corruption,
              "'" + path + "' has 5 bytes, expected at most 4");
  EXPECT_TRUE(fileExists(path));
  EXPECT_FALSE(isDirectory(path));
  EXPECT_TRUE(isDirectory(dir.path()));
}

size_t filesIn(const TempDir &dir) {
  auto entries = std::filesystem::directory_iterator(dir.path());
  return static_cast<size_t>(std::distance(begin(entries), end(entries)));
}

TEST(AtomicFile, AppearsWhole) {
  TempDir dir;
  std::string path = dir.write("f", "old");
  auto file = AtomicFile::create(path);
  ASSERT_OK(file);
  ASSERT_OK((*file)->append("new "));
  ASSERT_OK((*file)->append("text"));
  EXPECT_EQ(*readTextFile(path), "old");
  ASSERT_OK((*file)->commit());
  EXPECT_EQ(*readTextFile(path), "new text");
  EXPECT_EQ(filesIn(dir), 1u);
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
  TempDir dir;
  {
    auto file = AtomicFile::create(dir / "f");
    ASSERT_OK(file);
    ASSERT_OK((*file)->append("text"));
  }
  EXPECT_EQ(filesIn(dir), 0u);
}

TEST(AtomicFile, Errors) {
  TempDir dir;
  std::string path = dir / "none/f";
  expectError(AtomicFile::create(path).status(), StatusCode::NotFound,
              "cannot create '" + path + "': No such file or directory");
  // A folder stands where the file should go.
  std::filesystem::create_directory(dir / "d");
  auto file = AtomicFile::create(dir / "d");
  ASSERT_OK(file);
  expectError((*file)->commit(), StatusCode::IOError,
              "cannot write '" + (dir / "d") + "': Is a directory");
}

} // namespace

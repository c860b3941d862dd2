//===- ReadAheadTest.cpp - Mapped files from the disk before use ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/ReadAhead.h"

#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace clade::rt;

namespace {

class ReadAheadTest : public ::testing::Test {
protected:
  static constexpr size_t size = (size_t(9) << 20) + 123;

  void SetUp() override {
    char pattern[] = "/var/tmp/clade-read-ahead-XXXXXX";
    int fd = ::mkstemp(pattern);
    ASSERT_GE(fd, 0);
    path = pattern;
    std::string content(size, 'x');
    ASSERT_EQ(::write(fd, content.data(), size), static_cast<ssize_t>(size));
    // A file that nobody has mapped yet, on a disk, leaves memory.
    ASSERT_EQ(::fsync(fd), 0);
    ASSERT_EQ(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    ::close(fd);
    auto opened = MappedFile::open(path);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    file = *opened;
  }
  void TearDown() override { std::filesystem::remove(path); }

  /// Pages of the file that are not in memory.
  size_t missingPages() const {
    auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> states((size + page - 1) / page);
    EXPECT_EQ(::mincore(const_cast<std::byte *>(file->bytes().data()), size,
                        states.data()),
              0);
    size_t missing = 0;
    for (unsigned char state : states)
      missing += (state & 1) == 0;
    return missing;
  }

  std::string path;
  std::shared_ptr<const MappedFile> file;
};

TEST_F(ReadAheadTest, ReadsWhatIsMissing) {
  bool isAway = missingPages() > 0;
  ReadAhead first({file}, {file->bytes()});
  EXPECT_EQ(first.bytes() > 0, isAway);
  first.wait();
  EXPECT_EQ(missingPages(), 0u);
  ReadAhead second({file}, {file->bytes()});
  EXPECT_EQ(second.bytes(), 0);
}

TEST_F(ReadAheadTest, CountsBytesOnce) {
  ByteSpan all = file->bytes();
  size_t half = size / 2;
  ReadAhead ahead({file}, {all.subspan(half), all.first(half + 100),
                           all.subspan(100, 1000), ByteSpan()});
  EXPECT_LE(ahead.bytes(), static_cast<int64_t>(size));
}

TEST_F(ReadAheadTest, LeavesOtherMemoryAlone) {
  std::vector<std::byte> other(1000);
  ReadAhead ahead({file}, {ByteSpan(other)});
  EXPECT_EQ(ahead.bytes(), 0);
  ReadAhead none({}, {file->bytes()});
  EXPECT_EQ(none.bytes(), 0);
}

TEST_F(ReadAheadTest, AFileThatIsGoneIsNoError) {
  std::filesystem::remove(path);
  ReadAhead ahead({file}, {file->bytes()});
  ahead.wait();
  EXPECT_EQ(file->bytes()[size - 1], std::byte('x'));
}

TEST_F(ReadAheadTest, StopsWhenItIsNotNeeded) {
  for (int i = 0; i < 20; ++i)
    ReadAhead ahead({file}, {file->bytes()});
}

} // namespace

//===- TestFiles.h - Files made for tests -----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A temporary folder, byte images, and checks of a Status in one line. Shared
// by the tests of formats and weights.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_FORMATS_TESTFILES_H
#define CLADE_TEST_FORMATS_TESTFILES_H

#include "runtime/Formats/Safetensors.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace clade::rt::test {

/// A folder that is removed with its content.
class TempDir {
public:
  TempDir() {
    std::string pattern = ::testing::TempDir() + "clade-XXXXXX";
    root = ::mkdtemp(pattern.data());
  }
  ~TempDir() { std::filesystem::remove_all(root); }
  TempDir(const TempDir &) = delete;
  TempDir &operator=(const TempDir &) = delete;

  const std::string &path() const { return root; }
  std::string operator/(const std::string &name) const {
    return root + "/" + name;
  }
  /// Writes a file and returns its path.
  std::string write(const std::string &name, std::string_view content) const {
    std::ofstream(*this / name, std::ios::binary)
        .write(content.data(), static_cast<std::streamsize>(content.size()));
    return *this / name;
  }

private:
  std::string root;
};

inline ByteSpan bytesOf(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

template <typename T> ByteSpan bytesOf(const std::vector<T> &values) {
  return std::as_bytes(std::span(values));
}

/// The little-endian bytes of a number.
template <typename T> std::string number(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

/// A safetensors image: length, header as given, data of `dataBytes` zeros.
inline std::string safetensorsImage(const std::string &header,
                                    size_t dataBytes) {
  return number<uint64_t>(header.size()) + header +
         std::string(dataBytes, '\0');
}

/// A tensor of `values`, which must outlive it.
template <typename T>
StoredTensor makeTensor(std::string name, DType dtype,
                        std::vector<int64_t> shape,
                        const std::vector<T> &values) {
  return {std::move(name), dtype, std::move(shape), bytesOf(values)};
}

/// Checks that `status` failed with this code and exactly this message.
inline void expectError(const Status &status, StatusCode code,
                        const std::string &message) {
  EXPECT_EQ(static_cast<int>(status.code()), static_cast<int>(code));
  EXPECT_EQ(status.message(), message);
}

#define ASSERT_OK(expression)                                                  \
  do {                                                                         \
    const auto &okResult = (expression);                                       \
    ASSERT_TRUE(okResult.ok()) << ::clade::rt::test::messageOf(okResult);      \
  } while (false)

inline std::string messageOf(const Status &status) { return status.message(); }
template <typename T> std::string messageOf(const StatusOr<T> &result) {
  return result.status().message();
}

} // namespace clade::rt::test

#endif // CLADE_TEST_FORMATS_TESTFILES_H

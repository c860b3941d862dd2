//===- ImageFiles.h - Small image files -------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_IMAGE_IMAGEFILES_H
#define CLADE_TEST_IMAGE_IMAGEFILES_H

#include "runtime/Image/Image.h"
#include "runtime/Support/File.h"

#include <gtest/gtest.h>

namespace clade::rt {

/// The bytes of a file that make-files.py wrote.
inline std::string readFile(const std::string &name) {
  auto text = readTextFile(std::string(CLADE_IMAGE_FILES) + "/" + name);
  EXPECT_TRUE(text.ok()) << text.status().message();
  return text.ok() ? *text : "";
}

inline StatusOr<Image> decodeText(std::string_view text) {
  return decodeImage(std::as_bytes(std::span(text)), "picture");
}

/// The message for an image that must not decode.
inline std::string decodeError(std::string_view text) {
  auto image = decodeText(text);
  EXPECT_FALSE(image.ok());
  return image.status().message();
}

inline Image decodeFile(const std::string &name) {
  auto image = decodeText(readFile(name));
  EXPECT_TRUE(image.ok()) << name << ": " << image.status().message();
  return image.ok() ? *image : Image();
}

/// An RGB image of one colour.
inline Image plainImage(int64_t width, int64_t height, uint8_t value = 0) {
  return {width, height, 3,
          std::vector<uint8_t>(static_cast<size_t>(width * height * 3), value)};
}

} // namespace clade::rt

#endif // CLADE_TEST_IMAGE_IMAGEFILES_H

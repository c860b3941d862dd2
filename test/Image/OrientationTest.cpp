//===- OrientationTest.cpp - Pictures are turned upright ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Orientation.h"

#include "test/Image/ImageFiles.h"

using namespace clade::rt;

namespace {

int orientationOf(std::string_view file) {
  return readOrientation(std::as_bytes(std::span(file)));
}

/// A JPEG's beginning: a segment APP1, and a scan.
std::string jpegWith(std::string_view body) {
  std::string file = "\xff\xd8\xff\xe1";
  size_t size = body.size() + 2;
  file += static_cast<char>(size >> 8);
  file += static_cast<char>(size & 255);
  return file.append(body) + "\xff\xda";
}

/// EXIF data of one entry, least significant bytes first.
std::string entry(int type, int count, int value) {
  std::string data("Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01", 18);
  for (int number : {type, count, count >> 16, value, 0})
    data += {static_cast<char>(number & 255), static_cast<char>(number >> 8)};
  return data + std::string(4, '\0');
}

} // namespace

TEST(Orientation, TurnsEveryWay) {
  // Pixels 1 2 3 over 4 5 6.
  Image image{3, 2, 3, {}};
  for (uint8_t value = 1; value <= 6; ++value)
    image.pixels.insert(image.pixels.end(), 3, value);
  const std::vector<std::vector<uint8_t>> expected = {
      {1, 2, 3, 4, 5, 6}, {1, 2, 3, 4, 5, 6}, {3, 2, 1, 6, 5, 4},
      {6, 5, 4, 3, 2, 1}, {4, 5, 6, 1, 2, 3}, {1, 4, 2, 5, 3, 6},
      {4, 1, 5, 2, 6, 3}, {6, 3, 5, 2, 4, 1}, {3, 6, 2, 5, 1, 4},
      {1, 2, 3, 4, 5, 6}};
  for (size_t orientation = 0; orientation < expected.size(); ++orientation) {
    Image turned = turnUpright(image, static_cast<int>(orientation));
    bool swaps = orientation >= 5 && orientation <= 8;
    EXPECT_EQ(turned.width, swaps ? 2 : 3) << orientation;
    EXPECT_EQ(turned.height, swaps ? 3 : 2) << orientation;
    std::vector<uint8_t> values;
    for (size_t i = 0; i < turned.pixels.size(); i += 3)
      values.push_back(turned.pixels[i]);
    EXPECT_EQ(values, expected[orientation]) << orientation;
  }
  Image clear{1, 2, 4, {1, 2, 3, 4, 5, 6, 7, 8}};
  EXPECT_EQ(turnUpright(clear, 3).pixels,
            (std::vector<uint8_t>{5, 6, 7, 8, 1, 2, 3, 4}));
}

TEST(Orientation, OfFiles) {
  EXPECT_EQ(orientationOf(readFile("rgb.jpg")), 6);
  EXPECT_EQ(orientationOf(readFile("turned.png")), 6);
  EXPECT_EQ(orientationOf(readFile("turned.webp")), 7);
  for (const char *name : {"grey.jpg", "rgb.png", "rgba.webp", "lossy.webp"})
    EXPECT_EQ(orientationOf(readFile(name)), 1) << name;
  EXPECT_EQ(orientationOf(""), 1);
  EXPECT_EQ(orientationOf("GIF89a"), 1);
}

TEST(Orientation, WhatEXIFDataSay) {
  EXPECT_EQ(orientationOf(jpegWith(entry(3, 1, 8))), 8);
  EXPECT_EQ(orientationOf(jpegWith(entry(4, 1, 8))), 8);
  // No number in the entry, no integer, nothing that an orientation can be.
  EXPECT_EQ(orientationOf(jpegWith(entry(3, 0, 8))), 1);
  EXPECT_EQ(orientationOf(jpegWith(entry(3, 3, 8))), 1);
  EXPECT_EQ(orientationOf(jpegWith(entry(2, 1, 8))), 1);
  EXPECT_EQ(orientationOf(jpegWith(entry(3, 1, 0))), 1);
  EXPECT_EQ(orientationOf(jpegWith(entry(3, 1, 9))), 1);
  std::string exif = entry(3, 1, 8);
  exif[6] = 'X';
  EXPECT_EQ(orientationOf(jpegWith(exif)), 1);
  EXPECT_EQ(orientationOf(jpegWith("Exif")), 1);
  // The segment says more than there is.
  std::string file = jpegWith(entry(3, 1, 8));
  file[4] = '\x7f';
  EXPECT_EQ(orientationOf(file), 1);
}

TEST(Orientation, EveryPrefixIsRead) {
  for (const char *name : {"rgb.jpg", "turned.png", "turned.webp"}) {
    std::string file = readFile(name);
    int whole = orientationOf(file);
    for (size_t size = 0; size < file.size(); ++size) {
      // A copy of that size, so that reading beyond it is seen.
      std::vector<char> part(file.begin(),
                             file.begin() + static_cast<std::ptrdiff_t>(size));
      int found = orientationOf({part.data(), part.size()});
      EXPECT_TRUE(found == 1 || found == whole) << name << " " << size;
    }
  }
}

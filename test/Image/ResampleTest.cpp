//===- ResampleTest.cpp - Resizing as Pillow does -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Resample.h"

#include "test/Image/ImageFiles.h"

using namespace clade::rt;

namespace {

/// A row of grey values in another width, and the same as a column.
std::vector<int> resizeLine(std::vector<int> values, int64_t size,
                            ResampleFilter filter) {
  Image row{static_cast<int64_t>(values.size()), 1, 3, {}};
  for (int value : values)
    row.pixels.insert(row.pixels.end(), 3, static_cast<uint8_t>(value));
  Image column = row;
  std::swap(column.width, column.height);
  auto wide = resizeImage(row, size, 1, filter);
  auto high = resizeImage(column, 1, size, filter);
  EXPECT_TRUE(wide.ok() && high.ok());
  EXPECT_EQ(wide->width, size);
  EXPECT_EQ(high->height, size);
  EXPECT_EQ(wide->pixels, high->pixels);
  std::vector<int> result;
  for (size_t i = 0; i < wide->pixels.size(); i += 3)
    result.push_back(wide->pixels[i]);
  return result;
}

} // namespace

TEST(Resample, BilinearByHand) {
  // A quarter of the way: 255 / 4 = 63.75.
  EXPECT_EQ(resizeLine({0, 255}, 4, ResampleFilter::Bilinear),
            (std::vector<int>{0, 64, 191, 255}));
  // Shrinking widens the filter: weights 3, 3, 1 and 1, 3, 3 of 7.
  EXPECT_EQ(resizeLine({0, 100, 200, 40}, 2, ResampleFilter::Bilinear),
            (std::vector<int>{71, 117}));
}

TEST(Resample, BicubicByHand) {
  // Overshoot is clipped: left of an edge is below 0, right of it above 255.
  std::vector<int> edge =
      resizeLine({0, 0, 0, 255, 255, 255}, 12, ResampleFilter::Bicubic);
  EXPECT_EQ(edge, (std::vector<int>{0, 0, 0, 0, 0, 52, 203, 255, 255, 255, 255,
                                    255}));
}

TEST(Resample, LanczosIsSymmetric) {
  std::vector<int> up =
      resizeLine({10, 200, 60, 60, 200, 10}, 9, ResampleFilter::Lanczos);
  std::vector<int> reversed(up.rbegin(), up.rend());
  EXPECT_EQ(up, reversed);
  EXPECT_EQ(resizeLine({7, 7, 7}, 5, ResampleFilter::Lanczos),
            (std::vector<int>{7, 7, 7, 7, 7}));
}

TEST(Resample, ChannelsAreApart) {
  Image image{2, 1, 3, {0, 10, 200, 255, 10, 100}};
  auto result = resizeImage(image, 4, 1, ResampleFilter::Bilinear);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->pixels, (std::vector<uint8_t>{0, 10, 200, 64, 10, 175, 191,
                                                  10, 125, 255, 10, 100}));
}

TEST(Resample, TheSameSizeIsACopy) {
  Image image = decodeFile("rgb.png");
  auto result = resizeImage(image, 7, 5, ResampleFilter::Lanczos);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->pixels, image.pixels);
}

TEST(Resample, Limits) {
  auto message = [](Image image, int64_t width, int64_t height) {
    auto result = resizeImage(image, width, height, ResampleFilter::Lanczos);
    EXPECT_EQ(result.status().code(), StatusCode::ResourceExhausted);
    return result.status().message();
  };
  EXPECT_EQ(message(plainImage(2, 2), 100000, 100000),
            "an image of 100000x100000 pixels is more than the limit of "
            "178956970");
  EXPECT_EQ(message(plainImage(60000000, 1), 1, 1),
            "resizing 60000000 pixels to 1 takes too many weights");
}

//===- ImagesTest.cpp - Tests of images that become patches ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Images.h"
#include "ToySupport.h"

#include <bit>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

/// Two images of one channel, padded to 4 x 8: pixel (y, x) of image i is
/// 100 i + 10 y + x.
class ImagesTest : public ::testing::Test {
protected:
  ImagesTest() {
    for (int image = 0; image < 2; ++image)
      for (int y = 0; y < 4; ++y)
        for (int x = 0; x < 8; ++x)
          pixels.push_back(static_cast<float>(100 * image + 10 * y + x));
    sizes = {4, 8, 4, 4};
  }

  std::vector<StoredTensor> tensors() {
    return {
        {"image_sizes", DType::I64, {2, 2}, std::as_bytes(std::span(sizes))},
        {"pixel_values",
         DType::F32,
         {2, 1, 4, 8},
         std::as_bytes(std::span(pixels))}};
  }
  /// What is wrong with these tensors.
  Status wrong(const std::vector<StoredTensor> &given) {
    return cutImages(layout, given).takeStatus();
  }

  ImageLayout layout{"pixel_values", "image_sizes", 0, 1, 2, 2, 4};
  std::vector<float> pixels;
  std::vector<int64_t> sizes;
};

TEST_F(ImagesTest, CutsBlockAfterBlock) {
  auto images = cutImages(layout, tensors());
  ASSERT_OK(images);
  EXPECT_EQ(images->grids, (std::vector<int32_t>{2, 4, 2, 2}));
  EXPECT_EQ(images->numImages(), 2);
  EXPECT_EQ(images->numPatches(), 12);
  std::vector<float> expected = {
      0,   1,   10,  11,  2,   3,   12,  13,  // The first block of image 0.
      20,  21,  30,  31,  22,  23,  32,  33,  //
      4,   5,   14,  15,  6,   7,   16,  17,  // The second one.
      24,  25,  34,  35,  26,  27,  36,  37,  //
      100, 101, 110, 111, 102, 103, 112, 113, // Image 1 without its padding.
      120, 121, 130, 131, 122, 123, 132, 133};
  EXPECT_EQ(images->pixels, expected);
}

TEST_F(ImagesTest, WithoutMergingRowByRow) {
  layout.merge = layout.fold = 1;
  auto images = cutImages(layout, tensors());
  ASSERT_OK(images);
  std::vector<float> first(images->pixels.begin(), images->pixels.begin() + 20);
  EXPECT_EQ(first, (std::vector<float>{0,  1, 10, 11, 2,  3,  12, 13, 4, 5, 14,
                                       15, 6, 7,  16, 17, 20, 21, 30, 31}));
}

TEST_F(ImagesTest, OtherTypes) {
  std::vector<uint16_t> narrow;
  for (float pixel : pixels) // Small integers are exact.
    narrow.push_back(
        static_cast<uint16_t>(std::bit_cast<uint32_t>(pixel) >> 16));
  std::vector<int32_t> short32(sizes.begin(), sizes.end());
  std::vector<StoredTensor> given = tensors();
  given[0].dtype = DType::I32;
  given[0].bytes = std::as_bytes(std::span(short32));
  given[1].dtype = DType::BF16;
  given[1].bytes = std::as_bytes(std::span(narrow));
  auto images = cutImages(layout, given);
  ASSERT_OK(images);
  EXPECT_EQ(images->pixels, cutImages(layout, tensors())->pixels);
}

TEST_F(ImagesTest, SaysWhatIsWrong) {
  std::vector<StoredTensor> given = tensors();
  expectError(wrong({given[0]}), StatusCode::InvalidArgument,
              "expected a tensor 'pixel_values' [images, 1, height, width] of "
              "F32 or BF16 among the inputs");
  expectError(wrong({given[1]}), StatusCode::InvalidArgument,
              "expected a tensor 'image_sizes' [images, 2] of I64 or I32 among "
              "the inputs");
  given[1].dtype = DType::I32;
  expectError(wrong(given), StatusCode::InvalidArgument,
              "expected 'pixel_values' [images, 1, height, width] of F32 or "
              "BF16, got the type I32");
  given = tensors();
  given[1].shape = {2, 4, 8};
  expectError(wrong(given), StatusCode::InvalidArgument,
              "expected 'pixel_values' [images, 1, height, width] of F32 or "
              "BF16, got [2, 4, 8]");
  given = tensors();
  given[0].shape = {4};
  expectError(wrong(given), StatusCode::InvalidArgument,
              "expected 'image_sizes' [images, 2] of I64 or I32 for 2 images, "
              "got [4]");
}

TEST_F(ImagesTest, SizesAreWholeBlocksWithinThePixels) {
  sizes[0] = 6;
  expectError(wrong(tensors()), StatusCode::InvalidArgument,
              "expected a height of image 0 that is a multiple of 4 pixels and "
              "at most 4, got 6");
  sizes = {4, 8, 4, 12};
  expectError(wrong(tensors()), StatusCode::InvalidArgument,
              "expected a width of image 1 that is a multiple of 4 pixels and "
              "at most 8, got 12");
  sizes = {4, 8, 0, 4};
  expectError(wrong(tensors()), StatusCode::InvalidArgument,
              "expected a height of image 1 that is a multiple of 4 pixels and "
              "at most 4, got 0");
}

/// Two images whose patches of one channel and 1 x 1 pixels are cut already,
/// row by row.
class RowsTest : public ::testing::Test {
protected:
  std::vector<StoredTensor> tensors(int64_t columns = 2) {
    int64_t images = static_cast<int64_t>(grids.size()) / columns;
    return {{"grids",
             DType::I64,
             {images, columns},
             std::as_bytes(std::span(grids))},
            {"pixels",
             DType::F32,
             {12, 1, 1, 1},
             std::as_bytes(std::span(pixels))}};
  }
  Status wrong(const std::vector<StoredTensor> &given) {
    return cutImages(layout, given).takeStatus();
  }

  ImageLayout layout{"pixels", "grids", 0, 1, 1, 2, 4, true};
  std::vector<float> pixels = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  std::vector<int64_t> grids = {2, 4, 2, 2};
};

TEST_F(RowsTest, BecomeBlocks) {
  auto images = cutImages(layout, tensors());
  ASSERT_OK(images);
  EXPECT_EQ(images->grids, (std::vector<int32_t>{2, 4, 2, 2}));
  EXPECT_EQ(images->pixels,
            (std::vector<float>{0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 10, 11}));
  // With the number of frames in front.
  grids = {1, 2, 4, 1, 2, 2};
  auto framed = cutImages(layout, tensors(3));
  ASSERT_OK(framed);
  EXPECT_EQ(framed->pixels, images->pixels);
}

TEST_F(RowsTest, SayWhatIsWrong) {
  std::vector<StoredTensor> given = tensors();
  given[1].shape = {12, 1};
  expectError(wrong(given), StatusCode::InvalidArgument,
              "expected 'pixels' [patches, 1, 1, 1] of F32 or BF16, got [12, "
              "1]");
  given = tensors(1);
  expectError(wrong(given), StatusCode::InvalidArgument,
              "expected 'grids' [images, 2 or 3] of I64 or I32, got [4, 1]");
  grids = {2, 3, 2, 2};
  expectError(wrong(tensors()), StatusCode::InvalidArgument,
              "expected one frame of image 0, and rows and columns of patches "
              "that are multiples of 2, got 1, 2 and 3");
  grids = {2, 2, 2, 2};
  expectError(wrong(tensors()), StatusCode::InvalidArgument,
              "expected 8 patches in 'pixels', as 'grids' says, got 12");
}

TEST_F(RowsTest, FilmsHaveFramesOfBlocks) {
  layout.takesFilms = true;
  grids = {2, 2, 2, 1, 2, 2};
  auto films = cutImages(layout, tensors(3));
  ASSERT_OK(films);
  EXPECT_EQ(films->grids, (std::vector<int32_t>{2, 2, 2, 2}));
  EXPECT_EQ(films->frames, (std::vector<int32_t>{2, 1}));
  EXPECT_EQ(films->pixels, pixels);
  EXPECT_EQ(films->numPatches(), 12);
  // A film gives the rows of one frame.
  EXPECT_EQ(films->numRows(4), 2);
  EXPECT_EQ(films->firstPatches(0, 2, 4), (std::vector<int64_t>{0, 8}));
  EXPECT_EQ(films->firstPatches(1, 2, 2), (std::vector<int64_t>{0, 2}));
  // Two columns of blocks in each of three frames: rows of one pixel each.
  grids = {3, 2, 4};
  pixels.resize(24);
  for (size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = static_cast<float>(i);
  std::vector<StoredTensor> given = tensors(3);
  given[1].shape[0] = 24;
  films = cutImages(layout, given);
  ASSERT_OK(films);
  EXPECT_EQ(
      films->pixels,
      (std::vector<float>{0,  1,  4,  5,  2,  3,  6,  7,  8,  9,  12, 13,
                          10, 11, 14, 15, 16, 17, 20, 21, 18, 19, 22, 23}));
  EXPECT_EQ(films->firstPatches(0, 1, 4), (std::vector<int64_t>{0, 4}));
  grids = {0, 2, 2, 1, 2, 4};
  expectError(wrong(tensors(3)), StatusCode::InvalidArgument,
              "expected frames of image 0, and rows and columns of patches "
              "that are multiples of 2, got 0, 2 and 2");
  // Frames times rows times columns stay countable.
  grids = {1 << 23, 2, 2, 1, 2, 2};
  expectError(wrong(tensors(3)), StatusCode::InvalidArgument,
              "expected frames of image 0, and rows and columns of patches "
              "that are multiples of 2, got 8388608, 2 and 2");
}

/// Two images whose patches of one frame and one pixel are cut already.
class CutImagesTest : public ::testing::Test {
protected:
  std::vector<StoredTensor> tensors() {
    return {{"grids", DType::I64, {2, 3}, std::as_bytes(std::span(grids))},
            {"pixels", DType::F32, {12, 1}, std::as_bytes(std::span(pixels))}};
  }
  Status wrong(const std::vector<StoredTensor> &given) {
    return cutImages(layout, given).takeStatus();
  }

  ImageLayout layout{"pixels", "grids", 1, 1, 1, 2, 4};
  std::vector<float> pixels = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  std::vector<int64_t> grids = {1, 2, 4, 1, 2, 2};
};

TEST_F(CutImagesTest, StayAsTheyAre) {
  auto images = cutImages(layout, tensors());
  ASSERT_OK(images);
  EXPECT_EQ(images->grids, (std::vector<int32_t>{2, 4, 2, 2}));
  EXPECT_EQ(images->pixels, pixels);
}

TEST_F(CutImagesTest, SaysWhatIsWrong) {
  std::vector<StoredTensor> given = tensors();
  given[1].shape = {6, 2};
  expectError(wrong(given), StatusCode::InvalidArgument,
              "expected 'pixels' [patches, 1] of F32 or BF16, got [6, 2]");
  given = tensors();
  given[0].shape = {3, 2};
  expectError(wrong(given), StatusCode::InvalidArgument,
              "expected 'grids' [images, 3] of I64 or I32, got [3, 2]");
  grids = {2, 2, 4, 1, 2, 2};
  expectError(wrong(tensors()), StatusCode::InvalidArgument,
              "expected one frame of image 0, and rows and columns of patches "
              "that are multiples of 2, got 2, 2 and 4");
  grids = {1, 2, 4, 1, 2, 3};
  expectError(wrong(tensors()), StatusCode::InvalidArgument,
              "expected one frame of image 1, and rows and columns of patches "
              "that are multiples of 2, got 1, 2 and 3");
  grids = {1, 2, 4, 1, 2, 4};
  expectError(wrong(tensors()), StatusCode::InvalidArgument,
              "expected 16 patches in 'pixels', as 'grids' says, got 12");
}

TEST(MediaPositionsTest, ImagesHaveRowsAndColumns) {
  // Two tokens, an image of 1 x 2 blocks, a token, one of 2 x 1, a token.
  ImagePatches images;
  images.grids = {2, 4, 4, 2};
  std::vector<int32_t> prompt = {1, 2, 9, 9, 3, 9, 9, 4}, ids = {9};
  MediaPositions made = mediaPositions(prompt, ids, &images, 2);
  EXPECT_EQ(made.positions,
            (std::vector<int32_t>{0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2, 3,
                                  4, 4, 4, 5, 5, 5, 5, 6, 5, 7, 7, 7}));
  EXPECT_EQ(made.next, 8);
}

TEST(MediaPositionsTest, TextsCount) {
  std::vector<int32_t> prompt = {1, 9, 2}, ids = {9};
  MediaPositions made = mediaPositions(prompt, ids, nullptr, 2);
  EXPECT_EQ(made.positions, (std::vector<int32_t>{0, 0, 0, 1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(made.next, 3);
}

TEST(MediaRowsTest, TokensTakeRowsInOrder) {
  std::vector<int32_t> prompt = {1, 10, 10, 2, 12, 10}, ids = {10, 12};
  auto rows = mediaRows(prompt, ids, 5, 4);
  ASSERT_OK(rows);
  EXPECT_EQ(*rows, (std::vector<int32_t>{-1, 5, 6, -1, 7, 8}));
  expectError(mediaRows(prompt, ids, 0, 3).takeStatus(),
              StatusCode::InvalidArgument,
              "the images give 3 rows, but the prompt has 4 tokens that stand "
              "for them");
}

} // namespace

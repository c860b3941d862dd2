//===- MediaTest.cpp - Tests of what concerns images ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "ReferenceTest.h"

using namespace clade::reference;
using clade::rt::ImagePatches;

namespace {

/// Modules with an entry for images around a body that uses %p, patches of one
/// number, and ends with the value %y [selected, c].
class MediaTest : public ReferenceTest {
protected:
  bool loadImages(const std::string &body, int64_t width,
                  const std::string &put = "") {
    std::string row =
        "!clade.tensor<[selected, c = " + std::to_string(width) + "], f32>";
    addWeight("table", {3, 2}, {1, 2, 3, 4, 5, 6});
    return load(
        "!p = !clade.tensor<[token, c = 1], f32>\n"
        "!x = !clade.tensor<[token, d = 2], f32>\n"
        "!grid = !clade.tensor<[token, grid = 2], i32>\n"
        "func.func @image(%p: !p, %batch: !clade.batch) -> " +
        row + " attributes {clade.entry} {\n" + body + "  return %y : " + row +
        "\n}\n"
        "func.func @forward(%ids: !clade.tensor<[token], i32>, %batch: "
        "!clade.batch) -> !clade.tensor<[selected, d = 2], f32> attributes "
        "{clade.entry} {\n"
        "  %t = clade.param @table : !clade.tensor<[vocab = 3, d = 2], f32>\n"
        "  %x = clade.embed %ids, %t : !clade.tensor<[token], i32>, "
        "!clade.tensor<[vocab = 3, d = 2], f32> -> !x\n" +
        (put.empty() ? "  %z = clade.view %x : !x -> !x\n" : put) +
        "  %s = clade.select %z, %batch : !x -> !clade.tensor<[selected, d = "
        "2], f32>\n"
        "  return %s : !clade.tensor<[selected, d = 2], f32>\n}\n");
  }

  /// Images of these grids, whose patches are numbered from 1.
  static ImagePatches images(std::vector<int32_t> grids) {
    ImagePatches made;
    made.grids = std::move(grids);
    for (int64_t patch = 1; patch <= made.numPatches(); ++patch)
      made.pixels.push_back(static_cast<float>(patch));
    return made;
  }
};

const char *const folded =
    "  %f = clade.fold %p : !p -> !clade.tensor<[selected, fold = 4, c = 1], "
    "f32>\n"
    "  %y = clade.view %f : !clade.tensor<[selected, fold = 4, c = 1], f32> -> "
    "!clade.tensor<[selected, c = 4], f32>\n";

TEST_F(MediaTest, GridPositionsGoBlockByBlock) {
  ASSERT_TRUE(loadImages("  %g = clade.grid_positions %batch merge 2 : !grid\n"
                         "  %y = clade.select %p, %batch : !p -> "
                         "!clade.tensor<[selected, c = 1], f32>\n",
                         1))
      << diagnostics;
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(images({2, 4, 4, 2}), 1)));
  EXPECT_EQ(
      last("clade.grid_positions"),
      (std::vector<float>{0, 0, 0, 1, 1, 0, 1, 1, 0, 2, 0, 3, 1, 2, 1, 3,
                          0, 0, 0, 1, 1, 0, 1, 1, 2, 0, 2, 1, 3, 0, 3, 1}));
}

TEST_F(MediaTest, GridPositionsWithoutMergingGoRowByRow) {
  ASSERT_TRUE(loadImages("  %g = clade.grid_positions %batch merge 1 : !grid\n"
                         "  %y = clade.select %p, %batch : !p -> "
                         "!clade.tensor<[selected, c = 1], f32>\n",
                         1))
      << diagnostics;
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(images({2, 3}), 1)));
  EXPECT_EQ(last("clade.grid_positions"),
            (std::vector<float>{0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2}));
}

TEST_F(MediaTest, WindowsLieSideBySide) {
  ASSERT_TRUE(loadImages("  %g = clade.grid_windows %batch merge 1 side 2 : "
                         "!clade.tensor<[token], i32>\n"
                         "  %y = clade.select %p, %batch : !p -> "
                         "!clade.tensor<[selected, c = 1], f32>\n",
                         1))
      << diagnostics;
  // The last ones of a row and of a column are narrower.
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(images({3, 5}), 1)));
  EXPECT_EQ(last("clade.grid_windows"),
            (std::vector<float>{0, 0, 1, 1, 2, 0, 0, 1, 1, 2, 3, 3, 4, 4, 5}));
}

/// Entries for images that stretch a table of 2 x 3 places over them; the
/// patches are row by row.
std::string stretched(const std::string &form) {
  return "  %table = clade.param @places : !clade.tensor<[rows = 2, columns = "
         "3, c = 1], f32>\n"
         "  %i = clade.interpolate " +
         form +
         " : !clade.tensor<[rows = 2, columns = 3, c = 1], f32> -> !p\n"
         "  %y = clade.select %i, %batch : !p -> !clade.tensor<[selected, c = "
         "1], f32>\n";
}

TEST_F(MediaTest, CornersLieOnCorners) {
  addWeight("places", {2, 3, 1}, {0, 2, 4, 10, 12, 14});
  ASSERT_TRUE(
      loadImages(stretched("bilinear %table, %batch merge 1 corners"), 1))
      << diagnostics;
  // A linear table stays linear, in both directions.
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(images({3, 5}), 1)));
  EXPECT_EQ(
      last("clade.interpolate"),
      (std::vector<float>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}));
  // One row, or one column, is the first.
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(images({1, 2, 2, 1}), 1)));
  EXPECT_EQ(last("clade.interpolate"), (std::vector<float>{0, 4, 0, 10}));
}

TEST_F(MediaTest, AreasLieOnAreas) {
  addWeight("places", {2, 3, 1}, {0, 2, 4, 10, 12, 14});
  ASSERT_TRUE(loadImages(stretched("bilinear %table, %batch merge 1"), 1))
      << diagnostics;
  // What torch.nn.functional.interpolate(mode="bilinear") gives.
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(images({4, 2}), 1)));
  EXPECT_EQ(last("clade.interpolate"),
            (std::vector<float>{0.5, 3.5, 3, 6, 8, 11, 10.5, 13.5}));
}

TEST_F(MediaTest, CubicNeighboursBeyondTheEdgeAreThoseAtIt) {
  addWeight("places", {2, 3, 1}, {1, 4, 2, 8, 5, 7});
  ASSERT_TRUE(loadImages(stretched("bicubic %table, %batch merge 1"), 1))
      << diagnostics;
  // What torch.nn.functional.interpolate(mode="bicubic") gives.
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(images({3, 4}), 1)));
  std::vector<float> got = last("clade.interpolate");
  const float expected[] = {0.13964498F, 2.90233064F, 3.45418024F, 1.39749515F,
                            4.5F,        4.5F,        4.5F,        4.5F,
                            8.86035442F, 6.09767056F, 5.54582071F, 7.60250473F};
  ASSERT_EQ(got.size(), std::size(expected));
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], expected[i], 8e-6) << i; // A few roundings of 10.
  // An image of as many patches as places has them as they are.
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(images({2, 3}), 1)));
  EXPECT_EQ(last("clade.interpolate"), (std::vector<float>{1, 4, 2, 8, 5, 7}));
}

TEST_F(MediaTest, FoldPutsNeighboursTogether) {
  ASSERT_TRUE(loadImages(folded, 4)) << diagnostics;
  auto first = interpreter->addImages(images({2, 2, 2, 2}), 4);
  ASSERT_TRUE(mlir::succeeded(first));
  EXPECT_EQ(*first, 0);
  EXPECT_EQ(last("clade.fold"), (std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8}));
  // Further images come behind.
  auto next = interpreter->addImages(images({2, 2}), 4);
  ASSERT_TRUE(mlir::succeeded(next));
  EXPECT_EQ(*next, 2);
}

/// Films of these frames, whose patches are numbered from 1.
ImagePatches filmsOf(std::vector<int32_t> grids, std::vector<int32_t> frames) {
  ImagePatches made;
  made.grids = std::move(grids);
  made.frames = std::move(frames);
  for (int64_t patch = 1; patch <= made.numPatches(); ++patch)
    made.pixels.push_back(static_cast<float>(patch));
  return made;
}

TEST_F(MediaTest, FramesFollowEachOther) {
  ASSERT_TRUE(loadImages(
      "  %g = clade.grid_positions %batch merge 2 : !grid\n"
      "  %frame, %frames = clade.grid_frames %batch : !clade.tensor<[token], "
      "i32>\n"
      "  %n = clade.cast %frame : !clade.tensor<[token], i32> -> "
      "!clade.tensor<[token], f32>\n"
      "  %y = clade.select %p, %batch : !p -> !clade.tensor<[selected, c = "
      "1], f32>\n",
      1))
      << diagnostics;
  auto films = filmsOf({2, 2, 2, 2}, {2, 1});
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(films, 1))) << diagnostics;
  EXPECT_EQ(last("clade.grid_positions"),
            (std::vector<float>{0, 0, 0, 1, 1, 0, 1, 1, 0, 0, 0, 1,
                                1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1}));
  EXPECT_EQ(last("clade.cast"),
            (std::vector<float>{0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0}));
  EXPECT_EQ(last("clade.grid_frames"),
            (std::vector<float>{2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1}));
}

TEST_F(MediaTest, FoldOfFilmsTakesTheMeanOfTheirFrames) {
  std::string ofFilms = folded;
  ofFilms.replace(ofFilms.find("%p :"), 4, "%p frames %batch :");
  ASSERT_TRUE(loadImages(ofFilms, 4)) << diagnostics;
  // Three frames of one block, one of two blocks, and two of two blocks.
  auto films = filmsOf({2, 2, 2, 4, 4, 2}, {3, 1, 2});
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(films, 4))) << diagnostics;
  EXPECT_EQ(last("clade.fold"),
            (std::vector<float>{5,  6,  7,  8,  13, 14, 15, 16, 17, 18,
                                19, 20, 25, 26, 27, 28, 29, 30, 31, 32}));
}

TEST_F(MediaTest, RowsStandForTokens) {
  ASSERT_TRUE(loadImages(
      folded, 4,
      "  %z = clade.put_at %x, %batch tokens [2] from 1 width 4 : !x\n"))
      << diagnostics;
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(images({2, 2, 2, 2}), 4)));
  int sequence = interpreter->addSequence(10);
  ASSERT_TRUE(step({{sequence, {0, 2, 1, 2}, {}, {-1, 1, -1, 0}}}))
      << diagnostics;
  EXPECT_EQ(last("clade.put_at"), (std::vector<float>{1, 2, 6, 7, 3, 4, 2, 3}));
  // Without rows the tokens are those of the table.
  ASSERT_TRUE(step({{sequence, {2}, {}, {}}})) << diagnostics;
  EXPECT_EQ(last("clade.put_at"), (std::vector<float>{5, 6}));
}

TEST_F(MediaTest, RowsAreAddedToTokens) {
  ASSERT_TRUE(loadImages(
      folded, 4,
      "  %z = clade.put_at %x, %batch tokens [2] from 2 width 4 {add} : !x\n"))
      << diagnostics;
  ASSERT_TRUE(mlir::succeeded(interpreter->addImages(images({2, 2}), 4)));
  int sequence = interpreter->addSequence(10);
  ASSERT_TRUE(step({{sequence, {2, 0}, {}, {0, -1}}})) << diagnostics;
  EXPECT_EQ(last("clade.put_at"), (std::vector<float>{8, 10, 1, 2}));
}

TEST_F(MediaTest, PositionsOfThreeAxes) {
  ASSERT_TRUE(loadImages(
      folded, 4,
      "  %g = clade.positions %batch : !clade.tensor<[token, grid = 3], i32>\n"
      "  %z = clade.view %x : !x -> !x\n"))
      << diagnostics;
  int sequence = interpreter->addSequence(10);
  ASSERT_TRUE(step({{sequence, {0, 2}, {}, {}, {3, 4, 5, 6, 7, 8}}}))
      << diagnostics;
  EXPECT_EQ(last("clade.positions"), (std::vector<float>{3, 4, 5, 6, 7, 8}));
  // Those of a text are its length so far.
  ASSERT_TRUE(step({{sequence, {1}, {}, {}, {}}})) << diagnostics;
  EXPECT_EQ(last("clade.positions"), (std::vector<float>{2, 2, 2}));
}

TEST_F(MediaTest, RowsMustBeThere) {
  ASSERT_TRUE(loadImages(
      folded, 4,
      "  %z = clade.put_at %x, %batch tokens [2] from 0 width 4 : !x\n"))
      << diagnostics;
  int sequence = interpreter->addSequence(10);
  EXPECT_FALSE(step({{sequence, {2}, {}, {0}}}));
  EXPECT_NE(diagnostics.find("expected a row of images below 0, got 0"),
            std::string::npos)
      << diagnostics;
}

TEST_F(MediaTest, PatchesMustFit) {
  ASSERT_TRUE(loadImages(folded, 4)) << diagnostics;
  ImagePatches few = images({2, 2});
  few.pixels.pop_back();
  EXPECT_TRUE(mlir::failed(interpreter->addImages(few, 4)));
  EXPECT_NE(diagnostics.find("expected 4 values of patches, got 3"),
            std::string::npos)
      << diagnostics;
  // More patches than rows that they fold to.
  EXPECT_TRUE(mlir::failed(interpreter->addImages(images({2, 3}), 4)));
  EXPECT_NE(diagnostics.find("expected 4 tokens for each selected row, got 6"),
            std::string::npos)
      << diagnostics;
}

} // namespace

//===- DecodeTest.cpp - Image files to pixels -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/Image/ImageFiles.h"

#include <filesystem>
#include <fstream>

using namespace clade::rt;

namespace {

/// Checks every pixel of a file of 7x5 pixels against f(x, y).
template <typename Function>
void expectPixels(const std::string &name, size_t channels, Function f) {
  Image image = decodeFile(name);
  ASSERT_EQ(image.width, 7) << name;
  ASSERT_EQ(image.height, 5) << name;
  ASSERT_EQ(static_cast<size_t>(image.channels), channels) << name;
  for (int y = 0; y < 5; ++y)
    for (int x = 0; x < 7; ++x) {
      std::vector<int> expected = f(x, y);
      for (size_t c = 0; c < channels; ++c)
        EXPECT_EQ(image.pixels[(y * 7 + x) * channels + c], expected[c])
            << name << ": (" << x << ", " << y << "), channel " << c;
    }
}

std::vector<int> colour(int x, int y) { return {10 * x, 20 * y, 5}; }
std::vector<int> clear(int x, int y) { return {10 * x, 20 * y, 5, 40 * x}; }

/// The values of an image of one colour.
std::vector<int> plainColour(const std::string &name) {
  Image image = decodeFile(name);
  std::vector<int> first(image.pixels.begin(), image.pixels.begin() + 3);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    EXPECT_EQ(image.pixels[i], first[i % 3]) << name << " at " << i;
  EXPECT_EQ(image.width, 20);
  EXPECT_EQ(image.height, 10);
  return first;
}

} // namespace

TEST(DecodePNG, Colour) {
  expectPixels("rgb.png", 3, colour);
  expectPixels("interlaced.png", 3, colour);
  expectPixels("rgba.png", 4, clear);
}

TEST(DecodePNG, SixteenBitsAreTheHighByte) {
  expectPixels("rgba-16.png", 4, clear);
}

TEST(DecodePNG, GreyOfSixteenBitsIsClipped) {
  Image image = decodeFile("grey-16.png");
  const int expected[] = {0, 1, 255, 255, 255};
  ASSERT_EQ(image.pixels.size(), 2u * 5 * 3);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    EXPECT_EQ(image.pixels[i], expected[i / 3 % 5]);
}

TEST(DecodePNG, FewBitsAreScaled) {
  for (int depth : {1, 2, 4})
    expectPixels("grey-" + std::to_string(depth) + ".png", 3, [&](int x, int) {
      int most = (1 << depth) - 1;
      return std::vector<int>(3, (x & most) * 255 / most);
    });
}

TEST(DecodePNG, GreyAndAlpha) {
  expectPixels("grey-alpha.png", 4, [](int x, int) {
    return std::vector<int>{10 * x, 10 * x, 10 * x, 40 * x};
  });
}

TEST(DecodePNG, OneTransparentColour) {
  expectPixels("rgb-clear.png", 4, [](int x, int y) {
    return std::vector<int>{10 * x, 20 * y, 5, x == 2 && y == 2 ? 0 : 255};
  });
  expectPixels("grey-clear.png", 4, [](int x, int) {
    int value = x % 2 * 255;
    return std::vector<int>{value, value, value, x % 2 ? 0 : 255};
  });
}

TEST(DecodePNG, PaletteWithAlphaAndAnIndexBeyond) {
  expectPixels("palette.png", 4, [](int x, int) {
    int i = x % 5;
    if (i == 4)
      return std::vector<int>{0, 0, 0, 255};
    return std::vector<int>{3 * i, 3 * i + 1, 3 * i + 2,
                            i == 0   ? 0
                            : i == 1 ? 128
                                     : 255};
  });
}

TEST(DecodeJPEG, GreyAndColour) {
  EXPECT_EQ(plainColour("grey.jpg"), (std::vector<int>{77, 77, 77}));
  // The orientation that the file notes is not applied.
  EXPECT_EQ(plainColour("rgb.jpg"), (std::vector<int>{200, 200, 200}));
}

TEST(DecodeJPEG, InksAreInverted) {
  // Ink (0, 255, 51) under 102 black: 153 - round(ink * 153 / 255).
  EXPECT_EQ(plainColour("cmyk.jpg"), (std::vector<int>{153, 0, 122}));
}

TEST(DecodeJPEG, TooManyScans) {
  // Repeating the last scan of a progressive file is allowed by the format.
  std::string file = readFile("progressive.jpg");
  size_t scan = file.rfind("\xff\xda");
  std::string last = file.substr(scan, file.size() - 2 - scan);
  std::string longer = file.substr(0, file.size() - 2);
  for (int i = 0; i < 600; ++i)
    longer += last;
  EXPECT_EQ(decodeError(longer + "\xff\xd9"),
            "'picture': JPEG: more than 500 scans");
}

TEST(DecodeWebP, LosslessLossyAndAnimated) {
  expectPixels("rgba.webp", 4, clear);
  EXPECT_EQ(plainColour("lossy.webp"), (std::vector<int>{77, 77, 77}));
  expectPixels("frames.webp", 3, colour);
}

TEST(Decode, Alpha) {
  Image image{2, 1, 4, {10, 20, 30, 0, 10, 20, 30, 128}};
  EXPECT_EQ(toRGB(image, AlphaRule::Drop).pixels,
            (std::vector<uint8_t>{10, 20, 30, 10, 20, 30}));
  // (10 * 128 + 255 * 127) / 255 = 132.02
  EXPECT_EQ(toRGB(image, AlphaRule::OverWhite).pixels,
            (std::vector<uint8_t>{255, 255, 255, 132, 137, 142}));
  Image opaque = plainImage(1, 1, 9);
  EXPECT_EQ(toRGB(opaque, AlphaRule::OverWhite).pixels, opaque.pixels);
}

TEST(Decode, OtherFormats) {
  EXPECT_EQ(decodeError("GIF89a...."),
            "'picture': not an image in a known format, expected PNG, JPEG or "
            "WebP (convert it with another program)");
  EXPECT_EQ(decodeError(""), "'picture': the file is empty, expected a PNG, "
                             "JPEG or WebP image");
  EXPECT_EQ(decodeText("BM").status().code(), StatusCode::Unsupported);
}

TEST(Decode, DecompressionBombs) {
  const std::string limit = " pixels is more than the limit of 178956970";
  auto png = decodeText(readFile("huge.png"));
  EXPECT_EQ(png.status().code(), StatusCode::ResourceExhausted);
  EXPECT_EQ(png.status().message(),
            "'picture': an image of 100000x100000" + limit);

  std::string jpeg = readFile("grey.jpg");
  size_t frame = jpeg.find("\xff\xc0");
  ASSERT_NE(frame, std::string::npos);
  jpeg.replace(frame + 5, 4, "\xff\x00\xfe\x00", 4);
  EXPECT_EQ(decodeError(jpeg), "'picture': an image of 65024x65280" + limit);

  std::string webp = readFile("frames.webp");
  ASSERT_EQ(webp.substr(12, 4), "VP8X");
  webp.replace(24, 6, "\xff\x7f\x00\xff\x7f\x00", 6);
  EXPECT_EQ(decodeError(webp), "'picture': an image of 32768x32768" + limit);
}

TEST(Decode, TheLimitIsTheCallers) {
  for (const char *name : {"rgb.png", "rgba.webp"}) {
    std::string file = readFile(name);
    ByteSpan bytes = std::as_bytes(std::span(file));
    EXPECT_TRUE(decodeImage(bytes, name, 35).ok());
    EXPECT_EQ(decodeImage(bytes, "p", 34).status().message(),
              "'p': an image of 7x5 pixels is more than the limit of 34");
  }
  std::string jpeg = readFile("rgb.jpg");
  EXPECT_EQ(
      decodeImage(std::as_bytes(std::span(jpeg)), "p", 199).status().message(),
      "'p': an image of 20x10 pixels is more than the limit of 199");
}

TEST(Decode, TruncatedAndDamagedFiles) {
  EXPECT_EQ(decodeError(readFile("rgb.png").substr(0, 50)),
            "'picture': PNG: the file is truncated");
  EXPECT_EQ(decodeError(readFile("rgb.jpg").substr(0, 100)),
            "'picture': JPEG: the file is truncated");
  EXPECT_EQ(decodeError(readFile("lossy.webp").substr(0, 40)),
            "'picture': WebP: the file is truncated or damaged");
  EXPECT_EQ(decodeError(readFile("lossy.webp").substr(0, 14)),
            "'picture': WebP: the file is truncated or damaged");
  std::string png = readFile("rgb.png");
  png[20] ^= 1;
  EXPECT_EQ(decodeError(png), "'picture': PNG: IHDR: CRC error");
  std::string jpeg = readFile("rgb.jpg");
  jpeg.replace(jpeg.find("\xff\xc0") + 4, 1, "\x0d");
  EXPECT_EQ(decodeError(jpeg),
            "'picture': JPEG: Unsupported JPEG data precision 13");
}

TEST(Decode, EveryPrefixAndEveryFlippedBitOfEveryFile) {
  for (const auto &entry :
       std::filesystem::directory_iterator(CLADE_IMAGE_FILES)) {
    std::string name = entry.path().filename();
    if (entry.path().extension() == ".json" || name == "huge.png")
      continue;
    std::string file = readFile(name);
    for (size_t size = 0; size < file.size() / 2; ++size)
      EXPECT_NE(decodeError(file.substr(0, size)), "") << name << " " << size;
    for (size_t size = file.size() / 2; size < file.size(); ++size)
      (void)decodeText(file.substr(0, size));
    for (size_t i = 0; i < file.size(); ++i) {
      std::string changed = file;
      changed[i] ^= 1 << i % 8;
      auto image = decodeText(changed);
      EXPECT_TRUE(image.ok() || !image.status().message().empty()) << name;
    }
  }
}

TEST(Decode, Files) {
  std::string folder = testing::TempDir();
  std::string path = folder + "/decode-test.png";
  std::ofstream(path, std::ios::binary) << readFile("rgb.png");
  auto image = loadImage(path);
  ASSERT_TRUE(image.ok()) << image.status().message();
  EXPECT_EQ(image->width, 7);
  // Upright, and without what is transparent.
  Image picture = decodeFile("rgb.png");
  for (const char *name : {"turned.png", "turned.webp", "rgba.png"}) {
    std::ofstream(path, std::ios::binary) << readFile(name);
    image = loadImage(path);
    ASSERT_TRUE(image.ok()) << image.status().message();
    EXPECT_EQ(image->width, 7) << name;
    EXPECT_EQ(image->channels, 3) << name;
    EXPECT_EQ(image->pixels, picture.pixels) << name;
  }
  EXPECT_EQ(loadImage(folder + "/none.png").status().code(),
            StatusCode::NotFound);
  EXPECT_EQ(loadImage(folder).status().code(), StatusCode::InvalidArgument);
}

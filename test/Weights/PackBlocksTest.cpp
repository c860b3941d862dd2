//===- PackBlocksTest.cpp - Weights that stay in blocks -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/Dequantize.h"
#include "runtime/Formats/Quantize.h"
#include "runtime/Support/CheckedMath.h"
#include "test/Weights/EvaluatorFixture.h"

#include <cmath>
#include <limits>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

std::string quantise(const std::string &dtype, const std::string &input) {
  return R"({"op":"quantise","dtype":")" + dtype + R"(","input":)" + input +
         "}";
}

std::string packBlocks(int64_t rows, const std::string &input) {
  return R"({"op":"pack_blocks","rows":)" + std::to_string(rows) +
         R"(,"input":)" + input + "}";
}

std::string unpackBlocks(const std::string &dtype, int64_t rows,
                         const std::string &input) {
  return R"({"op":"unpack_blocks","dtype":")" + dtype + R"(","rows":)" +
         std::to_string(rows) + R"(,"input":)" + input + "}";
}

class PackBlocksTest : public EvaluatorTest {
protected:
  /// The bytes of a program, read whole and again in pieces of whole blocks.
  std::vector<std::byte> bytesOf(const std::string &program) {
    auto node = parseWeightProgram(program);
    EXPECT_TRUE(node.ok()) << node.status().message();
    auto bound = bindProgram(
        *node, [&](const WeightNode &source) { return sources(source); });
    EXPECT_TRUE(bound.ok());
    const Evaluator &evaluator = **bound;
    std::vector<std::byte> whole(
        static_cast<size_t>(evaluator.bytes(evaluator.count())));
    std::vector<std::byte> pieces(whole.size());
    Scratch scratch;
    evaluator.read(0, evaluator.count(), whole.data(), scratch);
    int64_t unit = blockLength(evaluator.dtype());
    for (int64_t begin = 0; begin < evaluator.count();) {
      int64_t left = (evaluator.count() - begin) / unit;
      int64_t end =
          begin + unit * (1 + static_cast<int64_t>(sources.random()) % left);
      evaluator.read(begin, end, pieces.data() + evaluator.bytes(begin),
                     scratch);
      begin = end;
    }
    EXPECT_TRUE(whole == pieces) << program;
    return whole;
  }

  const std::vector<float> &valuesOf(const std::string &name) {
    return sources.decoded.at(name).values;
  }
};

struct Format {
  DType dtype;
  const char *name;
  double steps; ///< Of the largest magnitude: what a number is off by.
};
constexpr Format formats[] = {{DType::Q8_0, "q8_0", 254},
                              {DType::Q4_0, "q4_0", 8}};
/// Types of numbers that are searched for.
constexpr Format searched[] = {{DType::Q4_K, "q4_k", 0},
                               {DType::Q6_K, "q6_k", 0}};
/// The type whose rows have one scale.
constexpr Format ofRows{DType::Q8_ROW, "q8_row", 254};
constexpr Format everyFormat[] = {
    {DType::Q8_0, "q8_0", 0}, {DType::Q4_0, "q4_0", 0},
    {DType::Q5_0, "q5_0", 0}, {DType::Q4_K, "q4_k", 0},
    {DType::Q5_K, "q5_k", 0}, {DType::Q6_K, "q6_k", 0}};
constexpr Format fp8{DType::FP8_128, "fp8_128", 0};

TEST_F(PackBlocksTest, QuantisesRowsUpToWholeBlocks) {
  for (const Format &format :
       {formats[0], formats[1], searched[0], searched[1], ofRows})
    for (const char *dtype : {"f32", "bf16", "f16"})
      for (int64_t columns : {1, 31, 32, 33, 100, 2049, 4096}) {
        sources = Sources();
        std::string source = sources.add(*parseDType(dtype), {3, columns});
        std::vector<std::byte> blocks = bytesOf(quantise(format.name, source));
        int64_t length = blockLength(format.dtype);
        int64_t padded = ceilDiv(columns, length) * length;
        std::vector<float> row(static_cast<size_t>(padded));
        std::vector<std::byte> expected(
            static_cast<size_t>(*tensorBytes(format.dtype, {{padded}})));
        for (int64_t i = 0; i < 3; ++i) {
          std::copy_n(valuesOf("t0").begin() + i * columns, columns,
                      row.begin());
          quantizeFromF32(format.dtype, row.data(), padded, expected.data());
          EXPECT_EQ(std::memcmp(expected.data(),
                                blocks.data() + i * expected.size(),
                                expected.size()),
                    0)
              << format.name << " " << dtype << " " << columns;
        }
      }
}

TEST_F(PackBlocksTest, ErrorOfANumberIsBounded) {
  std::vector<float> values(320);
  for (const Format &format : formats)
    for (float magnitude : {1e-12f, 1e-6f, 1e-3f, 1.0f, 1000.0f}) {
      std::normal_distribution<float> normal(0, magnitude);
      for (float &value : values)
        value = normal(sources.random);
      std::vector<std::byte> blocks(
          static_cast<size_t>(*tensorBytes(format.dtype, {{320}})));
      quantizeFromF32(format.dtype, values.data(), 320, blocks.data());
      std::vector<float> back(320);
      decodeToF32(format.dtype, blocks.data(), 320, back.data());
      for (size_t i = 0; i < values.size(); ++i) {
        double largest = 0;
        for (size_t j = i / 32 * 32; j < i / 32 * 32 + 32; ++j)
          largest = std::max(largest, std::fabs(double(values[j])));
        // Half a step, or a whole one at the edge of four bits; the rounding
        // of the scale to f16; and that of the quotient in f32.
        double bound =
            largest * (1 / format.steps + 0x1p-11 + 0x1p-22) + 0x1p-18;
        EXPECT_LE(std::fabs(double(back[i]) - values[i]), bound);
      }
    }
}

TEST_F(PackBlocksTest, ErrorOfARowIsBounded) {
  std::vector<float> values(320);
  for (float magnitude : {0x1p-130f, 0x1p-110f, 1e-3f, 1.0f, 1e36f}) {
    std::normal_distribution<float> normal(0, magnitude);
    for (float &value : values)
      value = normal(sources.random);
    std::vector<std::byte> blocks(
        static_cast<size_t>(*tensorBytes(ofRows.dtype, {{320}})));
    quantizeFromF32(ofRows.dtype, values.data(), 320, blocks.data());
    std::vector<float> back(320);
    decodeToF32(ofRows.dtype, blocks.data(), 320, back.data());
    double largest = 0;
    for (float value : values)
      largest = std::max(largest, std::fabs(double(value)));
    // Of the smallest all codes are zero.
    double bound = largest * (1 / ofRows.steps + 0x1p-22);
    if (largest < 0x1p-119)
      bound = largest;
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_LE(std::fabs(double(back[i]) - values[i]), bound);
  }
}

TEST_F(PackBlocksTest, WhatIsNoNumberMakesItsRowNone) {
  std::string source = sources.add(DType::F32, {3, 200});
  auto *values = reinterpret_cast<float *>(sources.stored["t0"].data());
  values[205] = std::numeric_limits<float>::infinity();
  std::vector<std::byte> blocks = bytesOf(quantise(ofRows.name, source));
  std::vector<float> back(3 * 256);
  decodeToF32(ofRows.dtype, blocks.data(), 3 * 256, back.data());
  for (size_t i = 0; i < back.size(); ++i)
    EXPECT_EQ(std::isnan(back[i]), i / 256 == 1) << i;
}

TEST_F(PackBlocksTest, WhatIsNoNumberMakesItsBlockNone) {
  std::string source = sources.add(DType::F32, {1, 96});
  auto *values = reinterpret_cast<float *>(sources.stored["t0"].data());
  values[40] = std::numeric_limits<float>::quiet_NaN();
  values[70] = std::numeric_limits<float>::infinity();
  for (const Format &format : formats) {
    std::vector<std::byte> blocks = bytesOf(quantise(format.name, source));
    std::vector<float> back(96);
    decodeToF32(format.dtype, blocks.data(), 96, back.data());
    for (size_t i = 0; i < 96; ++i)
      EXPECT_EQ(std::isnan(back[i]), i >= 32) << i;
  }
}

TEST_F(PackBlocksTest, WhatIsNoNumberMakesItsLongBlockNone) {
  std::string source = sources.add(DType::F32, {1, 768});
  auto *values = reinterpret_cast<float *>(sources.stored["t0"].data());
  values[300] = std::numeric_limits<float>::infinity();
  for (const Format &format : searched) {
    std::vector<std::byte> blocks = bytesOf(quantise(format.name, source));
    std::vector<float> back(768);
    decodeToF32(format.dtype, blocks.data(), 768, back.data());
    for (size_t i = 0; i < 768; ++i)
      EXPECT_EQ(std::isnan(back[i]), i / 256 == 1) << i;
  }
}

/// Where docs/rationale/packed-weights.md says that scales and codes are.
TEST_F(PackBlocksTest, PanelsHoldScalesAndCodes) {
  for (const Format &format : formats)
    for (int64_t panelRows : {16, 32})
      for (int64_t rows : {1, 16, 40}) {
        sources = Sources();
        constexpr int64_t columns = 96;
        std::vector<std::byte> packed = bytesOf(
            packBlocks(panelRows, sources.add(format.dtype, {rows, columns})));
        const std::vector<std::byte> &stored = sources.stored["t0"];
        int64_t block = bytesPerBlock(format.dtype);
        auto byteAt = [](const std::vector<std::byte> &bytes, int64_t at) {
          return std::to_integer<int>(bytes[static_cast<size_t>(at)]);
        };
        ASSERT_EQ(static_cast<int64_t>(packed.size()),
                  ceilDiv(rows, panelRows) * panelRows * columns / 32 * block);
        for (int64_t row = 0; row < rows; ++row)
          for (int64_t group = 0; group < columns / 32; ++group) {
            int64_t from = (row * columns / 32 + group) * block;
            int64_t at =
                (row / panelRows * (columns / 32) + group) * panelRows * block;
            int64_t inPanel = row % panelRows;
            for (int64_t i = 0; i < 2; ++i)
              EXPECT_EQ(byteAt(packed, at + 2 * inPanel + i),
                        byteAt(stored, from + i));
            for (int64_t i = 0; i < block - 2; ++i) {
              int code = byteAt(stored, from + 2 + i);
              if (format.dtype == DType::Q8_0)
                code = static_cast<int8_t>(code) + 128;
              EXPECT_EQ(byteAt(packed, at + (2 + i / 4 * 4) * panelRows +
                                           4 * inPanel + i % 4),
                        code);
            }
          }
        // What fills the last panel is zero.
        int64_t filled = (rows - 1) % panelRows + 1;
        if (filled < panelRows)
          EXPECT_EQ(byteAt(packed, static_cast<int64_t>(packed.size()) - 1), 0);
      }
}

/// The numbers of a row of a panel of one block of columns, read as
/// runtime/Weights/PackedBlocks.h describes it.
class PanelReader {
public:
  PanelReader(DType dtype, const std::byte *block, int64_t rows, int64_t row)
      : dtype(dtype), block(block), rows(rows), row(row) {}

  std::vector<float> numbers() {
    bool isLong = blockLength(dtype) == 256;
    bool hasMinimum = dtype == DType::Q4_K || dtype == DType::Q5_K;
    float d = 0, dmin = 0;
    uint32_t tops = 0;
    if (isLong)
      d = f16ToF32(field<uint16_t>());
    if (hasMinimum) {
      dmin = f16ToF32(field<uint16_t>());
      tops = field<uint32_t>();
    }
    std::vector<float> result;
    for (int64_t group = 0; group < blockLength(dtype) / 32; ++group) {
      float scales[2], minimum = 0;
      if (!isLong) {
        scales[0] = scales[1] = f16ToF32(field<uint16_t>());
      } else if (hasMinimum) {
        uint32_t low = field<uint8_t>(), high = tops >> (4 * group);
        scales[0] = scales[1] =
            d * static_cast<float>((low & 15) | (high & 3) << 4);
        minimum = dmin * static_cast<float>(low >> 4 | (high >> 2 & 3) << 4);
      } else {
        scales[0] = d * field<int8_t>();
        scales[1] = d * field<int8_t>();
      }
      std::vector<int> codes = group32();
      for (size_t i = 0; i < 32; ++i)
        result.push_back(static_cast<float>(codes[i]) * scales[i / 16] -
                         minimum);
    }
    return result;
  }

private:
  template <typename T> T field() {
    T value;
    std::memcpy(&value, block + at + static_cast<int64_t>(sizeof(T)) * row,
                sizeof(T));
    at += rows * static_cast<int64_t>(sizeof(T));
    return value;
  }
  std::vector<int> group32() {
    std::vector<int> codes(32);
    auto byteOf = [](uint32_t word, size_t byte) {
      return static_cast<int>(word >> (8 * byte) & 255);
    };
    bool isEight = dtype == DType::Q8_0;
    for (size_t run = 0; run < (isEight ? 8 : 4); ++run) {
      auto word = field<uint32_t>();
      for (size_t b = 0; b < 4; ++b) {
        if (isEight) {
          codes[4 * run + b] = byteOf(word, b) - 128;
          continue;
        }
        codes[4 * run + b] = byteOf(word, b) & 15;
        codes[16 + 4 * run + b] = byteOf(word, b) >> 4;
      }
    }
    if (dtype == DType::Q5_0 || dtype == DType::Q5_K) {
      auto word = field<uint32_t>();
      for (size_t i = 0; i < 32; ++i)
        codes[i] |= (byteOf(word, i % 4) >> (i / 4) & 1) << 4;
    }
    if (dtype == DType::Q6_K)
      for (size_t half = 0; half < 2; ++half) {
        auto word = field<uint32_t>();
        for (size_t run = 2 * half; run < 2 * half + 2; ++run)
          for (size_t b = 0; b < 4; ++b) {
            int bits = byteOf(word, b) >> (run % 2 * 2);
            codes[4 * run + b] |= (bits & 3) << 4;
            codes[16 + 4 * run + b] |= (bits >> 4 & 3) << 4;
          }
      }
    int zero = dtype == DType::Q4_0   ? 8
               : dtype == DType::Q5_0 ? 16
               : dtype == DType::Q6_K ? 32
                                      : 0;
    for (int &code : codes)
      code -= zero;
    return codes;
  }

  DType dtype;
  const std::byte *block;
  int64_t rows, row, at = 0;
};

/// Blocks of random bits whose halves are numbers.
void makeFinite(DType dtype, std::vector<std::byte> &blocks) {
  auto size = static_cast<size_t>(bytesPerBlock(dtype));
  for (size_t at = dtype == DType::Q6_K ? 208 : 0; at < blocks.size();
       at += size) {
    blocks[at + 1] &= std::byte(0xbf);
    if (dtype == DType::Q4_K || dtype == DType::Q5_K)
      blocks[at + 3] &= std::byte(0xbf);
  }
}

TEST_F(PackBlocksTest, PanelsStandForWhatTheirBlocksDo) {
  constexpr int64_t rows = 40, columns = 512;
  for (const Format &format : everyFormat)
    for (int64_t panelRows : {16, 32}) {
      sources = Sources();
      std::string source = sources.add(format.dtype, {rows, columns});
      std::vector<std::byte> &stored = sources.stored["t0"];
      for (std::byte &byte : stored)
        byte = std::byte(sources.random());
      makeFinite(format.dtype, stored);
      std::vector<std::byte> packed = bytesOf(packBlocks(panelRows, source));
      std::vector<float> expected(rows * columns);
      decodeToF32(format.dtype, stored.data(), rows * columns, expected.data());
      int64_t length = blockLength(format.dtype),
              bytes = bytesPerBlock(format.dtype);
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t block = 0; block < columns / length; ++block) {
          int64_t at = (row / panelRows * (columns / length) + block) *
                       panelRows * bytes;
          const float *from = expected.data() + row * columns + block * length;
          EXPECT_EQ(PanelReader(format.dtype, packed.data() + at, panelRows,
                                row % panelRows)
                        .numbers(),
                    std::vector<float>(from, from + length))
              << format.name << " row " << row << " block " << block;
        }
    }
}

TEST_F(PackBlocksTest, BlocksComeBack) {
  for (const Format &format : everyFormat)
    for (int64_t panelRows : {16, 48}) {
      sources = Sources();
      std::string matrix = sources.add(format.dtype, {50, 512}),
                  stack = sources.add(format.dtype, {3, 17, 256});
      // Every bit of them.
      for (auto &[name, bytes] : sources.stored)
        for (std::byte &byte : bytes)
          byte = std::byte(sources.random());
      for (const auto &[source, name, rows] :
           {std::tuple(matrix, "t0", 50), std::tuple(stack, "t1", 17)})
        EXPECT_TRUE(bytesOf(unpackBlocks(format.name, rows,
                                         packBlocks(panelRows, source))) ==
                    sources.stored[name]);
    }
}

/// A panel has the scales of its rows, and behind them words of four columns.
TEST_F(PackBlocksTest, PanelsOfRowsHoldOneScale) {
  for (int64_t panelRows : {16, 32})
    for (int64_t rows : {1, 16, 40}) {
      sources = Sources();
      constexpr int64_t columns = 192;
      std::string made =
          quantise(ofRows.name, sources.add(DType::F32, {rows, 150}));
      std::vector<std::byte> blocks = bytesOf(made),
                             packed = bytesOf(packBlocks(panelRows, made));
      int64_t rowBytes = 4 + columns, panel = panelRows * rowBytes;
      ASSERT_EQ(static_cast<int64_t>(packed.size()),
                ceilDiv(rows, panelRows) * panel);
      for (int64_t row = 0; row < rows; ++row) {
        const std::byte *from = blocks.data() + row * columns / 64 * 68;
        const std::byte *at = packed.data() + row / panelRows * panel;
        int64_t inPanel = row % panelRows;
        EXPECT_EQ(std::memcmp(at + 4 * inPanel, from, 4), 0);
        for (int64_t i = 0; i < columns; ++i)
          EXPECT_EQ(
              std::to_integer<int>(at[4 * panelRows + i / 4 * 4 * panelRows +
                                      4 * inPanel + i % 4]),
              std::to_integer<int8_t>(from[i / 64 * 68 + 4 + i % 64]) + 128);
      }
      EXPECT_TRUE(bytesOf(unpackBlocks(ofRows.name, rows,
                                       packBlocks(panelRows, made))) == blocks);
    }
}

TEST_F(PackBlocksTest, StacksOfRowsComeBack) {
  std::string made =
      quantise(ofRows.name, sources.add(DType::BF16, {3, 17, 200}));
  EXPECT_TRUE(bytesOf(unpackBlocks(ofRows.name, 17, packBlocks(32, made))) ==
              bytesOf(made));
}

std::string scaledBlocks(const std::string &block, const std::string &codes,
                         const std::string &scales) {
  return R"({"op":"scaled_blocks","block":)" + block + R"(,"inputs":[)" +
         codes + "," + scales + "]}";
}

/// Codes and scales in blocks are the numbers that scaled codes are; scales of
/// blocks of rows and columns, and of rows that end within a block.
TEST_F(PackBlocksTest, CodesOfFP8StayWhatTheyAre) {
  for (const auto &[block, columns, shape] :
       {std::tuple("[128,128]", 256, std::vector<int64_t>{2, 2}),
        {"[1,160]", 160, {150, 1}},
        {"[64,256]", 384, {3, 2}}}) {
    sources = Sources();
    std::string codes = sources.add(DType::F8_E4M3, {150, columns}),
                scales = sources.add(DType::F32, shape);
    std::string blocks = scaledBlocks(block, codes, scales);
    std::vector<std::byte> stored = bytesOf(blocks);
    int64_t padded = (columns + 127) / 128 * 128;
    std::vector<float> found(150 * padded);
    decodeToF32(DType::FP8_128, stored.data(), 150 * padded, found.data());
    std::vector<std::byte> expected =
        bytesOf(R"({"op":"scale","block":)" + std::string(block) +
                R"(,"inputs":[)" + codes + "," + scales + "]}");
    for (int64_t row = 0; row < 150; ++row) {
      EXPECT_EQ(0, std::memcmp(found.data() + row * padded,
                               expected.data() + row * columns * 4,
                               static_cast<size_t>(columns) * 4));
      for (int64_t i = columns; i < padded; ++i)
        EXPECT_EQ(found[row * padded + i], 0);
    }
    EXPECT_TRUE(bytesOf(unpackBlocks(fp8.name, 150, packBlocks(16, blocks))) ==
                stored);
  }
}

TEST_F(PackBlocksTest, ACodeThatIsNoNumberMakesItsBlockNone) {
  std::string codes = sources.add(DType::F8_E4M3, {1, 256}),
              scales = sources.add(DType::F32, {1, 1});
  for (std::byte &code : sources.stored["t0"])
    code = std::byte(0x38);
  sources.stored["t0"][200] = std::byte(0xff);
  std::vector<std::byte> stored =
      bytesOf(scaledBlocks("[1,256]", codes, scales));
  std::vector<float> found(256);
  decodeToF32(DType::FP8_128, stored.data(), 256, found.data());
  for (size_t i = 0; i < found.size(); ++i)
    EXPECT_EQ(std::isnan(found[i]), i >= 128);
}

TEST_F(PackBlocksTest, PacksWhatMovesAndIsQuantised) {
  std::string a = sources.add(DType::Q8_0, {24, 64}),
              b = sources.add(DType::Q8_0, {8, 64}),
              c = sources.add(DType::BF16, {8, 50});
  std::string all = R"({"op":"concat","axis":0,"inputs":[)" + a + "," + b +
                    "," + quantise("q8_0", c) + "]}";
  EXPECT_TRUE(bytesOf(unpackBlocks("q8_0", 40, packBlocks(16, all))) ==
              bytesOf(all));
}

TEST_F(PackBlocksTest, RowsOfBlocksChangeTheirOrder) {
  std::string a = sources.add(DType::Q4_0, {3, 4, 5, 64});
  expectMatches(
      cast("f32", R"({"op":"transpose","perm":[2,0,1,3],"input":)" + a + "}"));
}

void expectRejected(const std::string &text, const std::string &message) {
  auto node = parseWeightProgram(text);
  ASSERT_FALSE(node.ok()) << text;
  expectError(node.status(), StatusCode::InvalidArgument, message);
}

TEST_F(PackBlocksTest, RejectsOtherTypesAndShapes) {
  std::string f32 = Sources::json("w", DType::F32, {16, 32}),
              q8 = Sources::json("w", DType::Q8_0, {16, 32}),
              u8 = Sources::json("w", DType::U8, {2, 3, 544});
  expectRejected(quantise("q5_k", f32), "'quantise': cannot quantise to Q5_K, "
                                        "expected q8_0, q4_0, q4_k, q6_k or "
                                        "q8_row");
  expectRejected(quantise("q8_0", q8),
                 "'quantise': the input is Q8_0 [16, 32], expected dtype f32, "
                 "bf16 or f16; cast it first");
  expectRejected(quantise("q8_0", Sources::json("w", DType::F32, {})),
                 "'quantise': the input is F32 [], expected an axis");
  expectRejected(packBlocks(24, q8), "'pack_blocks': 'rows' is 24, expected a "
                                     "positive multiple of 16");
  expectRejected(packBlocks(0, q8), "'pack_blocks': 'rows' is 0, expected a "
                                    "positive multiple of 16");
  expectRejected(packBlocks(16, f32),
                 "'pack_blocks': the input is F32 [16, 32], expected two or "
                 "three axes and dtype q8_0, q4_0, q5_0, q4_k, q5_k, q6_k, "
                 "q8_row or fp8_128");
  expectRejected(packBlocks(16, Sources::json("w", DType::Q8_0, {32})),
                 "'pack_blocks': the input is Q8_0 [32], expected two or "
                 "three axes and dtype q8_0, q4_0, q5_0, q4_k, q5_k, q6_k, "
                 "q8_row or fp8_128");
  expectRejected(unpackBlocks("q3_k", 20, u8),
                 "'unpack_blocks': cannot unpack Q3_K, expected q8_0, q4_0, "
                 "q5_0, q4_k, q5_k, q6_k, q8_row or fp8_128");
  expectRejected(
      scaledBlocks("[1,16]", Sources::json("w", DType::F8_E4M3, {16, 32}),
                   Sources::json("s", DType::F32, {16, 2})),
      "'scaled_blocks': the input is F8_E4M3 [16, 32] in blocks of [1, 16], "
      "expected f8_e4m3 with scales of 128 columns or all");
  expectRejected(unpackBlocks("q4_0", 20, u8),
                 "'unpack_blocks': the input is U8 [2, 3, 544], expected U8 "
                 "of three or four axes, the last a multiple of 288");
  expectRejected(unpackBlocks("q8_0", 33, u8),
                 "'unpack_blocks': 'rows' is 33, which do not fill 2 panels "
                 "of 16");
}

TEST_F(PackBlocksTest, RowsWithOneScaleStayWhole) {
  std::string rows = Sources::json("w", DType::Q8_ROW, {16, 128});
  auto reshaped = [&](const std::string &shape) {
    return R"({"op":"reshape","shape":)" + shape + R"(,"input":)" + rows + "}";
  };
  EXPECT_TRUE(parseWeightProgram(reshaped("[2,8,128]")).ok());
  expectRejected(reshaped("[8,256]"),
                 "'reshape': shape [8, 256] does not have the rows of Q8_ROW "
                 "[16, 128], which have a scale each; cast it first");
  expectRejected(R"({"op":"concat","axis":1,"inputs":[)" + rows + "," + rows +
                     "]}",
                 "'concat': inputs are Q8_ROW [16, 128], whose rows have a "
                 "scale each; cast them first");
  expectRejected(
      unpackBlocks("q8_row", 16, Sources::json("w", DType::U8, {1, 16, 128})),
      "'unpack_blocks': the input is U8 [1, 16, 128], expected U8 of three or "
      "four axes, the last but one a multiple of 16, the last 4 and a multiple "
      "of 64");
  expectRejected(
      unpackBlocks("q8_row", 17, Sources::json("w", DType::U8, {1, 16, 132})),
      "'unpack_blocks': 'rows' is 17, which do not fill 1 panels of 16");
}

} // namespace

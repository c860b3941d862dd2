//===- QuantisedTest.cpp - Operations of quantised sources ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/Weights/EvaluatorFixture.h"

#include <sys/mman.h>
#include <unistd.h>

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

std::string blockwise(const std::string &op, const std::string &block,
                      const std::string &input, const std::string &numbers) {
  return R"({"op":")" + op + R"(","block":)" + block + R"(,"inputs":[)" +
         input + "," + numbers + "]}";
}
std::string bitcast(const std::string &dtype, const std::string &input) {
  return R"({"op":"bitcast","dtype":")" + dtype + R"(","input":)" + input + "}";
}
std::string gather(const std::string &table, const std::string &index) {
  return R"({"op":"gather","inputs":[)" + table + "," + index + "]}";
}
std::string castTo(const std::string &dtype, const std::string &input) {
  return R"({"op":"cast","dtype":")" + dtype + R"(","input":)" + input + "}";
}
std::string slice(int axis, int64_t begin, int64_t end,
                  const std::string &input) {
  return R"({"op":"slice","axis":)" + std::to_string(axis) + R"(,"begin":)" +
         std::to_string(begin) + R"(,"end":)" + std::to_string(end) +
         R"(,"input":)" + input + "}";
}
std::string turned(const std::string &input) {
  return R"({"op":"transpose","perm":[1,0],"input":)" + input + "}";
}
std::string table(int64_t count) {
  std::string values;
  for (int64_t i = 0; i < count; ++i)
    values += (i ? "," : "") + std::to_string(i * i % 37 - 11) + ".25";
  return R"({"op":"constant","shape":[)" + std::to_string(count) +
         R"(],"values":[)" + values + "]}";
}

TEST_F(EvaluatorTest, ScaleOfBlocks) {
  // Ragged both ways, and longer than a piece.
  std::string a = sources.add(DType::F8_E4M3, {200, 300});
  std::string wide = sources.add(DType::F8_E5M2, {3, 5000});
  std::string thin = sources.add(DType::I8, {7, 3});
  for (DType dtype : {DType::F32, DType::BF16, DType::F8_E8M0}) {
    expectMatches(
        blockwise("scale", "[128,128]", a, sources.add(dtype, {2, 3})));
    expectMatches(
        blockwise("scale", "[1,32]", a, sources.add(dtype, {200, 10})));
    expectMatches(
        blockwise("scale", "[200,300]", a, sources.add(dtype, {1, 1})));
    expectMatches(
        blockwise("scale", "[1,1000]", wide, sources.add(dtype, {3, 5})));
    expectMatches(
        blockwise("scale", "[2,2]", thin, sources.add(dtype, {4, 2})));
    expectMatches(
        blockwise("scale", "[1,1]", thin, sources.add(dtype, {7, 3})));
    expectMatches(
        blockwise("scale", "[7,99]", thin, sources.add(dtype, {1, 1})));
  }
}

TEST_F(EvaluatorTest, ScaleOfOtherRanks) {
  std::string cube = sources.add(DType::F8_E4M3, {3, 50, 70});
  expectMatches(blockwise("scale", "[1,16,32]", cube,
                          sources.add(DType::F32, {3, 4, 3})));
  expectMatches(blockwise("scale", "[2,50,70]", cube,
                          sources.add(DType::F32, {2, 1, 1})));
  expectMatches(blockwise("scale", "[64]", sources.add(DType::BF16, {1000}),
                          sources.add(DType::F32, {16})));
}

TEST_F(EvaluatorTest, Subtract) {
  std::string codes = sources.add(DType::U8, {9, 130});
  expectMatches(
      blockwise("subtract", "[1,32]", codes, sources.add(DType::U8, {9, 5})));
  expectMatches(
      blockwise("subtract", "[3,130]", codes, sources.add(DType::I8, {3, 1})));
}

TEST_F(EvaluatorTest, Divide) {
  std::string scales = sources.add(DType::F8_E4M3, {9, 130});
  expectMatches(
      blockwise("divide", "[1,32]", scales, sources.add(DType::F32, {9, 5})));
  expectMatches(
      blockwise("divide", "[9,130]", scales, sources.add(DType::F32, {1, 1})));
}

TEST_F(EvaluatorTest, BlockScale) {
  auto scale = [](const std::string &block, const std::string &more,
                  const std::string &input) {
    return R"({"op":"block_scale","block":)" + block + R"(,"largest":)" + more +
           R"(,"input":)" + input + "}";
  };
  std::string a = sources.add(DType::BF16, {200, 300});
  std::string zero = R"({"op":"constant","shape":[4],"values":[0,0,0,0]})";
  expectMatches(scale("[128,128]", R"(448,"dtype":"f32")", a));
  expectMatches(scale("[1,32]", R"(7.5,"dtype":"bf16")", a));
  expectMatches(scale("[1,32]", R"(7.5,"dtype":"f16")",
                      sources.add(DType::F32, {3, 5000})));
  expectMatches(scale("[1,16,16]", R"(7.5,"dtype":"f32")",
                      sources.add(DType::F32, {3, 50, 70})));
  expectMatches(
      scale("[2,2]", R"(448,"dtype":"f32")",
            R"({"op":"reshape","shape":[2,2],"input":)" + zero + "}"));
}

TEST_F(EvaluatorTest, Encode) {
  auto encode = [](const char *dtype, const std::string &input) {
    return R"({"op":"encode","dtype":")" + std::string(dtype) +
           R"(","input":)" + input + "}";
  };
  std::string wide = sources.add(DType::F32, {3, 5000});
  std::string small =
      blockwise("divide", "[3,5000]", wide,
                R"({"op":"reshape","shape":[1,1],"input":)"
                R"({"op":"constant","shape":[1],"values":[90]}})");
  for (const std::string &input : {wide, small})
    for (const char *dtype : {"f8_e4m3", "i32", "i64"})
      expectMatches(encode(dtype, input));
}

TEST_F(EvaluatorTest, ScalesThatRowsShareAreReadOnce) {
  std::string codes = sources.add(DType::F8_E4M3, {2, 64, 96}),
              scales = sources.add(DType::F32, {2, 2, 3});
  auto node = parseWeightProgram(
      R"({"op":"pack","rows":16,"inner":2,"input":)" +
      cast("bf16", blockwise("scale", "[1,32,32]", codes, scales)) + "}");
  ASSERT_OK(node);
  auto bound = bindProgram(
      *node, [&](const WeightNode &source) { return sources(source); });
  ASSERT_OK(bound);
  const Evaluator &evaluator = **bound;
  Scratch scratch;
  takeSourceBytes();
  int64_t step = evaluator.granule();
  std::vector<std::byte> out(static_cast<size_t>(evaluator.bytes(step)));
  for (int64_t begin = 0; begin < evaluator.count(); begin += step)
    evaluator.read(begin, begin + step, out.data(), scratch);
  EXPECT_EQ(takeSourceBytes(), 2 * 64 * 96 + 2 * 2 * 3 * 4);
}

TEST_F(EvaluatorTest, Bitcast) {
  std::string bytes = sources.add(DType::U8, {5, 33});
  std::string words = sources.add(DType::I32, {5, 9});
  for (const char *dtype : {"u4", "u4_high", "f4"}) {
    expectMatches(cast("f32", bitcast(dtype, bytes)));
    expectMatches(cast("f32", bitcast(dtype, words)));
    expectMatches(cast("f32", slice(1, 4, 12, bitcast(dtype, words))));
  }
  expectMatches(cast("f32", bitcast("u8", words)));
  expectMatches(
      cast("f32", bitcast("f8_e8m0", sources.add(DType::F8_E8M0, {6}))));
  expectMatches(cast("bf16", slice(0, 1, 4, bitcast("f4", words))));
}

TEST_F(EvaluatorTest, BitcastIsInPlace) {
  std::string words = sources.add(DType::I32, {4, 2});
  auto node = parseWeightProgram(bitcast("u8", words));
  ASSERT_OK(node);
  auto bound = bindProgram(
      *node, [&](const WeightNode &source) { return sources(source); });
  ASSERT_OK(bound);
  EXPECT_EQ((*bound)->direct(3, 7), sources.stored["t0"].data() + 3);
}

TEST_F(EvaluatorTest, Constant) {
  expectMatches(table(256));
  auto node =
      parseWeightProgram(R"({"op":"constant","shape":[2],"values":[-0.0, 1]})");
  ASSERT_OK(node);
  EXPECT_TRUE(std::signbit(node->values[0]));
}

TEST_F(EvaluatorTest, GatherByIndex) {
  for (DType dtype : {DType::I32, DType::I64}) {
    std::string index = sources.addIndex(dtype, {2, 0, 0, 3, 1, 3});
    expectMatches(gather(sources.add(DType::F16, {4, 70}), index));
    expectMatches(gather(sources.add(DType::F32, {5}), index));
    expectMatches(gather(sources.add(DType::BF16, {4, 3, 2}), index));
    expectMatches(turned(gather(sources.add(DType::F32, {4, 9}), index)));
    std::string several =
        sources.addIndex(dtype, {2, 0, 1, 1, 2, 2, 0, 0}, {2, 4});
    expectMatches(gather(sources.add(DType::F16, {2, 3, 70}), several));
    expectMatches(gather(sources.add(DType::F32, {2, 3}), several));
  }
}

TEST_F(EvaluatorTest, GatherByCodes) {
  expectMatches(gather(table(256), sources.add(DType::U8, {7, 999})));
  std::string bytes = sources.add(DType::U8, {3, 1700});
  for (const char *dtype : {"u4", "u4_high"})
    expectMatches(gather(table(16), bitcast(dtype, bytes)));
  expectMatches(gather(sources.add(DType::F32, {16}), bitcast("u4", bytes)));
}

TEST_F(EvaluatorTest, CodesThatArePackedDownTheRows) {
  // As GPTQ has it: [rows / 8, columns] words, groups of rows, an index.
  std::string codes =
      R"({"op":"reshape","shape":[16,5],"input":)"
      R"({"op":"transpose","perm":[0,2,1],"input":)" +
      cast("f32", bitcast("u4", sources.add(DType::I32, {2, 5, 1}))) + "}}";
  std::vector<int64_t> groups = {0, 3, 1, 2, 0, 1, 3, 2,
                                 0, 0, 1, 1, 2, 2, 3, 3};
  std::string index = sources.addIndex(DType::I32, groups);
  std::string zeros = gather(sources.add(DType::F32, {4, 5}), index);
  std::string scales = gather(sources.add(DType::F16, {4, 5}), index);
  std::string weight = turned(cast(
      "f16", blockwise("scale", "[1,1]",
                       blockwise("subtract", "[1,1]", codes, zeros), scales)));
  expectMatches(weight);
  expectMatches(pack(4, 2, weight));
  expectMatches(slice(0, 1, 3, weight));
}

TEST_F(EvaluatorTest, PackOfScaledRows) {
  std::string a = sources.add(DType::F8_E4M3, {37, 300});
  std::string s = sources.add(DType::F32, {3, 5});
  std::string scaled = blockwise("scale", "[16,64]", a, s);
  expectMatches(pack(16, 2, cast("bf16", scaled)));
  expectMatches(pack(8, 1, slice(1, 50, 260, scaled)));
  expectMatches(turned(scaled));
}

TEST(Quantised, SliceReadsItsOwnBytesOnly) {
  // Three rows of a page each; the first and the last cannot be read.
  size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void *memory = ::mmap(nullptr, 3 * page, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto *bytes = static_cast<std::byte *>(memory);
  std::fill(bytes, bytes + 3 * page, std::byte(0x38)); // 1 in E4M3
  ASSERT_EQ(::mprotect(bytes, page, PROT_NONE), 0);
  ASSERT_EQ(::mprotect(bytes + 2 * page, page, PROT_NONE), 0);

  std::string shape = "[3," + std::to_string(page) + "]";
  std::string weight =
      R"({"op":"source","name":"w","dtype":"f8_e4m3","shape":)" + shape + "}";
  std::string scale =
      R"({"op":"source","name":"s","dtype":"f32","shape":[3,1]})";
  auto node = parseWeightProgram(
      slice(0, 1, 2, blockwise("scale", "[1,4096]", weight, scale)));
  ASSERT_OK(node);
  std::vector<float> scales = {2, 3, 4};
  auto bound =
      bindProgram(*node, [&](const WeightNode &source) -> StatusOr<ByteSpan> {
        return source.name == "w" ? ByteSpan(bytes, 3 * page) : bytesOf(scales);
      });
  ASSERT_OK(bound);
  Scratch scratch;
  std::vector<float> result(page);
  (*bound)->read(0, static_cast<int64_t>(page),
                 reinterpret_cast<std::byte *>(result.data()), scratch);
  EXPECT_EQ(result, std::vector<float>(page, 3.0f));
  ::munmap(memory, 3 * page);
}

TEST_F(EvaluatorTest, IndexOutsideOfItsTable) {
  for (int64_t wrong : {-1, 4}) {
    std::string index = sources.addIndex(DType::I32, {0, wrong});
    std::string name = "t" + std::to_string(sources.decoded.size() - 1);
    auto node =
        parseWeightProgram(gather(sources.add(DType::F32, {4, 2}), index));
    ASSERT_OK(node);
    auto bound = bindProgram(
        *node, [&](const WeightNode &source) { return sources(source); });
    expectError(bound.status(), StatusCode::InvalidArgument,
                "element 1 of the index '" + name + "' is " +
                    std::to_string(wrong) + ", expected 0 to 3");
  }
}

//===----------------------------------------------------------------------===//
// Programs that are refused
//===----------------------------------------------------------------------===//

std::string source(const std::string &dtype, const std::string &shape,
                   const std::string &name = "t") {
  return R"({"op":"source","name":")" + name + R"(","dtype":")" + dtype +
         R"(","shape":)" + shape + "}";
}

void expectRejected(const std::string &text, const std::string &message) {
  auto node = parseWeightProgram(text);
  ASSERT_FALSE(node.ok()) << text;
  expectError(node.status(), StatusCode::InvalidArgument, message);
}

TEST(Quantised, RejectsBlocks) {
  std::string w = source("f8_e4m3", "[200,300]", "w"),
              s = source("f32", "[2,2]", "w.scale");
  expectRejected(blockwise("scale", "[128,128]", w, s),
                 "'scale': tensor 'w.scale' gives F32 [2, 2] for blocks of "
                 "[128, 128] of F8_E4M3 [200, 300], expected [2, 3]");
  expectRejected(
      blockwise("subtract", "[128,128]", w, source("f32", "[6]", "z")),
      "'subtract': tensor 'z' gives F32 [6] for blocks of [128, 128] "
      "of F8_E4M3 [200, 300], expected [2, 3]");
  expectRejected(blockwise("scale", "[0,128]", w, s),
                 "'scale': 'block' is [0, 128], expected positive sizes");
  expectRejected(blockwise("scale", "[128]", w, s),
                 "'scale': 'block' is [128], expected a size for each axis of "
                 "F8_E4M3 [200, 300]");
  expectRejected(
      blockwise("scale", "[]", source("f32", "[]"), source("f32", "[]")),
      "'scale': 'block' is [], expected a size for each axis of F32 "
      "[]");
  expectRejected(blockwise("scale", "[-1,1]", w, s),
                 "'scale': expected 'block' from 0 to 281474976710656 in each "
                 "element, got '-1'");
  expectRejected(blockwise("scale", "[1,1]", source("q8_0", "[2,32]"), s),
                 "'scale': an input is Q8_0 [2, 32], expected a plain dtype; "
                 "cast it first");
  expectRejected(R"({"op":"scale","block":[1],"inputs":[)" + w + "]}",
                 "'scale': expected two 'inputs', got one");
  expectRejected(R"({"op":"scale","block":[1],"inputs":[]})",
                 "'scale': expected 'inputs', an array of programs");
  expectRejected(R"({"op":"scale","inputs":[)" + w + "," + s + "]}",
                 "'scale': expected 'block', an array of integers");
  expectRejected(blockwise("divide", "[128,128]", w, source("f32", "[6]", "z")),
                 "'divide': tensor 'z' gives F32 [6] for blocks of [128, 128] "
                 "of F8_E4M3 [200, 300], expected [2, 3]");
  expectRejected(R"({"op":"subtract","blocks":[1]})",
                 "'subtract': unknown key 'blocks'");
}

TEST(Quantised, RejectsBitcasts) {
  expectRejected(bitcast("i32", source("u8", "[4]")),
                 "'bitcast': the input is U8 [4], whose elements do not divide "
                 "into those of I32");
  expectRejected(
      bitcast("q4_0", source("i32", "[4]")),
      "'bitcast': the input is I32 [4], whose elements do not divide "
      "into those of Q4_0");
  expectRejected(bitcast("u8", source("q8_0", "[32]")),
                 "'bitcast': the input is Q8_0 [32], whose elements do not "
                 "divide into those of U8");
  expectRejected(bitcast("u4", source("u8", "[]")),
                 "'bitcast': the input is U8 [], expected an axis that its "
                 "elements divide along");
  expectRejected(bitcast("u4", source("i64", "[281474976710656,4096]")),
                 "'bitcast': 'source': no tensor can be I64 [281474976710656, "
                 "4096]: its size does not fit in 63 bits");
}

TEST(Quantised, RejectsSizesThatDoNotFit) {
  // 2^62 bytes as codes would be 2^63 elements, 2^60 as f32 2^62 bytes and
  // more.
  expectRejected(castTo("f32", source("u8", "[1099511627776,4194304]")),
                 "'cast': no tensor can be F32 [1099511627776, 4194304]: its "
                 "size does not "
                 "fit in 63 bits");
  expectRejected(
      bitcast("u4", source("u8", "[281474976710656,16384]")),
      "'bitcast': no tensor can be U4 [281474976710656, 32768]: its size does "
      "not fit in 63 bits");
  expectRejected(
      gather(source("f32", "[2,281474976710656]"), source("i32", "[1048576]")),
      "'gather': no tensor can be F32 [1048576, 281474976710656]: its size "
      "does "
      "not fit in 63 bits");
}

TEST(Quantised, RejectsEncodings) {
  auto scale = [](const std::string &block, const std::string &more) {
    return R"({"op":"block_scale","block":)" + block + R"(,"largest":)" + more +
           R"(,"input":)" + source("f32", "[4,6]") + "}";
  };
  expectRejected(scale("[2,2]", R"(0,"dtype":"f32")"),
                 "'block_scale': 'dtype' is F32 and 'largest' 0.000000, "
                 "expected f32, bf16 or f16 and a positive number");
  expectRejected(scale("[2,2]", R"(7,"dtype":"i8")"),
                 "'block_scale': 'dtype' is I8 and 'largest' 7.000000, "
                 "expected f32, bf16 or f16 and a positive number");
  expectRejected(scale("[2]", R"(7,"dtype":"f32")"),
                 "'block_scale': 'block' is [2], expected 1 for each axis of "
                 "F32 [4, 6] but the last two, of which it is a positive size");
  auto encode = [](const char *dtype) {
    return R"({"op":"encode","dtype":")" + std::string(dtype) +
           R"(","input":)" + source("f32", "[4,6]") + "}";
  };
  expectRejected(encode("u8"),
                 "'encode': cannot encode as U8, expected f8_e4m3, i32 or i64");
  expectRejected(encode("i32"), "'encode': the input is F32 [4, 6], expected a "
                                "last axis of a multiple of 8");
}

TEST(Quantised, RejectsGathers) {
  expectRejected(gather(source("f32", "[4]"), source("f32", "[4]")),
                 "'gather': the index is F32 [4], expected dtype i32, i64, u8, "
                 "u4 or u4_high");
  expectRejected(gather(source("f32", "[4]"), source("i32", "[2,2]")),
                 "'gather': the index is I32 [2, 2], expected one axis behind "
                 "those that the table F32 [4] begins with");
  expectRejected(gather(source("f32", "[]"), source("i32", "[2]")),
                 "'gather': the table is F32 [], expected an axis and a plain "
                 "dtype");
  expectRejected(gather(source("q8_0", "[2,32]"), source("i32", "[2]")),
                 "'gather': the table is Q8_0 [2, 32], expected an axis and a "
                 "plain dtype");
  expectRejected(gather(source("f32", "[16]"), source("u8", "[2]")),
                 "'gather': the table is F32 [16] for codes of U8, expected "
                 "F32 [256]");
  expectRejected(gather(source("f16", "[256]"), source("u8", "[2]")),
                 "'gather': the table is F16 [256] for codes of U8, expected "
                 "F32 [256]");
}

TEST(Quantised, RejectsConstants) {
  auto constant = [](const std::string &shape, const std::string &values) {
    return R"({"op":"constant","shape":)" + shape + R"(,"values":)" + values +
           "}";
  };
  expectRejected(constant("[2]", "[1]"),
                 "'constant': shape [2] does not have 1 elements");
  expectRejected(constant("[1]", "[\"1\"]"),
                 "'constant': expected numbers in 'values', got '\"1\"'");
  expectRejected(constant("[1]", "[1e300]"),
                 "'constant': a number in 'values' does not fit in f32");
  expectRejected(constant("[1]", "1"),
                 "'constant': expected 'values', an array of at most 256 "
                 "numbers");
}

} // namespace

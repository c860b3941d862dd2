//===- GGUFValueTest.cpp - Typed access to GGUF metadata ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Formats/GGUF.h"
#include "test/Formats/TestFiles.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

class GGUFValueTest : public ::testing::Test {
protected:
  void SetUp() override {
    auto opened = GGUFFile::open(CLADE_TEST_INPUTS "/blocks.gguf");
    ASSERT_OK(opened);
    file.emplace(std::move(*opened));
  }
  const GGUFValue &operator[](std::string_view key) {
    const GGUFValue *value = file->find(key);
    EXPECT_TRUE(value) << key;
    static const GGUFValue none;
    return value ? *value : none;
  }
  std::optional<GGUFFile> file;
};

TEST_F(GGUFValueTest, Integers) {
  EXPECT_EQ((*this)["test.u8"].asInt(), 250);
  EXPECT_EQ((*this)["test.i8"].asInt(), -5);
  EXPECT_EQ((*this)["test.u16"].asInt(), 65000);
  EXPECT_EQ((*this)["test.i16"].asInt(), -30000);
  EXPECT_EQ((*this)["test.u32"].asInt(), 4000000000);
  EXPECT_EQ((*this)["test.i32"].asInt(), -2000000000);
  EXPECT_EQ((*this)["test.i64"].asInt(), -(1ll << 62));
  EXPECT_EQ((*this)["test.u64"].asUInt(), (1ull << 63) + 1);
  // What does not fit is nothing, not a wrong number.
  EXPECT_EQ((*this)["test.u64"].asInt(), std::nullopt);
  EXPECT_EQ((*this)["test.i8"].asUInt(), std::nullopt);
  EXPECT_EQ((*this)["test.f32"].asInt(), std::nullopt);
  EXPECT_EQ((*this)["test.bool"].asInt(), std::nullopt);
}

TEST_F(GGUFValueTest, OtherScalars) {
  EXPECT_EQ((*this)["test.f32"].asFloat(), 0.5);
  EXPECT_EQ((*this)["test.f64"].asFloat(), 1e300);
  EXPECT_EQ((*this)["test.i8"].asFloat(), -5.0);
  EXPECT_EQ((*this)["test.u64"].asFloat(), 0x1p63);
  EXPECT_EQ((*this)["test.string"].asFloat(), std::nullopt);
  EXPECT_EQ((*this)["test.bool"].asBool(), true);
  EXPECT_EQ((*this)["test.u8"].asBool(), std::nullopt);
  EXPECT_EQ((*this)["test.string"].asString(), "grüße");
  EXPECT_EQ((*this)["test.u8"].asString(), std::nullopt);
  EXPECT_EQ((*this)["test.string"].type(), GGUFType::String);
}

TEST_F(GGUFValueTest, Arrays) {
  const GGUFValue &ints = (*this)["test.ints"];
  EXPECT_EQ(ints.arraySize(), 3u);
  EXPECT_EQ(ints.elementType(), GGUFType::I32);
  EXPECT_EQ(ints.asInts(), (std::vector<int64_t>{3, -1, 4}));
  EXPECT_EQ(ints.asFloats(), (std::vector<double>{3, -1, 4}));
  EXPECT_EQ(ints.asInt(), std::nullopt);
  EXPECT_EQ((*this)["test.floats"].asFloats(),
            (std::vector<double>{0.25, -2.0}));
  EXPECT_EQ((*this)["test.floats"].asInts(), std::nullopt);
  EXPECT_EQ((*this)["test.bools"].asBools(), (std::vector<bool>{true, false}));
  EXPECT_EQ(ints.asBools(), std::nullopt);
  const auto *strings = (*this)["test.strings"].asStrings();
  ASSERT_TRUE(strings);
  EXPECT_EQ(*strings, (std::vector<std::string_view>{"a", "", "ccc"}));
  EXPECT_EQ((*this)["test.strings"].asInts(), std::nullopt);
  EXPECT_EQ(ints.asStrings(), nullptr);
  const auto *nested = (*this)["test.nested"].asArrays();
  ASSERT_TRUE(nested);
  ASSERT_EQ(nested->size(), 2u);
  EXPECT_EQ((*nested)[0].asInts(), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ((*nested)[1].asInts(), (std::vector<int64_t>{3}));
  EXPECT_EQ(ints.asArrays(), nullptr);
}

TEST_F(GGUFValueTest, RequiredValues) {
  EXPECT_EQ(*file->getInt("test.u8"), 250);
  EXPECT_EQ(*file->getFloat("test.f32"), 0.5);
  EXPECT_EQ(*file->getBool("test.bool"), true);
  EXPECT_EQ(*file->getString("general.architecture"), "blocks");
  EXPECT_EQ(file->getInts("test.ints")->size(), 3u);
  EXPECT_EQ(file->getFloats("test.floats")->size(), 2u);
  EXPECT_EQ(file->getStrings("test.strings")->size(), 3u);
}

TEST_F(GGUFValueTest, RequiredValueErrors) {
  std::string begin = "'" CLADE_TEST_INPUTS "/blocks.gguf': ";
  expectError(file->getInt("none").status(), StatusCode::NotFound,
              begin + "has no key 'none'");
  auto wrong = [&](const Status &status, const std::string &key,
                   const std::string &type, const std::string &expected) {
    expectError(status, StatusCode::Corruption,
                begin + "key '" + key + "' is of type " + type + ", expected " +
                    expected);
  };
  wrong(file->getInt("test.string").status(), "test.string", "string",
        "an integer that fits in 64 bits");
  wrong(file->getInt("test.u64").status(), "test.u64", "u64",
        "an integer that fits in 64 bits");
  wrong(file->getFloat("test.bool").status(), "test.bool", "bool", "a number");
  wrong(file->getBool("test.i8").status(), "test.i8", "i8", "a bool");
  wrong(file->getString("test.ints").status(), "test.ints", "array of i32",
        "a string");
  wrong(file->getInts("test.nested").status(), "test.nested", "array of array",
        "an array of integers");
  wrong(file->getFloats("test.u8").status(), "test.u8", "u8",
        "an array of numbers");
  wrong(file->getStrings("test.floats").status(), "test.floats", "array of f32",
        "an array of strings");
}

} // namespace

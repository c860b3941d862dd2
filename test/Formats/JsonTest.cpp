//===- JsonTest.cpp - Strict JSON -----------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/Json.h"
#include "runtime/Support/Text.h"
#include "test/Formats/TestFiles.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

TEST(Json, BuildsTheDocument) {
  auto document = parseJson(
      R"({"a": [1, -2, 2.5, true, null, "x"], "b": {"c": [], "d": {}}})");
  ASSERT_OK(document);
  EXPECT_EQ(document->dump(),
            R"({"a":[1,-2,2.5,true,null,"x"],"b":{"c":[],"d":{}}})");
  auto scalar = parseJson("3");
  ASSERT_OK(scalar);
  EXPECT_EQ(*scalar, 3);
}

TEST(Json, DuplicateKey) {
  expectError(parseJson(R"({"a": {"k": 1, "k": 2}})").status(),
              StatusCode::Corruption, "key 'k' appears twice");
  EXPECT_TRUE(parseJson(R"({"a": {"k": 1}, "b": {"k": 2}})").ok());
}

TEST(Json, Depth) {
  EXPECT_TRUE(parseJson("[[[]]]", 3).ok());
  expectError(parseJson("[[[[]]]]", 3).status(), StatusCode::Corruption,
              "nested deeper than 3 levels");
  std::string deep(1000000, '[');
  EXPECT_FALSE(parseJson(deep).ok());
}

TEST(Json, Malformed) {
  for (const char *text : {"", "{", "[1,]", "{\"a\" 1}", "nul", "[1] 2",
                           "\"\xff\"", "1e999", "\"\x01\""}) {
    StatusOr<nlohmann::json> result = parseJson(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.status().message().rfind("invalid JSON at byte ", 0), 0u)
        << result.status().message();
  }
}

TEST(Text, QuoteName) {
  EXPECT_EQ(quoteName("a.b"), "'a.b'");
  EXPECT_EQ(quoteName("\x1b[2J\n"), "'\\x1b[2J\\x0a'");
  EXPECT_EQ(quoteName(std::string(300, 'x')),
            "'" + std::string(200, 'x') + "...'");
}

} // namespace

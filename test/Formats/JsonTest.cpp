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

/// The members that are handed on, as one line of text, then the document.
std::string members(const char *text, std::optional<std::string_view> key) {
  std::string seen;
  auto rest = parseJsonMembers(text, key, [&](auto &&name, auto &&value) {
    seen += name + "=" + value.dump() + " ";
  });
  return rest.ok() ? seen + rest->dump() : rest.status().message();
}

TEST(Json, Members) {
  EXPECT_EQ(members(R"({"b": [1, {"x": 2}], "a": 3, "c": {}})", std::nullopt),
            R"(b=[1,{"x":2}] a=3 c={} {})");
  EXPECT_EQ(members("[1, [2], 3]", std::nullopt), "=1 =[2] =3 []");
  EXPECT_EQ(members("7", std::nullopt), "7");
  // Of a member; what is before and behind it is of the document.
  EXPECT_EQ(members(R"({"z": {"m": 1}, "m": {"k": {"m": 2}}, "y": [3]})", "m"),
            R"(k={"m":2} {"m":{},"y":[3],"z":{"m":1}})");
  EXPECT_EQ(members(R"({"m": 4, "n": [5]})", "m"), R"({"m":4,"n":[5]})");
  EXPECT_EQ(members(R"([{"m": [4]}])", "m"), R"([{"m":[4]}])");
}

TEST(Json, MembersOfBrokenDocuments) {
  EXPECT_EQ(members(R"({"m": [], "m": [1]})", "m"), "key 'm' appears twice");
  EXPECT_EQ(members(R"({"a": {"k": 1, "k": 2}})", std::nullopt),
            "key 'k' appears twice");
  EXPECT_EQ(members(R"({"a": [1)", std::nullopt).rfind("invalid JSON at ", 0),
            0u);
  int count = 0;
  std::string deep = "{\"a\": " + std::string(100000, '[');
  EXPECT_FALSE(parseJsonMembers(deep, std::nullopt, [&](auto &&, auto &&) {
                 ++count;
               }).ok());
  EXPECT_EQ(count, 0);
}

TEST(Json, Strings) {
  for (std::string text : {"plain", "a\"b\\c", "\n\x01", "\xc3\xbc", ""}) {
    std::string written;
    appendJsonString(written, text);
    EXPECT_EQ(written, nlohmann::json(text).dump());
  }
  std::string broken;
  appendJsonString(broken, "\xff");
  EXPECT_TRUE(parseJson(broken).ok());
}

TEST(Text, QuoteName) {
  EXPECT_EQ(quoteName("a.b"), "'a.b'");
  EXPECT_EQ(quoteName("\x1b[2J\n"), "'\\x1b[2J\\x0a'");
  EXPECT_EQ(quoteName(std::string(300, 'x')),
            "'" + std::string(200, 'x') + "...'");
}

} // namespace

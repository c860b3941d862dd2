//===- EditDistanceTest.cpp - The nearest name ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/EditDistance.h"

#include "gtest/gtest.h"

using clade::spec::didYouMean;
using clade::spec::nearestName;

TEST(EditDistance, FindsTheNearest) {
  EXPECT_EQ(nearestName("kv_head", {"q_heads", "kv_heads", "head"}),
            "kv_heads");
  EXPECT_EQ(nearestName("famly", {"family", "fam"}), "family");
}

TEST(EditDistance, PrefersTheFirstOfEqualOnes) {
  EXPECT_EQ(nearestName("bat", {"cat", "hat"}), "cat");
}

TEST(EditDistance, CountsASwapOnce) {
  EXPECT_EQ(nearestName("fro", {"for"}), "for");
  EXPECT_EQ(nearestName("ofr", {"for"}), "for");
  EXPECT_EQ(nearestName("rof", {"for"}), std::nullopt);
}

TEST(EditDistance, AllowsAThirdOfTheLetters) {
  EXPECT_EQ(nearestName("abc", {"abd"}), "abd");
  EXPECT_EQ(nearestName("abc", {"ade"}), std::nullopt);
  EXPECT_EQ(nearestName("abcd", {"abxy"}), "abxy");
  EXPECT_EQ(nearestName("abcd", {"axyz"}), std::nullopt);
}

TEST(EditDistance, IsNeverTheWordItself) {
  EXPECT_EQ(nearestName("block", {"block"}), std::nullopt);
  EXPECT_EQ(nearestName("", {"a"}), std::nullopt);
}

TEST(EditDistance, DoesNotCompareVeryLongWords) {
  std::string word(201, 'a');
  EXPECT_EQ(nearestName(word, {word + "b"}), std::nullopt);
}

TEST(EditDistance, WritesTheHint) {
  EXPECT_EQ(didYouMean("blok", {"block"}), "; did you mean 'block'?");
  EXPECT_EQ(didYouMean("xyz", {"block"}), "");
}

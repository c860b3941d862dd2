//===- ConfigKeysTest.cpp - Keys are read or ignored by name --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Through the processors that read them: what each mistake in a configuration
// says.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Processor.h"
#include "runtime/Support/NearestName.h"
#include "test/Image/ImageFiles.h"

using namespace clade::rt;

namespace {

std::string problem(std::optional<std::string_view> preprocessor,
                    std::optional<std::string_view> outer = std::nullopt) {
  auto processor = ImageProcessor::fromJson(preprocessor, outer);
  return processor.ok() ? "" : processor.status().message();
}

/// The message for a processor with some more members.
std::string problemOf(const std::string &name, const std::string &members) {
  std::string message =
      problem("{\"image_processor_type\": \"" + name + "\", " + members + "}");
  const std::string prefix = "preprocessor_config.json: ";
  EXPECT_TRUE(message.empty() || message.starts_with(prefix)) << message;
  return message.substr(std::min(message.size(), prefix.size()));
}
std::string pixtral(const std::string &members) {
  return problemOf("PixtralImageProcessor", members);
}
std::string qwen(const std::string &members) {
  return problemOf("Qwen2VLImageProcessor", members);
}
std::string kimi(const std::string &members) {
  return problemOf("KimiVLImageProcessor", members);
}
/// Members of what Kimi K2.5 keeps by itself.
std::string kimiK25(const std::string &members) {
  return problemOf("KimiK25VisionProcessor",
                   "\"media_proc_cfg\": {" + members + "}");
}

} // namespace

TEST(NearestName, OfAFewLetters) {
  const std::string names[] = {"patch_size", "merge_size", "size"};
  EXPECT_EQ(nearestName("patchsize", names), "patch_size");
  EXPECT_EQ(nearestName("sizes", names), "size");
  EXPECT_EQ(nearestName("merge_sise", names), "merge_size");
  EXPECT_EQ(nearestName("colour", names), std::nullopt);
  EXPECT_EQ(nearestName("", names), std::nullopt);
  EXPECT_EQ(nearestName(std::string(300, 's'), names), std::nullopt);
}

TEST(ImageConfig, PublishedFilesLoad) {
  for (const char *name : {"pixtral.json", "qwen2_vl.json", "qwen3_vl.json",
                           "kimi_vl.json", "kimi_k25.json"})
    EXPECT_EQ(problem(readFile(name)), "") << name;
  EXPECT_EQ(problem(readFile("pixtral.json"),
                    R"({"processor_class": "PixtralProcessor",
                        "image_token": "[IMG]", "patch_size": 14,
                        "image_break_token": "[IMG_BREAK]",
                        "image_end_token": "[IMG_END]",
                        "spatial_merge_size": 2})"),
            "");
  EXPECT_EQ(problem(std::nullopt,
                    "{\"image_processor\": " + readFile("qwen3_vl.json") +
                        ", \"video_processor\": {\"a\": 1}}"),
            "");
}

TEST(ImageConfig, UnknownKeys) {
  EXPECT_EQ(pixtral("\"do_pads\": true"),
            "'do_pads': unknown key; did you mean 'do_pad'?");
  EXPECT_EQ(qwen("\"frobnicate\": 1"),
            "'frobnicate': unknown key, which Clade would have to leave out of "
            "account; remove it if it means nothing");
  EXPECT_EQ(kimi("\"do_resize\": false"),
            "'do_resize': unknown key, which Clade would have to leave out of "
            "account; remove it if it means nothing");
  EXPECT_EQ(qwen("\"size\": {\"shortest_edge\": 1, \"largest_edge\": 2}"),
            "'size': 'largest_edge': unknown key; did you mean "
            "'longest_edge'?");
  EXPECT_EQ(pixtral("\"patch_size\": {\"high\": 1}"),
            "'patch_size': 'high': unknown key; did you mean 'height'?");
  EXPECT_EQ(problem(readFile("pixtral.json"), "{\"spatial_merge\": 2}"),
            "processor_config.json: 'spatial_merge': unknown key; did you mean "
            "'spatial_merge_size'?");
}

TEST(ImageConfig, WrongTypes) {
  EXPECT_EQ(pixtral("\"do_resize\": 1"),
            "'do_resize': expected true or false, got 1");
  EXPECT_EQ(qwen("\"patch_size\": \"14\""),
            "'patch_size': expected an integer from 1 to 2147483647, got "
            "\"14\"");
  EXPECT_EQ(qwen("\"patch_size\": 0"),
            "'patch_size': expected an integer from 1 to 2147483647, got 0");
  EXPECT_EQ(qwen("\"merge_size\": 2.5"),
            "'merge_size': expected an integer from 1 to 2147483647, got 2.5");
  EXPECT_EQ(pixtral("\"rescale_factor\": []"),
            "'rescale_factor': expected a number, got []");
  EXPECT_EQ(pixtral("\"image_mean\": [0.5, 0.5]"),
            "'image_mean': expected three numbers (red, green, blue), got "
            "[0.5,0.5]");
  EXPECT_EQ(pixtral("\"image_std\": [1, 0, 1]"),
            "'image_std': a standard deviation of 0");
  EXPECT_EQ(pixtral("\"resample\": 0"), "'resample': expected 1 (Lanczos), 2 "
                                        "(bilinear) or 3 (bicubic)");
  EXPECT_EQ(qwen("\"size\": 224"), "'size': expected an object, got number");
  EXPECT_EQ(kimi("\"merge_kernel_size\": [2]"),
            "'merge_kernel_size': expected two integers from 1 to 512");
  EXPECT_EQ(kimi("\"patch_size\": 20000"),
            "'patch_size': a patch may be at most 16384");
  EXPECT_EQ(kimiK25("\"patch_size\": 20000"),
            "'media_proc_cfg': 'patch_size': expected at most 16384");
  EXPECT_EQ(kimiK25("\"merge_kernel_size\": [2, 2]"),
            "'media_proc_cfg': 'merge_kernel_size': expected an integer from 1 "
            "to 2147483647, got [2,2]");
  EXPECT_EQ(kimiK25("\"image_std\": [0.5, 0, 0.5]"),
            "'media_proc_cfg': 'image_std': a standard deviation of 0");
  EXPECT_EQ(kimiK25("\"in_patch_limits\": 4"),
            "'media_proc_cfg': 'in_patch_limits': unknown key; did you mean "
            "'in_patch_limit'?");
  EXPECT_EQ(qwen("\"merge_size\": 20000"),
            "'patch_size': a patch, its frames and what is merged may each be "
            "at most 16384");
  EXPECT_EQ(problem(readFile("pixtral.json"), "{\"image_token\": \"\"}"),
            "processor_config.json: 'image_token': expected a string that is "
            "not empty, got \"\"");
}

TEST(ImageConfig, Contradictions) {
  EXPECT_EQ(qwen("\"min_pixels\": 4000, \"max_pixels\": 3000"),
            "'size': at least 4000 and at most 3000 pixels contradict each "
            "other");
  EXPECT_EQ(qwen("\"min_pixels\": 4000, \"size\": {\"shortest_edge\": 3136, "
                 "\"longest_edge\": 9000}"),
            "'min_pixels': 4000 contradicts the 3136 that 'size' says");
  EXPECT_EQ(qwen("\"min_pixels\": 3136, \"size\": {\"shortest_edge\": 3136, "
                 "\"max_pixels\": 9000}"),
            "");
  EXPECT_EQ(pixtral("\"size\": {\"longest_edge\": 9, \"height\": 9, "
                    "\"width\": 9}"),
            "'size': expected either 'longest_edge' or both 'height' and "
            "'width'");
  EXPECT_EQ(pixtral("\"size\": {\"height\": 9}"),
            "'size': expected either 'longest_edge' or both 'height' and "
            "'width'");
}

TEST(ImageConfig, WhatCladeDoesNotHave) {
  EXPECT_EQ(pixtral("\"do_convert_rgb\": false"),
            "'do_convert_rgb': only true is supported: models take RGB");
  EXPECT_EQ(pixtral("\"do_center_crop\": true"),
            "'do_center_crop': only false is supported");
  EXPECT_EQ(problemOf("CLIPImageProcessor", "\"size\": 1"),
            "'image_processor_type': 'CLIPImageProcessor' is not one of "
            "PixtralImageProcessor, Qwen2VLImageProcessor, "
            "Qwen2_5_VLImageProcessor, Qwen3VLImageProcessor, "
            "KimiVLImageProcessor, KimiK25VisionProcessor");
  EXPECT_EQ(kimiK25("\"fixed_output_tokens\": 64"),
            "'media_proc_cfg': 'fixed_output_tokens': only null is supported");
  EXPECT_EQ(problem("{}"), "preprocessor_config.json: 'image_processor_type': "
                           "missing; it names the image processor");
}

TEST(ImageConfig, Files) {
  EXPECT_EQ(problem("[]"),
            "preprocessor_config.json: expected an object, got array");
  EXPECT_TRUE(problem("{").starts_with("preprocessor_config.json: "));
  EXPECT_TRUE(problem("{\"a\": 1, \"a\": 2}")
                  .starts_with("preprocessor_config.json: key 'a' appears "
                               "twice"));
  EXPECT_EQ(problem(std::nullopt, "{}"),
            "processor_config.json has no 'image_processor', and there is no "
            "preprocessor_config.json");
  std::string folder = testing::TempDir() + "/no-images";
  auto none = ImageProcessor::fromFolder(folder);
  EXPECT_EQ(none.status().code(), StatusCode::NotFound);
  EXPECT_EQ(none.status().message(),
            "'" + folder +
                "' has neither preprocessor_config.json nor "
                "processor_config.json, so how it takes images is not known");
}

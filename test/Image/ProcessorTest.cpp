//===- ProcessorTest.cpp - Images as the inputs of a model ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// By hand; test/Parity/images.py compares with the published processors.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Processor.h"
#include "runtime/Tokenizer/Tokenizer.h"
#include "test/Image/ImageFiles.h"

#include <fstream>

using namespace clade::rt;

namespace {

std::unique_ptr<ImageProcessor>
processorOf(std::string_view preprocessor,
            std::optional<std::string_view> outer = std::nullopt) {
  auto processor = ImageProcessor::fromJson(preprocessor, outer);
  EXPECT_TRUE(processor.ok()) << processor.status().message();
  return processor.ok() ? std::move(*processor) : nullptr;
}

std::unique_ptr<ImageProcessor> fromFile(const std::string &name) {
  return processorOf(readFile(name));
}

ImageInputs process(const ImageProcessor &processor,
                    const std::vector<Image> &images) {
  auto inputs = processor.process(images);
  EXPECT_TRUE(inputs.ok()) << inputs.status().message();
  return inputs.ok() ? std::move(*inputs) : ImageInputs();
}

std::string problem(const ImageProcessor &processor, const Image &image) {
  auto inputs = processor.process(std::span(&image, 1));
  EXPECT_FALSE(inputs.ok());
  return inputs.status().message();
}

/// An RGB image whose values are those of its pixels' numbers.
Image numbered(int64_t width, int64_t height) {
  Image image = plainImage(width, height);
  for (size_t i = 0; i < image.pixels.size(); ++i)
    image.pixels[i] = static_cast<uint8_t>(i / 3 % 256);
  return image;
}

std::string repeat(const std::string &text, int64_t count) {
  std::string result;
  while (count-- > 0)
    result += text;
  return result;
}

/// Values are as in the file, in f32.
const std::string unscaled = R"("do_rescale": false, "do_normalize": false)";

} // namespace

TEST(Pixtral, SizesAndPrompt) {
  auto processor = fromFile("pixtral.json");
  // 1500x900 shrinks to 1024x614, then 64 and 39 whole patches.
  ImageInputs inputs = process(*processor, {plainImage(1500, 900)});
  EXPECT_EQ(inputs.pixelShape, (std::vector<int64_t>{1, 3, 624, 1024}));
  EXPECT_EQ(inputs.sizesName, "image_sizes");
  EXPECT_EQ(inputs.sizes, (std::vector<int64_t>{624, 1024}));
  EXPECT_EQ(processor->tokenCount(inputs, 0), 39 * 65);
  std::string rows = repeat(repeat("[IMG]", 64) + "[IMG_BREAK]", 38);
  EXPECT_EQ(processor->placeholders(inputs, 0),
            rows + repeat("[IMG]", 64) + "[IMG_END]");
}

TEST(Pixtral, MergedPatchesOfTheProcessor) {
  auto processor = processorOf(
      R"({"image_processor_type": "PixtralImageProcessor", "patch_size": 14})",
      R"({"patch_size": 14, "spatial_merge_size": 2, "image_token": "<i>",
          "image_break_token": "<b>", "image_end_token": "<e>"})");
  ImageInputs inputs = process(*processor, {plainImage(29, 50)});
  EXPECT_EQ(inputs.sizes, (std::vector<int64_t>{56, 56}));
  EXPECT_EQ(processor->placeholders(inputs, 0), "<i><i><b><i><i><e>");
  EXPECT_EQ(processor->tokenCount(inputs, 0), 6);
}

TEST(Pixtral, SmallerImagesArePaddedWithZeros) {
  auto processor = processorOf(R"({"image_processor_type":
      "PixtralImageProcessor", "do_resize": false, )" +
                               unscaled + "}");
  ImageInputs inputs =
      process(*processor, {plainImage(2, 1, 9), plainImage(1, 2, 7)});
  EXPECT_EQ(inputs.pixelShape, (std::vector<int64_t>{2, 3, 2, 2}));
  EXPECT_EQ(inputs.sizes, (std::vector<int64_t>{1, 2, 2, 1}));
  std::vector<float> expected;
  for (int c = 0; c < 3; ++c)
    expected.insert(expected.end(), {9, 9, 0, 0});
  for (int c = 0; c < 3; ++c)
    expected.insert(expected.end(), {7, 0, 7, 0});
  EXPECT_EQ(inputs.pixelValues, expected);
}

TEST(Pixtral, Errors) {
  auto processor = fromFile("pixtral.json");
  EXPECT_EQ(problem(*processor, plainImage(5000, 2)),
            "an image of 5000x2 pixels is too narrow: scaled to the largest "
            "size, nothing is left");
  auto unpadded = processorOf(
      R"({"image_processor_type": "PixtralImageProcessor", "do_pad": false})");
  std::vector<Image> images = {plainImage(16, 16), plainImage(32, 16)};
  EXPECT_EQ(unpadded->process(images).status().message(),
            "images of different sizes, which 'do_pad' of "
            "preprocessor_config.json forbids to pad");
  auto huge = processorOf(R"({"image_processor_type":
      "PixtralImageProcessor", "patch_size": 2000000000})");
  EXPECT_EQ(problem(*huge, plainImage(1, 1)),
            "the images make more than the limit of 178956970 pixels; give "
            "fewer or smaller images, or a smaller limit in "
            "preprocessor_config.json");
  auto large = processorOf(R"({"image_processor_type":
      "PixtralImageProcessor", "patch_size": 10000})");
  images = {plainImage(1, 1), plainImage(1, 1)};
  EXPECT_EQ(large->process(images).status().message(),
            "the images make more than the limit of 178956970 pixels; give "
            "fewer or smaller images, or a smaller limit in "
            "preprocessor_config.json");
}

TEST(Pixtral, RescalingAndNormalising) {
  auto processor = processorOf(R"({"image_processor_type":
      "PixtralImageProcessor", "do_resize": false, "rescale_factor": 0.5,
      "image_mean": [1, 2, 3], "image_std": [1, 2, 4]})");
  ImageInputs inputs = process(*processor, {plainImage(1, 1, 22)});
  EXPECT_EQ(inputs.pixelValues, (std::vector<float>{10, 4.5, 2}));
  // Transparency lies on white.
  inputs = process(*processor, {Image{1, 1, 4, {0, 0, 0, 0}}});
  EXPECT_EQ(inputs.pixelValues, (std::vector<float>{126.5, 62.75, 31.125}));
}

TEST(QwenVL, Sizes) {
  struct {
    int64_t height, width;
    std::vector<int64_t> grid;
  } cases[] = {
      {480, 640, {1, 34, 46}},   // 17 x 23 tokens: rounded
      {10, 10, {1, 4, 4}},       // raised to 56 x 56 pixels
      {42, 70, {1, 4, 4}},       // 1.5 and 2.5 tokens are both 2: half to even
      {14, 2800, {1, 2, 58}},    // half a token is none: raised
      {3000, 4000, {1, 60, 82}}, // at most 1003520 pixels
  };
  auto processor =
      processorOf(R"({"image_processor_type": "Qwen2VLImageProcessor"})");
  for (const auto &item : cases) {
    ImageInputs inputs =
        process(*processor, {plainImage(item.width, item.height)});
    EXPECT_EQ(inputs.sizes, item.grid);
    int64_t patches = item.grid[1] * item.grid[2];
    EXPECT_EQ(inputs.pixelShape, (std::vector<int64_t>{patches, 1176}));
    EXPECT_EQ(processor->tokenCount(inputs, 0), patches / 4);
  }
}

TEST(QwenVL, PatchesOfATokenFollowEachOther) {
  auto processor = processorOf(R"({"image_processor_type":
      "Qwen2VLImageProcessor", "do_resize": false, "patch_size": 1,
      "merge_size": 2, "temporal_patch_size": 2, )" +
                               unscaled + "}");
  ImageInputs inputs = process(*processor, {numbered(4, 2), numbered(2, 2)});
  EXPECT_EQ(inputs.sizes, (std::vector<int64_t>{1, 2, 4, 1, 2, 2}));
  EXPECT_EQ(inputs.pixelShape, (std::vector<int64_t>{12, 6}));
  std::vector<float> expected;
  for (float pixel : {0, 1, 4, 5, 2, 3, 6, 7, 0, 1, 2, 3})
    expected.insert(expected.end(), 6, pixel);
  EXPECT_EQ(inputs.pixelValues, expected);
}

TEST(QwenVL, OrderWithinAPatch) {
  auto processor = processorOf(R"({"image_processor_type":
      "Qwen2VLImageProcessor", "do_resize": false, "patch_size": 2,
      "merge_size": 1, "temporal_patch_size": 2, )" +
                               unscaled + "}");
  Image image{2, 2, 3, {0, 10, 20, 1, 11, 21, 2, 12, 22, 3, 13, 23}};
  // Channel, frame, row, column.
  EXPECT_EQ(
      process(*processor, {image}).pixelValues,
      (std::vector<float>{0,  1,  2,  3,  0,  1,  2,  3,  10, 11, 12, 13,
                          10, 11, 12, 13, 20, 21, 22, 23, 20, 21, 22, 23}));
}

TEST(QwenVL, Errors) {
  auto processor = fromFile("qwen2_vl.json");
  EXPECT_EQ(problem(*processor, plainImage(1, 201)),
            "an image of 1x201 pixels is too narrow: one side may be 200 times "
            "the other at most");
  auto fixed = processorOf(R"({"image_processor_type":
      "Qwen2VLImageProcessor", "do_resize": false})");
  EXPECT_EQ(problem(*fixed, plainImage(28, 29)),
            "an image of 28x29 pixels is not made of blocks of 28 pixels, and "
            "'do_resize' of preprocessor_config.json is false");
  auto many = processorOf(R"({"image_processor_type":
      "Qwen2VLImageProcessor", "min_pixels": 100000000,
      "max_pixels": 2000000000})");
  EXPECT_EQ(many->process(std::vector{plainImage(9, 9)}).status().code(),
            StatusCode::ResourceExhausted);
}

TEST(KimiVL, PadsWithBlackToWholeTokens) {
  auto processor = processorOf(R"({"image_processor_type":
      "KimiVLImageProcessor", "patch_size": 1, "pad_input": true,
      "image_mean": [0, 0, 0], "image_std": [1, 1, 1]})");
  ImageInputs inputs = process(*processor, {plainImage(3, 1, 255)});
  EXPECT_EQ(inputs.sizesName, "image_grid_hws");
  EXPECT_EQ(inputs.sizes, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(inputs.pixelShape, (std::vector<int64_t>{8, 3, 1, 1}));
  std::vector<float> expected(24, 0.0f);
  std::fill_n(expected.begin(), 9, 1.0f);
  EXPECT_EQ(inputs.pixelValues, expected);
  EXPECT_EQ(processor->tokenCount(inputs, 0), 2);
}

TEST(KimiVL, PatchesAreInRowsOverTheImage) {
  auto processor = processorOf(R"({"image_processor_type":
      "KimiVLImageProcessor", "patch_size": 2, "merge_kernel_size": [1, 2],
      "pad_input": true, "image_mean": 0, "image_std": [255, 1, 1]})");
  ImageInputs inputs = process(*processor, {numbered(4, 2)});
  EXPECT_EQ(inputs.sizes, (std::vector<int64_t>{1, 2}));
  std::vector<float> red(inputs.pixelValues.begin(),
                         inputs.pixelValues.begin() + 4);
  for (size_t i = 0; i < 4; ++i)
    EXPECT_EQ(red[i], std::vector<float>({0, 1, 4, 5})[i] / 255.0f / 255.0f);
  EXPECT_EQ(inputs.pixelValues[12], 2 / 255.0f / 255.0f);
}

TEST(KimiVL, TheLimitOfTokensIsOneOfPatches) {
  auto processor = fromFile("kimi_vl.json");
  // 71 x 71 patches are over 4096: 1000 * sqrt(4096 / 5041) = 901 pixels.
  ImageInputs inputs = process(*processor, {plainImage(1000, 1000)});
  EXPECT_EQ(inputs.sizes, (std::vector<int64_t>{66, 66}));
  // 64 x 64 patches are not.
  inputs = process(*processor, {plainImage(896, 909)});
  EXPECT_EQ(inputs.sizes, (std::vector<int64_t>{66, 64}));
}

TEST(KimiVL, CutsFromTheMiddle) {
  auto processor = processorOf(R"({"image_processor_type":
      "KimiVLImageProcessor", "patch_size": 2, "merge_kernel_size": [1, 1],
      "image_mean": 0, "image_std": 1})");
  // Of 3 columns the first two: half a pixel is rounded to 0. Of 5 rows four.
  ImageInputs inputs = process(*processor, {numbered(3, 5)});
  EXPECT_EQ(inputs.sizes, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(inputs.pixelValues[0], 0.0f);
  EXPECT_EQ(inputs.pixelValues[3], 4 / 255.0f);
  EXPECT_EQ(inputs.pixelValues[12], 6 / 255.0f);
}

TEST(KimiVL, TransparencyIsDropped) {
  auto processor = processorOf(R"({"image_processor_type":
      "KimiVLImageProcessor", "patch_size": 1, "merge_kernel_size": [1, 1],
      "image_mean": 0, "image_std": 1})");
  ImageInputs inputs = process(*processor, {Image{1, 1, 4, {255, 0, 255, 0}}});
  EXPECT_EQ(inputs.pixelValues, (std::vector<float>{1, 0, 1}));
}

TEST(KimiVL, Errors) {
  auto processor = fromFile("kimi_vl.json");
  EXPECT_EQ(problem(*processor, plainImage(7200, 20)),
            "an image of 516x2 patches: the model has positions for fewer than "
            "512");
  auto cut = processorOf(R"({"image_processor_type":
      "KimiVLImageProcessor", "pad_input": false})");
  EXPECT_EQ(problem(*cut, plainImage(28, 15)),
            "an image of 28x15 pixels cannot be cut to whole tokens; "
            "'pad_input' of preprocessor_config.json would fill it up");
  EXPECT_EQ(problem(*cut, plainImage(5, 5)),
            "an image of 5x5 pixels cannot be cut to whole tokens; 'pad_input' "
            "of preprocessor_config.json would fill it up");
  auto one = processorOf(R"({"image_processor_type": "KimiVLImageProcessor",
      "patch_size": 1, "in_token_limit": 1, "pad_input": true})");
  EXPECT_EQ(problem(*one, plainImage(400, 1)),
            "an image of 400x1 pixels is too narrow: scaled to "
            "'in_token_limit' of preprocessor_config.json, nothing is left");
}

TEST(KimiK25, PadsWithBlackToWholeTokens) {
  auto processor = processorOf(R"({"image_processor_type":
      "KimiK25VisionProcessor", "media_proc_cfg": {"patch_size": 1,
      "image_mean": [0, 0, 0], "image_std": [1, 1, 1]}})");
  ImageInputs inputs = process(*processor, {plainImage(3, 1, 255)});
  EXPECT_EQ(inputs.sizesName, "image_grid_thw");
  EXPECT_EQ(inputs.sizes, (std::vector<int64_t>{1, 2, 4}));
  EXPECT_EQ(inputs.pixelShape, (std::vector<int64_t>{8, 3, 1, 1}));
  std::vector<float> expected(24, 0.0f);
  std::fill_n(expected.begin(), 9, 1.0f);
  EXPECT_EQ(inputs.pixelValues, expected);
  EXPECT_EQ(processor->tokenCount(inputs, 0), 2);
}

TEST(KimiK25, LimitsOfPatchesInAllAndAlongASide) {
  auto processor = fromFile("kimi_k25.json");
  // 285 x 285 patches are over 16384: 4000 * 128 / 285 = 1796 pixels.
  EXPECT_EQ(process(*processor, {plainImage(4000, 4000)}).sizes,
            (std::vector<int64_t>{1, 130, 130}));
  // 8000 pixels are over 512 patches: 20 * 7168 / 8000 = 17 pixels.
  EXPECT_EQ(process(*processor, {plainImage(8000, 20)}).sizes,
            (std::vector<int64_t>{1, 2, 512}));
  // Less than a pixel is one.
  EXPECT_EQ(process(*processor, {plainImage(1, 20000)}).sizes,
            (std::vector<int64_t>{1, 512, 2}));
  // Images never grow.
  EXPECT_EQ(process(*processor, {plainImage(29, 28)}).sizes,
            (std::vector<int64_t>{1, 2, 4}));
}

TEST(KimiK25, EachStepOfNormalisingRoundsToF32) {
  auto processor = processorOf(R"({"image_processor_type":
      "KimiK25VisionProcessor", "media_proc_cfg": {"patch_size": 1,
      "merge_kernel_size": 1, "image_mean": [0.1, 0.4, 0.6],
      "image_std": [0.3, 0.2, 0.1]}})");
  ImageInputs inputs = process(*processor, {plainImage(1, 1, 77)});
  for (size_t c = 0; c < 3; ++c) {
    double mean[] = {0.1, 0.4, 0.6}, deviation[] = {0.3, 0.2, 0.1};
    auto centred = static_cast<float>(static_cast<float>(77 / 255.0) - mean[c]);
    EXPECT_EQ(inputs.pixelValues[c],
              static_cast<float>(centred * (1 / deviation[c])));
  }
}

TEST(Process, Limits) {
  const std::string message =
      "the images make more than the limit of 2000 pixels; give fewer or "
      "smaller images, or a smaller limit in preprocessor_config.json";
  std::vector<Image> images = {plainImage(28, 28)};
  for (const char *name :
       {"pixtral.json", "qwen2_vl.json", "kimi_vl.json", "kimi_k25.json"}) {
    auto processor = fromFile(name);
    EXPECT_EQ(processor->process({}).status().message(),
              "no images to process");
    // 784 pixels, 1024 for Pixtral, twice 3136 for Qwen2-VL.
    EXPECT_EQ(processor->process(images, 2000).ok(),
              std::string(name) != "qwen2_vl.json")
        << name;
    EXPECT_EQ(processor->process(std::vector<Image>(3, images.front()), 2000)
                  .status()
                  .message(),
              message)
        << name;
  }
}

TEST(Tensors, AreNamedAndTyped) {
  auto processor = fromFile("qwen2_vl.json");
  ImageInputs inputs =
      process(*processor, {plainImage(56, 56), plainImage(56, 56)});
  std::vector<StoredTensor> tensors = inputs.tensors();
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors[0].name, "image_grid_thw");
  EXPECT_EQ(tensors[0].dtype, DType::I64);
  EXPECT_EQ(tensors[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensors[1].name, "pixel_values");
  EXPECT_EQ(tensors[1].dtype, DType::F32);
  EXPECT_EQ(tensors[1].shape, (std::vector<int64_t>{32, 1176}));
  EXPECT_EQ(tensors[1].bytes.size(), 32u * 1176 * 4);
  std::string path = testing::TempDir() + "/image-inputs.safetensors";
  EXPECT_TRUE(writeSafetensors(path, tensors).ok());
}

TEST(Prompt, ImageTokensAreReplacedInOrder) {
  auto processor = fromFile("qwen2_vl.json");
  ImageInputs inputs =
      process(*processor, {plainImage(56, 56), plainImage(84, 56)});
  const std::string pad = "<|image_pad|>";
  auto text = processor->expandPrompt("A " + pad + " B" + pad, inputs);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(*text, "A " + repeat(pad, 4) + " B" + repeat(pad, 6));
}

TEST(Prompt, WithoutImageTokensImagesAreInFront) {
  auto qwen = fromFile("qwen2_vl.json");
  const std::string pads = repeat("<|image_pad|>", 4);
  EXPECT_EQ(*qwen->expandPrompt("What?", process(*qwen, {plainImage(56, 56)})),
            "<|vision_start|>" + pads + "<|vision_end|>What?");
  auto kimi = fromFile("kimi_vl.json");
  EXPECT_EQ(*kimi->expandPrompt("What?", process(*kimi, {plainImage(20, 20)})),
            "<|media_start|>image<|media_content|><|media_pad|><|media_end|>"
            "What?");
  auto k25 = fromFile("kimi_k25.json");
  EXPECT_EQ(*k25->expandPrompt("What?", process(*k25, {plainImage(20, 20)})),
            "<|media_begin|>image<|media_content|><|media_pad|><|media_end|>"
            "What?");
  auto pixtral = fromFile("pixtral.json");
  EXPECT_EQ(
      *pixtral->expandPrompt("What?", process(*pixtral, {plainImage(20, 20)})),
      "[IMG][IMG][IMG_BREAK][IMG][IMG][IMG_END]What?");
}

TEST(Prompt, OneTokenForEachImage) {
  auto processor = fromFile("pixtral.json");
  ImageInputs inputs = process(*processor, {plainImage(16, 16)});
  EXPECT_EQ(
      processor->expandPrompt("[IMG] and [IMG]", inputs).status().message(),
      "the prompt has 2 image tokens '[IMG]' for 1 image; give one for "
      "each image, or none to put the images in front");
  inputs = process(*processor, {plainImage(16, 16), plainImage(16, 16)});
  EXPECT_EQ(processor->expandPrompt("[IMG]", inputs).status().message(),
            "the prompt has 1 image tokens '[IMG]' for 2 images; give one for "
            "each image, or none to put the images in front");
}

TEST(Prompt, TokensOfTheTokenizer) {
  auto tokenizer = [](const std::string &more) {
    auto result = Tokenizer::fromJson(
        R"({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": []},
            "added_tokens": [{"id": 1, "content": "[IMG]", "special": true})" +
            more + "]}",
        "tokenizer.json");
    EXPECT_TRUE(result.ok()) << result.status().message();
    return std::move(*result);
  };
  auto processor = fromFile("pixtral.json");
  auto some = tokenizer("");
  EXPECT_EQ(processor->checkTokens(*some, 1).message(),
            "the tokenizer has no token '[IMG_BREAK]', which stands for a part "
            "of an image");
  auto all = tokenizer(
      R"(, {"id": 2, "content": "[IMG_BREAK]", "special": true},
          {"id": 3, "content": "[IMG_END]", "special": true})");
  EXPECT_TRUE(processor->checkTokens(*all, 1).ok());
  EXPECT_TRUE(processor->checkTokens(*all, std::nullopt).ok());
  EXPECT_EQ(processor->checkTokens(*all, 10).message(),
            "the image token '[IMG]' is 1 for the tokenizer, but 10 for "
            "config.json");
  ImageInputs inputs = process(*processor, {plainImage(32, 16)});
  auto ids = all->encode(*processor->expandPrompt("a[IMG]a", inputs));
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(*ids, (std::vector<int32_t>{0, 1, 1, 3, 0}));
}

TEST(Folder, Files) {
  std::string folder = testing::TempDir();
  std::ofstream(folder + "/preprocessor_config.json")
      << readFile("qwen3_vl.json");
  std::ofstream(folder + "/processor_config.json")
      << "{\"image_token\": \"<p>\"}";
  auto processor = ImageProcessor::fromFolder(folder);
  ASSERT_TRUE(processor.ok()) << processor.status().message();
  EXPECT_EQ((*processor)->imageToken(), "<p>");
  std::ofstream(folder + "/processor_config.json") << "{\"image\": 1}";
  std::string message = ImageProcessor::fromFolder(folder).status().message();
  EXPECT_TRUE(message.starts_with("'" + folder +
                                  "': processor_config.json: "
                                  "'image': unknown key"))
      << message;
}

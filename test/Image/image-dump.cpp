//===- image-dump.cpp - Write what becomes of images ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// usage: image-dump CASES
//
// CASES is a JSON list of objects:
//   images        the image files
//   upright       whether they are read as loadImage() does, not as decoded
//   output        the safetensors file to write
//   folder        a folder with the configuration of a processor: its tensors
//   prompt        with it: prints {"prompt": …, "tokens": [count of each
//   image]} resize        instead: [width, height, filter], tensor "pixels" u8
//                 [height, width, 3] of the first image in that size
//   alpha         instead: "white" or "drop", tensor "pixels" of the first
//   image
// Prints one line of JSON for each case; {"error": …} for one that fails.
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Processor.h"
#include "runtime/Image/Resample.h"

#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

using namespace clade::rt;
using nlohmann::json;

static Status writePixels(const Image &image, const std::string &path) {
  StoredTensor tensor{"pixels",
                      DType::U8,
                      {image.height, image.width, 3},
                      std::as_bytes(std::span(image.pixels))};
  return writeSafetensors(path, std::span(&tensor, 1));
}

static StatusOr<Image> decodeFile(const std::string &path) {
  CLADE_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> file,
                         MappedFile::open(path));
  return decodeImage(file->bytes(), path);
}

static StatusOr<json> run(const json &item) {
  std::vector<Image> images;
  for (const json &path : item.at("images")) {
    CLADE_ASSIGN_OR_RETURN(Image image, item.value("upright", false)
                                            ? loadImage(path)
                                            : decodeFile(path));
    images.push_back(std::move(image));
  }
  std::string output = item.at("output");
  if (!item.contains("folder")) {
    bool isWhite = item.value("alpha", "white") == "white";
    Image image =
        toRGB(images.at(0), isWhite ? AlphaRule::OverWhite : AlphaRule::Drop);
    if (item.contains("resize")) {
      const json &to = item["resize"];
      CLADE_ASSIGN_OR_RETURN(
          image, resizeImage(image, to[0].get<int64_t>(), to[1].get<int64_t>(),
                             static_cast<ResampleFilter>(to[2].get<int>())));
    }
    CLADE_RETURN_IF_ERROR(writePixels(image, output));
    return json::object();
  }
  CLADE_ASSIGN_OR_RETURN(
      std::unique_ptr<ImageProcessor> processor,
      ImageProcessor::fromFolder(item["folder"].get<std::string>()));
  CLADE_ASSIGN_OR_RETURN(ImageInputs inputs, processor->process(images));
  CLADE_RETURN_IF_ERROR(writeSafetensors(output, inputs.tensors()));
  json result = json::object();
  CLADE_ASSIGN_OR_RETURN(
      result["prompt"],
      processor->expandPrompt(item.value("prompt", ""), inputs));
  for (size_t i = 0; i < images.size(); ++i)
    result["tokens"].push_back(processor->tokenCount(inputs, i));
  return result;
}

int main(int argc, char **argv) {
  if (argc != 2) {
    std::cerr << "usage: image-dump CASES\n";
    return 2;
  }
  std::ifstream file(argv[1], std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  for (const json &item : json::parse(text)) {
    StatusOr<json> result = run(item);
    std::cout << (result.ok() ? *result
                              : json{{"error", result.status().message()}})
                     .dump()
              << std::endl;
  }
  return 0;
}

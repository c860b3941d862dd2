//===- Processor.cpp - Images as the inputs of a model --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Image/Processor.h"

#include "runtime/Image/ProcessorParts.h"
#include "runtime/Support/File.h"
#include "runtime/Support/Text.h"

using namespace clade::rt;
using nlohmann::json;

ImageProcessor::~ImageProcessor() = default;

StatusOr<ImageInputs> ImageProcessor::process(std::span<const Image> images,
                                              int64_t maxPixels) const {
  if (images.empty())
    return Status::invalidArgument("no images to process");
  return compute(images, maxPixels);
}

std::vector<StoredTensor> ImageInputs::tensors() const {
  auto width = static_cast<int64_t>(sizes.size()) / imageCount;
  return {{sizesName,
           DType::I64,
           {imageCount, width},
           std::as_bytes(std::span(sizes))},
          {"pixel_values", DType::F32, pixelShape,
           std::as_bytes(std::span(pixelValues))}};
}

namespace {

/// A published image processor, by the end of its name without "Fast" or "Pil".
struct Kind {
  std::string_view name;
  StatusOr<std::unique_ptr<ImageProcessor>> (*make)(ProcessorSource &);
};

constexpr Kind kinds[] = {
    {"PixtralImageProcessor", makePixtral},
    {"Qwen2VLImageProcessor", makeQwenVL},
    {"Qwen2_5_VLImageProcessor", makeQwenVL},
    {"Qwen3VLImageProcessor", makeQwenVL},
    {"KimiVLImageProcessor", makeKimiVL},
    {"KimiK25VisionProcessor", makeKimiK25},
};

} // namespace

/// The name of the image processor: "image_processor_type", or the class that
/// "auto_map" says, without the module in front.
static StatusOr<std::string> processorName(ConfigKeys &keys) {
  CLADE_ASSIGN_OR_RETURN(std::string name,
                         keys.text("image_processor_type", ""));
  if (name.empty()) {
    const json *map = keys.find("auto_map");
    if (map && map->is_object() && map->contains("AutoImageProcessor") &&
        (*map)["AutoImageProcessor"].is_string())
      name = (*map)["AutoImageProcessor"].get<std::string>();
    name = name.substr(name.rfind('.') + 1);
  }
  if (name.empty())
    return keys.error("image_processor_type",
                      "missing; it names the image processor");
  for (std::string_view end : {"Fast", "Pil"})
    if (name.ends_with(end))
      name.resize(name.size() - end.size());
  return name;
}

static StatusOr<std::unique_ptr<ImageProcessor>> make(ProcessorSource &source) {
  CLADE_ASSIGN_OR_RETURN(std::string name, processorName(source.image));
  for (const Kind &kind : kinds)
    if (name == kind.name)
      return kind.make(source);
  std::string known;
  for (const Kind &kind : kinds)
    known += (known.empty() ? "" : ", ") + std::string(kind.name);
  return Status(StatusCode::Unsupported,
                source.image
                    .error("image_processor_type",
                           quoteName(name) + " is not one of " + known)
                    .message());
}

/// The document of a file, or an empty object.
static StatusOr<json> parse(std::optional<std::string_view> text,
                            const char *name) {
  if (!text)
    return json::object();
  StatusOr<json> document = parseJson(*text);
  if (!document.ok())
    return document.takeStatus().withContext(name);
  return document;
}

StatusOr<std::unique_ptr<ImageProcessor>>
ImageProcessor::fromJson(std::optional<std::string_view> preprocessor,
                         std::optional<std::string_view> processor) {
  CLADE_ASSIGN_OR_RETURN(json imageJson, parse(preprocessor, preprocessorFile));
  CLADE_ASSIGN_OR_RETURN(json processorJson, parse(processor, processorFile));
  CLADE_ASSIGN_OR_RETURN(ConfigKeys outer,
                         ConfigKeys::read(processorJson, processorFile));
  CLADE_ASSIGN_OR_RETURN(ConfigKeys inner,
                         ConfigKeys::read(imageJson, preprocessorFile));
  if (outer.find("image_processor")) {
    CLADE_ASSIGN_OR_RETURN(inner, outer.object("image_processor"));
  } else if (!preprocessor) {
    return Status::notFound(std::string(processorFile) +
                            " has no 'image_processor', and there is no " +
                            preprocessorFile);
  }
  ProcessorSource source{inner, outer, processor.has_value()};
  CLADE_ASSIGN_OR_RETURN(std::unique_ptr<ImageProcessor> result, make(source));
  source.processor.ignore({"processor_class", "auto_map", "video_processor",
                           "feature_extractor", "tokenizer", "chat_template",
                           "patch_size", "spatial_merge_size", "video_token"});
  CLADE_RETURN_IF_ERROR(source.image.finish());
  CLADE_RETURN_IF_ERROR(source.processor.finish());
  return result;
}

StatusOr<std::unique_ptr<ImageProcessor>> ImageProcessor::fromFolder(
    const std::string &folder,
    const std::function<bool(const std::string &)> &hasFile) {
  auto read = [&](const char *name) -> StatusOr<std::optional<std::string>> {
    std::string path = folder + "/" + name;
    if (hasFile ? !hasFile(name) : !fileExists(path))
      return std::optional<std::string>();
    CLADE_ASSIGN_OR_RETURN(std::string text, readTextFile(path));
    return std::optional<std::string>(std::move(text));
  };
  CLADE_ASSIGN_OR_RETURN(auto preprocessor, read(preprocessorFile));
  CLADE_ASSIGN_OR_RETURN(auto processor, read(processorFile));
  if (!preprocessor && !processor)
    return Status::notFound(quoteName(folder) + " has neither " +
                            preprocessorFile + " nor " + processorFile +
                            ", so how it takes images is not known");
  auto result = fromJson(preprocessor, processor);
  if (!result.ok())
    return result.takeStatus().withContext(quoteName(folder));
  return result;
}

//===- RandomCheckpoint.cpp - Random weights in their published form ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/RandomCheckpoint.h"

#include "runtime/Formats/Safetensors.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Support/xxhash.h"

#include <cmath>

using namespace clade;
using namespace clade::driver;
using nlohmann::json;

namespace {
/// Numbers that are the same on every machine: SplitMix64, and a sum of twelve
/// uniform ones for a normal one.
class Random {
public:
  explicit Random(uint64_t seed) : state(seed) {}
  float normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i)
      sum += static_cast<double>(next() >> 11) * 0x1p-53;
    return static_cast<float>(sum);
  }

private:
  uint64_t next() {
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t state;
};
} // namespace

/// 'key=value' with a dotted key; the value is JSON, or else a string.
int driver::applySetting(json &config, const std::string &setting) {
  auto [key, text] = llvm::StringRef(setting).split('=');
  if (key.empty() || !llvm::StringRef(setting).contains('='))
    return fail("expected key=value after --set, got '" + setting + "'"), Usage;
  llvm::SmallVector<llvm::StringRef> steps;
  key.split(steps, '.');
  json *at = &config;
  for (llvm::StringRef step : llvm::ArrayRef(steps).drop_back()) {
    at = &(*at)[step.str()];
    if (!at->is_null() && !at->is_object())
      return fail("'" + step.str() + "' in '" + setting + "' is not an object"),
             Usage;
  }
  json value = json::parse(text.str(), nullptr, /*allow_exceptions=*/false);
  (*at)[steps.back().str()] = value.is_discarded() ? json(text.str()) : value;
  return Done;
}

/// Elements of a tensor, by its name: rows of matrices of length about 1,
/// vectors near 1, biases near 0, so that no layer drowns the others.
static std::vector<float> makeElements(const import::PublishedTensor &tensor,
                                       size_t count, uint64_t seed) {
  Random random(seed ^ llvm::xxh3_64bits(tensor.name));
  bool isMatrix = tensor.shape.size() > 1;
  llvm::StringRef name(tensor.name);
  float mean = isMatrix || name.ends_with("bias") ? 0.0f : 1.0f;
  // Recurrent states that remember some tens of tokens: of one alone, what is
  // normalised may be next to nothing.
  if (name.ends_with("A_log") || name.ends_with("dt_bias"))
    mean = -1.5f;
  float deviation =
      isMatrix ? 1.0f / std::sqrt(static_cast<float>(tensor.shape.back()))
               : 0.1f;
  std::vector<float> elements(count);
  for (float &element : elements)
    element = mean + deviation * random.normal();
  return elements;
}

static std::vector<std::byte> store(const std::vector<float> &elements,
                                    rt::DType dtype) {
  std::vector<std::byte> bytes;
  bytes.reserve(elements.size() * rt::bytesPerBlock(dtype));
  for (float element : elements) {
    uint32_t bits = dtype == rt::DType::BF16 ? rt::f32ToBF16(element)
                    : dtype == rt::DType::F16
                        ? rt::f32ToF16(element)
                        : std::bit_cast<uint32_t>(element);
    for (int64_t i = 0; i < rt::bytesPerBlock(dtype); ++i)
      bytes.push_back(static_cast<std::byte>(bits >> (8 * i)));
  }
  return bytes;
}

static int writeTensors(const RandomCheckpoint &wanted,
                        const std::string &folder,
                        const std::vector<import::PublishedTensor> &tensors) {
  if (std::error_code error = llvm::sys::fs::create_directories(folder))
    return fail("cannot make the folder '" + folder + "': " + error.message());
  rt::DType dtype = *rt::parseDType(wanted.dtype);
  std::vector<std::vector<std::byte>> bytes;
  std::vector<rt::StoredTensor> stored;
  for (const import::PublishedTensor &tensor : tensors) {
    size_t count = 1;
    for (int64_t size : tensor.shape)
      count *= size;
    bytes.push_back(store(makeElements(tensor, count, wanted.seed), dtype));
    stored.push_back({tensor.name, dtype, tensor.shape, bytes.back()});
  }
  rt::Status status = rt::writeSafetensors(folder + "/model.safetensors",
                                           stored, {{"format", "pt"}});
  if (!status.ok())
    return fail(status);
  // The configuration comes last: with it the folder is a checkpoint.
  std::error_code error;
  llvm::raw_fd_ostream file(folder + "/config.json", error);
  if (error)
    return fail("cannot write '" + folder +
                "/config.json': " + error.message());
  file << wanted.config.dump(2, ' ', false, json::error_handler_t::replace)
       << "\n";
  file.close();
  if (!file.has_error())
    return Done;
  error = file.error();
  file.clear_error();
  return fail("cannot write '" + folder + "/config.json': " + error.message());
}

int driver::writeRandomCheckpoint(Environment &environment,
                                  const RandomCheckpoint &given,
                                  const std::string &folder, bool isTold) {
  RandomCheckpoint wanted = given;
  import::SpecLibrary &library = environment.getLibrary();
  wanted.config["dtype"] = wanted.dtype == "bf16"  ? "bfloat16"
                           : wanted.dtype == "f16" ? "float16"
                                                   : "float32";
  auto parsed = import::Config::parse(
      wanted.config.dump(2, ' ', false, json::error_handler_t::replace),
      "<configuration>", library.getSourceMgr(), &environment.getContext());
  if (failed(parsed))
    return Failed;
  if (!wanted.family) {
    auto family = import::findFamily(library, **parsed);
    if (failed(family))
      return Failed;
    wanted.family = *family;
  }
  auto tensors = import::publishedTensors(library, wanted.family, **parsed);
  if (failed(tensors))
    return Failed;
  double parameters = 0;
  for (const import::PublishedTensor &tensor : *tensors) {
    double elements = 1;
    for (int64_t size : tensor.shape) {
      if (size <= 0)
        return fail("tensor '" + tensor.name + "' would have the shape " +
                    rt::shapeText(tensor.shape));
      elements *= static_cast<double>(size);
    }
    parameters += elements;
  }
  if (parameters > wanted.mostParameters)
    return fail(llvm::formatv("a checkpoint of {0:f0} parameters is too large, "
                              "expected at most {1:f0}",
                              parameters, wanted.mostParameters)
                    .str());
  if (int status = writeTensors(wanted, folder, *tensors); status != Done)
    return status;
  if (isTold)
    llvm::outs() << folder << ": " << tensors->size() << " tensors, "
                 << llvm::formatv("{0:f0}", parameters) << " parameters\n";
  return Done;
}

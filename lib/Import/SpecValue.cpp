//===- SpecValue.cpp - Values of the import -------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/SpecValue.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MathExtras.h"

#include <nlohmann/json.hpp>

#include <array>
#include <charconv>
#include <limits>

using namespace clade;
using namespace clade::import;
using mlir::ShapedType;

int64_t import::numElements(llvm::ArrayRef<Dim> shape) {
  int64_t product = 1;
  for (const Dim &dim : shape) {
    if (dim.isUnknown())
      return ShapedType::kDynamic;
    if (llvm::MulOverflow(product, dim.size, product))
      product = std::numeric_limits<int64_t>::max();
  }
  return product;
}

Dim import::sumOf(std::vector<std::vector<Dim>> parts) {
  Dim sum;
  llvm::raw_string_ostream name(sum.name);
  llvm::interleave(
      parts, name,
      [&](const std::vector<Dim> &part) {
        llvm::interleave(
            part, name, [&](const Dim &dim) { name << dim.name; }, ".");
      },
      "+");
  for (const std::vector<Dim> &part : parts) {
    int64_t size = numElements(part);
    if (ShapedType::isDynamic(size) || sum.isUnknown())
      sum.size = ShapedType::kDynamic;
    else if (llvm::AddOverflow(sum.size, size, sum.size))
      sum.size = std::numeric_limits<int64_t>::max();
  }
  sum.parts = std::move(parts);
  return sum;
}

std::string import::toString(llvm::ArrayRef<Dim> shape) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << '[';
  llvm::interleaveComma(shape, os, [&](const Dim &dim) {
    os << dim.name;
    if (!dim.isUnknown())
      os << (dim.name.empty() ? "" : " = ") << dim.size;
  });
  os << ']';
  return text;
}

std::string RopeTable::pathOf(llvm::StringRef key) const {
  auto it = otherPaths.find(std::string_view(key));
  return it == otherPaths.end() ? recordPath + key.str() : it->second;
}

std::string import::toString(double number) {
  std::array<char, 32> text;
  auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), number);
  return std::string(text.data(), end);
}

/// The metadata of a GGUF file may hold strings that are no UTF-8.
static std::string textOf(const nlohmann::json &object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string RopeTable::key() const {
  std::string sizes = isWoven ? "woven" : "";
  for (int64_t size : sectionSizes)
    sizes += std::to_string(size) + ",";
  return llvm::formatv("{0}/{1}/{2}/{3}/{4}/{5}/{6}/{7}/{8}/{9}/{10}", kind,
                       toString(theta), toString(fraction), size.value_or(-1),
                       adjacentPairs, tableInF32, computeInF32, sections, sizes,
                       maxPositions, textOf(*record));
}

SpecValue SpecValue::absent(std::string key) {
  SpecValue value = ofKind(Kind::Absent);
  value.text = std::move(key);
  return value;
}
SpecValue SpecValue::of(bool boolean) {
  SpecValue value = ofKind(Kind::Bool);
  value.boolean = boolean;
  return value;
}
SpecValue SpecValue::of(int64_t number, std::string name) {
  return of(Dim{number, std::move(name), {}});
}
SpecValue SpecValue::of(Dim dim) {
  SpecValue value = ofKind(Kind::Int);
  value.dim = std::move(dim);
  return value;
}
SpecValue SpecValue::of(double number) {
  SpecValue value = ofKind(Kind::Float);
  value.number = number;
  return value;
}
SpecValue SpecValue::of(std::string text) {
  SpecValue value = ofKind(Kind::String);
  value.text = std::move(text);
  return value;
}
SpecValue SpecValue::of(TensorValue tensor) {
  SpecValue value = ofKind(Kind::Tensor);
  value.tensor = std::move(tensor);
  return value;
}
SpecValue SpecValue::of(Mask mask) {
  SpecValue value = ofKind(Kind::Mask);
  value.mask = mask;
  return value;
}
SpecValue SpecValue::of(Record record) {
  SpecValue value = ofKind(Kind::Record);
  value.record = std::move(record);
  return value;
}
SpecValue SpecValue::of(MediaRows rows) {
  SpecValue value = ofKind(Kind::Media);
  value.media = std::make_shared<const MediaRows>(std::move(rows));
  return value;
}
SpecValue SpecValue::input(std::string name) {
  SpecValue value = ofKind(Kind::Input);
  value.text = std::move(name);
  return value;
}
SpecValue SpecValue::places(std::vector<SpecValue> ids) {
  SpecValue value = ofKind(Kind::Places);
  value.elements = std::move(ids);
  return value;
}
SpecValue SpecValue::list(std::vector<SpecValue> elements) {
  SpecValue value = ofKind(Kind::List);
  value.elements = std::move(elements);
  return value;
}
SpecValue SpecValue::tuple(std::vector<SpecValue> elements) {
  SpecValue value = ofKind(Kind::Tuple);
  value.elements = std::move(elements);
  return value;
}
SpecValue SpecValue::range(SpecValue begin, SpecValue end) {
  SpecValue value = ofKind(Kind::Range);
  value.elements = {std::move(begin), std::move(end)};
  return value;
}

/// The beginning of a long text, up to the end of a character.
static std::string shortened(const std::string &text) {
  constexpr size_t most = 120;
  if (text.size() <= most)
    return text;
  size_t end = most;
  while (end > 0 && (text[end] & 0xc0) == 0x80)
    --end;
  return text.substr(0, end) + "…";
}

std::string SpecValue::describe() const {
  switch (kind) {
  case Kind::Absent:
    return "the absent key '" + text + "'";
  case Kind::None:
    return "none";
  case Kind::Bool:
    return boolean ? "true" : "false";
  case Kind::Int:
    return llvm::formatv("the integer {0}", dim.size);
  case Kind::Float:
    return "the number " + toString(number);
  case Kind::String:
    return "the string \"" + shortened(text) + "\"";
  case Kind::List:
    return llvm::formatv("a list of {0}", elements.size());
  case Kind::Tuple:
    return llvm::formatv("{0} values", elements.size());
  case Kind::Record:
    return "an object of the configuration";
  case Kind::Range:
    return "a range";
  case Kind::Tensor:
    return (tensor.choice ? "indices " : "a tensor ") + toString(tensor.axes);
  case Kind::Mask:
    return "a mask";
  case Kind::Rope:
    return "a rotary table";
  case Kind::Input:
    return "the input '" + text + "'";
  case Kind::Grid:
    return "the grids of images";
  case Kind::Frames:
    return "the frames of patches";
  case Kind::Places:
    return "the places of tokens";
  case Kind::Media:
    return "rows of images " + toString(media->axes);
  }
  return "";
}

std::string SpecValue::key() const {
  switch (kind) {
  case Kind::Float:
    return "f" + toString(number);
  case Kind::String: // With its length: a text may look like other keys.
    return "\"" + std::to_string(text.size()) + ":" + text;
  case Kind::List:
  case Kind::Tuple:
  case Kind::Range: {
    std::string joined = "[";
    for (const SpecValue &element : elements)
      joined += element.key() + ",";
    return joined + "]";
  }
  case Kind::Rope:
    return rope->key();
  case Kind::Mask:
    return llvm::formatv("mask({0},{1})", mask.causal,
                         mask.window.value_or(-1));
  case Kind::Record:
    return record.path + textOf(*record.object);
  default:
    return describe();
  }
}

bool SpecValue::equals(const SpecValue &other) const {
  if (isNumber() && other.isNumber())
    return asDouble() == other.asDouble();
  return kind == other.kind && key() == other.key();
}

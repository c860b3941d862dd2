//===- WeightFunctions.cpp - Functions of weight equations ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/WeightFunctions.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade::import;
using llvm::StringRef;

static const std::vector<WeightFunction> &weightFunctions() {
  constexpr WeightArg t = WeightArg::Tensor, c = WeightArg::Contents,
                      n = WeightArg::Number, v = WeightArg::Value;
  static const std::vector<WeightFunction> functions = {
      {"transpose", {{t}}},
      {"unit_rows", {{t}}},
      {"shift", {{t, n}}},
      {"rope_unpermute", {{t, n}}},
      {"unfolded", {{t, n}}},
      {"unpadded", {{t, n}}},
      {"scaled", {{t, t}, {t, t, v}}},
      {"quantised", {{t, t, v}, {t, t, t, v}}},
      {"packed", {{t, t, c, v}, {t, t, c, t, v}}},
      {"mxfp4", {{t, t}, {t, t, v}}},
      {"nvfp4", {{t, t, t}, {t, t, t, v}}},
      {"gptq", {{t, t, t, v, v, v}, {t, t, t, t, v, v, v}}},
      {"awq", {{t, t, t, v, v}}},
      {"bnb4", {{t, c, t, t, v}, {t, c, t, t, t, t, v}}},
  };
  return functions;
}

bool clade::import::dequantises(StringRef function) {
  return llvm::is_contained({"scaled", "quantised", "packed", "mxfp4", "nvfp4",
                             "gptq", "awq", "bnb4"},
                            function);
}

const std::vector<WeightArg> *WeightFunction::formOf(size_t count) const {
  auto it = llvm::find_if(
      forms, [&](const auto &form) { return form.size() == count; });
  return it == forms.end() ? nullptr : &*it;
}

static std::string counted(size_t count, StringRef thing, bool isAlone) {
  static constexpr llvm::StringLiteral words[] = {
      "no", "one", "two", "three", "four", "five", "six", "seven"};
  if (count == 1 && !isAlone)
    return ("a " + thing).str();
  return (words[std::min(count, std::size(words) - 1)] + " " + thing +
          (count == 1 ? "" : "s"))
      .str();
}

std::string WeightFunction::expected() const {
  std::vector<std::string> texts;
  for (const std::vector<WeightArg> &form : forms) {
    size_t numbers = llvm::count(form, WeightArg::Number),
           values = llvm::count(form, WeightArg::Value),
           tensors = form.size() - numbers - values;
    std::string text = counted(tensors, "tensor", numbers + values == 0);
    if (numbers)
      text += " and " + counted(numbers, "number", false);
    if (values)
      text += " and " + counted(values, "value", false);
    texts.push_back(text);
  }
  return llvm::join(texts, ", or ");
}

const WeightFunction *clade::import::findWeightFunction(StringRef name) {
  auto it = llvm::find_if(weightFunctions(), [&](const WeightFunction &f) {
    return f.name == name;
  });
  return it == weightFunctions().end() ? nullptr : &*it;
}

std::vector<std::string> clade::import::weightFunctionNames() {
  std::vector<std::string> names;
  for (const WeightFunction &function : weightFunctions())
    names.push_back(function.name.str());
  return names;
}

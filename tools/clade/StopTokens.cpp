//===- StopTokens.cpp - Which tokens end a text ---------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/CompileModel.h"

using namespace clade;
using nlohmann::json;

/// Adds a number or a list of numbers.
static void addTokens(const json &value, std::vector<int32_t> &tokens) {
  if (value.is_number_integer())
    tokens.push_back(value.get<int32_t>());
  if (value.is_array())
    for (const json &element : value)
      if (element.is_number_integer())
        tokens.push_back(element.get<int32_t>());
}

std::vector<int32_t> driver::stopTokens(const rt::Checkpoint &checkpoint,
                                        const import::Config &config) {
  std::vector<int32_t> tokens;
  if (checkpoint.generationConfigText()) {
    json generation = json::parse(*checkpoint.generationConfigText(), nullptr,
                                  /*allow_exceptions=*/false);
    if (generation.is_object() && generation.contains("eos_token_id"))
      addTokens(generation["eos_token_id"], tokens);
  }
  if (tokens.empty() && config.json().contains("eos_token_id"))
    addTokens(config.json()["eos_token_id"], tokens);
  return tokens;
}

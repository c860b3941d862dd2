//===- DrawsUse.cpp - Draws of a compiled model, and of its rows ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Usage: clade-draws-use ARTIFACT CHUNK
//
// A batch of requests of all kinds, side by side, in pieces of CHUNK tokens:
// once as it is, and once with probabilities, which need the rows of logits.
// The steps are the same, so the tokens must be, too, wherever they are chosen.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Generate.h"

#include <cstdio>
#include <cstdlib>

using namespace clade::rt;

static std::vector<std::vector<int32_t>>
tokensOf(const char *artifact, int32_t chunk, bool needsRows) {
  auto fail = [](const Status &status) {
    std::printf("%s\n", status.message().c_str());
    std::exit(1);
  };
  auto model = CompiledModel::load(artifact);
  if (!model.ok())
    fail(model.status());
  auto session = Session::create(*model, {.threads = 1, .chunk = chunk});
  if (!session.ok())
    fail(session.status());
  const SamplingOptions kinds[] = {
      {},
      {.temperature = 1, .seed = 1},
      {.temperature = 0.8f, .topK = 5, .seed = 2},
      {.temperature = 1.1f, .topP = 0.3f, .seed = 3},
      {.temperature = 1, .minP = 0.5f, .seed = 4},
      {.temperature = 1, .topK = 40, .topP = 0.9f, .minP = 0.1f, .seed = 5},
      {.temperature = 1, .repetitionPenalty = 1.2f, .seed = 6},
      // More candidates than are kept.
      {.temperature = 100, .topP = 0.9f, .seed = 7},
      {.temperature = 1, .topK = 2000, .seed = 8},
  };
  std::vector<GenerateRequest> requests;
  for (const SamplingOptions &kind : kinds) {
    GenerateRequest &request = requests.emplace_back();
    size_t length = 1 + 5 * requests.size();
    for (size_t i = 0; i < length; ++i)
      request.prompt.push_back(
          static_cast<int32_t>((i * 37 + requests.size()) % 251));
    request.maxTokens = 3 + static_cast<int64_t>(requests.size()) % 4;
    request.sampling = kind;
    request.ignoreEos = true;
    request.logProbabilities = needsRows ? 0 : -1;
  }
  auto generation = generate(**session, requests, {.maxSequences = 6});
  if (!generation.ok())
    fail(generation.status());
  std::vector<std::vector<int32_t>> tokens;
  for (const GenerateResult &result : generation->results)
    tokens.push_back(result.tokens);
  return tokens;
}

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  auto chunk = static_cast<int32_t>(std::strtol(argv[2], nullptr, 10));
  auto drawn = tokensOf(argv[1], chunk, /*needsRows=*/false),
       fromRows = tokensOf(argv[1], chunk, /*needsRows=*/true);
  int count = 0, equal = 0;
  for (size_t i = 0; i < drawn.size(); ++i)
    for (size_t k = 0; k < drawn[i].size(); ++k) {
      ++count;
      equal += drawn[i][k] == fromRows[i][k];
    }
  std::printf("%d of %d tokens agree\n", equal, count);
  return equal != count;
}

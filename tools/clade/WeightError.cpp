//===- WeightError.cpp - What quantised weights cost and gain -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/WeightError.h"

#include "tools/clade/ArtifactCache.h"
#include "tools/clade/Progress.h"
#include "tools/clade/VerifyRuns.h"

#include "runtime/Engine/Generate.h"
#include "runtime/Engine/LoadTokenizer.h"

#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace clade;
using namespace clade::driver;

/// Tokens that are compared at most, and that are decoded to take the time.
static constexpr size_t sampleTokens = 256;
static constexpr int decodedTokens = 32;

/// Some prose, dialogue, numbers and code, written for this.
static constexpr const char *sample = R"(
The harbour master kept two books. In the first he wrote every ship that came in: her name, the flag she sailed under,
what she carried and how deep she sat in the water. In the second, which nobody but he ever opened, he wrote what he
thought of her captain. On the morning of 14 March the fog was so thick that the bell on the mole rang for six hours
without a pause, and when it lifted there were three vessels at anchor where there had been two.

"You counted wrong," said the clerk.

"I have counted ships for thirty-one years," the old man answered, "and I have been wrong twice, both times in winter."

The third ship paid a fee of 48.50 for the berth and 12.25 for water, 60.75 in all. A program that adds such bills is
short:

def total(items):
    """Return the sum of all amounts, rounded to cents."""
    result = 0.0
    for name, amount in items:
        if amount < 0:
            raise ValueError(f"{name} has a negative amount")
        result += amount
    return round(result, 2)

Whether the sum is right depends on the order only in the last digit, because addition of floating-point numbers is not
associative. For bills of a harbour nobody minds. For the weights of a neural network, of which there are billions, the
question of how many digits are enough has no short answer: one has to measure.
)";

static std::vector<int32_t> sampleOf(const rt::Checkpoint &checkpoint,
                                     int64_t vocab, bool &isText) {
  std::vector<int32_t> tokens;
  auto tokenizer = rt::loadTokenizer(checkpoint);
  if (tokenizer.ok())
    if (auto encoded = (*tokenizer)->encode(sample); encoded.ok())
      tokens = std::move(*encoded);
  isText = !tokens.empty() && llvm::all_of(tokens, [&](int32_t token) {
    return token >= 0 && token < vocab;
  });
  if (!isText)
    tokens = VerifyText::make(vocab, sampleTokens, /*isWhole=*/true, 0).prompt;
  tokens.resize(std::min(tokens.size(), sampleTokens));
  return tokens;
}

namespace {
/// Runs an artifact over the sample.
class SampleRun {
public:
  static rt::StatusOr<std::unique_ptr<SampleRun>>
  create(const std::string &artifact, int threads);

  rt::Status logits(const std::vector<int32_t> &tokens,
                    const rt::LogitsCallback &callback);
  /// Tokens in a second: reading, and one by one.
  rt::StatusOr<std::pair<double, double>>
  speed(const std::vector<int32_t> &tokens);

private:
  std::unique_ptr<rt::Session> session;
};
} // namespace

rt::StatusOr<std::unique_ptr<SampleRun>>
SampleRun::create(const std::string &artifact, int threads) {
  rt::ModelOptions modelOptions;
  modelOptions.threads = threads;
  CLADE_ASSIGN_OR_RETURN(auto model,
                         rt::CompiledModel::load(artifact, modelOptions));
  rt::SessionOptions options;
  options.threads = threads;
  auto run = std::make_unique<SampleRun>();
  CLADE_ASSIGN_OR_RETURN(run->session, rt::Session::create(model, options));
  return run;
}

rt::Status SampleRun::logits(const std::vector<int32_t> &tokens,
                             const rt::LogitsCallback &callback) {
  rt::GenerateRequest request;
  request.prompt = tokens;
  request.maxTokens = 0;
  rt::GenerateOptions options;
  options.onLogits = callback;
  return rt::generate(*session, std::span(&request, 1), options).takeStatus();
}

rt::StatusOr<std::pair<double, double>>
SampleRun::speed(const std::vector<int32_t> &tokens) {
  rt::GenerateRequest request;
  request.prompt = tokens;
  request.maxTokens = decodedTokens;
  request.ignoreEos = true;
  std::pair<double, double> best;
  // The first run touches memory for the first time.
  for (int run = 0; run < 3; ++run) {
    CLADE_ASSIGN_OR_RETURN(rt::Generation generation,
                           rt::generate(*session, std::span(&request, 1)));
    const rt::GenerateStats &stats = generation.stats;
    best.first =
        std::max(best.first, stats.prefillTokens / stats.prefillSeconds);
    best.second =
        std::max(best.second, stats.decodeTokens / stats.decodeSeconds);
  }
  return best;
}

/// Logarithm of the sum of exponentials.
static double logSum(std::span<const float> logits) {
  float most = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (float logit : logits)
    sum += std::exp(static_cast<double>(logit) - most);
  return most + std::log(sum);
}

static double divergence(std::span<const float> p, std::span<const float> q) {
  double ofP = logSum(p), ofQ = logSum(q), sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    double logP = p[i] - ofP;
    sum += std::exp(logP) * (logP - (q[i] - ofQ));
  }
  return std::max(sum, 0.0);
}

static rt::StatusOr<WeightError> compare(const rt::Checkpoint &checkpoint,
                                         const std::string &dense,
                                         const std::string &artifact,
                                         int threads) {
  WeightError error;
  std::vector<int32_t> tokens;
  std::vector<float> expected;
  for (bool isDense : {true, false}) {
    const std::string &path = isDense ? dense : artifact;
    CLADE_ASSIGN_OR_RETURN(auto opened, rt::Artifact::open(path));
    const rt::Manifest &manifest = opened->manifest();
    auto vocab = static_cast<size_t>(manifest.logitsWidth());
    if (isDense)
      tokens = sampleOf(checkpoint, manifest.model.vocab, error.isText);
    showProgress("measuring the error of the weights");
    CLADE_ASSIGN_OR_RETURN(auto run, SampleRun::create(path, threads));
    auto count = [&](std::span<const float> p, std::span<const float> q) {
      double kl = divergence(p, q);
      error.mean += kl / static_cast<double>(tokens.size());
      error.largest = std::max(error.largest, kl);
      error.agreeing += std::max_element(p.begin(), p.end()) - p.begin() ==
                        std::max_element(q.begin(), q.end()) - q.begin();
    };
    CLADE_RETURN_IF_ERROR(run->logits(tokens, [&](size_t, int64_t place,
                                                  std::span<const float> row) {
      if (isDense)
        expected.insert(expected.end(), row.begin(), row.end());
      else
        count(std::span(expected).subspan(static_cast<size_t>(place) * vocab,
                                          vocab),
              row);
    }));
    CLADE_ASSIGN_OR_RETURN(auto speed, run->speed(tokens));
    error.prefill[isDense ? 0 : 1] = speed.first;
    error.decode[isDense ? 0 : 1] = speed.second;
  }
  error.tokens = static_cast<int64_t>(tokens.size());
  return error;
}

std::optional<WeightError> driver::measureWeightError(
    Environment &environment, const rt::Checkpoint &checkpoint,
    const ModelChoice &choice, const std::string &artifact, int threads) {
  ModelChoice plain = choice;
  plain.weights = "dense";
  plain.dumpFolder = {};
  std::optional<std::string> dense =
      compileToCache(environment, checkpoint, plain);
  if (!dense)
    return std::nullopt;
  auto error = compare(checkpoint, *dense, artifact, threads);
  clearProgress();
  if (!error.ok())
    return fail(error.status()), std::nullopt;
  error->form = choice.weights;
  return std::move(*error);
}

std::string WeightError::text() const {
  return llvm::formatv(
             "weights {0}: divergence from dense {1:E2} nats a token, largest "
             "{2:E2}, same first choice {3:F1} %, over {4} tokens of {5}; "
             "prefill {6:F0} tok/s (dense {7:F0}), decode {8:F1} (dense "
             "{9:F1})",
             form, mean, largest,
             100.0 * static_cast<double>(agreeing) /
                 static_cast<double>(tokens),
             tokens, isText ? "a text" : "random numbers", prefill[1],
             prefill[0], decode[1], decode[0])
      .str();
}

nlohmann::json WeightError::toJson() const {
  return {{"weights", form},
          {"tokens", tokens},
          {"sample", isText ? "text" : "random"},
          {"kl_mean", mean},
          {"kl_largest", largest},
          {"agreeing", agreeing},
          {"prefill_tok_s", prefill[1]},
          {"prefill_tok_s_dense", prefill[0]},
          {"decode_tok_s", decode[1]},
          {"decode_tok_s_dense", decode[0]}};
}

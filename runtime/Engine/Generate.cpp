//===- Generate.cpp - From prompts to tokens ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every active request has tokens to feed: its prompt at first, then the token
// that was chosen last. A request that wants all logits also feeds its last
// token.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Generate.h"

#include <algorithm>
#include <chrono>

using namespace clade::rt;

namespace {

/// A request that has a sequence.
struct Active {
  size_t index;
  const GenerateRequest *request;
  SequenceId sequence;
  Sampler sampler;
  std::vector<int32_t> feed;
  std::vector<uint8_t> wanted;         ///< Empty: the last token's logits.
  std::vector<int32_t> mediaRows;      ///< Of `feed`; empty: no images.
  std::vector<int32_t> mediaPositions; ///< Of `feed`; empty: those of a text.
  std::span<const int32_t> types = {}; ///< Of `feed`; empty: 0.
  int32_t nextPosition = 0;            ///< Of mediaPositions, behind `feed`.
  int64_t position = 0;                ///< Of feed[0].
  bool isPrompt = true;
  bool isLast = false; ///< No token is chosen after this step.
};

class Generator {
public:
  Generator(Session &session, std::span<const GenerateRequest> requests,
            const GenerateOptions &options)
      : session(session), requests(requests), options(options) {
    generation.results.resize(requests.size());
  }
  ~Generator() {
    for (const Active &work : active)
      (void)session.freeSequence(work.sequence);
  }

  Status run();
  Generation take() { return std::move(generation); }
  /// The request that a sequence of the running step belongs to.
  size_t requestOf(SequenceId sequence) const {
    auto it = std::ranges::find(active, sequence, &Active::sequence);
    return it == active.end() ? 0 : it->index;
  }

private:
  Status check(const GenerateRequest &request) const;
  Status admit();
  Status addImages(Active &work);
  Status step();
  TokenDraw drawOf(const Active &work) const;
  Status receive(Active &work, const Logits &logits, int64_t firstRow);
  Status choose(Active &work, const Logits &logits, int64_t row);
  std::optional<StopReason> reasonToStop(const Active &work, int32_t token);
  void count(double seconds);

  Session &session;
  std::span<const GenerateRequest> requests;
  const GenerateOptions &options;
  size_t nextRequest = 0;
  std::vector<Active> active;
  std::vector<BatchItem> batch;
  std::vector<TokenDraw> draws; ///< Of each; none if all rows are wanted.
  Generation generation;
};

int64_t tokensToMake(const GenerateRequest &request) {
  if (request.forced.empty())
    return request.maxTokens;
  return std::min(request.maxTokens,
                  static_cast<int64_t>(request.forced.size()));
}

bool contains(const std::vector<int32_t> &list, int32_t token) {
  return std::ranges::find(list, token) != list.end();
}

} // namespace

//===----------------------------------------------------------------------===//
// Requests
//===----------------------------------------------------------------------===//

Status Generator::check(const GenerateRequest &request) const {
  if (request.prompt.empty())
    return Status::invalidArgument("the prompt has no tokens");
  if (request.maxTokens < 0)
    return Status::invalidArgument("expected at least 0 tokens to make, got " +
                                   std::to_string(request.maxTokens));
  if (session.model().manifest().wholeSequences && tokensToMake(request) > 0)
    return Status::invalidArgument(
        "the model reads a text as a whole and continues none: expected 0 "
        "tokens to make, got " +
        std::to_string(tokensToMake(request)));
  if (static_cast<int64_t>(request.prompt.size()) > session.maxContext())
    return Status::invalidArgument(
        "the prompt has " + std::to_string(request.prompt.size()) +
        " tokens, but the limit is " + std::to_string(session.maxContext()));
  int64_t vocab = session.model().manifest().model.vocab;
  for (const auto *list : {&request.prompt, &request.forced})
    for (int32_t token : *list)
      if (token < 0 || token >= vocab)
        return Status::invalidArgument("expected a token in [0, " +
                                       std::to_string(vocab - 1) + "], got " +
                                       std::to_string(token));
  CLADE_RETURN_IF_ERROR(
      session.checkTypes(request.types, request.prompt.size()));
  CLADE_RETURN_IF_ERROR(session.checkAdapter(request.adapter));
  return request.sampling.validate();
}

Status Generator::admit() {
  size_t limit = options.maxSequences ? options.maxSequences : requests.size();
  while (nextRequest < requests.size() && active.size() < limit) {
    const GenerateRequest &request = requests[nextRequest];
    CLADE_ASSIGN_OR_RETURN(
        Sampler sampler,
        Sampler::create(request.sampling,
                        session.model().manifest().logitsWidth()));
    auto length = static_cast<int64_t>(request.prompt.size());
    int64_t made = std::min(tokensToMake(request), INT32_MAX - length);
    CLADE_ASSIGN_OR_RETURN(SequenceId sequence,
                           session.createSequence(length + made));
    // The number was checked before.
    (void)session.setAdapter(sequence, request.adapter);
    for (int32_t token : request.prompt)
      sampler.observe(token);
    std::vector<uint8_t> wanted(options.onLogits ? request.prompt.size() : 0,
                                1);
    active.push_back({nextRequest++,
                      &request,
                      sequence,
                      std::move(sampler),
                      request.prompt,
                      std::move(wanted),
                      {}});
    active.back().types = request.types;
    CLADE_RETURN_IF_ERROR(addImages(active.back()));
    active.back().isLast = made == 0;
  }
  return {};
}

/// Computes the images of a request that has just been admitted.
Status Generator::addImages(Active &work) {
  const auto &images = work.request->images;
  if (!images)
    return {};
  auto place = [&]() -> Status {
    CLADE_ASSIGN_OR_RETURN(int64_t first, session.addImages(*images));
    CLADE_ASSIGN_OR_RETURN(work.mediaRows,
                           mediaRows(work.feed,
                                     session.model().manifest().images->tokens,
                                     first, session.mediaRowsOf(*images)));
    const ManifestImages &known = *session.model().manifest().images;
    if (known.gridPositions) {
      MediaPositions made = mediaPositions(work.feed, known.tokens,
                                           images.get(), known.layout.merge);
      work.mediaPositions = std::move(made.positions);
      work.nextPosition = made.next;
    }
    return {};
  };
  Status status = place();
  if (status.ok())
    return status;
  return std::move(status).withContext("request " + std::to_string(work.index));
}

//===----------------------------------------------------------------------===//
// Steps
//===----------------------------------------------------------------------===//

Status Generator::run() {
  for (size_t i = 0; i < requests.size(); ++i) {
    Status status = check(requests[i]);
    if (!status.ok())
      return std::move(status).withContext("request " + std::to_string(i));
  }
  session.clearImages();
  while (true) {
    CLADE_RETURN_IF_ERROR(admit());
    if (active.empty())
      break;
    CLADE_RETURN_IF_ERROR(step());
  }
  session.clearImages();
  generation.stats.loadSeconds = session.model().loadSeconds();
  MemoryUse &memory = generation.stats.memory;
  memory.resident = residentMemory();
  memory.weights = session.model().weightBytes();
  memory.cache = session.keyValueCache().residentBytes();
  memory.plan = session.planBytes();
  return {};
}

/// What a request needs of the row that its next token is chosen from.
TokenDraw Generator::drawOf(const Active &work) const {
  const GenerateRequest &request = *work.request;
  bool needsRow = !request.forced.empty() || request.logProbabilities >= 0;
  return needsRow ? TokenDraw() : work.sampler.nextDraw();
}

Status Generator::step() {
  batch.clear();
  draws.clear();
  for (const Active &work : active) {
    batch.push_back({work.sequence, work.feed, work.wanted, work.mediaRows,
                     work.mediaPositions, work.types});
    if (!options.onLogits)
      draws.push_back(drawOf(work));
  }
  auto start = std::chrono::steady_clock::now();
  CLADE_ASSIGN_OR_RETURN(Logits logits, session.step(batch, draws));
  count(std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
            .count());
  int64_t row = 0;
  for (Active &work : active) {
    int64_t rows =
        work.wanted.empty() ? 1 : static_cast<int64_t>(work.wanted.size());
    CLADE_RETURN_IF_ERROR(receive(work, logits, row));
    row += rows;
  }
  // Those that were last before this step, or have nothing more to feed.
  for (size_t i = active.size(); i-- > 0;) {
    if (!active[i].feed.empty())
      continue;
    (void)session.freeSequence(active[i].sequence);
    active.erase(active.begin() + static_cast<ptrdiff_t>(i));
  }
  return {};
}

void Generator::count(double seconds) {
  GenerateStats &stats = generation.stats;
  int64_t tokens = 0;
  bool hasPrompt = false;
  for (const Active &work : active) {
    tokens += static_cast<int64_t>(work.feed.size());
    hasPrompt |= work.isPrompt;
  }
  (hasPrompt ? stats.prefillTokens : stats.decodeTokens) += tokens;
  (hasPrompt ? stats.prefillSeconds : stats.decodeSeconds) += seconds;
}

/// Takes the rows of one request from `firstRow` on and decides what it feeds
/// next: nothing, if it is done.
Status Generator::receive(Active &work, const Logits &logits,
                          int64_t firstRow) {
  auto fed = static_cast<int64_t>(work.feed.size());
  auto rows = static_cast<int64_t>(work.wanted.size());
  for (int64_t i = 0; i < rows; ++i)
    options.onLogits(work.index, work.position + i, logits.row(firstRow + i));
  work.position += fed;
  work.isPrompt = false;
  work.feed.clear();
  work.mediaRows.clear();
  work.types = {};
  // What follows images counts on from the largest position.
  if (!work.mediaPositions.empty()) {
    work.mediaPositions.assign(3, work.nextPosition);
    ++work.nextPosition;
  }
  if (work.isLast)
    return {};
  return choose(work, logits, firstRow + std::max<int64_t>(rows, 1) - 1);
}

Status Generator::choose(Active &work, const Logits &logits, int64_t row) {
  const GenerateRequest &request = *work.request;
  GenerateResult &result = generation.results[work.index];
  GeneratedToken made;
  made.request = work.index;
  if (request.forced.empty()) {
    StatusOr<int32_t> token = logits.hasRow(row)
                                  ? work.sampler.sample(logits.row(row))
                                  : work.sampler.take(logits.chosen[row]);
    if (!token.ok())
      return token.takeStatus().withContext("request " +
                                            std::to_string(work.index));
    made.token = *token;
  } else {
    made.token = request.forced[result.tokens.size()];
  }
  work.sampler.observe(made.token);
  result.tokens.push_back(made.token);
  if (request.logProbabilities >= 0) {
    std::span<const float> values = logits.row(row);
    made.logProbability = logProbability(values, made.token);
    made.top = topLogProbabilities(values, request.logProbabilities);
    result.logProbabilities.push_back(made.logProbability);
    result.topProbabilities.push_back(made.top);
  }
  made.stop = reasonToStop(work, made.token);
  if (options.onToken && !options.onToken(made) && !made.stop)
    made.stop = StopReason::Callback;
  if (made.stop)
    result.stop = *made.stop;
  work.isLast = made.stop.has_value();
  bool fits = work.position < session.maxContext();
  if (work.isLast && !(options.onLogits && fits))
    return {};
  work.feed.assign(1, made.token);
  work.wanted.assign(options.onLogits ? 1 : 0, 1);
  return {};
}

std::optional<StopReason> Generator::reasonToStop(const Active &work,
                                                  int32_t token) {
  const GenerateRequest &request = *work.request;
  const ManifestModel &model = session.model().manifest().model;
  auto made =
      static_cast<int64_t>(generation.results[work.index].tokens.size());
  bool isStop = contains(request.stopTokens, token) ||
                (!request.ignoreEos && contains(model.eos, token));
  if (request.forced.empty() && isStop)
    return StopReason::StopToken;
  if (made >= tokensToMake(request))
    return StopReason::MaxTokens;
  if (work.position >= session.maxContext())
    return StopReason::Context;
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// The interface
//===----------------------------------------------------------------------===//

const char *clade::rt::stopReasonName(StopReason reason) {
  switch (reason) {
  case StopReason::MaxTokens:
    return "max_tokens";
  case StopReason::StopToken:
    return "stop_token";
  case StopReason::Context:
    return "context";
  case StopReason::Callback:
    return "callback";
  }
  return "unknown";
}

double GenerateStats::prefillRate() const {
  return prefillSeconds > 0
             ? static_cast<double>(prefillTokens) / prefillSeconds
             : 0;
}

double GenerateStats::decodeRate() const {
  return decodeSeconds > 0 ? static_cast<double>(decodeTokens) / decodeSeconds
                           : 0;
}

StatusOr<Generation>
clade::rt::generate(Session &session, std::span<const GenerateRequest> requests,
                    const GenerateOptions &options) {
  Generator generator(session, requests, options);
  if (options.onRoute)
    session.setRouter([&](SequenceId sequence, const Route &route) {
      options.onRoute(generator.requestOf(sequence), route);
    });
  Status status = generator.run();
  if (options.onRoute)
    session.setRouter(nullptr);
  CLADE_RETURN_IF_ERROR(std::move(status));
  return generator.take();
}

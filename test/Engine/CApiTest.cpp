//===- CApiTest.cpp - The C interface -------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A model from an artifact and a checkpoint on disk, through the C functions
// only; what they refuse, and structs of other versions.
//
//===----------------------------------------------------------------------===//

#include "ToyModel.h"
#include "ToySupport.h"
#include "clade/runtime.h"

#include <algorithm>
#include <filesystem>

using namespace clade::rt;
using namespace clade::rt::test;

extern "C" int clade_test_greedy(const char *artifact, const int32_t *prompt,
                                 size_t length, int32_t *out, size_t count);

namespace {

class CApiTest : public ::testing::Test {
protected:
  void SetUp() override {
    ASSERT_OK(writeToyCheckpoint(folder / "checkpoint"));
    Manifest manifest = toyManifest();
    manifest.model.checkpoint = folder / "checkpoint";
    manifest.model.eos = {};
    manifest.model.maxPositions = 500;
    ASSERT_OK(writeArtifact(path, manifest, {toyCode(), toyWeightTable(), {}}));
    ASSERT_EQ(clade_model_load(path.c_str(), nullptr, &model), CLADE_OK)
        << clade_last_error();
    ASSERT_EQ(clade_session_create(model, nullptr, &session), CLADE_OK);
  }
  /// Writes the artifact anew with a tokenizer, and loads it.
  void addTokenizer() {
    TearDown();
    Manifest manifest = toyManifest();
    manifest.model.checkpoint = folder / "checkpoint";
    ASSERT_OK(writeArtifact(
        path, manifest,
        {toyCode(), toyWeightTable(), {{"tokenizer.json", toyTokenizer()}}}));
    ASSERT_EQ(clade_model_load(path.c_str(), nullptr, &model), CLADE_OK)
        << clade_last_error();
    ASSERT_EQ(clade_session_create(model, nullptr, &session), CLADE_OK);
  }
  void TearDown() override {
    clade_session_free(session);
    clade_model_free(model);
  }
  std::vector<int32_t> expected(std::vector<int32_t> tokens, size_t count) {
    size_t length = tokens.size();
    for (size_t i = 0; i < count; ++i) {
      std::vector<float> row = toyReference(toyWeights(), tokens).back();
      tokens.push_back(
          static_cast<int32_t>(std::ranges::max_element(row) - row.begin()));
    }
    return {tokens.begin() + static_cast<ptrdiff_t>(length), tokens.end()};
  }
  void refuse(CladeStatus got, CladeStatus status, const std::string &message) {
    EXPECT_EQ(got, status);
    EXPECT_EQ(std::string(clade_last_error()).substr(0, message.size()),
              message);
  }

  TemporaryFolder folder;
  const std::string path = folder / "model";
  CladeModel *model = nullptr;
  CladeSession *session = nullptr;
};

TEST_F(CApiTest, StepFromC99) {
  std::vector<int32_t> prompt = toyTokens(20, 1), out(30);
  ASSERT_EQ(clade_test_greedy(path.c_str(), prompt.data(), prompt.size(),
                              out.data(), out.size()),
            0)
      << clade_last_error();
  EXPECT_EQ(out, expected(prompt, 30));
}

TEST_F(CApiTest, ModelInfo) {
  CladeModelInfo info;
  CLADE_INIT(info);
  ASSERT_EQ(clade_model_info(model, &info), CLADE_OK);
  EXPECT_EQ(info.struct_size, sizeof(info));
  EXPECT_EQ(info.vocab, TOY_VOCAB);
  EXPECT_EQ(info.logits_width, TOY_VOCAB);
  EXPECT_EQ(info.bos, 0);
  EXPECT_EQ(info.max_positions, 500);
  EXPECT_EQ(info.length_dependent, 0);
  EXPECT_EQ(info.has_tokenizer, 0);
  EXPECT_STREQ(info.family, "toy");
  EXPECT_STREQ(info.architecture, "ToyForCausalLM");
  EXPECT_GT(info.load_seconds, 0);
  EXPECT_EQ(clade_api_version(), CLADE_API_VERSION);
}

TEST_F(CApiTest, StructsOfOtherVersions) {
  // An older, shorter one: only its members are written.
  CladeModelInfo info;
  CLADE_INIT(info);
  info.struct_size = offsetof(CladeModelInfo, bos);
  info.bos = 1234;
  ASSERT_EQ(clade_model_info(model, &info), CLADE_OK);
  EXPECT_EQ(info.vocab, TOY_VOCAB);
  EXPECT_EQ(info.bos, 1234);
  // A newer, longer one: fine as long as what is new is zero.
  struct {
    CladeSessionOptions options;
    int64_t more;
  } newer = {};
  newer.options.struct_size = sizeof(newer);
  CladeSession *other = nullptr;
  ASSERT_EQ(clade_session_create(model, &newer.options, &other), CLADE_OK);
  clade_session_free(other);
  newer.more = 1;
  refuse(clade_session_create(model, &newer.options, &other), CLADE_UNSUPPORTED,
         "'options' has members set that this version does not know");
  newer.options.struct_size = 0;
  refuse(clade_session_create(model, &newer.options, &other),
         CLADE_INVALID_ARGUMENT,
         "'options' does not have its struct_size; use CLADE_INIT");
  info.struct_size = 3;
  refuse(clade_model_info(model, &info), CLADE_INVALID_ARGUMENT,
         "'info' does not have its struct_size; use CLADE_INIT");
}

TEST_F(CApiTest, Sequences) {
  CladeSequence sequence = 0;
  ASSERT_EQ(clade_sequence_create(session, 0, &sequence), CLADE_OK);
  std::vector<int32_t> tokens = toyTokens(10, 1);
  std::vector<uint8_t> wanted = {1, 0, 0, 1, 0, 0, 0, 0, 0, 1};
  CladeBatchItem item = {sequence, tokens.data(), tokens.size(), wanted.data()};
  const float *logits = nullptr;
  size_t rows = 0;
  ASSERT_EQ(clade_step(session, &item, 1, &logits, &rows), CLADE_OK);
  ASSERT_EQ(rows, 3u);
  auto reference = toyReference(toyWeights(), tokens);
  EXPECT_TRUE(
      std::equal(reference[3].begin(), reference[3].end(), logits + TOY_VOCAB));
  int64_t length = 0;
  ASSERT_EQ(clade_sequence_length(session, sequence, &length), CLADE_OK);
  EXPECT_EQ(length, 10);
  ASSERT_EQ(clade_sequence_truncate(session, sequence, 4), CLADE_OK);
  ASSERT_EQ(clade_sequence_length(session, sequence, &length), CLADE_OK);
  EXPECT_EQ(length, 4);
  ASSERT_EQ(clade_sequence_free(session, sequence), CLADE_OK);
  refuse(clade_sequence_free(session, sequence), CLADE_INVALID_ARGUMENT,
         "the sequence does not exist or was freed");
  refuse(clade_step(session, &item, 1, &logits, &rows), CLADE_INVALID_ARGUMENT,
         "the sequence does not exist or was freed");
}

TEST_F(CApiTest, AdaptersNeedPlaces) {
  CladeSequence sequence = 0;
  ASSERT_EQ(clade_sequence_create(session, 0, &sequence), CLADE_OK);
  EXPECT_EQ(clade_sequence_set_adapter(session, sequence, 0), CLADE_OK);
  refuse(clade_sequence_set_adapter(session, sequence, 1),
         CLADE_INVALID_ARGUMENT,
         "expected an adapter in [0, 0], 0 for none, got 1");
  int32_t adapter = 0;
  EXPECT_EQ(clade_session_load_adapter(session, "/none", &adapter),
            CLADE_UNSUPPORTED);
  EXPECT_NE(std::string(clade_last_error()).find("has no places for adapters"),
            std::string::npos);
  EXPECT_EQ(clade_session_load_adapter(session, nullptr, &adapter),
            CLADE_INVALID_ARGUMENT);
  ASSERT_EQ(clade_sequence_free(session, sequence), CLADE_OK);
  EXPECT_EQ(clade_sequence_set_adapter(session, sequence, 0),
            CLADE_INVALID_ARGUMENT);
}

TEST_F(CApiTest, CopiesOfSequences) {
  CladeSequence sequence = 0, copy = 0;
  ASSERT_EQ(clade_sequence_create(session, 0, &sequence), CLADE_OK);
  std::vector<int32_t> tokens = toyTokens(10, 1);
  CladeBatchItem item = {sequence, tokens.data(), 9, nullptr};
  const float *logits = nullptr;
  size_t rows = 0;
  ASSERT_EQ(clade_step(session, &item, 1, &logits, &rows), CLADE_OK);
  ASSERT_EQ(clade_sequence_copy(session, sequence, &copy), CLADE_OK);
  int64_t length = 0;
  ASSERT_EQ(clade_sequence_length(session, copy, &length), CLADE_OK);
  EXPECT_EQ(length, 9);
  // Each goes on by itself, in one step; what one gets the other does not see.
  std::vector<int32_t> other = tokens;
  other[9] = (tokens[9] + 1) % TOY_VOCAB;
  CladeBatchItem both[] = {{copy, &other[9], 1, nullptr},
                           {sequence, &tokens[9], 1, nullptr}};
  ASSERT_EQ(clade_step(session, both, 2, &logits, &rows), CLADE_OK);
  ASSERT_EQ(rows, 2u);
  auto second = toyReference(toyWeights(), tokens)[9],
       first = toyReference(toyWeights(), other)[9];
  EXPECT_TRUE(std::equal(first.begin(), first.end(), logits));
  EXPECT_TRUE(std::equal(second.begin(), second.end(), logits + TOY_VOCAB));
  ASSERT_EQ(clade_sequence_free(session, sequence), CLADE_OK);
  refuse(clade_sequence_copy(session, sequence, &copy), CLADE_INVALID_ARGUMENT,
         "the sequence does not exist or was freed");
  refuse(clade_sequence_copy(session, copy, nullptr), CLADE_INVALID_ARGUMENT,
         "'copy' is null");
  refuse(clade_sequence_copy(nullptr, copy, &copy), CLADE_INVALID_ARGUMENT,
         "'session' is null");
}

struct Streamed {
  std::vector<int32_t> tokens[2];
  CladeSession *cancelAt = nullptr;
};

int onToken(void *user, const CladeTokenEvent *event) {
  auto *streamed = static_cast<Streamed *>(user);
  EXPECT_EQ(event->struct_size, sizeof(CladeTokenEvent));
  EXPECT_LT(event->log_probability, 0);
  EXPECT_EQ(event->text, nullptr);
  streamed->tokens[event->request].push_back(event->token);
  if (streamed->cancelAt)
    clade_session_cancel(streamed->cancelAt);
  return event->request == 1 && streamed->tokens[1].size() == 3;
}

TEST_F(CApiTest, Generate) {
  std::vector<int32_t> prompts[] = {toyTokens(5, 1), toyTokens(7, 2)};
  CladeRequest requests[2];
  for (int i = 0; i < 2; ++i) {
    CLADE_INIT(requests[i]);
    requests[i].prompt = prompts[i].data();
    requests[i].prompt_length = prompts[i].size();
    requests[i].max_tokens = 12;
    requests[i].log_probabilities = 1;
  }
  Streamed streamed;
  CladeGeneration *made = nullptr;
  ASSERT_EQ(clade_generate(session, requests, 2, onToken, &streamed, &made),
            CLADE_OK)
      << clade_last_error();
  for (size_t i : {0, 1}) {
    size_t count = 0;
    const int32_t *tokens = clade_generation_tokens(made, i, &count);
    std::vector<int32_t> list(tokens, tokens + count);
    EXPECT_EQ(list, expected(prompts[i], i == 0 ? 12 : 3));
    EXPECT_EQ(list, streamed.tokens[i]);
    EXPECT_LT(clade_generation_log_probabilities(made, i)[count - 1], 0);
  }
  EXPECT_EQ(clade_generation_stop_reason(made, 0), CLADE_STOP_MAX_TOKENS);
  EXPECT_EQ(clade_generation_stop_reason(made, 1), CLADE_STOP_CALLBACK);
  size_t count = 9;
  EXPECT_EQ(clade_generation_tokens(made, 2, &count), nullptr);
  EXPECT_EQ(count, 0u);
  EXPECT_EQ(clade_generation_log_probabilities(made, 2), nullptr);
  CladeStats stats;
  CLADE_INIT(stats);
  ASSERT_EQ(clade_generation_stats(made, &stats), CLADE_OK);
  EXPECT_GT(stats.prefill_tok_s, 0);
  EXPECT_GT(stats.decode_tok_s, 0);
  EXPECT_GT(stats.load_s, 0);
  EXPECT_GT(stats.rss_mb, 1);
  clade_generation_free(made);
}

TEST_F(CApiTest, Text) {
  addTokenizer();
  CladeModelInfo info;
  CLADE_INIT(info);
  ASSERT_EQ(clade_model_info(model, &info), CLADE_OK);
  EXPECT_EQ(info.has_tokenizer, 1);
  const std::string text = "A\u00e9BB\u20ac";
  std::vector<int32_t> expected = {8, 3, 4, 9, 9, 5, 6, 7};
  std::vector<int32_t> tokens(8);
  size_t count = 0;
  // Too little room first.
  ASSERT_EQ(clade_tokenize(model, text.data(), text.size(), 1, tokens.data(), 2,
                           &count),
            CLADE_OK)
      << clade_last_error();
  EXPECT_EQ(count, 8u);
  EXPECT_EQ(tokens, (std::vector<int32_t>{8, 3, 0, 0, 0, 0, 0, 0}));
  ASSERT_EQ(clade_tokenize(model, text.data(), text.size(), 1, tokens.data(), 8,
                           &count),
            CLADE_OK);
  EXPECT_EQ(tokens, expected);
  tokens.push_back(1);
  std::string decoded(100, '?');
  size_t length = 0;
  for (int32_t skip : {0, 1}) {
    ASSERT_EQ(clade_detokenize(model, tokens.data(), tokens.size(), skip,
                               decoded.data(), decoded.size(), &length),
              CLADE_OK);
    EXPECT_EQ(decoded.substr(0, length), text + (skip ? "" : "</s>"));
  }
  ASSERT_EQ(clade_tokenize(model, nullptr, 0, 0, nullptr, 0, &count), CLADE_OK);
  EXPECT_EQ(count, 0u);
  refuse(clade_tokenize(model, nullptr, 1, 0, nullptr, 0, &count),
         CLADE_INVALID_ARGUMENT, "'text' is null");
}

int onText(void *user, const CladeTokenEvent *event) {
  if (event->text)
    static_cast<std::string *>(user)->append(event->text, event->text_length);
  return 0;
}

TEST_F(CApiTest, StreamedText) {
  std::vector<int32_t> prompt = toyTokens(5, 1);
  CladeRequest request;
  CLADE_INIT(request);
  request.prompt = prompt.data();
  request.prompt_length = prompt.size();
  request.max_tokens = 60;
  request.temperature = 2;
  request.want_text = 1;
  request.ignore_eos = 1;
  std::string streamed;
  CladeGeneration *made = nullptr;
  std::string missing = "'" + path + "' has no 'tokenizer.json'";
  refuse(clade_generate(session, &request, 1, onText, &streamed, &made),
         CLADE_NOT_FOUND, missing);
  size_t count = 0;
  refuse(clade_tokenize(model, "A", 1, 0, nullptr, 0, &count), CLADE_NOT_FOUND,
         missing);
  addTokenizer();
  ASSERT_EQ(clade_generate(session, &request, 1, onText, &streamed, &made),
            CLADE_OK)
      << clade_last_error();
  const int32_t *tokens = clade_generation_tokens(made, 0, &count);
  ASSERT_EQ(count, 60u);
  std::string whole(1000, '?');
  size_t length = 0;
  ASSERT_EQ(clade_detokenize(model, tokens, count, 1, whole.data(),
                             whole.size(), &length),
            CLADE_OK);
  EXPECT_EQ(streamed, whole.substr(0, length));
  EXPECT_GT(length, 20u);
  clade_generation_free(made);
}

TEST_F(CApiTest, StopTokensAndDefaults) {
  std::vector<int32_t> prompt = toyTokens(5, 1);
  std::vector<int32_t> all = expected(prompt, 16);
  CladeRequest request;
  CLADE_INIT(request);
  request.prompt = prompt.data();
  request.prompt_length = prompt.size();
  CladeGeneration *made = nullptr;
  size_t count = 0;
  ASSERT_EQ(clade_generate(session, &request, 1, nullptr, nullptr, &made),
            CLADE_OK);
  const int32_t *tokens = clade_generation_tokens(made, 0, &count);
  EXPECT_EQ(std::vector<int32_t>(tokens, tokens + count), all);
  EXPECT_EQ(clade_generation_log_probabilities(made, 0), nullptr);
  clade_generation_free(made);
  request.stop_tokens = &all[0];
  request.num_stop_tokens = 1;
  ASSERT_EQ(clade_generate(session, &request, 1, nullptr, nullptr, &made),
            CLADE_OK);
  clade_generation_tokens(made, 0, &count);
  EXPECT_EQ(count, 1u);
  EXPECT_EQ(clade_generation_stop_reason(made, 0), CLADE_STOP_TOKEN);
  clade_generation_free(made);
}

TEST_F(CApiTest, Cancel) {
  std::vector<int32_t> prompt = toyTokens(5, 1);
  CladeRequest request;
  CLADE_INIT(request);
  request.prompt = prompt.data();
  request.prompt_length = prompt.size();
  request.log_probabilities = 1;
  Streamed streamed;
  streamed.cancelAt = session;
  CladeGeneration *made = nullptr;
  refuse(clade_generate(session, &request, 1, onToken, &streamed, &made),
         CLADE_CANCELLED, "the step was cancelled");
  EXPECT_EQ(made, nullptr);
  clade_session_clear_cancel(session);
  EXPECT_EQ(clade_generate(session, &request, 1, nullptr, nullptr, &made),
            CLADE_OK);
  clade_generation_free(made);
}

TEST_F(CApiTest, Refusals) {
  CladeModel *other = nullptr;
  CladeGeneration *made = nullptr;
  CladeRequest requests[2];
  refuse(clade_model_load(nullptr, nullptr, &other), CLADE_INVALID_ARGUMENT,
         "'path' is null");
  refuse(clade_model_load(path.c_str(), nullptr, nullptr),
         CLADE_INVALID_ARGUMENT, "'model' is null");
  refuse(clade_model_load((folder / "absent").c_str(), nullptr, &other),
         CLADE_NOT_FOUND, "'" + (folder / "absent") + "' is not an artifact");
  CladeModelOptions options;
  CLADE_INIT(options);
  std::string absent = folder / "absent";
  options.checkpoint = absent.c_str();
  refuse(clade_model_load(path.c_str(), &options, &other), CLADE_NOT_FOUND, "");
  EXPECT_EQ(other, nullptr);
  CLADE_INIT(options);
  options.verify_weights = 1;
  refuse(clade_model_load(path.c_str(), &options, &other),
         CLADE_INVALID_ARGUMENT,
         "'" + path +
             "' holds no weights that could be verified: 'clade convert --to "
             "packed' writes them, with their hashes");
  // A caller that was built before there was such a member does not ask for it.
  options.struct_size = offsetof(CladeModelOptions, verify_weights);
  EXPECT_EQ(clade_model_load(path.c_str(), &options, &other), CLADE_OK);
  clade_model_free(other);
  other = nullptr;
  CLADE_INIT(requests[0]);
  CLADE_INIT(requests[1]);
  auto generate = [&](size_t count) {
    return clade_generate(session, requests, count, nullptr, nullptr, &made);
  };
  refuse(generate(1), CLADE_INVALID_ARGUMENT, "'prompt' is null");
  int32_t token = 1;
  requests[0].prompt = &token;
  refuse(generate(1), CLADE_INVALID_ARGUMENT,
         "request 0: the prompt has no tokens");
  requests[0].prompt_length = 1;
  requests[0].top_p = 7;
  refuse(generate(1), CLADE_INVALID_ARGUMENT,
         "request 0: expected 'top_p' in (0, 1], got 7");
  requests[0].top_p = 0;
  requests[1].struct_size = 24;
  refuse(generate(2), CLADE_INVALID_ARGUMENT,
         "the struct_size of the requests is not the same");
  requests[0].struct_size = 5;
  refuse(generate(1), CLADE_INVALID_ARGUMENT,
         "'requests' do not have their struct_size; use CLADE_INIT");
  refuse(clade_generate(session, nullptr, 1, nullptr, nullptr, &made),
         CLADE_INVALID_ARGUMENT, "'requests' is null");
  EXPECT_EQ(made, nullptr);
  EXPECT_EQ(clade_generate(session, nullptr, 0, nullptr, nullptr, &made),
            CLADE_OK);
  clade_generation_free(made);
}

TEST_F(CApiTest, WrongNumberOfSlots) {
  Manifest manifest = toyManifest();
  manifest.model.checkpoint = folder / "checkpoint";
  manifest.weightSlots += 2;
  ASSERT_OK(writeArtifact(path, manifest, {toyCode(), toyWeightTable(), {}}));
  CladeModel *other = nullptr;
  refuse(clade_model_load(path.c_str(), nullptr, &other),
         CLADE_INVALID_ARGUMENT,
         "'" + path + "': expected 17 weight slots, got 15");
}

TEST(CApiNamesTest, Statuses) {
  EXPECT_STREQ(clade_status_name(CLADE_OK), "ok");
  EXPECT_STREQ(clade_status_name(CLADE_CANCELLED), "cancelled");
  EXPECT_STREQ(clade_status_name(99), "unknown status");
  clade_model_free(nullptr);
  clade_session_free(nullptr);
  clade_generation_free(nullptr);
  clade_session_cancel(nullptr);
}

} // namespace

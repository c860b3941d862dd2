//===- PublishedRecordTest.cpp - Records of published values --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/PublishedRecord.h"

#include "test/Formats/TestFiles.h"

#include <random>

using namespace clade;
using namespace clade::driver;
using rt::Status;
using rt::StatusCode;
using rt::test::TempDir;

namespace {
using Metadata = std::map<std::string, std::string>;

/// Two tokens and one behind them, of four logits; one module.
PublishedRecord example() {
  PublishedRecord record;
  record.checkpoint.config = {{"hidden_size", 2}, {"nested", {{"a", 1}}}};
  record.checkpoint.weights = {{"a.weight", "F32 [2, 2] 00ff"},
                               {"b.weight", "BF16 [2] 11ee"}};
  record.dtype = "bf16";
  record.seed = 7;
  record.text = {{3, 1}, {2}, {0, 1}};
  record.wide.logits = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  record.narrow.logits = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12.5};
  record.wide.modules["model.norm"] = {0.5f, -0.5f, 1.5f, 2.5f};
  record.narrow.modules["model.norm"] = {0.5f, -0.5f, 1.5f, 2.25f};
  record.wide.code = {"transformers 5", "TinyForCausalLM"};
  return record;
}

/// The file of a record, and what a test changes in it.
class RecordFile {
public:
  RecordFile() {
    EXPECT_TRUE(example().write(path()).ok());
    auto file = rt::SafetensorsFile::open(path());
    EXPECT_TRUE(file.ok());
    metadata = file->metadata();
    for (const rt::StoredTensor &tensor : file->tensors())
      add(tensor.name, tensor.dtype, tensor.shape,
          {reinterpret_cast<const char *>(tensor.bytes.data()),
           tensor.bytes.size()});
  }

  std::string path() const { return folder / "record.safetensors"; }

  void add(const std::string &name, rt::DType dtype, std::vector<int64_t> shape,
           std::string bytes) {
    stored[name] = std::move(bytes);
    tensors[name] = {name, dtype, std::move(shape), {}};
  }
  void remove(const std::string &name) { tensors.erase(name); }

  /// What is said of the changed file.
  std::string error() {
    std::vector<rt::StoredTensor> list;
    for (auto &[name, tensor] : tensors) {
      tensor.bytes = rt::test::bytesOf(stored[name]);
      list.push_back(tensor);
    }
    EXPECT_TRUE(rt::writeSafetensors(path(), list, metadata).ok());
    auto record = PublishedRecord::open(path());
    if (record.ok())
      return "";
    const std::string &message = record.status().message();
    std::string begin = "'" + path() + "': ";
    EXPECT_EQ(message.substr(0, begin.size()), begin);
    return message.substr(std::min(begin.size(), message.size()));
  }

  Metadata metadata;

private:
  TempDir folder;
  std::map<std::string, std::string> stored;
  std::map<std::string, rt::StoredTensor> tensors;
};

TEST(PublishedRecord, ComesBackAsItWas) {
  TempDir folder;
  PublishedRecord record = example();
  ASSERT_OK(record.write(folder / "r.safetensors"));
  auto read = PublishedRecord::open(folder / "r.safetensors");
  ASSERT_OK(read);
  EXPECT_EQ(read->checkpoint.config, record.checkpoint.config);
  EXPECT_TRUE(read->checkpoint.adapter.is_null());
  EXPECT_EQ(read->checkpoint.weights, record.checkpoint.weights);
  EXPECT_EQ(read->dtype, "bf16");
  EXPECT_EQ(read->seed, record.seed);
  EXPECT_EQ(read->text.prompt, record.text.prompt);
  EXPECT_EQ(read->text.forced, record.text.forced);
  EXPECT_EQ(read->text.types, record.text.types);
  EXPECT_EQ(read->wide.modules, record.wide.modules);
  EXPECT_EQ(read->narrow.modules, record.narrow.modules);
  EXPECT_EQ(read->wide.code.name, "TinyForCausalLM");
  EXPECT_EQ(read->wide.code.library, "transformers 5");
  ASSERT_OK(read->run("f32"));
  ASSERT_OK(read->run("bf16"));
  EXPECT_EQ((*read->run("f32"))->logits, record.wide.logits);
  EXPECT_EQ((*read->run("bf16"))->logits, record.narrow.logits);
}

TEST(PublishedRecord, WithoutSeedTypesAndSecondType) {
  TempDir folder;
  PublishedRecord record = example();
  record.dtype = "f32";
  record.seed.reset();
  record.text.types.clear();
  record.text.forced.clear();
  record.wide.logits.resize(8);
  record.checkpoint.adapter = {{"r", 4}};
  ASSERT_OK(record.write(folder / "r.safetensors"));
  auto read = PublishedRecord::open(folder / "r.safetensors");
  ASSERT_OK(read);
  EXPECT_FALSE(read->seed);
  EXPECT_TRUE(read->text.types.empty());
  EXPECT_TRUE(read->text.forced.empty());
  EXPECT_EQ(read->checkpoint.adapter, record.checkpoint.adapter);
  rt::test::expectError(
      read->run("bf16").status(), StatusCode::InvalidArgument,
      "the record has no run in bf16, only in f32; record it with --dtype "
      "bf16");
}

TEST(PublishedRecord, WritesNothingThatIsNoRun) {
  TempDir folder;
  PublishedRecord record = example();
  record.wide.modules["model.norm"].push_back(1);
  rt::test::expectError(
      record.write(folder / "r.safetensors"), StatusCode::InvalidArgument,
      "the published implementation gave 5 values as 'f32.modules.model.norm', "
      "expected some for each of 2 tokens");
  EXPECT_FALSE(PublishedRecord::open(folder / "r.safetensors").ok());
}

TEST(PublishedRecord, MetadataThatIsMissing) {
  for (const char *key : {"dtype", "config", "weights", "library", "class"}) {
    RecordFile file;
    file.metadata.erase(key);
    EXPECT_EQ(file.error(), "has no '" + std::string(key) +
                                "' in its metadata; record it again");
  }
  RecordFile file;
  file.metadata.clear();
  EXPECT_EQ(file.error(),
            "is no record of published values, which has 'clade_record' in its "
            "metadata; 'clade verify --record FILE' makes one");
}

TEST(PublishedRecord, MetadataThatIsWrong) {
  struct Case {
    const char *key, *value, *error;
  };
  for (const Case &wrong : {
           Case{"clade_record", "2",
                "is a record of version '2', expected '1'; record it with this "
                "version of Clade"},
           Case{"dtype", "f16",
                "metadata 'dtype' is 'f16', expected 'f32' or 'bf16'"},
           Case{"config", "[1]",
                "metadata 'config' is '[1]', expected a JSON object"},
           Case{"adapter", "3",
                "metadata 'adapter' is '3', expected a JSON object"},
           Case{"weights", "{\"a\": 1}",
                "metadata 'weights' has '1' for tensor 'a', expected a string"},
           Case{"seed", "-1",
                "metadata 'seed' is '-1', expected a number below 2^64"},
           Case{"seed", "",
                "metadata 'seed' is '', expected a number below "
                "2^64"},
       }) {
    RecordFile file;
    file.metadata[wrong.key] = wrong.value;
    EXPECT_EQ(file.error(), wrong.error);
  }
  RecordFile file;
  file.metadata["weights"] = "{\"a\"";
  EXPECT_EQ(file.error().substr(0, 19), "metadata 'weights':");
}

TEST(PublishedRecord, TensorsThatAreMissing) {
  for (const char *name : {"tokens", "force", "f32.logits", "bf16.logits"}) {
    RecordFile file;
    file.remove(name);
    EXPECT_EQ(file.error(),
              "has no tensor '" + std::string(name) + "'; record it again");
  }
}

TEST(PublishedRecord, TensorsThatAreWrong) {
  struct Case {
    const char *name;
    rt::DType dtype;
    std::vector<int64_t> shape;
    const char *error;
  };
  using rt::DType;
  for (const Case &wrong : {
           Case{"tokens",
                DType::I64,
                {2},
                "tensor 'tokens' is I64, expected I32"},
           Case{"tokens",
                DType::I32,
                {2, 1},
                "tensor 'tokens' is [2, 1], expected [tokens]"},
           Case{"tokens",
                DType::I32,
                {0},
                "tensor 'tokens' is empty, expected a prompt"},
           Case{
               "types", DType::I32, {3}, "tensor 'types' is [3], expected [2]"},
           Case{"force",
                DType::I32,
                {2},
                "tensor 'f32.logits' is [3, 4], expected [4, width], a row for "
                "each token"},
           Case{"f32.logits",
                DType::BF16,
                {3, 4},
                "tensor 'f32.logits' is BF16, expected F32"},
           Case{"f32.logits",
                DType::F32,
                {12},
                "tensor 'f32.logits' is [12], expected [3, width], a row for "
                "each token"},
           Case{"f32.logits",
                DType::F32,
                {3, 0},
                "tensor 'f32.logits' is empty"},
           Case{"bf16.logits",
                DType::F32,
                {3, 2},
                "tensor 'bf16.logits' is [3, 2], but 'f32.logits' is [3, 4]"},
           Case{"f32.modules.model.norm",
                DType::F32,
                {3, 2},
                "tensor 'f32.modules.model.norm' is [3, 2], expected [2, "
                "width], a row for each token"},
           Case{"f32.other",
                DType::F32,
                {1},
                "tensor 'f32.other' is none of a record whose 'dtype' is "
                "'bf16'"},
       }) {
    RecordFile file;
    file.add(wrong.name, wrong.dtype, wrong.shape,
             std::string(*rt::tensorBytes(wrong.dtype, wrong.shape), '\0'));
    EXPECT_EQ(file.error(), wrong.error);
  }
  RecordFile file;
  file.add("tokens", DType::I32, {2},
           rt::test::number<int32_t>(0) + rt::test::number<int32_t>(-5));
  EXPECT_EQ(file.error(), "tensor 'tokens' holds -5, expected numbers from 0");
  for (const char *name : {"bf16.logits", "bf16.modules.model.norm"}) {
    RecordFile exact;
    exact.metadata["dtype"] = "f32";
    exact.remove("bf16.logits");
    exact.remove("bf16.modules.model.norm");
    exact.add(name, DType::F32, {1, 1}, "1234");
    EXPECT_EQ(exact.error(), "tensor '" + std::string(name) +
                                 "' is none of a record whose 'dtype' is "
                                 "'f32'");
  }
}

TEST(PublishedRecord, OfAnotherCheckpoint) {
  const CheckpointIdentity recorded = example().checkpoint;
  auto errorOf = [&](auto change) {
    CheckpointIdentity own = recorded;
    change(own);
    Status status = checkSame(recorded, own);
    EXPECT_EQ(status.ok() ? 0 : 1, status.message().empty() ? 0 : 1);
    return status.message();
  };
  EXPECT_EQ(errorOf([](CheckpointIdentity &) {}), "");
  EXPECT_EQ(errorOf([](auto &own) { own.config["nested"]["a"] = 2; }),
            "the record is of another config.json: 'nested.a' is '1' in the "
            "record and '2' in the checkpoint");
  EXPECT_EQ(errorOf([](auto &own) { own.config.erase("nested"); }),
            "the record is of another config.json: 'nested' is in the record "
            "only");
  EXPECT_EQ(errorOf([](auto &own) { own.config["x"] = 1; }),
            "the record is of another config.json: 'x' is in the checkpoint "
            "only");
  EXPECT_EQ(errorOf([](auto &own) { own.adapter = {{"r", 1}}; }),
            "the record is of another adapter, or one of the two is without: "
            "the whole is 'null' in the record and '{\"r\":1}' in the "
            "checkpoint");
  EXPECT_EQ(
      errorOf([](auto &own) { own.weights["a.weight"] = "F32 [2, 2] 1"; }),
      "the record is of other weights: tensor 'a.weight' has other "
      "values there");
  EXPECT_EQ(errorOf([](auto &own) { own.weights["a.weight"] = "F32 [4] 1"; }),
            "the record is of other weights: tensor 'a.weight' is 'F32 [2, 2]' "
            "there, and F32 [4] in the checkpoint");
  EXPECT_EQ(errorOf([](auto &own) { own.weights.erase("b.weight"); }),
            "the record is of other weights: tensor 'b.weight' is not in the "
            "checkpoint");
  EXPECT_EQ(errorOf([](auto &own) { own.weights["c"] = "F32 [1] 1"; }),
            "the record is of other weights: tensor 'c' is not among them");
}

TEST(PublishedRecord, KnowsACheckpointByEveryByte) {
  std::vector<float> values = {1, 2};
  std::vector<rt::StoredTensor> tensors = {
      rt::test::makeTensor("w", rt::DType::F32, {2}, values)};
  auto one = CheckpointIdentity::of("{\"a\": 1}", std::nullopt, tensors);
  ASSERT_OK(one);
  values[1] = std::nextafter(2.0f, 3.0f);
  auto other = CheckpointIdentity::of("{ \"a\":1 }", std::nullopt, tensors);
  ASSERT_OK(other);
  EXPECT_EQ(one->config, other->config);
  EXPECT_NE(one->weights, other->weights);
  EXPECT_FALSE(CheckpointIdentity::of("{", std::nullopt, {}).ok());
}

TEST(PublishedRecord, TextThatAModelDoesNotTake) {
  VerifyText text = example().text;
  ASSERT_OK(checkText(text, 4, false, 2));
  auto errorOf = [&](int64_t vocab, bool isWhole, int32_t numTypes) {
    return checkText(text, vocab, isWhole, numTypes).message();
  };
  EXPECT_EQ(errorOf(3, false, 2),
            "the record has token 3, but the model's vocabulary has 3");
  EXPECT_EQ(errorOf(4, true, 2),
            "the record has tokens behind the prompt, tensor 'force', but the "
            "model reads a text as a whole");
  EXPECT_EQ(errorOf(4, false, 0),
            "the record has types of tokens, but the model takes none");
  EXPECT_EQ(errorOf(4, false, 1),
            "the record has a token of type 1, but the model has 1 types");
  text.types.clear();
  EXPECT_EQ(errorOf(4, false, 2),
            "the record has no tensor 'types', but the model takes types of "
            "tokens");
}

/// The file's bytes, with four more, so that the mutations may be aligned.
std::string imageOfExample() {
  TempDir folder;
  const std::string path = folder / "r.safetensors";
  EXPECT_TRUE(example().write(path).ok());
  auto file = rt::MappedFile::open(path);
  EXPECT_TRUE(file.ok());
  return {reinterpret_cast<const char *>((*file)->bytes().data()),
          (*file)->bytes().size()};
}

/// Whatever is read is whole: a row for each token.
void expectWhole(const PublishedRecord &record) {
  size_t rows = record.text.prompt.size() + record.text.forced.size();
  ASSERT_GT(record.text.prompt.size(), 0u);
  EXPECT_EQ(record.wide.logits.size() % rows, 0u);
  EXPECT_FALSE(record.wide.logits.empty());
  for (const auto &[name, values] : record.wide.modules)
    EXPECT_EQ(values.size() % record.text.prompt.size(), 0u);
  EXPECT_TRUE(record.dtype == "f32" ||
              record.narrow.logits.size() == record.wide.logits.size());
}

TEST(PublishedRecord, CutAnywhereIsAnError) {
  std::string image = imageOfExample();
  for (size_t size = 0; size < image.size(); ++size) {
    std::string cut = image.substr(0, size);
    auto record = PublishedRecord::parse(rt::test::bytesOf(cut), "cut");
    ASSERT_FALSE(record.ok()) << size;
    EXPECT_EQ(record.status().message().substr(0, 5), "'cut'");
  }
}

TEST(PublishedRecord, ChangedAnywhereIsAnErrorOrWhole) {
  const std::string image = imageOfExample();
  size_t accepted = 0;
  for (size_t at = 0; at < image.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = image;
      changed[at] = static_cast<char>(changed[at] ^ (1 << bit));
      auto record = PublishedRecord::parse(rt::test::bytesOf(changed), "m");
      if (!record.ok())
        continue;
      ++accepted;
      expectWhole(*record);
    }
  // Numbers may be any; most of the rest may not.
  EXPECT_GT(accepted, 0u);
}

TEST(PublishedRecord, ShuffledIsAnErrorOrWhole) {
  const std::string image = imageOfExample();
  std::mt19937 engine(1);
  auto below = [&](size_t end) { return engine() % end; };
  for (int round = 0; round < 20000; ++round) {
    std::string changed = image;
    for (size_t steps = 1 + below(4); steps > 0; --steps) {
      size_t at = below(changed.size()), from = below(changed.size()),
             count = std::min(1 + below(16), changed.size() - from);
      std::string piece = changed.substr(from, count);
      if (below(2))
        changed.insert(at, piece);
      else
        changed.replace(at, std::min(count, changed.size() - at), piece);
    }
    auto record = PublishedRecord::parse(rt::test::bytesOf(changed), "s");
    if (record.ok())
      expectWhole(*record);
  }
}
} // namespace

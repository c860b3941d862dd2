//===- ConvertGguf.cpp - A checkpoint as a GGUF file ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Names, permutations and metadata are those of the family 'gguf', read
// backwards: no table of them is here.
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ConvertTensors.h"
#include "tools/clade/Progress.h"

#include "lib/Import/GGUFMetadata.h"
#include "lib/Import/Quantisation.h"
#include "runtime/Engine/LoadTokenizer.h"
#include "runtime/Formats/GGUFWriter.h"
#include "runtime/Formats/Quantize.h"
#include "runtime/Support/File.h"
#include "runtime/Support/OutputDirectory.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using nlohmann::json;

/// llama.cpp's number of the type that most tensors of a file have.
static uint32_t fileType(rt::DType dtype) {
  switch (dtype) {
  case rt::DType::F32:
    return 0;
  case rt::DType::F16:
    return 1;
  case rt::DType::Q4_0:
    return 2;
  case rt::DType::Q8_0:
    return 7;
  case rt::DType::Q4_K:
    return 14;
  case rt::DType::Q6_K:
    return 18;
  default:
    return 32; // BF16
  }
}

/// Readers want these keys as floats, whatever their value.
static bool isFloatKey(llvm::StringRef key) {
  return llvm::any_of(llvm::ArrayRef<llvm::StringRef>{"epsilon", "freq_base",
                                                      "factor", "softcapping",
                                                      "yarn_beta"},
                      [&](llvm::StringRef part) { return key.contains(part); });
}

/// Adds the leaves of an object, but for those of the tokenizer, which has its
/// own lists.
static void flatten(const json &object, const std::string &prefix,
                    std::vector<rt::GGUFEntry> &entries) {
  for (const auto &[name, value] : object.items()) {
    std::string key = prefix + name;
    if (value.is_object()) {
      if (key != "tokenizer")
        flatten(value, key + ".", entries);
    } else if (value.is_boolean()) {
      entries.push_back({key, value.get<bool>()});
    } else if (value.is_string()) {
      entries.push_back({key, value.get<std::string>()});
    } else if (value.is_number() &&
               (isFloatKey(key) || value.is_number_float())) {
      entries.push_back({key, value.get<float>()});
    } else if (value.is_number()) {
      entries.push_back({key, value.get<uint32_t>()});
    }
  }
}

/// The vocabulary of the source; without one that a GGUF file can hold, tokens
/// without texts.
static rt::GGUFVocabulary vocabularyOf(const rt::Checkpoint &checkpoint,
                                       size_t size, ConvertReport &report) {
  auto make = [&]() -> rt::StatusOr<rt::GGUFVocabulary> {
    if (checkpoint.gguf())
      return rt::readGGUFVocabulary(*checkpoint.gguf());
    if (!checkpoint.tokenizerPath())
      return rt::Status::notFound("the source has no 'tokenizer.json'");
    CLADE_ASSIGN_OR_RETURN(std::string text,
                           rt::readTextFile(*checkpoint.tokenizerPath()));
    return rt::ggufVocabulary(text, *checkpoint.tokenizerPath(), size);
  };
  rt::StatusOr<rt::GGUFVocabulary> made = make();
  if (made.ok())
    return std::move(*made);
  report.notes.push_back("no tokenizer is written: " + made.status().message());
  rt::GGUFVocabulary vocabulary;
  vocabulary.model = "none";
  for (size_t id = 0; id < size; ++id)
    vocabulary.tokens.push_back("[PAD" + std::to_string(id) + "]");
  vocabulary.tokenTypes.assign(size, 5);
  return vocabulary;
}

static void addVocabulary(const rt::GGUFVocabulary &vocabulary,
                          const json &metadata,
                          std::vector<rt::GGUFEntry> &entries) {
  auto add = [&](const char *key, rt::GGUFEntryValue value) {
    entries.push_back({std::string("tokenizer.ggml.") + key, std::move(value)});
  };
  add("model", vocabulary.model);
  if (!vocabulary.pre.empty())
    add("pre", vocabulary.pre);
  add("tokens", vocabulary.tokens);
  if (!vocabulary.scores.empty())
    add("scores", vocabulary.scores);
  if (!vocabulary.tokenTypes.empty())
    add("token_type", vocabulary.tokenTypes);
  if (!vocabulary.merges.empty())
    add("merges", vocabulary.merges);
  // The configuration decides about the first and the last token.
  auto addId = [&](const char *key, std::optional<int32_t> id) {
    json::json_pointer place(std::string("/tokenizer/ggml/") + key);
    if (metadata.contains(place) && metadata[place].is_number_integer())
      id = metadata[place].get<int32_t>();
    if (id && *id >= 0)
      add(key, static_cast<uint32_t>(*id));
  };
  addId("bos_token_id", vocabulary.bosId);
  addId("eos_token_id", vocabulary.eosId);
  addId("unknown_token_id", vocabulary.unknownId);
  addId("padding_token_id", vocabulary.paddingId);
  if (vocabulary.addBos)
    add("add_bos_token", *vocabulary.addBos);
  if (vocabulary.addEos)
    add("add_eos_token", *vocabulary.addEos);
  if (vocabulary.addSpacePrefix)
    add("add_space_prefix", *vocabulary.addSpacePrefix);
}

/// Vectors and norms are F32; a matrix whose rows are no whole blocks takes the
/// next type whose blocks they are.
static void chooseTypes(rt::DType dtype, std::vector<OutputTensor> &tensors,
                        ConvertReport &report) {
  for (OutputTensor &tensor : tensors) {
    const std::vector<int64_t> &shape = tensor.program.shape;
    if (shape.size() < 2) {
      storeAs(tensor, rt::DType::F32);
      continue;
    }
    rt::DType chosen = dtype;
    for (rt::DType next : {rt::DType::Q8_0, rt::DType::F16})
      if (shape.back() % rt::blockLength(chosen) != 0)
        chosen = next;
    if (chosen != dtype)
      report.notes.push_back("tensor '" + tensor.name + "' is stored as " +
                             std::string(rt::dtypeName(chosen)) +
                             ": its rows are no whole blocks of " +
                             std::string(rt::dtypeName(dtype)));
    storeAs(tensor, chosen);
  }
}

/// Adds the tensors of numbers that the metadata hold, such as
/// rope_freqs.weight.
static void addVectors(const json &object, const std::string &name,
                       std::vector<OutputTensor> &tensors) {
  if (object.is_object())
    for (const auto &[part, value] : object.items())
      addVectors(value, name.empty() ? part : name + "." + part, tensors);
  if (!object.is_array())
    return;
  rt::WeightNode node;
  node.op = rt::WeightOp::Constant;
  node.dtype = rt::DType::F32;
  node.values = object.get<std::vector<float>>();
  node.shape = {static_cast<int64_t>(node.values.size())};
  tensors.push_back({name, rt::DType::F32, std::move(node)});
}

static bool isGguf(const std::string &path) {
  auto file = llvm::MemoryBuffer::getFileSlice(path, 4, 0);
  return file && (*file)->getBuffer() == "GGUF";
}

static rt::Status writeFile(const std::string &path,
                            const rt::Checkpoint &checkpoint,
                            const std::vector<rt::GGUFEntry> &entries,
                            const std::vector<OutputTensor> &tensors,
                            ConvertReport &report) {
  std::vector<rt::StoredTensor> described;
  for (const OutputTensor &tensor : tensors)
    described.push_back(
        {tensor.name, tensor.dtype, tensor.program.shape, rt::ByteSpan()});
  CLADE_ASSIGN_OR_RETURN(rt::GGUFLayout layout,
                         rt::layOutGGUF(entries, described));
  CLADE_RETURN_IF_ERROR(writeTensors(path, layout.header, layout.bytes, tensors,
                                     layout.offsets, sourcesOf(checkpoint)));
  report.facts = {{"tensors", tensors.size()}, {"bytes", layout.bytes}};
  return {};
}

/// The configuration without its quantisation: the written tensors have
/// another.
static mlir::FailureOr<std::unique_ptr<import::Config>>
plainConfig(Environment &environment, const ConversionModel &source) {
  json config = source.model.config->json();
  import::eraseQuantisation(config);
  import::SpecLibrary &library = environment.getLibrary();
  return import::Config::parse(
      config.dump(2, ' ', false, json::error_handler_t::replace),
      source.model.config->getName(), library.getSourceMgr(),
      &environment.getContext());
}

/// The tensors and metadata of the file. Prints what is wrong.
static bool plan(Environment &environment, const ConversionModel &source,
                 const rt::Checkpoint &checkpoint, rt::DType dtype,
                 std::vector<rt::GGUFEntry> &entries,
                 std::vector<OutputTensor> &tensors, ConvertReport &report) {
  import::SpecLibrary &library = environment.getLibrary();
  auto config = plainConfig(environment, source);
  if (failed(config))
    return false;
  auto family = import::findFamily(library, **config);
  if (failed(family))
    return false;
  auto metadata = import::ggufMetadata(library, *family, **config);
  if (failed(metadata))
    return false;
  auto target =
      import::importGGUFForm(library, *family, std::move(*config), *metadata);
  if (failed(target))
    return false;
  auto planned = planTensors(source, *target);
  if (failed(planned))
    return false;
  tensors = std::move(*planned);
  chooseTypes(dtype, tensors, report);
  addVectors(metadata->value("vectors", json()), "", tensors);
  std::string path = checkpoint.path();
  while (path.size() > 1 && path.back() == '/')
    path.pop_back();
  flatten(*metadata, "", entries);
  entries.push_back({"general.type", std::string("model")});
  entries.push_back({"general.name", llvm::sys::path::stem(path).str()});
  entries.push_back({"general.file_type", fileType(dtype)});
  entries.push_back({"general.quantization_version", uint32_t(2)});
  json::json_pointer count("/tokenizer/ggml/tokens/count");
  size_t size =
      metadata->contains(count) ? (*metadata)[count].get<size_t>() : 0;
  // Without texts of tokens llama.cpp takes their number from here.
  entries.push_back({(*metadata)["general"]["architecture"].get<std::string>() +
                         ".vocab_size",
                     static_cast<uint32_t>(size)});
  addVocabulary(vocabularyOf(checkpoint, size, report), *metadata, entries);
  return true;
}

std::optional<ConvertReport>
driver::convertToGguf(Environment &environment,
                      const rt::Checkpoint &checkpoint,
                      const ConvertOptions &options) {
  if (llvm::sys::fs::exists(options.output) && !isGguf(options.output))
    return fail("'" + options.output + "' exists and is not a GGUF file"),
           std::nullopt;
  showProgress("reading the specs and headers");
  auto source = ConversionModel::read(environment, checkpoint);
  if (failed(source))
    return std::nullopt;
  rt::DType dtype = chooseType(options, source->model, checkpoint);
  ConvertReport report;
  std::vector<rt::GGUFEntry> entries;
  std::vector<OutputTensor> tensors;
  if (!plan(environment, *source, checkpoint, dtype, entries, tensors, report))
    return std::nullopt;
  auto folder = rt::OutputDirectory::create(options.output);
  if (!folder.ok())
    return fail(folder.status()), std::nullopt;
  std::string path = (*folder)->path() + "/model.gguf";
  rt::Status status = writeFile(path, checkpoint, entries, tensors, report);
  if (!status.ok())
    return fail(status), std::nullopt;
  if (!compareWithSource(environment, *source, checkpoint, path, report))
    return std::nullopt;
  if (std::error_code error = llvm::sys::fs::rename(path, options.output))
    return fail("cannot write '" + options.output + "': " + error.message()),
           std::nullopt;
  return report;
}

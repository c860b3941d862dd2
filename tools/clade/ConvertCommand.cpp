//===- ConvertCommand.cpp - clade convert ---------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ConvertQuantised.h"
#include "tools/clade/Progress.h"
#include "tools/clade/Shards.h"

#include "runtime/Engine/Artifact.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade;
using namespace clade::driver;
using nlohmann::json;

/// The types that a form can hold, and what each is for.
static llvm::ArrayRef<llvm::StringRef> dtypesOf(llvm::StringRef form) {
  static const llvm::StringRef computed[] = {"bf16", "f32"};
  static const llvm::StringRef published[] = {"bf16", "f16", "f32", "fp8",
                                              "int4"};
  static const llvm::StringRef blocks[] = {"bf16", "f16",  "f32", "q8_0",
                                           "q4_0", "q4_k", "q6_k"};
  if (form == "packed" || form == "weights")
    return computed;
  return form == "gguf" ? llvm::ArrayRef<llvm::StringRef>(blocks) : published;
}

/// Checks the options against each other and the disk.
static int checkOptions(const ConvertOptions &options) {
  llvm::ArrayRef<llvm::StringRef> dtypes = dtypesOf(options.to);
  if (!options.dtype.empty() && !llvm::is_contained(dtypes, options.dtype))
    return fail("--dtype of '" + options.to + "' is one of " +
                llvm::join(dtypes, ", ") + ", got '" + options.dtype + "'"),
           Usage;
  if (!options.maxShardSize.empty() && options.to != "hf")
    return fail("--max-shard-size is for --to hf, got --to " + options.to),
           Usage;
  if (!options.maxShardSize.empty() && !parseSize(options.maxShardSize))
    return fail("--max-shard-size: expected a size such as 5GB, 300MB or 2GiB, "
                "got '" +
                options.maxShardSize + "'"),
           Usage;
  if (!options.shard.empty() && options.to != "weights")
    return fail("--shard is for --to weights, got --to " + options.to), Usage;
  if (llvm::sys::fs::exists(options.output) && !options.force)
    return fail("'" + options.output +
                "' exists already; --force replaces what was converted before");
  return Done;
}

static void print(const ConvertReport &report, const ConvertOptions &options) {
  clearProgress();
  if (options.asJson) {
    json object = report.facts;
    object["lossy"] = json::array();
    for (const ConvertReport::Lossy &lossy : report.lossy)
      object["lossy"].push_back({{"tensor", lossy.tensor},
                                 {"step", lossy.step},
                                 {"largest", lossy.largest}});
    object["notes"] = report.notes;
    llvm::outs() << object.dump(2, ' ', false, json::error_handler_t::replace)
                 << "\n";
    return;
  }
  llvm::outs() << options.output << ": "
               << report.facts["tensors"].get<int64_t>() << " tensors, "
               << report.facts["bytes"].get<int64_t>()
               << " bytes, read back and compared\n";
  for (const ConvertReport::Lossy &lossy : report.lossy)
    llvm::outs() << "lossy: '" << lossy.tensor << "': " << lossy.step
                 << llvm::format(", largest difference %.3g\n", lossy.largest);
  for (const std::string &note : report.notes)
    llvm::outs() << "note: " << note << "\n";
}

static int run(const ConvertOptions &options) {
  if (int status = checkOptions(options); status != Done)
    return status;
  Environment environment(options.specs);
  if (!environment.ok())
    return Failed;
  bool isArtifact = rt::isArtifact(options.model);
  if (isArtifact && options.to != "hf")
    return fail("an artifact becomes a checkpoint only (--to hf), got --to " +
                options.to);
  if (isArtifact && isOfCodes(options.dtype))
    return fail("--dtype " + options.dtype +
                " is for checkpoints, got the artifact '" + options.model +
                "': convert what it becomes in bf16");
  if (isArtifact && !options.adapter.empty())
    return fail("--adapter is merged into a checkpoint, got the artifact '" +
                options.model + "'");
  std::optional<rt::Checkpoint> checkpoint;
  if (!isArtifact && !(checkpoint = environment.openCheckpoint(
                           options.model, options.adapter)))
    return Failed;
  std::optional<ConvertReport> report =
      isArtifact ? convertArtifactToHf(environment, options)
      : options.to == "packed"
          ? convertToPacked(environment, *checkpoint, options)
      : options.to == "gguf" ? convertToGguf(environment, *checkpoint, options)
      : options.to == "weights"
          ? convertToWeights(environment, *checkpoint, options)
          : convertToHf(environment, *checkpoint, options);
  if (!report)
    return Failed;
  report->facts["to"] = options.to;
  report->facts["output"] = options.output;
  print(*report, options);
  return Done;
}

void driver::addConvertCommand(CLI::App &app, int &status) {
  auto *command =
      app.add_subcommand("convert", "Write a checkpoint in another form");
  command->footer(
      "  --to packed  An artifact that holds its weights as the code reads "
      "them: it loads by mapping a file, without\n"
      "               the checkpoint. Made for one CPU, as 'clade compile' "
      "does. 'clade run ARTIFACT --verify-weights'\n"
      "               compares the hashes of the weights.\n"
      "  --to hf      A folder with config.json and model.safetensors in the "
      "published names, from any form that Clade\n"
      "               reads: GGUF, FP8, MXFP4, GPTQ, AWQ, bitsandbytes … "
      "Tensors that are stored so already are copied bit\n"
      "               for bit; others become --dtype (bf16, f16 or f32), by "
      "default the type of the model, of a GGUF\n"
      "               file f32 unless its matrices are BF16. With --dtype fp8 "
      "or int4 the linear maps of layers become\n"
      "               codes: E4M3 with a scale for each 128 x 128 "
      "(transformers' fp8), or four bits with a scale for\n"
      "               each 32 (compressed-tensors' pack-quantized).\n"
      "  --to gguf    A GGUF file for the families that such files have names "
      "for: matrices as --dtype (f32, f16, bf16,\n"
      "               q8_0, q4_0, q4_k, q6_k), all else as F32.\n"
      "  --to weights A folder with the weights that one of several devices "
      "computes with (--shard), fused and cut: each\n"
      "               reads its own bytes only. shard.json says which parts "
      "they are.\n"
      "What does not come back exactly is listed, with its largest "
      "difference.\n"
      "The output appears under its name only when it is whole, was read back "
      "and compared with the source.\n"
      "Example:  clade convert Qwen3-0.6B -o q.clade --to packed && clade run "
      "q.clade --prompt Hello");
  auto options = std::make_shared<ConvertOptions>();
  command
      ->add_option("model", options->model,
                   "A folder with config.json, a .gguf file, or for --to hf an "
                   "artifact that holds its weights")
      ->required();
  command->add_option("-o,--output", options->output, "Where to write")
      ->required();
  command->add_option("--to", options->to, "The form to write")
      ->required()
      ->check(CLI::IsMember({"packed", "hf", "gguf", "weights"}));
  command->add_option("--dtype", options->dtype,
                      "Type of the written tensors (default: the checkpoint's "
                      "own)");
  command
      ->add_option("--adapter", options->adapter,
                   "A folder with a LoRA adapter in PEFT's form, to merge into "
                   "the weights")
      ->check(CLI::ExistingDirectory);
  command->add_option("--max-shard-size", options->maxShardSize,
                      "With --to hf: begin another safetensors file behind so "
                      "many bytes, such as 5GB (default: one file)");
  addShardOption(*command, options->shard);
  command->add_option("--target-cpu", options->cpu,
                      "CPU that packed weights are for (default: this one)");
  command
      ->add_option("--precision", options->precision,
                   "Precision of a packed artifact's code: fused or reference")
      ->check(CLI::IsMember({"fused", "reference"}));
  addWeightsOption(*command, options->weights);
  command->add_flag("--force", options->force, "Replace what is there");
  command->add_flag("--json", options->asJson, "Print one JSON object");
  options->specs.addTo(*command);
  command->callback([options, &status] { status = run(*options); });
}

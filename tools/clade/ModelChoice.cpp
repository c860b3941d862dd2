//===- ModelChoice.cpp - Options of what to compile for -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/CompileModel.h"

using namespace clade;
using namespace clade::driver;

void ModelChoice::addTo(CLI::App &command) {
  command
      .add_option(
          "--dtype", dtype,
          "Type to compute in: bf16 or f32 (default: the checkpoint's own)")
      ->check(CLI::IsMember({"bf16", "f32"}));
  command
      .add_option("--precision", precision,
                  "fused keeps values inside a kernel in f32; reference rounds "
                  "after every op")
      ->check(CLI::IsMember({"fused", "reference"}));
  addLatentTo(command);
  addWeightsOption(command, weights);
  command
      .add_option("--layout", layout,
                  "How weights lie that are published row by row in the type "
                  "to compute in: panels, made of them, which are read "
                  "fastest, or rows, read where they are")
      ->check(CLI::IsMember({"panels", "rows"}));
  command
      .add_option("--scan-chunk", scanChunk,
                  "Tokens of a prompt that a linear recurrence computes at a "
                  "time, a multiple of 16 up to 256; 0 for one after the other")
      ->check(CLI::Validator(
          [](std::string &text) {
            int64_t tokens = 0;
            bool isValid = !llvm::StringRef(text).getAsInteger(10, tokens) &&
                           tokens >= 0 && tokens <= 256 && tokens % 16 == 0;
            return isValid ? std::string()
                           : "expected a multiple of 16 up to 256, got '" +
                                 text + "'";
          },
          "TOKENS"));
  command.add_option("--target-cpu", cpu,
                     "CPU to compile for, such as native, znver4, x86-64-v3");
  command.add_option("--dump-dir", dumpFolder,
                     "Write the module after every stage to this folder");
}

void ModelChoice::addTargetTo(CLI::App &command) {
  command
      .add_option("--target", target,
                  "What to compile for: cpu, or cuda for NVIDIA's GPUs, which "
                  "need not be there")
      ->check(CLI::IsMember({"cpu", "cuda"}))
      ->capture_default_str();
  command.add_option(
      "--arch", arch,
      "With --target cuda: the GPU to compile for, such as "
      "sm_80, sm_90a (default: sm_80, which all later ones run)");
}

void ModelChoice::addLatentTo(CLI::App &command) {
  command
      .add_option("--latent", latent,
                  "Latent attention: expanded keeps keys and values of each "
                  "head, absorbed the latent; auto absorbs where that takes "
                  "less memory, with --precision fused")
      ->check(CLI::IsMember({"auto", "expanded", "absorbed"}));
}

void driver::addWeightsOption(CLI::App &command, std::string &weights) {
  command
      .add_option(
          "--weights", weights,
          "What the weights of products are held as: dense, the type "
          "to compute in, the default but for checkpoints in f16; f16; int8 or "
          "q8_0, q4_0, or int4 with a head in 8 "
          "bits: groups of 32 with a scale; int8_channel: rows with a scale; "
          "q4_k, q6_k: GGUF's blocks "
          "of 256; keep, blocks where the checkpoint has them and "
          "dense elsewhere")
      ->check(CLI::IsMember({"dense", "keep", "f16", "int8", "int8_channel",
                             "int4", "q8_0", "q4_0", "q4_k", "q6_k"}));
}

//===- PublishedRun.cpp - A run of the published implementation -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/PublishedRun.h"

#include "tools/clade/Environment.h"
#include "tools/clade/Python.h"

#include "runtime/Formats/Safetensors.h"
#include "runtime/Support/File.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Program.h"

#include <cstring>

using namespace clade;
using namespace clade::driver;

static std::string joined(const std::vector<int32_t> &tokens) {
  std::string text;
  for (int32_t token : tokens)
    text += (text.empty() ? "" : ",") + std::to_string(token);
  return text;
}

static rt::StatusOr<PublishedRun> readRun(const std::string &path) {
  rt::StatusOr<rt::SafetensorsFile> file = rt::SafetensorsFile::open(path);
  if (!file.ok())
    return file.takeStatus();
  PublishedRun run;
  auto entry = [&](const char *key) {
    auto it = file->metadata().find(key);
    return it == file->metadata().end() ? std::string() : it->second;
  };
  run.code = {entry("library"), entry("class")};
  for (const rt::StoredTensor &tensor : file->tensors()) {
    if (tensor.dtype != rt::DType::F32)
      return rt::Status::ioError("the reference wrote '" + tensor.name +
                                 "' in another type than F32");
    std::vector<float> values(tensor.bytes.size() / sizeof(float));
    std::memcpy(values.data(), tensor.bytes.data(),
                values.size() * sizeof(float));
    if (tensor.name == "logits")
      run.logits = std::move(values);
    else
      run.modules.emplace(tensor.name, std::move(values));
  }
  return run;
}

/// The script's exit status where its output is a message for the user.
constexpr int explainedExit = 3;

static rt::Status explained(const std::string &path) {
  CLADE_ASSIGN_OR_RETURN(std::string message,
                         rt::readTextFile(path, /*maxBytes=*/size_t(1) << 16));
  return rt::Status::unsupported(message);
}

rt::StatusOr<PublishedRun> driver::runPublished(const PublishedChoice &choice,
                                                const VerifyText &text,
                                                const std::string &dtype) {
  CLADE_ASSIGN_OR_RETURN(std::string python, findPython());
  llvm::SmallString<128> result;
  if (llvm::sys::fs::createTemporaryFile("clade-published", "safetensors",
                                         result))
    return rt::Status::ioError("cannot create a temporary file");
  std::string script =
                  dataPath("run-published.py", "tools/dev/run-published.py"),
              prompts = joined(text.prompt), forces = joined(text.forced),
              types = joined(text.types);
  std::string message;
  llvm::SmallVector<llvm::StringRef> arguments{
      python,      script,         choice.checkpoint,
      "--library", choice.library, "--dtype",
      dtype,       "--tokens",     prompts,
      "--force",   forces,         "--output",
      result};
  if (!types.empty())
    arguments.append({"--types", types});
  if (!choice.adapter.empty())
    arguments.append({"--adapter", choice.adapter});
  if (choice.trustsCode)
    arguments.push_back("--trust-remote-code");
  int code = llvm::sys::ExecuteAndWait(python, arguments, std::nullopt, {}, 0,
                                       0, &message);
  rt::StatusOr<PublishedRun> run =
      code == 0 ? readRun(result.str().str())
      : code == explainedExit
          ? explained(result.str().str())
          : rt::Status::unsupported(
                "the published implementation did not run: '" + python + " " +
                script + "' ended with status " + std::to_string(code) +
                (message.empty() ? "" : ": " + message));
  llvm::sys::fs::remove(result);
  return run;
}

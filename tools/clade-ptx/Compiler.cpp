//===- Compiler.cpp - What machine code a kernel becomes ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Compiler.h"

#include "Buffer.h"

#include <charconv>
#include <cstdlib>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

using namespace clade::ptx;

/// The path of ptxas; empty where it is not installed.
static std::string findCompiler() {
  std::vector<std::string> folders;
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char *home = std::getenv(variable))
      folders.push_back(std::string(home) + "/bin");
  std::string path = std::getenv("PATH") ? std::getenv("PATH") : "";
  while (!path.empty()) {
    size_t length = path.find(':');
    folders.push_back(path.substr(0, length));
    path = length == std::string::npos ? "" : path.substr(length + 1);
  }
  folders.push_back("/usr/local/cuda/bin");
  for (const std::string &folder : folders)
    if (std::string file = folder + "/ptxas"; !access(file.c_str(), X_OK))
      return file;
  return {};
}

/// What a program prints on its standard error; empty where it fails.
static std::string errorOutputOf(std::vector<std::string> command) {
  int ends[2];
  if (pipe(ends))
    return {};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  std::vector<char *> arguments;
  for (std::string &word : command)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_t child;
  int failed = posix_spawn(&child, arguments[0], &actions, nullptr,
                           arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  std::string output;
  char buffer[4096];
  for (ssize_t n; !failed && (n = read(ends[0], buffer, sizeof buffer)) > 0;)
    output.append(buffer, size_t(n));
  close(ends[0]);
  int status = 0;
  if (failed || waitpid(child, &status, 0) != child || status != 0)
    return {};
  return output;
}

Result<RegisterSource> RegisterSource::make(const std::string &option,
                                            std::string ptxFile,
                                            std::string kernel) {
  RegisterSource source;
  source.ptxFile = std::move(ptxFile);
  source.kernel = std::move(kernel);
  if (option.empty())
    return source;
  auto [end, error] = std::from_chars(
      option.data(), option.data() + option.size(), source.number);
  if (error == std::errc() && end == option.data() + option.size()) {
    if (source.number == 0 || source.number > 255)
      return Error{"--registers " + option + ": expected 1 to 255, or a file"};
    return source;
  }
  source.number = 0;
  auto text = readFile(option);
  if (!text)
    return text.error();
  source.text.assign(text->begin(), text->end());
  source.fileName = option;
  if (!readCompilerReport(source.text, source.kernel, ""))
    return Error{"does not say which registers kernel '" + source.kernel +
                     "' has; expected the output of ptxas -v",
                 option};
  return source;
}

KernelRegisters
RegisterSource::registersFor(std::string_view architecture) const {
  KernelRegisters result;
  if (number) {
    result.kernel.registers = number;
    result.source = "--registers";
    return result;
  }
  if (!text.empty()) {
    result.kernel = *readCompilerReport(text, kernel, architecture);
    result.source = fileName + ", " + result.kernel.architecture;
    return result;
  }
  std::string compiler = findCompiler();
  if (compiler.empty())
    return result;
  std::string output =
      errorOutputOf({compiler, "-v", "-arch=" + std::string(architecture),
                     "--entry", kernel, "-o", "/dev/null", ptxFile});
  if (auto found = readCompilerReport(output, kernel, architecture)) {
    result.kernel = *found;
    result.source = "ptxas -arch=" + std::string(architecture);
  }
  return result;
}

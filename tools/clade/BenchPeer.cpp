//===- BenchPeer.cpp - Another engine, to measure beside ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/BenchPeer.h"

#include "tools/clade/Environment.h"
#include "tools/clade/Python.h"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace clade;
using namespace clade::driver;
using nlohmann::json;

static rt::Status systemFailure(const std::string &what, int error) {
  return rt::Status::unsupported(what + ": " + std::strerror(error));
}

rt::StatusOr<std::unique_ptr<BenchPeer>>
BenchPeer::start(const std::string &engine, const std::string &model,
                 const std::string &dtype, int threads) {
  CLADE_ASSIGN_OR_RETURN(std::string python, findPython());
  // Writing to a peer that has ended is an error, not the end of this process.
  std::signal(SIGPIPE, SIG_IGN);
  int requests[2], answers[2];
  if (::pipe2(requests, O_CLOEXEC) != 0)
    return systemFailure("cannot make a pipe", errno);
  if (::pipe2(answers, O_CLOEXEC) != 0) {
    int error = errno;
    ::close(requests[0]);
    ::close(requests[1]);
    return systemFailure("cannot make a pipe", error);
  }
  auto peer = std::make_unique<BenchPeer>();
  peer->engine = engine;
  peer->toPeer.reset(::fdopen(requests[1], "w"));
  peer->fromPeer.reset(::fdopen(answers[0], "r"));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, requests[0], 0);
  posix_spawn_file_actions_adddup2(&actions, answers[1], 1);
  std::string script = dataPath("bench-peer.py", "tools/dev/bench-peer.py"),
              threadText = std::to_string(threads);
  std::vector<std::string> words{python, script, engine,
                                 model,  dtype,  threadText};
  std::vector<char *> arguments;
  for (std::string &word : words)
    arguments.push_back(word.data());
  arguments.push_back(nullptr);
  int error = ::posix_spawnp(&peer->process, python.c_str(), &actions, nullptr,
                             arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(requests[0]);
  ::close(answers[1]);
  if (error != 0) {
    peer->process = -1;
    return systemFailure("cannot run '" + python + "'", error);
  }
  CLADE_ASSIGN_OR_RETURN(std::string line, peer->readLine());
  json ready = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (ready.is_object() && ready.contains("error"))
    return rt::Status::unsupported(ready.value("error", ""));
  if (!ready.is_object() || !ready.contains("version"))
    return rt::Status::unsupported("'" + script + "' said '" + line + "'");
  peer->versionText = ready.value("version", "");
  return peer;
}

BenchPeer::~BenchPeer() {
  // It ends when there is nothing more to read.
  toPeer.reset();
  if (process > 0)
    ::waitpid(process, nullptr, 0);
}

rt::StatusOr<std::string> BenchPeer::readLine() {
  char *data = nullptr;
  size_t capacity = 0;
  ssize_t length = ::getline(&data, &capacity, fromPeer.get());
  std::string line(data ? data : "", length > 0 ? length - 1 : 0);
  std::free(data);
  if (length <= 0)
    return rt::Status::unsupported("the process of '" + engine +
                                   "' ended without an answer");
  return line;
}

rt::StatusOr<BenchPeer::Times>
BenchPeer::run(const std::vector<int32_t> &prompt, int64_t steps) {
  std::string request =
      json{{"tokens", prompt}, {"steps", steps}}.dump() + "\n";
  std::fputs(request.c_str(), toPeer.get());
  std::fflush(toPeer.get());
  CLADE_ASSIGN_OR_RETURN(std::string line, readLine());
  json answer = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("prefill_s"))
    return rt::Status::unsupported(
        answer.is_object() ? answer.value("error", line) : line);
  return Times{answer.value("prefill_s", 0.0), answer.value("decode_s", 0.0)};
}

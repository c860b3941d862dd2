//===- OutputDirectory.cpp - Directories written whole --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two renames replace a directory; between them neither has the name.
//
//===----------------------------------------------------------------------===//

#include "runtime/Support/OutputDirectory.h"

#include "runtime/Support/File.h"

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <unistd.h>

using namespace clade::rt;
namespace fs = std::filesystem;

StatusOr<std::unique_ptr<OutputDirectory>>
OutputDirectory::create(const std::string &target) {
  static std::atomic<unsigned> counter{0};
  std::string path = target + ".tmp-" + std::to_string(::getpid()) + "-" +
                     std::to_string(counter.fetch_add(1));
  std::error_code error;
  if (!fs::create_directory(path, error))
    return systemError("cannot create", path, error ? error.value() : EEXIST);
  // Not make_unique: the constructor is private.
  return std::unique_ptr<OutputDirectory>(
      new OutputDirectory(target, std::move(path)));
}

OutputDirectory::~OutputDirectory() {
  std::error_code ignored;
  if (!temporary.empty())
    fs::remove_all(temporary, ignored);
}

Status OutputDirectory::commit() {
  // Succeeds if nothing or an empty directory is there.
  if (::rename(temporary.c_str(), target.c_str()) == 0) {
    temporary.clear();
    return {};
  }
  if (errno != ENOTEMPTY && errno != EEXIST)
    return systemError("cannot write", target, errno);
  CLADE_ASSIGN_OR_RETURN(auto old, OutputDirectory::create(target + ".old"));
  std::string previous = old->path() + "/previous";
  if (::rename(target.c_str(), previous.c_str()) != 0)
    return systemError("cannot replace", target, errno);
  if (::rename(temporary.c_str(), target.c_str()) == 0) {
    temporary.clear();
    return {};
  }
  int error = errno;
  (void)::rename(previous.c_str(), target.c_str());
  return systemError("cannot write", target, error);
}

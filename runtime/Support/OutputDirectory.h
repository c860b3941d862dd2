//===- OutputDirectory.h - Directories written whole ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A directory that appears under its name only when it is complete.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_OUTPUTDIRECTORY_H
#define CLADE_RUNTIME_SUPPORT_OUTPUTDIRECTORY_H

#include "runtime/Support/Status.h"

namespace clade::rt {

/// A directory with a temporary name beside the final one. Without commit() it
/// is removed with its files.
class OutputDirectory {
public:
  static StatusOr<std::unique_ptr<OutputDirectory>>
  create(const std::string &target);
  ~OutputDirectory();
  OutputDirectory(const OutputDirectory &) = delete;
  OutputDirectory &operator=(const OutputDirectory &) = delete;

  /// Where to write files until commit().
  const std::string &path() const { return temporary; }
  /// Gives the directory its name; a directory that has it is removed. The
  /// caller has decided that this one may be.
  Status commit();

private:
  OutputDirectory(std::string target, std::string temporary)
      : target(std::move(target)), temporary(std::move(temporary)) {}

  std::string target;
  std::string temporary; ///< Empty after commit().
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_OUTPUTDIRECTORY_H

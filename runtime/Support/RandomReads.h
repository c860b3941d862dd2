//===- RandomReads.h - Small pieces of large mappings -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_RANDOMREADS_H
#define CLADE_RUNTIME_SUPPORT_RANDOMREADS_H

#include "runtime/Support/MappedFile.h"

#include <vector>

namespace clade::rt {

/// As long as it lives, a first touch of the mappings reads the page that is
/// touched and nothing around it: who wants eight bytes of each of many
/// thousand tensors would otherwise read 128 KB for each. Only advice.
class RandomReads {
public:
  explicit RandomReads(std::vector<std::shared_ptr<const MappedFile>> files);
  ~RandomReads();
  RandomReads(const RandomReads &) = delete;
  RandomReads &operator=(const RandomReads &) = delete;

private:
  std::vector<std::shared_ptr<const MappedFile>> files;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_RANDOMREADS_H

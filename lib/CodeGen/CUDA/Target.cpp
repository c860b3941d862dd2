//===- Target.cpp - What CUDA kernels are made for ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// PTX of an architecture with the suffix `a` runs on that one alone.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/Target.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace clade::cuda {

namespace {
struct Arch {
  llvm::StringLiteral name, features;
  int64_t sharedKiB; ///< CUDA C++ Programming Guide, technical specifications.
  int64_t l2MiB;     ///< Of A100, A10, L4, H100 and B200, by their data sheets.
};
} // namespace

static constexpr Arch archs[] = {
    {"sm_80", "+ptx80", 163, 40},  {"sm_86", "+ptx80", 99, 6},
    {"sm_89", "+ptx80", 99, 48},   {"sm_90", "+ptx80", 227, 50},
    {"sm_90a", "+ptx86", 227, 50}, {"sm_100a", "+ptx88", 227, 126},
};

SmallVector<StringRef> knownArchs() {
  SmallVector<StringRef> names;
  for (const Arch &arch : archs)
    names.push_back(arch.name);
  return names;
}

int64_t Target::portableSharedBytes() const {
  // Since sm_80 no architecture has less.
  constexpr int64_t least = 99 << 10;
  return StringRef(arch).ends_with("a") ? sharedBytes
                                        : std::min(sharedBytes, least);
}

FailureOr<Target> Target::resolve(Location loc, StringRef name) {
  for (const Arch &arch : archs)
    if (arch.name == name)
      return Target{arch.name.str(), arch.features.str(), arch.sharedKiB << 10,
                    arch.l2MiB << 20};
  return emitError(loc) << "unknown GPU architecture '" << name
                        << "', expected one of "
                        << llvm::join(knownArchs(), ", ");
}

} // namespace clade::cuda

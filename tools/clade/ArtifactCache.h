//===- ArtifactCache.h - Compiled models kept between runs ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An artifact is code and a table of weights, which follow from the headers of
// a checkpoint, the specs, the choices and the compiler. The same of all of
// these is compiled once.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_ARTIFACTCACHE_H
#define CLADE_TOOLS_CLADE_ARTIFACTCACHE_H

#include "tools/clade/CompileModel.h"

namespace clade::driver {

/// The folder of what is kept between runs: 'artifacts' or 'weights' of
/// $CLADE_CACHE, by default ~/.cache/clade.
std::string cacheFolder(llvm::StringRef kind);

/// Compiles a checkpoint into the cache, unless it is there already; gives the
/// folder. Prints what is wrong.
std::optional<std::string> compileToCache(Environment &environment,
                                          const rt::Checkpoint &checkpoint,
                                          const ModelChoice &choice);

/// compileToFolder() that takes a copy from the cache, or leaves one there.
/// Artifacts that hold their weights, those that the compiler warned of, and
/// the module after every stage are made anew.
bool compileThroughCache(Environment &environment,
                         const rt::Checkpoint &checkpoint,
                         const ModelChoice &choice, const std::string &folder);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_ARTIFACTCACHE_H

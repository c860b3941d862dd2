//===- FirstLoad.cpp - Which layout a run begins with ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/FirstLoad.h"

#include "tools/clade/ArtifactCache.h"

#include <sys/resource.h>
#include <system_error>
#include <unistd.h>

using namespace clade;
using namespace clade::driver;

std::optional<LayoutChoice>
driver::compileForRun(Environment &environment,
                      const rt::Checkpoint &checkpoint, ModelChoice choice,
                      const rt::WeightCacheOptions &cache) {
  const bool isAsked = !choice.layout.empty();
  std::optional<std::string> artifact =
      compileToCache(environment, checkpoint, choice);
  if (!artifact)
    return std::nullopt;
  LayoutChoice result{*artifact, ""};
  if (isAsked || choice.isCuda())
    return result;
  rt::StatusOr<int64_t> panels =
      rt::CompiledModel::bytesToMake(*artifact, checkpoint, cache);
  if (!panels.ok())
    return fail(panels.status()), std::nullopt;
  if (*panels < cache.minBytes)
    return result;
  choice.layout = "rows";
  artifact = compileToCache(environment, checkpoint, choice);
  if (!artifact)
    return std::nullopt;
  rt::StatusOr<int64_t> rows =
      rt::CompiledModel::bytesToMake(*artifact, checkpoint, cache);
  if (!rows.ok())
    return fail(rows.status()), std::nullopt;
  if (*rows >= cache.minBytes)
    return result;
  const bool isKept = !cache.folder.empty() && *panels <= cache.maxBytes;
  return LayoutChoice{*artifact, isKept ? result.artifact : ""};
}

void WeightKeeper::start() {
  if (artifact.empty() || thread.joinable())
    return;
  try {
    thread = std::thread([this] {
      // Of Linux: the priority of a thread, whose number is 0 for itself.
      (void)::setpriority(PRIO_PROCESS, 0, 19);
      // Whatever fails is tried again, and told, by a run that needs it.
      (void)rt::CompiledModel::keepWeights(artifact, options, isCancelled).ok();
    });
  } catch (const std::system_error &) {
    artifact.clear(); // No more threads: the next run begins alike.
  }
}

WeightKeeper::~WeightKeeper() {
  isCancelled = true;
  if (thread.joinable())
    thread.join();
}

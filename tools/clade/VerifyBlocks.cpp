//===- VerifyBlocks.cpp - Each block beside the published one -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/VerifyBlocks.h"

#include "tools/clade/PublishedNames.h"

#include "dialect/WMap/WMapDialect.h"

#include "llvm/ADT/StringMap.h"

#include <set>

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;

namespace {
class BlockComparer {
public:
  BlockComparer(const PublishedRun &published, mlir::ModuleOp module)
      : published(published), names(module) {}

  void observe(const reference::Event &event) {
    std::shared_ptr<std::vector<float>> replacement;
    for (const std::string &name : names.of(event.op)) {
      std::string full = withLayer(
          name,
          event.layer < 0 ? std::nullopt : std::optional<int64_t>(event.layer));
      const Values *expected = published.find(full);
      // Only the prompt, which both run in one piece, has comparable rows.
      if (!expected ||
          static_cast<int64_t>(expected->size()) != event.value.size())
        continue;
      compared.insert(expected);
      // Several names of one value: those of the maps that read it.
      if (replacement)
        continue;
      add(name, event.layer, distance(event.value.data(), *expected));
      replacement = std::make_shared<std::vector<float>>(*expected);
    }
    if (replacement)
      event.value.elements = std::move(replacement);
  }

  void add(const std::string &name, int64_t layer, const Distance &away) {
    auto [it, isNew] = places.try_emplace(name, result.rows.size());
    if (isNew)
      result.rows.push_back({name, 0, -1, {}, true});
    BlockRow &row = result.rows[it->second];
    row.layers += layer >= 0;
    row.passed &= withinF32(away);
    if (isNew || away.largest > row.distance.largest) {
      row.worst = layer;
      row.distance = away;
    }
  }

  BlockComparison finish() {
    for (const auto &[name, values] : published.modules) {
      llvm::StringRef text = name;
      bool isPart = text.ends_with(".input") || text.ends_with(".chosen") ||
                    text.ends_with(".share");
      if (!isPart && !compared.count(&values))
        result.notCompared.push_back(name);
    }
    return std::move(result);
  }

private:
  const PublishedRun &published;
  PublishedNames names;
  BlockComparison result;
  llvm::StringMap<size_t> places;
  std::set<const Values *> compared;
};
} // namespace

FailureOr<BlockComparison>
driver::compareBlocks(const PublishedRun &published, mlir::ModuleOp module,
                      const rt::Checkpoint &checkpoint, int64_t vocab,
                      const VerifyText &text) {
  BlockComparer comparer(published, module);
  auto result = interpret(
      module, checkpoint, vocab, text,
      [&](const reference::Event &event) { comparer.observe(event); });
  if (failed(result))
    return failure();
  // What is behind the last named value: the head. What is decoded is not
  // computed from published values.
  size_t rows = text.prompt.size() + text.forced.size();
  size_t ofPrompt =
      published.logits.size() / std::max<size_t>(rows, 1) * text.prompt.size();
  bool isOfTokens = result->size() >= ofPrompt && ofPrompt > 0;
  if (isOfTokens)
    comparer.add(logitsRow.str(), -1,
                 distance(std::span(*result).first(ofPrompt),
                          std::span(published.logits).first(ofPrompt)));
  return comparer.finish();
}

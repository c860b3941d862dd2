//===- Align.cpp - Which steps of two families are the same ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Diff/Align.h"

#include "llvm/ADT/StringExtras.h"

#include <set>

using namespace clade;
using namespace clade::diff;

/// Whether two ops are of one sort: 'rms_norm' and 'layer_norm'.
static bool shareWord(llvm::StringRef a, llvm::StringRef b) {
  llvm::SmallVector<llvm::StringRef> left, right;
  a.split(left, '_');
  b.split(right, '_');
  return llvm::any_of(left, [&](llvm::StringRef word) {
    return llvm::is_contained(right, word);
  });
}

/// How well two steps stand for each other; negative if they do not.
static int similarity(const Step &a, const Step &b) {
  if (a.entry != b.entry || a.inLayers != b.inLayers)
    return -1;
  bool sameAddress = a.address == b.address;
  bool readsWeights = !a.address.empty() && !b.address.empty();
  if (a.op != b.op)
    return sameAddress && readsWeights && shareWord(a.op, b.op) ? 5 : -1;
  if (readsWeights && !sameAddress && a.label() != b.label())
    return 1;
  int score = 4;
  score += readsWeights && sameAddress ? 6 : 0;
  score += readsWeights && !sameAddress ? -1 : 0;
  score += a.arguments == b.arguments ? 2 : 0;
  score += a.conditions == b.conditions ? 2 : 0;
  return score;
}

std::vector<Pair> diff::align(const Trace &from, const Trace &to) {
  size_t n = from.steps.size(), m = to.steps.size();
  std::vector<int> best((n + 1) * (m + 1), 0);
  auto at = [&](size_t i, size_t j) -> int & { return best[i * (m + 1) + j]; };
  for (size_t i = n; i-- > 0;)
    for (size_t j = m; j-- > 0;) {
      int score = similarity(from.steps[i], to.steps[j]);
      at(i, j) = std::max(at(i + 1, j), at(i, j + 1));
      if (score > 0)
        at(i, j) = std::max(at(i, j), at(i + 1, j + 1) + score);
    }
  std::vector<Pair> pairs;
  size_t i = 0, j = 0;
  while (i < n || j < m) {
    int score = i < n && j < m ? similarity(from.steps[i], to.steps[j]) : -1;
    if (score > 0 && at(i, j) == at(i + 1, j + 1) + score)
      pairs.push_back({i++, j++});
    else if (i < n && (j == m || at(i, j) == at(i + 1, j)))
      pairs.push_back({i++, std::nullopt});
    else
      pairs.push_back({std::nullopt, j++});
  }
  return pairs;
}

/// The steps that a step's inputs come to when those without a partner are
/// followed back to theirs, by their number in the first trace.
static std::set<unsigned> sources(const Trace &trace, unsigned step,
                                  const std::map<unsigned, unsigned> &partner) {
  std::set<unsigned> found, seen;
  std::vector<unsigned> pending(trace.steps[step].inputs);
  while (!pending.empty()) {
    unsigned input = pending.back();
    pending.pop_back();
    if (!seen.insert(input).second)
      continue;
    auto it = partner.find(input);
    if (it != partner.end())
      found.insert(it->second);
    else
      llvm::append_range(pending, trace.steps[input].inputs);
  }
  return found;
}

static std::string labels(const Trace &trace, llvm::ArrayRef<unsigned> steps) {
  std::vector<std::string> names;
  for (unsigned step : steps)
    if (!llvm::is_contained(names, trace.steps[step].label()))
      names.push_back(trace.steps[step].label());
  return names.empty() ? "nothing" : llvm::join(names, ", ");
}

static void compareArguments(const Step &a, const Step &b,
                             std::vector<std::string> &words) {
  auto find = [](const Step &step, const Argument &like,
                 size_t place) -> const Argument * {
    for (auto [index, argument] : llvm::enumerate(step.arguments))
      if (argument.name == like.name && (!like.name.empty() || index == place))
        return &argument;
    return nullptr;
  };
  auto named = [](const Argument &argument, const std::string &text) {
    return (argument.name.empty() ? "" : argument.name + ": ") + text;
  };
  for (auto [index, argument] : llvm::enumerate(a.arguments)) {
    const Argument *other = find(b, argument, index);
    if (!other)
      words.push_back("without " + named(argument, argument.text));
    else if (other->text != argument.text)
      words.push_back(named(argument, argument.text + " -> " + other->text));
  }
  for (auto [index, argument] : llvm::enumerate(b.arguments))
    if (!find(a, argument, index))
      words.push_back("with " + named(argument, argument.text));
}

std::vector<std::string> diff::differences(const Pair &pair,
                                           llvm::ArrayRef<Pair> pairs,
                                           const Trace &from, const Trace &to) {
  const Step &a = from.steps[*pair.from], &b = to.steps[*pair.to];
  std::vector<std::string> words;
  if (a.op != b.op)
    words.push_back(a.op + " -> " + b.op);
  if (a.address != b.address)
    words.push_back("at " + a.address + " -> at " + b.address);
  compareArguments(a, b, words);
  if (a.conditions != b.conditions) {
    auto text = [](const Step &step) {
      return step.conditions.empty()
                 ? "always"
                 : "if " + llvm::join(step.conditions, " and ");
    };
    words.push_back(text(a) + " -> " + text(b));
  }
  std::map<unsigned, unsigned> fromSelf, toFrom;
  for (const Pair &one : pairs)
    if (one.from && one.to) {
      fromSelf[*one.from] = *one.from;
      toFrom[*one.to] = *one.from;
    }
  if (sources(from, *pair.from, fromSelf) != sources(to, *pair.to, toFrom))
    words.push_back("takes " + labels(to, b.inputs) + ", not " +
                    labels(from, a.inputs));
  return words;
}

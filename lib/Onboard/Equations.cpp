//===- Equations.cpp - Tensors under other names --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Questions.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::onboard;
using llvm::StringRef;

/// The evidence of a pairing that is no more than likely.
static std::string doubtOf(const Pairing &pairing) {
  std::string text = "likely by its name and shape";
  constexpr size_t most = 3;
  for (const auto &[other, likeness] :
       llvm::ArrayRef(pairing.others).take_front(most))
    text += "; or " + other;
  return text;
}

static bool isCertain(const Pairing &pairing) {
  return pairing.certainty >= 0.5;
}

static std::string plain(const Pairing &pairing) {
  std::string text = pairing.logical + " = " + pairing.equation;
  if (!isCertain(pairing))
    text += " if todo(\"" + doubtOf(pairing) + "\", true)";
  return text;
}

std::vector<std::string>
onboard::plainEquationsOf(llvm::ArrayRef<Pairing> pairings) {
  std::vector<std::string> equations;
  for (const Pairing &pairing : pairings)
    equations.push_back(plain(pairing));
  return equations;
}

/// Two paths without the segments that they end with alike.
static std::pair<StringRef, StringRef> withoutEnd(StringRef a, StringRef b) {
  while (true) {
    auto [restA, lastA] = a.rsplit('.');
    auto [restB, lastB] = b.rsplit('.');
    if (lastA.empty() || lastA != lastB)
      return {a, b};
    a = restA, b = restB;
  }
}

/// 'a' of one, '{"a", "b"}' of several.
static std::string setOf(const std::vector<std::string> &names) {
  if (names.size() == 1)
    return names.front();
  return "{\"" + llvm::join(names, "\", \"") + "\"}";
}

std::vector<std::string>
onboard::equationsOf(llvm::ArrayRef<Pairing> pairings) {
  using Paths = std::pair<StringRef, StringRef>;
  auto isRename = [](const Pairing &pairing) {
    return isCertain(pairing) &&
           StringRef(pairing.equation).find_first_of("([") == StringRef::npos;
  };
  std::map<Paths, int> moves;
  for (const Pairing &pairing : pairings)
    if (isRename(pairing))
      ++moves[withoutEnd(pairing.logical, pairing.equation)];
  struct Sides {
    std::vector<std::string> logical, published;
  };
  std::vector<std::string> equations, moveTexts, others;
  std::set<Paths> moved;
  llvm::MapVector<Paths, Sides> siblings;
  for (const Pairing &pairing : pairings) {
    if (!isRename(pairing)) {
      others.push_back(plain(pairing));
      continue;
    }
    Paths move = withoutEnd(pairing.logical, pairing.equation);
    bool isShared = moves[move] > 1 && move.first != pairing.logical;
    if (isShared) {
      if (moved.insert(move).second)
        moveTexts.push_back((move.first + " = " + move.second).str());
      continue;
    }
    auto [parent, name] = StringRef(pairing.logical).rsplit('.');
    auto [from, other] = StringRef(pairing.equation).rsplit('.');
    Paths place = name.empty() || other.empty()
                      ? Paths(pairing.logical, pairing.equation)
                      : Paths(parent, from);
    siblings[place].logical.push_back(name.str());
    siblings[place].published.push_back(other.str());
  }
  for (const auto &[place, sides] : siblings) {
    bool isWhole = sides.logical.front().empty();
    equations.push_back(isWhole ? (place.first + " = " + place.second).str()
                                : (place.first + "." + setOf(sides.logical) +
                                   " = " + place.second + "." +
                                   setOf(sides.published))
                                      .str());
  }
  llvm::append_range(equations, others);
  // Behind what is said of some of their tensors.
  llvm::append_range(equations, moveTexts);
  return equations;
}

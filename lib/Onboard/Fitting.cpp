//===- Fitting.cpp - How near a family is to a checkpoint -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Fitting.h"

#include "lib/Import/Reach.h"
#include "lib/Onboard/Words.h"

using namespace clade;
using namespace clade::onboard;

// What is weighed: a family that cannot be built says nothing of the weights,
// and is farther than one that can, unless all it lacks is to ignore a key.
static constexpr double problemCost = 80, requirementCost = 8, weightCost = 4,
                        keyCost = 2, fieldCost = 10, pairingCost = 0.6,
                        doubtCost = 1.2, unbuiltCost = 16, defaultCost = 1.0,
                        rarityCost = 3.0, positionsCost = 2;

static bool isOfUnreadKey(llvm::StringRef problem) {
  return problem.contains("is not read by");
}

/// Whether weights were asked for: nothing but a key to ignore is in the way.
static bool isBuilt(const import::Probe &probe) {
  return llvm::all_of(probe.problems, isOfUnreadKey);
}

/// Fields that the computation reads and whose keys the configuration lacks,
/// all of them: a publisher's file says what its model has.
static size_t defaultsOf(const import::SpecLibrary &library,
                         const spec::FamilyDecl *decl,
                         const import::Config &config) {
  import::Family family(library, decl);
  import::Reach reach(family);
  reach.walkFamily();
  size_t defaults = 0;
  std::set<std::string> seen;
  for (const std::string &name : family.fieldNames()) {
    if (!reach.mentionsField(name) || !seen.insert(name).second)
      continue;
    import::Reach keys(family);
    keys.walkValue(family.findField(name));
    defaults += !keys.getKeys().empty() &&
                llvm::none_of(keys.getKeys(), [&](const std::string &key) {
                  return config.hasKey(key);
                });
  }
  return defaults;
}

/// Of each block that a family takes from itself or another, the part of one
/// family among those that have it: what many do alike is likelier.
static double rarityOf(const import::SpecLibrary &library,
                       const spec::FamilyDecl *decl) {
  import::Family family(library, decl);
  import::Reach reach(family);
  reach.walkFamily();
  double rarity = 0;
  for (const spec::BlockDecl *block : reach.getBlocks()) {
    if (block->isEntry || family.findBlock(block->name.name).family == "std")
      continue;
    size_t users = llvm::count_if(library.getFamilies(),
                                  [&](const spec::FamilyDecl *other) {
                                    return other->serves && other != decl &&
                                           import::Family(library, other)
                                                   .findBlock(block->name.name)
                                                   .decl == block;
                                  });
    rarity += 1 / double(std::max<size_t>(users, 1));
  }
  return rarity;
}

bool onboard::isOfPositions(const spec::FieldDecl &field) {
  llvm::StringRef text = textOf(*field.value);
  return text.contains("rope_table(") || text.contains("alibi(");
}

static bool hasTwoPositions(const import::SpecLibrary &library,
                            const spec::FamilyDecl *decl) {
  import::Family family(library, decl);
  import::Reach reach(family);
  reach.walkFamily();
  bool isLearned =
      llvm::any_of(reach.getBlocks(), [](const spec::BlockDecl *block) {
        return textOf(*block).contains("embed(position,");
      });
  return isLearned &&
         llvm::any_of(family.fieldNames(), [&](const std::string &name) {
           return reach.mentionsField(name) &&
                  isOfPositions(*family.findField(name));
         });
}

/// How many families a family derives from: of two that are equally near, the
/// plainer one says less that is not asked for.
static size_t derivations(const import::SpecLibrary &library,
                          const spec::FamilyDecl *family) {
  return import::Family(library, family).getChain().size();
}

Fitting onboard::fit(import::SpecLibrary &library,
                     const spec::FamilyDecl *family,
                     const import::Config &config,
                     llvm::ArrayRef<rt::StoredTensor> tensors) {
  Fitting fitting;
  fitting.family = family;
  fitting.probe = import::probeFamily(library, family, config, tensors);
  fitting.missing = groupWeights(fitting.probe.missing);
  fitting.misshapen = groupWeights(fitting.probe.misshapen);
  fitting.unused = groupTensors(fitting.probe.unused);
  fitting.unpairedMissing = fitting.missing;
  fitting.unpairedUnused = fitting.unused;
  fitting.pairings = pair(fitting.unpairedMissing, fitting.unpairedUnused);
  const import::Probe &probe = fitting.probe;
  double cost = keyCost * double(probe.unreadKeys.size()) +
                fieldCost * double(probe.unknownFields.size()) +
                requirementCost * double(probe.requirements.size());
  for (const std::string &problem : probe.problems)
    cost += isOfUnreadKey(problem) ? keyCost : problemCost;
  // Nothing of the configuration was read where a part of the family is not in
  // it.
  if (!probe.problems.empty() && probe.unreadKeys.empty())
    cost += problemCost;
  if (probe.problems.empty())
    cost += weightCost *
            double(fitting.unpairedMissing.size() + fitting.misshapen.size() +
                   fitting.unpairedUnused.size());
  for (const Pairing &pairing : fitting.pairings)
    cost += pairing.certainty < 0.5 ? doubtCost : pairingCost;
  fitting.hasTwoPositions = hasTwoPositions(library, family);
  cost += fitting.hasTwoPositions ? positionsCost : 0;
  fitting.cost = cost;
  fitting.defaults = defaultCost * double(defaultsOf(library, family, config)) +
                     rarityCost * rarityOf(library, family);
  fitting.distance = cost + fitting.defaults;
  if (!isBuilt(probe))
    fitting.distance =
        keyCost * double(probe.unreadKeys.size()) +
        requirementCost * double(probe.requirements.size()) +
        (probe.unreadKeys.empty() ? problemCost : unbuiltCost) +
        weightCost * double(strangers(library, family, fitting.unused));
  return fitting;
}

std::vector<Fitting>
onboard::rankFamilies(import::SpecLibrary &library,
                      const import::Config &config,
                      llvm::ArrayRef<rt::StoredTensor> tensors) {
  std::vector<Fitting> ranked;
  for (const spec::FamilyDecl *family : library.getFamilies())
    if (family->serves)
      ranked.push_back(fit(library, family, config, tensors));
  llvm::stable_sort(ranked, [&](const Fitting &a, const Fitting &b) {
    if (a.distance != b.distance)
      return a.distance < b.distance;
    return derivations(library, a.family) < derivations(library, b.family);
  });
  return ranked;
}

//===- CauseNorms.cpp - Mistakes about norms ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/CauseList.h"
#include "lib/Onboard/Survey.h"
#include "lib/Onboard/Words.h"

using namespace clade;
using namespace clade::onboard;
using llvm::StringRef;

/// The norms of the prelude that have a gain.
static std::vector<StringRef> normNames(const import::SpecLibrary &library) {
  std::vector<StringRef> names;
  for (const spec::BlockDecl *block : library.getPreludeBlocks())
    if (llvm::any_of(block->params, [](const spec::Param &param) {
          return param.name.name == "gain";
        }))
      names.push_back(block->name.name);
  return names;
}

/// A call of another norm over the same axis.
static std::string otherNorm(const spec::CallExpr &call, StringRef name,
                             StringRef more) {
  std::string text = (name + "(" + textOf(*call.args[0].value)).str();
  for (const spec::Arg &arg : call.args.drop_front())
    if (arg.name && arg.name->name == "over")
      text += (", over: " + textOf(*arg.value)).str();
  return text + (more.empty() ? "" : ", " + more.str()) + ")";
}

void CauseList::norms() {
  struct Other {
    StringRef says, name, more;
  };
  static constexpr Other others[] = {
      {"gains of norms are stored less one (gain: 1 + weight)", "rms_norm_wide",
       "gain: 1 + f32(weight([last]) at weight)"},
      {"gains of norms are stored as they are (rms_norm)", "rms_norm", ""},
      {"norms subtract the mean (layer_norm without bias)", "layer_norm",
       "bias: false"},
      {"norms subtract the mean (layer_norm)", "layer_norm", ""},
      {"norms do not subtract the mean (rms_norm)", "rms_norm", ""}};
  // All of them, and those of one block alone.
  std::map<const spec::BlockDecl *, std::vector<CallSite>> sites;
  for (StringRef name : normNames(library))
    for (const CallSite &site : calls(name))
      if (!site.call->args.empty())
        sites[site.block].push_back(site);
  for (const Other &other : others) {
    Edits all;
    std::vector<std::pair<StringRef, Edits>> single;
    for (const auto &[block, calls] : sites) {
      Edits edits;
      for (const CallSite &site : calls)
        edits.replace(block, textOf(*site.call),
                      otherNorm(*site.call, other.name, other.more));
      all.append(edits);
      single.emplace_back(block->name.name, std::move(edits));
    }
    add(other.says, all);
    if (single.size() > 1)
      for (const auto &[name, edits] : single)
        add(other.says + ", in block '" + name + "'", edits);
  }
}

void CauseList::epsilons() {
  std::vector<std::string> values = {"1e-5", "1e-6", "1e-8", "1e-12"};
  for (const std::vector<StringRef> &names : keySynonyms())
    if (llvm::is_contained(names, "rms_norm_eps"))
      for (StringRef name : names)
        values.push_back(name.str());
  // The field of this name is what the prelude's norms take.
  if (const spec::FieldDecl *eps = field("eps"))
    for (const std::string &value : values)
      addField("'eps' is " + value, eps, value);
  // A norm that says its own.
  for (StringRef value : {"eps", "1e-5", "1e-6"}) {
    Edits edits;
    for (StringRef name : normNames(library))
      for (const CallSite &site : calls(name))
        if (value != "eps" || argOf(*site.call, "eps"))
          edits.replace(site.block, textOf(*site.call),
                        withArg(*site.call, "eps", value));
    if (value != "eps" || family.findField("eps"))
      add("norms take " + value + " as epsilon", edits);
  }
}

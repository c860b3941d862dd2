//===- CauseList.cpp - Mistakes made of the text of a family --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/CauseList.h"

#include "lib/Onboard/Definitions.h"
#include "lib/Onboard/Words.h"
#include "lib/Spec/Walk.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::onboard;
using llvm::StringRef;

void Edits::append(const Edits &other) {
  for (const auto &[block, parts] : other.blocks)
    llvm::append_range(blocks[block], parts);
}

std::string Edits::text() const {
  std::string text;
  for (const auto &[block, parts] : blocks) {
    std::vector<Part> sorted = parts;
    llvm::sort(sorted, [](const Part &a, const Part &b) {
      return a.first.data() < b.first.data();
    });
    StringRef whole = textOf(*block);
    const char *at = whole.data();
    text += "  ";
    for (const auto &[old, words] : sorted) {
      text += StringRef(at, old.data() - at);
      text += words;
      at = old.data() + old.size();
    }
    text += StringRef(at, whole.data() + whole.size() - at);
    text += "\n";
  }
  return text;
}

CauseList::CauseList(const import::SpecLibrary &library,
                     const spec::FamilyDecl *decl,
                     llvm::ArrayRef<TensorGroup> tensors)
    : library(library), family(library, decl), reach(family), tensors(tensors) {
  reach.walkFamily();
  for (const spec::BlockDecl *block : reach.getBlocks())
    if (!block->isEntry && family.findBlock(block->name.name).decl == block)
      blocks.push_back(block);
  // The set is ordered by addresses, which differ from run to run.
  llvm::sort(blocks, [](const auto *a, const auto *b) {
    return a->name.name < b->name.name;
  });
}

void CauseList::add(const llvm::Twine &says, const llvm::Twine &items,
                    const llvm::Twine &field) {
  // A key that is read no more is none that nobody knows.
  std::string keys;
  for (StringRef key : reach.getKeys())
    if (!key.contains('.'))
      keys += (keys.empty() ? "\n    ignore " : ", ") + key.str();
  causes.push_back({says.str(), ("family " + causeName + " from " +
                                 family.getName() + " {\n  config {\n    " +
                                 field + keys + "\n  }\n" + items + "\n}\n")
                                    .str()});
}

void CauseList::add(const llvm::Twine &says, const Edits &edits) {
  if (!edits.empty())
    add(says, llvm::Twine(edits.text()));
}

void CauseList::addField(const llvm::Twine &says, const spec::FieldDecl *decl,
                         const llvm::Twine &value) {
  add(says, "", llvm::Twine(headOf(decl)) + " = " + value);
}

const spec::FieldDecl *CauseList::field(StringRef name) const {
  return reach.mentionsField(name) ? family.findField(name) : nullptr;
}

const spec::FieldDecl *CauseList::fieldOf(const spec::Expr *expr) const {
  auto *name = llvm::dyn_cast_or_null<spec::NameExpr>(expr);
  return name ? field(name->name) : nullptr;
}

bool CauseList::hasFields(StringRef text) const {
  auto isPart = [](char c) { return llvm::isAlnum(c) || c == '_'; };
  while (!(text = text.drop_until(isPart)).empty()) {
    StringRef name = text.take_while(isPart);
    if (!llvm::isDigit(name.front()) && !family.findField(name))
      return false;
    text = text.drop_front(name.size());
  }
  return true;
}

void CauseList::walk(const spec::BlockDecl &block,
                     llvm::function_ref<void(const spec::Expr &)> onExpr) {
  for (const spec::Stmt *stmt : block.body->stmts) {
    const spec::Expr *value = nullptr;
    if (auto *assign = llvm::dyn_cast<spec::AssignStmt>(stmt))
      value = assign->value;
    else if (auto *result = llvm::dyn_cast<spec::ReturnStmt>(stmt))
      value = result->value;
    else if (auto *plain = llvm::dyn_cast<spec::ExprStmt>(stmt))
      value = plain->value;
    if (value)
      spec::walk(*value, onExpr, [](const spec::Stmt &) {});
  }
}

std::vector<CallSite> CauseList::calls(StringRef name) const {
  std::vector<CallSite> sites;
  for (const spec::BlockDecl *block : blocks)
    walk(*block, [&](const spec::Expr &expr) {
      auto *call = llvm::dyn_cast<spec::CallExpr>(&expr);
      auto *callee =
          call ? llvm::dyn_cast<spec::NameExpr>(call->callee) : nullptr;
      if (callee && callee->name == name)
        sites.push_back({block, call});
    });
  return sites;
}

const spec::Expr *CauseList::argOf(const spec::CallExpr &call, StringRef name,
                                   std::optional<size_t> place) {
  for (auto [at, arg] : llvm::enumerate(call.args))
    if (arg.name ? arg.name->name == name : place && at == *place)
      return arg.value;
  return nullptr;
}

std::string CauseList::withArg(const spec::CallExpr &call, StringRef name,
                               StringRef value) {
  StringRef whole = textOf(call);
  if (const spec::Expr *old = argOf(call, name)) {
    StringRef part = textOf(*old);
    size_t at = part.data() - whole.data();
    return (whole.take_front(at) + value + whole.drop_front(at + part.size()))
        .str();
  }
  return (whole.drop_back() + (call.args.empty() ? "" : ", ") + name + ": " +
          value + ")")
      .str();
}

bool CauseList::isNorm(const spec::CallExpr &call) const {
  auto *callee = llvm::dyn_cast<spec::NameExpr>(call.callee);
  import::FoundBlock block =
      callee ? family.findBlock(callee->name) : import::FoundBlock();
  if (!block || call.args.empty())
    return false;
  import::Reach inside(family);
  inside.walkBody(block.decl->body);
  for (const spec::Param &param : block.decl->params)
    if (param.defaultValue)
      inside.walkExpr(param.defaultValue);
  return inside.calls("rsqrt") && inside.calls("weight") &&
         !inside.calls("linear");
}

std::vector<Cause> CauseList::run() {
  rotation();
  norms();
  headNorms();
  epsilons();
  scores();
  embeddings();
  activations();
  bounds();
  windows();
  switches();
  swaps();
  orderOfHeads();
  otherBlocks();
  choices();
  transposed();
  slips();
  return std::move(causes);
}

std::vector<Cause> onboard::causesFor(const import::SpecLibrary &library,
                                      const spec::FamilyDecl *family,
                                      llvm::ArrayRef<TensorGroup> tensors) {
  return CauseList(library, family, tensors).run();
}

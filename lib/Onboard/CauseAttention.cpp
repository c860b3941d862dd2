//===- CauseAttention.cpp - Mistakes about attention ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/CauseList.h"
#include "lib/Onboard/Words.h"
#include "lib/Spec/Walk.h"

using namespace clade;
using namespace clade::onboard;
using llvm::StringRef;

static bool isCallOf(const spec::Expr *expr, StringRef name) {
  auto *call = llvm::dyn_cast_or_null<spec::CallExpr>(expr);
  auto *callee = call ? llvm::dyn_cast<spec::NameExpr>(call->callee) : nullptr;
  return callee && callee->name == name;
}

/// The text of a node with other words for some of its parts.
static std::string
withParts(StringRef whole,
          std::vector<std::pair<StringRef, std::string>> parts) {
  llvm::sort(parts, [](const auto &a, const auto &b) {
    return a.first.data() < b.first.data();
  });
  std::string text;
  const char *at = whole.data();
  for (const auto &[old, words] : parts) {
    text += StringRef(at, old.data() - at);
    text += words;
    at = old.data() + old.size();
  }
  return text + std::string(at, whole.data() + whole.size() - at);
}

void CauseList::rotation() {
  std::set<std::string> seen;
  for (const std::string &name : family.fieldNames()) {
    const spec::FieldDecl *decl = field(name);
    if (!decl || !seen.insert(name).second)
      continue;
    std::vector<const spec::CallExpr *> tables;
    spec::walk(
        *decl->value,
        [&](const spec::Expr &expr) {
          if (isCallOf(&expr, "rope_table"))
            tables.push_back(llvm::cast<spec::CallExpr>(&expr));
        },
        [](const spec::Stmt &) {});
    if (tables.empty())
      continue;
    auto tryArg = [&](const llvm::Twine &says, StringRef arg, StringRef value) {
      std::vector<std::pair<StringRef, std::string>> parts;
      for (const spec::CallExpr *table : tables)
        parts.emplace_back(textOf(*table), withArg(*table, arg, value));
      addField(says, decl, withParts(textOf(*decl->value), parts));
    };
    const spec::Expr *pairs = argOf(*tables[0], "pairs");
    StringRef now = pairs ? textOf(*pairs) : "halves";
    if (now != "adjacent")
      tryArg("rotary pairs are side by side (pairs: adjacent)", "pairs",
             "adjacent");
    if (now != "halves")
      tryArg("rotary pairs are the halves of a head (pairs: halves)", "pairs",
             "halves");
    if (!argOf(*tables[0], "fraction"))
      tryArg("only half of a head is rotated (fraction: 0.5)", "fraction",
             "0.5");
    addField("nothing is rotated (" + name + " = none)", decl, "none");
  }
}

void CauseList::scores() {
  static constexpr StringRef scales[] = {"head ^ -0.5", "1", "d ^ -0.5",
                                         "head ^ -1"};
  static constexpr StringRef keys[] = {"query_pre_attn_scalar ^ -0.5",
                                       "attention_multiplier"};
  std::set<const spec::FieldDecl *> seen;
  for (const CallSite &site : calls("attend")) {
    const spec::FieldDecl *scale = fieldOf(argOf(*site.call, "scale"));
    if (scale && !seen.insert(scale).second)
      continue;
    for (StringRef value : scales) {
      std::string says = "scores are scaled by " + value.str();
      if (scale)
        addField(says, scale, value);
      else if (hasFields(value)) {
        Edits edits;
        edits.replace(site.block, textOf(*site.call),
                      withArg(*site.call, "scale", value));
        add(says, edits);
      }
    }
    if (scale)
      for (StringRef value : keys)
        addField("scores are scaled by " + value, scale, value);
    if (const spec::FieldDecl *bias = fieldOf(argOf(*site.call, "bias")))
      addField("nothing is added to scores (" + bias->name.name + " = none)",
               bias, "none");
  }
}

void CauseList::windows() {
  std::set<const spec::FieldDecl *> seen;
  for (const CallSite &site : calls("near")) {
    const spec::FieldDecl *window =
        site.call->args.empty() ? nullptr : fieldOf(site.call->args[0].value);
    if (!window || !seen.insert(window).second)
      continue;
    std::string value = textOf(*window->value).str();
    for (StringRef change : {"+ 1", "- 1"})
      addField(change == "+ 1" ? "windows reach one token further"
                               : "windows reach one token less far",
               window,
               "if (" + llvm::Twine(value) + ") == none { none } else { (" +
                   value + ") " + change + " }");
    addField("there are no windows", window, "none");
    add("layers take windows that the configuration says (sliding_window)", "",
        window->name.name + " = sliding_window");
  }
}

void CauseList::headNorms() {
  normsBehindRotation();
  normsBeforeRotation();
}

namespace {
/// 'norm(q) at q_norm' in a text.
struct NormAt {
  const spec::Expr *whole = nullptr;
  const spec::CallExpr *call = nullptr;
  explicit operator bool() const { return whole; }
  /// The same around another value.
  std::string around(StringRef value) const {
    return withParts(textOf(*whole),
                     {{textOf(*call->args[0].value), value.str()}});
  }
};
} // namespace

static NormAt normAt(const spec::Expr *expr,
                     llvm::function_ref<bool(const spec::CallExpr &)> isNorm) {
  auto *at = llvm::dyn_cast_or_null<spec::AtExpr>(expr);
  auto *call = at ? llvm::dyn_cast<spec::CallExpr>(at->base) : nullptr;
  return call && isNorm(*call) ? NormAt{at, call} : NormAt();
}

/// The elements that a block returns in its last statement.
static llvm::ArrayRef<const spec::Expr *>
returned(const spec::BlockDecl &block) {
  if (block.body->stmts.empty())
    return {};
  auto *result = llvm::dyn_cast<spec::ReturnStmt>(block.body->stmts.back());
  auto *tuple =
      result ? llvm::dyn_cast<spec::TupleExpr>(result->value) : nullptr;
  return tuple ? tuple->elements : llvm::ArrayRef<const spec::Expr *>();
}

/// 'norm(q) at q_norm' in the block that makes the heads, or around what is
/// rotated: what is normed is rotated first.
void CauseList::normsBehindRotation() {
  auto norms = [this](const spec::CallExpr &call) { return isNorm(call); };
  std::map<const spec::BlockDecl *, Edits> edits;
  for (const CallSite &site : calls("rope")) {
    if (site.call->args.empty())
      continue;
    const spec::Expr *arg = site.call->args[0].value;
    if (NormAt norm = normAt(arg, norms)) {
      std::string rotated =
          withParts(textOf(*site.call),
                    {{textOf(*arg), textOf(*norm.call->args[0].value).str()}});
      edits[site.block].replace(site.block, textOf(*site.call),
                                norm.around(rotated));
      continue;
    }
    // A variable that another block gives with its norm.
    auto *name = llvm::dyn_cast<spec::NameExpr>(arg);
    if (!name)
      continue;
    for (const spec::Stmt *stmt : site.block->body->stmts) {
      auto *assign = llvm::dyn_cast<spec::AssignStmt>(stmt);
      auto *source =
          assign ? llvm::dyn_cast<spec::CallExpr>(assign->value) : nullptr;
      auto *callee =
          source ? llvm::dyn_cast<spec::NameExpr>(source->callee) : nullptr;
      import::FoundBlock giver =
          callee ? family.findBlock(callee->name) : import::FoundBlock();
      if (!giver || !llvm::is_contained(blocks, giver.decl))
        continue;
      llvm::ArrayRef<const spec::Expr *> given = returned(*giver.decl);
      for (auto [at, target] : llvm::enumerate(assign->targets)) {
        if (target.name.name != name->name || at >= given.size())
          continue;
        if (NormAt norm = normAt(given[at], norms)) {
          Edits &both = edits[site.block];
          both.replace(giver.decl, textOf(*norm.whole),
                       textOf(*norm.call->args[0].value).str());
          both.replace(site.block, textOf(*site.call),
                       norm.around(textOf(*site.call)));
        }
      }
    }
  }
  for (const auto &[block, both] : edits)
    add("queries and keys are normed behind the rotation", both);
}

/// The other way round: 'norm(rope(q, rot)) at q_norm'.
void CauseList::normsBeforeRotation() {
  auto norms = [this](const spec::CallExpr &call) { return isNorm(call); };
  for (const spec::BlockDecl *block : blocks) {
    Edits edits;
    walk(*block, [&](const spec::Expr &expr) {
      NormAt norm = normAt(&expr, norms);
      if (!norm || !isCallOf(norm.call->args[0].value, "rope"))
        return;
      auto *rope = llvm::cast<spec::CallExpr>(norm.call->args[0].value);
      if (rope->args.empty())
        return;
      StringRef value = textOf(*rope->args[0].value);
      edits.replace(block, textOf(expr),
                    withParts(textOf(*rope), {{value, norm.around(value)}}));
    });
    add("queries and keys are normed before the rotation", edits);
  }
}

/// Query, key and value in one tensor: as wholes, or within each head.
void CauseList::orderOfHeads() {
  auto listOf = [](const spec::Expr *expr) -> std::vector<StringRef> {
    auto *list = llvm::dyn_cast_or_null<spec::ListExpr>(expr);
    if (!list || list->args.size() != 2)
      return {};
    return {textOf(*list->args[0].value), textOf(*list->args[1].value)};
  };
  for (const CallSite &site : calls("linear")) {
    const spec::Expr *shape = argOf(*site.call, "shape", 1);
    if (!shape)
      continue;
    std::string other;
    StringRef says;
    if (std::vector<StringRef> axes = listOf(shape); !axes.empty()) {
      // [heads, head + head + head]
      auto [first, rest] = axes[1].split(" + ");
      if (rest != (first + " + " + first).str())
        continue;
      std::string part = ("[" + axes[0] + ", " + first + "]").str();
      other = part + " + " + part + " + " + part;
      says = "as wholes";
    } else if (auto *sum = llvm::dyn_cast<spec::BinaryExpr>(shape)) {
      auto *left = llvm::dyn_cast<spec::BinaryExpr>(sum->lhs);
      std::vector<StringRef> q = left ? listOf(left->lhs)
                                      : std::vector<StringRef>(),
                             k = left ? listOf(left->rhs) : q,
                             v = listOf(sum->rhs);
      if (q.empty() || k.empty() || v.empty() || q[1] != k[1] || k[1] != v[1])
        continue;
      other =
          ("[" + q[0] + ", " + q[1] + " + " + q[1] + " + " + q[1] + "]").str();
      says = "within each head";
    } else {
      continue;
    }
    Edits edits;
    edits.replace(site.block, textOf(*shape), other);
    add("query, key and value follow each other " + says, edits);
  }
}

//===- Causes.cpp - Likely mistakes in a spec -----------------------------===//
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

/// Whether an expression embeds, itself or in what it calls.
static bool embeds(const import::Family &family, const spec::Expr &expr) {
  import::Reach inside(family);
  inside.walkExpr(&expr);
  return inside.calls("embed");
}

void CauseList::embeddings() {
  StringRef root = "round(d ^ 0.5)";
  if (family.findField("d"))
    for (const CallSite &site : calls("embed")) {
      Edits edits;
      // With its address, which follows the call.
      const spec::Expr *whole = site.call;
      walk(*site.block, [&](const spec::Expr &expr) {
        auto *at = llvm::dyn_cast<spec::AtExpr>(&expr);
        if (at && at->base == site.call)
          whole = at;
      });
      edits.replace(site.block, textOf(*whole),
                    ("((" + textOf(*whole) + ") * " + root + ")").str());
      add("embeddings are scaled by d ^ 0.5", edits);
    }
  for (const spec::BlockDecl *block : blocks)
    walk(*block, [&](const spec::Expr &expr) {
      auto *product = llvm::dyn_cast<spec::BinaryExpr>(&expr);
      if (!product || product->op != spec::BinaryOp::Mul ||
          !embeds(family, *product->lhs))
        return;
      for (bool isScaled : {true, false}) {
        Edits edits;
        edits.replace(block, isScaled ? textOf(*product->rhs) : textOf(expr),
                      isScaled ? root.str() : textOf(*product->lhs).str());
        if (!isScaled || family.findField("d"))
          add(isScaled ? "embeddings are scaled by d ^ 0.5"
                       : "embeddings are not scaled",
              edits);
      }
    });
}

void CauseList::activations() {
  static constexpr StringRef names[] = {"silu", "gelu",  "gelu_pytorch_tanh",
                                        "relu", "relu2", "quick_gelu"};
  std::set<std::string> seen;
  for (const CallSite &site : calls("apply")) {
    if (site.call->args.empty())
      continue;
    const spec::Expr *act = site.call->args[0].value;
    const spec::FieldDecl *decl = fieldOf(act);
    if (!seen.insert(textOf(*act).str()).second)
      continue;
    for (StringRef name : names) {
      std::string says = "the activation is " + name.str();
      std::string value = "\"" + name.str() + "\"";
      if (decl) {
        addField(says, decl, value);
        continue;
      }
      Edits edits;
      for (const CallSite &same : calls("apply"))
        if (!same.call->args.empty() &&
            textOf(*same.call->args[0].value) == textOf(*act))
          edits.replace(same.block, textOf(*same.call->args[0].value), value);
      add(says, edits);
    }
  }
}

/// Bounds that a reference does not have, or whose keys say nothing.
void CauseList::bounds() {
  for (const CallSite &site : calls("clamp")) {
    if (site.call->args.size() != 3)
      continue;
    Edits edits;
    edits.replace(site.block, textOf(*site.call),
                  ("(" + textOf(*site.call->args[0].value) + ")").str());
    add("nothing is kept between " + textOf(*site.call->args[1].value) +
            " and " + textOf(*site.call->args[2].value),
        edits);
  }
}

/// Fields that 'none' turns off, as the text asks.
void CauseList::switches() {
  std::set<const spec::FieldDecl *> seen;
  auto turnOff = [&](const spec::FieldDecl *decl) {
    if (decl && seen.insert(decl).second)
      addField("'" + decl->name.name + "' is none", decl, "none");
  };
  for (const CallSite &site : calls("attend"))
    turnOff(fieldOf(argOf(*site.call, "softcap")));
  for (const spec::BlockDecl *block : blocks)
    walk(*block, [&](const spec::Expr &expr) {
      auto *test = llvm::dyn_cast<spec::BinaryExpr>(&expr);
      if (test &&
          (test->op == spec::BinaryOp::Equal ||
           test->op == spec::BinaryOp::NotEqual) &&
          textOf(*test->rhs) == "none")
        turnOff(fieldOf(test->lhs));
    });
}

void CauseList::swaps() {
  // Weights of one shape that lie side by side.
  for (auto [i, a] : llvm::enumerate(tensors))
    for (const TensorGroup &b : tensors.drop_front(i + 1)) {
      auto [parent, left] = moduleOf(a.name).rsplit('.');
      auto [other, right] = moduleOf(b.name).rsplit('.');
      StringRef name = a.name;
      if (parent != other || left == right || a.shape != b.shape ||
          !name.contains("{layer}") || name.contains("{e}") ||
          !name.ends_with(".weight") || right.empty())
        continue;
      add("'" + left + "' and '" + right + "' of '" + parent + "' are swapped",
          "  weights { " + parent + ".{\"" + left + "\", \"" + right +
              "\"}.{leaf} = " + parent + ".{\"" + right + "\", \"" + left +
              "\"}.{leaf} }");
    }
}

/// Blocks as other families have them.
void CauseList::otherBlocks() {
  std::set<std::string> tried;
  for (const spec::FamilyDecl *decl : library.getFamilies()) {
    if (!decl->serves)
      continue;
    for (const spec::BlockDecl *block : decl->blocks) {
      import::FoundBlock here = family.findBlock(block->name.name);
      bool isOther = here && !block->isEntry && here.decl != block &&
                     tried.insert(textOf(*block).str()).second;
      if (isOther)
        add("block '" + block->name.name + "' is that of '" + decl->name.name +
                "'",
            "  use " + block->name.name + " from " + decl->name.name);
    }
  }
}

/// Fields that are true or false.
void CauseList::choices() {
  std::set<std::string> seen;
  for (const std::string &name : family.fieldNames()) {
    const spec::FieldDecl *decl = field(name);
    if (!decl || !seen.insert(name).second)
      continue;
    StringRef text = textOf(*decl->value);
    if (!text.contains("true") && !text.contains("false"))
      continue;
    for (StringRef value : {"true", "false"})
      if (text != value)
        addField("'" + name + "' is " + value, decl, value);
  }
}

/// Square matrices of layers, of which no shape tells the order of axes.
void CauseList::transposed() {
  for (const TensorGroup &group : tensors) {
    StringRef name = group.name;
    bool isSquare = group.shape.size() == 2 &&
                    group.shape[0] == group.shape[1] &&
                    name.contains("{layer}") && name.ends_with(".weight");
    if (!isSquare || name.contains("{e}"))
      continue;
    add("'" + moduleOf(name) + "' is stored transposed",
        "  weights { " + name + " = transpose(" + name + ") }");
  }
}

/// What was left out of a block: the sum with its input, a rotation.
void CauseList::slips() {
  for (const spec::BlockDecl *block : blocks)
    if (block->params.size() == 1)
      for (const spec::Stmt *stmt : block->body->stmts)
        residual(*block, block->params[0].name.name, *stmt);
  rotated();
}

static const spec::Expr *valueOf(const spec::Stmt &stmt) {
  if (auto *assign = llvm::dyn_cast<spec::AssignStmt>(&stmt))
    return assign->value;
  if (auto *result = llvm::dyn_cast<spec::ReturnStmt>(&stmt))
    return result->value;
  auto *plain = llvm::dyn_cast<spec::ExprStmt>(&stmt);
  return plain ? plain->value : nullptr;
}

void CauseList::residual(const spec::BlockDecl &block, StringRef input,
                         const spec::Stmt &stmt) {
  const spec::Expr *value = valueOf(stmt);
  if (!value || llvm::isa<spec::TupleExpr>(value))
    return;
  auto *assign = llvm::dyn_cast<spec::AssignStmt>(&stmt);
  if (assign && (assign->isAdd || assign->targets.size() != 1 ||
                 assign->targets[0].name.name != input))
    return;
  // At the end of the block, or where its input is assigned anew.
  if (!assign && &stmt != block.body->stmts.back())
    return;
  Edits edits;
  edits.replace(&block, textOf(*value), (input + " + " + textOf(*value)).str());
  add("block '" + block.name.name + "' adds '" + input + "' to " +
          (assign ? "what it assigns to it" : "its result"),
      edits);
}

/// Queries and keys that are not rotated beside those that are, by the same.
void CauseList::rotated() {
  std::vector<CallSite> ropes = calls("rope");
  if (ropes.empty() || ropes[0].call->args.size() < 2)
    return;
  StringRef table = textOf(*ropes[0].call->args[1].value);
  for (const CallSite &site : calls("attend")) {
    if (site.call->args.size() < 2)
      continue;
    for (const spec::Arg &arg : site.call->args.take_front(2)) {
      if (arg.name || !llvm::isa<spec::NameExpr>(arg.value))
        continue;
      Edits edits;
      edits.replace(site.block, textOf(*arg.value),
                    ("rope(" + textOf(*arg.value) + ", " + table + ")").str());
      add("'" + textOf(*arg.value) + "' is rotated, too", edits);
    }
  }
}

//===- Walk.cpp - All statements and expressions of a file ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/Walk.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace clade::spec;

namespace {
class Walker {
public:
  Walker(ExprFn onExpr, StmtFn onStmt) : onExpr(onExpr), onStmt(onStmt) {}

  void visit(const Expr *expr);
  void visit(const Body *body);
  void visit(const Path *path);
  void visit(ArrayRef<Arg> args) {
    for (const Arg &arg : args) {
      visit(arg.value);
      visit(arg.where);
    }
  }
  void visit(const BlockDecl *block) {
    for (const Param &param : block->params)
      visit(param.defaultValue);
    visit(block->at);
    visit(block->body);
  }
  void visit(const ConfigDecl *config) {
    if (!config)
      return;
    for (const FieldDecl *field : config->fields)
      visit(field->value);
    for (const RequireDecl *requirement : config->requirements)
      visit(requirement->condition);
  }

private:
  ExprFn onExpr;
  StmtFn onStmt;
};
} // namespace

void Walker::visit(const Path *path) {
  if (!path)
    return;
  for (const PathSegment &segment : path->segments)
    for (const PathPart &part : segment) {
      for (const Expr *expr : part.placeholder.exprs)
        visit(expr);
      visit(part.placeholder.where);
    }
}

void Walker::visit(const Body *body) {
  if (!body)
    return;
  for (const Stmt *stmt : body->stmts) {
    onStmt(*stmt);
    llvm::TypeSwitch<const Stmt *>(stmt)
        .Case([&](const AssignStmt *assign) {
          for (const LValue &target : assign->targets)
            if (target.index)
              visit(*target.index);
          visit(assign->value);
        })
        .Case<ReturnStmt, EmitStmt, ExprStmt>(
            [&](auto *other) { visit(other->value); });
  }
}

void Walker::visit(const Expr *expr) {
  if (!expr)
    return;
  onExpr(*expr);
  llvm::TypeSwitch<const Expr *>(expr)
      .Case([&](const ListExpr *e) { visit(e->args); })
      .Case([&](const TupleExpr *e) {
        for (const Expr *element : e->elements)
          visit(element);
      })
      .Case([&](const ParenExpr *e) { visit(e->inner); })
      .Case([&](const CallExpr *e) {
        visit(e->callee);
        visit(e->args);
      })
      .Case([&](const IndexExpr *e) {
        visit(e->base);
        visit(e->args);
      })
      .Case([&](const AttrExpr *e) { visit(e->base); })
      .Case([&](const AtExpr *e) {
        visit(e->base);
        visit(e->path);
      })
      .Case([&](const AsExpr *e) {
        visit(e->base);
        visit(e->shape);
      })
      .Case([&](const FromLayerExpr *e) {
        visit(e->base);
        visit(e->layer);
      })
      .Case([&](const LambdaExpr *e) {
        visit(e->call);
        visit(e->body);
      })
      .Case([&](const BinaryExpr *e) {
        visit(e->lhs);
        visit(e->rhs);
      })
      .Case([&](const UnaryExpr *e) { visit(e->operand); })
      .Case([&](const DefaultExpr *e) {
        visit(e->value);
        visit(e->fallback);
      })
      .Case([&](const RangeExpr *e) {
        visit(e->begin);
        visit(e->end);
      })
      .Case([&](const IfExpr *e) {
        visit(e->condition);
        visit(e->thenBody);
        visit(e->elseBody);
      })
      .Case([&](const MatchExpr *e) {
        visit(e->subject);
        for (const MatchCase &one : e->cases) {
          visit(one.pattern);
          visit(one.value);
        }
      })
      .Case([&](const ForExpr *e) {
        visit(e->range);
        visit(e->at);
        visit(e->body);
      })
      .Case([&](const ScanExpr *e) {
        visit(e->init);
        visit(e->body);
      })
      .Default([](const Expr *) {});
}

void clade::spec::walk(const Expr &expr, ExprFn onExpr, StmtFn onStmt) {
  Walker(onExpr, onStmt).visit(&expr);
}

void clade::spec::walk(const FamilyDecl &family, ExprFn onExpr, StmtFn onStmt) {
  Walker walker(onExpr, onStmt);
  walker.visit(family.config);
  for (const PartDecl *part : family.parts)
    walker.visit(part->config);
  for (const BlockDecl *block : family.blocks)
    walker.visit(block);
}

void clade::spec::walk(const File &file, ExprFn onExpr, StmtFn onStmt) {
  Walker walker(onExpr, onStmt);
  walker.visit(file.config);
  for (const BlockDecl *block : file.blocks)
    walker.visit(block);
  for (const FamilyDecl *family : file.families)
    walk(*family, onExpr, onStmt);
}

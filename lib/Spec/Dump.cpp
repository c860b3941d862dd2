//===- Dump.cpp - The syntax tree as nested lists -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Prints everything of the tree except locations and what only the layout of
// the text decides: `block f(x) = y` is `block f(x) { return y }`, and the
// number 1.0e3 is 1000.0.
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/AST.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

using namespace clade::spec;

namespace {

class Dumper {
public:
  explicit Dumper(llvm::raw_ostream &os) : os(os) {}

  void dump(const File &file);

private:
  void line() { os.indent(2 * indent); }
  template <typename Fn> void nested(Fn body) {
    ++indent;
    body();
    --indent;
  }

  void dump(const FamilyDecl &family);
  void dump(const ConfigDecl &config);
  void dump(const BlockDecl &block);
  void dump(const WeightsDecl &weights) { dumpItems(weights.items); }
  void dumpItems(ArrayRef<const WeightItem *> items);
  void dump(const WeightItem *item);
  void dump(const WeightExpr *expr);
  void dump(const Path *path);
  void dump(const Placeholder &placeholder);
  void dump(const Body &body);
  void dump(const Stmt *stmt);
  void dump(const Expr *expr);
  void dumpLeaf(const Expr *expr);
  void dumpControl(const Expr *expr);
  void dumpArgs(ArrayRef<Arg> args);
  void dumpNumber(double value) { os << llvm::format("%.17g", value); }
  void optional(StringRef label, const Expr *expr);
  void optional(StringRef label, const Path *path);

  llvm::raw_ostream &os;
  unsigned indent = 0;
};

} // namespace

void Dumper::optional(StringRef label, const Expr *expr) {
  if (!expr)
    return;
  os << " (" << label << ' ';
  dump(expr);
  os << ')';
}

void Dumper::optional(StringRef label, const Path *path) {
  if (!path)
    return;
  os << " (" << label << ' ';
  dump(path);
  os << ')';
}

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

void Dumper::dump(const File &file) {
  for (const FamilyDecl *family : file.families)
    dump(*family);
  for (const BlockDecl *block : file.blocks)
    dump(*block);
  if (file.config)
    dump(*file.config);
  if (file.weights)
    dump(*file.weights);
}

void Dumper::dump(const FamilyDecl &family) {
  os << "family " << family.name.name;
  if (family.base)
    os << " from " << family.base->name;
  os << '\n';
  nested([&] {
    if (family.serves)
      for (const Identifier &name : family.serves->names)
        line(), os << "serves \"" << name.name << "\"\n";
    if (family.serves && family.serves->condition) {
      line(), os << "serves";
      optional("if", family.serves->condition);
      os << '\n';
    }
    if (family.reference)
      line(), os << "reference " << family.reference->name.name << '\n';
    for (const UseDecl *use : family.uses)
      for (const Identifier &name : use->names)
        line(), os << "use " << use->family.name << '.' << name.name << '\n';
    if (family.config)
      dump(*family.config);
    for (const PartDecl *part : family.parts) {
      line(), os << "part " << part->name.name << ' ' << part->family.name;
      optional("with", part->config);
      optional("at", part->at);
      os << '\n';
    }
    for (const BlockDecl *block : family.blocks)
      dump(*block);
    if (family.weights)
      dump(*family.weights);
  });
}

void Dumper::dump(const ConfigDecl &config) {
  line(), os << "config\n";
  nested([&] {
    for (const FieldDecl *field : config.fields) {
      line(), os << "field " << field->name.name;
      if (field->index)
        os << '[' << field->index->name << ']';
      os << ' ';
      dump(field->value);
      os << '\n';
    }
    for (const RequireDecl *require : config.requirements) {
      line(), os << "require ";
      dump(require->condition);
      os << '\n';
    }
    for (const IgnoreDecl *ignore : config.ignores)
      for (const IgnoredKey &key : ignore->keys)
        line(), os << "ignore " << key.name << '\n';
  });
}

void Dumper::dump(const BlockDecl &block) {
  line(), os << (block.isEntry ? "entry " : "block ") << block.name.name;
  for (const Param &param : block.params) {
    os << " (param " << param.name.name;
    optional("default", param.defaultValue);
    os << ')';
  }
  optional("at", block.at);
  os << '\n';
  nested([&] {
    for (const Stmt *stmt : block.body->stmts) {
      line(), dump(stmt);
      os << '\n';
    }
  });
}

//===----------------------------------------------------------------------===//
// Weights
//===----------------------------------------------------------------------===//

void Dumper::dumpItems(ArrayRef<const WeightItem *> items) {
  line(), os << "weights\n";
  nested([&] {
    for (const WeightItem *item : items) {
      line();
      dump(item);
    }
  });
}

void Dumper::dump(const WeightItem *item) {
  if (const auto *equation = llvm::dyn_cast<WeightEquation>(item)) {
    os << "equation ";
    dump(equation->path);
    for (const WeightExpr *alternative : equation->alternatives) {
      os << ' ';
      dump(alternative);
    }
    optional("if", equation->condition);
    os << '\n';
  } else if (const auto *drop = llvm::dyn_cast<WeightDrop>(item)) {
    os << "drop";
    for (const Path *path : drop->paths) {
      os << ' ';
      dump(path);
    }
    optional("if", drop->condition);
    os << '\n';
  } else if (const auto *loop = llvm::dyn_cast<WeightFor>(item)) {
    os << "for";
    for (const WeightBinding &binding : loop->bindings)
      optional(binding.name.name, binding.range);
    optional("at", loop->at);
    os << '\n';
    nested([&] { dumpItems(loop->items); });
  }
}

void Dumper::dump(const WeightExpr *expr) {
  if (const auto *number = llvm::dyn_cast<WeightNumber>(expr))
    return dumpNumber(number->value);
  if (const auto *ref = llvm::dyn_cast<WeightRef>(expr)) {
    os << "(ref ";
    dump(ref->path);
    if (ref->index)
      dumpArgs(*ref->index);
    os << ')';
    return;
  }
  const auto *call = llvm::cast<WeightCall>(expr);
  os << '(' << call->name.name;
  for (const WeightExpr *arg : call->args) {
    os << ' ';
    dump(arg);
  }
  os << ')';
}

//===----------------------------------------------------------------------===//
// Paths
//===----------------------------------------------------------------------===//

void Dumper::dump(const Placeholder &placeholder) {
  os << '{';
  llvm::interleaveComma(placeholder.exprs, os,
                        [&](const Expr *expr) { dump(expr); });
  optional("where", placeholder.where);
  os << (placeholder.isMulti ? "..}" : "}");
}

void Dumper::dump(const Path *path) {
  if (path->isAbsolute)
    os << '/';
  llvm::interleave(
      path->segments, os,
      [&](PathSegment segment) {
        for (const PathPart &part : segment) {
          if (part.isText())
            os << part.text;
          else
            dump(part.placeholder);
        }
      },
      ".");
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

void Dumper::dump(const Body &body) {
  os << "(do";
  for (const Stmt *stmt : body.stmts) {
    os << ' ';
    dump(stmt);
  }
  os << ')';
}

void Dumper::dump(const Stmt *stmt) {
  if (const auto *assign = llvm::dyn_cast<AssignStmt>(stmt)) {
    os << (assign->isAdd ? "(add" : "(set");
    for (const LValue &target : assign->targets) {
      os << ' ' << target.name.name;
      if (target.index) {
        os << '[';
        dumpArgs(*target.index);
        os << ']';
      }
    }
    os << " = ";
    dump(assign->value);
    os << ')';
  } else if (const auto *result = llvm::dyn_cast<ReturnStmt>(stmt)) {
    os << "(return ";
    dump(result->value);
    os << ')';
  } else if (const auto *emit = llvm::dyn_cast<EmitStmt>(stmt)) {
    os << "(emit ";
    dump(emit->value);
    os << ')';
  } else {
    dump(llvm::cast<ExprStmt>(stmt)->value);
  }
}

//===----------------------------------------------------------------------===//
// Expressions
//===----------------------------------------------------------------------===//

void Dumper::dumpArgs(ArrayRef<Arg> args) {
  for (const Arg &arg : args) {
    os << " (arg ";
    if (arg.name)
      os << arg.name->name << ": ";
    dump(arg.value);
    optional("where", arg.where);
    os << ')';
  }
}

void Dumper::dumpLeaf(const Expr *expr) {
  llvm::TypeSwitch<const Expr *>(expr)
      .Case([&](const NumberExpr *e) {
        if (e->isInteger)
          os << e->intValue;
        else
          os << "(float ", dumpNumber(e->value), os << ')';
      })
      .Case([&](const StringExpr *e) { os << '"' << e->value << '"'; })
      .Case([&](const NameExpr *e) { os << e->name; })
      .Case([&](const KeyExpr *e) { os << "(key " << e->name << ')'; });
}

void Dumper::dumpControl(const Expr *expr) {
  llvm::TypeSwitch<const Expr *>(expr)
      .Case([&](const IfExpr *e) {
        os << "(if ";
        dump(e->condition);
        os << ' ';
        dump(*e->thenBody);
        if (e->elseBody) {
          os << ' ';
          dump(*e->elseBody);
        }
      })
      .Case([&](const MatchExpr *e) {
        os << "(match ";
        dump(e->subject);
        for (const MatchCase &one : e->cases) {
          os << " (case ";
          dump(one.pattern);
          os << ' ';
          dump(one.value);
          os << ')';
        }
      })
      .Case([&](const ForExpr *e) {
        os << "(for";
        for (const Identifier &name : e->names)
          os << ' ' << name.name;
        optional("in", e->range);
        optional("at", e->at);
        os << ' ';
        dump(*e->body);
      })
      .Case([&](const ScanExpr *e) {
        os << "(scan " << e->axis.name << ' ' << e->carry.name;
        optional("from", e->init);
        os << ' ';
        dump(*e->body);
      });
  os << ')';
}

void Dumper::dump(const Expr *expr) {
  using K = Expr::Kind;
  switch (expr->getKind()) {
  case K::Number:
  case K::String:
  case K::Name:
  case K::Key:
    return dumpLeaf(expr);
  case K::If:
  case K::Match:
  case K::For:
  case K::Scan:
    return dumpControl(expr);
  default:
    break;
  }
  auto operand = [&](const Expr *e) {
    if (e) {
      os << ' ';
      dump(e);
    } else {
      os << " _";
    }
  };
  llvm::TypeSwitch<const Expr *>(expr)
      .Case([&](const ListExpr *e) { os << "(list", dumpArgs(e->args); })
      .Case([&](const TupleExpr *e) {
        os << "(tuple";
        llvm::for_each(e->elements, operand);
      })
      .Case([&](const ParenExpr *e) { os << "(paren", operand(e->inner); })
      .Case([&](const CallExpr *e) {
        os << "(call", operand(e->callee), dumpArgs(e->args);
      })
      .Case([&](const IndexExpr *e) {
        os << "(index", operand(e->base), dumpArgs(e->args);
      })
      .Case([&](const AttrExpr *e) {
        os << "(attr", operand(e->base), os << ' ' << e->name.name;
      })
      .Case([&](const AtExpr *e) {
        os << "(at", operand(e->base), os << ' ', dump(e->path);
      })
      .Case([&](const AsExpr *e) {
        os << "(as", operand(e->base), operand(e->shape);
      })
      .Case([&](const FromLayerExpr *e) {
        os << "(from_layer", operand(e->base), operand(e->layer);
      })
      .Case([&](const LambdaExpr *e) {
        os << "(lambda", operand(e->call);
        os << ' ' << e->var.name, operand(e->body);
      })
      .Case([&](const BinaryExpr *e) {
        os << '(' << spelling(e->op), operand(e->lhs), operand(e->rhs);
      })
      .Case([&](const UnaryExpr *e) {
        os << (e->op == UnaryOp::Neg ? "(neg" : "(not"), operand(e->operand);
      })
      .Case([&](const DefaultExpr *e) {
        os << (e->alsoNull ? "(??" : "(?");
        operand(e->value), operand(e->fallback);
      })
      .Case([&](const RangeExpr *e) {
        os << "(range", operand(e->begin), operand(e->end);
      });
  os << ')';
}

void clade::spec::dump(const File &file, llvm::raw_ostream &os) {
  Dumper(os).dump(file);
}

//===- Tracer.h - The symbolic run of a family ------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Split by job: Trace.cpp (entries, blocks, bodies), TraceExpr.cpp
// (expressions), TraceKnown.cpp (values that are known).
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIFF_TRACER_H
#define CLADE_DIFF_TRACER_H

#include "lib/Diff/Trace.h"

namespace clade::diff {

using import::FamilyInstance;
using import::SpecValue;
using llvm::ArrayRef;
using llvm::StringRef;

/// What an expression stands for: a text of the configuration, or a tensor that
/// one of several steps made. A tensor of weights alone has no step.
struct Value {
  enum class Kind { Config, Tensor, Tuple };

  Kind kind = Kind::Config;
  std::string text;               ///< With parameters replaced.
  std::optional<SpecValue> known; ///< Config.
  std::vector<unsigned> steps;    ///< Tensor.
  std::vector<Value> elements;    ///< Tuple.

  bool isTensor() const { return kind == Kind::Tensor; }
  static Value config(std::string text, std::optional<SpecValue> known = {});
  static Value tensor(std::vector<unsigned> steps, std::string text = "");
  static Value tuple(std::vector<Value> elements);
};

/// What either of two branches gives.
Value merge(const Value &a, const Value &b);

/// The value of an operator on known values, if it is one of comparison or
/// logic.
std::optional<SpecValue> fold(spec::BinaryOp op, const Value &a,
                              const Value &b);

class Tracer {
public:
  Tracer(const import::Family &family, KnownFields known);
  Trace run();

private:
  struct Frame {
    const import::Family *family;
    FamilyInstance *instance; ///< Null without a configuration.
    std::string prefix;       ///< Address of calls without 'at'.
    std::string root;         ///< Where the weights of the part lie.
    std::map<std::string, Value, std::less<>> vars;
    std::vector<Value> returns;
    std::optional<Value> emitted;
  };
  /// The value of a body, and whether it returned on every path.
  struct Flow {
    Value value;
    bool ends = false;
  };
  struct CallArgument {
    std::string name;
    Value value;
  };

  // Trace.cpp
  Flow evalBody(const spec::Body *body, Frame &frame);
  Flow evalStmt(const spec::Stmt *stmt, Frame &frame);
  void assign(const spec::AssignStmt *stmt, Frame &frame);
  Flow evalIf(const spec::IfExpr *expr, Frame &frame);
  Flow evalMatch(const spec::MatchExpr *expr, Frame &frame);
  Value evalFor(const spec::ForExpr *expr, Frame &frame);
  Value callBlock(import::FoundBlock found, std::vector<CallArgument> args,
                  Frame &callee);
  bool isAtom(const import::Family &family, import::FoundBlock found);
  std::string address(const std::string &prefix, const spec::Path *path);

  // TraceExpr.cpp
  Value eval(const spec::Expr *expr, Frame &frame);
  Value evalName(StringRef name, Frame &frame);
  Value evalAttr(const spec::AttrExpr *expr, Frame &frame);
  Value evalBinary(const spec::BinaryExpr *expr, Frame &frame);
  Value evalUnary(const spec::UnaryExpr *expr, Frame &frame);
  Value evalList(const spec::ListExpr *expr, Frame &frame);
  Value evalIndex(const spec::IndexExpr *expr, Frame &frame);
  Value evalLambda(const spec::LambdaExpr *expr, Frame &frame,
                   const std::string &prefix);
  Value evalCall(const spec::CallExpr *call, Frame &frame,
                 const std::string &prefix,
                 std::vector<CallArgument> extra = {});
  Value callBuiltin(StringRef name, std::vector<CallArgument> args,
                    const std::string &prefix, StringRef relative);
  std::vector<CallArgument> evalArgs(ArrayRef<spec::Arg> args, Frame &frame);
  /// A call of which everything known is written down.
  Value step(StringRef op, ArrayRef<CallArgument> args,
             const std::string &address);

  // TraceKnown.cpp
  std::optional<SpecValue> knownField(StringRef name, const Frame &frame);

  const import::Family &family;
  KnownFields known;
  Trace trace;
  std::string entry;
  bool inLayers = false;
  std::vector<std::string> conditions;
  std::map<std::pair<const import::Family *, const spec::BlockDecl *>, bool>
      atoms;
  std::vector<std::unique_ptr<const import::Family>> partFamilies;
  unsigned depth = 0;
  size_t numCalls = 0;
};

} // namespace clade::diff

#endif // CLADE_DIFF_TRACER_H

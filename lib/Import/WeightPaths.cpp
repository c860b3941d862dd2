//===- WeightPaths.cpp - Paths of weight equations ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/WeightResolver.h"

#include "lib/Import/Evaluator.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

static void splitName(StringRef name, SmallVectorImpl<StringRef> &parts) {
  if (!name.empty())
    name.split(parts, '.');
}

static SpecValue textValue(StringRef text) {
  int64_t number;
  return text.getAsInteger(10, number) ? SpecValue::of(text.str())
                                       : SpecValue::of(number);
}

FailureOr<std::string> WeightResolver::text(const spec::Expr *expr,
                                            const Scope &scope,
                                            const Bindings &bindings) {
  if (auto *name = dyn_cast<spec::NameExpr>(expr))
    if (auto it = bindings.find(name->name); it != bindings.end())
      return it->second.is(SpecValue::Kind::Int)
                 ? std::to_string(it->second.dim.size)
                 : it->second.text;
  FailureOr<SpecValue> value = scope.evaluator->evalConfig(
      expr, Frame::Context::Weights, bindings, scope.layer, scope.part);
  if (failed(value))
    return failure();
  if (value->is(SpecValue::Kind::Int))
    return std::to_string(value->dim.size);
  if (value->is(SpecValue::Kind::String))
    return value->text;
  return emitError(expr->getLoc())
         << "expected an integer or a string in a weight path, got "
         << value->describe();
}

/// Matches the segments with the beginning of a name. A placeholder that is a
/// bare unbound name binds the whole segment.
FailureOr<std::optional<WeightResolver::Match>>
WeightResolver::match(ArrayRef<spec::PathSegment> segments, StringRef name,
                      const Scope &scope, const Bindings &bindings) {
  SmallVector<StringRef> parts;
  splitName(name, parts);
  Match result{bindings, "", {}};
  size_t at = 0;
  for (auto [index, segment] : llvm::enumerate(segments)) {
    if (at >= parts.size())
      return std::optional<Match>();
    if (segment.size() == 1 && !segment[0].isText() &&
        segment[0].placeholder.isMulti) {
      // {p..}: the name up to what the other segments need.
      size_t rest = segments.size() - index - 1;
      if (parts.size() < at + 1 + rest)
        return std::optional<Match>();
      size_t taken = parts.size() - at - rest;
      auto *variable = cast<spec::NameExpr>(segment[0].placeholder.exprs[0]);
      result.bindings[variable->name.str()] =
          SpecValue::of(llvm::join(ArrayRef(parts).slice(at, taken), "."));
      at += taken;
      continue;
    }
    StringRef remaining = parts[at++];
    for (auto [partIndex, part] : llvm::enumerate(segment)) {
      if (part.isText()) {
        if (!remaining.consume_front(part.text))
          return std::optional<Match>();
        continue;
      }
      const spec::Placeholder &placeholder = part.placeholder;
      auto *variable = dyn_cast<spec::NameExpr>(placeholder.exprs[0]);
      bool isSet = placeholder.exprs.size() > 1 ||
                   isa<spec::StringExpr>(placeholder.exprs[0]);
      if (isSet) {
        bool found = false;
        for (auto [choice, member] : llvm::enumerate(placeholder.exprs)) {
          FailureOr<std::string> memberText =
              text(member, scope, result.bindings);
          if (failed(memberText))
            return failure();
          if (!remaining.consume_front(*memberText))
            continue;
          result.alternatives.push_back(choice);
          found = true;
          break;
        }
        if (!found)
          return std::optional<Match>();
        continue;
      }
      const spec::Expr *free = placeholder.exprs[0];
      const spec::Expr *where = placeholder.where;
      if (auto *comparison = dyn_cast<spec::BinaryExpr>(free)) {
        // {layer >= layers}: a name with a condition on it.
        variable = dyn_cast<spec::NameExpr>(comparison->lhs);
        where = free;
      }
      bool bound = variable && result.bindings.count(variable->name) && !where;
      if (!variable || bound) {
        FailureOr<std::string> wanted = text(free, scope, result.bindings);
        if (failed(wanted))
          return failure();
        if (!remaining.consume_front(*wanted))
          return std::optional<Match>();
        continue;
      }
      // A free placeholder takes what the text behind it leaves.
      StringRef suffix =
          partIndex + 1 < segment.size() && segment[partIndex + 1].isText()
              ? segment[partIndex + 1].text
              : StringRef();
      size_t length =
          suffix.empty() ? remaining.size() : remaining.find(suffix);
      if (length == StringRef::npos || length == 0)
        return std::optional<Match>();
      result.bindings[variable->name.str()] =
          textValue(remaining.take_front(length));
      remaining = remaining.drop_front(length);
      if (where) {
        FailureOr<bool> ok = holds(where, scope, result.bindings);
        if (failed(ok))
          return failure();
        if (!*ok)
          return std::optional<Match>();
      }
    }
    if (!remaining.empty())
      return std::optional<Match>();
  }
  result.rest = llvm::join(ArrayRef(parts).drop_front(at), ".");
  return std::optional<Match>(std::move(result));
}

FailureOr<std::string>
WeightResolver::instantiate(ArrayRef<spec::PathSegment> segments,
                            const Match &match, const Scope &scope,
                            size_t &set) {
  std::string name;
  for (const spec::PathSegment &segment : segments) {
    if (!name.empty())
      name += '.';
    for (const spec::PathPart &part : segment) {
      if (part.isText()) {
        name += part.text;
        continue;
      }
      size_t choice = 0;
      if (part.placeholder.exprs.size() > 1 && set < match.alternatives.size())
        choice = match.alternatives[set++];
      FailureOr<std::string> piece =
          text(part.placeholder
                   .exprs[std::min(choice, part.placeholder.exprs.size() - 1)],
               scope, match.bindings);
      if (failed(piece))
        return failure();
      name += *piece;
    }
  }
  return name;
}

FailureOr<bool> WeightResolver::holds(const spec::Expr *condition,
                                      const Scope &scope,
                                      const Bindings &bindings) {
  Bindings values = bindings;
  // A layer that is still a placeholder stands for the layer at hand.
  if (auto it = values.find("layer");
      it != values.end() && it->second.is(SpecValue::Kind::String)) {
    if (scope.layer)
      it->second = SpecValue::of(*scope.layer);
  }
  FailureOr<SpecValue> value = scope.evaluator->evalConfig(
      condition, Frame::Context::Weights, values, scope.layer, scope.part);
  if (failed(value))
    return failure();
  if (!value->is(SpecValue::Kind::Bool))
    return emitError(condition->getLoc())
           << "expected true or false, got " << value->describe();
  return value->boolean;
}

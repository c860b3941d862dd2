//===- AST.cpp - Lookups and spellings of the syntax tree -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/AST.h"

#include "llvm/ADT/STLExtras.h"

using namespace clade::spec;

/// The node of this name in `list`, or null.
template <typename T>
static const T *findNamed(ArrayRef<const T *> list, StringRef name) {
  const auto *found = llvm::find_if(
      list, [&](const T *node) { return node->name.name == name; });
  return found == list.end() ? nullptr : *found;
}

const BlockDecl *FamilyDecl::findBlock(StringRef name) const {
  return findNamed(blocks, name);
}
const PartDecl *FamilyDecl::findPart(StringRef name) const {
  return findNamed(parts, name);
}
const FamilyDecl *File::findFamily(StringRef name) const {
  return findNamed(families, name);
}
const BlockDecl *File::findBlock(StringRef name) const {
  return findNamed(blocks, name);
}

StringRef clade::spec::spelling(BinaryOp op) {
  switch (op) {
  case BinaryOp::Or:
    return "or";
  case BinaryOp::And:
    return "and";
  case BinaryOp::Equal:
    return "==";
  case BinaryOp::NotEqual:
    return "!=";
  case BinaryOp::Less:
    return "<";
  case BinaryOp::Greater:
    return ">";
  case BinaryOp::LessEqual:
    return "<=";
  case BinaryOp::GreaterEqual:
    return ">=";
  case BinaryOp::In:
    return "in";
  case BinaryOp::Divides:
    return "divides";
  case BinaryOp::Add:
    return "+";
  case BinaryOp::Sub:
    return "-";
  case BinaryOp::Mul:
    return "*";
  case BinaryOp::Div:
    return "/";
  case BinaryOp::Mod:
    return "%";
  case BinaryOp::Pow:
    return "^";
  }
  llvm_unreachable("every operator has a spelling");
}

//===- Instance.h - A family with its configuration -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The family that is compiled, and the families that are parts of it. Names in
// the text of a part mean its own blocks, fields and keys.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_INSTANCE_H
#define CLADE_IMPORT_INSTANCE_H

#include "lib/Import/Family.h"
#include "lib/Import/SpecValue.h"

#include <set>

namespace clade::import {

struct FamilyInstance {
  FamilyInstance(const Family &family, Record record)
      : family(family), record(std::move(record)) {}

  const Family &family;
  Record record; ///< The object whose keys its fields read.
  /// Address that its weights lie below; empty for the whole model.
  std::string prefix;
  std::map<std::string, SpecValue, std::less<>> fieldCache;
  std::set<std::string> fieldsInProgress;

  /// A family inside this one.
  struct Part {
    std::unique_ptr<const Family> family;
    std::unique_ptr<FamilyInstance> instance;
  };
  std::map<std::string, Part, std::less<>> parts;

  FamilyInstance *findPart(llvm::StringRef name) const {
    auto it = parts.find(name);
    return it == parts.end() ? nullptr : it->second.instance.get();
  }
  /// This one and all parts within.
  void collect(std::vector<FamilyInstance *> &all) {
    all.push_back(this);
    for (auto &[name, part] : parts)
      part.instance->collect(all);
  }
};

} // namespace clade::import

#endif // CLADE_IMPORT_INSTANCE_H

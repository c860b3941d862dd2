//===- Definitions.cpp - What fields mean in all families -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Definitions.h"

#include "lib/Import/Reach.h"
#include "lib/Onboard/Survey.h"
#include "lib/Onboard/Words.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::onboard;
using import::Family;
using llvm::StringRef;

std::string onboard::headOf(const spec::FieldDecl *field) {
  std::string head = field->name.name.str();
  return field->index ? head + "[" + field->index->name.str() + "]" : head;
}

/// The key that is there of 'key ?? other_key ?? 128': what other families take
/// in its absence says nothing of this one.
static std::string withoutDefaults(const std::string &value,
                                   const import::Config &config) {
  llvm::SmallVector<StringRef> parts;
  StringRef(value).split(parts, " ?? ");
  for (StringRef part : parts) {
    if (!llvm::all_of(part,
                      [](char c) { return llvm::isAlnum(c) || c == '_'; }))
      return value;
    if (config.hasKey(part))
      return part.str();
  }
  return value;
}

Definition Definitions::make(const Family &family,
                             const spec::FieldDecl *decl) const {
  Definition definition{headOf(decl), textOf(*decl->value).str(), {}, 0};
  import::Reach reach(family);
  reach.walkValue(decl);
  for (const std::string &key : reach.getKeys())
    if (!StringRef(key).contains('.')) {
      definition.keys.insert(key);
      definition.present += config.hasKey(key);
    }
  definition.value = withoutDefaults(definition.value, config);
  return definition;
}

llvm::ArrayRef<Definition> Definitions::of(StringRef field) {
  auto [it, isNew] = known.try_emplace(field.str());
  if (!isNew)
    return it->second;
  std::set<std::string> seen;
  for (const spec::FamilyDecl *decl : library.getFamilies()) {
    if (!decl->serves || !decl->config || decl->name.name == except)
      continue;
    Family family(library, decl);
    for (const spec::FieldDecl *one : decl->config->fields)
      if (one->name.name == field)
        for (const Definition &form :
             {make(family, one), translated(make(family, one))})
          if (seen.insert(form.value).second)
            it->second.push_back(form);
  }
  return it->second;
}

Definition Definitions::in(const Family &family, StringRef field) const {
  return make(family, family.findField(field));
}

/// The name in a text by another, where it stands alone.
static std::string withName(StringRef text, StringRef from, StringRef to) {
  auto isPart = [](char c) { return llvm::isAlnum(c) || c == '_' || c == '.'; };
  std::string result;
  while (!text.empty()) {
    StringRef gap = text.take_until(isPart);
    text = text.drop_front(gap.size());
    StringRef name = text.take_while(isPart);
    text = text.drop_front(name.size());
    result += gap;
    result += name == from ? to : name;
  }
  return result;
}

/// With the key that the configuration has for a key of the same meaning.
Definition Definitions::translated(Definition definition) const {
  for (const std::string &key : definition.keys)
    for (const std::vector<StringRef> &names : keySynonyms()) {
      if (!llvm::is_contained(names, key))
        continue;
      for (StringRef name : names)
        if (config.hasKey(name)) {
          definition.value =
              withoutDefaults(withName(definition.value, key, name), config);
          definition.present += 1;
          return definition;
        }
    }
  return definition;
}

std::optional<Definition> Definitions::best(StringRef field) {
  const Definition *best = nullptr;
  auto share = [](const Definition &one) {
    return one.keys.empty() ? 0.0
                            : double(one.present) / double(one.keys.size());
  };
  for (const Definition &one : of(field))
    if (!best || share(one) > share(*best))
      best = &one;
  if (!best)
    return std::nullopt;
  if (best->present > 0)
    return *best;
  for (const Definition &one : of(field))
    if (Definition other = translated(one); other.present > 0)
      return other;
  return *best;
}

Definition Definitions::bestFor(const Family &family, StringRef field) {
  Definition own = in(family, field);
  // Without keys it follows from other fields.
  if (own.present > 0 || own.keys.empty())
    return own;
  std::optional<Definition> other = best(field);
  return other && other->present > 0 ? *other : translated(std::move(own));
}

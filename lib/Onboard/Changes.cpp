//===- Changes.cpp - What may be changed of a family ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Changes.h"

#include "lib/Import/Evaluator.h"
#include "lib/Import/Reach.h"
#include "lib/Onboard/Survey.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::onboard;
using namespace mlir;
using import::Family;
using import::Reach;
using import::SpecValue;
using nlohmann::json;

void Change::apply(Draft &draft) const {
  for (const auto &[family, block] : uses) {
    llvm::erase_if(draft.uses,
                   [&](const auto &use) { return use.second == block; });
    draft.uses.emplace_back(family, block);
  }
  for (const auto &[field, value] : fields) {
    llvm::erase_if(draft.fields,
                   [&](const auto &known) { return known.first == field; });
    draft.fields.emplace_back(field, value);
  }
  llvm::append_range(draft.ignores, ignores);
}

static StringRef textOf(const spec::Node &node) {
  spec::SourceRange range = node.getRange();
  return StringRef(range.Start.getPointer(),
                   range.End.getPointer() - range.Start.getPointer())
      .trim();
}

/// 'kind[layer]' for a per-layer field.
static std::string headOf(const spec::FieldDecl *field) {
  std::string head = field->name.name.str();
  return field->index ? head + "[" + field->index->name.str() + "]" : head;
}

/// The text of a value of a field in another family.
static std::string valueText(const spec::FieldDecl *field) {
  return textOf(*field->value).str();
}

//===----------------------------------------------------------------------===//
// Blocks of other families
//===----------------------------------------------------------------------===//

/// Whether a text calls a block by its bare name.
static bool calls(StringRef text, StringRef block) {
  std::string call = (block + "(").str();
  for (size_t at = text.find(call); at != StringRef::npos;
       at = text.find(call, at + 1)) {
    char before = at == 0 ? ' ' : text[at - 1];
    if (!llvm::isAlnum(before) && before != '_' && before != '.')
      return true;
  }
  return false;
}

namespace {
class BlockChanges {
public:
  BlockChanges(const import::SpecLibrary &library, const Draft &draft)
      : library(library), own(library, library.findFamily(draft.name)),
        draft(draft) {}

  void collect(std::vector<Change> &changes, Effort effort) {
    for (const spec::FamilyDecl *decl : library.getFamilies()) {
      bool isOther = decl->serves && decl->name.name != draft.name;
      if (!isOther)
        continue;
      Family other(library, decl);
      std::vector<Change> single;
      for (const spec::BlockDecl *block : decl->blocks)
        if (!block->isEntry)
          add(other, block->name.name, single);
      if (effort == Effort::Blocks)
        llvm::append_range(changes, single);
      else
        for (size_t i = 0; i < single.size(); ++i)
          for (size_t k = i + 1; k < single.size(); ++k)
            changes.push_back(both(single[i], single[k]));
    }
  }

private:
  static Change both(const Change &a, const Change &b) {
    Change change = a;
    for (const auto &use : b.uses)
      if (!llvm::is_contained(change.uses, use))
        change.uses.push_back(use);
    for (const auto &field : b.fields)
      if (!llvm::is_contained(change.fields, field))
        change.fields.push_back(field);
    change.says += ", " + b.says;
    return change;
  }

  void add(const Family &other, StringRef name, std::vector<Change> &changes) {
    import::FoundBlock there = other.findBlock(name),
                       here = own.findBlock(name);
    // A block that nothing here calls changes nothing.
    if (!here || there.decl == here.decl)
      return;
    Change change;
    StringRef family = other.getName();
    change.says = ("block '" + name + "' of " + family).str();
    change.uses.emplace_back(family.str(), name.str());
    Reach reach(other);
    reach.walkBody(there.decl->body);
    // Blocks that it calls and this family does not have come with it.
    std::vector<std::string> pending{name.str()};
    while (!pending.empty()) {
      std::string at = std::move(pending.back());
      pending.pop_back();
      import::FoundBlock block = other.findBlock(at);
      for (const std::string &callee : other.blockNames())
        if (!own.findBlock(callee) && calls(textOf(*block.decl), callee) &&
            !llvm::is_contained(change.uses, std::pair(family.str(), callee))) {
          change.uses.emplace_back(family.str(), callee);
          pending.push_back(callee);
        }
    }
    std::set<std::string> added;
    for (const std::string &field : other.fieldNames())
      if (reach.mentionsField(field) && !own.findField(field) &&
          added.insert(field).second) {
        const spec::FieldDecl *decl = other.findField(field);
        change.fields.emplace_back(headOf(decl), valueText(decl));
      }
    changes.push_back(std::move(change));
  }

  const import::SpecLibrary &library;
  Family own;
  const Draft &draft;
};
} // namespace

//===----------------------------------------------------------------------===//
// Fields
//===----------------------------------------------------------------------===//

/// Whether two keys may be two names of one thing: the words of one are among
/// those of the other.
static bool sameWords(StringRef a, StringRef b) {
  if (a == b)
    return false;
  for (const std::vector<StringRef> &names : keySynonyms())
    if (llvm::is_contained(names, a) && llvm::is_contained(names, b))
      return true;
  llvm::SmallVector<StringRef> first, second;
  a.split(first, '_');
  b.split(second, '_');
  if (first.size() > second.size())
    std::swap(first, second);
  return first.size() > 1 && llvm::all_of(first, [&](StringRef word) {
           return llvm::is_contained(second, word);
         });
}

namespace {
class FieldChanges {
public:
  FieldChanges(const import::SpecLibrary &library, const import::Config &config,
               const Draft &draft, const Fitting &fitting)
      : library(library), config(config),
        family(library, library.findFamily(draft.name)), reach(family),
        fitting(fitting) {
    reach.walkFamily();
    for (const std::string &key : fitting.probe.unreadKeys)
      if (!StringRef(key).contains('.'))
        unread.insert(key);
  }

  void collect(std::vector<Change> &changes) {
    import::ImportOptions options{Float32Type::get(library.getContext())};
    import::Evaluator evaluator(family, &config, config.record(), nullptr,
                                ModuleOp(), options);
    std::set<std::string> seen;
    for (const std::string &name : family.fieldNames()) {
      if (!reach.mentionsField(name) || !seen.insert(name).second)
        continue;
      const spec::FieldDecl *field = family.findField(name);
      std::optional<int64_t> layer;
      if (field->index)
        layer = 0;
      FailureOr<SpecValue> value =
          evaluator.fieldOf(evaluator.getRoot(), name, layer, field->getLoc());
      addFor(field, succeeded(value) ? &*value : nullptr, changes);
    }
  }

private:
  void add(const spec::FieldDecl *field, const std::string &value,
           std::vector<Change> &changes) {
    if (value == valueText(field))
      return;
    Change change;
    change.fields.emplace_back(headOf(field), value);
    change.says = "field '" + field->name.name.str() + "' = " + value;
    changes.push_back(std::move(change));
  }

  void addFor(const spec::FieldDecl *field, const SpecValue *value,
              std::vector<Change> &changes) {
    Reach keys(family);
    keys.walkValue(field);
    bool isThere = llvm::any_of(keys.getKeys(), [&](const std::string &key) {
      return config.hasKey(key);
    });
    bool isBool = value && value->is(SpecValue::Kind::Bool);
    bool isNumber = value && value->isNumber();
    bool isString = value && value->is(SpecValue::Kind::String);
    // Whether shapes can tell one number from another.
    bool tells = !fitting.misshapen.empty() || !fitting.missing.empty();
    for (const auto &[key, json] : config.json().items()) {
      bool isUnread = unread.count(key);
      bool isNear = llvm::any_of(
          keys.getKeys(), [&, k = StringRef(key)](const std::string &own) {
            return sameWords(k, own);
          });
      bool fits = (json.is_boolean() && (isBool || !value)) ||
                  (json.is_number() && (isNumber || !value)) ||
                  (json.is_string() && (isString || !value));
      isNear |= key == field->name.name;
      // A key that another field reads says something else, unless nothing says
      // what this one means. Any unread key would make a draft shorter.
      if (fits && ((isUnread && isNear) ||
                   (!isThere && (isNear || (json.is_number() && tells)))))
        add(field, key, changes);
    }
    if (isBool)
      add(field, value->boolean ? "false" : "true", changes);
    // What its own text or the text of others compares it with.
    if (isString || !value)
      for (const std::string &word : wordsNear(field->name.name))
        add(field, "\"" + word + "\"", changes);
  }

  /// The strings in the texts of the family that stand in a line with a name.
  std::set<std::string> wordsNear(StringRef name) {
    std::set<std::string> words;
    for (const spec::FamilyDecl *decl : family.getChain()) {
      StringRef text = textOf(*decl);
      for (StringRef item : {"match " + name.str(), name.str() + " =="})
        for (size_t at = text.find(item); at != StringRef::npos;
             at = text.find(item, at + 1)) {
          constexpr size_t most = 400;
          StringRef rest = text.substr(at, most);
          rest = rest.take_front(rest.find('}'));
          while (rest.contains('"')) {
            auto [word, behind] = rest.split('"').second.split('"');
            words.insert(word.str());
            rest = behind;
          }
        }
    }
    return words;
  }

  const import::SpecLibrary &library;
  const import::Config &config;
  Family family;
  Reach reach;
  const Fitting &fitting;
  std::set<std::string> unread;
};
} // namespace

std::vector<Change> onboard::changesFor(const import::SpecLibrary &library,
                                        const import::Config &config,
                                        const Draft &draft,
                                        const Fitting &fitting, Effort effort) {
  ScopedDiagnosticHandler silence(library.getContext(),
                                  [](Diagnostic &) { return success(); });
  std::vector<Change> changes;
  if (effort != Effort::Fields) {
    if (!fitting.missing.empty() || !fitting.unused.empty() ||
        !fitting.misshapen.empty())
      BlockChanges(library, draft).collect(changes, effort);
    return changes;
  }
  FieldChanges(library, config, draft, fitting).collect(changes);
  // Keys that something else than a field refuses, such as rotary scaling.
  for (StringRef problem : fitting.probe.problems) {
    auto [key, behind] = problem.split("key '").second.split('\'');
    if (!behind.starts_with(" is not read by"))
      continue;
    Change change;
    change.ignores.push_back(key.str());
    change.says = ("key '" + key + "' ignored").str();
    changes.push_back(std::move(change));
  }
  return changes;
}

KeyReaders onboard::readersOf(const import::SpecLibrary &library, StringRef key,
                              StringRef except) {
  KeyReaders readers;
  for (const spec::FamilyDecl *decl : library.getFamilies()) {
    if (!decl->serves || decl->name.name == except)
      continue;
    Family family(library, decl);
    Reach reach(family);
    reach.walkFamily();
    bool ignores = llvm::any_of(family.getChain(), [&](auto *one) {
      return one->config &&
             llvm::any_of(one->config->ignores, [&](auto *ignore) {
               return llvm::any_of(ignore->keys, [&](const auto &known) {
                 return known.name == key;
               });
             });
    });
    if (reach.mentionsKey(key))
      readers.reads.push_back(decl->name.name.str());
    else if (ignores)
      readers.ignores.push_back(decl->name.name.str());
  }
  return readers;
}

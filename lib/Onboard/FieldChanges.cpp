//===- FieldChanges.cpp - Fields that a draft may read --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Onboard/Changes.h"

#include "lib/Import/Evaluator.h"
#include "lib/Import/Reach.h"
#include "lib/Onboard/Definitions.h"
#include "lib/Onboard/Survey.h"
#include "lib/Onboard/Words.h"

using namespace clade;
using namespace clade::onboard;
using namespace mlir;
using import::Family;
using import::Reach;
using import::SpecValue;
using nlohmann::json;

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

/// The text of a value of a field.
static std::string valueText(const spec::FieldDecl *field) {
  return textOf(*field->value).str();
}

namespace {
class FieldChanges {
public:
  FieldChanges(const import::SpecLibrary &library, const import::Config &config,
               const Draft &draft, const Fitting &fitting)
      : library(library), config(config),
        family(library, library.findFamily(draft.name)), reach(family),
        fitting(fitting), definitions(library, config, draft.name) {
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
           std::vector<Change> &changes, bool isGuess = false) {
    if (value == valueText(field))
      return;
    Change change;
    if (isGuess)
      change.guesses.push_back(headOf(field));
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
        add(field, key, changes, /*isGuess=*/!isNear);
    }
    // As other families read it.
    for (const Definition &definition : definitions.of(field->name.name)) {
      bool readsMore =
          llvm::any_of(definition.keys, [&](const std::string &key) {
            return unread.count(key) > 0;
          });
      if (definition.head == headOf(field) &&
          (readsMore || (!isThere && definition.present > 0)))
        add(field, definition.value, changes);
    }
    if (isBool)
      add(field, value->boolean ? "false" : "true", changes);
    if (isString)
      addQuestion(field, value->text, keys, changes);
    // A second kind of positions: the file has one for each that it learned.
    if (fitting.hasTwoPositions && isOfPositions(*field))
      add(field, "none", changes);
    // What its own text or the text of others compares it with.
    if (isString || !value)
      for (const std::string &word : wordsNear(field->name.name))
        add(field, "\"" + word + "\"", changes);
  }

  /// A value that no block takes, such as an activation of the model's own, is
  /// open, and all behind it is built with another.
  void addQuestion(const spec::FieldDecl *field, const std::string &value,
                   const Reach &keys, std::vector<Change> &changes) {
    bool isRefused =
        llvm::any_of(fitting.probe.problems, [&](const std::string &problem) {
          return StringRef(problem).contains("got the string \"" + value +
                                             "\"");
        });
    auto key = llvm::find_if(keys.getKeys(), [&](const std::string &name) {
      auto it = config.json().find(name);
      return it != config.json().end() && it->is_string() && *it == value;
    });
    if (!isRefused || key == keys.getKeys().end())
      return;
    // As it is without the key.
    std::string own = valueText(field);
    StringRef fallback = StringRef(own).rsplit(" ?? ").second;
    if (!fallback.starts_with("\"") || !fallback.ends_with("\""))
      return;
    Change change;
    change.fields.emplace_back(headOf(field), "if " + *key + " == \"" + value +
                                                  "\" { " + fallback.str() +
                                                  " } else { " + *key + " }");
    change.questions.push_back("todo(\"no block takes '" + *key + "' = '" +
                               value + "'\", " + *key + " == \"" + value +
                               "\")");
    change.says = "field '" + field->name.name.str() + "' is open";
    changes.push_back(std::move(change));
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
  Definitions definitions;
  std::set<std::string> unread;
};
} // namespace

std::vector<Change> onboard::fieldChanges(const import::SpecLibrary &library,
                                          const import::Config &config,
                                          const Draft &draft,
                                          const Fitting &fitting) {
  std::vector<Change> changes;
  FieldChanges(library, config, draft, fitting).collect(changes);
  return changes;
}

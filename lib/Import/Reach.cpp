//===- Reach.cpp - What a family's computation mentions -------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Reach.h"

#include "mlir/IR/Diagnostics.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;
using llvm::cast;
using llvm::dyn_cast;

void Reach::addField(StringRef name) {
  const spec::FieldDecl *decl = family.findField(name);
  if (decl && fields.insert(name.str()).second)
    pendingFields.push_back(decl);
}

void Reach::walkName(StringRef name, bool inConfig, StringRef ownField) {
  names.insert(name.str());
  if (name != ownField && family.findField(name))
    addField(name);
  else if (inConfig)
    addKey(name);
  else if (name == "layer")
    layerNumber = true;
}

/// A key that is read as a whole, whatever it holds; the objects around it are
/// mentioned.
void Reach::addKey(StringRef key) {
  wholeKeys.insert(key.str());
  for (size_t end = key.size(); end != StringRef::npos;
       end = key.take_front(end).rfind('.'))
    keys.insert(key.take_front(end).str());
}

void Reach::addBlock(const spec::BlockDecl *block) {
  if (block && blocks.insert(block).second)
    pendingBlocks.push_back(block);
}

void Reach::walkPending() {
  while (!pendingFields.empty() || !pendingBlocks.empty()) {
    if (!pendingFields.empty()) {
      const spec::FieldDecl *field = pendingFields.back();
      pendingFields.pop_back();
      walk(field->value, /*inConfig=*/true, field->name.name);
      continue;
    }
    const spec::BlockDecl *block = pendingBlocks.back();
    pendingBlocks.pop_back();
    for (const spec::Param &param : block->params)
      if (param.defaultValue)
        walk(param.defaultValue, /*inConfig=*/false, "");
    if (block->at)
      walk(block->at, /*inConfig=*/false);
    walk(block->body, /*inConfig=*/false, "");
  }
}

/// 'config.text_config' and 'rope_parameters.factor' are dotted keys.
void Reach::walkAttr(const spec::AttrExpr *attr, bool inConfig,
                     StringRef ownField) {
  std::string dotted = attr->name.name.str();
  const spec::Expr *base = attr->base;
  while (auto *inner = dyn_cast<spec::AttrExpr>(base)) {
    dotted = (inner->name.name + "." + dotted).str();
    base = inner->base;
  }
  auto *root = dyn_cast<spec::NameExpr>(base);
  if (root && inConfig &&
      (root->name == ownField || !family.findField(root->name))) {
    addKey(root->name == "config" ? dotted : (root->name + "." + dotted).str());
    return;
  }
  if (root && family.findField(root->name))
    fieldKeys.insert(dotted);
  walk(base, inConfig, ownField);
}

void Reach::walkCall(const spec::CallExpr *call, bool inConfig,
                     StringRef ownField) {
  if (auto *name = dyn_cast<spec::NameExpr>(call->callee)) {
    called.insert(name->name.str());
    if (name->name == "todo")
      openQuestions.push_back(call);
    if (!inConfig)
      addBlock(family.findBlock(name->name).decl);
    bool givesRecord = llvm::any_of(call->args, [](const spec::Arg &arg) {
      return !arg.name || arg.name->name == "record";
    });
    if (name->name == "rope_table" && !givesRecord)
      for (StringRef key :
           {"rope_parameters", "rope_theta", "rope_scaling",
            "partial_rotary_factor", "original_max_position_embeddings"})
        addKey(key);
  } else if (auto *qualified = dyn_cast<spec::AttrExpr>(call->callee)) {
    auto *owner = dyn_cast<spec::NameExpr>(qualified->base);
    bool isPart = owner && llvm::any_of(family.getChain(), [&](auto *decl) {
                    return decl->findPart(owner->name) != nullptr;
                  });
    if (owner && !isPart)
      addBlock(
          family.findQualifiedBlock(owner->name, qualified->name.name).decl);
  }
  walkArgs(call->args, inConfig, ownField);
}

void Reach::walkArgs(ArrayRef<spec::Arg> args, bool inConfig,
                     StringRef ownField) {
  for (const spec::Arg &arg : args) {
    walk(arg.value, inConfig, ownField);
    if (arg.where)
      walk(arg.where, inConfig, ownField);
  }
}

void Reach::walk(const spec::Path *path, bool inConfig) {
  for (const spec::PathSegment &segment : path->segments)
    for (const spec::PathPart &part : segment) {
      if (part.isText())
        continue;
      bool savedNumber = layerNumber;
      for (const spec::Expr *expr : part.placeholder.exprs)
        walk(expr, inConfig, "");
      if (part.placeholder.where)
        walk(part.placeholder.where, inConfig, "");
      layerNumber = savedNumber;
    }
}

void Reach::walk(const spec::Body *body, bool inConfig, StringRef ownField) {
  for (const spec::Stmt *stmt : body->stmts)
    walk(stmt, inConfig, ownField);
}

void Reach::walk(const spec::Stmt *stmt, bool inConfig, StringRef ownField) {
  if (auto *assign = dyn_cast<spec::AssignStmt>(stmt)) {
    for (const spec::LValue &target : assign->targets)
      if (target.index)
        walkArgs(*target.index, inConfig, ownField);
    walk(assign->value, inConfig, ownField);
  } else if (auto *ret = dyn_cast<spec::ReturnStmt>(stmt)) {
    walk(ret->value, inConfig, ownField);
  } else if (auto *emit = dyn_cast<spec::EmitStmt>(stmt)) {
    walk(emit->value, inConfig, ownField);
  } else {
    walk(cast<spec::ExprStmt>(stmt)->value, inConfig, ownField);
  }
}

void Reach::walk(const spec::Expr *expr, bool inConfig, StringRef ownField) {
  using Kind = spec::Expr::Kind;
  auto visit = [&](const spec::Expr *child) {
    if (child)
      walk(child, inConfig, ownField);
  };
  switch (expr->getKind()) {
  case Kind::Number:
  case Kind::String:
    return;
  case Kind::Name:
    return walkName(cast<spec::NameExpr>(expr)->name, inConfig, ownField);
  case Kind::Key:
    return addKey(cast<spec::KeyExpr>(expr)->name);
  case Kind::List:
    return walkArgs(cast<spec::ListExpr>(expr)->args, inConfig, ownField);
  case Kind::Tuple:
    llvm::for_each(cast<spec::TupleExpr>(expr)->elements, visit);
    return;
  case Kind::Paren:
    return visit(cast<spec::ParenExpr>(expr)->inner);
  case Kind::Call:
    return walkCall(cast<spec::CallExpr>(expr), inConfig, ownField);
  case Kind::Index:
    visit(cast<spec::IndexExpr>(expr)->base);
    return walkArgs(cast<spec::IndexExpr>(expr)->args, inConfig, ownField);
  case Kind::Attr:
    return walkAttr(cast<spec::AttrExpr>(expr), inConfig, ownField);
  case Kind::At:
    walk(cast<spec::AtExpr>(expr)->path, inConfig);
    return visit(cast<spec::AtExpr>(expr)->base);
  case Kind::As:
    visit(cast<spec::AsExpr>(expr)->base);
    return visit(cast<spec::AsExpr>(expr)->shape);
  case Kind::FromLayer:
    visit(cast<spec::FromLayerExpr>(expr)->base);
    return visit(cast<spec::FromLayerExpr>(expr)->layer);
  case Kind::Lambda:
    visit(cast<spec::LambdaExpr>(expr)->call);
    return visit(cast<spec::LambdaExpr>(expr)->body);
  case Kind::Binary:
    visit(cast<spec::BinaryExpr>(expr)->lhs);
    return visit(cast<spec::BinaryExpr>(expr)->rhs);
  case Kind::Unary:
    return visit(cast<spec::UnaryExpr>(expr)->operand);
  case Kind::Default:
    visit(cast<spec::DefaultExpr>(expr)->value);
    return visit(cast<spec::DefaultExpr>(expr)->fallback);
  case Kind::Range:
    visit(cast<spec::RangeExpr>(expr)->begin);
    return visit(cast<spec::RangeExpr>(expr)->end);
  case Kind::If: {
    auto *branch = cast<spec::IfExpr>(expr);
    visit(branch->condition);
    walk(branch->thenBody, inConfig, ownField);
    if (branch->elseBody)
      walk(branch->elseBody, inConfig, ownField);
    return;
  }
  case Kind::Match:
    visit(cast<spec::MatchExpr>(expr)->subject);
    for (const spec::MatchCase &matchCase :
         cast<spec::MatchExpr>(expr)->cases) {
      visit(matchCase.pattern);
      visit(matchCase.value);
    }
    return;
  case Kind::For: {
    auto *loop = cast<spec::ForExpr>(expr);
    visit(loop->range);
    if (loop->at)
      walk(loop->at, inConfig);
    return walk(loop->body, inConfig, ownField);
  }
  case Kind::Scan:
    called.insert("scan");
    visit(cast<spec::ScanExpr>(expr)->init);
    return walk(cast<spec::ScanExpr>(expr)->body, inConfig, ownField);
  }
}

/// Fields in the placeholders of a published name; other names there are
/// variables of the path.
void Reach::walkWeightPath(const spec::Path *path) {
  for (const spec::PathSegment &segment : path->segments)
    for (const spec::PathPart &part : segment)
      for (const spec::Expr *expr : part.placeholder.exprs)
        if (auto *name = dyn_cast<spec::NameExpr>(expr))
          addField(name->name);
}

void Reach::walkWeight(const spec::WeightExpr *expr) {
  if (auto *call = dyn_cast<spec::WeightCall>(expr)) {
    for (auto [index, argument] : llvm::enumerate(call->args)) {
      walkWeight(argument);
      // rope_unpermute(w, q_heads): behind the first, a lone name is a number.
      auto *ref = dyn_cast<spec::WeightRef>(argument);
      if (index > 0 && ref && ref->path->segments.size() == 1 &&
          ref->path->segments[0].size() == 1 &&
          ref->path->segments[0][0].isText())
        addField(ref->path->segments[0][0].text);
    }
  } else if (auto *ref = dyn_cast<spec::WeightRef>(expr)) {
    walkWeightPath(ref->path);
  }
}

void Reach::walkItems(ArrayRef<const spec::WeightItem *> items) {
  for (const spec::WeightItem *item : items) {
    if (auto *equation = dyn_cast<spec::WeightEquation>(item)) {
      for (const spec::WeightExpr *alternative : equation->alternatives)
        walkWeight(alternative);
      if (equation->condition)
        walk(equation->condition, /*inConfig=*/true, "");
    } else if (auto *drop = dyn_cast<spec::WeightDrop>(item)) {
      for (const spec::Path *path : drop->paths)
        walk(path, /*inConfig=*/true);
      if (drop->condition)
        walk(drop->condition, /*inConfig=*/true, "");
    } else {
      auto *loop = cast<spec::WeightFor>(item);
      for (const spec::WeightBinding &binding : loop->bindings)
        walk(binding.range, /*inConfig=*/true, "");
      walkItems(loop->items);
    }
  }
}

void Reach::walkFamily() {
  bool hasEntry =
      llvm::any_of(family.getChain(), [](const spec::FamilyDecl *decl) {
        return llvm::any_of(decl->blocks, [](const spec::BlockDecl *block) {
          return block->isEntry;
        });
      });
  if (!hasEntry) // A family of names only, such as 'gguf'.
    for (const std::string &field : family.fieldNames())
      addField(field);
  for (const spec::FamilyDecl *decl : family.getChain())
    for (const spec::BlockDecl *block : decl->blocks)
      if (block->isEntry)
        addBlock(family.findBlock(block->name.name).decl);
  // What tells the family from others is read as well; it is not inherited.
  if (const spec::ServesDecl *serves = family.getChain().front()->serves;
      serves && serves->condition)
    walk(serves->condition, /*inConfig=*/true, "");
  for (const spec::FamilyDecl *decl : family.getChain()) {
    // A part reads the keys of its object by itself.
    for (const spec::PartDecl *part : decl->parts)
      walk(part->config, /*inConfig=*/true, "");
    if (decl->weights)
      walkItems(decl->weights->items);
  }
  walkPending();
  for (const spec::FamilyDecl *decl : family.getChain())
    if (decl->config)
      for (const spec::RequireDecl *requirement : decl->config->requirements)
        if (concerns(requirement))
          walk(requirement->condition, /*inConfig=*/true, "");
  walkPending();
}

bool Reach::concerns(const spec::RequireDecl *requirement) const {
  Reach mentioned(family);
  mentioned.walkRequirement(requirement);
  bool anyField = false, anyReached = false;
  for (const std::string &field : mentioned.fields) {
    anyField = true;
    anyReached |= fields.count(field) > 0;
  }
  return !anyField || anyReached;
}

std::vector<std::string> Reach::layerFields() const {
  std::vector<std::string> names;
  llvm::copy_if(fields, std::back_inserter(names),
                [&](const std::string &name) {
                  return family.findField(name)->index.has_value();
                });
  return names;
}

static void collectAssigned(const spec::Expr *expr,
                            std::vector<std::string> &names);

static void collectAssigned(const spec::Body *body,
                            std::vector<std::string> &names) {
  for (const spec::Stmt *stmt : body->stmts) {
    if (auto *assign = dyn_cast<spec::AssignStmt>(stmt)) {
      for (const spec::LValue &target : assign->targets)
        if (!llvm::is_contained(names, target.name.name))
          names.push_back(target.name.name.str());
      collectAssigned(assign->value, names);
    } else if (auto *expression = dyn_cast<spec::ExprStmt>(stmt)) {
      collectAssigned(expression->value, names);
    }
  }
}

/// Bodies of 'if' and 'for' assign outward.
static void collectAssigned(const spec::Expr *expr,
                            std::vector<std::string> &names) {
  if (auto *branch = dyn_cast<spec::IfExpr>(expr)) {
    collectAssigned(branch->thenBody, names);
    if (branch->elseBody)
      collectAssigned(branch->elseBody, names);
  } else if (auto *loop = dyn_cast<spec::ForExpr>(expr)) {
    collectAssigned(loop->body, names);
  }
}

std::vector<std::string> Reach::assignedNames(const spec::Body *body) {
  std::vector<std::string> names;
  collectAssigned(body, names);
  return names;
}

//===----------------------------------------------------------------------===//
// The configuration contract
//===----------------------------------------------------------------------===//

namespace {
/// Reports what nothing reads of a configuration.
class UnreadKeys {
public:
  UnreadKeys(ArrayRef<const Family *> families, const Config &config,
             StringRef object)
      : family(*families.front()), config(config),
        prefix(object.empty() ? "" : (object + ".").str()) {
    for (const Family *reader : families) {
      readers.push_back(std::make_unique<Reach>(*reader));
      readers.back()->walkFamily();
      llvm::append_range(known, readers.back()->getKeys());
      for (const spec::FamilyDecl *decl : reader->getChain())
        if (decl->config)
          addIgnored(decl->config);
    }
    for (const spec::ConfigDecl *decl : family.getLibrary().getPreludeConfigs())
      addIgnored(decl);
  }

  /// Adds the keys of an object whose own key is `path`, with a dot behind it.
  void collect(const nlohmann::json &object, const std::string &path,
               std::vector<std::string> &unread) const {
    for (const auto &[name, value] : object.items()) {
      std::string key = path + name;
      bool isRead = llvm::any_of(
          readers, [&](const auto &reach) { return reach->readsWhole(key); });
      if (isRead || ignored.count(key))
        continue;
      // An object of which some keys are read.
      if (llvm::any_of(readers, [&](const auto &reach) {
            return reach->mentionsKey(key);
          })) {
        if (value.is_object())
          collect(value, key + ".", unread);
        continue;
      }
      unread.push_back(key);
    }
  }

  void report(const std::string &key) {
    InFlightDiagnostic diagnostic =
        emitError(config.locationOf(prefix + key))
        << "key '" << prefix << key << "' is not read by family '"
        << family.getName() << "'" << SpecLibrary::hint(key, known);
    diagnostic.attachNote(family.getChain().front()->getLoc())
        << "if it means nothing to the computation, say 'ignore " << key
        << "' in the family's config";
  }

private:
  void addIgnored(const spec::ConfigDecl *decl) {
    for (const spec::IgnoreDecl *ignore : decl->ignores)
      for (const spec::IgnoredKey &key : ignore->keys)
        ignored.insert(key.name.str());
  }

  const Family &family; ///< The outermost of those that read the object.
  const Config &config;
  std::vector<std::unique_ptr<Reach>> readers;
  std::string prefix; ///< Of the keys of the object, in messages.
  std::set<std::string> ignored;
  std::vector<std::string> known;
};
} // namespace

/// The object under a dotted key.
static const nlohmann::json &objectAt(const Config &config, StringRef object) {
  const nlohmann::json *keys = &config.json();
  for (StringRef rest = object; !rest.empty();) {
    auto [key, others] = rest.split('.');
    keys = &(*keys)[key.str()];
    rest = others;
  }
  return *keys;
}

std::vector<std::string> import::unreadKeys(ArrayRef<const Family *> families,
                                            const Config &config,
                                            StringRef object) {
  std::vector<std::string> unread;
  UnreadKeys(families, config, object)
      .collect(objectAt(config, object), "", unread);
  return unread;
}

LogicalResult import::checkAllKeysRead(ArrayRef<const Family *> families,
                                       const Config &config, StringRef object) {
  UnreadKeys keys(families, config, object);
  std::vector<std::string> unread;
  keys.collect(objectAt(config, object), "", unread);
  for (const std::string &key : unread)
    keys.report(key);
  return success(unread.empty());
}

LogicalResult import::checkNoOpenQuestions(const Family &family) {
  Reach reach(family);
  reach.walkFamily();
  std::vector<const spec::CallExpr *> questions(reach.getOpenQuestions());
  llvm::stable_sort(questions, [](auto *a, auto *b) {
    return std::less<>()(a->getRange().Start.getPointer(),
                         b->getRange().Start.getPointer());
  });
  for (const spec::CallExpr *question : questions) {
    auto *text = question->args.empty()
                     ? nullptr
                     : dyn_cast<spec::StringExpr>(question->args[0].value);
    emitError(question->getLoc())
        << "open question: "
        << (text ? text->value : StringRef("expected a string that says it"));
  }
  return success(questions.empty());
}

//===- GGUFMetadata.cpp - A configuration as GGUF metadata ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Two steps. What a family makes of its configuration, in the keys that the
// family 'gguf' knows: defaults are evaluated, the forms of rotary tables and
// of layer types become one. Then each field of 'gguf' is solved for its
// metadata. Whoever writes a file reads it back and compares, so a guess that
// is wrong here is found there.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/GGUFMetadata.h"

#include "lib/Import/Evaluator.h"
#include "lib/Import/Reach.h"
#include "lib/Import/RotaryFrequencies.h"
#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;
using nlohmann::json;

namespace {
//===----------------------------------------------------------------------===//
// What is to be said
//===----------------------------------------------------------------------===//

/// The values that a family takes from a configuration, or has by default.
class EffectiveKeys {
public:
  EffectiveKeys(SpecLibrary &library, const spec::FamilyDecl *decl,
                const Config &config)
      : family(library, decl), config(config), reach(family),
        options{Float32Type::get(library.getContext())},
        evaluator(family, &config, config.record(), nullptr, ModuleOp(),
                  options) {
    reach.walkFamily();
  }

  /// The keys of rotary tables and windows, for all layers.
  LogicalResult readLayers(json &keys);
  /// The value of a key, or its default; null if there is none. Of keys that
  /// the family does not read only numbers are told, such as the longest text.
  FailureOr<json> valueOf(StringRef key);

private:
  /// The scaling of a rotary table as such files say it.
  FailureOr<json> storedScaling(const RopeTable &table);
  FailureOr<int64_t> headSize();
  FailureOr<SpecValue> field(StringRef name, int64_t layer) {
    const spec::FieldDecl *decl = family.findField(name);
    if (!decl)
      return SpecValue::none();
    return evaluator.field(
        name, decl->index ? std::optional<int64_t>(layer) : std::nullopt,
        decl->getLoc());
  }

  Family family;
  const Config &config;
  Reach reach;
  ImportOptions options;
  Evaluator evaluator;
};
} // namespace

/// The name of the key that a field takes, with a default: 'key ?? …'.
static StringRef keyWithDefault(const spec::Expr *expr) {
  auto *dflt = dyn_cast<spec::DefaultExpr>(expr);
  if (!dflt)
    return {};
  if (auto *name = dyn_cast<spec::NameExpr>(dflt->value))
    return name->name;
  if (auto *key = dyn_cast<spec::KeyExpr>(dflt->value))
    return key->name;
  return {};
}

FailureOr<json> EffectiveKeys::valueOf(StringRef key) {
  bool isRead = reach.mentionsKey(key);
  if (auto it = config.json().find(key.str());
      it != config.json().end() && !it->is_null())
    return isRead || it->is_number() ? *it : json();
  if (!isRead)
    return json();
  for (const std::string &name : family.fieldNames()) {
    const spec::FieldDecl *decl = family.findField(name);
    if (decl->index || keyWithDefault(decl->value) != key)
      continue;
    FailureOr<SpecValue> value = field(name, 0);
    if (failed(value))
      return failure();
    return toJson(*value).value_or(json());
  }
  return json();
}

/// The record of a rotary table's scaling, without its base.
static json scalingOf(const RopeTable &table) {
  json record = *table.record;
  if (!record.is_object())
    return json();
  for (const char *key : {"rope_theta", "partial_rotary_factor"})
    record.erase(key);
  // The older form calls it 'type'.
  if (auto type = record.find("type"); type != record.end()) {
    if (!record.contains("rope_type"))
      record["rope_type"] = *type;
    record.erase("type");
  }
  if (!record.contains("rope_type") || record["rope_type"] == "default")
    return json();
  return record;
}

FailureOr<int64_t> EffectiveKeys::headSize() {
  FailureOr<json> own = valueOf("head_dim"), width = valueOf("hidden_size"),
                  heads = valueOf("num_attention_heads");
  if (failed(own) || failed(width) || failed(heads))
    return failure();
  if (own->is_number_integer())
    return own->get<int64_t>();
  if (!width->is_number_integer() || !heads->is_number_integer() || *heads == 0)
    return emitError(config.locationOf("head_dim"))
           << "the size of a head is not known";
  return width->get<int64_t>() / heads->get<int64_t>();
}

/// Such a file has no word for llama3: the numbers that it divides frequencies
/// by are a tensor, which is longrope with the same factors at all lengths.
/// What longrope scales cosines by is a number there, and none that follows
/// from others.
FailureOr<json> EffectiveKeys::storedScaling(const RopeTable &table) {
  json record = scalingOf(table);
  bool isLlama3 = record.is_object() && record["rope_type"] == "llama3";
  if (!isLlama3 && !(record.is_object() && record["rope_type"] == "longrope"))
    return record;
  FailureOr<int64_t> head = headSize();
  if (failed(head))
    return failure();
  Location loc = config.locationOf("rope_scaling");
  auto locationOf = [&](StringRef key) { return config.locationOf(key); };
  auto scaled = rotaryFrequencies(table, *head, loc, locationOf);
  if (failed(scaled))
    return failure();
  if (!isLlama3) {
    record.erase("factor");
    record["attention_factor"] = static_cast<float>(scaled->scale);
    if (scaled->originalLength)
      record["original_max_position_embeddings"] = *scaled->originalLength;
    for (const char *key : {"short_factor", "long_factor"})
      for (json &factor : record[key])
        factor = factor.get<float>();
    return record;
  }
  RopeTable unscaled = table;
  unscaled.kind = "default";
  auto plain = rotaryFrequencies(unscaled, *head, loc, locationOf);
  if (failed(plain))
    return failure();
  json factors = json::array();
  for (auto [from, to] :
       llvm::zip_equal(plain->frequencies, scaled->frequencies))
    factors.push_back(from / to);
  return json{{"rope_type", "longrope"},
              {"short_factor", factors},
              {"long_factor", factors},
              {"attention_factor", 1}};
}

static double thetaOf(const RopeTable &table) {
  auto it = table.record->find("rope_theta");
  return table.record->is_object() && it != table.record->end() &&
                 it->is_number()
             ? it->get<double>()
             : table.theta;
}

/// The period p with a full layer at every multiple of p and nowhere else, or
/// 0.
static int64_t periodOf(const std::vector<bool> &isLocal) {
  auto first = llvm::find(isLocal, false);
  int64_t period = first - isLocal.begin() + 1;
  for (auto [layer, local] : llvm::enumerate(isLocal))
    if (local == (static_cast<int64_t>(layer + 1) % period == 0))
      return 0;
  return period;
}

LogicalResult EffectiveKeys::readLayers(json &keys) {
  FailureOr<json> count = valueOf("num_hidden_layers");
  if (failed(count) || !count->is_number_integer())
    return failure();
  std::vector<bool> isLocal;
  json windowSize;
  std::shared_ptr<RopeTable> full, local;
  for (int64_t layer = 0; layer < count->get<int64_t>(); ++layer) {
    FailureOr<SpecValue> window = field("window", layer),
                         table = field("rot", layer);
    if (failed(window) || failed(table))
      return failure();
    bool isWindowed = window->is(SpecValue::Kind::Int);
    isLocal.push_back(isWindowed);
    if (isWindowed)
      windowSize = window->dim.size;
    if (table->is(SpecValue::Kind::Rope))
      (isWindowed ? local : full) = table->rope;
  }
  if (!full)
    full = local;
  if (full) {
    keys["rope_theta"] = thetaOf(*full);
    FailureOr<json> scaling = storedScaling(*full);
    if (failed(scaling))
      return failure();
    keys["rope_scaling"] = *scaling;
  }
  if (full && local && local->key() != full->key())
    keys["rope_local_base_freq"] = thetaOf(*local);
  keys["sliding_window"] = windowSize;
  bool isMixed =
      llvm::is_contained(isLocal, true) && llvm::is_contained(isLocal, false);
  if (int64_t period = isMixed ? periodOf(isLocal) : 0;
      period > 0 && reach.mentionsKey("sliding_window_pattern"))
    keys["sliding_window_pattern"] = period;
  return success();
}

//===----------------------------------------------------------------------===//
// Fields backwards
//===----------------------------------------------------------------------===//

namespace {
/// Finds metadata for which the fields of a family have given values.
class Solver {
public:
  explicit Solver(const Family &family) : family(&family) {}

  /// Makes the field `value`, unless it has another one already.
  bool solveField(StringRef name, const json &value);
  /// Makes both sides of an equality equal, if one is a metadata key.
  void solveEquality(const spec::Expr *condition);
  json takeContents() { return std::move(contents); }

private:
  bool solve(const spec::Expr *expr, const json &value, StringRef own);
  /// Solves, or leaves everything as it is.
  bool attempt(const spec::Expr *expr, const json &value, StringRef own);
  bool solveIf(const spec::IfExpr *expr, const json &value, StringRef own);
  bool solveMatch(const spec::MatchExpr *expr, const json &value,
                  StringRef own);
  bool solveRecord(const spec::CallExpr *call, const json &value,
                   StringRef own);
  bool put(const std::string &path, const json &value);
  const json *find(const std::string &path) const;
  /// The dotted metadata key that an expression means.
  std::optional<std::string> pathOf(const spec::Expr *expr, StringRef own);
  /// The value of an expression as far as metadata are known by now; null for
  /// none.
  std::optional<json> valueOf(const spec::Expr *expr, StringRef own);
  std::optional<json> valueOf(const spec::BinaryExpr *expr, StringRef own);

  const Family *family;
  json contents = json::object();
  std::map<std::string, json, std::less<>> known; ///< Fields that are solved.
};
} // namespace

static bool sameValue(const json &a, const json &b) {
  return a.is_number() && b.is_number() ? a.get<double>() == b.get<double>()
                                        : a == b;
}

static std::vector<std::string> partsOf(const std::string &path) {
  SmallVector<StringRef> parts;
  StringRef(path).split(parts, '.');
  return {parts.begin(), parts.end()};
}

bool Solver::put(const std::string &path, const json &value) {
  json *at = &contents;
  for (const std::string &part : partsOf(path)) {
    if (!at->is_null() && !at->is_object())
      return false;
    at = &(*at)[part];
  }
  if (!at->is_null())
    return sameValue(*at, value);
  *at = value;
  return true;
}

const json *Solver::find(const std::string &path) const {
  const json *at = &contents;
  for (const std::string &part : partsOf(path)) {
    if (!at->is_object() || !at->contains(part))
      return nullptr;
    at = &(*at)[part];
  }
  return at;
}

static const spec::Expr *inside(const spec::Expr *expr) {
  while (auto *paren = dyn_cast<spec::ParenExpr>(expr))
    expr = paren->inner;
  return expr;
}

/// The one expression of a branch.
static const spec::Expr *valueIn(const spec::Body *body) {
  if (!body || body->stmts.size() != 1)
    return nullptr;
  auto *stmt = dyn_cast<spec::ExprStmt>(body->stmts.front());
  return stmt ? stmt->value : nullptr;
}

std::optional<std::string> Solver::pathOf(const spec::Expr *expr,
                                          StringRef own) {
  expr = inside(expr);
  if (auto *attr = dyn_cast<spec::AttrExpr>(expr)) {
    std::optional<std::string> base = pathOf(attr->base, own);
    if (!base)
      return std::nullopt;
    return *base + "." + attr->name.name.str();
  }
  auto *name = dyn_cast<spec::NameExpr>(expr);
  if (!name)
    return std::nullopt;
  const spec::FieldDecl *decl =
      name->name == own ? nullptr : family->findField(name->name);
  if (!decl)
    return name->name.str();
  // A field that is an object: config[arch].
  auto *index = dyn_cast<spec::IndexExpr>(decl->value);
  auto *base = index ? dyn_cast<spec::NameExpr>(index->base) : nullptr;
  if (!base || base->name != "config" || index->args.size() != 1)
    return std::nullopt;
  std::optional<json> key = valueOf(index->args[0].value, "");
  if (!key || !key->is_string())
    return std::nullopt;
  return key->get<std::string>();
}

std::optional<json> Solver::valueOf(const spec::Expr *expr, StringRef own) {
  expr = inside(expr);
  if (auto *number = dyn_cast<spec::NumberExpr>(expr))
    return number->isInteger ? json(number->intValue) : json(number->value);
  if (auto *text = dyn_cast<spec::StringExpr>(expr))
    return json(text->value.str());
  if (auto *list = dyn_cast<spec::ListExpr>(expr)) {
    json values = json::array();
    for (const spec::Arg &arg : list->args) {
      std::optional<json> value = valueOf(arg.value, own);
      if (!value)
        return std::nullopt;
      values.push_back(*value);
    }
    return values;
  }
  if (auto *unary = dyn_cast<spec::UnaryExpr>(expr)) {
    std::optional<json> value = valueOf(unary->operand, own);
    if (!value)
      return std::nullopt;
    if (unary->op == spec::UnaryOp::Not)
      return value->is_boolean() ? std::optional<json>(!value->get<bool>())
                                 : std::nullopt;
    return value->is_number() ? std::optional<json>(-value->get<double>())
                              : std::nullopt;
  }
  if (auto *binary = dyn_cast<spec::BinaryExpr>(expr))
    return valueOf(binary, own);
  if (auto *dflt = dyn_cast<spec::DefaultExpr>(expr)) {
    std::optional<json> value = valueOf(dflt->value, own);
    return value && !value->is_null() ? value : valueOf(dflt->fallback, own);
  }
  if (auto *name = dyn_cast<spec::NameExpr>(expr)) {
    if (name->name == "none")
      return json();
    if (name->name == "true" || name->name == "false")
      return json(name->name == "true");
    if (auto it = known.find(name->name); it != known.end())
      return it->second;
    const spec::FieldDecl *decl =
        name->name == own ? nullptr : family->findField(name->name);
    if (decl && !isa<spec::IndexExpr>(decl->value))
      return valueOf(decl->value, name->name);
  }
  std::optional<std::string> path = pathOf(expr, own);
  const json *found = path ? find(*path) : nullptr;
  return found ? std::optional<json>(*found) : std::nullopt;
}

std::optional<json> Solver::valueOf(const spec::BinaryExpr *expr,
                                    StringRef own) {
  std::optional<json> lhs = valueOf(expr->lhs, own);
  auto isBool = [](const std::optional<json> &v, bool value) {
    return v && v->is_boolean() && v->get<bool>() == value;
  };
  if (expr->op == spec::BinaryOp::And || expr->op == spec::BinaryOp::Or) {
    bool decides = expr->op == spec::BinaryOp::Or;
    std::optional<json> rhs = valueOf(expr->rhs, own);
    if (isBool(lhs, decides) || isBool(rhs, decides))
      return json(decides);
    return lhs && rhs ? std::optional<json>(!decides) : std::nullopt;
  }
  std::optional<json> rhs = valueOf(expr->rhs, own);
  if (!lhs || !rhs)
    return std::nullopt;
  switch (expr->op) {
  case spec::BinaryOp::Equal:
    return json(sameValue(*lhs, *rhs));
  case spec::BinaryOp::NotEqual:
    return json(!sameValue(*lhs, *rhs));
  case spec::BinaryOp::In:
    return rhs->is_array() ? std::optional<json>(llvm::is_contained(*rhs, *lhs))
                           : std::nullopt;
  case spec::BinaryOp::Div:
    // Sizes stay integers, as which they are written.
    if (lhs->is_number_integer() && rhs->is_number_integer() && *rhs != 0 &&
        lhs->get<int64_t>() % rhs->get<int64_t>() == 0)
      return json(lhs->get<int64_t>() / rhs->get<int64_t>());
    if (lhs->is_number() && rhs->is_number() && rhs->get<double>() != 0)
      return json(lhs->get<double>() / rhs->get<double>());
    return std::nullopt;
  default:
    return std::nullopt;
  }
}

bool Solver::solveField(StringRef name, const json &value) {
  if (value.is_null())
    return true;
  const spec::FieldDecl *decl = family->findField(name);
  if (!decl)
    return false;
  auto [it, isNew] = known.try_emplace(name.str(), value);
  return isNew ? solve(decl->value, value, name) : sameValue(it->second, value);
}

bool Solver::solve(const spec::Expr *expr, const json &value, StringRef own) {
  expr = inside(expr);
  if (value.is_null())
    return true;
  if (auto *dflt = dyn_cast<spec::DefaultExpr>(expr))
    return solve(dflt->value, value, own);
  if (auto *conditional = dyn_cast<spec::IfExpr>(expr))
    return solveIf(conditional, value, own);
  if (auto *match = dyn_cast<spec::MatchExpr>(expr))
    return solveMatch(match, value, own);
  if (auto *call = dyn_cast<spec::CallExpr>(expr))
    return solveRecord(call, value, own);
  // A condition on tensors: those follow from what is written.
  if (isa<spec::UnaryExpr>(expr) && value.is_boolean())
    return true;
  if (auto *name = dyn_cast<spec::NameExpr>(expr);
      name && name->name != own && family->findField(name->name))
    return solveField(name->name, value);
  if (std::optional<json> same = valueOf(expr, own))
    return sameValue(*same, value);
  std::optional<std::string> path = pathOf(expr, own);
  return path && put(*path, value);
}

bool Solver::attempt(const spec::Expr *expr, const json &value, StringRef own) {
  json contentsBefore = contents;
  auto knownBefore = known;
  if (expr && solve(expr, value, own))
    return true;
  contents = std::move(contentsBefore);
  known = std::move(knownBefore);
  return false;
}

bool Solver::solveIf(const spec::IfExpr *expr, const json &value,
                     StringRef own) {
  const spec::Expr *first = valueIn(expr->thenBody),
                   *second = valueIn(expr->elseBody);
  // The condition may depend on metadata that this very value decides.
  std::optional<json> holds = valueOf(expr->condition, own);
  if (holds && *holds == json(false))
    std::swap(first, second);
  // A switch that is not said is off.
  return attempt(first, value, own) || attempt(second, value, own) ||
         value == json(false);
}

bool Solver::solveMatch(const spec::MatchExpr *expr, const json &value,
                        StringRef own) {
  for (const spec::MatchCase &option : expr->cases) {
    std::optional<json> pattern = valueOf(option.pattern, own);
    if (!pattern)
      continue;
    json contentsBefore = contents;
    auto knownBefore = known;
    if (solve(option.value, value, own) && solve(expr->subject, *pattern, own))
      return true;
    contents = std::move(contentsBefore);
    known = std::move(knownBefore);
  }
  return false;
}

bool Solver::solveRecord(const spec::CallExpr *call, const json &value,
                         StringRef own) {
  auto *callee = dyn_cast<spec::NameExpr>(call->callee);
  if (!callee || callee->name != "record" || !value.is_object())
    return false;
  size_t said = 0, members = 0;
  for (const auto &[key, member] : value.items())
    members += !member.is_null();
  for (const spec::Arg &arg : call->args) {
    if (!arg.name)
      return false;
    auto it = value.find(arg.name->name.str());
    bool isThere = it != value.end() && !it->is_null();
    bool isLiteral = isa<spec::StringExpr, spec::NumberExpr>(inside(arg.value));
    if (!isThere && isLiteral)
      return false;
    if (isThere && !solve(arg.value, *it, own))
      return false;
    said += isThere;
  }
  return said == members;
}

void Solver::solveEquality(const spec::Expr *condition) {
  auto *equal = dyn_cast<spec::BinaryExpr>(inside(condition));
  if (!equal || equal->op != spec::BinaryOp::Equal ||
      !isa<spec::AttrExpr>(inside(equal->lhs)) ||
      !isa<spec::NameExpr>(inside(equal->rhs)))
    return;
  std::optional<json> value = valueOf(equal->rhs, "");
  if (value && !value->is_null())
    solve(equal->lhs, *value, "");
}

//===----------------------------------------------------------------------===//
// Both
//===----------------------------------------------------------------------===//

/// The architecture, or another one that the family serves alike.
static LogicalResult solveArchitecture(Solver &solver,
                                       const spec::FamilyDecl *decl,
                                       const Config &config) {
  std::vector<json> names = {config.json().value("architectures", json())};
  if (decl->serves)
    for (const spec::Identifier &name : decl->serves->names)
      names.push_back(json::array({name.name.str()}));
  for (const json &architectures : names) {
    Solver tried = solver;
    if (!architectures.is_null() &&
        tried.solveField("architectures", architectures)) {
      solver = std::move(tried);
      return success();
    }
  }
  return emitError(config.locationOf("architectures"))
         << "family 'gguf' has no name for 'architectures' = "
         << names.front().dump();
}

/// Why a scaling of rotary positions has no place there, if that is its type.
static std::string reasonOf(const json &value) {
  // llama.cpp's names of types (LLAMA_ROPE_SCALING_TYPES).
  static const StringRef known[] = {"none", "linear", "yarn", "longrope"};
  if (!value.is_object() || !value.contains("rope_type") ||
      !value["rope_type"].is_string() ||
      llvm::is_contained(known, value["rope_type"].get<std::string>()))
    return "";
  return ", whose rope.scaling.type is one of " +
         llvm::join(ArrayRef(known), ", ");
}

FailureOr<json> import::ggufMetadata(SpecLibrary &library,
                                     const spec::FamilyDecl *decl,
                                     const Config &config) {
  const spec::FamilyDecl *gguf = library.findFamily("gguf");
  if (!gguf || !gguf->config)
    return emitError(UnknownLoc::get(library.getContext()))
           << "expected a family 'gguf' that names the contents of GGUF files";
  EffectiveKeys effective(library, decl, config);
  json layers = json::object();
  if (failed(effective.readLayers(layers)))
    return failure();
  Family names(library, gguf);
  Solver solver(names);
  if (failed(solveArchitecture(solver, decl, config)))
    return failure();
  std::set<std::string> ignored;
  for (const spec::IgnoreDecl *ignore : gguf->config->ignores)
    for (const spec::IgnoredKey &key : ignore->keys)
      ignored.insert(key.name.str());
  for (const spec::FieldDecl *field : gguf->config->fields) {
    std::string key = field->name.name.str();
    if (key == "architectures" || ignored.count(key))
      continue;
    FailureOr<json> value = layers.contains(key) ? FailureOr<json>(layers[key])
                                                 : effective.valueOf(key);
    if (failed(value))
      return failure();
    if (!solver.solveField(key, *value))
      return emitError(config.locationOf(key))
             << "a GGUF file cannot say '" << key << "' = " << value->dump()
             << " of family '" << decl->name.name << "'" << reasonOf(*value);
  }
  for (const spec::RequireDecl *requirement : gguf->config->requirements)
    solver.solveEquality(requirement->condition);
  json contents = solver.takeContents();
  json architecture = contents["general"]["architecture"];
  if (contents.contains("vectors") && architecture != "llama")
    return emitError(config.locationOf("rope_scaling"))
           << "a GGUF file of the architecture " << architecture.dump()
           << " has no place for the factors of rotary frequencies, which "
              "llama.cpp reads of 'llama' only";
  return contents;
}

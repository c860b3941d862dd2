//===- WeightResolver.h - From logical to published weights -----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Weight equations, read as functions: which tensors of the checkpoint a
// logical weight is made of. Names are templates in which '{layer}' stands for
// the number of the layer.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_WEIGHTRESOLVER_H
#define CLADE_IMPORT_WEIGHTRESOLVER_H

#include "dialect/WMap/WMapDialect.h"
#include "lib/Import/Family.h"
#include "lib/Import/SpecValue.h"
#include "mlir/IR/Builders.h"
#include "runtime/Formats/Checkpoint.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <map>
#include <set>

namespace clade::import {

class Evaluator;
struct FamilyInstance;

/// How one weight is made of published tensors.
struct WeightTree {
  enum class Kind {
    Source,
    Slice,
    Call,
    Number,
    Value,
    Factors, ///< Of an adapter: inputs are A and B, `number` is the scale.
    Adapted, ///< Inputs are a weight and what an adapter adds to it.
  };
  Kind kind = Kind::Source;
  std::string name;                 ///< Source: template name. Call: function.
  std::vector<int64_t> shape;       ///< Source, as published.
  rt::DType dtype = rt::DType::F32; ///< Source.
  /// Source: how many tensors of this name there are, one for each expert; 0
  /// for a single tensor.
  int64_t stack = 0;
  double number = 0;
  /// What a slice takes along an axis: the range [begin, end), the element
  /// `begin` if `end` is -1, or for each expert its own if both are.
  struct Range {
    int64_t begin, end;

    bool isExpert() const { return begin < 0; }
    bool isElement() const { return end < 0; }
  };
  std::vector<Range> ranges; ///< Slice, by axis.
  std::vector<WeightTree> inputs;
  SpecValue value; ///< Value: of the configuration, and no number.
  /// Factors: how A and B give what is added.
  struct FactorForm {
    rt::AdapterFactors::Kind kind = rt::AdapterFactors::Kind::Linear;
    int64_t experts = 0; ///< Parameter: those that the tensors hold.
    int half = -1; ///< Parameter: only the first or last half of its rows.
    /// The published map is stored [in, out].
    bool isTransposed = false;
    /// The value is that of all experts, along a first axis.
    bool isStacked = false;
  };
  FactorForm factors;
  /// Source: the bytes of a tensor that is read now; of a stack, those of each.
  std::optional<std::string> contents;

  /// Of a number or value.
  SpecValue asValue() const {
    return kind == Kind::Number ? SpecValue::of(number) : value;
  }
  /// Whether there is a value for each expert, along a first axis.
  bool isStacked() const;
  /// Source: its tensors in the layer, one for each expert of a stack.
  std::vector<std::string> tensorNames(std::optional<int64_t> layer) const;
  /// Equal texts are equal trees.
  std::string key() const;
};

/// The binding of path placeholders.
using Bindings = std::map<std::string, SpecValue, std::less<>>;

/// The adapter that a model is imported with, and what became of it.
struct AdapterUse {
  const rt::Adapter *adapter;
  /// The weights that take all of what a module adds, by the module's name, and
  /// the modules that some weight takes a part of.
  std::map<std::string, std::set<std::string>> wholes;
  std::set<std::string> parts;
  std::set<std::string> asked; ///< Names that were looked for in it.
};

/// What adapters that are loaded beside a compiled model find in it.
struct AdapterPlaces {
  int64_t count = 0; ///< Of adapters at once; 0 for none.
  int64_t rank = 0;  ///< The largest that they may have.
};

/// What adapters call a linear map of a model.
struct PublishedModule {
  /// Of the module, or of the parameter that holds the maps of all experts;
  /// with '{layer}', and with '{expert}' if each expert has a module.
  std::string name;
  /// The map is the rows from `firstRow` of so many; 0 if it is all of them.
  int64_t rows = 0, firstRow = 0;
};

/// A weight that a family asks for and a checkpoint does not have, or not so.
struct WantedWeight {
  std::string logical;             ///< With '{layer}' and '{expert}'.
  std::string name;                ///< In its layer, of the first expert.
  Shape outer, inner;              ///< As the computation takes it.
  int64_t experts = 0;             ///< Of how many experts; 0 for none.
  std::vector<int64_t> found = {}; ///< Sizes that it has in the checkpoint.
};

/// What a family lacks in a checkpoint, while it is built over it all the same.
struct WeightProbe {
  std::vector<WantedWeight> missing, misshapen;
  Shape outer, inner; ///< Of the weight that is asked for.
};

class WeightResolver {
public:
  /// `published` are the tensors of a checkpoint, sorted by name. `containers`
  /// are families whose equations come after the family's own, such as the
  /// names of a GGUF file.
  WeightResolver(const Family &family,
                 llvm::ArrayRef<rt::StoredTensor> published,
                 std::vector<const Family *> containers)
      : family(family), published(published),
        containers(std::move(containers)) {}

  /// Weights get what an adapter adds to them.
  void setAdapter(const rt::Adapter *adapter) {
    if (adapter)
      adapterUse = AdapterUse{adapter, {}, {}, {}};
  }
  /// The published module that a linear map of the model is, of each expert if
  /// there are `experts`. Nothing if the weight is computed, or if it is a part
  /// of a module, unless that is a range of the rows of experts that are one
  /// parameter.
  mlir::FailureOr<std::optional<PublishedModule>>
  publishedModule(const std::string &logical, std::optional<int64_t> layer,
                  int64_t experts = 0);

  /// Reports every part of the adapter that no weight takes, and what it cannot
  /// be merged into.
  mlir::LogicalResult checkAdapterUsed();

  /// After this a weight that is missing or of another shape is noted, and
  /// taken as if it were there.
  void setProbe(WeightProbe *p) { probe = p; }
  WeightProbe *getProbe() const { return probe; }
  /// A tensor that nobody has, for a weight that a probe misses.
  static WeightTree inventedSource(const std::string &logical, int64_t experts,
                                   llvm::ArrayRef<int64_t> shape);

  /// For a family without a checkpoint: after this each tensor that is asked
  /// for exists, in the shape that the computation expects.
  void inventTensors(rt::DType dtype) { inventedType = dtype; }
  /// The invented tensors that were used, with their shapes.
  const std::map<std::string, std::vector<int64_t>> &getInvented() const {
    return invented;
  }

  void setEvaluator(Evaluator *e) { evaluator = e; }
  void setContainerEvaluators(std::vector<Evaluator *> e) {
    containerEvaluators = std::move(e);
  }

  /// The tree of a logical name. Without a match, reports at `loc` which tensor
  /// is missing, with the nearest published name, and fails. Tensors of the
  /// tree are marked as used. `expected` is the shape of an invented tensor.
  /// A name with '{expert}' means the weights of all `experts`.
  mlir::FailureOr<WeightTree> resolve(const std::string &logical,
                                      std::optional<int64_t> layer,
                                      int64_t experts,
                                      llvm::ArrayRef<int64_t> expected,
                                      mlir::Location loc);
  /// Requests since the last call to this: logical name and tree.
  struct Request {
    std::string logical;
    int64_t experts;
    WeightTree tree;
    mlir::Location loc;
  };
  std::vector<Request> takeRequests() { return std::exchange(requests, {}); }
  /// The weight of a request for another layer, without marks: nothing if there
  /// is no such weight.
  mlir::FailureOr<std::optional<WeightTree>> lookup(const Request &request,
                                                    int64_t layer);
  /// Marks the tensors of a weight's tree as used for this layer by the call at
  /// `loc`.
  void markUsed(const std::string &logical, const WeightTree &tree,
                std::optional<int64_t> layer, mlir::Location loc);

  /// The ops that compute a tree, at the builder's place.
  static mlir::FailureOr<mlir::Value>
  emit(const WeightTree &tree, mlir::OpBuilder &builder, mlir::Location loc);
  /// The same of a part, whose elements need not be floats.
  static mlir::FailureOr<mlir::Value> emitTree(const WeightTree &tree,
                                               mlir::OpBuilder &builder,
                                               mlir::Location loc);

  /// What an adapter adds to a weight of the sizes `expected`, in f32.
  static mlir::FailureOr<mlir::Value>
  emitAdded(const WeightTree &tree, llvm::ArrayRef<int64_t> expected,
            mlir::OpBuilder &builder, mlir::Location loc);

  /// The tensors that nothing used or dropped.
  mlir::FailureOr<std::vector<const rt::StoredTensor *>> unusedTensors();
  /// Reports every tensor that is used in part.
  mlir::LogicalResult checkPartsUsed();
  /// Reports every tensor that nothing used or dropped, at the family, with the
  /// call that uses one of a similar name; and every tensor that is used in
  /// part.
  mlir::LogicalResult checkAllUsed();
  /// A tensor that a plain equation replaced although the file holds it, and
  /// that no other weight takes.
  struct Duplicate {
    std::string held;
    std::string source; ///< Must have the same bits.
    mlir::Location loc; ///< Of the call that uses it.
  };
  std::vector<Duplicate> getDuplicates() const;

private:
  struct Match {
    Bindings bindings;
    std::string
        rest; ///< What of the name is behind the path, with a leading dot.
    std::vector<unsigned> alternatives; ///< Chosen members of sets.
  };
  struct Scope {
    Evaluator *evaluator;
    std::optional<int64_t> layer;
    int64_t experts = 0;
    /// The loops around an equation, from the outside.
    std::vector<const spec::WeightFor *> loops = {};
    /// The part whose equation it is; null for the family itself.
    FamilyInstance *part = nullptr;
  };

  mlir::FailureOr<std::optional<WeightTree>>
  lookup(const std::string &logical, std::optional<int64_t> layer,
         int64_t experts);
  mlir::FailureOr<std::optional<WeightTree>>
  lookupIn(const std::string &logical, const Scope &scope,
           std::vector<const spec::WeightItem *> &skip);
  mlir::FailureOr<std::optional<WeightTree>>
  lookupItems(llvm::ArrayRef<const spec::WeightItem *> items,
              const std::string &logical, const Scope &scope,
              std::vector<const spec::WeightItem *> &skip);
  mlir::FailureOr<std::optional<WeightTree>>
  applyEquation(const spec::WeightEquation *equation,
                const std::string &logical, const Scope &scope,
                std::vector<const spec::WeightItem *> &skip);
  /// What a form of an equation makes; counts the depth and the steps.
  mlir::FailureOr<std::optional<WeightTree>>
  form(const spec::WeightExpr *expr, const Match &match, const Scope &scope,
       bool first, std::vector<const spec::WeightItem *> &skip);
  mlir::FailureOr<std::optional<WeightTree>>
  formOf(const spec::WeightExpr *expr, const Match &match, const Scope &scope,
         bool first, std::vector<const spec::WeightItem *> &skip);
  /// What the index of a slice takes of the axes.
  mlir::FailureOr<std::vector<WeightTree::Range>>
  rangesOf(const spec::WeightRef *ref, const Match &match, const Scope &scope);
  /// Whether the variables of the loops have values that the loops give them.
  mlir::FailureOr<bool> isInLoops(const Match &match, const Scope &scope);
  mlir::FailureOr<std::optional<Match>>
  match(llvm::ArrayRef<spec::PathSegment> segments, llvm::StringRef name,
        const Scope &scope, const Bindings &bindings);
  mlir::FailureOr<std::string>
  instantiate(llvm::ArrayRef<spec::PathSegment> segments, const Match &match,
              const Scope &scope, size_t &set);
  mlir::FailureOr<bool> holds(const spec::Expr *condition, const Scope &scope,
                              const Bindings &bindings);
  mlir::FailureOr<std::string> text(const spec::Expr *expr, const Scope &scope,
                                    const Bindings &bindings);
  mlir::FailureOr<bool> isDropped(const std::string &name);
  /// The parts that the weights of this name lie in, the innermost first, then
  /// the family itself.
  std::vector<FamilyInstance *> instancesOf(llvm::StringRef name) const;
  /// The family whose fields the text of a scope reads.
  static const Family &familyOf(const Scope &scope);
  /// Reads the tensor that an argument of a function is.
  mlir::LogicalResult readContents(WeightTree &tree,
                                   std::optional<int64_t> layer,
                                   mlir::Location loc);
  std::optional<WeightTree> source(const std::string &name, const Scope &scope);
  /// What the adapter adds to the tensor of that name, if it does.
  std::optional<WeightTree> factorsOf(const std::string &name,
                                      const Scope &scope);
  std::optional<WeightTree> factorTree(const std::string &module, int half,
                                       const Scope &scope);
  std::optional<WeightTree> factorTensor(const std::string &name, int64_t stack,
                                         const Scope &scope);
  /// In the ranges of `slice` if the tree is what it takes them of.
  void markTensorsUsed(const WeightTree &tree, std::optional<int64_t> layer,
                       mlir::Location loc, const WeightTree *slice = nullptr);
  void markAdapterUsed(const WeightTree &tree, const std::string &logical,
                       std::optional<int64_t> layer, bool isPart);
  /// The other names that were looked for, and a near one that there is.
  std::string missingHint(const std::string &name) const;

  const Family &family;
  llvm::ArrayRef<rt::StoredTensor> published;
  std::vector<const Family *> containers;
  Evaluator *evaluator = nullptr;
  std::vector<Evaluator *> containerEvaluators;
  llvm::StringMap<mlir::Location> used; ///< First by whom.
  std::vector<Duplicate> duplicates;
  std::vector<Request> requests;
  WeightProbe *probe = nullptr;
  /// What slices take of a tensor, and the tensors that are taken whole.
  std::map<std::string, std::vector<std::vector<WeightTree::Range>>,
           std::less<>>
      parts;
  llvm::StringSet<> wholes;
  std::optional<AdapterUse> adapterUse;
  bool isInAdapter = false;  ///< A lookup is one of what the adapter adds.
  bool isAnyAdapter = false; ///< One that adapts every map.
  int formDepth = 0;
  int64_t formSteps = 0;        ///< Of the lookup at hand.
  std::set<std::string> sought; ///< In vain, for the last request.

  /// The source of a tree, or its slice, whose shape follows from what is
  /// expected of the tree; null if only a checkpoint tells it.
  static WeightTree *inventedSource(WeightTree &tree);
  /// Gives the sources of a tree the shapes from which what is expected can be
  /// taken.
  mlir::LogicalResult invent(const std::string &logical, WeightTree &tree,
                             std::optional<int64_t> layer, int64_t experts,
                             llvm::ArrayRef<int64_t> expected,
                             mlir::Location loc);
  std::optional<rt::DType> inventedType;
  std::map<std::string, std::vector<int64_t>, std::less<>>
      shapeOfTemplate; ///< Of the last request for it.
  std::map<std::string, std::vector<int64_t>> invented;
};

} // namespace clade::import

#endif // CLADE_IMPORT_WEIGHTRESOLVER_H

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

#include <map>
#include <set>

namespace clade::import {

class Evaluator;

/// How one weight is made of published tensors.
struct WeightTree {
  enum class Kind { Source, Slice, Call, Number, Value };
  Kind kind = Kind::Source;
  std::string name;                 ///< Source: template name. Call: function.
  std::vector<int64_t> shape;       ///< Source, as published.
  rt::DType dtype = rt::DType::F32; ///< Source.
  double number = 0;
  std::vector<std::pair<int64_t, int64_t>>
      ranges; ///< Slice: begin, end by axis; end -1: an index.
  std::vector<WeightTree> inputs;
  SpecValue value; ///< Value: of the configuration, and no number.
  /// Source: the bytes of a tensor that is read now.
  std::optional<std::string> contents;

  /// Of a number or value.
  SpecValue asValue() const {
    return kind == Kind::Number ? SpecValue::of(number) : value;
  }
  /// Equal texts are equal trees.
  std::string key() const;
};

/// The binding of path placeholders.
using Bindings = std::map<std::string, SpecValue, std::less<>>;

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
  mlir::FailureOr<WeightTree> resolve(const std::string &logical,
                                      std::optional<int64_t> layer,
                                      llvm::ArrayRef<int64_t> expected,
                                      mlir::Location loc);
  /// The same without messages or marks: nothing if there is no such weight.
  mlir::FailureOr<std::optional<WeightTree>>
  lookup(const std::string &logical, std::optional<int64_t> layer);
  /// Marks the tensors of a tree as used for this layer by the call at `loc`.
  void markUsed(const WeightTree &tree, std::optional<int64_t> layer,
                mlir::Location loc);

  /// The ops that compute a tree, at the builder's place.
  static mlir::FailureOr<mlir::Value>
  emit(const WeightTree &tree, mlir::OpBuilder &builder, mlir::Location loc);
  /// The same of a part, whose elements need not be floats.
  static mlir::FailureOr<mlir::Value> emitTree(const WeightTree &tree,
                                               mlir::OpBuilder &builder,
                                               mlir::Location loc);

  /// Reports every tensor that nothing used or dropped, at the family, with the
  /// call that uses one of a similar name.
  mlir::LogicalResult checkAllUsed();
  /// A tensor that a plain equation replaced although the file holds it.
  struct Duplicate {
    std::string held;
    std::string source; ///< Must have the same bits.
    mlir::Location loc; ///< Of the call that uses it.
  };
  const std::vector<Duplicate> &getDuplicates() const { return duplicates; }

  /// Requests since the last call to this: logical name and tree.
  struct Request {
    std::string logical;
    WeightTree tree;
    mlir::Location loc;
  };
  std::vector<Request> takeRequests() { return std::exchange(requests, {}); }

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
  };

  mlir::FailureOr<std::optional<WeightTree>>
  lookupIn(const std::string &logical, Scope scope,
           std::vector<const spec::WeightItem *> &skip);
  mlir::FailureOr<std::optional<WeightTree>>
  lookupItems(llvm::ArrayRef<const spec::WeightItem *> items,
              const std::string &logical, Scope scope, const Bindings &bindings,
              llvm::ArrayRef<const spec::Path *> prefixes,
              std::vector<const spec::WeightItem *> &skip);
  mlir::FailureOr<std::optional<WeightTree>>
  applyEquation(const spec::WeightEquation *equation,
                const std::string &logical, Scope scope,
                const Bindings &bindings,
                llvm::ArrayRef<const spec::Path *> prefixes,
                std::vector<const spec::WeightItem *> &skip);
  /// What a form of an equation makes; counts the depth and the steps.
  mlir::FailureOr<std::optional<WeightTree>>
  form(const spec::WeightExpr *expr, const Match &match, Scope scope,
       llvm::ArrayRef<const spec::Path *> prefixes, bool first,
       std::vector<const spec::WeightItem *> &skip);
  mlir::FailureOr<std::optional<WeightTree>>
  formOf(const spec::WeightExpr *expr, const Match &match, Scope scope,
         llvm::ArrayRef<const spec::Path *> prefixes, bool first,
         std::vector<const spec::WeightItem *> &skip);
  mlir::FailureOr<std::optional<Match>>
  match(llvm::ArrayRef<spec::PathSegment> segments, llvm::StringRef name,
        Scope scope, const Bindings &bindings);
  mlir::FailureOr<std::string>
  instantiate(llvm::ArrayRef<spec::PathSegment> segments, const Match &match,
              Scope scope, size_t &set);
  mlir::FailureOr<bool> holds(const spec::Expr *condition, Scope scope,
                              const Bindings &bindings);
  mlir::FailureOr<std::string> text(const spec::Expr *expr, Scope scope,
                                    const Bindings &bindings);
  mlir::FailureOr<bool> isDropped(const std::string &name);
  /// Reads the tensor that an argument of a function is.
  mlir::LogicalResult readContents(WeightTree &tree,
                                   std::optional<int64_t> layer,
                                   mlir::Location loc);
  std::optional<WeightTree> source(const std::string &name,
                                   std::optional<int64_t> layer);
  /// The other names that were looked for, and a near one that there is.
  std::string missingHint(const std::string &name) const;

  const Family &family;
  llvm::ArrayRef<rt::StoredTensor> published;
  std::vector<const Family *> containers;
  Evaluator *evaluator = nullptr;
  std::vector<Evaluator *> containerEvaluators;
  std::map<std::string, mlir::Location, std::less<>> used; ///< First by whom.
  std::vector<Duplicate> duplicates;
  std::vector<Request> requests;
  int formDepth = 0;
  int64_t formSteps = 0;        ///< Of the lookup at hand.
  std::set<std::string> sought; ///< In vain, for the last request.

  mlir::LogicalResult recordInvented(const WeightTree &tree,
                                     std::optional<int64_t> layer,
                                     mlir::Location loc);
  std::optional<rt::DType> inventedType;
  std::map<std::string, std::vector<int64_t>, std::less<>>
      shapeOfTemplate; ///< Of the last request for it.
  std::map<std::string, std::vector<int64_t>> invented;
};

} // namespace clade::import

#endif // CLADE_IMPORT_WEIGHTRESOLVER_H

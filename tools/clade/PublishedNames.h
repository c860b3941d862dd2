//===- PublishedNames.h - What a published module's values are --*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_PUBLISHEDNAMES_H
#define CLADE_TOOLS_CLADE_PUBLISHEDNAMES_H

#include "dialect/Clade/CladeDialect.h"
#include "mlir/IR/BuiltinOps.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/SmallPtrSet.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"

#include <string>

namespace clade::driver {

/// What the published implementation calls the values of a module: by the op
/// that computes them. Names hold '{layer}' where the layer's number goes. They
/// are those of linear maps and norms, by the weight that both sides read, for
/// their results, and with '.input' for what a linear map is given.
class PublishedNames {
public:
  explicit PublishedNames(mlir::ModuleOp module);

  /// Whether a router's numbers or shares come from an op.
  bool isRouting(mlir::Operation *op) const { return routing.count(op); }

  llvm::ArrayRef<std::string> of(mlir::Operation *op) const {
    auto it = names.find(op);
    return it == names.end() ? llvm::ArrayRef<std::string>() : it->second;
  }

private:
  using Names = llvm::SmallVector<std::string, 2>;

  /// What a parameter may be called where it is published: as the family calls
  /// it, or as the file does.
  Names namesOf(ParamOp param) const;
  /// The modules that may own a parameter, if it is a '.weight'.
  Names ownersOf(ParamOp param) const;
  void addLinear(LinearOp linear);
  void addExperts(MixOp mix);
  void addScaled(mlir::Operation *op);
  mlir::Operation *withBias(mlir::Operation *op, const Names &owners) const;

  llvm::DenseMap<mlir::Operation *, Names> names;
  llvm::StringMap<std::string> stored; ///< Tensors of parameters, by name.
  llvm::SmallPtrSet<mlir::Operation *, 8> routing;
};

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_PUBLISHEDNAMES_H

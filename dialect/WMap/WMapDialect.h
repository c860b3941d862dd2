//===- WMapDialect.h - The weight-mapping dialect ---------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_DIALECT_WMAP_WMAPDIALECT_H
#define CLADE_DIALECT_WMAP_WMAPDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialect/WMap/WMapDialect.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialect/WMap/WMapTypes.h.inc"

#define GET_OP_CLASSES
#include "dialect/WMap/WMapOps.h.inc"

namespace clade {

/// Stands for the number of the layer in the name of a tensor or weight.
inline constexpr llvm::StringLiteral layerPlaceholder = "{layer}";
/// Likewise of the number of an expert, in sources that stack the tensors of
/// all of them.
inline constexpr llvm::StringLiteral expertPlaceholder = "{expert}";

/// What names of factors of adapters that are loaded beside the weights begin
/// with among the sources of a function.
inline constexpr llvm::StringLiteral adapterSourcePrefix = "adapter:";
/// In the name of such a source, in the place of an expert's number: the
/// factors of all experts along a first axis.
inline constexpr llvm::StringLiteral allExperts = "*";

/// Unit attribute of a slice of the first elements of an axis behind which a
/// file has zeros only: then the slice has an inverse of its own.
inline constexpr llvm::StringLiteral paddingAttr = "wmap.padding";

/// `name` with the number of an expert in its places.
std::string withExpert(llvm::StringRef name, int64_t expert);
/// `name` with each `layerPlaceholder` replaced; as it is outside of layers.
std::string withLayer(llvm::StringRef name, std::optional<int64_t> layer);

} // namespace clade

#endif // CLADE_DIALECT_WMAP_WMAPDIALECT_H

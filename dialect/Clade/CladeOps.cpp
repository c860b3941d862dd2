//===- CladeOps.cpp - Op definitions and symbol uses ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The generated definitions, and the checks that need the symbol table. Checks
// of a single op are in CladeVerifiers.cpp, folds in CladeFolds.cpp.
//
//===----------------------------------------------------------------------===//

#include "dialect/Clade/CladeDialect.h"
#include "dialect/WMap/WMapDialect.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace clade;

#define GET_OP_CLASSES
#include "dialect/Clade/CladeOps.cpp.inc"

LogicalResult ParamOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // param_c1
  auto map =
      symbols.lookupNearestSymbolFrom<wmap::FuncOp>(*this, getNameAttr());
  if (!map)
    return emitOpError() << "expected '@" << getName()
                         << "' to name a wmap.func";
  // param_c2
  NamedTensorType type = getResult().getType();
  auto value = dyn_cast<RankedTensorType>(map.getResultType());
  auto blocks = dyn_cast_or_null<BlocksAttr>(type.getLayout());
  Type stored = blocks
                    ? IntegerType::get(getContext(), 8, IntegerType::Unsigned)
                    : type.getElementType();
  if (!value || value.getElementType() != stored)
    return emitOpError() << "expected element type " << stored << ", got "
                         << map.getResultType() << " from '@" << getName()
                         << "'";
  int64_t wanted = type.getNumFeatures();
  if (ShapedType::isDynamic(wanted) || type.hasSequence())
    return emitOpError() << "expected a size for each axis, got " << type;
  if (auto panels = dyn_cast_or_null<PanelsAttr>(type.getLayout()))
    wanted = panels.getPackedSize(type);
  if (blocks)
    wanted = blocks.getPackedSize(type);
  if (value.getNumElements() != wanted)
    return emitOpError() << "expected " << wanted << " elements for " << type
                         << ", got " << map.getResultType() << " from '@"
                         << getName() << "'";
  return success();
}

LogicalResult ScheduleOp::verifySymbolUses(SymbolTableCollection &symbols) {
  FunctionType first;
  for (Attribute kind : getKinds()) {
    // schedule_c1
    auto name = cast<FlatSymbolRefAttr>(kind);
    auto function = symbols.lookupNearestSymbolFrom<func::FuncOp>(*this, name);
    if (!function)
      return emitOpError() << "expected '" << name << "' to name a function";
    // schedule_c3
    if (first && function.getFunctionType() != first)
      return emitOpError() << "expected kind '" << name << "' to have type "
                           << first << ", got " << function.getFunctionType();
    first = function.getFunctionType();
  }
  // schedule_c2
  int32_t numKinds = getKinds().size();
  for (auto [layer, row] : llvm::enumerate(getRows()))
    if (row < 0 || row >= numKinds)
      return emitOpError() << "expected row " << layer
                           << " to be the index of one of " << numKinds
                           << " kinds, got " << row;
  return success();
}

LogicalResult LayersOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // layers_c1
  auto schedule =
      symbols.lookupNearestSymbolFrom<ScheduleOp>(*this, getScheduleAttr());
  if (!schedule)
    return emitOpError() << "expected '@" << getSchedule()
                         << "' to name a clade.schedule";
  // layers_c3
  if (getResults().size() > getInputs().size() ||
      !llvm::equal(getInputs().take_front(getResults().size()).getTypes(),
                   getResultTypes()))
    return emitOpError()
           << "expected the first operands to have the types of the results";
  // layers_c2
  for (Attribute kind : schedule.getKinds()) {
    auto function = symbols.lookupNearestSymbolFrom<func::FuncOp>(
        *this, cast<FlatSymbolRefAttr>(kind));
    if (function && function.getFunctionType() !=
                        FunctionType::get(getContext(), getInputs().getTypes(),
                                          getResultTypes()))
      return emitOpError() << "expected operands and results of the type of '"
                           << kind << "', " << function.getFunctionType();
  }
  return success();
}

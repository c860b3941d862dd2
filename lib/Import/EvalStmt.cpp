//===- EvalStmt.cpp - Bodies and assignments ------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;
using llvm::dyn_cast;

FailureOr<SpecValue> Evaluator::evalBody(const spec::Body *body, Frame &frame) {
  SpecValue last = SpecValue::none();
  for (const spec::Stmt *stmt : body->stmts) {
    last = SpecValue::none();
    if (auto *assign = dyn_cast<spec::AssignStmt>(stmt)) {
      if (failed(evalAssign(assign, frame)))
        return failure();
    } else if (auto *ret = dyn_cast<spec::ReturnStmt>(stmt)) {
      FailureOr<SpecValue> value = eval(ret->value, frame);
      if (failed(value))
        return failure();
      frame.returned = std::move(*value);
    } else if (auto *expression = dyn_cast<spec::ExprStmt>(stmt)) {
      FailureOr<SpecValue> value = eval(expression->value, frame);
      if (failed(value))
        return failure();
      last = std::move(*value);
    } else {
      if (!frame.inScan)
        return error(stmt->getLoc()) << "expected 'emit' only inside a scan";
      if (frame.emitted)
        return error(stmt->getLoc()) << "expected one 'emit' in a scan";
      FailureOr<SpecValue> value =
          eval(cast<spec::EmitStmt>(stmt)->value, frame);
      if (failed(value))
        return failure();
      frame.emitted = std::move(*value);
    }
    if (frame.returned)
      return last;
  }
  return last;
}

/// 'position = …' in an entry: what rotary embedding reads from here on.
LogicalResult Evaluator::bindPosition(const SpecValue &value, Location loc) {
  bool fits = value.is(SpecValue::Kind::Tensor) && !layerScope &&
              value.tensor.getType().getRank() == 2 &&
              value.tensor.getType().getNames()[0] == tokenAxis &&
              value.tensor.getType().getElementType().isInteger(32);
  if (!fits)
    return error(loc) << "expected positions of several axes for each token, "
                         "such as 'grid_positions(grid, merge)', outside the "
                         "layers as 'position', got "
                      << value.describe();
  position = value.tensor;
  rotaryTables.clear();
  return success();
}

LogicalResult Evaluator::evalAssign(const spec::AssignStmt *stmt,
                                    Frame &frame) {
  FailureOr<SpecValue> value = eval(stmt->value, frame);
  if (failed(value))
    return failure();
  if (value->is(SpecValue::Kind::Absent))
    return error(stmt->getLoc())
           << "key '" << value->text << "' is absent and has no default";
  std::vector<SpecValue> values;
  if (stmt->targets.size() == 1) {
    values.push_back(std::move(*value));
  } else if (value->is(SpecValue::Kind::Tensor)) {
    FailureOr<std::vector<SpecValue>> parts =
        split(value->tensor, stmt->targets.size(), stmt->getLoc());
    if (failed(parts))
      return failure();
    values = std::move(*parts);
  } else if (value->is(SpecValue::Kind::Tuple) &&
             value->elements.size() == stmt->targets.size()) {
    values = std::move(value->elements);
  } else {
    return error(stmt->getLoc()) << "expected " << stmt->targets.size()
                                 << " values, got " << value->describe();
  }
  for (auto [target, assigned] : llvm::zip_equal(stmt->targets, values)) {
    if (target.index)
      return error(target.name.loc)
             << "assignment to a part of a tensor has no compiled form yet";
    if (target.name.name == "position" && !stmt->isAdd && frame.isEntry) {
      if (failed(bindPosition(assigned, stmt->getLoc())))
        return failure();
      continue;
    }
    if (!stmt->isAdd) {
      frame.vars[target.name.name.str()] = assigned;
      continue;
    }
    auto it = frame.vars.find(target.name.name);
    if (it == frame.vars.end())
      return error(target.name.loc) << "expected '" << target.name.name
                                    << "' to have a value before '+='";
    SpecValue old = it->second;
    if (old.is(SpecValue::Kind::Tensor))
      old.tensor = localize(old.tensor);
    FailureOr<SpecValue> sum =
        arithmetic(spec::BinaryOp::Add, old, assigned, stmt->getLoc());
    if (failed(sum))
      return failure();
    frame.vars[target.name.name.str()] = std::move(*sum);
  }
  return success();
}

/// Takes the one sum axis of a tensor apart.
FailureOr<std::vector<SpecValue>> Evaluator::split(const TensorValue &x,
                                                   size_t count, Location loc) {
  auto isSum = [](const Dim &dim) { return dim.isSum(); };
  if (llvm::count_if(x.axes, isSum) != 1)
    return error(loc) << "expected one axis that is a sum, such as [heads, "
                         "head + head], to split into "
                      << count << " values, got " << toString(x.axes);
  size_t axis = llvm::find_if(x.axes, isSum) - x.axes.begin();
  const Dim sum = x.axes[axis];
  if (sum.parts.size() != count)
    return error(loc) << "expected " << count << " parts, got "
                      << sum.parts.size() << " in " << toString(x.axes);
  std::vector<SpecValue> values;
  int64_t begin = 0;
  for (const std::vector<Dim> &part : sum.parts) {
    Shape sliced = x.axes, viewed(x.axes.begin(), x.axes.begin() + axis);
    sliced[axis] =
        Dim{numElements(part), part.size() == 1 ? part[0].name : sum.name, {}};
    llvm::copy_if(part, std::back_inserter(viewed),
                  [](const Dim &dim) { return dim.name != "1"; });
    viewed.insert(viewed.end(), x.axes.begin() + axis + 1, x.axes.end());
    mlir::Value slice = SliceOp::create(
        builder, named(loc), typeFor(sliced, x.getType().getElementType()),
        x.value, sum.name, begin);
    mlir::Value view = builder.createOrFold<ViewOp>(
        named(loc), typeFor(viewed, x.getType().getElementType()), slice);
    values.push_back(SpecValue::of(tensor(view, viewed)));
    begin += numElements(part);
  }
  return values;
}

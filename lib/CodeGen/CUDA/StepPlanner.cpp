//===- StepPlanner.cpp - The launches of one step -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/StepPlanner.h"
#include "lib/CodeGen/KernelQueries.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;
using namespace clade;
using namespace clade::cuda;
using rt::LaunchArgument;
using rt::LaunchInput;
using Space = rt::LaunchArgument::Space;

/// Bytes of a row of a value.
static int64_t bytesPerRow(NamedTensorType type) {
  return type.getNumFeatures() *
         std::max<int64_t>(type.getElementTypeBitWidth() / 8, 1);
}

/// A place in the workspace for a value of its own.
LaunchArgument StepPlanner::take(Type type) {
  auto tensor = cast<NamedTensorType>(type);
  bool isSelected =
      tensor.getRank() > 0 && tensor.getNames()[0] == selectedAxis;
  int64_t &bytes = isSelected ? result.selectedBytes : result.tokenBytes;
  LaunchArgument place{isSelected ? Space::Selected : Space::Token, bytes};
  bytes += bytesPerRow(tensor);
  return place;
}

LogicalResult StepPlanner::addKernel(Scope &scope, KernelOp kernel,
                                     bool isOutput) {
  FailureOr<ArrayRef<KernelCode>> codes = kernels.emit(kernel, isOutput);
  if (failed(codes))
    return failure();
  for (Value value : kernel.getResults())
    if (!scope.buffers.count(value)) {
      if (isOutput) {
        scope.buffers[value] = {Space::Output, 0};
        continue;
      }
      auto [place, isNew] = temporaries.try_emplace(value);
      if (isNew)
        place->second = take(value.getType());
      scope.buffers[value] = place->second;
    }
  SmallVector<StringRef> params = paramsOf(kernel);
  for (const KernelCode &code : *codes) {
    result.kernels[code.symbol] = {code.onSelected,
                                   static_cast<int32_t>(code.grid.columns),
                                   static_cast<int32_t>(code.grid.rowsPerBlock),
                                   static_cast<int32_t>(code.grid.threads),
                                   static_cast<int32_t>(code.sharedBytes)};
    rt::Launch launch{code.symbol, {}, code.rows.first, code.rows.last};
    for (KernelArgument argument : code.arguments) {
      switch (argument.kind) {
      case KernelArgument::Operand:
        launch.arguments.push_back(
            scope.buffers.lookup(kernel.getInputs()[argument.number]));
        break;
      case KernelArgument::Result:
        launch.arguments.push_back(
            scope.buffers.lookup(kernel.getResult(argument.number)));
        break;
      case KernelArgument::Param: {
        auto place = llvm::find(scope.params, params[argument.number]) -
                     scope.params.begin();
        launch.arguments.push_back({Space::Weight, scope.firstWeight + place});
        break;
      }
      case KernelArgument::State:
        launch.arguments.push_back(
            {Space::State, scope.firstState + argument.number});
        break;
      case KernelArgument::Packed:
        packedArguments.emplace_back(result.launches.size(),
                                     launch.arguments.size());
        launch.arguments.push_back({Space::Token, 0});
        break;
      case KernelArgument::Choices: {
        auto [active, experts] =
            code.choices[static_cast<size_t>(argument.number)];
        launch.arguments.push_back({Space::Choices, result.choiceBytes});
        result.routers.push_back(
            {result.choiceBytes, static_cast<int32_t>(scope.layer),
             static_cast<int32_t>(active), static_cast<int32_t>(experts)});
        result.choiceBytes += 2 * 4 * active;
        break;
      }
      case KernelArgument::Partial:
        launch.arguments.push_back({Space::Fixed, 0});
        break;
      }
      if (argument.map)
        launch.arguments.back().map = rt::LaunchMap{
            static_cast<int32_t>(argument.map->columns), argument.map->rows,
            static_cast<int32_t>(argument.map->boxColumns),
            static_cast<int32_t>(argument.map->boxRows)};
    }
    if (code.ranges.empty())
      result.launches.push_back(launch);
    for (const LaunchRange &range : code.ranges) {
      launch.minRows = range.rows.first;
      launch.maxRows = range.rows.last;
      launch.minLongest = range.minLongest;
      launch.maxShortest = range.maxShortest;
      launch.columns.reset();
      if (range.columns != code.grid.columns)
        launch.columns = static_cast<int32_t>(range.columns);
      result.launches.push_back(launch);
    }
  }
  if (isTraced)
    for (Value value : kernel.getResults())
      result.traces.push_back(
          {static_cast<int64_t>(result.launches.size()),
           scope.buffers.lookup(value),
           isOutput ? outputWidth * int64_t(sizeof(float))
                    : bytesPerRow(cast<NamedTensorType>(value.getType()))});
  return success();
}

LogicalResult StepPlanner::addLayers(Scope &scope, LayersOp layers) {
  auto module = layers->getParentOfType<ModuleOp>();
  auto schedule = module.lookupSymbol<ScheduleOp>(layers.getSchedule());
  ArrayRef<LayerSlots> rows =
      ArrayRef(slots.layers)
          .slice(slots.firstLayer.lookup(layers.getSchedule()),
                 schedule.getRows().size());
  // A layer reads a carried value in one buffer and writes it to another.
  SmallVector<LaunchArgument> carried;
  SmallVector<std::pair<LaunchArgument, LaunchArgument>> alternates;
  for (auto [place, operand] : llvm::enumerate(layers.getInputs())) {
    carried.push_back(scope.buffers.lookup(operand));
    if (place < layers.getNumResults()) {
      LaunchArgument first = take(operand.getType());
      alternates.emplace_back(first, take(operand.getType()));
    }
  }
  for (const LayerSlots &row : rows) {
    const KindSlots &kind = slots.kinds[row.kind];
    func::FuncOp function = kind.function;
    Block &body = function.getBody().front();
    Scope layer;
    layer.params = kind.params;
    layer.firstWeight = row.firstWeight;
    layer.layer = row.layer;
    layer.firstState = firstStates.front();
    firstStates = firstStates.drop_front();
    for (auto [argument, buffer] :
         llvm::zip_equal(body.getArguments(), carried))
      layer.buffers[argument] = buffer;
    for (auto [place, value] :
         llvm::enumerate(body.getTerminator()->getOperands())) {
      // What is passed on stays where it is.
      if (value == body.getArgument(place))
        continue;
      if (!value.getDefiningOp<KernelOp>() || layer.buffers.count(value))
        return function.emitError()
               << "expected a layer to return a new value for each carried one";
      auto [first, second] = alternates[place];
      carried[place] = carried[place] == first ? second : first;
      layer.buffers[value] = carried[place];
    }
    for (KernelOp kernel : body.getOps<KernelOp>())
      if (failed(addKernel(layer, kernel, /*isOutput=*/false)))
        return failure();
  }
  for (auto [place, value] : llvm::enumerate(layers.getResults()))
    scope.buffers[value] = carried[place];
  return success();
}

FailureOr<rt::LaunchPlan> StepPlanner::plan(func::FuncOp entry) {
  Block &body = entry.getBody().front();
  Value output = body.getTerminator()->getOperand(0);
  auto producer = output.getDefiningOp<KernelOp>();
  if (body.getTerminator()->getNumOperands() != 1 || !producer ||
      producer.getNumResults() != 1)
    return entry.emitError()
           << "expected an entry to return the one result of a kernel";
  outputWidth = cast<NamedTensorType>(output.getType()).getNumFeatures();
  Scope scope;
  scope.params = slots.globals;
  // Pixels of an entry for images; tokens and their types of one for texts.
  for (BlockArgument argument : body.getArguments())
    if (auto type = dyn_cast<NamedTensorType>(argument.getType()))
      scope.buffers[argument] = {
          Space::Input, static_cast<int64_t>(type.getElementType().isF32()
                                                 ? LaunchInput::Pixels
                                             : argument.getArgNumber() == 0
                                                 ? LaunchInput::Tokens
                                                 : LaunchInput::TokenTypes)};
  for (Operation &op : body.without_terminator()) {
    if (auto layers = dyn_cast<LayersOp>(op)) {
      if (failed(addLayers(scope, layers)))
        return failure();
      continue;
    }
    auto kernel = dyn_cast<KernelOp>(op);
    if (!kernel)
      return op.emitError() << "expected only kernels and layers, got '"
                            << op.getName() << "'";
    if (failed(addKernel(scope, kernel, kernel == producer)))
      return failure();
  }
  for (auto [launch, argument] : packedArguments)
    result.launches[launch].arguments[argument].number = result.tokenBytes;
  result.tokenBytes += kernels.getPackedBytesPerRow();
  result.fixedBytes = kernels.getPartialBytes();
  return std::move(result);
}

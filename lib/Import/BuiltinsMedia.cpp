//===- BuiltinsMedia.cpp - Built-ins about images -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// In the entry 'image' the tokens are patches and the sequences are images,
// whose grids the batch carries. What it gives stands for tokens in 'forward'.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ArgReader.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

/// Patches that are merged along one axis, and tokens folded into one.
static constexpr int64_t maxMerge = 1024;

/// Patches along a side of a window.
static constexpr int64_t maxSide = 1 << 20;

/// A whole number from 1 to `most`.
static FailureOr<int64_t> count(const ArgReader &reader, StringRef parameter,
                                StringRef builtin, int64_t most, Location loc) {
  FailureOr<std::optional<double>> number = reader.number(parameter);
  if (failed(number))
    return failure();
  if (!*number ||
      !(**number >= 1 && **number <= most && **number == std::floor(**number)))
    return emitError(loc) << "expected a whole number from 1 to " << most
                          << " as '" << parameter << "' of '" << builtin
                          << "', got " << reader.get(parameter)->describe();
  return static_cast<int64_t>(**number);
}

std::optional<FailureOr<SpecValue>>
Evaluator::callMedia(StringRef name, const CallArgs &args, Location loc) {
  if (name == "patches")
    return buildPatches(args, loc);
  if (name == "grid_positions")
    return buildGridPositions(args, loc);
  if (name == "frames")
    return buildFrames(args, loc);
  if (name == "sinusoid")
    return buildSinusoid(args, loc);
  if (name == "window_of")
    return buildWindowOf(args, loc);
  if (name == "bilinear" || name == "bicubic")
    return buildInterpolate(name, args, loc);
  if (name == "fold")
    return buildFold(args, loc);
  if (name == "put_at" || name == "add_at")
    return buildPutAt(name, args, loc);
  if (name == "text_grid_positions")
    return buildTextGridPositions(args, loc);
  if (name != "frame_of" && name != "same")
    return std::nullopt;
  bool isFrames = name == "frame_of";
  ArgReader reader(name, args, {isFrames ? "grid" : "ids"}, loc);
  if (!reader.ok())
    return failure();
  const SpecValue *value = reader.get(isFrames ? "grid" : "ids");
  if (!isFrames && value->is(SpecValue::Kind::Tensor) &&
      value->tensor.axes.size() == 1 && value->tensor.hasSequence() &&
      value->tensor.getType().getElementType().isInteger(32))
    return SpecValue::of(
        Mask{false, std::nullopt, localize(value->tensor.value)});
  if (!value->is(isFrames ? SpecValue::Kind::Grid : SpecValue::Kind::Frames))
    return error(loc) << "expected "
                      << (isFrames
                              ? "the grids that 'patches' gave"
                              : "'frame_of(grid)', or a number of each token")
                      << " as argument of '" << name << "', got "
                      << value->describe();
  // The frames are the sequences of the step: each sees all of itself.
  if (!isFrames)
    return SpecValue::of(Mask());
  return SpecValue::ofKind(SpecValue::Kind::Frames);
}

FailureOr<SpecValue> Evaluator::buildPatches(const CallArgs &args,
                                             Location loc) {
  ArgReader reader("patches", args,
                   {"pixels", "sizes", "shape", "merge?", "in_rows?"}, loc);
  if (!reader.ok())
    return failure();
  const SpecValue *pixels = reader.get("pixels"), *sizes = reader.get("sizes");
  if (!imageFunction || !pixels->is(SpecValue::Kind::Input) ||
      !sizes->is(SpecValue::Kind::Input))
    return error(loc) << "expected 'patches' of two inputs of the entry "
                         "'image', got "
                      << pixels->describe() << " and " << sizes->describe();
  if (imageFunction->hasAttr(imagesAttr))
    return error(loc) << "expected one call of 'patches' in the entry 'image'";
  FailureOr<Shape> shape = shapeOf(*reader.get("shape"), loc);
  FailureOr<int64_t> merge =
      reader.get("merge") ? count(reader, "merge", "patches", maxMerge, loc)
                          : FailureOr<int64_t>(1);
  FailureOr<bool> inRows = reader.boolean("in_rows", false);
  if (failed(shape) || failed(merge) || failed(inRows))
    return failure();
  // With an axis of frames the processor has cut the images to blocks.
  size_t rank = shape->size();
  bool isSquare = (rank == 3 || rank == 4) &&
                  (*shape)[rank - 2].size == (*shape)[rank - 1].size;
  if (!isSquare)
    return error(loc) << "expected the axes of a square patch, such as "
                         "[channels, patch, columns = patch], as 'shape' of "
                         "'patches', got "
                      << toString(*shape);
  int64_t frames = rank == 4 ? (*shape)[1].size : 0;
  if (*inRows && frames > 0)
    return error(loc)
           << "expected patches that are cut row by row to have three "
              "axes, "
              "got "
           << toString(*shape);
  Shape axes{{ShapedType::kDynamic, tokenAxis.str(), {}}};
  llvm::append_range(axes, *shape);
  if (failed(checkAxes(axes, loc)))
    return failure();
  auto text = [&](const SpecValue &input) {
    return builder.getStringAttr(input.text);
  };
  auto number = [&](int64_t value) { return builder.getI64IntegerAttr(value); };
  NamedAttrList layout;
  layout.append("pixels", text(*pixels));
  layout.append("sizes", text(*sizes));
  layout.append("channels", number((*shape)[0].size));
  layout.append("frames", number(frames));
  layout.append("patch", number(shape->back().size));
  layout.append("merge", number(*merge));
  if (*inRows)
    layout.append("in_rows", builder.getUnitAttr());
  imageFunction->setAttr(imagesAttr,
                         layout.getDictionary(builder.getContext()));
  mlir::Value argument =
      entryBlock->insertArgument(0u, typeFor(axes, f32()), loc);
  return SpecValue::tuple({SpecValue::of(tensor(argument, axes)),
                           SpecValue::ofKind(SpecValue::Kind::Grid)});
}

FailureOr<SpecValue> Evaluator::buildGridPositions(const CallArgs &args,
                                                   Location loc) {
  ArgReader reader("grid_positions", args, {"grid", "merge"}, loc);
  if (!reader.ok())
    return failure();
  if (!reader.get("grid")->is(SpecValue::Kind::Grid))
    return error(loc) << "expected the grids that 'patches' gave as 'grid' of "
                         "'grid_positions', got "
                      << reader.get("grid")->describe();
  FailureOr<int64_t> merge =
      count(reader, "merge", "grid_positions", maxMerge, loc);
  if (failed(merge))
    return failure();
  Shape axes{{ShapedType::kDynamic, tokenAxis.str(), {}}, {2, "grid", {}}};
  return SpecValue::of(tensor(
      GridPositionsOp::create(builder, named(loc),
                              typeFor(axes, builder.getI32Type()), batch(),
                              builder.getI64IntegerAttr(*merge)),
      axes));
}

FailureOr<SpecValue> Evaluator::buildFrames(const CallArgs &args,
                                            Location loc) {
  ArgReader reader("frames", args, {"grid"}, loc);
  if (!reader.ok())
    return failure();
  if (!reader.get("grid")->is(SpecValue::Kind::Grid))
    return error(loc) << "expected the grids that 'patches' gave as 'grid' of "
                         "'frames', got "
                      << reader.get("grid")->describe();
  Shape axes{{ShapedType::kDynamic, tokenAxis.str(), {}}};
  Type type = typeFor(axes, builder.getI32Type());
  auto op = GridFramesOp::create(builder, named(loc), type, type, batch());
  return SpecValue::tuple({SpecValue::of(tensor(op.getFrame(), axes)),
                           SpecValue::of(tensor(op.getFrames(), axes))});
}

FailureOr<SpecValue> Evaluator::buildSinusoid(const CallArgs &args,
                                              Location loc) {
  ArgReader reader("sinusoid", args, {"position", "shape", "theta?"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> position = reader.tensor("position");
  FailureOr<Shape> shape = shapeOf(*reader.get("shape"), loc);
  FailureOr<std::optional<double>> theta = reader.number("theta");
  if (failed(position) || failed(shape) || failed(theta))
    return failure();
  if (position->axes.size() != 1 || !position->hasSequence() ||
      !position->getType().getElementType().isInteger(32))
    return error(loc) << "expected a number of each token as 'position' of "
                         "'sinusoid', got "
                      << toString(position->axes);
  int64_t size = shape->size() == 1 ? shape->front().size : 0;
  if (size < 2 || size % 2 != 0)
    return error(loc) << "expected one axis of an even size as 'shape' of "
                         "'sinusoid', got "
                      << toString(*shape);
  double base = theta->value_or(10000);
  if (!(base > 0))
    return error(loc) << "expected a 'theta' of 'sinusoid' above 0, got "
                      << base;
  // As rotary frequencies: powers in f32 (Attention is all you need,
  // arXiv:1706.03762, with all sines in front of all cosines).
  SmallVector<float> frequencies;
  for (int64_t j = 0; j < size / 2; ++j)
    frequencies.push_back(
        1.0f / std::pow(static_cast<float>(base),
                        static_cast<float>(2 * j) / static_cast<float>(size)));
  Shape half{position->axes[0], {size / 2, "rotary", {}}},
      axes{position->axes[0], shape->front()};
  auto type = typeFor(half, f32());
  auto table = RotaryTableOp::create(
      builder, named(loc), type, type, position->value, batch(),
      builder.getDenseF32ArrayAttr(frequencies), builder.getF64FloatAttr(1),
      DenseF32ArrayAttr(), IntegerAttr(), FloatAttr(), FloatAttr(),
      DenseI64ArrayAttr());
  Shape joined{position->axes[0], {size, "rotary", {}}};
  mlir::Value value =
      JoinOp::create(builder, named(loc), typeFor(joined, f32()),
                     ValueRange{table.getSin(), table.getCos()});
  return SpecValue::of(tensor(
      builder.createOrFold<ViewOp>(named(loc), typeFor(axes, f32()), value),
      axes));
}

FailureOr<SpecValue> Evaluator::buildWindowOf(const CallArgs &args,
                                              Location loc) {
  ArgReader reader("window_of", args, {"grid", "merge", "side"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<int64_t> merge = count(reader, "merge", "window_of", maxMerge, loc),
                     side = count(reader, "side", "window_of", maxSide, loc);
  if (failed(merge) || failed(side))
    return failure();
  if (!reader.get("grid")->is(SpecValue::Kind::Grid))
    return error(loc) << "expected the grids that 'patches' gave as 'grid' of "
                         "'window_of', got "
                      << reader.get("grid")->describe();
  Shape axes{{ShapedType::kDynamic, tokenAxis.str(), {}}};
  return SpecValue::of(
      tensor(GridWindowsOp::create(builder, named(loc),
                                   typeFor(axes, builder.getI32Type()), batch(),
                                   *merge, *side),
             axes));
}

FailureOr<SpecValue> Evaluator::buildInterpolate(StringRef name,
                                                 const CallArgs &args,
                                                 Location loc) {
  ArgReader reader(name, args, {"table", "grid", "merge"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> table = reader.tensor("table");
  FailureOr<int64_t> merge = count(reader, "merge", name, maxMerge, loc);
  if (failed(table) || failed(merge))
    return failure();
  if (!reader.get("grid")->is(SpecValue::Kind::Grid))
    return error(loc) << "expected the grids that 'patches' gave as 'grid' of '"
                      << name << "', got " << reader.get("grid")->describe();
  if (table->hasSequence() || table->axes.size() < 3)
    return error(loc) << "expected [rows, columns, features] as 'table' of '"
                      << name << "', got " << toString(table->axes);
  Shape axes{{ShapedType::kDynamic, tokenAxis.str(), {}}};
  axes.insert(axes.end(), table->axes.begin() + 2, table->axes.end());
  bool isCubic = name == "bicubic";
  auto kind =
      isCubic ? InterpolationKind::Bicubic : InterpolationKind::Bilinear;
  return SpecValue::of(
      tensor(InterpolateOp::create(builder, named(loc), typeFor(axes, f32()),
                                   kind, table->value, batch(), *merge,
                                   /*corners=*/!isCubic),
             axes));
}

FailureOr<SpecValue> Evaluator::buildTextGridPositions(const CallArgs &args,
                                                       Location loc) {
  ArgReader reader("text_grid_positions", args,
                   {"ids", "grids", "media", "merge"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<int64_t> merge =
      count(reader, "merge", "text_grid_positions", maxMerge, loc);
  if (failed(merge))
    return failure();
  if (imageFunction || !reader.get("grids")->is(SpecValue::Kind::Grid))
    return error(loc) << "expected the grids that the entry 'forward' takes as "
                         "'grids' of 'text_grid_positions', got "
                      << reader.get("grids")->describe();
  auto image = module.lookupSymbol<func::FuncOp>("image");
  auto layout = image ? image->getAttrOfType<DictionaryAttr>(imagesAttr)
                      : DictionaryAttr();
  auto blocks = layout ? layout.getAs<IntegerAttr>("merge") : IntegerAttr();
  if (!blocks || blocks.getInt() != *merge)
    return error(loc) << "expected the blocks that 'patches' merges as 'merge' "
                         "of 'text_grid_positions', got "
                      << *merge;
  const SpecValue *media = reader.get("media");
  FailureOr<SmallVector<int32_t>> ids =
      tokenIds(media->elements, "'media' of 'text_grid_positions'", loc);
  if (failed(ids))
    return failure();
  if (!media->is(SpecValue::Kind::List) || ids->empty())
    return error(loc) << "expected a list of token ids as 'media' of "
                         "'text_grid_positions', got "
                      << media->describe();
  positionedTokens = *ids;
  Shape axes{{ShapedType::kDynamic, tokenAxis.str(), {}}, {3, "grid", {}}};
  return SpecValue::of(
      tensor(PositionsOp::create(builder, named(loc),
                                 typeFor(axes, builder.getI32Type()), batch()),
             axes));
}

FailureOr<SpecValue> Evaluator::buildFold(const CallArgs &args, Location loc) {
  ArgReader reader("fold", args, {"x", "n", "grid?"}, loc);
  if (!reader.ok())
    return failure();
  const SpecValue *grid = reader.get("grid");
  if (grid && !grid->is(SpecValue::Kind::Grid))
    return error(loc) << "expected the grids that 'patches' gave as 'grid' of "
                         "'fold', got "
                      << grid->describe();
  FailureOr<TensorValue> x = reader.tensor("x");
  FailureOr<int64_t> n = count(reader, "n", "fold", maxMerge * maxMerge, loc);
  if (failed(x) || failed(n))
    return failure();
  if (!imageFunction || layerScope || x->axes.front().name != tokenAxis.str())
    return error(loc) << "expected 'fold' of tokens in the entry 'image', "
                         "outside the layers and once, got "
                      << toString(x->axes);
  auto images = imageFunction->getAttrOfType<DictionaryAttr>(imagesAttr);
  auto merge = images ? images.getAs<IntegerAttr>("merge") : IntegerAttr();
  if (!merge || merge.getInt() * merge.getInt() != *n)
    return error(loc) << "expected a fold of the " << (merge ? "" : "unknown ")
                      << "patches that 'patches' merges, got " << *n;
  Shape axes{{ShapedType::kDynamic, selectedAxis.str(), {}}, {*n, "fold", {}}};
  axes.insert(axes.end(), x->axes.begin() + 1, x->axes.end());
  if (failed(checkAxes(axes, loc)))
    return failure();
  // Where the frames of films become one, the entry takes films.
  if (grid) {
    NamedAttrList layout(images);
    layout.set("films", builder.getUnitAttr());
    imageFunction->setAttr(imagesAttr,
                           layout.getDictionary(builder.getContext()));
  }
  auto type = typeFor(axes, x->getType().getElementType());
  return SpecValue::of(
      tensor(FoldOp::create(builder, named(loc), type, x->value,
                            grid ? batch() : mlir::Value()),
             axes));
}

std::optional<SpecValue> Evaluator::places(spec::BinaryOp op,
                                           const SpecValue &lhs,
                                           const SpecValue &rhs) const {
  using Kind = SpecValue::Kind;
  if (op == spec::BinaryOp::Or && lhs.is(Kind::Places) &&
      rhs.is(Kind::Places)) {
    std::vector<SpecValue> ids = lhs.elements;
    llvm::append_range(ids, rhs.elements);
    return SpecValue::places(std::move(ids));
  }
  bool isTokens = op == spec::BinaryOp::Equal && lhs.is(Kind::Tensor) &&
                  rhs.is(Kind::Int) && entryBlock && !imageFunction &&
                  lhs.tensor.value == entryBlock->getArgument(0);
  if (!isTokens)
    return std::nullopt;
  return SpecValue::places({rhs});
}

FailureOr<SmallVector<int32_t>>
Evaluator::tokenIds(ArrayRef<SpecValue> elements, StringRef what,
                    Location loc) {
  SmallVector<int32_t> ids;
  for (const SpecValue &id : elements) {
    if (!id.is(SpecValue::Kind::Int) || id.dim.size < 0 ||
        id.dim.size > maxAxisSize)
      return error(loc) << "expected token ids from 0 to " << maxAxisSize
                        << " in " << what << ", got " << id.describe();
    ids.push_back(static_cast<int32_t>(id.dim.size));
  }
  llvm::sort(ids);
  ids.erase(llvm::unique(ids), ids.end());
  return ids;
}

FailureOr<SpecValue> Evaluator::buildPutAt(StringRef name, const CallArgs &args,
                                           Location loc) {
  ArgReader reader(name, args, {"x", "where", "y"}, loc);
  if (!reader.ok())
    return failure();
  FailureOr<TensorValue> x = reader.tensor("x");
  if (failed(x))
    return failure();
  const SpecValue *where = reader.get("where"), *y = reader.get("y");
  if (!where->is(SpecValue::Kind::Places))
    return error(loc) << "expected places such as 'tokens == image_id' as "
                         "'where' of '"
                      << name << "', got " << where->describe();
  if (!y->is(SpecValue::Kind::Media))
    return error(loc) << "expected what the entry 'image' gave as 'y' of '"
                      << name << "', got " << y->describe();
  const MediaRows &rows = *y->media;
  Shape features = x->features();
  bool same = x->hasSequence() && x->axes.front().name == tokenAxis.str() &&
              features.size() == rows.axes.size() &&
              llvm::all_of(llvm::zip(features, rows.axes), [](auto pair) {
                return std::get<0>(pair).size == std::get<1>(pair).size;
              });
  if (!same)
    return error(loc) << "expected rows of images with the features of "
                      << toString(x->axes) << ", got " << toString(rows.axes);
  FailureOr<SmallVector<int32_t>> ids =
      tokenIds(where->elements, ("'where' of '" + name + "'").str(), loc);
  if (failed(ids))
    return failure();
  // The runtime counts an image's tokens for both.
  if (!positionedTokens.empty() && positionedTokens != *ids)
    return error(loc) << "expected the same tokens in 'where' of '" << name
                      << "' and in 'media' of 'text_grid_positions'";
  return SpecValue::of(tensor(
      PutAtOp::create(builder, named(loc), x->value.getType(), x->value,
                      batch(), builder.getDenseI32ArrayAttr(*ids),
                      builder.getI64IntegerAttr(rows.from),
                      builder.getI64IntegerAttr(rows.width),
                      name == "add_at" ? builder.getUnitAttr() : UnitAttr()),
      x->axes));
}

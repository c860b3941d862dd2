//===- AbsorbLatent.cpp - Attention over the latent itself ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Multi-head latent attention (arXiv:2405.04434) as published makes the keys
// and values of each head from one latent c with a matrix [K; V]:
//
//   score_h = q_h · (K_h c) + qr_h · r      y_h = V_h (Σ p c)
//
// where r is a part of the key that all heads share. Since q · (K c) is
// (Kᵀ q) · c, and a sum of V c is V of the sum, the latent and the shared part
// can be the one key/value head of all queries.
//
//===----------------------------------------------------------------------===//

#include "lib/Transforms/Passes.h"

#include "mlir/IR/IRMapping.h"

namespace clade {
#define GEN_PASS_DEF_ABSORBLATENTPASS
#include "lib/Transforms/Passes.h.inc"

using namespace mlir;

namespace {
/// A range of the last axis of the linear map that makes keys and values.
struct Part {
  SliceOp slice;
  int64_t begin = 0, size = 0;
};

/// An attention whose keys and values come from one latent.
struct LatentAttention {
  AttendOp attend;
  LinearOp linear;     ///< Makes `key` and `value` of each head.
  wmap::FuncOp weight; ///< Of the linear map, and of it alone.
  Part key, value;
  JoinOp join; ///< `key` and what all heads share, in either order.
  SpreadOp shared;
  bool keyIsFirst = false;
  int64_t sharedSize = 0;

  int64_t heads() { return attend.getQuery().getType().getShape()[1]; }
  int64_t latentSize() { return linear.getNumInputs(); }
  Type elementType() { return attend.getQuery().getType().getElementType(); }
};
} // namespace

/// A slice of the last axis of [token, heads, size].
static std::optional<Part> partOf(Value value) {
  auto slice = value.getDefiningOp<SliceOp>();
  if (!slice)
    return std::nullopt;
  NamedTensorType whole = slice.getInput().getType();
  if (whole.getRank() != 3 ||
      slice.getAxis() != whole.getNames().back().getValue())
    return std::nullopt;
  return Part{slice, static_cast<int64_t>(slice.getBegin()),
              slice.getResult().getType().getShape().back()};
}

/// The function of a weight that only this linear map reads, or null.
static wmap::FuncOp soleFunction(LinearOp linear, ModuleOp module) {
  auto param = linear.getWeight().getDefiningOp<ParamOp>();
  if (!param || !param->hasOneUse())
    return {};
  auto function = module.lookupSymbol<wmap::FuncOp>(param.getName());
  auto uses =
      function ? SymbolTable::getSymbolUses(function, module) : std::nullopt;
  return uses && llvm::range_size(*uses) == 1 ? function : wmap::FuncOp();
}

static std::optional<LatentAttention> match(AttendOp attend, ModuleOp module) {
  LatentAttention latent;
  latent.attend = attend;
  latent.join = attend.getKey().getDefiningOp<JoinOp>();
  if (!latent.join || latent.join.getInputs().size() != 2 ||
      !latent.join->hasOneUse())
    return std::nullopt;
  latent.keyIsFirst =
      latent.join.getInputs()[1].getDefiningOp<SpreadOp>() != nullptr;
  Value key = latent.join.getInputs()[latent.keyIsFirst ? 0 : 1];
  latent.shared = latent.join.getInputs()[latent.keyIsFirst ? 1 : 0]
                      .getDefiningOp<SpreadOp>();
  auto keyPart = partOf(key), valuePart = partOf(attend.getValue());
  if (!latent.shared || !keyPart || !valuePart)
    return std::nullopt;
  latent.key = *keyPart;
  latent.value = *valuePart;

  // Both are parts of one linear map, and together the whole of it.
  latent.linear = keyPart->slice.getInput().getDefiningOp<LinearOp>();
  if (!latent.linear || latent.linear.getBias() ||
      valuePart->slice.getInput() != latent.linear.getResult() ||
      !keyPart->slice->hasOneUse() || !valuePart->slice->hasOneUse() ||
      llvm::range_size(latent.linear.getResult().getUsers()) != 2)
    return std::nullopt;
  NamedTensorType made = latent.linear.getResult().getType(),
                  input = latent.linear.getInput().getType(),
                  shared = latent.shared.getInput().getType();
  bool isWhole = keyPart->size + valuePart->size == made.getShape()[2] &&
                 (keyPart->begin == 0 ? valuePart->begin == keyPart->size
                                      : valuePart->begin == 0 &&
                                            keyPart->begin == valuePart->size);
  if (!isWhole || made.getShape()[1] != latent.heads() ||
      input.getRank() != 2 || shared.getRank() != 2 ||
      input.getElementType() != latent.elementType() ||
      shared.getElementType() != latent.elementType())
    return std::nullopt;
  latent.sharedSize = shared.getShape()[1];
  latent.weight = soleFunction(latent.linear, module);
  if (!latent.weight)
    return std::nullopt;
  return latent;
}

namespace {
struct AbsorbLatentPass : impl::AbsorbLatentPassBase<AbsorbLatentPass> {
  using AbsorbLatentPassBase::AbsorbLatentPassBase;

  void runOnOperation() override {
    SmallVector<AttendOp> attends;
    getOperation().walk([&](AttendOp attend) { attends.push_back(attend); });
    for (AttendOp attend : attends) {
      auto latent = match(attend, getOperation());
      if (!latent || (onlySmaller && !isSmaller(*latent)))
        continue;
      rewrite(*latent);
      ++numAbsorbed;
    }
  }

  /// Whether a token's latent takes less memory than its keys and values.
  static bool isSmaller(LatentAttention &latent) {
    int64_t ofHead = latent.key.size + latent.sharedSize + latent.value.size;
    return latent.latentSize() + latent.sharedSize < latent.heads() * ofHead;
  }

  /// A param whose function takes one part of each head's rows of the linear
  /// map's weight: [heads, size, latent], or with `transposed`
  /// [heads, latent, size].
  Value partOfWeight(LatentAttention &latent, Part part, bool transposed,
                     StringRef suffix, OpBuilder &builder) {
    wmap::FuncOp source = latent.weight;
    Location loc = source.getLoc();
    Type element =
        cast<RankedTensorType>(source.getResultType()).getElementType();
    int64_t rows = latent.linear.getResult().getType().getShape()[2],
            columns = latent.latentSize();
    auto shaped = [&](int64_t a, int64_t b) {
      return RankedTensorType::get({latent.heads(), a, b}, element);
    };
    RankedTensorType type =
        transposed ? shaped(columns, part.size) : shaped(part.size, columns);
    std::string name = (source.getSymName() + suffix).str();
    OpBuilder top(source);
    auto function = wmap::FuncOp::create(top, loc, name, type);
    top.setInsertionPointToEnd(&function.getBody().emplaceBlock());
    IRMapping mapping;
    Block &body = source.getBody().front();
    for (Operation &op : body.without_terminator())
      top.clone(op, mapping);
    Value value =
        mapping.lookup(cast<wmap::ReturnOp>(body.getTerminator()).getValue());
    if (value.getType() != shaped(rows, columns))
      value = wmap::ReshapeOp::create(top, loc, shaped(rows, columns), value);
    value = wmap::SliceOp::create(top, loc, shaped(part.size, columns), value,
                                  top.getI64IntegerAttr(1),
                                  top.getI64IntegerAttr(part.begin));
    if (transposed)
      value = wmap::TransposeOp::create(top, loc, type, value,
                                        top.getDenseI64ArrayAttr({0, 2, 1}));
    wmap::ReturnOp::create(top, loc, value);

    StringAttr heads = latent.attend.getQuery().getType().getNames()[1],
               inner = latent.linear.getInput().getType().getNames()[1],
               outer = part.slice.getResult().getType().getNames()[2];
    auto weightType = NamedTensorType::get(
        &getContext(),
        {heads, transposed ? inner : outer, transposed ? outer : inner},
        type.getShape(), element, Attribute());
    Value param =
        ParamOp::create(builder, latent.linear.getLoc(), weightType, name);
    return param;
  }

  /// Elements [begin, begin + size) of each head of the queries; an operand of
  /// the join that made them, if it is just these.
  static Value partOfQuery(LatentAttention &latent, int64_t begin, int64_t size,
                           StringAttr name, OpBuilder &builder) {
    Value query = latent.attend.getQuery();
    if (auto join = query.getDefiningOp<JoinOp>()) {
      int64_t at = 0;
      for (Value input : join.getInputs()) {
        int64_t length = cast<NamedTensorType>(input.getType()).getShape()[2];
        if (at == begin && length == size)
          return input;
        at += length;
      }
    }
    auto type = cast<NamedTensorType>(query.getType());
    return SliceOp::create(builder, latent.attend.getLoc(),
                           type.withFeatures({type.getNames()[1], name},
                                             {type.getShape()[1], size}),
                           query, type.getNames()[2].getValue(), begin);
  }

  void rewrite(LatentAttention &latent) {
    AttendOp attend = latent.attend;
    OpBuilder builder(attend);
    Location loc = attend.getLoc();
    NamedTensorType queryType = attend.getQuery().getType(),
                    resultType = attend.getResult().getType(),
                    rowType = latent.linear.getInput().getType(),
                    sharedType = latent.shared.getInput().getType();
    StringAttr heads = queryType.getNames()[1],
               latentName = rowType.getNames()[1],
               sharedName = sharedType.getNames()[1];
    int64_t size = latent.latentSize(), both = size + latent.sharedSize;
    auto bothName = builder.getStringAttr(latentName.getValue() + "+" +
                                          sharedName.getValue());
    auto kvHead = builder.getStringAttr("kv_heads");

    // Queries in the latent's space.
    Value keyWeight =
        partOfWeight(latent, latent.key, /*transposed=*/true, ".keys", builder);
    Value query = partOfQuery(
        latent, latent.keyIsFirst ? 0 : latent.sharedSize, latent.key.size,
        latent.key.slice.getResult().getType().getNames()[2], builder);
    Value rotated = partOfQuery(latent, latent.keyIsFirst ? latent.key.size : 0,
                                latent.sharedSize, sharedName, builder);
    query = HeadLinearOp::create(
        builder, loc,
        queryType.withFeatures({heads, latentName}, {latent.heads(), size}),
        query, keyWeight);
    query = JoinOp::create(
        builder, loc,
        queryType.withFeatures({heads, bothName}, {latent.heads(), both}),
        ValueRange{query, rotated});

    // One key for all heads; values are its first elements.
    Value key = JoinOp::create(
        builder, loc, rowType.withFeatures({bothName}, {both}),
        ValueRange{latent.linear.getInput(), latent.shared.getInput()});
    key = ViewOp::create(
        builder, loc, rowType.withFeatures({kvHead, bothName}, {1, both}), key);
    Value value = SliceOp::create(
        builder, loc, rowType.withFeatures({kvHead, latentName}, {1, size}),
        key, bothName.getValue(), 0);
    Value sums = AttendOp::create(
        builder, loc,
        resultType.withFeatures({heads, latentName}, {latent.heads(), size}),
        query, key, value, attend.getBatch(), attend.getSink(),
        attend.getGroups(), attend.getStateAttr(), attend.getScaleAttr(),
        attend.getWindowAttr(), attend.getSoftcapAttr(), attend.getSlopesAttr(),
        attend.getModelSoftmaxAttr(), attend.getBidirectionalAttr());
    Value valueWeight = partOfWeight(latent, latent.value,
                                     /*transposed=*/false, ".values", builder);
    Value result =
        HeadLinearOp::create(builder, loc, resultType, sums, valueWeight);
    attend.replaceAllUsesWith(result);
    erase(latent);
  }

  /// What made keys and values of each head.
  void erase(LatentAttention &latent) {
    Operation *param = latent.linear.getWeight().getDefiningOp();
    auto queries = latent.attend.getQuery().getDefiningOp<JoinOp>();
    SmallVector<Operation *> dead{
        latent.attend, latent.join, latent.key.slice, latent.value.slice,
        latent.linear, param,       latent.weight};
    for (Operation *op : dead)
      op->erase();
    if (latent.shared.use_empty())
      latent.shared.erase();
    if (queries && queries.use_empty())
      queries.erase();
  }
};
} // namespace
} // namespace clade

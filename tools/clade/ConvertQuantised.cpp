//===- ConvertQuantised.cpp - Linear maps in published codes --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ConvertQuantised.h"

#include "dialect/Clade/CladeDialect.h"
#include "dialect/WMap/WMapDialect.h"

#include "runtime/Support/CheckedMath.h"

#include "llvm/Support/Regex.h"

#include <map>

using namespace clade;
using namespace clade::driver;
using ordered = nlohmann::ordered_json;

namespace {

constexpr llvm::StringLiteral weightEnd = ".weight";
constexpr int64_t fp8Block = 128, int4Group = 32;

/// The tensors that linear maps of a model read, by the texts that their names
/// match, and whether they may become codes.
class LinearMaps {
public:
  explicit LinearMaps(mlir::ModuleOp module) : module(module) {
    llvm::DenseSet<mlir::Operation *> ofImages;
    module.walk([&](mlir::func::FuncOp function) {
      if (function->hasAttr(import::imagesAttr))
        collectUsed(function, ofImages);
    });
    module.walk([&](mlir::Operation *op) {
      mlir::Value weight;
      if (auto linear = llvm::dyn_cast<LinearOp>(op))
        weight = linear.getWeight();
      else if (auto experts = llvm::dyn_cast<ExpertLinearOp>(op))
        weight = experts.getWeight();
      auto param = weight ? weight.getDefiningOp<ParamOp>() : ParamOp();
      if (!param)
        return;
      bool mayEncode =
          !ofImages.count(op->getParentOfType<mlir::func::FuncOp>()) &&
          !decidesChoices(op->getResult(0));
      add(param.getName(), mayEncode);
    });
  }

  /// Nothing for a tensor that no linear map reads.
  std::optional<bool> mayEncode(llvm::StringRef name) const {
    for (const auto &[text, may] : byText)
      if (llvm::Regex(text).match(name))
        return may;
    return std::nullopt;
  }

private:
  /// The op, and all that it names.
  void collectUsed(mlir::Operation *op,
                   llvm::DenseSet<mlir::Operation *> &used) {
    if (!op || !used.insert(op).second)
      return;
    op->walk([&](mlir::Operation *inner) {
      inner->getAttrDictionary().walk([&](mlir::FlatSymbolRefAttr name) {
        collectUsed(module.lookupSymbol(name.getValue()), used);
      });
    });
  }

  /// Whether a choice is made by the value, before another map reads it.
  static bool decidesChoices(mlir::Value value) {
    return llvm::any_of(value.getUsers(), [](mlir::Operation *user) {
      if (llvm::isa<TopKOp>(user))
        return true;
      return !llvm::isa<LinearOp, ExpertLinearOp>(user) &&
             llvm::any_of(user->getResults(), decidesChoices);
    });
  }

  void add(llvm::StringRef symbol, bool mayEncode) {
    auto function = module.lookupSymbol<wmap::FuncOp>(symbol);
    if (!function)
      return;
    function.walk([&](wmap::SourceOp source) {
      // What lies outside of layers is the head.
      llvm::StringRef name = source.getName();
      std::string text = "^";
      while (!name.empty()) {
        size_t at = name.find('{');
        text += llvm::Regex::escape(name.take_front(at));
        name = name.drop_front(std::min(at, name.size()));
        if (name.empty())
          break;
        text += "[0-9]+";
        name = name.drop_front(name.find('}') + 1);
      }
      bool isOfLayers = source.getName().contains(layerPlaceholder);
      auto [it, isNew] =
          byText.try_emplace(text + "$", mayEncode && isOfLayers);
      it->second &= mayEncode;
    });
  }

  mlir::ModuleOp module;
  std::map<std::string, bool> byText;
};

rt::WeightNode nodeOf(rt::WeightOp op, rt::DType dtype,
                      std::vector<int64_t> shape,
                      std::vector<rt::WeightNode> inputs) {
  rt::WeightNode node;
  node.op = op;
  node.dtype = dtype;
  node.shape = std::move(shape);
  node.inputs = std::move(inputs);
  return node;
}

/// Scales of blocks of a matrix.
rt::WeightNode scalesOf(const rt::WeightNode &matrix,
                        const std::vector<int64_t> &block, float largest,
                        rt::DType dtype) {
  rt::WeightNode node = nodeOf(rt::WeightOp::BlockScale, dtype,
                               {rt::ceilDiv(matrix.shape[0], block[0]),
                                rt::ceilDiv(matrix.shape[1], block[1])},
                               {matrix});
  node.block = block;
  node.value = largest;
  return node;
}

/// Codes of a matrix over its scales.
rt::WeightNode codesOf(const rt::WeightNode &matrix,
                       const rt::WeightNode &scales, rt::DType dtype) {
  rt::WeightNode divided = nodeOf(rt::WeightOp::Divide, rt::DType::F32,
                                  matrix.shape, {matrix, scales});
  divided.block = scales.block;
  std::vector<int64_t> shape = matrix.shape;
  shape.back() /= rt::codesPerElement(dtype);
  return nodeOf(rt::WeightOp::Encode, dtype, std::move(shape),
                {std::move(divided)});
}

/// The tensors that stand for a matrix.
std::vector<OutputTensor> encoded(llvm::StringRef form, OutputTensor tensor,
                                  rt::DType dtype) {
  std::string module =
      llvm::StringRef(tensor.name).drop_back(weightEnd.size()).str();
  const rt::WeightNode &matrix = tensor.program;
  auto output = [&](const char *suffix, rt::WeightNode program) {
    rt::DType own = program.dtype;
    return OutputTensor{module + suffix, own, std::move(program)};
  };
  if (form == "fp8") {
    rt::WeightNode scales =
        scalesOf(matrix, {fp8Block, fp8Block}, 448, rt::DType::F32);
    rt::WeightNode codes = codesOf(matrix, scales, rt::DType::F8_E4M3);
    return {output(".weight", std::move(codes)),
            output(".weight_scale_inv", std::move(scales))};
  }
  rt::WeightNode scales = scalesOf(matrix, {1, int4Group}, 7.5f, dtype);
  rt::WeightNode codes = codesOf(matrix, scales, rt::DType::I32);
  rt::WeightNode sizes =
      nodeOf(rt::WeightOp::Constant, rt::DType::F32, {2}, {});
  for (int64_t size : matrix.shape)
    sizes.values.push_back(static_cast<float>(size));
  return {output(".weight_packed", std::move(codes)),
          output(".weight_scale", std::move(scales)),
          output(".weight_shape", nodeOf(rt::WeightOp::Encode, rt::DType::I64,
                                         {2}, {std::move(sizes)}))};
}

bool fits(llvm::StringRef form, const OutputTensor &tensor) {
  const std::vector<int64_t> &shape = tensor.program.shape;
  if (shape.size() != 2 || !llvm::StringRef(tensor.name).ends_with(weightEnd))
    return false;
  // transformers leaves matrices as they are that are no whole blocks.
  return form == "fp8" ? shape[0] % fp8Block == 0 && shape[1] % fp8Block == 0
                       : shape[0] >= int4Group && shape[1] % int4Group == 0;
}

/// 'quantization_config', with the modules that are no codes.
ordered describe(llvm::StringRef form, const std::vector<std::string> &kept) {
  if (form == "fp8")
    return {{"quant_method", "fp8"},
            {"activation_scheme", "dynamic"},
            {"weight_block_size", {fp8Block, fp8Block}},
            {"modules_to_not_convert", kept}};
  ordered weights = {{"num_bits", 4},
                     {"type", "int"},
                     {"symmetric", true},
                     {"strategy", "group"},
                     {"group_size", int4Group}};
  return {{"quant_method", "compressed-tensors"},
          {"format", "pack-quantized"},
          {"quantization_status", "compressed"},
          {"config_groups",
           {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}}}}},
          {"ignore", kept}};
}

} // namespace

bool driver::isOfCodes(llvm::StringRef dtype) {
  return dtype == "fp8" || dtype == "int4";
}

bool driver::encodeLinearMaps(llvm::StringRef form,
                              import::ImportedModel &model, rt::DType dtype,
                              std::vector<OutputTensor> &tensors,
                              ordered &config, ConvertReport &report) {
  LinearMaps maps(*model.module);
  std::vector<OutputTensor> result;
  std::vector<std::string> kept;
  int64_t unfit = 0;
  for (OutputTensor &tensor : tensors) {
    std::optional<bool> may = maps.mayEncode(tensor.name);
    bool isEncoded = may.value_or(false) && fits(form, tensor);
    if (isEncoded) {
      llvm::append_range(result, encoded(form, std::move(tensor), dtype));
      continue;
    }
    llvm::StringRef module = tensor.name;
    if (may && module.consume_back(weightEnd))
      kept.push_back(module.str());
    unfit += may.value_or(false);
    result.push_back(std::move(tensor));
  }
  if (result.size() == tensors.size())
    return fail("no linear map of layers can be " + form.str() +
                ": none is a matrix of whole blocks") == Done;
  if (unfit > 0)
    report.notes.push_back(
        std::to_string(unfit) +
        " linear maps are no codes: their tensors are no matrices of whole "
        "blocks");
  llvm::sort(kept);
  config["quantization_config"] = describe(form, kept);
  tensors = std::move(result);
  return true;
}

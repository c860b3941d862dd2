//===- ImageEntry.cpp - What a module's entry for images takes ------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/ImageEntry.h"

#include "dialect/Clade/CladeDialect.h"
#include "lib/Import/Evaluator.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <set>

using namespace clade;
using namespace clade::driver;

std::optional<rt::ManifestImages> driver::imageEntryOf(mlir::ModuleOp module) {
  auto function = module.lookupSymbol<mlir::func::FuncOp>("image");
  auto attributes =
      function
          ? function->getAttrOfType<mlir::DictionaryAttr>(import::imagesAttr)
          : mlir::DictionaryAttr();
  if (!attributes)
    return std::nullopt;
  auto text = [&](llvm::StringRef name) {
    auto value = attributes.getAs<mlir::StringAttr>(name);
    return value ? value.str() : std::string();
  };
  auto number = [&](llvm::StringRef name) -> int64_t {
    auto value = attributes.getAs<mlir::IntegerAttr>(name);
    return value ? value.getInt() : 1;
  };
  rt::ManifestImages images;
  images.layout = {text("pixels"),
                   text("sizes"),
                   number("frames"),
                   number("channels"),
                   number("patch"),
                   number("merge"),
                   1,
                   attributes.contains("in_rows"),
                   attributes.contains("films")};
  module.walk([&](PositionsOp positions) {
    images.gridPositions |= positions.getResult().getType().getRank() == 2;
  });
  function.walk([&](FoldOp fold) { images.layout.fold = fold.getTimes(); });
  std::set<int32_t> tokens;
  module.walk([&](PutAtOp put) {
    tokens.insert(put.getTokens().begin(), put.getTokens().end());
  });
  images.tokens.assign(tokens.begin(), tokens.end());
  return images;
}

rt::Status driver::addInputs(std::vector<rt::GenerateRequest> &requests,
                             const std::vector<std::string> &inputs,
                             const std::optional<rt::ManifestImages> &entry) {
  for (auto [request, path] : llvm::zip_equal(requests, inputs)) {
    if (path.empty())
      continue;
    if (!entry)
      return rt::Status::invalidArgument(
          "the model takes no inputs beside the tokens, got '" + path + "'");
    CLADE_ASSIGN_OR_RETURN(rt::SafetensorsFile file,
                           rt::SafetensorsFile::open(path));
    rt::StatusOr<rt::ImagePatches> images =
        rt::cutImages(entry->layout, file.tensors());
    if (!images.ok())
      return images.takeStatus().withContext("'" + path + "'");
    request.images =
        std::make_shared<const rt::ImagePatches>(std::move(*images));
  }
  return {};
}

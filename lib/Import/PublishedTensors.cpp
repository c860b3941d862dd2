//===- PublishedTensors.cpp - What a checkpoint would hold ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Evaluator.h"
#include "lib/Import/Import.h"
#include "lib/Import/Reach.h"

#include "mlir/IR/Verifier.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

FailureOr<std::vector<PublishedTensor>>
import::publishedTensors(SpecLibrary &library, const spec::FamilyDecl *decl,
                         const Config &config) {
  MLIRContext *context = library.getContext();
  context->loadDialect<CladeDialect, wmap::WMapDialect, func::FuncDialect>();
  Family family(library, decl);
  if (failed(checkAllKeysRead(family, config)))
    return failure();
  OwningOpRef<ModuleOp> module = ModuleOp::create(config.locationOf(""));
  ImportOptions options{Float32Type::get(context)};
  WeightResolver weights(family, /*checkpoint=*/nullptr, {});
  weights.inventTensors(rt::DType::F32);
  Evaluator evaluator(family, &config, config.record(), &weights, *module,
                      options);
  weights.setEvaluator(&evaluator);
  if (failed(evaluator.checkRequirements()) ||
      failed(evaluator.buildEntry("forward")) || failed(verify(*module)))
    return failure();
  std::vector<PublishedTensor> tensors;
  for (const auto &[name, shape] : weights.getInvented())
    tensors.push_back({name, shape});
  return tensors;
}

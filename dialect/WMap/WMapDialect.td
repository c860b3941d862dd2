//===- WMapDialect.td - The weight-mapping dialect ---------*- tablegen -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECT_WMAP_WMAP_DIALECT_TD
#define DIALECT_WMAP_WMAP_DIALECT_TD

include "mlir/IR/DialectBase.td"
include "mlir/IR/OpBase.td"

def WMap_Dialect : Dialect {
  let name = "wmap";
  let summary = "How compiled weights are made from published tensors";
  let description = [{
    A `wmap.func` is one weight of the compiled model. Its body is a straight line
    of ops over ranked tensors, from `wmap.source` (a tensor of the checkpoint) to
    `wmap.return`. Every op states its shape rule; a pass that changes how compute
    uses a weight changes the weight's function in the same step.

    Inside the function of a layer kind, `{layer}` in the name of a source stands
    for the number of the layer.
  }];
  let cppNamespace = "::clade::wmap";
  let dependentDialects = [];
  let useDefaultTypePrinterParser = 1;
}

class WMap_Op<string mnemonic, list<Trait> traits = []> : Op<WMap_Dialect, mnemonic, traits>;

#endif // DIALECT_WMAP_WMAP_DIALECT_TD

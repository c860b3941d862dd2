//===- Matrix.cpp - Instructions of the tensor cores ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/MatrixTile.h"

using namespace clade::ptx;

void clade::ptx::addMatrix(Registry &registry) {
  addMatrixMultiply(registry);
  addMatrixMove(registry);
  addMatrixLoad(registry);
  addWarpgroup(registry);
}

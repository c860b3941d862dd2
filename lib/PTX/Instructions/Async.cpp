//===- Async.cpp - Asynchronous copies and their barriers -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/AsyncState.h"

using namespace clade::ptx;

void clade::ptx::addAsync(Registry &registry) {
  addAsyncCopy(registry);
  addMbarrier(registry);
}

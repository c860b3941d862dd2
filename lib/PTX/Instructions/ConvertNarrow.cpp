//===- ConvertNarrow.cpp - Conversions of formats below 16 bits -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Decoder.h"

using namespace clade::ptx;

void clade::ptx::addConvertNarrow(Registry &) {}

//===- Control.h - Decoders of control flow in several files ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_INSTRUCTIONS_CONTROL_H
#define CLADE_PTX_INSTRUCTIONS_CONTROL_H

#include "lib/PTX/Decoder.h"

namespace clade::ptx {

void decodeCall(Decoder &d);

} // namespace clade::ptx

#endif // CLADE_PTX_INSTRUCTIONS_CONTROL_H

//===- Image.h - What a program gives as a module's code ------ -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_PTXDRIVER_IMAGE_H
#define CLADE_LIB_PTXDRIVER_IMAGE_H

#include "lib/PTX/Result.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace clade::vcuda {

/// The PTX in an image: the text itself, ended by a zero byte, or the newest
/// text for at most compute capability `limit` (90 for sm_90) in a fat binary
/// or its wrapper. `isSpecific` says that text for exactly this architecture
/// ("sm_90a") is welcome too. Errors say what the image is instead.
/// Where a fat binary's length is not known it says so itself, as in CUDA.
ptx::Result<std::string> extractPtx(const void *image, unsigned limit,
                                    bool isSpecific);

} // namespace clade::vcuda

#endif // CLADE_LIB_PTXDRIVER_IMAGE_H

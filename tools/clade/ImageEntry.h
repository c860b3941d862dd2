//===- ImageEntry.h - What a module's entry for images takes ----*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_IMAGEENTRY_H
#define CLADE_TOOLS_CLADE_IMAGEENTRY_H

#include "mlir/IR/BuiltinOps.h"
#include "runtime/Engine/Generate.h"

namespace clade::driver {

/// The layout of a module's entry for images, and the tokens that stand for
/// what it gives; nothing for a module without such an entry.
std::optional<rt::ManifestImages> imageEntryOf(mlir::ModuleOp module);

/// Cuts the images of each request's file of inputs, if it has one; `inputs`
/// are as many as `requests`. InvalidArgument names the file.
rt::Status addInputs(std::vector<rt::GenerateRequest> &requests,
                     const std::vector<std::string> &inputs,
                     const std::optional<rt::ManifestImages> &entry);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_IMAGEENTRY_H

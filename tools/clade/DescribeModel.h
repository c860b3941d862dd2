//===- DescribeModel.h - What a manifest says of a model --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_DESCRIBEMODEL_H
#define CLADE_TOOLS_CLADE_DESCRIBEMODEL_H

#include "tools/clade/CompileModel.h"

#include "lib/CodeGen/CPU/Target.h"
#include "lib/Weights/Slots.h"

namespace clade::driver {

/// What the manifest says of a model, but for its layers.
rt::Manifest describeModel(const import::ImportedModel &model,
                           const rt::Checkpoint &checkpoint,
                           const ModelChoice &choice,
                           const rt::ManifestTarget &target);

/// Of a CPU.
rt::ManifestTarget describeTarget(const cpu::Target &target);

/// Adds the entries' layers and states to the manifest.
void describeLayers(mlir::ModuleOp module, const SlotTable &slots,
                    rt::Manifest &manifest);

/// The positions that every table of learned ones has rows for; nothing without
/// such a table.
std::optional<int64_t> numPositions(mlir::ModuleOp module);

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_DESCRIBEMODEL_H

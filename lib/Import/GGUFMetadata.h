//===- GGUFMetadata.h - A configuration as GGUF metadata --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The family 'gguf' read backwards: its fields say how metadata makes the keys
// of a configuration, so a value of a key says what the metadata must be.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_GGUFMETADATA_H
#define CLADE_IMPORT_GGUFMETADATA_H

#include "lib/Import/Import.h"

namespace clade::import {

/// The metadata of a GGUF file of a model, as objects by the parts of the keys:
/// "llama.block_count" is `["llama"]["block_count"]`. A count of an array is
/// `{"count": n}`; the numbers of a tensor that is no weight are `["vectors"]`
/// and the parts of its name. Reports the key of the configuration that no
/// metadata says.
mlir::FailureOr<nlohmann::json> ggufMetadata(SpecLibrary &library,
                                             const spec::FamilyDecl *family,
                                             const Config &config);

} // namespace clade::import

#endif // CLADE_IMPORT_GGUFMETADATA_H

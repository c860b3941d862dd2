//===- Import.h - From spec and checkpoint to a module ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The front door of the compiler: finds the family, runs its spec on the
// configuration, proves the weight mapping from the tensor headers.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_IMPORT_H
#define CLADE_IMPORT_IMPORT_H

#include "lib/Import/Config.h"
#include "lib/Import/Family.h"
#include "lib/Import/WeightResolver.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "runtime/Formats/Checkpoint.h"

namespace clade::import {

/// A checkpoint seen through its family.
struct ImportedModel {
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string family;
  std::string architecture;
  std::string dtype; ///< "bf16" or "f32".
  std::unique_ptr<Config>
      config; ///< As published, or made from a GGUF's metadata.
};

/// Imports a checkpoint: module with one function a layer kind, one wmap.func a
/// weight. `dtype` is "bf16", "f32" or empty for the checkpoint's own. The
/// adapter beside the checkpoint, if there is one, is merged into it; `places`
/// are for others that the engine loads. All
/// errors are reported: an unread key, a missing, unused or misshapen tensor, …
mlir::FailureOr<ImportedModel>
importCheckpoint(SpecLibrary &library, const rt::Checkpoint &checkpoint,
                 llvm::StringRef dtype, AdapterPlaces places = {});

/// Imports a family for a configuration and the tensors of a checkpoint, sorted
/// by name, with an adapter merged into them; without `tensors` for those that
/// the family asks for, in f32.
mlir::FailureOr<ImportedModel>
importFamily(SpecLibrary &library, const spec::FamilyDecl *family,
             std::unique_ptr<Config> config,
             std::optional<llvm::ArrayRef<rt::StoredTensor>> tensors,
             llvm::StringRef dtype, const rt::Adapter *adapter = nullptr,
             AdapterPlaces places = {});

/// Imports a family over the tensors of a GGUF file that does not exist yet, in
/// f32. `contents` are its metadata by dotted keys, as objects.
mlir::FailureOr<ImportedModel> importGGUFForm(SpecLibrary &library,
                                              const spec::FamilyDecl *family,
                                              std::unique_ptr<Config> config,
                                              const nlohmann::json &contents);

/// A tensor of a checkpoint that does not exist yet.
struct PublishedTensor {
  std::string name;
  std::vector<int64_t> shape;
};

/// The tensors that a family takes for a configuration, by its own weight
/// paths: the whole family is instantiated without a checkpoint. All errors are
/// reported: unread keys, requirements, a weight whose published form only a
/// checkpoint tells.
mlir::FailureOr<std::vector<PublishedTensor>>
publishedTensors(SpecLibrary &library, const spec::FamilyDecl *family,
                 const Config &config);

/// The configuration of a checkpoint: its config.json, or what the family
/// 'gguf' makes of a GGUF file's metadata.
mlir::FailureOr<std::unique_ptr<Config>>
loadConfig(SpecLibrary &library, const rt::Checkpoint &checkpoint);

/// Whether what a family says about the configurations that it serves holds of
/// one; a family that says nothing serves all.
mlir::FailureOr<bool> servesConfig(const SpecLibrary &library,
                                   const spec::FamilyDecl *decl,
                                   const Config &config);

/// The family that serves a configuration; reports the nearest one if none
/// does.
mlir::FailureOr<const spec::FamilyDecl *> findFamily(const SpecLibrary &library,
                                                     const Config &config);

} // namespace clade::import

#endif // CLADE_IMPORT_IMPORT_H

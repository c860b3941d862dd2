//===- LoadedCode.h - A module as callable functions ------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_LOADEDCODE_H
#define CLADE_CODEGEN_CPU_LOADEDCODE_H

#include "lib/CodeGen/CPU/Compile.h"
#include <memory>

namespace clade::cpu {

/// A shared object made from a module, loaded as long as this lives. Its file
/// is removed at once.
class LoadedCode {
public:
  /// Compiles, links and loads `module`, whose functions `names` can be called.
  /// Null, with an error at the module's location, if that fails.
  static std::unique_ptr<LoadedCode> create(mlir::ModuleOp module,
                                            const CompileOptions &options,
                                            llvm::ArrayRef<std::string> names);
  ~LoadedCode();

  template <typename Function> Function *function(const char *name) const {
    return reinterpret_cast<Function *>(lookup(name));
  }

private:
  void *lookup(const char *name) const;
  void *handle = nullptr;
};

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_LOADEDCODE_H

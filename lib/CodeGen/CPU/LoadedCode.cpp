//===- LoadedCode.cpp - A module as callable functions --------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/LoadedCode.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <dlfcn.h>

using namespace mlir;

namespace clade::cpu {

std::unique_ptr<LoadedCode> LoadedCode::create(ModuleOp module,
                                               const CompileOptions &options,
                                               ArrayRef<std::string> names) {
  FailureOr<SmallVector<char>> object = compileToObject(module, options);
  if (failed(object))
    return nullptr;
  SmallString<128> path;
  llvm::sys::path::system_temp_directory(true, path);
  llvm::sys::path::append(path, "clade-kernel-%%%%%%%%.so");
  llvm::sys::fs::createUniquePath(path, path, /*MakeAbsolute=*/false);
  llvm::MemoryBufferRef reference(StringRef(object->data(), object->size()),
                                  "kernel");
  if (failed(linkSharedObject(module.getLoc(), reference, path, names)))
    return nullptr;
  auto loaded = std::make_unique<LoadedCode>();
  loaded->handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!loaded->handle)
    emitError(module.getLoc()) << dlerror();
  llvm::sys::fs::remove(path);
  return loaded->handle ? std::move(loaded) : nullptr;
}

LoadedCode::~LoadedCode() {
  if (handle)
    dlclose(handle);
}

void *LoadedCode::lookup(const char *name) const { return dlsym(handle, name); }

} // namespace clade::cpu

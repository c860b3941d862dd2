//===- Sanitize.h - Sanitizers for generated code ---------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A compiler that is itself built with AddressSanitizer or ThreadSanitizer
// makes code that is checked, too. Such code calls the sanitizer's runtime in
// the program that loads it, which must have been built with the same one.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_CODEGEN_CPU_SANITIZE_H
#define CLADE_CODEGEN_CPU_SANITIZE_H

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace clade::cpu {

/// Adds the checks of this build's sanitizer to every function that `module`
/// defines; without one does nothing.
void sanitizeCode(llvm::Module &module, llvm::TargetMachine &machine);

} // namespace clade::cpu

#endif // CLADE_CODEGEN_CPU_SANITIZE_H

//===- Compiler.h - What machine code a kernel becomes ----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_TOOL_COMPILER_H
#define CLADE_PTX_TOOL_COMPILER_H

#include "lib/PTX/CompilerReport.h"
#include "lib/PTX/Result.h"

namespace clade::ptx {

/// Registers of a kernel, and who says so.
struct KernelRegisters {
  CompiledKernel kernel;
  std::string source; ///< "ptxas -arch=sm_90a", "--registers"; empty: nobody.
};

/// Where registers come from: a number, a file with the output of ptxas -v, or,
/// where it is empty, ptxas itself if it is installed (in $CUDA_HOME/bin,
/// $PATH, /usr/local/cuda/bin).
class RegisterSource {
public:
  static Result<RegisterSource> make(const std::string &option,
                                     std::string ptxFile, std::string kernel);
  /// The registers of the machine code for "sm_90a" and the like; unknown where
  /// ptxas is not there or refuses the module.
  KernelRegisters registersFor(std::string_view architecture) const;

private:
  std::string ptxFile, kernel;
  std::string text;    ///< Of the file; empty where there is none.
  uint32_t number = 0; ///< 0: none.
  std::string fileName;
};

} // namespace clade::ptx

#endif // CLADE_PTX_TOOL_COMPILER_H

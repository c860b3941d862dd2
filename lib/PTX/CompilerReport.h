//===- CompilerReport.h - What ptxas says of a kernel -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_COMPILERREPORT_H
#define CLADE_PTX_COMPILERREPORT_H

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace clade::ptx {

/// The figures of "ptxas -v" (or "nvcc -Xptxas -v") for one kernel.
struct CompiledKernel {
  std::string architecture; ///< "sm_90a".
  uint32_t registers = 0;   ///< Of a thread.
  uint64_t spillStores = 0; ///< Bytes of a thread.
  uint64_t spillLoads = 0;
};

/// Reads what ptxas printed; the kernel for the architecture where it is there
/// for several, else the last one. Nothing where the kernel is not there.
std::optional<CompiledKernel> readCompilerReport(std::string_view text,
                                                 std::string_view kernel,
                                                 std::string_view architecture);

} // namespace clade::ptx

#endif // CLADE_PTX_COMPILERREPORT_H

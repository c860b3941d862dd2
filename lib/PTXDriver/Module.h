//===- Module.h - Loading modules and finding their kernels --- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_PTXDRIVER_MODULE_H
#define CLADE_LIB_PTXDRIVER_MODULE_H

#include "lib/PTXDriver/Driver.h"

#include "lib/PTX/Occupancy.h"

namespace clade::vcuda {

/// Loads PTX into the current context. What goes wrong is in `log`, which is
/// not yet said.
CUresult loadText(const std::string &text, const std::string &name,
                  CUmodule &module, std::string &log);

/// A kernel of a module, made at its first use. A kernel with instructions that
/// the machine does not know is CUDA_ERROR_NOT_SUPPORTED.
CUresult findFunction(Module &module, std::string_view name,
                      CUfunction &function);

/// The error for PTX of a target that the device cannot run; empty if it can.
std::string targetError(std::string_view target, const DeviceModel &model);

void unloadModule(Module &module);

/// The function of a library's kernel in the current context.
CUresult functionOfKernel(LibraryKernel &kernel, CUfunction &function);

/// An attribute of a function; CUDA_ERROR_INVALID_VALUE for one that is not
/// known.
CUresult functionAttribute(const Function &function,
                           CUfunction_attribute attribute, int &value);
/// What a block needs of a multiprocessor; registers as stated.
ptx::BlockDemand demandOf(const Function &function, uint32_t threads,
                          uint64_t dynamicShared);
CUresult setFunctionAttribute(Function &function,
                              CUfunction_attribute attribute, int value);

} // namespace clade::vcuda

#endif // CLADE_LIB_PTXDRIVER_MODULE_H

//===- Python.h - The Python that reference scripts run in ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_PYTHON_H
#define CLADE_TOOLS_CLADE_PYTHON_H

#include "runtime/Support/Status.h"

#include <string>

namespace clade::driver {

/// The program $CLADE_PYTHON, or that of the environment which
/// tools/dev/python-env.sh has made. Unsupported if there is neither.
rt::StatusOr<std::string> findPython();

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_PYTHON_H

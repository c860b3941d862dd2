//===- MachineLimits.h - What this machine can do at most -------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TOOLS_CLADE_MACHINELIMITS_H
#define CLADE_TOOLS_CLADE_MACHINELIMITS_H

#include "lib/CodeGen/CPU/LoadedCode.h"
#include "lib/CodeGen/CPU/Probes.h"
#include "runtime/Engine/ThreadPool.h"

namespace clade::driver {

/// Measures reading and arithmetic with all threads at once, in time as it
/// passes: what else the machine does counts for the limits as it does for what
/// is measured beside them. Measure them in turn.
class MachineLimits {
public:
  /// Null if the probes cannot be compiled or the memory to read is not there;
  /// says why.
  static std::unique_ptr<MachineLimits> create(const cpu::Target &target,
                                               int threads);

  /// Bytes a second of one pass over more memory than caches hold.
  double readBandwidth();
  /// Operations a second of multiply-adds in registers, of pairs of bf16 or
  /// fours of 8 bits where the target has them, or of f32.
  double peak(cpu::Arithmetic arithmetic);

private:
  struct FreeBuffer {
    void operator()(char *data) const;
  };

  std::unique_ptr<cpu::LoadedCode> code;
  std::unique_ptr<rt::ThreadPool> pool;
  std::unique_ptr<char, FreeBuffer> buffer;
  int64_t readStepBytes = 0;
  int64_t stepOperations[3] = {}; ///< By arithmetic.
};

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_MACHINELIMITS_H

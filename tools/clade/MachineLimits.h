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
  /// Floating-point operations a second of multiply-adds in registers, of bf16
  /// pairs where the target has them, or of f32.
  double peak(bool isBF16);

private:
  struct FreeBuffer {
    void operator()(char *data) const;
  };

  std::unique_ptr<cpu::LoadedCode> code;
  std::unique_ptr<rt::ThreadPool> pool;
  std::unique_ptr<char, FreeBuffer> buffer;
  int64_t readStepBytes = 0, f32StepFlops = 0, bf16StepFlops = 0;
};

} // namespace clade::driver

#endif // CLADE_TOOLS_CLADE_MACHINELIMITS_H

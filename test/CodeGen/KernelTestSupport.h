//===- KernelTestSupport.h - Targets and messages in tests ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The instruction sets that this machine can execute, and a way to see the
// messages of a context.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_KERNELTESTSUPPORT_H
#define CLADE_TEST_CODEGEN_KERNELTESTSUPPORT_H

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include <ostream>
#include <string>
#include <vector>

namespace clade::cpu::test {

struct TestCPU {
  const char *name;
  const char *cpu;
  const char *features = "";
};

inline void PrintTo(const TestCPU &cpu, std::ostream *stream) {
  *stream << cpu.name;
}

/// This machine's own CPU and the x86-64 levels below it: with AVX-512 but
/// without bf16, with AVX2, with SSE4.2. Kernels for a CPU of a level are those
/// of the level.
inline std::vector<TestCPU> testCPUs() {
  std::vector<TestCPU> cpus = {{"native", "native"}};
  bool avx512 =
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw");
  if (avx512 && __builtin_cpu_supports("avx512bf16"))
    cpus.push_back({"v4", "x86-64-v4"});
  if (avx512)
    cpus.push_back({"v3", "x86-64-v3"});
  cpus.push_back({"v2", "x86-64-v2"});
  return cpus;
}

/// The same, and of this machine's own CPU one with the tile registers of AMX
/// and one without: kernels of products and of attention differ in nothing
/// else. Where the machine has none they have to be emulated (TileEmulation.h).
inline std::vector<TestCPU> productCPUs() {
  std::vector<TestCPU> cpus = testCPUs();
  cpus.front() = {"native", "native", "-amx-tile,-amx-bf16,-amx-int8"};
  cpus.push_back({"tiles", "native", "+amx-tile,+amx-bf16,+amx-int8"});
  return cpus;
}

/// Collects the errors of a context instead of printing them.
class CollectedErrors {
public:
  explicit CollectedErrors(mlir::MLIRContext *context)
      : handler(context, [this](mlir::Diagnostic &diagnostic) {
          messages.push_back(diagnostic.str());
        }) {}
  /// All messages, one a line.
  std::string text() const {
    std::string all;
    for (const std::string &message : messages)
      all += message + "\n";
    return all;
  }

private:
  std::vector<std::string> messages;
  mlir::ScopedDiagnosticHandler handler;
};

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_KERNELTESTSUPPORT_H

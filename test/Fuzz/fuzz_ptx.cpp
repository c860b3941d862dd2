//===- fuzz_ptx.cpp - Any text through the PTX parser and decoder ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No text crashes the parser, the loader or the decoder of kernels, and an
// error has a message. What decodes is launched for a moment: no kernel harms
// the machine.
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Machine.h"
#include "lib/PTX/Parser.h"

#include <cstdio>
#include <cstdlib>

using namespace clade::ptx;

namespace {

void check(bool condition, const char *what) {
  if (condition)
    return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  auto module = parse({reinterpret_cast<const char *>(data), size}, "fuzz.ptx");
  if (!module) {
    check(!module.error().message.empty(), "an error without a message");
    return 0;
  }
  // Large variables would only fill memory.
  for (const Variable &variable : module->variables)
    if (variable.size > 1 << 20)
      return 0;
  for (const Function &function : module->functions)
    for (const Variable &variable : function.variables)
      if (variable.size > 1 << 16)
        return 0;
  Machine machine;
  auto id = machine.load(std::move(*module));
  if (!id)
    return 0;
  for (const Function &function : machine.module(*id)->functions) {
    auto kernel = machine.findKernel(*id, function.name);
    if (!kernel) {
      check(!kernel.error().message.empty(), "an error without a message");
      continue;
    }
    if (kernel->localBytes() > 1 << 16 ||
        kernel->function().registers.size() > 1 << 14)
      continue;
    LaunchOptions options;
    options.workers = 1;
    options.budget = 2000;
    options.traceCapacity = 1000;
    options.print = [](std::string_view) {};
    options.parameters.resize(kernel->function().parameterBytes);
    auto report = machine.launch(*kernel, options);
    check(report || !report.error().message.empty(),
          "an error without a message");
  }
  return 0;
}

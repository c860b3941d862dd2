//===- fuzz_spec.cpp - Any text through the parser and the formatter ------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No text crashes the parser, and a text that parses has a canonical form that
// means the same and is its own canonical form.
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/Format.h"
#include "lib/Spec/Parser.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdio>
#include <cstdlib>

using namespace clade::spec;

namespace {

/// A text, and what the front end makes of it if it parses.
struct Result {
  bool isValid = false;
  std::string tree;
  std::string text;
};

Result process(llvm::StringRef text, mlir::MLIRContext &context) {
  mlir::ScopedDiagnosticHandler silent(
      &context, [](mlir::Diagnostic &) { return mlir::success(); });
  llvm::SourceMgr sourceMgr;
  unsigned buffer = sourceMgr.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(text, "fuzz.spec"), llvm::SMLoc());
  auto file = parseSpec(sourceMgr, buffer, &context);
  Result result;
  if (mlir::failed(file))
    return result;
  result.isValid = true;
  llvm::raw_string_ostream os(result.tree);
  dump(**file, os);
  result.text = format(**file, sourceMgr);
  return result;
}

void check(bool condition, const char *what, llvm::StringRef first,
           llvm::StringRef second) {
  if (condition)
    return;
  fprintf(stderr, "%s\n--- first\n%s\n--- second\n%s\n", what,
          first.str().c_str(), second.str().c_str());
  abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // Contexts keep every location; a new one now and then bounds the memory.
  static std::unique_ptr<mlir::MLIRContext> context;
  static unsigned uses = 0;
  if (uses++ % 1000 == 0)
    context = std::make_unique<mlir::MLIRContext>(
        mlir::MLIRContext::Threading::DISABLED);

  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  Result first = process(text, *context);
  if (!first.isValid)
    return 0;
  Result second = process(first.text, *context);
  check(second.isValid, "the canonical form does not parse", text, first.text);
  check(first.tree == second.tree, "the canonical form means something else",
        first.tree, second.tree);
  check(first.text == second.text, "the canonical form is not stable",
        first.text, second.text);
  return 0;
}

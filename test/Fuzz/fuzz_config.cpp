//===- fuzz_config.cpp - Any config.json through every family -------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// No configuration crashes the importer, and one that a family accepts gives a
// module that verifies and asks for tensors of at least one element.
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Import.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"

#include "llvm/Support/xxhash.h"

#include <cstdio>
#include <cstdlib>

using namespace clade;

namespace {

/// The families of the source tree, in a context that is made anew now and
/// then: contexts and source managers keep all they have seen.
struct Families {
  mlir::MLIRContext context{mlir::MLIRContext::Threading::DISABLED};
  import::SpecLibrary library{&context};

  Families() {
    if (failed(library.addFolder(CLADE_SOURCE_SPECS)) ||
        failed(library.finish()))
      abort();
  }
};

void check(bool condition, const char *what, llvm::StringRef text) {
  if (condition)
    return;
  fprintf(stderr, "%s\n%s\n", what, text.str().c_str());
  abort();
}

} // namespace

/// The packaged LLVM libraries are not instrumented: memory that this program
/// poisons, by LLVM's headers, they use without lifting the poison.
extern "C" const char *__asan_default_options() {
  return "allow_user_poisoning=0:detect_container_overflow=0";
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static std::unique_ptr<Families> families;
  static unsigned uses = 0;
  if (uses++ % 500 == 0)
    families = std::make_unique<Families>();
  mlir::ScopedDiagnosticHandler silent(
      &families->context, [](mlir::Diagnostic &) { return mlir::success(); });

  llvm::StringRef text(reinterpret_cast<const char *>(data), size);
  auto config = import::Config::parse(text, "config.json",
                                      families->library.getSourceMgr(),
                                      &families->context);
  if (failed(config))
    return 0;
  // Two of them, which the text chooses: all would be twenty times slower.
  std::vector<const spec::FamilyDecl *> serving;
  for (const spec::FamilyDecl *family : families->library.getFamilies())
    if (family->serves)
      serving.push_back(family);
  uint64_t first = llvm::xxh3_64bits(text) % serving.size();
  for (uint64_t i : {first, (first + size) % serving.size()}) {
    const spec::FamilyDecl *family = serving[i];
    auto tensors =
        import::publishedTensors(families->library, family, **config);
    if (failed(tensors))
      continue;
    check(!tensors->empty(), "a family takes no tensors", text);
    for (const import::PublishedTensor &tensor : *tensors)
      for (int64_t extent : tensor.shape)
        check(extent > 0, "a tensor has no elements", text);
  }
  return 0;
}

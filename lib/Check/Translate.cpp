//===- Translate.cpp - Checks as a translation ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Translate.h"

#include "lib/Check/TypeChecker.h"
#include "lib/Import/Translate.h"

#include "mlir/Tools/mlir-translate/Translation.h"

using namespace clade;
using namespace clade::check;
using llvm::raw_ostream;
using llvm::StringRef;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;
using mlir::LogicalResult;
using mlir::MLIRContext;
using mlir::succeeded;
using mlir::success;
using mlir::TranslateRegistration;

static LogicalResult checkText(StringRef text, StringRef name, raw_ostream &os,
                               MLIRContext *context) {
  import::SpecLibrary library(context);
  if (failed(library.addFolder(import::standardSpecs())) ||
      failed(library.addText(text, name)) || failed(library.finish()))
    return failure();
  TypeChecker checker(library);
  bool ok = true;
  for (const spec::FamilyDecl *family : library.getFamilies()) {
    if (library.getPath(family) != name)
      continue;
    FailureOr<std::vector<EntryType>> entries = checker.check(family);
    ok &= succeeded(entries);
    if (succeeded(entries))
      os << describe(*family, *entries) << "\n";
  }
  return success(ok);
}

void check::registerCheckTranslations() {
  static TranslateRegistration checkSpec(
      "check-spec", "check the families of a .spec file without configuration",
      [](const std::shared_ptr<llvm::SourceMgr> &sourceMgr, raw_ostream &os,
         MLIRContext *context) -> LogicalResult {
        const llvm::MemoryBuffer *buffer =
            sourceMgr->getMemoryBuffer(sourceMgr->getMainFileID());
        return checkText(buffer->getBuffer(), buffer->getBufferIdentifier(), os,
                         context);
      });
}

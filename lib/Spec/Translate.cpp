//===- Translate.cpp - Translations of .spec files ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Spec/Translate.h"

#include "lib/Spec/Format.h"
#include "lib/Spec/Parser.h"

#include "mlir/Tools/mlir-translate/Translation.h"

using namespace mlir;

void clade::spec::registerSpecTranslations() {
  static TranslateRegistration parse(
      "parse-spec", "print the canonical text of a .spec file",
      [](const std::shared_ptr<llvm::SourceMgr> &sourceMgr, raw_ostream &os,
         MLIRContext *context) -> LogicalResult {
        auto file = parseSpec(*sourceMgr, sourceMgr->getMainFileID(), context);
        if (failed(file))
          return failure();
        os << format(**file, *sourceMgr);
        return success();
      });
  static TranslateRegistration dumpTree(
      "dump-spec", "print the syntax tree of a .spec file",
      [](const std::shared_ptr<llvm::SourceMgr> &sourceMgr, raw_ostream &os,
         MLIRContext *context) -> LogicalResult {
        auto file = parseSpec(*sourceMgr, sourceMgr->getMainFileID(), context);
        if (failed(file))
          return failure();
        dump(**file, os);
        return success();
      });
}

//===- clade-translate.cpp - Between .spec text and MLIR --------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The translation tool of the tests, with the options of mlir-translate. Users
// have the `clade` command.
//
//===----------------------------------------------------------------------===//

#include "lib/Check/Translate.h"
#include "lib/Import/Translate.h"
#include "lib/Spec/Translate.h"

#include "mlir/Tools/mlir-translate/MlirTranslateMain.h"

int main(int argc, char **argv) {
  clade::spec::registerSpecTranslations();
  clade::import::registerImportTranslations();
  clade::check::registerCheckTranslations();
  return mlir::failed(
      mlir::mlirTranslateMain(argc, argv, "Clade translation driver"));
}

//===- ModuleFixture.h - Modules written in tests ---------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_WEIGHTS_MODULEFIXTURE_H
#define CLADE_TEST_WEIGHTS_MODULEFIXTURE_H

#include "dialect/Clade/CladeDialect.h"
#include "dialect/WMap/WMapDialect.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "mlir/Parser/Parser.h"

#include <gtest/gtest.h>

namespace clade {

/// Parses modules and keeps what is said about them, one line each.
class ModuleFixture : public ::testing::Test {
protected:
  ModuleFixture() {
    context.loadDialect<CladeDialect, wmap::WMapDialect,
                        mlir::func::FuncDialect>();
    context.getDiagEngine().registerHandler([this](mlir::Diagnostic &error) {
      diagnostics += error.str() + "\n";
      return mlir::success();
    });
  }

  bool parse(const std::string &text) {
    module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
    return module.get() != nullptr;
  }

  mlir::MLIRContext context;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string diagnostics;
};

} // namespace clade

#endif // CLADE_TEST_WEIGHTS_MODULEFIXTURE_H

//===- Outline.cpp - Symbols and the canonical form -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/LSP/Features.h"
#include "lib/Spec/Format.h"
#include "lib/Spec/Parser.h"

#include "mlir/IR/Diagnostics.h"

using namespace clade;
using namespace clade::lsp;
using llvm::lsp::DocumentSymbol;
using llvm::lsp::SymbolKind;

static SymbolKind kindOf(Item::Kind kind) {
  switch (kind) {
  case Item::Kind::Family:
    return SymbolKind::Class;
  case Item::Kind::Config:
    return SymbolKind::Struct;
  case Item::Kind::Weights:
    return SymbolKind::Array;
  case Item::Kind::Block:
    return SymbolKind::Function;
  case Item::Kind::Entry:
    return SymbolKind::Method;
  case Item::Kind::Part:
    return SymbolKind::Module;
  case Item::Kind::Field:
    return SymbolKind::Field;
  }
  return SymbolKind::Variable;
}

static std::vector<DocumentSymbol> symbols(llvm::ArrayRef<Item> items,
                                           const Positions &positions) {
  std::vector<DocumentSymbol> result;
  for (const Item &item : items) {
    DocumentSymbol symbol(
        item.name, kindOf(item.kind), positions.rangeOf(item.begin, item.end),
        positions.rangeOf(item.nameBegin, item.nameBegin + item.name.size()));
    symbol.children = symbols(item.items, positions);
    result.push_back(std::move(symbol));
  }
  return result;
}

std::vector<DocumentSymbol> lsp::symbolsOf(StringRef text) {
  return symbols(outline(text), Positions(text));
}

std::vector<llvm::lsp::TextEdit> lsp::formattingOf(StringRef text) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  mlir::ScopedDiagnosticHandler silent(
      &context, [](mlir::Diagnostic &) { return mlir::success(); });
  llvm::SourceMgr sources;
  unsigned id = sources.AddNewSourceBuffer(
      llvm::MemoryBuffer::getMemBufferCopy(text, "text"), llvm::SMLoc());
  auto file = spec::parseSpec(sources, id, &context);
  if (mlir::failed(file))
    return {};
  std::string after = spec::format(**file, sources);
  if (after == text)
    return {};
  return {{Positions(text).rangeOf(0, text.size()), std::move(after)}};
}

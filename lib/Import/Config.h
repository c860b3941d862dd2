//===- Config.h - A model's configuration -----------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// config.json with the place of every key, so that messages can point at it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_IMPORT_CONFIG_H
#define CLADE_IMPORT_CONFIG_H

#include "lib/Import/SpecValue.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/Support/SourceMgr.h"

#include <nlohmann/json.hpp>

namespace clade::import {

class Config {
public:
  /// Parses a JSON object. Syntax errors, duplicate keys and a text that is not
  /// an object are reported at their place. `name` stands for the file in
  /// messages; the text is added to `sourceMgr`.
  static mlir::FailureOr<std::unique_ptr<Config>>
  parse(llvm::StringRef text, llvm::StringRef name, llvm::SourceMgr &sourceMgr,
        mlir::MLIRContext *context);

  const nlohmann::json &json() const { return root; }
  Record record() const { return {&root, ""}; }
  /// Where the key of a dotted path stands; the whole object if unknown.
  mlir::Location locationOf(llvm::StringRef dottedKey) const;
  bool hasKey(llvm::StringRef dottedKey) const {
    return places.contains(dottedKey);
  }
  llvm::StringRef getName() const { return name; }

private:
  explicit Config(mlir::MLIRContext *context) : context(context) {}
  friend class KeyScanner;

  mlir::MLIRContext *context;
  std::string name;
  nlohmann::json root;
  llvm::StringMap<std::pair<unsigned, unsigned>>
      places; ///< Dotted key: line, column.
};

/// A JSON value as a SpecValue. {"__float__": "Infinity"} is an infinity.
SpecValue toValue(const nlohmann::json &json, const std::string &path);
/// A configuration value as JSON; nothing for none and what JSON cannot say.
std::optional<nlohmann::json> toJson(const SpecValue &value);

} // namespace clade::import

#endif // CLADE_IMPORT_CONFIG_H

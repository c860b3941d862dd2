//===- ArgReader.cpp - Arguments of built-ins -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/ArgReader.h"

#include "llvm/ADT/StringExtras.h"

using namespace clade;
using namespace clade::import;
using namespace mlir;

ArgReader::ArgReader(StringRef builtin, const CallArgs &args,
                     ArrayRef<StringRef> parameters, Location loc)
    : builtin(builtin), loc(loc) {
  auto fail = [&](const llvm::Twine &message) {
    emitError(loc) << message;
    valid = false;
  };
  if (args.positional.size() > parameters.size()) {
    fail("'" + builtin + "' takes at most " + llvm::Twine(parameters.size()) +
         " arguments, got " + llvm::Twine(args.positional.size()));
    return;
  }
  std::vector<std::string> names;
  for (StringRef parameter : parameters)
    names.push_back(parameter.rtrim('?').str());
  for (auto [name, value] : llvm::zip(names, args.positional))
    values[name] = &value;
  for (const auto &[name, value] : args.named) {
    if (!llvm::is_contained(names, name))
      fail("'" + builtin + "' has no parameter '" + name + "'" +
           SpecLibrary::hint(name, names));
    else if (!values.emplace(name, &value).second)
      fail("argument '" + name + "' of '" + builtin + "' is given twice");
  }
  for (StringRef parameter : parameters)
    if (!parameter.ends_with("?") && !values.count(parameter))
      fail("expected an argument '" + parameter + "' of '" + builtin + "'");
}

const SpecValue *ArgReader::get(StringRef parameter) const {
  auto it = values.find(parameter);
  return it == values.end() ? nullptr : it->second;
}

FailureOr<TensorValue> ArgReader::tensor(StringRef parameter) const {
  const SpecValue *value = get(parameter);
  if (value && value->is(SpecValue::Kind::Tensor))
    return value->tensor;
  return emitError(loc) << "expected a tensor as '" << parameter << "' of '"
                        << builtin << "', got "
                        << (value ? value->describe() : "nothing");
}

FailureOr<bool> ArgReader::boolean(StringRef parameter, bool byDefault) const {
  const SpecValue *value = get(parameter);
  if (!value)
    return byDefault;
  if (value->is(SpecValue::Kind::Bool))
    return value->boolean;
  return emitError(loc) << "expected true or false as '" << parameter
                        << "' of '" << builtin << "', got "
                        << value->describe();
}

FailureOr<std::optional<double>> ArgReader::number(StringRef parameter) const {
  const SpecValue *value = get(parameter);
  if (!value || value->is(SpecValue::Kind::None))
    return std::optional<double>();
  if (value->isNumber())
    return std::optional<double>(value->asDouble());
  return emitError(loc) << "expected a number as '" << parameter << "' of '"
                        << builtin << "', got " << value->describe();
}

FailureOr<std::string> ArgReader::word(StringRef parameter, StringRef byDefault,
                                       ArrayRef<StringRef> allowed) const {
  const SpecValue *value = get(parameter);
  if (!value)
    return byDefault.str();
  if (value->is(SpecValue::Kind::String) &&
      llvm::is_contained(allowed, value->text))
    return value->text;
  return emitError(loc) << "expected " << llvm::join(allowed, " or ") << " as '"
                        << parameter << "' of '" << builtin << "', got "
                        << value->describe();
}

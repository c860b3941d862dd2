//===- ConfigKeys.h - Every key is read or ignored by name ------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Reads the members of a JSON object and remembers which were asked for. What
// nobody asked for is an error in finish(), so that no setting is lost in
// silence. Null counts as absent, as in the published processors.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_IMAGE_CONFIGKEYS_H
#define CLADE_RUNTIME_IMAGE_CONFIGKEYS_H

#include "runtime/Support/Json.h"

#include <array>
#include <initializer_list>
#include <string>
#include <vector>

namespace clade::rt {

class ConfigKeys {
public:
  /// `object` must outlive this; `place` is how messages call it, such as
  /// "preprocessor_config.json". Corruption when it is not an object.
  static StatusOr<ConfigKeys> read(const nlohmann::json &object,
                                   std::string place);

  /// The member, or null when it is absent or null.
  const nlohmann::json *find(const std::string &key);

  /// A member as a boolean, an integer from 1 to 2^31 - 1, a finite number, a
  /// string; `fallback` when it is absent. Corruption for another type.
  StatusOr<bool> flag(const std::string &key, bool fallback);
  StatusOr<int64_t> count(const std::string &key, int64_t fallback);
  StatusOr<double> number(const std::string &key, double fallback);
  StatusOr<std::string> text(const std::string &key, std::string fallback);
  /// A number for each of red, green and blue: three, or one for all.
  StatusOr<std::array<double, 3>> colours(const std::string &key,
                                          std::array<double, 3> fallback);
  /// The object at `key`; an empty one when it is absent.
  StatusOr<ConfigKeys> object(const std::string &key);

  /// Keys that may be there and say nothing.
  void ignore(std::initializer_list<const char *> keys);
  /// Corruption for the first key that was neither read nor ignored, with the
  /// nearest of those that are known.
  Status finish() const;

  /// `message` behind the place and the key.
  Status error(const std::string &key, const std::string &message) const;

private:
  ConfigKeys(const nlohmann::json *values, std::string place)
      : values(values), place(std::move(place)) {}
  Status wrongType(const std::string &key, const char *expected,
                   const nlohmann::json &found) const;

  const nlohmann::json *values;
  std::string place;
  std::vector<std::string> known;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_IMAGE_CONFIGKEYS_H

//===- Result.h - A value or what went wrong --------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_RESULT_H
#define CLADE_PTX_RESULT_H

#include <optional>
#include <string>
#include <utility>

namespace clade::ptx {

/// What went wrong. `line` and `column` count from 1 and are 0 where the error
/// concerns no place of a text.
struct Error {
  std::string message; ///< One sentence: what was expected, what was found.
  std::string file = {};
  unsigned line = 0;
  unsigned column = 0;

  /// "file:line:column: error: message", without the parts that are not known.
  std::string str() const {
    std::string text = file;
    if (line)
      text += ":" + std::to_string(line) + ":" + std::to_string(column);
    return text.empty() ? message : text + ": error: " + message;
  }
};

/// A value or an error. The machine's interface throws nothing.
template <typename T> class Result {
public:
  Result(T value) : held(std::move(value)) {}
  Result(Error error) : failure(std::move(error)) {}

  explicit operator bool() const { return held.has_value(); }
  T &operator*() { return *held; }
  const T &operator*() const { return *held; }
  T *operator->() { return &*held; }
  const T *operator->() const { return &*held; }
  const Error &error() const { return failure; }

private:
  std::optional<T> held;
  Error failure;
};

/// Success or an error.
struct Done {};
using Status = Result<Done>;

} // namespace clade::ptx

#endif // CLADE_PTX_RESULT_H

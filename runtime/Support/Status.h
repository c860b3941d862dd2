//===- Status.h - Errors as values ------------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every function of the runtime that can fail returns a Status or a StatusOr.
// Nothing in the runtime throws across its interface, aborts or exits.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_STATUS_H
#define CLADE_RUNTIME_SUPPORT_STATUS_H

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace clade::rt {

/// What kind of failure a Status stands for. The numbers are part of the C ABI.
enum class StatusCode : int {
  Ok = 0,
  InvalidArgument = 1, ///< The caller asked for something that makes no sense.
  NotFound = 2,        ///< A file, tensor or key does not exist.
  Corruption = 3,      ///< A file's content contradicts itself or its format.
  IOError = 4,         ///< The operating system refused.
  Unsupported = 5,     ///< Well formed, but not something this version can do.
  ResourceExhausted = 6, ///< A budget (memory, pages, sequences) is used up.
  Cancelled = 7,         ///< The caller cancelled the work.
};

/// A result without a value: success, or a code with one message. The message
/// names the file, key or tensor, what was expected and what was found, in
/// lower case without a full stop. Success is a null pointer.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : state(std::make_unique<State>(State{code, std::move(message)})) {}

  static Status invalidArgument(std::string message) {
    return {StatusCode::InvalidArgument, std::move(message)};
  }
  static Status notFound(std::string message) {
    return {StatusCode::NotFound, std::move(message)};
  }
  static Status corruption(std::string message) {
    return {StatusCode::Corruption, std::move(message)};
  }
  static Status ioError(std::string message) {
    return {StatusCode::IOError, std::move(message)};
  }
  static Status unsupported(std::string message) {
    return {StatusCode::Unsupported, std::move(message)};
  }
  static Status resourceExhausted(std::string message) {
    return {StatusCode::ResourceExhausted, std::move(message)};
  }
  static Status cancelled(std::string message) {
    return {StatusCode::Cancelled, std::move(message)};
  }

  bool ok() const { return !state; }
  StatusCode code() const { return state ? state->code : StatusCode::Ok; }
  const std::string &message() const {
    static const std::string empty;
    return state ? state->message : empty;
  }
  /// The same status with `context: ` before its message.
  Status withContext(const std::string &context) && {
    if (state)
      state->message = context + ": " + state->message;
    return std::move(*this);
  }

private:
  struct State {
    StatusCode code;
    std::string message;
  };
  std::unique_ptr<State> state;
};

/// A value or the Status that says why there is none.
template <typename T> class [[nodiscard]] StatusOr {
public:
  StatusOr(T value) : value(std::move(value)) {}
  StatusOr(Status status) : error(std::move(status)) {}

  bool ok() const { return value.has_value(); }
  Status takeStatus() { return std::move(error); }
  const Status &status() const { return error; }
  T &operator*() { return *value; }
  const T &operator*() const { return *value; }
  T *operator->() { return &*value; }
  const T *operator->() const { return &*value; }

private:
  std::optional<T> value;
  Status error;
};

} // namespace clade::rt

/// Returns the Status of `expression` from this function unless it is OK.
#define CLADE_RETURN_IF_ERROR(expression)                                      \
  do {                                                                         \
    ::clade::rt::Status cladeStatus = (expression);                            \
    if (!cladeStatus.ok())                                                     \
      return cladeStatus;                                                      \
  } while (false)

#define CLADE_CONCAT_IMPL(a, b) a##b
#define CLADE_CONCAT(a, b) CLADE_CONCAT_IMPL(a, b)
/// `CLADE_ASSIGN_OR_RETURN(auto x, f());` binds the value of f() or returns.
#define CLADE_ASSIGN_OR_RETURN(declaration, expression)                        \
  CLADE_ASSIGN_OR_RETURN_IMPL(CLADE_CONCAT(cladeResult, __LINE__),             \
                              declaration, expression)
#define CLADE_ASSIGN_OR_RETURN_IMPL(result, declaration, expression)           \
  auto result = (expression);                                                  \
  if (!result.ok())                                                            \
    return result.takeStatus();                                                \
  declaration = std::move(*result)

#endif // CLADE_RUNTIME_SUPPORT_STATUS_H

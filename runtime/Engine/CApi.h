//===- CApi.h - What the C interface's files share --------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The objects behind the opaque handles of clade/runtime.h, the border that no
// exception crosses, and structs that know their size.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_ENGINE_CAPI_H
#define CLADE_RUNTIME_ENGINE_CAPI_H

#include "clade/runtime.h"
#include "runtime/Engine/Generate.h"

#include <algorithm>
#include <cstring>

struct CladeModel {
  std::shared_ptr<const clade::rt::CompiledModel> model;
};

struct CladeSession {
  std::unique_ptr<clade::rt::Session> session;
  std::shared_ptr<const clade::rt::CompiledModel> model;
  std::vector<clade::rt::BatchItem> batch; ///< Kept between steps.
};

struct CladeGeneration {
  clade::rt::Generation generation;
};

namespace clade::rt::capi {

/// Keeps the message for clade_last_error() and returns the code.
CladeStatus report(const Status &status) noexcept;
CladeStatus reportException(const char *what, StatusCode code) noexcept;

/// Runs `body`, which returns a Status, behind the border.
template <typename Body> CladeStatus guarded(Body body) noexcept {
  try {
    return report(body());
  } catch (const std::bad_alloc &) {
    return reportException("out of memory", StatusCode::ResourceExhausted);
  } catch (const std::exception &error) {
    return reportException(error.what(), StatusCode::ResourceExhausted);
  } catch (...) {
    return reportException("unknown failure", StatusCode::ResourceExhausted);
  }
}

/// InvalidArgument if `pointer` is null.
Status checkPointer(const void *pointer, const char *name);
Status checkSize(size_t given, size_t known, const void *data,
                 const char *name);

/// A copy of the caller's struct, of whatever version: members that it does not
/// have are zero, members that only it has must be. Null gives all zero.
template <typename Struct>
StatusOr<Struct> readStruct(const Struct *given, const char *name) {
  Struct copy = {};
  if (!given)
    return copy;
  CLADE_RETURN_IF_ERROR(
      checkSize(given->struct_size, sizeof(Struct), given, name));
  std::memcpy(&copy, given, std::min(given->struct_size, sizeof(Struct)));
  return copy;
}

/// Fills in the members that the caller's struct has.
template <typename Struct>
Status writeStruct(const Struct &value, Struct *out, const char *name) {
  CLADE_RETURN_IF_ERROR(checkPointer(out, name));
  size_t size = out->struct_size;
  if (size < sizeof(size_t))
    return checkSize(size, sizeof(Struct), out, name);
  std::memcpy(out, &value, std::min(size, sizeof(Struct)));
  out->struct_size = size;
  return {};
}

} // namespace clade::rt::capi

#endif // CLADE_RUNTIME_ENGINE_CAPI_H

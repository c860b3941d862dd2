//===- CheckedMath.h - Arithmetic that notices overflow ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Sizes and offsets that come from a file go through these, never through
// plain operators: an overflow is an empty result, which the caller reports.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_CHECKEDMATH_H
#define CLADE_RUNTIME_SUPPORT_CHECKEDMATH_H

#include <cstdint>
#include <optional>
#include <span>

namespace clade::rt {

/// a + b, or nothing if it does not fit.
template <typename T> std::optional<T> checkedAdd(T a, T b) {
  T result;
  if (__builtin_add_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

/// a * b, or nothing if it does not fit.
template <typename T> std::optional<T> checkedMul(T a, T b) {
  T result;
  if (__builtin_mul_overflow(a, b, &result))
    return std::nullopt;
  return result;
}

/// The product of `dims` (1 for none), or nothing if one is negative or the
/// product does not fit. A zero makes the product zero, but only if the
/// product of the other dimensions fits, too.
inline std::optional<int64_t> elementCount(std::span<const int64_t> dims) {
  int64_t count = 1;
  bool empty = false;
  for (int64_t dim : dims) {
    if (dim < 0)
      return std::nullopt;
    empty |= dim == 0;
    std::optional<int64_t> next =
        checkedMul(count, dim == 0 ? int64_t(1) : dim);
    if (!next)
      return std::nullopt;
    count = *next;
  }
  return empty ? 0 : count;
}

/// ceil(a / b) for a >= 0, b > 0.
constexpr int64_t ceilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0); }

/// The smallest multiple of `alignment` (> 0) that is at least `value`, or
/// nothing if it does not fit.
template <typename T> std::optional<T> checkedAlignUp(T value, T alignment) {
  T rest = value % alignment;
  return rest == 0 ? std::optional<T>(value)
                   : checkedAdd(value, T(alignment - rest));
}

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_CHECKEDMATH_H

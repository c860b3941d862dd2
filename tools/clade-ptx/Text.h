//===- Text.h - Numbers as text ---------------------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_TOOL_TEXT_H
#define CLADE_PTX_TOOL_TEXT_H

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <string>

namespace clade::ptx {

using Count = unsigned long long;

/// As printf, up to 255 bytes.
[[gnu::format(printf, 1, 2)]] inline std::string format(const char *pattern,
                                                        ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

/// A share of something, 0 where there is nothing.
inline double ratio(uint64_t part, uint64_t whole) {
  return whole ? double(part) / double(whole) : 0;
}

/// "12.3 µs".
inline std::string timeText(double seconds) {
  return seconds >= 1e-1   ? format("%.4g s", seconds)
         : seconds >= 1e-4 ? format("%.4g ms", seconds * 1e3)
                           : format("%.4g µs", seconds * 1e6);
}

} // namespace clade::ptx

#endif // CLADE_PTX_TOOL_TEXT_H

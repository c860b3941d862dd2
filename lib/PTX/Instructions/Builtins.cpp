//===- Builtins.cpp - printf and assert -----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Call.h"

#include "lib/PTX/Launch.h"

#include <algorithm>
#include <bit>
#include <cstdio>

using namespace clade::ptx;

namespace {

/// A zero-terminated string of the device, no longer than a page.
std::string readString(const Warp &warp, unsigned lane, uint64_t address) {
  std::string text;
  for (char c = 0; text.size() < 4096 &&
                   warp.peek(lane, address + text.size(), &c, 1) && c;)
    text += c;
  return text;
}

/// The arguments of printf: packed as the ABI of variadic functions does.
struct ArgumentReader {
  const Warp &warp;
  unsigned lane;
  uint64_t address;

  uint64_t next(unsigned bytes) {
    address = (address + bytes - 1) / bytes * bytes;
    uint64_t value = 0;
    warp.peek(lane, address, &value, bytes);
    address += bytes;
    return value;
  }
};

template <typename T>
void append(std::string &out, const std::string &directive, T value) {
  char text[512];
  int length = std::snprintf(text, sizeof text, directive.c_str(), value);
  out.append(text, std::min<size_t>(std::max(length, 0), sizeof text - 1));
}

/// One directive of a format, from its '%'; appends what it prints.
void formatOne(std::string &out, const std::string &format, size_t &at,
               ArgumentReader &arguments) {
  std::string directive = "%";
  size_t i = at + 1;
  while (i < format.size() &&
         std::string_view("-+ #0123456789.*").find(format[i]) !=
             std::string_view::npos) {
    if (format[i] == '*')
      directive += std::to_string(int32_t(arguments.next(4)));
    else
      directive += format[i];
    ++i;
  }
  // A width or precision of thousands would print nothing but blanks.
  if (directive.size() > 10)
    directive.resize(1);
  bool isLong = false;
  for (; i < format.size() &&
         std::string_view("hlLzjt").find(format[i]) != std::string_view::npos;
       ++i)
    isLong |= format[i] != 'h';
  char kind = i < format.size() ? format[i] : '\0';
  at = i + 1;
  switch (kind) {
  case '%':
    out += '%';
    return;
  case 'd':
  case 'i':
    if (isLong)
      return append(out, directive + "lld",
                    static_cast<long long>(arguments.next(8)));
    return append(out, directive + "d", int32_t(arguments.next(4)));
  case 'u':
  case 'x':
  case 'X':
  case 'o':
    if (isLong)
      return append(out, directive + "ll" + kind,
                    static_cast<unsigned long long>(arguments.next(8)));
    return append(out, directive + kind, uint32_t(arguments.next(4)));
  case 'c':
    return append(out, directive + "c", int(arguments.next(4)));
  case 'p':
    return append(out, "0x%llx",
                  static_cast<unsigned long long>(arguments.next(8)));
  case 's': {
    std::string text =
        readString(arguments.warp, arguments.lane, arguments.next(8));
    return append(out, directive + "s", text.c_str());
  }
  case 'f':
  case 'F':
  case 'e':
  case 'E':
  case 'g':
  case 'G':
  case 'a':
  case 'A':
    return append(out, directive + kind,
                  std::bit_cast<double>(arguments.next(8)));
  default:
    out += '%';
    if (kind)
      out += kind;
  }
}

/// int vprintf(const char *format, void *arguments): the count of directives.
void print(Warp &warp, const Op &op, LaneMask exec) {
  const auto &record = *static_cast<const CallRecord *>(op.record);
  std::string out;
  for (LaneMask rest = exec; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    std::string format = readString(warp, lane, argument(warp, op, 0, lane));
    ArgumentReader arguments{warp, lane, argument(warp, op, 1, lane)};
    int32_t count = 0;
    for (size_t i = 0; i < format.size();) {
      if (format[i] != '%') {
        out += format[i++];
        continue;
      }
      count += i + 1 < format.size() && format[i + 1] != '%';
      formatOne(out, format, i, arguments);
    }
    if (record.results.size() != 1 || record.results[0].bytes != 4)
      continue;
    const CallOperand &result = record.results[0];
    if (result.isLocal) {
      uint64_t at =
          lane * warp.localStride + warp.frame->localBase + result.offset;
      std::memcpy(warp.local.data() + at, &count, 4);
      std::memset(warp.localShadow.data() + at, 1, 4);
    } else {
      warp.rowOut<int32_t>(result.slot)[lane] = count;
    }
  }
  warp.block.launch.print(out);
}

/// void __assertfail(message, file, line, function, charSize)
void failAssertion(Warp &warp, const Op &op, LaneMask exec) {
  unsigned lane = unsigned(std::countr_zero(exec));
  std::string text =
      "assertion '" + readString(warp, lane, argument(warp, op, 0, lane)) +
      "' failed at " + readString(warp, lane, argument(warp, op, 1, lane)) +
      ":" + std::to_string(uint32_t(argument(warp, op, 2, lane))) + " in " +
      readString(warp, lane, argument(warp, op, 3, lane));
  warp.report(FindingKind::AssertFailed, op, lane, text);
  warp.abortLaunch();
}

} // namespace

Builtin clade::ptx::builtinNamed(std::string_view name) {
  if (name == "vprintf")
    return print;
  if (name == "__assertfail")
    return failAssertion;
  return nullptr;
}

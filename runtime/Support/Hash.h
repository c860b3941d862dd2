//===- Hash.h - The hash that artifacts use ---------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// XXH3 with 128 bits. It finds damage; it does not resist malice.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_SUPPORT_HASH_H
#define CLADE_RUNTIME_SUPPORT_HASH_H

#include <string>
#include <string_view>

namespace clade::rt {

/// XXH3-128 of `content`, seed 0, as 32 lower-case hexadecimal digits in the
/// canonical (big-endian) order.
std::string hashOf(std::string_view content);

} // namespace clade::rt

#endif // CLADE_RUNTIME_SUPPORT_HASH_H

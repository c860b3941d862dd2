//===- Buffer.h - Elements of a launch file's buffers -----------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_TOOL_BUFFER_H
#define CLADE_PTX_TOOL_BUFFER_H

#include "lib/PTX/Result.h"
#include "lib/PTX/Types.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace clade::ptx {

/// The value of an element of a type as a double; integers of 64 bits may lose
/// their lowest bits.
double elementValue(Type type, const uint8_t *bytes);
/// The bytes of the value as the type, appended.
void appendElement(std::vector<uint8_t> &bytes, Type type, double value);
void appendInteger(std::vector<uint8_t> &bytes, Type type, int64_t value);
/// The element as text: integers whole, floats so that they read back.
std::string elementText(Type type, const uint8_t *bytes);

bool isFloatElement(Type type);

Result<std::vector<uint8_t>> readFile(const std::filesystem::path &path);
Status writeFile(const std::filesystem::path &path,
                 const std::vector<uint8_t> &bytes);
/// A tensor of a safetensors file, whatever its type.
Result<std::vector<uint8_t>> readTensor(const std::filesystem::path &path,
                                        const std::string &name);

} // namespace clade::ptx

#endif // CLADE_PTX_TOOL_BUFFER_H

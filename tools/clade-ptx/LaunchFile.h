//===- LaunchFile.h - What to launch, and with what -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_TOOL_LAUNCHFILE_H
#define CLADE_PTX_TOOL_LAUNCHFILE_H

#include "lib/PTX/Machine.h"

#include <filesystem>
#include <optional>

namespace clade::ptx {

/// A buffer in device memory.
struct BufferSpec {
  std::string name;
  Type type = Type::U8;
  uint64_t count = 0;
  /// What it holds before; nothing where it is not initialised.
  std::optional<std::vector<uint8_t>> initial;
  uint64_t printCount = 0; ///< Elements to print after the launch.
  std::string save;        ///< A file for its bytes after the launch.
  std::optional<std::vector<uint8_t>> expected;
  double tolerance =
      0; ///< |found - expected| <= tolerance * max(1, |expected|).
  uint64_t address = 0; ///< When it is placed.
};

/// One parameter: the bytes of a value, or the address of a buffer.
struct ParameterSpec {
  std::vector<uint8_t> bytes;
  std::string buffer; ///< With `offset` bytes added.
  uint64_t offset = 0;
};

struct LaunchFile {
  std::string kernel;
  LaunchOptions options;
  std::vector<BufferSpec> buffers;
  std::vector<ParameterSpec> parameters;
};

/// Reads a launch file (docs/ptx.md); names of files in it are relative to it.
Result<LaunchFile> readLaunchFile(const std::filesystem::path &path);

} // namespace clade::ptx

#endif // CLADE_PTX_TOOL_LAUNCHFILE_H

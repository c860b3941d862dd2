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

/// A tensor in a buffer, for bulk tensor copies; dimension 0 is the one whose
/// elements lie side by side.
struct TensorMapSpec {
  std::vector<uint64_t> sizes;   ///< Elements.
  std::vector<uint64_t> strides; ///< Bytes, from dimension 1 on.
  std::vector<uint32_t> box;     ///< Elements that a copy moves.
  unsigned swizzle = 0;          ///< Bytes: 0, 32, 64 or 128.
  bool fillsNaN = false;         ///< Outside of the tensor.
};

/// One parameter: the bytes of a value, the address of a buffer, or a tensor
/// map of it.
struct ParameterSpec {
  std::vector<uint8_t> bytes;
  std::string buffer; ///< With `offset` bytes added.
  uint64_t offset = 0;
  std::optional<TensorMapSpec> map;
};

/// What the kernel gets for a parameter once its buffer is placed: its address,
/// or the 128 bytes of the tensor map.
Result<std::vector<uint8_t>> bufferParameter(const ParameterSpec &parameter,
                                             const BufferSpec &buffer);

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

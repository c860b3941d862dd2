//===- GuardedBuffer.h - Memory between walls -------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// An access of a compiled kernel behind or before one of these buffers stops
// the process. There is memory that cannot be accessed on both sides; a buffer
// lies directly at one of them, and at the other after what is left of a page.
// Only elements are aligned.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_CODEGEN_GUARDEDBUFFER_H
#define CLADE_TEST_CODEGEN_GUARDEDBUFFER_H

#include <algorithm>
#include <cstddef>
#include <vector>

namespace clade::cpu::test {

class GuardedBuffer {
public:
  /// The side of a buffer on which it touches what cannot be accessed.
  enum class Wall { Behind, Before };
  /// Where the buffers that this thread makes from now on lie; Behind at first.
  static void setWall(Wall wall);

  /// `size` bytes, a multiple of the elements' size, all of them 0xff: NaN as
  /// bf16 and as f32.
  explicit GuardedBuffer(size_t size);
  /// A copy of `elements`.
  template <typename T>
  explicit GuardedBuffer(const std::vector<T> &elements)
      : GuardedBuffer(elements.size() * sizeof(T)) {
    std::copy(elements.begin(), elements.end(), as<T>());
  }
  GuardedBuffer(const GuardedBuffer &) = delete;
  GuardedBuffer &operator=(const GuardedBuffer &) = delete;
  ~GuardedBuffer();

  template <typename T> T *as() const { return reinterpret_cast<T *>(data); }

private:
  size_t mappedBytes;
  char *mapping;
  char *data;
};

} // namespace clade::cpu::test

#endif // CLADE_TEST_CODEGEN_GUARDEDBUFFER_H

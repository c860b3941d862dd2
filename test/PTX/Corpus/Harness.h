//===- Harness.h - Running kernels of the corpus -------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Loads PTX through the CUDA driver API as any program does it, launches, and
// compares. The driver is the virtual one; nothing here knows it.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_PTX_CORPUS_HARNESS_H
#define CLADE_TEST_PTX_CORPUS_HARNESS_H

#include <cuda.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace corpus {

/// Throws, with the call's error and what the driver says of it, unless the
/// result is CUDA_SUCCESS.
void require(CUresult result, const char *call);
#define REQUIRE(...) corpus::require(__VA_ARGS__, #__VA_ARGS__)

/// An array in device memory.
template <typename T> class Buffer {
public:
  /// Not initialised.
  explicit Buffer(size_t count) : count(count) {
    REQUIRE(cuMemAlloc(&address, count * sizeof(T)));
  }
  explicit Buffer(const std::vector<T> &values) : Buffer(values.size()) {
    write(values);
  }
  Buffer(size_t count, T value) : Buffer(std::vector<T>(count, value)) {}
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  ~Buffer() { cuMemFree(address); }

  void write(const std::vector<T> &values) {
    REQUIRE(cuMemcpyHtoD(address, values.data(), values.size() * sizeof(T)));
  }
  std::vector<T> read() const {
    std::vector<T> values(count);
    REQUIRE(cuMemcpyDtoH(values.data(), address, count * sizeof(T)));
    return values;
  }

  CUdeviceptr address = 0;
  const size_t count;
};

struct Size {
  unsigned x = 1, y = 1, z = 1;
  Size(unsigned x, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

/// A kernel with the shape that it is launched in.
class Kernel {
public:
  Kernel(CUfunction function, Size grid, Size block, unsigned shared = 0)
      : function(function), grid(grid), block(block), shared(shared) {}
  bool isCooperative = false;

  /// Launches and waits. Buffers pass their addresses, other values themselves.
  template <typename... Ts> void operator()(const Ts &...arguments) const {
    run(std::make_tuple(pass(arguments)...), std::index_sequence_for<Ts...>());
  }

private:
  template <typename T> static T pass(const T &value) { return value; }
  template <typename T> static CUdeviceptr pass(const Buffer<T> &buffer) {
    return buffer.address;
  }
  template <typename Tuple, size_t... is>
  void run(Tuple arguments, std::index_sequence<is...>) const {
    void *pointers[] = {&std::get<is>(arguments)..., nullptr};
    launch(pointers);
  }
  void launch(void **arguments) const;

  CUfunction function;
  Size grid, block;
  unsigned shared;
};

/// The tests of one file of kernels on one architecture, "sm_80".
class Kernels : public testing::TestWithParam<std::string> {
protected:
  explicit Kernels(const char *file) : file(file) {}
  /// Makes the architecture's device current and loads the file's PTX, if there
  /// is a file; skips the test where there is no PTX.
  void SetUp() override;

  CUfunction find(const char *name);
  Kernel kernel(const char *name, Size grid, Size block, unsigned shared = 0) {
    return Kernel(find(name), grid, block, shared);
  }
  /// For one thread an element, in blocks of 128.
  Kernel forElements(const char *name, size_t count) {
    return kernel(name, unsigned((count + 127) / 128), 128);
  }

  const char *file;
  CUmodule module = nullptr;
};

/// Declares the fixture FILE for kernels of FILE.cu on both architectures.
#define CORPUS_FILE(FILE)                                                      \
  class FILE : public corpus::Kernels {                                        \
  protected:                                                                   \
    FILE() : Kernels(#FILE) {}                                                 \
  };                                                                           \
  INSTANTIATE_TEST_SUITE_P(PTX, FILE, testing::Values("sm_80", "sm_90a"),      \
                           [](const auto &info) { return info.param; })

//===--- Data ---===//

/// Numbers that are the same in every run.
class Random {
public:
  explicit Random(uint64_t seed = 1) : state(seed) {}
  uint64_t bits();
  /// In [0, 1), of 53 bits.
  double uniform() { return double(bits() >> 11) * 0x1p-53; }
  /// From `low` to `high`, both possible.
  int64_t integer(int64_t low, int64_t high) {
    return low + int64_t(bits() % uint64_t(high - low + 1));
  }
  template <typename T = int>
  std::vector<T> integers(size_t count, int64_t low, int64_t high) {
    std::vector<T> values(count);
    for (T &value : values)
      value = T(integer(low, high));
    return values;
  }
  template <typename T = float>
  std::vector<T> reals(size_t count, double low, double high) {
    std::vector<T> values(count);
    for (T &value : values)
      value = T(low + (high - low) * uniform());
    return values;
  }
  /// Any bit pattern.
  template <typename T> std::vector<T> patterns(size_t count) {
    std::vector<T> values(count);
    for (T &value : values) {
      uint64_t pattern = bits();
      std::memcpy(&value, &pattern, sizeof(T));
    }
    return values;
  }

private:
  uint64_t state;
};

/// Expects the same bits; any NaN is the same as any other.
template <typename T>
void expectSame(const std::vector<T> &got, const std::vector<T> &expected) {
  ASSERT_EQ(got.size(), expected.size());
  unsigned wrong = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if constexpr (std::is_floating_point_v<T>)
      if (std::isnan(got[i]) && std::isnan(expected[i]))
        continue;
    if (std::memcmp(&got[i], &expected[i], sizeof(T)) == 0)
      continue;
    if (++wrong <= 5)
      ADD_FAILURE() << "element " << i << ": " << +got[i] << " instead of "
                    << +expected[i];
  }
  EXPECT_EQ(wrong, 0u) << "of " << got.size() << " elements";
}

/// Expects |got - expected| <= bound(i) for each element.
void expectWithin(const std::vector<float> &got,
                  const std::vector<double> &expected,
                  const std::function<double(size_t)> &bound);

/// The distance from the number that is nearest to the exact value, in units of
/// the last place: how the CUDA programming guide states errors.
double ulps(float got, double expected);
double ulps(double got, long double expected);

} // namespace corpus

#endif // CLADE_TEST_PTX_CORPUS_HARNESS_H

//===- Harness.cpp - Running kernels of the corpus ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>

using namespace corpus;

extern "C" size_t cladeCudaLastReport(char *text, size_t size);

void corpus::require(CUresult result, const char *call) {
  if (result == CUDA_SUCCESS)
    return;
  const char *name = nullptr;
  cuGetErrorName(result, &name);
  std::string report(cladeCudaLastReport(nullptr, 0), 0);
  cladeCudaLastReport(report.data(), report.size());
  throw std::runtime_error(std::string(call) + ": " + (name ? name : "?") +
                           "\n" + report.c_str());
}

uint64_t Random::bits() {
  // SplitMix64 (Steele, Lea and Flood, 2014).
  uint64_t z = state += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

void Kernel::launch(void **arguments) const {
  if (isCooperative)
    REQUIRE(cuLaunchCooperativeKernel(function, grid.x, grid.y, grid.z, block.x,
                                      block.y, block.z, shared, nullptr,
                                      arguments));
  else
    REQUIRE(cuLaunchKernel(function, grid.x, grid.y, grid.z, block.x, block.y,
                           block.z, shared, nullptr, arguments, nullptr));
  REQUIRE(cuCtxSynchronize());
}

//===--- Devices and modules ---===//

static const char *const devices = "sm_80,sm_90a";

/// The context of an architecture's device. A context in which a launch failed
/// is of no more use, so that each test gets its own.
static CUcontext makeContext(const std::string &architecture) {
  static bool isReady = [] {
    setenv("CLADE_CUDA_DEVICES", devices, 1);
    REQUIRE(cuInit(0));
    return true;
  }();
  (void)isReady;
  CUdevice device;
  REQUIRE(cuDeviceGet(&device, architecture == "sm_80" ? 0 : 1));
  CUcontext context;
  REQUIRE(cuCtxCreate(&context, nullptr, 0, device));
  return context;
}

static std::string readFile(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

void Kernels::SetUp() {
  CUcontext old = nullptr;
  if (cuCtxGetCurrent(&old) == CUDA_SUCCESS && old)
    cuCtxDestroy(old);
  makeContext(GetParam());
  if (!file)
    return;
  std::string name = std::string(file) + "." + GetParam() + ".ptx";
  // What nvcc made in this build, else what is kept in the tree.
  std::string text = readFile(std::string(CORPUS_BUILT "/") + name);
  if (text.empty())
    text = readFile(std::string(CORPUS_KEPT "/") + name);
  if (text.empty())
    GTEST_SKIP() << "kernels of " << file << ".cu: no nvcc to compile them";
  std::string log(4096, 0);
  CUjit_option options[] = {CU_JIT_ERROR_LOG_BUFFER,
                            CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
  CUresult result =
      cuModuleLoadDataEx(&module, text.c_str(), 2, options, values);
  ASSERT_EQ(result, CUDA_SUCCESS) << log.c_str();
}

CUfunction Kernels::find(const char *name) {
  CUfunction function;
  REQUIRE(cuModuleGetFunction(&function, module, name));
  return function;
}

//===--- Comparisons ---===//

void corpus::expectWithin(const std::vector<float> &got,
                          const std::vector<double> &expected,
                          const std::function<double(size_t)> &bound) {
  ASSERT_EQ(got.size(), expected.size());
  unsigned wrong = 0;
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::fabs(got[i] - expected[i]) <= bound(i)) && ++wrong <= 5)
      ADD_FAILURE() << "element " << i << ": " << got[i] << " instead of "
                    << expected[i] << " within " << bound(i);
  EXPECT_EQ(wrong, 0u) << "of " << got.size() << " elements";
}

template <typename T, typename Wide>
static double distance(T got, Wide expected) {
  T rounded = T(expected);
  if (std::isnan(rounded) || std::isinf(rounded))
    return std::isnan(got) == std::isnan(rounded) &&
                   (std::isnan(got) || got == rounded)
               ? 0
               : HUGE_VAL;
  T size = std::fabs(rounded);
  Wide unit = Wide(std::nextafter(size, T(HUGE_VAL))) - size;
  return double(std::fabs(Wide(got) - rounded) / unit);
}

double corpus::ulps(float got, double expected) {
  return distance(got, expected);
}

double corpus::ulps(double got, long double expected) {
  return distance(got, expected);
}

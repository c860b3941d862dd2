//===- common.h - What the samples share ---------------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_TEST_PTX_SAMPLES_COMMON_H
#define CLADE_TEST_PTX_SAMPLES_COMMON_H

#include <cuda.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#define checkCudaErrors(call)                                                  \
  do {                                                                         \
    CUresult error_ = (call);                                                  \
    if (error_ != CUDA_SUCCESS) {                                              \
      const char *text_ = nullptr;                                             \
      cuGetErrorString(error_, &text_);                                        \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call,            \
              text_ ? text_ : "unknown error");                                \
      exit(EXIT_FAILURE);                                                      \
    }                                                                          \
  } while (0)

inline std::string readText(const char *path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    fprintf(stderr, "cannot read %s\n", path);
    exit(EXIT_FAILURE);
  }
  return std::string((std::istreambuf_iterator<char>(file)), {});
}

/// Prints the line that tells the result, and returns the exit status.
inline int finish(bool passed) {
  printf("Result = %s\n", passed ? "PASS" : "FAIL");
  return passed ? EXIT_SUCCESS : EXIT_FAILURE;
}

#endif // CLADE_TEST_PTX_SAMPLES_COMMON_H

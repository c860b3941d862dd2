//===- LaunchTimes.h - How long each launch takes ------------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For those who measure kernels: with the environment variable CLADE_CUDA_TIMES
// steps are launched one by one with an event behind each launch, and a line of
// JSON for each step is added to the file that it names.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_DEVICE_LAUNCHTIMES_H
#define CLADE_RUNTIME_DEVICE_LAUNCHTIMES_H

#include "runtime/Device/CudaDevice.h"

#include <vector>

namespace clade::rt {

inline constexpr const char *timesVariable = "CLADE_CUDA_TIMES";

class LaunchTimes {
public:
  /// Null if nobody measures.
  static std::unique_ptr<LaunchTimes>
  fromEnvironment(std::shared_ptr<CudaStream> stream);
  ~LaunchTimes();
  LaunchTimes(const LaunchTimes &) = delete;
  LaunchTimes &operator=(const LaunchTimes &) = delete;

  /// Before the first launch of a step.
  Status begin();
  /// Behind a launch.
  Status mark(const std::string &kernel, int64_t columns, int64_t blocks);
  /// When all are done: writes the step's line.
  Status write(int64_t tokens);

private:
  struct Launch {
    std::string kernel;
    int64_t columns, blocks;
  };
  LaunchTimes(std::shared_ptr<CudaStream> stream, std::string path)
      : stream(std::move(stream)), path(std::move(path)) {}
  /// Records the next event, which is made if there is none yet.
  Status record();

  std::shared_ptr<CudaStream> stream;
  std::string path;
  std::vector<CUevent> events;
  std::vector<Launch> launches;
};

} // namespace clade::rt

#endif // CLADE_RUNTIME_DEVICE_LAUNCHTIMES_H

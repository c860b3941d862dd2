//===- LaunchTimes.cpp - How long each launch takes -----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/LaunchTimes.h"

#include "runtime/Support/Text.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

using namespace clade::rt;
using nlohmann::json;

std::unique_ptr<LaunchTimes>
LaunchTimes::fromEnvironment(std::shared_ptr<CudaStream> stream) {
  const char *path = std::getenv(timesVariable);
  if (!path || !*path)
    return nullptr;
  return std::unique_ptr<LaunchTimes>(new LaunchTimes(std::move(stream), path));
}

LaunchTimes::~LaunchTimes() {
  if (stream->device()->enter().ok())
    for (CUevent event : events)
      stream->device()->driver().cuEventDestroy(event);
}

Status LaunchTimes::record() {
  const CudaDevice &device = *stream->device();
  std::string what = "cannot measure kernels on " + device.name();
  CLADE_RETURN_IF_ERROR(device.enter());
  size_t next = launches.size();
  if (next == events.size()) {
    CUevent event = nullptr;
    CLADE_RETURN_IF_ERROR(
        device.driver().check(device.driver().cuEventCreate(&event, 0), what));
    events.push_back(event);
  }
  return device.driver().check(
      device.driver().cuEventRecord(events[next], stream->native()), what);
}

Status LaunchTimes::begin() {
  launches.clear();
  return record();
}

Status LaunchTimes::mark(const std::string &kernel, int64_t columns,
                         int64_t blocks) {
  launches.push_back({kernel, columns, blocks});
  return record();
}

Status LaunchTimes::write(int64_t tokens) {
  const CudaDevice &device = *stream->device();
  json list = json::array();
  for (size_t i = 0; i < launches.size(); ++i) {
    float milliseconds = 0;
    CLADE_RETURN_IF_ERROR(
        device.driver().check(device.driver().cuEventElapsedTime(
                                  &milliseconds, events[i], events[i + 1]),
                              "cannot measure kernels on " + device.name()));
    list.push_back({{"kernel", launches[i].kernel},
                    {"columns", launches[i].columns},
                    {"blocks", launches[i].blocks},
                    {"us", milliseconds * 1e3}});
  }
  std::ofstream file(path, std::ios::app);
  file << json{{"tokens", tokens}, {"launches", list}}.dump(
              -1, ' ', false, json::error_handler_t::replace)
       << "\n";
  if (!file)
    return Status::ioError("cannot write " + quoteName(path) +
                           ", the file of " + timesVariable);
  return {};
}

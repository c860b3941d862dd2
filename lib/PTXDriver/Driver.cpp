//===- Driver.cpp - The state of the virtual CUDA driver ------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Driver.h"

#include <cstdio>
#include <cstdlib>
#include <unistd.h>

using namespace clade;
using namespace clade::vcuda;

Driver &Driver::get() {
  // Never destroyed: a program may call the driver while it ends.
  static auto *driver = new Driver;
  return *driver;
}

std::vector<CUcontext> &vcuda::contextStack() {
  thread_local std::vector<CUcontext> stack;
  return stack;
}

static std::mutex &reportMutex() {
  static auto *mutex = new std::mutex;
  return *mutex;
}
static std::string &lastReport() {
  static auto *text = new std::string;
  return *text;
}

void vcuda::say(const std::string &text) {
  std::lock_guard lock(reportMutex());
  lastReport() = text;
  if (!Driver::get().settings.isQuiet)
    fprintf(stderr, "clade-cuda: %s%s", text.c_str(),
            text.ends_with('\n') ? "" : "\n");
}

/// Copies the last message, with its end, into `text` of `size` bytes and
/// returns the bytes that all of it takes.
extern "C" __attribute__((visibility("default"))) size_t
cladeCudaLastReport(char *text, size_t size) {
  std::lock_guard lock(reportMutex());
  const std::string &last = lastReport();
  if (text && size) {
    size_t count = std::min(size - 1, last.size());
    last.copy(text, count);
    text[count] = 0;
  }
  return last.size() + 1;
}

//===--- The environment ---===//

static std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

static std::vector<std::string> splitList(const std::string &text) {
  std::vector<std::string> parts;
  size_t from = 0;
  while (from <= text.size()) {
    size_t comma = std::min(text.find(',', from), text.size());
    parts.push_back(text.substr(from, comma - from));
    from = comma + 1;
  }
  return parts;
}

static CUresult wrongValue(const char *name, const std::string &value,
                           const std::string &expected) {
  Driver::get().settings.isQuiet = false;
  say(std::string(name) + ": '" + value + "' is not " + expected);
  return CUDA_ERROR_INVALID_VALUE;
}

/// A count in an environment variable; `fallback` where it is not set.
static CUresult readCount(const char *name, uint64_t fallback,
                          uint64_t &count) {
  std::string text = environment(name);
  count = fallback;
  if (text.empty())
    return CUDA_SUCCESS;
  char *end = nullptr;
  count = std::strtoull(text.c_str(), &end, 10);
  if (*end || text[0] == '-' || count > (uint64_t(1) << 40))
    return wrongValue(name, text, "a count");
  return CUDA_SUCCESS;
}

static CUresult readChecks(ptx::Checks &checks) {
  std::string text = environment("CLADE_CUDA_CHECKS");
  if (text.empty() || text == "all")
    return CUDA_SUCCESS;
  checks = {false, false, false};
  if (text == "none")
    return CUDA_SUCCESS;
  for (const std::string &name : splitList(text)) {
    if (name == "uninitialised")
      checks.uninitialised = true;
    else if (name == "races")
      checks.races = true;
    else if (name == "async")
      checks.async = true;
    else
      return wrongValue(
          "CLADE_CUDA_CHECKS", text,
          "'all', 'none' or a list of 'uninitialised', 'races', 'async'");
  }
  return CUDA_SUCCESS;
}

static CUresult readSettings(Settings &settings) {
  settings.isQuiet = environment("CLADE_CUDA_QUIET") == "1";
  TRY(readChecks(settings.checks));
  std::string findings = environment("CLADE_CUDA_FINDINGS");
  if (!findings.empty() && findings != "fail" && findings != "report")
    return wrongValue("CLADE_CUDA_FINDINGS", findings, "'fail' or 'report'");
  settings.failOnEveryFinding = findings != "report";
  settings.isDeterministic = environment("CLADE_CUDA_DETERMINISTIC") == "1";
  settings.reportPath = environment("CLADE_CUDA_REPORT");
  settings.counters = !settings.reportPath.empty();
  uint64_t workers;
  TRY(readCount("CLADE_CUDA_WORKERS", 0, workers));
  settings.workers = unsigned(workers);
  return CUDA_SUCCESS;
}

static ptx::DeviceLimits limitsOf(const DeviceModel &model) {
  ptx::DeviceLimits limits;
  limits.maxShared = model.limits().sharedPerBlock;
  limits.numSms = model.multiprocessors;
  limits.computeMajor = model.major;
  limits.computeMinor = model.minor;
  return limits;
}

CUresult Driver::initialise() {
  if (isInitialised)
    return CUDA_SUCCESS;
  TRY(readSettings(settings));
  uint64_t half =
      uint64_t(sysconf(_SC_PHYS_PAGES)) / 2 * uint64_t(sysconf(_SC_PAGE_SIZE));
  uint64_t megabytes;
  TRY(readCount("CLADE_CUDA_MEMORY", 0, megabytes));
  std::string list = environment("CLADE_CUDA_DEVICES");
  if (list.empty())
    list = "sm_90a";
  std::vector<std::unique_ptr<Device>> made;
  for (const std::string &name : splitList(list)) {
    const DeviceModel *model = findModel(name);
    if (!model)
      return wrongValue("CLADE_CUDA_DEVICES", list,
                        "a list of architectures out of " + modelNames());
    auto device = std::make_unique<Device>();
    device->model = model;
    device->ordinal = int(made.size());
    device->memoryBytes =
        megabytes ? megabytes << 20 : std::min(half, model->memoryBytes);
    device->machine = std::make_unique<ptx::Machine>(limitsOf(*model));
    made.push_back(std::move(device));
  }
  devices = std::move(made);
  isInitialised = true;
  return CUDA_SUCCESS;
}

//===--- What calls look up first ---===//

CUresult vcuda::requireInitialised() {
  return Driver::get().isInitialised ? CUDA_SUCCESS
                                     : CUDA_ERROR_NOT_INITIALIZED;
}

CUresult vcuda::currentContext(Context *&context) {
  TRY(requireInitialised());
  const std::vector<CUcontext> &stack = contextStack();
  if (stack.empty() || !stack.back())
    return CUDA_ERROR_INVALID_CONTEXT;
  context = Driver::get().contexts.find(stack.back());
  return context ? context->sticky : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

Allocation *Driver::findAllocation(uint64_t address) {
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin())
    return nullptr;
  Allocation &allocation = std::prev(after)->second;
  return address - allocation.address < allocation.size ? &allocation : nullptr;
}

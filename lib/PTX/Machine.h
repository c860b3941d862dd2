//===- Machine.h - A machine that executes PTX ------------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The interface of the library: device memory, modules, launches.
//
//   Machine machine;
//   auto module = machine.load(*parse(text, "k.ptx"));
//   auto kernel = machine.findKernel(*module, "add");
//   uint64_t data = *machine.allocate(4096);
//   LaunchOptions options;
//   options.block = {128, 1, 1};
//   options.parameters = pack(data, 1024);
//   auto report = machine.launch(*kernel, options);
//
// A machine may be used by several threads, as long as no two touch the same
// allocation or module at once; launches do not overlap: a launch waits for the
// one before.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_MACHINE_H
#define CLADE_PTX_MACHINE_H

#include "lib/PTX/Counters.h"
#include "lib/PTX/Findings.h"
#include "lib/PTX/Module.h"
#include "lib/PTX/Result.h"
#include "lib/PTX/Trace.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace clade::ptx {

struct Program;

/// Which checks a launch does; bounds, alignment, barriers and launch shapes
/// are always checked.
struct Checks {
  bool uninitialised = true;
  bool races = true;
  bool async = true; ///< Reads before the wait, mbarrier phases, proxy fences.
};

struct LaunchOptions {
  std::array<uint32_t, 3> grid = {1, 1, 1};    ///< Blocks.
  std::array<uint32_t, 3> block = {32, 1, 1};  ///< Threads of a block.
  std::array<uint32_t, 3> cluster = {1, 1, 1}; ///< Blocks of a cluster: one.
  uint32_t dynamicShared = 0;                  ///< Bytes.
  /// The packed parameters: each at Parameter::offset.
  std::vector<uint8_t> parameters;
  /// The address of memory, zero at first, in which blocks of a cooperative
  /// launch count arrivals: a size of 4 bytes, and the counter. Cooperative
  /// groups find it by %envreg1 and %envreg2; 0: none.
  uint64_t gridWorkspace = 0;
  unsigned workers = 0;       ///< Threads that run blocks; 0: all cores.
  bool deterministic = false; ///< Blocks one after another, in order.
  Checks checks;
  bool counters = true;
  /// Requests to global memory to keep for a model of caches (8 bytes each);
  /// 0: none. The blocks with the greatest numbers are left out where they are
  /// more.
  uint64_t traceCapacity = 0;
  /// Instructions of warps after which a launch is ended as endless.
  uint64_t budget = uint64_t(1) << 36;
  /// Different findings after which the launch is ended.
  unsigned maxFindings = 100;
  /// Gets what printf in a kernel prints; standard output where it is empty.
  std::function<void(std::string_view)> print;
};

struct LaunchReport {
  std::vector<Finding> findings; ///< Sorted by line.
  Counters counters;
  std::shared_ptr<const Trace> trace; ///< Where it was asked for.
  /// False where the launch ended early: after a trap, a deadlock, too many
  /// findings, or when its shape is illegal.
  bool completed = true;
  double seconds = 0;   ///< That the launch took here,
  unsigned workers = 1; ///< on so many threads.
  bool clean() const { return findings.empty() && completed; }
};

/// Limits of the machine, those of sm_90 unless a caller sets others.
struct DeviceLimits {
  uint32_t maxThreadsPerBlock = 1024;
  std::array<uint32_t, 3> maxBlock = {1024, 1024, 64};
  std::array<uint32_t, 3> maxGrid = {0x7fffffff, 65535, 65535};
  uint32_t maxStaticShared = 48 * 1024;
  uint32_t maxShared = 227 * 1024; ///< Static and dynamic of a block.
  uint32_t numSms = 132;
  uint32_t computeMajor = 9;
  uint32_t computeMinor = 0;
};

using ModuleId = uint32_t;

/// A kernel that can be launched.
struct Kernel {
  std::shared_ptr<const Program> program;
  const Function &function() const;
  uint32_t staticShared() const; ///< Bytes.
  uint64_t localBytes() const;   ///< Of a thread, without calls.
};

/// A global or constant variable of a loaded module.
struct GlobalSymbol {
  uint64_t address;
  uint64_t size;
};

/// What is known of an address.
struct AllocationInfo {
  uint64_t base;
  uint64_t size;
  uint64_t serial;  ///< Allocations count from 1.
  bool isFree;      ///< It was freed.
  bool isReadOnly;  ///< Constants and parameters.
  std::string name; ///< Of a variable; empty for others.
};

class Machine {
public:
  explicit Machine(DeviceLimits limits = {});
  ~Machine();
  Machine(const Machine &) = delete;
  Machine &operator=(const Machine &) = delete;

  const DeviceLimits &limits() const;

  //===--- Memory ---===//

  /// Bytes of global memory, not initialised; their address is also the
  /// host's. An error where memory is exhausted or the size is 0.
  Result<uint64_t> allocate(uint64_t size, uint64_t alignment = 256);
  /// An error unless `address` is the start of a live allocation.
  Status free(uint64_t address);
  /// Copies; an error where the range is not inside one live allocation.
  Status copyIn(uint64_t address, const void *from, uint64_t size);
  Status copyOut(void *to, uint64_t address, uint64_t size) const;
  Status copy(uint64_t to, uint64_t from, uint64_t size);
  /// `count` elements of `width` bytes (1, 2 or 4), each with `value`.
  Status fill(uint64_t address, uint32_t value, unsigned width, uint64_t count);
  /// Bytes of the range that were never written.
  Result<uint64_t> countUninitialised(uint64_t address, uint64_t size) const;
  std::optional<AllocationInfo> find(uint64_t address) const;
  uint64_t bytesInUse() const;

  //===--- Modules ---===//

  /// Places a module's globals and decodes its kernels when they are looked up.
  Result<ModuleId> load(Module module);
  Status unload(ModuleId module);
  /// Decodes the kernel and what it calls; an error names the first instruction
  /// that the machine does not know.
  Result<Kernel> findKernel(ModuleId module, std::string_view name);
  Result<GlobalSymbol> findGlobal(ModuleId module, std::string_view name) const;
  const Module *module(ModuleId module) const;

  //===--- Execution ---===//

  /// Runs a kernel to its end. What the checks find is in the report; an error
  /// says that the launch could not begin (wrong size of the parameters).
  Result<LaunchReport> launch(const Kernel &kernel,
                              const LaunchOptions &options);

  struct Implementation;
  Implementation &implementation() { return *impl; }

private:
  std::unique_ptr<Implementation> impl;
};

/// Opcodes that the machine executes, sorted.
std::vector<std::string_view> knownOpcodes();

} // namespace clade::ptx

#endif // CLADE_PTX_MACHINE_H

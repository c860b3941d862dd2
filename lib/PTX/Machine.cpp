//===- Machine.cpp - A machine that executes PTX --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Machine.h"

#include "lib/PTX/Builder.h"
#include "lib/PTX/Launch.h"
#include "lib/PTX/Memory.h"

#include <algorithm>
#include <cstring>
#include <mutex>

using namespace clade::ptx;

namespace {

constexpr uint64_t parameterCapacity = 32764;

struct LoadedModule {
  std::shared_ptr<const Module> module;
  GlobalAddresses globals;
  std::vector<uint64_t> allocations;
  std::map<std::string, std::shared_ptr<const Program>, std::less<>> programs;
};

} // namespace

struct Machine::Implementation {
  DeviceLimits limits;
  DeviceMemory memory;
  std::map<ModuleId, LoadedModule> modules;
  ModuleId nextModule = 1;
  uint64_t parameterBlock = 0;
  uint64_t launches = 0;
  mutable std::mutex mutex; ///< Of memory and modules.
  std::mutex launching;
};

Machine::Machine(DeviceLimits limits)
    : impl(std::make_unique<Implementation>()) {
  impl->limits = limits;
}
Machine::~Machine() = default;

const DeviceLimits &Machine::limits() const { return impl->limits; }

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Result<uint64_t> Machine::allocate(uint64_t size, uint64_t alignment) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  return impl->memory.allocate(size, alignment);
}

Status Machine::free(uint64_t address) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  return impl->memory.free(address);
}

Status Machine::copyIn(uint64_t address, const void *from, uint64_t size) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  auto owner = impl->memory.owner(address, size);
  if (!owner)
    return owner.error();
  if (size) {
    std::memcpy(reinterpret_cast<void *>(address), from, size);
    impl->memory.setWritten(address, size);
  }
  return Done();
}

Status Machine::copyOut(void *to, uint64_t address, uint64_t size) const {
  std::lock_guard<std::mutex> lock(impl->mutex);
  auto owner = impl->memory.owner(address, size);
  if (!owner)
    return owner.error();
  if (size)
    std::memcpy(to, reinterpret_cast<const void *>(address), size);
  return Done();
}

Status Machine::copy(uint64_t to, uint64_t from, uint64_t size) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  for (uint64_t address : {to, from})
    if (auto owner = impl->memory.owner(address, size); !owner)
      return owner.error();
  std::memmove(reinterpret_cast<void *>(to),
               reinterpret_cast<const void *>(from), size);
  std::memmove(impl->memory.shadow(to), impl->memory.shadow(from), size);
  return Done();
}

Status Machine::fill(uint64_t address, uint32_t value, unsigned width,
                     uint64_t count) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  if (width != 1 && width != 2 && width != 4)
    return Error{"expected elements of 1, 2 or 4 bytes, found " +
                 std::to_string(width)};
  if (count > ~uint64_t(0) / 4)
    return Error{"too many elements to fill: " + std::to_string(count)};
  auto owner = impl->memory.owner(address, count * width);
  if (!owner)
    return owner.error();
  auto *bytes = reinterpret_cast<std::byte *>(address);
  if (width == 1)
    std::memset(bytes, int(value & 255), count);
  else
    for (uint64_t i = 0; i < count; ++i)
      std::memcpy(bytes + i * width, &value, width);
  if (count)
    impl->memory.setWritten(address, count * width);
  return Done();
}

Result<uint64_t> Machine::countUninitialised(uint64_t address,
                                             uint64_t size) const {
  std::lock_guard<std::mutex> lock(impl->mutex);
  auto owner = impl->memory.owner(address, size);
  if (!owner)
    return owner.error();
  const uint8_t *shadow = impl->memory.shadow(address);
  return uint64_t(std::count(shadow, shadow + size, 0));
}

std::optional<AllocationInfo> Machine::find(uint64_t address) const {
  std::lock_guard<std::mutex> lock(impl->mutex);
  const DeviceMemory::Allocation *found = impl->memory.at(address);
  if (!found || address >= found->base + found->size)
    return std::nullopt;
  return AllocationInfo{found->base,   found->size,       found->serial,
                        found->isFree, found->isReadOnly, found->name};
}

uint64_t Machine::bytesInUse() const {
  std::lock_guard<std::mutex> lock(impl->mutex);
  return impl->memory.bytesInUse();
}

//===----------------------------------------------------------------------===//
// Modules
//===----------------------------------------------------------------------===//

namespace {

bool isGlobal(const Variable &variable) {
  return (variable.space == Space::Global ||
          variable.space == Space::Constant) &&
         !variable.isExtern;
}

/// Fills the addresses in a variable's initial value.
Status relocate(const Module &module, const LoadedModule &loaded,
                const Variable &variable, std::byte *bytes) {
  for (const Relocation &relocation : variable.relocations) {
    uint64_t value = 0;
    if (auto found = loaded.globals.find(relocation.symbol);
        found != loaded.globals.end())
      value = found->second;
    else if (const Function *function = module.findFunction(relocation.symbol))
      value = functionWindow + uint64_t(function - module.functions.data());
    else
      return Error{"the initial value of '" + std::string(variable.name) +
                       "' has the address of '" +
                       std::string(relocation.symbol) +
                       "', which has no place in global memory",
                   module.name, variable.line, 1};
    value = (value + uint64_t(relocation.addend)) >> relocation.shift;
    std::memcpy(bytes + relocation.offset, &value,
                std::min(relocation.size, 8u));
  }
  return Done();
}

} // namespace

Result<ModuleId> Machine::load(Module parsed) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  LoadedModule loaded;
  auto module = std::make_shared<const Module>(std::move(parsed));
  loaded.module = module;
  std::vector<const Variable *> variables;
  for (const Variable &variable : module->variables)
    if (isGlobal(variable))
      variables.push_back(&variable);
  for (const Function &function : module->functions)
    for (const Variable &variable : function.variables)
      if (isGlobal(variable))
        variables.push_back(&variable);
  auto undo = [&](Error error) {
    for (uint64_t address : loaded.allocations)
      impl->memory.free(address);
    error.file = module->name;
    return error;
  };
  for (const Variable *variable : variables) {
    uint64_t size = std::max<uint64_t>(variable->size, 1);
    auto address = impl->memory.allocate(
        size, std::max<uint32_t>(variable->alignment, 16));
    if (!address)
      return undo(address.error());
    loaded.allocations.push_back(*address);
    loaded.globals[variable->name] = *address;
    DeviceMemory::Allocation &allocation = *impl->memory.mutableAt(*address);
    allocation.name = variable->name;
    allocation.isReadOnly = variable->space == Space::Constant;
    // What has no initial value is zero.
    std::memset(reinterpret_cast<void *>(*address), 0, size);
    if (!variable->initialiser.empty())
      std::memcpy(reinterpret_cast<void *>(*address),
                  variable->initialiser.data(),
                  std::min<uint64_t>(size, variable->initialiser.size()));
    impl->memory.setWritten(*address, size);
  }
  for (const Variable *variable : variables)
    if (auto status = relocate(
            *module, loaded, *variable,
            reinterpret_cast<std::byte *>(loaded.globals[variable->name]));
        !status)
      return undo(status.error());
  ModuleId id = impl->nextModule++;
  impl->modules[id] = std::move(loaded);
  return id;
}

Status Machine::unload(ModuleId id) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  auto found = impl->modules.find(id);
  if (found == impl->modules.end())
    return Error{"no module " + std::to_string(id) + " is loaded"};
  for (uint64_t address : found->second.allocations)
    impl->memory.free(address);
  impl->modules.erase(found);
  return Done();
}

Result<Kernel> Machine::findKernel(ModuleId id, std::string_view name) {
  std::lock_guard<std::mutex> lock(impl->mutex);
  auto found = impl->modules.find(id);
  if (found == impl->modules.end())
    return Error{"no module " + std::to_string(id) + " is loaded"};
  LoadedModule &loaded = found->second;
  if (auto known = loaded.programs.find(name); known != loaded.programs.end())
    return Kernel{known->second};
  const Function *function = loaded.module->findFunction(name);
  if (!function || !function->isKernel || !function->hasBody) {
    std::string names;
    for (const Function &other : loaded.module->functions)
      if (other.isKernel)
        names += (names.empty() ? "" : ", ") + std::string(other.name);
    return Error{"no kernel '" + std::string(name) + "'; the module has " +
                     (names.empty() ? "none" : names),
                 loaded.module->name};
  }
  auto program = buildProgram(loaded.module, *function, loaded.globals);
  if (!program)
    return program.error();
  loaded.programs[std::string(name)] = *program;
  return Kernel{*program};
}

Result<GlobalSymbol> Machine::findGlobal(ModuleId id,
                                         std::string_view name) const {
  std::lock_guard<std::mutex> lock(impl->mutex);
  auto found = impl->modules.find(id);
  if (found == impl->modules.end())
    return Error{"no module " + std::to_string(id) + " is loaded"};
  auto address = found->second.globals.find(name);
  if (address == found->second.globals.end())
    return Error{"no global variable '" + std::string(name) + "'",
                 found->second.module->name};
  return GlobalSymbol{address->second, impl->memory.at(address->second)->size};
}

const Module *Machine::module(ModuleId id) const {
  std::lock_guard<std::mutex> lock(impl->mutex);
  auto found = impl->modules.find(id);
  return found == impl->modules.end() ? nullptr : found->second.module.get();
}

const Function &Kernel::function() const { return *program->kernel; }
uint32_t Kernel::staticShared() const { return program->staticShared; }
uint64_t Kernel::localBytes() const { return program->entry->localBytes; }

std::vector<std::string_view> clade::ptx::knownOpcodes() {
  return Registry::get().opcodes();
}

//===----------------------------------------------------------------------===//
// Launch
//===----------------------------------------------------------------------===//

namespace {

std::string triple(const std::array<uint32_t, 3> &values) {
  return std::to_string(values[0]) + "x" + std::to_string(values[1]) + "x" +
         std::to_string(values[2]);
}

/// Why a GPU would refuse the launch; empty where it would not.
std::string refusal(const Program &program, const LaunchOptions &options,
                    const DeviceLimits &limits) {
  const Function &kernel = *program.kernel;
  uint64_t threads = 1;
  for (unsigned i = 0; i < 3; ++i) {
    if (options.grid[i] == 0 || options.grid[i] > limits.maxGrid[i])
      return "a grid of " + triple(options.grid) +
             " blocks; it may have 1 to " + triple(limits.maxGrid);
    if (options.block[i] == 0 || options.block[i] > limits.maxBlock[i])
      return "a block of " + triple(options.block) +
             " threads; it may have 1 to " + triple(limits.maxBlock);
    threads *= options.block[i];
  }
  if (threads > limits.maxThreadsPerBlock)
    return "a block of " + triple(options.block) + " = " +
           std::to_string(threads) + " threads; it may have " +
           std::to_string(limits.maxThreadsPerBlock);
  uint64_t most = 1;
  for (uint32_t size : kernel.maxThreads)
    most *= size;
  if (most && threads > most)
    return "a block of " + std::to_string(threads) +
           " threads; the kernel says .maxntid " + triple(kernel.maxThreads);
  if (kernel.requiredThreads[0] && options.block != kernel.requiredThreads)
    return "a block of " + triple(options.block) +
           " threads; the kernel says .reqntid " +
           triple(kernel.requiredThreads);
  if (program.staticShared > limits.maxStaticShared)
    return std::to_string(program.staticShared) +
           " bytes of static shared memory; a block may have " +
           std::to_string(limits.maxStaticShared);
  uint64_t shared = uint64_t(program.staticShared) + options.dynamicShared;
  if (shared > limits.maxShared)
    return std::to_string(shared) + " bytes of shared memory (" +
           std::to_string(program.staticShared) + " static, " +
           std::to_string(options.dynamicShared) +
           " dynamic); a block may have " + std::to_string(limits.maxShared);
  return {};
}

} // namespace

Result<LaunchReport> Machine::launch(const Kernel &kernel,
                                     const LaunchOptions &options) {
  const Program &program = *kernel.program;
  const Function &function = *program.kernel;
  std::string name(function.name);
  if (options.parameters.size() != function.parameterBytes)
    return Error{"kernel '" + name + "' takes " +
                 std::to_string(function.parameterBytes) +
                 " bytes of parameters, found " +
                 std::to_string(options.parameters.size())};
  for (const auto &cluster : {options.cluster, function.requiredCluster})
    for (uint32_t size : cluster)
      if (size > 1)
        return Error{"kernel '" + name + "' is launched in clusters of " +
                     triple(cluster) +
                     " blocks; the machine has clusters of one block"};
  std::string why = refusal(program, options, impl->limits);
  if (!why.empty()) {
    LaunchReport report;
    report.completed = false;
    Finding finding;
    finding.kind = FindingKind::IllegalLaunch;
    finding.kernel = name;
    finding.text = "it is launched with " + why;
    report.findings.push_back(std::move(finding));
    return report;
  }
  std::lock_guard<std::mutex> launching(impl->launching);
  {
    std::lock_guard<std::mutex> lock(impl->mutex);
    if (!impl->parameterBlock) {
      auto block = impl->memory.allocate(parameterCapacity, 256);
      if (!block)
        return block.error();
      impl->parameterBlock = *block;
    }
    DeviceMemory::Allocation &block =
        *impl->memory.mutableAt(impl->parameterBlock);
    block.name = "kernel parameters";
    block.isReadOnly = true;
    block.size = std::max<uint64_t>(options.parameters.size(), 1);
    if (!options.parameters.empty())
      std::memcpy(reinterpret_cast<void *>(impl->parameterBlock),
                  options.parameters.data(), options.parameters.size());
    impl->memory.setWritten(impl->parameterBlock, block.size);
  }
  Launch launch(impl->memory, impl->limits, program, options,
                impl->parameterBlock);
  launch.gridId = ++impl->launches;
  return launch.run();
}

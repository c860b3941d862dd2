//===- Driver.h - The state of the virtual CUDA driver -------- -*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every handle is a number that is given once and never again, so that one that
// was destroyed, or never made, is recognised. Each operation of a stream is
// done when its call returns: the order of calls is an order that CUDA allows.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_LIB_PTXDRIVER_DRIVER_H
#define CLADE_LIB_PTXDRIVER_DRIVER_H

// Names are those of the library's symbols, with their versions.
#define __CUDA_API_VERSION_INTERNAL
#include "lib/PTX/Machine.h"
#include "lib/PTXDriver/Devices.h"

#include <cuda.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#define CLADE_CUDA_JOIN_(a, b) a##b
#define CLADE_CUDA_NAME_(a, b) CLADE_CUDA_JOIN_(a, b)
/// Exports a further name of a function that the file defines.
#define ALSO(name, target)                                                     \
  extern "C" __attribute__((visibility("default"), alias(#target))) void       \
  CLADE_CUDA_NAME_(cladeAlias, __COUNTER__)() __asm__(name)

#define EXPORT extern "C" __attribute__((visibility("default"))) CUresult

/// Returns the code of a call that failed.
#define TRY(...)                                                               \
  do {                                                                         \
    if (CUresult code_ = (__VA_ARGS__); code_ != CUDA_SUCCESS)                 \
      return code_;                                                            \
  } while (false)

namespace clade::vcuda {

enum class HandleKind : uint8_t {
  Context = 1,
  Module,
  Function,
  Library,
  Kernel,
  Stream,
  Event,
  Graph,
  Node,
  Exec,
  Pool,
  Link,
};

/// The objects behind the handles of a kind.
template <typename T, HandleKind kind> class Handles {
public:
  /// The handle of a new object.
  template <typename H = void *> H add(std::unique_ptr<T> object) {
    uintptr_t value = (uintptr_t(0x5c) << 40) | (uintptr_t(kind) << 34) |
                      (uintptr_t(++serial) << 4);
    object->handle = reinterpret_cast<void *>(value);
    objects.emplace(value, std::move(object));
    return reinterpret_cast<H>(value);
  }
  /// Null where the handle is none of this kind, or was destroyed.
  T *find(const void *handle) {
    auto found = objects.find(reinterpret_cast<uintptr_t>(handle));
    return found == objects.end() ? nullptr : found->second.get();
  }
  bool erase(const void *handle) {
    return objects.erase(reinterpret_cast<uintptr_t>(handle)) != 0;
  }
  template <typename Predicate> void eraseIf(Predicate predicate) {
    std::erase_if(objects,
                  [&](const auto &entry) { return predicate(*entry.second); });
  }

private:
  std::unordered_map<uintptr_t, std::unique_ptr<T>> objects;
  uint64_t serial = 0;
};

struct Object {
  void *handle = nullptr;
};

struct Device {
  const DeviceModel *model;
  int ordinal;
  uint64_t memoryBytes;
  std::unique_ptr<ptx::Machine> machine;
  /// The primary context; null while it is not retained.
  CUcontext primary = nullptr;
  unsigned primaryUsers = 0;
  unsigned primaryFlags = 0;
  CUmemoryPool defaultPool = nullptr;
  CUmemoryPool pool = nullptr;
  /// Where blocks of cooperative launches meet; 0 until the first.
  uint64_t gridWorkspace = 0;
};

struct Stream;

struct Context : Object {
  Context();
  ~Context();
  Device *device;
  std::unique_ptr<Stream> defaultStream; ///< Behind the special handles.
  unsigned flags = 0;
  uint64_t id = 0;
  bool isPrimary = false;
  CUresult sticky = CUDA_SUCCESS; ///< An error that every later call returns.
  std::map<int, size_t> limits;
};

/// A kernel of a module; a CUkernel of a library is one as well.
struct Function : Object {
  CUmodule module;
  std::string name;
  ptx::Kernel kernel;
  int maxDynamicShared;
  int carveout = -1;
  bool allowsLargeCluster = false;
  bool isLibraryKernel = false;
};

struct Module : Object {
  CUcontext context;
  Device *device;
  ptx::ModuleId id;
  std::map<std::string, CUfunction, std::less<>> functions;
};

struct Library : Object {
  std::string text; ///< PTX.
  std::map<std::string, CUkernel, std::less<>> kernels;
  std::map<CUcontext, CUmodule> modules; ///< Loaded at first use.
};

struct LibraryKernel : Object {
  CUlibrary library;
  std::string name;
  std::map<int, int> attributes; ///< Set for later functions.
};

struct Capture {
  CUgraph graph;
  CUstream origin;
  uint64_t id;
  CUstreamCaptureMode mode;
  bool isInvalid = false;
};

struct Stream : Object {
  CUcontext context;
  unsigned flags = 0;
  int priority = 0;
  uint64_t id = 0;
  std::shared_ptr<Capture> capture;
  std::vector<CUgraphNode> tail; ///< What the next captured node follows.
};

struct Event : Object {
  CUcontext context;
  unsigned flags = 0;
  bool isRecorded = false;
  std::chrono::steady_clock::time_point time;
  std::shared_ptr<Capture> capture; ///< It was recorded in a capture.
  std::vector<CUgraphNode> nodes;   ///< What it stands for there.
};

/// Where memory came from.
enum class MemoryKind : uint8_t { Device, Managed, Host, Registered, Pool };

struct Allocation {
  uint64_t address;
  uint64_t size;
  MemoryKind kind;
  CUcontext context;
  Device *device;
  unsigned flags = 0;
  CUmemoryPool pool = nullptr;
  uint64_t id = 0;
  /// Of registered memory, its copy on the device, which kernels see: brought
  /// up to date before each launch, and copied back after it.
  uint64_t mirror = 0;
};

struct Pool : Object {
  Device *device;
  uint64_t releaseThreshold = 0;
  uint64_t used = 0, usedHigh = 0;
  bool isDefault = false;
};

/// What the environment asks for.
struct Settings {
  ptx::Checks checks;
  bool failOnEveryFinding = true;
  bool isDeterministic = false;
  bool counters = true;
  unsigned workers = 0;
  std::string reportPath; ///< JSON lines; empty: none.
  bool isQuiet = false;   ///< Nothing to standard error.
};

class Driver {
public:
  static Driver &get();

  std::recursive_mutex mutex;
  bool isInitialised = false;
  std::vector<std::unique_ptr<Device>> devices;
  Settings settings;

  Handles<Context, HandleKind::Context> contexts;
  Handles<Module, HandleKind::Module> modules;
  Handles<Function, HandleKind::Function> functions;
  Handles<Library, HandleKind::Library> libraries;
  Handles<LibraryKernel, HandleKind::Kernel> kernels;
  Handles<Stream, HandleKind::Stream> streams;
  Handles<Event, HandleKind::Event> events;
  Handles<Pool, HandleKind::Pool> pools;
  std::map<uint64_t, Allocation> allocations; ///< By address.
  uint64_t serial = 0;                        ///< Of contexts, streams…

  /// Reads the environment and makes the devices.
  CUresult initialise();
  Device *device(CUdevice ordinal) {
    return ordinal >= 0 && size_t(ordinal) < devices.size()
               ? devices[ordinal].get()
               : nullptr;
  }
  /// The allocation that holds an address.
  Allocation *findAllocation(uint64_t address);
};

/// The calling thread's stack of contexts; its top is current.
std::vector<CUcontext> &contextStack();

/// Holds the driver's lock during a call.
class Guard {
public:
  Guard() : lock(Driver::get().mutex) {}

private:
  std::lock_guard<std::recursive_mutex> lock;
};

/// CUDA_ERROR_NOT_INITIALIZED before cuInit.
CUresult requireInitialised();
/// The current context, and the error that it keeps.
CUresult currentContext(Context *&context);
/// A stream of the current context, which the special handles stand for.
CUresult resolveStream(CUstream handle, Stream *&stream);
/// A CUfunction, or a CUkernel in its place, in the current context.
CUresult resolveFunction(CUfunction handle, Function *&function);

/// Writes a message to standard error (unless CLADE_CUDA_QUIET is set) and
/// keeps it for cladeCudaLastReport().
void say(const std::string &text);

} // namespace clade::vcuda

#endif // CLADE_LIB_PTXDRIVER_DRIVER_H

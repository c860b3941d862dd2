//===- NcclLibrary.cpp - NCCL, loaded at run time -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/NcclLibrary.h"

#include "runtime/Support/Text.h"

#include <cstdlib>
#include <dlfcn.h>
#include <string>

using namespace clade::rt;

StatusOr<const NcclLibrary *> NcclLibrary::load() {
  // Never unloaded: it has threads of its own.
  static NcclLibrary library;
  static const Status opened = library.open();
  if (!opened.ok())
    return Status(opened.code(), opened.message());
  return &library;
}

Status NcclLibrary::open() {
  const char *chosen = std::getenv(ncclVariable);
  std::string path = chosen && *chosen ? chosen : "libnccl.so.2";
  void *library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *reason = ::dlerror();
    return Status::notFound("no NCCL: cannot load " + quoteName(path) + ": " +
                            (reason ? reason : "no reason given"));
  }
  std::string missing;
  auto find = [&](const char *name, auto &function) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(
        ::dlsym(library, name));
    if (!function && missing.empty())
      missing = name;
  };
  find("ncclGetVersion", ncclGetVersion);
  find("ncclGetErrorString", ncclGetErrorString);
  find("ncclGetLastError", ncclGetLastError);
  find("ncclGetUniqueId", ncclGetUniqueId);
  find("ncclCommInitRank", ncclCommInitRank);
  find("ncclCommDestroy", ncclCommDestroy);
  find("ncclCommAbort", ncclCommAbort);
  find("ncclCommGetAsyncError", ncclCommGetAsyncError);
  find("ncclAllReduce", ncclAllReduce);
  find("ncclReduceScatter", ncclReduceScatter);
  find("ncclAllGather", ncclAllGather);
  find("ncclBroadcast", ncclBroadcast);
  find("ncclSend", ncclSend);
  find("ncclRecv", ncclRecv);
  find("ncclGroupStart", ncclGroupStart);
  find("ncclGroupEnd", ncclGroupEnd);
  if (!missing.empty())
    return Status::unsupported("the NCCL library " + quoteName(path) +
                               " has no function " + quoteName(missing));
  return {};
}

Status NcclLibrary::check(ncclResult result, const std::string &what,
                          ncclComm communicator) const {
  if (result == ncclDone)
    return {};
  const char *text = ncclGetErrorString(result),
             *last = ncclGetLastError(communicator);
  std::string reason = text ? text : "error " + std::to_string(result);
  if (last && *last)
    reason += " (" + std::string(last) + ")";
  return Status::ioError(what + ": the NCCL library says " + reason);
}

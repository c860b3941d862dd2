//===- FakeNccl.cpp - A libnccl of one process ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Ranks are communicators of this process. Calls are noted; what FAKE_NCCL_FAIL
// names fails. A sum is done at once where all ranks' memory is the process's,
// as with the virtual driver: each rank adds its own to what is in `to`.
//
//===----------------------------------------------------------------------===//

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

struct Id {
  char internal[128];
};
struct Communicator {
  int size, rank;
};
std::string calls;
int depth = 0;

int note(const std::string &name, const std::string &rest = "") {
  calls += name + rest + ";";
  const char *failing = std::getenv("FAKE_NCCL_FAIL");
  return failing && name == failing ? 2 : 0; // ncclSystemError
}

std::string text(std::initializer_list<long> numbers) {
  std::string result;
  for (long number : numbers)
    result += " " + std::to_string(number);
  return result;
}

} // namespace

/// All calls since the last time, for tests.
EXPORT const char *fakeNcclCalls() {
  static std::string taken;
  taken = std::move(calls);
  calls.clear();
  return taken.c_str();
}

EXPORT int ncclGetVersion(int *version) {
  *version = 22809;
  return 0;
}
EXPORT const char *ncclGetErrorString(int result) {
  return result == 2 ? "unhandled system error" : "no error";
}
EXPORT const char *ncclGetLastError(void *communicator) {
  return communicator ? "a cable is loose" : "";
}
EXPORT int ncclGetUniqueId(Id *id) {
  std::strcpy(id->internal, "here");
  return note("id");
}
EXPORT int ncclCommInitRank(Communicator **result, int size, Id id, int rank) {
  if (std::strcmp(id.internal, "here") != 0)
    return 4;
  *result = nullptr;
  if (int failed = note("init", text({size, rank})))
    return failed;
  *result = new Communicator{size, rank};
  return 0;
}
EXPORT int ncclCommDestroy(Communicator *communicator) {
  delete communicator;
  return note("destroy");
}
EXPORT int ncclCommAbort(Communicator *communicator) {
  delete communicator;
  return note("abort");
}
EXPORT int ncclCommGetAsyncError(Communicator *, int *result) {
  *result = note("async");
  return 0;
}
EXPORT int ncclAllReduce(const void *from, void *to, size_t count, int type,
                         int kind, Communicator *, void *) {
  if (type == 7 && kind == 0 && from != to)
    for (size_t i = 0; i < count; ++i)
      static_cast<float *>(to)[i] += static_cast<const float *>(from)[i];
  return note("allReduce", text({long(count), type, kind}));
}
EXPORT int ncclReduceScatter(const void *, void *, size_t count, int type,
                             int kind, Communicator *, void *) {
  return note("reduceScatter", text({long(count), type, kind}));
}
EXPORT int ncclAllGather(const void *from, void *to, size_t count, int type,
                         Communicator *communicator, void *) {
  if (type == 1)
    std::memcpy(static_cast<char *>(to) +
                    static_cast<size_t>(communicator->rank) * count,
                from, count);
  return note("allGather", text({long(count), type}));
}
EXPORT int ncclBroadcast(const void *from, void *to, size_t count, int type,
                         int root, Communicator *, void *) {
  return note("broadcast", text({long(count), type, root, from == to}));
}
EXPORT int ncclSend(const void *, size_t count, int type, int peer,
                    Communicator *, void *) {
  return note("send", text({long(count), type, peer}));
}
EXPORT int ncclRecv(void *, size_t count, int type, int peer, Communicator *,
                    void *) {
  return note("receive", text({long(count), type, peer}));
}
EXPORT int ncclGroupStart() { return note("begin", text({++depth})); }
EXPORT int ncclGroupEnd() { return note("end", text({--depth})); }

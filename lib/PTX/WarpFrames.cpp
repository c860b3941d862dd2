//===- WarpFrames.cpp - Calls and rows of a warp --------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Execution.h"
#include "lib/PTX/Launch.h"

#include <algorithm>
#include <bit>
#include <cstdio>

using namespace clade::ptx;

namespace {

/// Local memory of a thread with all its calls, as a GPU has.
constexpr uint64_t largestStack = 512 * 1024;
constexpr unsigned deepestCall = 2000;

} // namespace

//===----------------------------------------------------------------------===//
// Frames
//===----------------------------------------------------------------------===//

Frame *Warp::makeFrame(const Code &code, Frame *caller) {
  auto reusable = std::find_if(freeFrames.begin(), freeFrames.end(),
                               [&](Frame *f) { return f->code == &code; });
  Frame *made;
  if (reusable != freeFrames.end()) {
    made = *reusable;
    *reusable = freeFrames.back();
    freeFrames.pop_back();
  } else {
    frames.push_back(std::make_unique<Frame>());
    made = frames.back().get();
    made->code = &code;
    made->storage =
        std::make_unique_for_overwrite<std::byte[]>(code.frameBytes + 64);
    auto address = reinterpret_cast<uintptr_t>(made->storage.get());
    made->registers = made->storage.get() + (64 - address % 64) % 64;
    // Values nobody wrote are the same in every run.
    std::memset(made->registers, 0, code.frameBytes);
  }
  made->caller = caller;
  made->depth = caller ? caller->depth + 1 : 0;
  made->users = 0;
  made->localBase = caller ? caller->localBase + caller->code->localBytes : 0;
  made->mayPoison = block.launch.options.checks.uninitialised &&
                    !code.maybeUnassigned.empty();
  made->poison.clear();
  made->poisonLine.clear();
  if (made->mayPoison) {
    made->poison.assign(code.registerOffsets.size(), 0);
    made->poisonLine.assign(code.registerOffsets.size(), 0);
    for (uint32_t id : code.maybeUnassigned)
      made->poison[id] = allLanes;
  }
  growLocal(made->localBase + code.localBytes);
  return made;
}

void Warp::dropFrame(Frame *unused) {
  while (unused && --unused->users == 0) {
    freeFrames.push_back(unused);
    unused = unused->caller;
  }
}

void Warp::growLocal(uint64_t bytes) {
  if (bytes <= localStride)
    return;
  uint64_t stride = std::max(bytes, localStride * 2);
  std::vector<std::byte> moved(stride * warpSize);
  std::vector<uint8_t> movedShadow(stride * warpSize);
  for (unsigned lane = 0; lane < warpSize && localStride; ++lane) {
    std::memcpy(moved.data() + lane * stride, local.data() + lane * localStride,
                localStride);
    std::memcpy(movedShadow.data() + lane * stride,
                localShadow.data() + lane * localStride, localStride);
  }
  local.swap(moved);
  localShadow.swap(movedShadow);
  localStride = stride;
}

bool Warp::enter(const Op &op, LaneMask exec, const Code &code) {
  uint64_t base = frame->localBase + frame->code->localBytes;
  if (base + code.localBytes > largestStack || frame->depth >= deepestCall) {
    report(FindingKind::StackOverflow, op, std::countr_zero(exec),
           "calls nest " + std::to_string(frame->depth + 1) +
               " deep and need " + std::to_string(base + code.localBytes) +
               " bytes of stack; a thread has " + std::to_string(largestStack));
    abortLaunch();
    return false;
  }
  if (LaneMask rest = active & ~exec) {
    park({rest, pc, frame});
    ++frame->users;
  }
  Frame *callee = makeFrame(code, frame);
  callee->users = 1;
  callee->returnTo = pc;
  callee->call = &op;
  for (unsigned lane = 0; lane < warpSize && code.localBytes; ++lane)
    if (exec >> lane & 1)
      std::memset(localShadow.data() + lane * localStride + base, 0,
                  code.localBytes);
  frame = callee;
  active = exec;
  pc = 0;
  event = true;
  return true;
}

void Warp::leave(LaneMask exec) {
  if (!frame->caller)
    return exitLanes(exec);
  if (LaneMask rest = active & ~exec) {
    park({rest, pc, frame});
    ++frame->users;
  }
  Frame *callee = frame;
  frame = callee->caller;
  pc = callee->returnTo;
  active = exec;
  ++frame->users;
  dropFrame(callee);
  event = true;
}

void Warp::exitLanes(LaneMask lanes) {
  exited |= lanes;
  active &= ~lanes;
  event = true;
  if (!active)
    dropFrame(frame);
  block.laneExit();
}

//===----------------------------------------------------------------------===//
// Rows of any width
//===----------------------------------------------------------------------===//

namespace {

template <typename T> void widen(const T *row, uint64_t *out) {
  for (unsigned i = 0; i < warpSize; ++i)
    out[i] = row[i];
}

template <typename T>
void narrow(Warp &warp, Slot slot, const uint64_t *values, LaneMask exec) {
  T narrowed[warpSize];
  for (unsigned i = 0; i < warpSize; ++i)
    narrowed[i] = T(values[i]);
  warp.write(slot, narrowed, exec);
}

} // namespace

void Warp::readWide(Slot slot, unsigned bytes, uint64_t *out) const {
  switch (bytes) {
  case 1:
    return widen(row<uint8_t>(slot), out);
  case 2:
    return widen(row<uint16_t>(slot), out);
  case 4:
    return widen(row<uint32_t>(slot), out);
  default:
    return widen(row<uint64_t>(slot), out);
  }
}

void Warp::writeWide(Slot slot, unsigned bytes, const uint64_t *values,
                     LaneMask exec) {
  switch (bytes) {
  case 1:
    return narrow<uint8_t>(*this, slot, values, exec);
  case 2:
    return narrow<uint16_t>(*this, slot, values, exec);
  case 4:
    return narrow<uint32_t>(*this, slot, values, exec);
  default:
    return narrow<uint64_t>(*this, slot, values, exec);
  }
}

uint64_t Warp::readLane(Slot slot, unsigned bytes, unsigned lane) const {
  switch (bytes) {
  case 1:
    return row<uint8_t>(slot)[lane];
  case 2:
    return row<uint16_t>(slot)[lane];
  case 4:
    return row<uint32_t>(slot)[lane];
  default:
    return row<uint64_t>(slot)[lane];
  }
}

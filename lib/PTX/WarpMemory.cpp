//===- WarpMemory.cpp - Accesses to memory, checked and counted -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/AccessCounts.h"
#include "lib/PTX/Execution.h"
#include "lib/PTX/Launch.h"

#include <algorithm>
#include <bit>
#include <cstdio>

using namespace clade::ptx;

namespace {

std::string hex(uint64_t value) {
  char text[20];
  std::snprintf(text, sizeof text, "0x%llx",
                static_cast<unsigned long long>(value));
  return text;
}

std::string_view verb(AccessKind kind) {
  switch (kind) {
  case AccessKind::Read:
  case AccessKind::AsyncRead:
    return "reads ";
  case AccessKind::Write:
  case AccessKind::AsyncWrite:
    return "writes ";
  case AccessKind::Atomic:
    break;
  }
  return "updates ";
}

std::string bytesAt(const AccessShape &shape, uint64_t bytes,
                    uint64_t address) {
  return std::string(verb(shape.kind)) + std::to_string(bytes) + " bytes at " +
         hex(address);
}

bool writes(AccessKind kind) {
  return kind != AccessKind::Read && kind != AccessKind::AsyncRead;
}

/// The least and the greatest address of the lanes, and which low bits any has.
struct Extent {
  uint64_t low = ~uint64_t(0);
  uint64_t high = 0;
  uint64_t bits = 0;
  bool isContiguous = false;
};

Extent extentOf(const uint64_t *addresses, LaneMask exec, uint64_t bytes) {
  Extent extent;
  if (exec == allLanes) {
    uint64_t first = addresses[0];
    uint64_t strange = 0;
    for (unsigned i = 0; i < warpSize; ++i) {
      extent.low = std::min(extent.low, addresses[i]);
      extent.high = std::max(extent.high, addresses[i]);
      extent.bits |= addresses[i];
      strange |= addresses[i] ^ (first + i * bytes);
    }
    extent.isContiguous = strange == 0;
    return extent;
  }
  for (LaneMask rest = exec; rest; rest &= rest - 1) {
    uint64_t address = addresses[std::countr_zero(rest)];
    extent.low = std::min(extent.low, address);
    extent.high = std::max(extent.high, address);
    extent.bits |= address;
  }
  return extent;
}

} // namespace

//===----------------------------------------------------------------------===//
// Addresses
//===----------------------------------------------------------------------===//

void Warp::addresses(Slot slot, unsigned bytes, AddressBase base,
                     int64_t offset, uint64_t *out) const {
  uint64_t add = uint64_t(offset);
  if (base == AddressBase::Frame)
    add += frame->localBase;
  else if (base == AddressBase::Kernel)
    add += block.launch.parameterBase;
  if (bytes == 8) {
    const uint64_t *from = row<uint64_t>(slot);
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = from[i] + add;
  } else if (bytes == 4) {
    const uint32_t *from = row<uint32_t>(slot);
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = from[i] + add;
  } else {
    std::fill_n(out, warpSize, add);
  }
}

void Warp::addresses(const Op &op, Slot slot, uint64_t *out) const {
  addresses(slot, op.addressBytes, op.base, op.offset, out);
}

//===----------------------------------------------------------------------===//
// Global memory
//===----------------------------------------------------------------------===//

/// Whether one lane may access a range; reports why not.
bool Warp::checkGlobal(const Op &op, unsigned lane, uint64_t address,
                       uint64_t bytes, const AccessShape &shape) {
  std::string what = bytesAt(shape, bytes, address);
  if (address & (shape.alignment - 1)) {
    report(FindingKind::Misaligned, op, lane,
           what + ", which is not a multiple of " +
               std::to_string(shape.alignment));
    return false;
  }
  const DeviceMemory::Allocation *owner = block.launch.memory.at(address);
  if (owner && address >= owner->base + owner->extent &&
      address - owner->base > (uint64_t(1) << 32))
    owner = nullptr;
  if (!owner) {
    const char *where = address < 4096       ? ", a null pointer"
                        : address >> 56 == 1 ? ", an address of shared memory"
                        : address >> 56 == 2 ? ", an address of local memory"
                                             : ", where nothing is allocated";
    report(FindingKind::OutOfBounds, op, lane, what + where);
    return false;
  }
  std::string name = owner->name.empty()
                         ? "allocation " + std::to_string(owner->serial)
                         : "'" + owner->name + "'";
  uint64_t offset = address - owner->base;
  std::string place =
      " of " + name + ", which has " + std::to_string(owner->size) + " bytes";
  if (owner->isFree) {
    report(FindingKind::UseAfterFree, op, lane,
           what + ", offset " + std::to_string(offset) + place +
               " and was freed");
    return false;
  }
  if (offset > owner->size || bytes > owner->size - offset) {
    report(FindingKind::OutOfBounds, op, lane,
           what + ", offset " + std::to_string(offset) + place);
    return false;
  }
  if (owner->isReadOnly && writes(shape.kind)) {
    report(FindingKind::WriteToReadOnly, op, lane,
           what + ", offset " + std::to_string(offset) + place +
               " and is read-only");
    return false;
  }
  cachedBegin = owner->base;
  cachedEnd = owner->base + owner->size;
  cachedReadOnly = owner->isReadOnly;
  return true;
}

/// Hands the lines of a range on to the trace.
void Warp::traceRange(const Op &op, uint64_t address, uint64_t bytes,
                      AccessKind kind) {
  uint64_t first = address >> 5, last = (address + bytes - 1) >> 5;
  for (uint64_t line = first >> 2; line <= last >> 2; ++line) {
    unsigned from = unsigned(std::max(first, line * 4) - line * 4),
             to = unsigned(std::min(last, line * 4 + 3) - line * 4);
    block.request(line, uint8_t((2u << to) - (1u << from)), kind, op);
  }
}

void Warp::countGlobal(const Op &op, LaneMask valid, const uint64_t *addresses,
                       const AccessShape &shape, const Pointers &pointers) {
  OpCounter &count = counter(op);
  uint64_t bytes = uint64_t(std::popcount(valid)) * shape.bytes;
  count.bytes += bytes;
  // Parameters and constants have a cache of their own.
  if (op.kind == Class::ConstantMemory)
    return;
  ++count.requests;
  bool isRange = pointers.isUniform || pointers.isContiguous;
  uint64_t sectors = 0;
  if (isRange) {
    uint64_t begin = addresses[std::countr_zero(valid)];
    uint64_t size = pointers.isUniform ? shape.bytes : bytes;
    sectors = ((begin + size - 1) >> 5) - (begin >> 5) + 1;
    if (block.isTraced)
      traceRange(op, begin, size, shape.kind);
  } else if (block.isTraced) {
    TouchedLine lines[2 * warpSize];
    unsigned numLines = findLines(addresses, valid, shape.bytes, lines);
    for (unsigned i = 0; i < numLines; ++i) {
      sectors += unsigned(std::popcount(lines[i].sectors));
      block.request(lines[i].line, lines[i].sectors, shape.kind, op);
    }
  } else {
    sectors = countSectors(addresses, valid, shape.bytes);
  }
  // Lanes that want the same bytes need them once.
  uint64_t ideal =
      pointers.isUniform ? (shape.bytes + 31) / 32 : (bytes + 31) / 32;
  count.sectors += sectors;
  // Lanes may share some of their bytes.
  count.idealSectors += std::min(ideal, sectors);
}

LaneMask Warp::accessGlobal(const Op &op, LaneMask exec,
                            const uint64_t *addresses, const AccessShape &shape,
                            Pointers &out) {
  Extent extent = extentOf(addresses, exec, shape.bytes);
  auto isCached = [&] {
    return extent.low >= cachedBegin &&
           extent.high + shape.bytes <= cachedEnd && extent.high < cachedEnd &&
           !(cachedReadOnly && writes(shape.kind));
  };
  bool isAligned = !(extent.bits & (shape.alignment - 1));
  LaneMask valid = exec;
  if (!isAligned || !isCached()) {
    if (const DeviceMemory::Allocation *owner =
            block.launch.memory.at(extent.low);
        owner && !owner->isFree) {
      cachedBegin = owner->base;
      cachedEnd = owner->base + owner->size;
      cachedReadOnly = owner->isReadOnly;
    }
    if (!isAligned || !isCached())
      for (LaneMask rest = exec; rest; rest &= rest - 1) {
        unsigned lane = std::countr_zero(rest);
        if (!checkGlobal(op, lane, addresses[lane], shape.bytes, shape))
          valid &= ~(LaneMask(1) << lane);
      }
  }
  // Whole numbers: addresses of lanes that are not valid may be anything.
  for (unsigned i = 0; i < warpSize; ++i) {
    out.lane[i] = reinterpret_cast<std::byte *>(addresses[i]);
    out.shadow[i] = block.launch.memory.shadow(addresses[i]);
  }
  out.isContiguous = extent.isContiguous && valid == allLanes;
  out.isUniform = extent.low == extent.high && valid == exec;
  if (block.launch.options.counters && valid)
    countGlobal(op, valid, addresses, shape, out);
  if (block.observer && valid)
    block.observer->access(*this, op, shape, Space::Global, valid, addresses);
  return valid;
}

//===----------------------------------------------------------------------===//
// Shared and local memory
//===----------------------------------------------------------------------===//

LaneMask Warp::accessShared(const Op &op, LaneMask exec,
                            const uint64_t *addresses, const AccessShape &shape,
                            Pointers &out) {
  Extent extent = extentOf(addresses, exec, shape.bytes);
  uint64_t end = block.launch.sharedBytes;
  LaneMask valid = exec;
  bool isGood = extent.low >= reservedShared && extent.high <= end &&
                extent.high + shape.bytes <= end &&
                !(extent.bits & (shape.alignment - 1));
  if (!isGood)
    for (LaneMask rest = exec; rest; rest &= rest - 1) {
      unsigned lane = std::countr_zero(rest);
      if (!checkShared(op, lane, addresses[lane], shape.bytes, shape))
        valid &= ~(LaneMask(1) << lane);
    }
  auto base = reinterpret_cast<uint64_t>(block.shared.data());
  auto shadow = reinterpret_cast<uint64_t>(block.sharedShadow.data());
  for (unsigned i = 0; i < warpSize; ++i) {
    out.lane[i] = reinterpret_cast<std::byte *>(base + addresses[i]);
    out.shadow[i] = reinterpret_cast<uint8_t *>(shadow + addresses[i]);
  }
  out.isContiguous = extent.isContiguous && valid == allLanes;
  out.isUniform = extent.low == extent.high && valid == exec;
  if (block.launch.options.counters && valid) {
    OpCounter &count = counter(op);
    uint64_t bytes = uint64_t(std::popcount(valid)) * shape.bytes;
    count.bytes += bytes;
    ++count.sharedRequests;
    unsigned ideal = out.isUniform ? unsigned(shape.bytes + 127) / 128
                                   : unsigned(bytes + 127) / 128;
    count.idealWaves += ideal;
    bool isPerfect = out.isUniform || (out.isContiguous && shape.bytes >= 4 &&
                                       shape.bytes <= 16);
    count.sharedWaves +=
        isPerfect ? ideal : countWaves(addresses, valid, shape.bytes);
  }
  if (block.observer && valid)
    block.observer->access(*this, op, shape, Space::Shared, valid, addresses);
  return valid;
}

bool Warp::checkShared(const Op &op, unsigned lane, uint64_t address,
                       uint64_t bytes, const AccessShape &shape) {
  std::string what = bytesAt(shape, bytes, address) + " of shared memory";
  if (address & (shape.alignment - 1)) {
    report(FindingKind::Misaligned, op, lane,
           what + ", which is not a multiple of " +
               std::to_string(shape.alignment));
    return false;
  }
  uint64_t end = block.launch.sharedBytes;
  if (address >= reservedShared && address <= end && bytes <= end - address)
    return true;
  report(FindingKind::OutOfBounds, op, lane,
         what + "; the block has the " + std::to_string(end - reservedShared) +
             " bytes from " + hex(reservedShared));
  return false;
}

LaneMask Warp::accessLocal(const Op &op, LaneMask exec,
                           const uint64_t *addresses, const AccessShape &shape,
                           Pointers &out) {
  uint64_t end = frame->localBase + frame->code->localBytes;
  LaneMask valid = 0;
  for (unsigned i = 0; i < warpSize; ++i) {
    out.lane[i] = nullptr;
    if (!(exec >> i & 1))
      continue;
    uint64_t address = addresses[i];
    if (address & (shape.alignment - 1)) {
      report(FindingKind::Misaligned, op, i,
             bytesAt(shape, shape.bytes, address) +
                 " of local memory, which is not a multiple of " +
                 std::to_string(shape.alignment));
      continue;
    }
    if (address > end || shape.bytes > end - address) {
      report(FindingKind::OutOfBounds, op, i,
             bytesAt(shape, shape.bytes, address) +
                 " of local memory; the thread has " + std::to_string(end) +
                 " bytes here");
      continue;
    }
    out.lane[i] = local.data() + i * localStride + address;
    out.shadow[i] = localShadow.data() + i * localStride + address;
    valid |= LaneMask(1) << i;
  }
  out.isContiguous = out.isUniform = false;
  if (block.launch.options.counters)
    counter(op).bytes += uint64_t(std::popcount(valid)) * shape.bytes;
  return valid;
}

//===----------------------------------------------------------------------===//
// Any memory
//===----------------------------------------------------------------------===//

void Warp::access(const Op &op, LaneMask exec, const uint64_t *addresses,
                  const AccessShape &shape, Pointers &out) {
  out.valid = 0;
  out.isContiguous = out.isUniform = false;
  if (!exec)
    return;
  wrote |= writes(shape.kind);
  switch (shape.space) {
  case Space::Shared:
    out.valid = accessShared(op, exec, addresses, shape, out);
    return;
  case Space::Local:
    out.valid = accessLocal(op, exec, addresses, shape, out);
    return;
  case Space::Generic:
    break;
  default:
    out.valid = accessGlobal(op, exec, addresses, shape, out);
    return;
  }
  // Generic: by the window that an address is in.
  LaneMask shared = 0, locals = 0;
  for (unsigned i = 0; i < warpSize; ++i) {
    shared |= LaneMask(addresses[i] >> 56 == sharedWindow >> 56) << i;
    locals |= LaneMask(addresses[i] >> 56 == localWindow >> 56) << i;
  }
  shared &= exec;
  locals &= exec;
  LaneMask global = exec & ~shared & ~locals;
  if (global == exec) {
    out.valid = accessGlobal(op, exec, addresses, shape, out);
    return;
  }
  uint64_t inside[warpSize];
  for (unsigned i = 0; i < warpSize; ++i)
    inside[i] = addresses[i] & ((uint64_t(1) << 56) - 1);
  if (shared == exec) {
    out.valid = accessShared(op, exec, inside, shape, out);
    return;
  }
  if (locals == exec) {
    out.valid = accessLocal(op, exec, inside, shape, out);
    return;
  }
  Pointers part;
  LaneMask valid = 0;
  auto merge = [&](LaneMask mask) {
    for (LaneMask rest = part.valid & mask; rest; rest &= rest - 1) {
      unsigned lane = std::countr_zero(rest);
      out.lane[lane] = part.lane[lane];
      out.shadow[lane] = part.shadow[lane];
    }
    valid |= part.valid & mask;
  };
  if (global) {
    part.valid = accessGlobal(op, global, addresses, shape, part);
    merge(global);
  }
  if (shared) {
    part.valid = accessShared(op, shared, inside, shape, part);
    merge(shared);
  }
  if (locals) {
    part.valid = accessLocal(op, locals, inside, shape, part);
    merge(locals);
  }
  out.valid = valid;
  out.isContiguous = out.isUniform = false;
}

void Warp::countShared(const Op &op, uint64_t bytes) {
  if (!block.launch.options.counters)
    return;
  OpCounter &count = counter(op);
  count.bytes += bytes;
  ++count.sharedRequests;
  count.sharedWaves += (bytes + 127) / 128;
  count.idealWaves += (bytes + 127) / 128;
}

std::byte *Warp::accessRange(const Op &op, unsigned lane, uint64_t address,
                             uint64_t bytes, const AccessShape &shape,
                             uint8_t **shadow) {
  wrote |= writes(shape.kind);
  Space space = shape.space;
  if (space == Space::Generic && address >> 56 == sharedWindow >> 56) {
    space = Space::Shared;
    address &= (uint64_t(1) << 56) - 1;
  }
  std::byte *found = nullptr;
  if (space == Space::Shared) {
    if (!checkShared(op, lane, address, bytes, shape))
      return nullptr;
    found = block.shared.data() + address;
    if (shadow)
      *shadow = block.sharedShadow.data() + address;
    if (shape.isCounted)
      countShared(op, bytes);
  } else {
    space = Space::Global;
    if (!checkGlobal(op, lane, address, bytes, shape))
      return nullptr;
    found = reinterpret_cast<std::byte *>(address);
    if (shadow)
      *shadow = block.launch.memory.shadow(address);
    if (block.launch.options.counters && shape.isCounted && bytes) {
      if (block.isTraced)
        traceRange(op, address, bytes, shape.kind);
      counter(op).bytes += bytes;
      ++counter(op).requests;
      counter(op).sectors += ((address + bytes - 1) >> 5) - (address >> 5) + 1;
      counter(op).idealSectors += (bytes + 31) / 32;
    }
  }
  if (block.observer)
    block.observer->accessRange(*this, op, shape, space, lane, address, bytes);
  return found;
}

bool Warp::peek(unsigned lane, uint64_t address, void *out,
                uint64_t bytes) const {
  uint64_t inside = address & ((uint64_t(1) << 56) - 1);
  const std::byte *from = nullptr;
  switch (address >> 56) {
  case sharedWindow >> 56:
    if (inside <= block.shared.size() && bytes <= block.shared.size() - inside)
      from = block.shared.data() + inside;
    break;
  case localWindow >> 56:
    if (inside <= localStride && bytes <= localStride - inside)
      from = local.data() + lane * localStride + inside;
    break;
  default:
    if (block.launch.memory.owner(address, bytes))
      from = reinterpret_cast<const std::byte *>(address);
  }
  if (from)
    std::memcpy(out, from, bytes);
  return from;
}

void Warp::markWritten(const Pointers &pointers, unsigned bytes,
                       LaneMask poison) {
  if (pointers.isContiguous && !poison) {
    std::memset(pointers.shadow[0], 1, size_t(bytes) * warpSize);
    return;
  }
  for (LaneMask rest = pointers.valid; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    std::memset(pointers.shadow[lane], !(poison >> lane & 1), bytes);
  }
}

bool Warp::allWritten(const Pointers &pointers, unsigned bytes) {
  if (pointers.isContiguous) {
    const uint8_t *shadow = pointers.shadow[0];
    uint8_t all = 1;
    for (unsigned i = 0; i < bytes * warpSize; ++i)
      all &= shadow[i];
    return all;
  }
  uint8_t all = 1;
  LaneMask lanes = pointers.valid;
  if (pointers.isUniform)
    lanes &= -lanes;
  for (; lanes; lanes &= lanes - 1) {
    const uint8_t *shadow = pointers.shadow[std::countr_zero(lanes)];
    for (unsigned i = 0; i < bytes; ++i)
      all &= shadow[i];
  }
  return all;
}

LaneMask Warp::unwritten(const Pointers &pointers, unsigned from,
                         unsigned bytes) const {
  LaneMask result = 0;
  for (LaneMask rest = pointers.valid; rest; rest &= rest - 1) {
    unsigned lane = std::countr_zero(rest);
    uint8_t any = 0;
    for (unsigned i = 0; i < bytes; ++i)
      any |= pointers.shadow[lane][from + i];
    result |= LaneMask(!any) << lane;
  }
  return result;
}

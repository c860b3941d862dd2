//===- AsyncBulk.cpp - cp.async.bulk and its tensor forms -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/AsyncState.h"
#include "lib/PTX/RaceChecker.h"
#include "lib/PTX/TensorMap.h"

using namespace clade::ptx;

namespace {

struct BulkForm {
  Space to = Space::Shared, from = Space::Global;
  bool isTensor = false;
  unsigned rank = 0;
  bool isPrefetch = false;
  BulkOperation operation = BulkOperation::None;
  Type type = Type::None;
  Decoder::AddressParts target, source, barrier; ///< Or the tensor map.
  std::vector<Slot> coordinates;
  Slot size;
  Slot ctaMask;
  bool hasBarrier = false;
  bool hasMask = false;

  bool isStore() const { return to == Space::Global; }
};

/// One lane's copy while it is put together.
struct Assembly {
  Warp &warp;
  const Op &op;
  const BulkForm &form;
  unsigned lane;
  BulkCopy copy;

  bool fail(FindingKind kind, std::string text) const {
    warp.report(kind, op, lane, std::move(text));
    return false;
  }
  uint64_t addressOf(const Decoder::AddressParts &parts) const {
    uint64_t addresses[warpSize];
    warp.addresses(parts.slot, parts.bytes, parts.base, parts.offset,
                   addresses);
    return addresses[lane];
  }
  /// The bytes at an address, for reading or writing by the copy.
  std::byte *bytes(bool isWrite, Space space, uint64_t address, uint64_t size,
                   uint8_t **shadow) const {
    AccessShape shape;
    bool combines = form.operation != BulkOperation::None;
    shape.kind = isWrite ? AccessKind::AsyncWrite : AccessKind::AsyncRead;
    shape.isStrong = isWrite && combines;
    shape.bytes = shape.alignment = 1;
    shape.space = space;
    // What lies in shared memory is counted for the whole copy.
    shape.isCounted = space == Space::Global;
    return warp.accessRange(op, lane, address, size, shape, shadow);
  }
};

} // namespace

static const BulkForm &formOf(const Op &op) {
  return *static_cast<const BulkForm *>(op.record);
}

//===----------------------------------------------------------------------===//
// Plain copies
//===----------------------------------------------------------------------===//

static bool assembleLinear(Assembly &a) {
  const BulkForm &form = a.form;
  uint32_t size = uint32_t(a.warp.readLane(form.size, 4, a.lane));
  uint64_t to = a.addressOf(form.target), from = a.addressOf(form.source);
  // A copy that cannot be done counts as done, so that nobody waits for ever.
  a.copy.transactionBytes = size;
  if (size == 0 || size % 16)
    return a.fail(
        FindingKind::AsyncMisuse,
        "the size of a bulk copy must be a multiple of 16 bytes, not " +
            std::to_string(size));
  if (to % 16 || from % 16)
    return a.fail(FindingKind::Misaligned,
                  "both addresses of a bulk copy must be multiples of 16; "
                  "found " +
                      std::to_string(to % 16) + " and " +
                      std::to_string(from % 16) + " modulo 16");
  Segment segment;
  segment.bytes = size;
  uint8_t *fromShadow = nullptr;
  segment.from = a.bytes(false, form.from, from, size, &fromShadow);
  segment.fromShadow = fromShadow;
  segment.to = a.bytes(true, form.to, to, size, &segment.toShadow);
  if (!segment.from || !segment.to)
    return false;
  a.copy.segments.push_back(segment);
  return true;
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

/// Adds one run of bytes, cut where the swizzle cuts it.
static bool addPiece(Assembly &a, const TensorMap &map, const BoxPiece &piece,
                     uint64_t base) {
  bool isStore = a.form.isStore();
  if (isStore && !piece.address)
    return true; // What lies outside of the tensor is not stored.
  std::byte *global = nullptr;
  uint8_t *globalShadow = nullptr;
  if (piece.address) {
    global = a.bytes(isStore, Space::Global, *piece.address, piece.bytes,
                     &globalShadow);
    if (!global)
      return false;
  }
  bool isWhole = map.swizzle == Swizzle::None;
  for (uint32_t done = 0; done < piece.bytes;) {
    uint32_t at = piece.offset + done;
    uint32_t bytes =
        isWhole ? piece.bytes : std::min(piece.bytes - done, 16 - at % 16);
    Segment segment;
    segment.bytes = bytes;
    uint8_t *shadow = nullptr;
    std::byte *shared = a.bytes(
        !isStore, Space::Shared,
        swizzleAddress(map.swizzle, uint32_t(base + at)), bytes, &shadow);
    if (!shared)
      return false;
    segment.to = isStore ? global + done : shared;
    segment.toShadow = isStore ? globalShadow + done : shadow;
    if (isStore) {
      segment.from = shared;
      segment.fromShadow = shadow;
    } else if (global) {
      segment.from = global + done;
      segment.fromShadow = globalShadow + done;
    } else {
      segment.fill = map.fillsNaN ? 0xFF : 0;
    }
    a.copy.segments.push_back(segment);
    done += bytes;
  }
  return true;
}

static Type combinedType(TensorType type) {
  switch (type) {
  case TensorType::F16:
    return Type::F16;
  case TensorType::BF16:
    return Type::BF16;
  case TensorType::F32:
  case TensorType::F32Flushed:
    return Type::F32;
  case TensorType::F64:
    return Type::F64;
  case TensorType::S32:
    return Type::S32;
  case TensorType::S64:
    return Type::S64;
  case TensorType::U64:
    return Type::U64;
  default:
    return Type::U32;
  }
}

static bool assembleTensor(Assembly &a) {
  const BulkForm &form = a.form;
  const auto &mapParts = form.isStore() ? form.target : form.source;
  const auto &sharedParts = form.isStore() ? form.source : form.target;
  AccessShape shape;
  shape.kind = AccessKind::Read;
  shape.bytes = 64;
  shape.alignment = 64;
  shape.space = Space::Generic;
  shape.isCounted = false;
  const std::byte *bits = a.warp.accessRange(
      a.op, a.lane, a.addressOf(mapParts), sizeof(TensorMap), shape);
  if (!bits)
    return false;
  TensorMap map;
  std::memcpy(&map, bits, sizeof(map));
  if (!map.isValid())
    return a.fail(FindingKind::AsyncMisuse,
                  "the address does not hold a tensor map that "
                  "cuTensorMapEncodeTiled made");
  if (map.rank != form.rank)
    return a.fail(FindingKind::AsyncMisuse,
                  "the tensor map has " + std::to_string(map.rank) +
                      " dimensions, the instruction " +
                      std::to_string(form.rank));
  a.copy.transactionBytes = map.boxBytes();
  auto base = sharedOffset(a.warp.block, form.isStore() ? form.from : form.to,
                           a.addressOf(sharedParts));
  if (!base || *base % 128)
    return a.fail(FindingKind::Misaligned,
                  "the address in shared memory of a tensor copy must be a "
                  "multiple of 128");
  int32_t coordinates[maxTensorRank];
  for (unsigned i = 0; i < form.rank; ++i)
    coordinates[i] = int32_t(a.warp.readLane(form.coordinates[i], 4, a.lane));
  if (form.operation != BulkOperation::None)
    a.copy.type = combinedType(map.type);
  for (const BoxPiece &piece : boxPieces(map, {coordinates, form.rank}))
    if (!addPiece(a, map, piece, *base))
      return false;
  return true;
}

//===----------------------------------------------------------------------===//
// Issue
//===----------------------------------------------------------------------===//

static Mbarrier *barrierOf(Assembly &a, uint32_t &offset) {
  uint64_t address = a.addressOf(a.form.barrier);
  auto found = sharedOffset(a.warp.block, Space::Shared, address);
  if (!found || *found % 8) {
    a.fail(FindingKind::MbarrierMisuse,
           "the address of the mbarrier is not one of shared memory, or no "
           "multiple of 8");
    return nullptr;
  }
  offset = *found;
  return findMbarrier(a.warp, a.op, a.lane, offset);
}

static void issueLane(Warp &warp, const Op &op, unsigned lane) {
  const BulkForm &form = formOf(op);
  Assembly a = {warp, op, form, lane, {}};
  a.copy.op = &op;
  a.copy.lane = lane;
  a.copy.operation = form.operation;
  a.copy.type = form.type;
  uint32_t offset = 0;
  Mbarrier *barrier = nullptr;
  if (form.hasBarrier && !(barrier = barrierOf(a, offset)))
    return;
  if (form.hasMask && (warp.readLane(form.ctaMask, 2, lane) & 0xFFFF) != 1) {
    a.fail(FindingKind::AsyncMisuse, "a multicast mask other than 1 needs "
                                     "clusters, which have one block here");
    return;
  }
  AsyncScope scope(checkerOf(warp.block), warp,
                   barrier ? QueueKind::Mbarrier : QueueKind::BulkGroup,
                   barrier ? offset : warp.index);
  if (!(form.isTensor ? assembleTensor(a) : assembleLinear(a)))
    a.copy.segments.clear();
  uint64_t bytes = 0;
  for (const Segment &segment : a.copy.segments)
    bytes += segment.bytes;
  warp.countShared(op, bytes);
  a.copy.agent = scope.agent();
  a.copy.time = scope.time();
  if (barrier) {
    barrier->copies.push_back(std::move(a.copy));
    return;
  }
  WarpAsync &state = asyncOf(warp);
  a.copy.group = state.bulkGroup[lane];
  state.bulk.push_back(std::move(a.copy));
}

static void issueBulk(Warp &warp, const Op &op, LaneMask exec) {
  if (formOf(op).isPrefetch)
    return;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    if (exec >> lane & 1)
      issueLane(warp, op, lane);
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

static std::optional<Space> takeSpace(Decoder &d) {
  if (d.takeOneOf({"shared", "shared::cta", "shared::cluster"}))
    return Space::Shared;
  if (d.take("global"))
    return Space::Global;
  return std::nullopt;
}

static void takeOperation(Decoder &d, BulkForm &form) {
  static constexpr BulkOperation operations[] = {
      BulkOperation::Add, BulkOperation::Min, BulkOperation::Max,
      BulkOperation::And, BulkOperation::Or,  BulkOperation::Xor,
      BulkOperation::Inc, BulkOperation::Dec};
  if (auto found =
          d.takeOneOf({"add", "min", "max", "and", "or", "xor", "inc", "dec"}))
    form.operation = operations[*found];
}

/// The tensor map and the coordinates in one pair of brackets.
static Decoder::AddressParts takeTensor(Decoder &d, BulkForm &form,
                                        const Operand &operand) {
  if (operand.elements.size() != 1 ||
      operand.elements[0].elements.size() != form.rank) {
    d.fail("expected a tensor map and " + std::to_string(form.rank) +
           " coordinates in brackets");
    return {};
  }
  for (const Operand &coordinate : operand.elements[0].elements)
    form.coordinates.push_back(d.sourceSlot(coordinate, Type::B32));
  return d.addressParts(operand, Space::Generic);
}

static void finishBulkForm(Decoder &d, BulkForm form) {
  d.op.record = d.keep(std::move(form));
  d.setPoison(PoisonIsFinding);
  d.use(issueBulk, Class::Async);
}

/// Operands from the third on: size, mbarrier, mask and cache policy.
static void takeRest(Decoder &d, BulkForm &form, bool isMulticast) {
  unsigned next = 2;
  if (!form.isTensor)
    form.size = d.sourceSlot(d.operand(next++), Type::B32);
  if (form.hasBarrier)
    form.barrier = d.addressParts(d.operand(next++), Space::Shared);
  form.hasMask = isMulticast;
  if (isMulticast)
    form.ctaMask = d.sourceSlot(d.operand(next++), Type::B16);
}

static void decodePrefetch(Decoder &d, BulkForm form) {
  form.isPrefetch = true;
  while (!d.peek().empty())
    d.advance();
  finishBulkForm(d, std::move(form));
}

void clade::ptx::decodeBulk(Decoder &d, bool isReduction) {
  BulkForm form;
  if (isReduction && d.source.modifiers.size() < 3)
    return d.fail("expected .async.bulk");
  if (d.take("prefetch"))
    return decodePrefetch(d, std::move(form));
  form.isTensor = d.take("tensor");
  if (form.isTensor) {
    auto rank = d.takeOneOf({"1d", "2d", "3d", "4d", "5d"});
    if (!rank)
      return d.fail("expected .1d to .5d");
    form.rank = *rank + 1;
  }
  auto to = takeSpace(d), from = takeSpace(d);
  if (!to || !from || (*to == Space::Global) == (*from == Space::Global))
    return d.fail("expected .shared::cluster.global, .shared::cta.global or "
                  ".global.shared::cta");
  form.to = *to, form.from = *from;
  takeOperation(d, form);
  d.take("tile");
  form.hasBarrier = d.take("mbarrier::complete_tx::bytes");
  bool hasGroup = d.take("bulk_group");
  bool isMulticast = d.takeAnywhere("multicast::cluster");
  d.takeAnywhere("L2::cache_hint");
  d.take("cta_group::1");
  if (form.operation == BulkOperation::None)
    takeOperation(d, form);
  d.take("noftz");
  if (isReduction && !form.isTensor)
    form.type =
        d.expectType({Type::F16, Type::BF16, Type::B32, Type::U32, Type::S32,
                      Type::B64, Type::U64, Type::S64, Type::F32, Type::F64});
  d.finishModifiers();
  if (form.isStore() ? !hasGroup : !form.hasBarrier)
    return d.fail("expected .bulk_group for stores and "
                  ".mbarrier::complete_tx::bytes for loads");
  if (isReduction != (form.operation != BulkOperation::None))
    return d.fail("expected an operation with cp.reduce only");
  if (!d.expectOperands(2, 7))
    return;
  if (!form.isTensor) {
    form.target = d.addressParts(d.operand(0), form.to);
    form.source = d.addressParts(d.operand(1), form.from);
  } else if (form.isStore()) {
    form.target = takeTensor(d, form, d.operand(0));
    form.source = d.addressParts(d.operand(1), form.from);
  } else {
    form.target = d.addressParts(d.operand(0), form.to);
    form.source = takeTensor(d, form, d.operand(1));
  }
  takeRest(d, form, isMulticast);
  finishBulkForm(d, std::move(form));
}

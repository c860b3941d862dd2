//===- AsyncCopy.cpp - cp.async and its groups ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/AsyncState.h"
#include "lib/PTX/RaceChecker.h"

using namespace clade::ptx;

namespace {

struct CopyForm {
  uint8_t bytes = 4;
  Decoder::AddressParts to, from;
  Space toSpace = Space::Shared, fromSpace = Space::Global;
  Slot size; ///< src-size or ignore-src.
  bool hasSize = false;
  bool hasIgnore = false;
};

} // namespace

/// Bytes that each lane reads; false after a finding.
static bool sourceSizes(Warp &warp, const Op &op, LaneMask exec,
                        const CopyForm &form, SmallCopy &copy) {
  copy.sourceBytes.fill(form.bytes);
  if (form.hasIgnore) {
    LaneMask ignored = warp.predicate(form.size);
    for (unsigned lane = 0; lane < warpSize; ++lane)
      if (ignored >> lane & 1)
        copy.sourceBytes[lane] = 0;
  }
  if (!form.hasSize)
    return true;
  const auto *sizes = warp.row<uint32_t>(form.size);
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    if (!(exec >> lane & 1))
      continue;
    if (sizes[lane] > form.bytes) {
      warp.report(FindingKind::AsyncMisuse, op, lane,
                  "the source size of " + std::to_string(sizes[lane]) +
                      " bytes is larger than the copy's " +
                      std::to_string(form.bytes));
      return false;
    }
    copy.sourceBytes[lane] = uint8_t(sizes[lane]);
  }
  return true;
}

static void issueCopy(Warp &warp, const Op &op, LaneMask exec) {
  const auto &form = *static_cast<const CopyForm *>(op.record);
  WarpAsync &state = asyncOf(warp);
  SmallCopy copy;
  copy.op = &op;
  copy.bytes = form.bytes;
  copy.group = state.copyGroup;
  if (!sourceSizes(warp, op, exec, form, copy))
    return;
  uint64_t from[warpSize], to[warpSize];
  warp.addresses(form.from.slot, form.from.bytes, form.from.base,
                 form.from.offset, from);
  warp.addresses(form.to.slot, form.to.bytes, form.to.base, form.to.offset, to);
  LaneMask whole = 0, partial = 0;
  for (unsigned lane = 0; lane < warpSize; ++lane)
    if (exec >> lane & 1) {
      whole |= LaneMask(copy.sourceBytes[lane] == form.bytes) << lane;
      bool isPartial =
          copy.sourceBytes[lane] && copy.sourceBytes[lane] != form.bytes;
      partial |= LaneMask(isPartial) << lane;
    }
  AccessShape shape;
  shape.kind = AccessKind::Read;
  shape.bytes = shape.alignment = form.bytes;
  shape.space = form.fromSpace;
  warp.access(op, whole, from, shape, copy.from);
  LaneMask good = copy.from.valid | (exec & ~whole);
  for (unsigned lane = 0; lane < warpSize; ++lane)
    if (partial >> lane & 1) {
      copy.from.lane[lane] =
          warp.accessRange(op, lane, from[lane], copy.sourceBytes[lane], shape,
                           &copy.from.shadow[lane]);
      if (!copy.from.lane[lane])
        good &= ~(LaneMask(1) << lane);
    }
  AsyncScope scope(checkerOf(warp.block), warp, QueueKind::SmallCopies,
                   warp.index);
  shape.kind = AccessKind::AsyncWrite;
  shape.space = form.toSpace;
  warp.access(op, exec, to, shape, copy.to);
  copy.pending = copy.to.valid;
  // What may not be read counts as zeros.
  for (unsigned lane = 0; lane < warpSize; ++lane)
    if (!(good >> lane & 1))
      copy.sourceBytes[lane] = 0;
  copy.time = scope.time();
  copy.serial = state.nextSerial++;
  state.copies.push_back(copy);
}

static void commitCopies(Warp &warp, const Op &, LaneMask exec) {
  WarpAsync &state = asyncOf(warp);
  for (unsigned lane = 0; lane < warpSize; ++lane)
    state.copyGroup[lane] += exec >> lane & 1;
}

static void waitCopies(Warp &warp, const Op &op, LaneMask exec) {
  finishCopies(warp, exec, op.offset);
}

static void commitBulk(Warp &warp, const Op &, LaneMask exec) {
  WarpAsync &state = asyncOf(warp);
  for (unsigned lane = 0; lane < warpSize; ++lane)
    state.bulkGroup[lane] += exec >> lane & 1;
}

static void waitBulk(Warp &warp, const Op &op, LaneMask exec) {
  finishBulk(warp, exec, uint32_t(op.offset));
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

/// Whether a group instruction follows; decodes it.
static bool decodeGroup(Decoder &d, Handler commit, Handler wait) {
  if (d.take("commit_group")) {
    d.finishModifiers();
    d.expectOperands(0);
    d.use(commit, Class::Async);
    return true;
  }
  if (!d.take("wait_group"))
    return false;
  d.take("read");
  d.finishModifiers();
  if (d.expectOperands(1))
    d.op.offset = int64_t(d.immediate(0));
  d.use(wait, Class::Async);
  return true;
}

static void decodeCopy(Decoder &d) {
  auto cache = d.takeOneOf({"ca", "cg"});
  if (!cache)
    return d.fail("expected .ca or .cg");
  CopyForm form;
  d.takeOneOf({"shared", "shared::cta"});
  d.take("global");
  bool hasPolicy = d.take("L2::cache_hint");
  d.takeOneOf({"L2::64B", "L2::128B", "L2::256B"});
  d.finishModifiers();
  if (!d.expectOperands(3, 5))
    return;
  uint64_t bytes = d.immediate(2);
  if ((bytes != 4 && bytes != 8 && bytes != 16) || (*cache == 1 && bytes != 16))
    return d.fail("the size must be 4, 8 or 16 bytes, with .cg 16");
  form.bytes = uint8_t(bytes);
  form.to = d.addressParts(d.operand(0), form.toSpace);
  form.from = d.addressParts(d.operand(1), form.fromSpace);
  unsigned last = d.numOperands() - (hasPolicy ? 1 : 0);
  if (last > 3) {
    form.hasIgnore = d.width(d.operand(3)) == 1;
    form.hasSize = !form.hasIgnore;
    form.size =
        d.sourceSlot(d.operand(3), form.hasIgnore ? Type::Pred : Type::B32);
  }
  d.setPoison(PoisonIsFinding);
  d.op.record = d.keep(form);
  d.use(issueCopy, Class::Async);
}

static void decodeCp(Decoder &d) {
  bool isReduction = d.take("reduce");
  if (!d.take("async"))
    return d.fail("expected .async");
  if (d.take("bulk")) {
    if (!decodeGroup(d, commitBulk, waitBulk))
      decodeBulk(d, isReduction);
    return;
  }
  if (d.peek() == "mbarrier")
    return d.pass();
  if (d.take("wait_all")) {
    d.finishModifiers();
    d.op.offset = -1;
    return d.use(waitCopies, Class::Async);
  }
  if (!decodeGroup(d, commitCopies, waitCopies))
    decodeCopy(d);
}

void clade::ptx::addAsyncCopy(Registry &registry) {
  registry.add("cp", decodeCp);
}

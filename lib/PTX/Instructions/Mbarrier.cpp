//===- Mbarrier.cpp - mbarrier and cp.async.mbarrier.arrive ---------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/AsyncState.h"
#include "lib/PTX/RaceChecker.h"

using namespace clade::ptx;

namespace {

enum class Action : uint8_t {
  Init,
  Invalidate,
  Expect,
  Complete,
  Arrive,
  Drop,
  TestWait,
  TryWait,
  DeferredArrive,
};

struct MbarrierForm {
  Action action = Action::Init;
  Decoder::AddressParts address;
  Space space = Space::Generic;
  Slot result; ///< State, or the predicate of a wait.
  Slot value;  ///< Count, bytes, parity or state; the sink where there is none.
  bool hasValue = false;
  bool expectsBytes = false; ///< .expect_tx on an arrival.
  bool mustNotComplete = false;
  bool hasParity = false;
  bool isRelaxed = false;
  bool increments = true; ///< cp.async.mbarrier.arrive without .noinc.
};

constexpr uint32_t mostCount = (1u << 20) - 1;

/// One lane's use of an mbarrier.
struct Use {
  Warp &warp;
  const Op &op;
  const MbarrierForm &form;
  unsigned lane;
  uint32_t offset;
  Mbarrier &barrier;
  RaceChecker *checker;

  bool fail(std::string text) const {
    warp.report(FindingKind::MbarrierMisuse, op, lane,
                text + " (mbarrier at byte " + std::to_string(offset) + ")");
    return false;
  }
};

} // namespace

static const MbarrierForm &formOf(const Op &op) {
  return *static_cast<const MbarrierForm *>(op.record);
}

std::optional<uint32_t> clade::ptx::sharedOffset(Block &block, Space space,
                                                 uint64_t address) {
  uint64_t offset = space == Space::Shared ? address : address - sharedWindow;
  if (offset >= block.shared.size())
    return std::nullopt;
  return uint32_t(offset);
}

void clade::ptx::storeMbarrier(Block &block, uint32_t offset,
                               const Mbarrier &barrier) {
  uint64_t bits = barrier.encoded();
  std::memcpy(block.shared.data() + offset, &bits, sizeof(bits));
  std::memset(block.sharedShadow.data() + offset, 1, sizeof(bits));
}

Mbarrier *clade::ptx::findMbarrier(Warp &warp, const Op &op, unsigned lane,
                                   uint32_t offset) {
  auto &all = asyncOf(warp.block).mbarriers;
  auto found = all.find(offset);
  auto fail = [&](std::string text) {
    warp.report(FindingKind::MbarrierMisuse, op, lane, std::move(text));
    return nullptr;
  };
  if (found == all.end())
    return fail("there is no mbarrier at byte " + std::to_string(offset) +
                " of shared memory: it was not initialised, or invalidated");
  uint64_t bits;
  std::memcpy(&bits, warp.block.shared.data() + offset, sizeof(bits));
  if (bits != found->second.encoded()) {
    // Once is enough: the object counts as restored.
    storeMbarrier(warp.block, offset, found->second);
    return fail("the mbarrier at byte " + std::to_string(offset) +
                " was overwritten by an ordinary store");
  }
  return &found->second;
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

static void initialise(Warp &warp, const Op &op, unsigned lane, uint32_t offset,
                       uint32_t count) {
  auto fail = [&](std::string text) {
    warp.report(FindingKind::MbarrierMisuse, op, lane, std::move(text));
  };
  if (count == 0 || count > mostCount)
    return fail("an mbarrier cannot expect " + std::to_string(count) +
                " arrivals; 1 to " + std::to_string(mostCount) +
                " are allowed");
  auto [place, isNew] = asyncOf(warp.block).mbarriers.try_emplace(offset);
  if (!isNew)
    fail("the mbarrier at byte " + std::to_string(offset) +
         " is initialised again without mbarrier.inval");
  place->second = Mbarrier();
  place->second.expected = place->second.pending = count;
  place->second.initialised = &op;
  storeMbarrier(warp.block, offset, place->second);
}

static bool expectBytes(const Use &use, uint32_t bytes) {
  use.barrier.transactions += bytes;
  if (use.barrier.transactions > int64_t(mostCount))
    return use.fail("phase " + std::to_string(use.barrier.phase) + " expects " +
                    std::to_string(use.barrier.transactions) +
                    " bytes, more than the 2^20 - 1 that can be counted");
  return true;
}

/// `count` arrivals of the lane.
static bool arrive(const Use &use, uint32_t count) {
  Mbarrier &barrier = use.barrier;
  // Arrivals that are put off are part of the pending ones.
  uint64_t deferred = 0;
  for (const Mbarrier::Arrival &arrival : barrier.arrivals)
    deferred += std::popcount(arrival.lanes);
  if (count == 0 || count + deferred > barrier.pending)
    return use.fail("an arrival of " + std::to_string(count) + " in phase " +
                    std::to_string(barrier.phase) + ", where " +
                    std::to_string(barrier.pending - deferred) + " of " +
                    std::to_string(barrier.expected) +
                    " arrivals are still expected");
  if (use.checker && !use.form.isRelaxed)
    use.checker->release(use.warp, barrier.gathered);
  barrier.pending -= count;
  if (use.form.mustNotComplete && barrier.pending == 0)
    return use.fail("an arrival with .noComplete completes the phase");
  barrier.advance();
  return true;
}

/// The state that an arrival returns: the phase, and what was pending.
static uint64_t stateOf(const Mbarrier &barrier) {
  return uint64_t(barrier.phase) << 32 | barrier.pending;
}

/// Whether the phase that the lane waits for is complete.
static bool isComplete(const Use &use, uint64_t value) {
  Mbarrier &barrier = use.barrier;
  auto passed = [&] {
    return use.form.hasParity ? (barrier.phase & 1) != (value & 1)
                              : barrier.phase != uint32_t(value >> 32);
  };
  if (!use.form.hasParity && barrier.phase - uint32_t(value >> 32) > 1)
    use.fail("the state is of phase " + std::to_string(value >> 32) +
             ", neither the current one (" + std::to_string(barrier.phase) +
             ") nor the one before");
  if (!passed())
    barrier.settle(use.checker);
  if (!passed())
    return false;
  if (use.checker && !use.form.isRelaxed)
    use.checker->acquire(use.warp, use.lane, barrier.finished);
  return true;
}

static void deferArrival(const Use &use) {
  Mbarrier &barrier = use.barrier;
  if (use.form.increments)
    ++barrier.pending;
  uint64_t serial = asyncOf(use.warp).nextSerial;
  LaneMask lane = LaneMask(1) << use.lane;
  if (!barrier.arrivals.empty()) {
    Mbarrier::Arrival &last = barrier.arrivals.back();
    if (last.warp == &use.warp && last.upTo == serial && !(last.lanes & lane)) {
      last.lanes |= lane;
      return;
    }
  }
  barrier.arrivals.push_back({&use.warp, lane, serial});
}

/// Does the action for a lane; the result of those that have one.
static uint64_t act(const Use &use, uint64_t value) {
  const MbarrierForm &form = use.form;
  switch (form.action) {
  case Action::Expect:
    expectBytes(use, uint32_t(value));
    return 0;
  case Action::Complete:
    use.barrier.transactions -= uint32_t(value);
    use.barrier.advance();
    return 0;
  case Action::Arrive:
  case Action::Drop: {
    uint64_t state = stateOf(use.barrier);
    uint32_t count = form.hasValue && !form.expectsBytes ? uint32_t(value) : 1;
    if (form.expectsBytes && !expectBytes(use, uint32_t(value)))
      return state;
    if (form.action == Action::Drop)
      use.barrier.expected -= std::min(use.barrier.expected, count);
    arrive(use, count);
    return state;
  }
  case Action::TestWait:
  case Action::TryWait:
    return isComplete(use, value);
  case Action::DeferredArrive:
    deferArrival(use);
    return 0;
  default:
    return 0;
  }
}

static void operateMbarrier(Warp &warp, const Op &op, LaneMask exec) {
  const MbarrierForm &form = formOf(op);
  bool isWait =
      form.action == Action::TestWait || form.action == Action::TryWait;
  bool isPlain =
      form.action == Action::Init || form.action == Action::Invalidate;
  uint64_t addresses[warpSize], values[warpSize] = {}, results[warpSize] = {};
  warp.addresses(form.address.slot, form.address.bytes, form.address.base,
                 form.address.offset, addresses);
  AccessShape shape;
  shape.kind = isWait    ? AccessKind::Read
               : isPlain ? AccessKind::Write
                         : AccessKind::Atomic;
  shape.bytes = shape.alignment = 8;
  shape.space = form.space;
  shape.isStrong = !isPlain;
  Pointers pointers;
  warp.access(op, exec, addresses, shape, pointers);
  if (form.hasValue)
    warp.readWide(form.value,
                  form.action >= Action::TestWait && !form.hasParity ? 8 : 4,
                  values);
  Block &block = warp.block;
  LaneMask waiting = 0;
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    if (!(pointers.valid >> lane & 1))
      continue;
    auto offset = sharedOffset(block, form.space, addresses[lane]);
    if (!offset)
      continue;
    if (form.action == Action::Init) {
      initialise(warp, op, lane, *offset, uint32_t(values[lane]));
      continue;
    }
    Mbarrier *barrier = findMbarrier(warp, op, lane, *offset);
    if (!barrier) {
      results[lane] = 1; // Do not wait for ever for what is not there.
      continue;
    }
    if (form.action == Action::Invalidate) {
      asyncOf(block).mbarriers.erase(*offset);
      continue;
    }
    Use use = {warp, op, form, lane, *offset, *barrier, checkerOf(block)};
    results[lane] = act(use, values[lane]);
    storeMbarrier(block, *offset, *barrier);
    waiting |= LaneMask(isWait && !results[lane]) << lane;
  }
  if (isWait) {
    LaneMask done = 0;
    for (unsigned lane = 0; lane < warpSize; ++lane)
      done |= LaneMask(results[lane] & 1) << lane;
    if (!form.result.isSink())
      warp.setPredicate(form.result, done, exec);
    if (waiting)
      warp.yield(/*polls=*/true);
  } else if (!form.result.isSink()) {
    warp.writeWide(form.result, 8, results, exec);
  }
}

static void countPending(Warp &warp, const Op &op, LaneMask exec) {
  const auto *states = warp.row<uint64_t>(op.s[1]);
  uint32_t counts[warpSize];
  for (unsigned lane = 0; lane < warpSize; ++lane)
    counts[lane] = uint32_t(states[lane]);
  warp.write(op.s[0], counts, exec);
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

/// Takes the modifiers that all forms share.
static void takeCommon(Decoder &d, MbarrierForm &form) {
  form.isRelaxed = d.takeAnywhere("relaxed");
  for (std::string_view name : {"release", "acquire", "cta", "cluster", "b64"})
    d.takeAnywhere(name);
  for (std::string_view name : {"shared", "shared::cta", "shared::cluster"})
    if (d.takeAnywhere(name))
      form.space = Space::Shared;
  d.finishModifiers();
}

static void finishForm(Decoder &d, MbarrierForm form, unsigned addressAt) {
  form.address = d.addressParts(d.operand(addressAt), form.space);
  d.op.record = d.keep(form);
  d.setPoison(PoisonIsFinding);
  d.use(operateMbarrier, Class::Async);
}

static void decodeArrive(Decoder &d, MbarrierForm form) {
  form.expectsBytes = d.takeAnywhere("expect_tx");
  form.mustNotComplete = d.takeAnywhere("noComplete");
  takeCommon(d, form);
  if (!d.expectOperands(1, 3))
    return;
  // The state may be left out.
  unsigned at = d.operand(0).kind == Operand::Kind::Address ? 0 : 1;
  if (at == 1)
    form.result = d.resultSlot(d.operand(0), Type::B64);
  form.hasValue = d.numOperands() > at + 1;
  if (form.expectsBytes && !form.hasValue)
    return d.fail("expected the number of bytes");
  if (form.hasValue)
    form.value = d.sourceSlot(d.operand(at + 1), Type::B32);
  finishForm(d, form, at);
}

static void decodeWait(Decoder &d, MbarrierForm form) {
  form.hasParity = d.takeAnywhere("parity");
  takeCommon(d, form);
  if (!d.expectOperands(3, 4))
    return;
  form.result = d.resultSlot(d.operand(0), Type::Pred);
  form.hasValue = true;
  form.value =
      d.sourceSlot(d.operand(2), form.hasParity ? Type::B32 : Type::B64);
  finishForm(d, form, 1);
}

static void decodeMbarrier(Decoder &d) {
  MbarrierForm form;
  if (d.take("pending_count")) {
    d.take("b64");
    d.finishModifiers();
    if (!d.expectOperands(2))
      return;
    d.result(0, Type::B32);
    d.value(1, Type::B64);
    return d.use(countPending, Class::Async);
  }
  auto action = d.takeOneOf({"init", "inval", "expect_tx", "complete_tx",
                             "arrive", "arrive_drop", "test_wait", "try_wait"});
  if (!action)
    return d.fail("expected .init, .inval, .expect_tx, .complete_tx, .arrive, "
                  ".arrive_drop, .test_wait, .try_wait or .pending_count");
  form.action = Action(*action);
  if (form.action == Action::Arrive || form.action == Action::Drop)
    return decodeArrive(d, form);
  if (form.action == Action::TestWait || form.action == Action::TryWait)
    return decodeWait(d, form);
  takeCommon(d, form);
  form.hasValue = form.action != Action::Invalidate;
  if (!d.expectOperands(form.hasValue ? 2 : 1))
    return;
  if (form.hasValue)
    form.value = d.sourceSlot(d.operand(1), Type::B32);
  finishForm(d, form, 0);
}

static void decodeDeferredArrive(Decoder &d) {
  if (!d.take("async") || !d.take("mbarrier") || !d.take("arrive"))
    return d.pass();
  MbarrierForm form;
  form.action = Action::DeferredArrive;
  form.increments = !d.take("noinc");
  takeCommon(d, form);
  if (d.expectOperands(1))
    finishForm(d, form, 0);
}

void clade::ptx::addMbarrier(Registry &registry) {
  registry.add("mbarrier", decodeMbarrier);
  registry.add("cp", decodeDeferredArrive);
}

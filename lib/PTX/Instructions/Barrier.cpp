//===- Barrier.cpp - Barriers and fences ----------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Decoder.h"
#include "lib/PTX/Execution.h"
#include "lib/PTX/Launch.h"

#include <atomic>
#include <bit>

using namespace clade::ptx;

namespace {

constexpr uint8_t flagAligned = 1;
constexpr uint8_t flagArrive = 2;
constexpr uint8_t flagHasCount = 4;

// Slots of bar: d, barrier, count, predicate.

/// What a barrier's number and count are, checked; false after a finding that
/// leaves nothing to do.
bool readBarrier(Warp &warp, const Op &op, LaneMask exec, unsigned &barrier,
                 uint32_t &count) {
  unsigned first = unsigned(std::countr_zero(exec));
  const uint32_t *ids = warp.row<uint32_t>(op.list[1]);
  const uint32_t *counts = warp.row<uint32_t>(op.list[2]);
  barrier = ids[first];
  count = op.flags & flagHasCount ? counts[first] : 0;
  for (LaneMask rest = exec; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    if (ids[lane] == barrier && counts[lane] == counts[first])
      continue;
    warp.report(FindingKind::InvalidBarrier, op, lane,
                "the lanes of the warp name different barriers or counts (" +
                    std::to_string(ids[lane]) + ", " + std::to_string(barrier) +
                    ")");
    break;
  }
  if (barrier >= 16) {
    warp.report(FindingKind::InvalidBarrier, op, first,
                "barrier " + std::to_string(barrier) +
                    "; a block has barriers 0 to 15");
    warp.abortLaunch();
    return false;
  }
  uint32_t threads = uint32_t(warp.block.warps.size()) * warpSize;
  if ((op.flags & flagHasCount) &&
      (count == 0 || count % warpSize || count > threads)) {
    warp.report(FindingKind::InvalidBarrier, op, first,
                "barrier " + std::to_string(barrier) + " is for " +
                    std::to_string(count) +
                    " threads; expected a multiple of 32 up to the " +
                    std::to_string(threads) + " of the block");
    warp.abortLaunch();
    return false;
  }
  return true;
}

void handleBarrier(Warp &warp, const Op &op, LaneMask exec) {
  if ((op.flags & flagAligned) && !warp.convergeAll(op, exec))
    return;
  unsigned barrier;
  uint32_t count;
  if (!readBarrier(warp, op, exec, barrier, count))
    return;
  if (op.extra) {
    BarrierState &state = warp.block.barriers[barrier];
    LaneMask holds = warp.predicate(op.list[3]) & exec;
    state.count += uint32_t(std::popcount(holds));
    state.conjunction &= holds == exec;
    state.disjunction |= holds != 0;
  }
  if (!(op.flags & flagArrive))
    warp.waitAtBarrier(op, exec, barrier);
  warp.block.arrive(warp, op, barrier, exec, count);
}

void handleWarpBarrier(Warp &warp, const Op &op, LaneMask exec) {
  warp.convergeGroups(op, exec, warp.row<uint32_t>(op.list[0]));
}

void decodeWarpBarrier(Decoder &d) {
  if (!d.take("sync"))
    return d.fail("expected .sync");
  d.finishModifiers();
  if (!d.expectOperands(1))
    return;
  d.value(0, Type::B32);
  d.op.flags = flagJoinsAnywhere;
  d.setPoison(PoisonIsFinding);
  d.use(handleWarpBarrier, Class::Barrier);
}

//===----------------------------------------------------------------------===//
// barrier.cluster
//===----------------------------------------------------------------------===//

void arriveAtCluster(Warp &warp, const Op &op, LaneMask exec) {
  if ((op.flags & flagAligned) && !warp.convergeAll(op, exec))
    return;
  if (LaneMask twice = warp.clusterArrived & exec)
    warp.report(
        FindingKind::InvalidBarrier, op, unsigned(std::countr_zero(twice)),
        "the thread comes to the cluster's barrier twice without waiting");
  warp.clusterArrived |= exec;
  warp.block.arrive(warp, op, clusterBarrier, exec, 0);
}

void waitForCluster(Warp &warp, const Op &op, LaneMask exec) {
  if ((op.flags & flagAligned) && !warp.convergeAll(op, exec))
    return;
  if (warp.clusterArrived & exec)
    warp.waitAtBarrier(op, exec, clusterBarrier);
}

void decodeClusterBarrier(Decoder &d) {
  auto what = d.takeOneOf({"arrive", "wait"});
  d.takeOneOf({"release", "relaxed", "acquire"});
  d.op.flags = d.take("aligned") ? flagAligned : 0;
  d.finishModifiers();
  d.expectOperands(0);
  if (!what)
    return d.fail("expected .arrive or .wait");
  d.use(*what == 0 ? arriveAtCluster : waitForCluster, Class::Barrier);
}

//===----------------------------------------------------------------------===//
// bar, barrier
//===----------------------------------------------------------------------===//

/// "bar" is always aligned, "barrier" where it says so.
template <bool isBar> void decodeBarrier(Decoder &d) {
  if (d.take("warp"))
    return decodeWarpBarrier(d);
  if (d.take("cluster"))
    return decodeClusterBarrier(d);
  d.take("cta");
  auto what = d.takeOneOf({"sync", "arrive", "red"});
  if (!what)
    return d.fail("expected .sync, .arrive or .red");
  // .aligned stands after .sync and after the operation of .red.
  bool isAligned = d.takeAnywhere("aligned") || isBar;
  d.op.flags = isAligned ? flagAligned : 0;
  unsigned operands = d.numOperands();
  if (*what < 2) {
    d.finishModifiers();
    if (!d.expectOperands(*what == 1 ? 2 : 1, 2))
      return;
    d.sink();
    d.value(0, Type::U32);
    if (operands == 2)
      d.value(1, Type::U32);
    else
      d.constant(Type::U32, 0);
    d.constant(Type::Pred, 0);
    d.op.flags |= *what == 1 ? flagArrive : 0;
    d.op.flags |= operands == 2 ? flagHasCount : 0;
  } else {
    auto reduction = d.takeOneOf({"popc", "and", "or"});
    if (!reduction)
      return d.fail("expected .popc, .and or .or");
    Type type = d.expectType({*reduction == 0 ? Type::U32 : Type::Pred});
    d.finishModifiers();
    if (!d.expectOperands(3, 4))
      return;
    d.op.extra = *reduction + 1;
    d.result(0, type);
    d.value(1, Type::U32);
    if (operands == 4)
      d.value(2, Type::U32);
    else
      d.constant(Type::U32, 0);
    d.value(operands - 1, Type::Pred);
    d.op.flags |= operands == 4 ? flagHasCount : 0;
  }
  d.setPoison(PoisonIsFinding);
  d.use(handleBarrier, Class::Barrier);
}

//===----------------------------------------------------------------------===//
// fence, membar
//===----------------------------------------------------------------------===//

void handleFence(Warp &warp, const Op &op, LaneMask exec) {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (warp.block.observer)
    warp.block.observer->fence(warp, op, exec,
                               *static_cast<const std::string *>(op.record));
}

void decodeMembar(Decoder &d) {
  auto level = d.takeOneOf({"cta", "gl", "sys", "proxy"});
  if (!level)
    return d.fail("expected .cta, .gl or .sys");
  std::string scope = std::array{"cta", "gpu", "sys", "proxy"}[*level];
  for (; *level == 3 && !d.peek().empty(); d.advance())
    scope += "." + std::string(d.peek());
  d.finishModifiers();
  d.op.record = d.keep(scope);
  d.use(handleFence, Class::Barrier);
}

/// The observer gets the scope, or "proxy.KIND…" as written.
void decodeFence(Decoder &d) {
  std::string scope;
  if (d.take("proxy")) {
    scope = "proxy";
    for (; !d.peek().empty(); d.advance())
      scope += "." + std::string(d.peek());
  } else {
    bool isInit = d.take("mbarrier_init");
    d.takeOneOf({"sc", "acq_rel", "acquire", "release"});
    if (d.take("sync_restrict::shared::cta") ||
        d.take("sync_restrict::shared::cluster"))
      scope = "cluster";
    auto level = d.takeOneOf({"cta", "cluster", "gpu", "sys"});
    if (level)
      scope = std::array{"cta", "cluster", "gpu", "sys"}[*level];
    d.finishModifiers();
    if (scope.empty())
      return d.fail(isInit ? "expected .release.cluster"
                           : "expected a scope: .cta, .cluster, .gpu or .sys");
  }
  d.op.record = d.keep(scope);
  d.use(handleFence, Class::Barrier);
}

} // namespace

void clade::ptx::addBarrier(Registry &r) {
  r.add("bar", decodeBarrier<true>);
  r.add("barrier", decodeBarrier<false>);
  r.add("membar", decodeMembar);
  r.add("fence", decodeFence);
}

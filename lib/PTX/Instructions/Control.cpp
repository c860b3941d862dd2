//===- Control.cpp - Branches, returns, traps -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Control.h"

#include "lib/PTX/Builder.h"
#include "lib/PTX/Execution.h"
#include "lib/PTX/Launch.h"

#include <bit>

using namespace clade::ptx;

namespace {

void branch(Warp &warp, const Op &op, LaneMask exec) {
  warp.branch(op, exec, op.target);
}

void decodeBra(Decoder &d) {
  d.take("uni");
  d.finishModifiers();
  if (!d.expectOperands(1))
    return;
  d.branchTo(d.operand(0));
  d.endsPath();
  d.use(branch, Class::Control);
}

/// The lanes of one target at a time.
void branchIndexed(Warp &warp, const Op &op, LaneMask exec) {
  const auto &targets = *static_cast<const std::vector<int32_t> *>(op.record);
  const uint32_t *indices = warp.row<uint32_t>(op.list[0]);
  unsigned first = unsigned(std::countr_zero(exec));
  uint32_t index = indices[first];
  if (index >= targets.size()) {
    warp.report(FindingKind::IllegalOperand, op, first,
                "the index is " + std::to_string(index) + "; the list has " +
                    std::to_string(targets.size()) + " labels");
    return warp.abortLaunch();
  }
  LaneMask same = 0;
  for (unsigned i = 0; i < warpSize; ++i)
    same |= LaneMask(indices[i] == index) << i;
  same &= exec;
  if (same != exec)
    warp.deferLanes(exec & ~same);
  const Code &code = *warp.frame->code;
  uint32_t self = uint32_t(&op - code.ops.data());
  warp.branch(op, same, code.targetLists.at(self)[index]);
}

void decodeBrx(Decoder &d) {
  if (!d.take("idx"))
    d.fail("expected .idx");
  d.take("uni");
  d.finishModifiers();
  if (!d.expectOperands(2))
    return;
  const Operand &list = d.operand(1);
  if (list.scope != Operand::Scope::Targets || list.id < 0)
    return d.fail("expected a list of .branchtargets", list.column);
  d.value(0, Type::U32);
  d.targets = d.builder.function().targetLists[list.id].labels;
  d.op.record = d.keep(d.targets);
  d.setPoison(PoisonIsFinding);
  d.endsPath();
  d.use(branchIndexed, Class::Control);
}

void decodeRet(Decoder &d) {
  d.take("uni");
  d.finishModifiers();
  d.expectOperands(0);
  d.endsPath();
  d.use(handleReturn, Class::Control);
}

void decodeExit(Decoder &d) {
  d.finishModifiers();
  d.expectOperands(0);
  d.endsPath();
  d.use([](Warp &warp, const Op &, LaneMask exec) { warp.exitLanes(exec); },
        Class::Control);
}

void decodeTrap(Decoder &d) {
  d.finishModifiers();
  d.expectOperands(0);
  d.endsPath();
  d.use(
      [](Warp &warp, const Op &op, LaneMask exec) {
        warp.report(FindingKind::Trap, op, unsigned(std::countr_zero(exec)),
                    "the kernel stops itself");
        warp.abortLaunch();
      },
      Class::Control);
}

void decodeNanosleep(Decoder &d) {
  d.expectType({Type::U32});
  d.finishModifiers();
  if (!d.expectOperands(1))
    return;
  d.value(0, Type::U32);
  d.use([](Warp &warp, const Op &, LaneMask) { warp.yield(false); },
        Class::Other);
}

/// pmevent, brkpt, griddepcontrol: nothing to do where kernels run alone.
void decodeNothing(Decoder &d) {
  while (!d.peek().empty())
    d.advance();
  d.use([](Warp &, const Op &, LaneMask) {}, Class::Other);
}

} // namespace

void clade::ptx::addControl(Registry &r) {
  r.add("bra", decodeBra);
  r.add("brx", decodeBrx);
  r.add("call", decodeCall);
  r.add("ret", decodeRet);
  r.add("exit", decodeExit);
  r.add("trap", decodeTrap);
  r.add("nanosleep", decodeNanosleep);
  r.add("brkpt", decodeNothing);
  r.add("pmevent", decodeNothing);
  r.add("griddepcontrol", decodeNothing);
}

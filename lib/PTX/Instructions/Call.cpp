//===- Call.cpp - Calls of functions --------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Call.h"

#include "lib/PTX/Builder.h"
#include "lib/PTX/Instructions/Control.h"
#include "lib/PTX/Launch.h"

#include <algorithm>
#include <bit>

using namespace clade::ptx;

namespace {

/// Where a value of a call is, in one frame.
struct Place {
  std::byte *bytes = nullptr; ///< Of lane 0.
  uint8_t *shadow = nullptr;  ///< Null for registers.
  uint64_t stride = 0;        ///< Between lanes.
};

Place placeIn(Warp &warp, const Frame &frame, bool isLocal, uint64_t offset,
              Slot slot, unsigned width) {
  if (isLocal)
    return {warp.local.data() + frame.localBase + offset,
            warp.localShadow.data() + frame.localBase + offset,
            warp.localStride};
  const std::byte *row = slot.offset >= 0
                             ? frame.registers + slot.offset
                             : frame.code->constants.data() - slot.offset;
  return {const_cast<std::byte *>(row), nullptr, width};
}

void copyLanes(const Place &to, const Place &from, uint64_t bytes,
               LaneMask exec) {
  for (LaneMask rest = exec; rest; rest &= rest - 1) {
    unsigned lane = unsigned(std::countr_zero(rest));
    std::memcpy(to.bytes + lane * to.stride, from.bytes + lane * from.stride,
                bytes);
    if (!to.shadow)
      continue;
    if (from.shadow)
      std::memcpy(to.shadow + lane * to.stride,
                  from.shadow + lane * from.stride, bytes);
    else
      std::memset(to.shadow + lane * to.stride, 1, bytes);
  }
}

/// The formal parameter or result `i` of a function.
Place formalPlace(Warp &warp, const Frame &frame, const Parameter &parameter,
                  uint64_t offset) {
  bool isRegister = parameter.registerId >= 0;
  Slot slot;
  if (isRegister)
    slot.offset = frame.code->registerOffsets[parameter.registerId];
  return placeIn(warp, frame, !isRegister, offset, slot,
                 sizeOf(parameter.type));
}

/// Why a call does not fit what it calls; empty where it does.
std::string mismatch(const CallRecord &record, const Function &callee) {
  if (record.arguments.size() != callee.parameters.size())
    return "'" + std::string(callee.name) + "' takes " +
           std::to_string(callee.parameters.size()) + " arguments, found " +
           std::to_string(record.arguments.size());
  if (record.results.size() != callee.results.size())
    return "'" + std::string(callee.name) + "' has " +
           std::to_string(callee.results.size()) + " results, found " +
           std::to_string(record.results.size());
  for (size_t i = 0; i < record.arguments.size(); ++i)
    if (record.arguments[i].bytes != callee.parameters[i].size)
      return "argument " + std::to_string(i + 1) + " has " +
             std::to_string(record.arguments[i].bytes) + " bytes; '" +
             std::string(callee.name) + "' takes " +
             std::to_string(callee.parameters[i].size);
  for (size_t i = 0; i < record.results.size(); ++i)
    if (record.results[i].bytes != callee.results[i].size)
      return "result " + std::to_string(i + 1) + " has " +
             std::to_string(record.results[i].bytes) + " bytes; '" +
             std::string(callee.name) + "' gives " +
             std::to_string(callee.results[i].size);
  return {};
}

void enterFunction(Warp &warp, const Op &op, LaneMask exec, const Code &code) {
  const auto &record = *static_cast<const CallRecord *>(op.record);
  Frame *caller = warp.frame;
  if (!warp.enter(op, exec, code))
    return;
  for (size_t i = 0; i < record.arguments.size(); ++i) {
    const CallOperand &actual = record.arguments[i];
    const Parameter &formal = code.function->parameters[i];
    copyLanes(formalPlace(warp, *warp.frame, formal, code.parameterOffsets[i]),
              placeIn(warp, *caller, actual.isLocal, actual.offset, actual.slot,
                      actual.bytes),
              formal.size, exec);
  }
}

void callDirect(Warp &warp, const Op &op, LaneMask exec) {
  const auto &record = *static_cast<const CallRecord *>(op.record);
  enterFunction(warp, op, exec,
                *warp.block.launch.program.codes[record.callee]);
}

/// By address: the lanes of one target at a time.
void callIndirect(Warp &warp, const Op &op, LaneMask exec) {
  const auto &record = *static_cast<const CallRecord *>(op.record);
  const uint64_t *targets = warp.row<uint64_t>(op.list[0]);
  unsigned first = unsigned(std::countr_zero(exec));
  uint64_t target = targets[first];
  LaneMask same = 0;
  for (unsigned i = 0; i < warpSize; ++i)
    same |= LaneMask(targets[i] == target) << i;
  same &= exec;
  if (same != exec)
    warp.deferLanes(exec & ~same);
  const auto &codes = warp.block.launch.program.codes;
  uint64_t index = target - functionWindow;
  const Code *code =
      target >> 56 == functionWindow >> 56 && index < codes.size()
          ? codes[index].get()
          : nullptr;
  std::string problem;
  if (!code || !code->function->hasBody)
    problem = "the address that is called is no function's";
  else
    problem = mismatch(record, *code->function);
  if (!problem.empty()) {
    warp.report(FindingKind::InvalidCall, op, first, problem);
    return warp.abortLaunch();
  }
  enterFunction(warp, op, same, *code);
}

void callBuiltin(Warp &warp, const Op &op, LaneMask exec) {
  static_cast<const CallRecord *>(op.record)->builtin(warp, op, exec);
}

} // namespace

uint64_t clade::ptx::argument(const Warp &warp, const Op &op, unsigned index,
                              unsigned lane) {
  const auto &record = *static_cast<const CallRecord *>(op.record);
  if (index >= record.arguments.size())
    return 0;
  const CallOperand &operand = record.arguments[index];
  if (!operand.isLocal)
    return warp.readLane(operand.slot, operand.bytes, lane);
  uint64_t value = 0;
  std::memcpy(&value,
              warp.local.data() + lane * warp.localStride +
                  warp.frame->localBase + operand.offset,
              std::min(operand.bytes, 8u));
  return value;
}

void clade::ptx::handleReturn(Warp &warp, const Op &op, LaneMask exec) {
  if (const Op *call = warp.frame->call; call && warp.frame->caller) {
    const auto &record = *static_cast<const CallRecord *>(call->record);
    const Code &code = *warp.frame->code;
    for (size_t i = 0; i < record.results.size(); ++i) {
      const CallOperand &actual = record.results[i];
      copyLanes(placeIn(warp, *warp.frame->caller, actual.isLocal,
                        actual.offset, actual.slot, actual.bytes),
                formalPlace(warp, *warp.frame, code.function->results[i],
                            code.resultOffsets[i]),
                actual.bytes, exec);
    }
  }
  warp.leave(exec);
}

//===----------------------------------------------------------------------===//
// Decoding
//===----------------------------------------------------------------------===//

namespace {

CallOperand callOperand(Decoder &d, const Operand &operand, bool isResult) {
  CallOperand result;
  if (operand.kind == Operand::Kind::Symbol &&
      operand.scope != Operand::Scope::Module) {
    Operand address = operand;
    address.kind = Operand::Kind::Address;
    address.base = Operand::Kind::Symbol;
    auto parts = d.addressParts(address, Space::Param);
    if (parts.base != AddressBase::Frame)
      d.fail("'" + std::string(operand.name) + "' cannot be passed",
             operand.column);
    result.isLocal = true;
    result.offset = uint64_t(parts.offset);
    const Function &function = d.builder.function();
    result.bytes = unsigned(operand.scope == Operand::Scope::Variable
                                ? function.variables[operand.id].size
                            : operand.scope == Operand::Scope::Parameter
                                ? function.parameters[operand.id].size
                                : function.results[operand.id].size);
    return result;
  }
  if (!operand.isRegister()) {
    d.fail("expected a .param variable or a register in a call",
           operand.column);
    return result;
  }
  Type type = d.builder.function().registers[operand.id].type;
  result.slot =
      isResult ? d.resultSlot(operand, type) : d.sourceSlot(operand, type);
  result.bytes = sizeOf(type);
  return result;
}

} // namespace

void clade::ptx::decodeCall(Decoder &d) {
  d.take("uni");
  d.finishModifiers();
  CallRecord record;
  const Operand &callee = d.operand(1);
  const Function *function = nullptr;
  if (callee.kind == Operand::Kind::Symbol) {
    record.callee = d.builder.parent.use(callee.name);
    if (record.callee < 0)
      return d.fail("unknown function '" + std::string(callee.name) + "'",
                    callee.column);
    function = &d.builder.module().functions[record.callee];
    if (!function->hasBody && !(record.builtin = builtinNamed(function->name)))
      return d.fail("function '" + std::string(callee.name) +
                        "' is declared but not defined in the module",
                    callee.column);
    if (function->isKernel)
      return d.fail("'" + std::string(callee.name) + "' is a kernel",
                    callee.column);
  } else {
    d.value(callee, Type::U64);
    d.builder.parent.useAll();
  }
  for (const Operand &operand : d.operand(2).elements)
    record.arguments.push_back(callOperand(d, operand, false));
  for (const Operand &operand : d.operand(0).elements)
    record.results.push_back(callOperand(d, operand, true));
  if (function)
    if (std::string problem = mismatch(record, *function); !problem.empty())
      return d.fail(problem);
  Handler handler = record.builtin ? callBuiltin
                    : function     ? callDirect
                                   : callIndirect;
  d.op.record = d.keep(std::move(record));
  d.setPoison(PoisonNever | (function ? 0 : PoisonIsFinding));
  d.use(handler, Class::Control);
}

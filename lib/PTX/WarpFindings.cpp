//===- WarpFindings.cpp - What a warp reports -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Decoder.h"
#include "lib/PTX/Execution.h"
#include "lib/PTX/Launch.h"

#include <algorithm>
#include <bit>
#include <cstdio>

using namespace clade::ptx;

/// As the loop, for frames in which values may be missing.
void Warp::executePoisoned(const Op &op, LaneMask exec) {
  Frame *used = frame;
  if (op.guardId >= 0) {
    if (LaneMask bad = used->poison[op.guardId] & active) {
      report(FindingKind::UninitialisedValue, op, std::countr_zero(bad),
             "the guard " + describePoison(*used, op.guardId));
      used->poison[op.guardId] = 0;
    }
  }
  if (!exec)
    return;
  LaneMask bad = 0;
  uint32_t from = 0;
  for (unsigned i = 0; i < op.numReads; ++i) {
    LaneMask mask = used->poison[op.reads[i]] & exec;
    bool isAddress = i == 0 && op.addressBytes != 0;
    if (mask && ((op.poison & PoisonIsFinding) || isAddress)) {
      report(FindingKind::UninitialisedValue, op, std::countr_zero(mask),
             (isAddress ? "the address " : "the operand ") +
                 describePoison(*used, op.reads[i]));
      used->poison[op.reads[i]] = 0;
      mask = 0;
    }
    if (mask && !bad)
      from = op.reads[i];
    bad |= mask;
  }
  op.handler(*this, op, exec);
  if (op.poison & PoisonByHandler)
    return;
  LaneMask result = op.poison & PoisonNever                ? 0
                    : (op.poison & PoisonCrossLane) && bad ? exec
                                                           : bad;
  for (unsigned i = 0; i < op.numWrites; ++i) {
    LaneMask &mask = used->poison[op.writes[i]];
    mask = (mask & ~exec) | result;
    if (result)
      used->poisonLine[op.writes[i]] = used->poisonLine[from];
  }
}

void Warp::setPoison(uint32_t id, LaneMask lanes, LaneMask exec, const Op &op) {
  if (!frame->mayPoison) {
    if (!lanes)
      return;
    frame->poison.assign(frame->code->registerOffsets.size(), 0);
    frame->poisonLine.assign(frame->code->registerOffsets.size(), 0);
    frame->mayPoison = true;
  }
  frame->poison[id] = (frame->poison[id] & ~exec) | (lanes & exec);
  if (lanes)
    frame->poisonLine[id] = frame->code->function->instructions[op.source].line;
}

void Warp::reportPoison(const Op &op, unsigned lane, std::string_view what,
                        uint32_t id) {
  report(FindingKind::UninitialisedValue, op, lane,
         std::string(what) + describePoison(*frame, id));
  frame->poison[id] = 0;
}

std::string Warp::describePoison(const Frame &in, uint32_t id) const {
  std::string text = in.code->function->registers[id].str();
  uint32_t line = in.poisonLine[id];
  return text + (line ? " holds what line " + std::to_string(line) +
                            " read from memory that was never written"
                      : " was never given a value");
}

std::string Warp::maskText(LaneMask mask) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%08x", mask);
  return text;
}

//===----------------------------------------------------------------------===//
// Findings
//===----------------------------------------------------------------------===//

Place Warp::placeOf(const Op &op) const {
  // The op may be of a frame further out: a function owns the instruction.
  const Launch &launch = block.launch;
  for (const auto &code : launch.program.codes) {
    if (!code || code->ops.empty() || &op < code->ops.data() ||
        &op >= code->ops.data() + code->ops.size())
      continue;
    Place place;
    if (code->function->instructions.empty())
      return place;
    const Instruction &source = code->function->instructions[op.source];
    const Module &module = *launch.program.module;
    place.line = source.line;
    std::string_view line = module.lineText(source.line);
    size_t begin = line.find_first_not_of(" \t");
    place.instruction = begin == std::string_view::npos
                            ? source.fullName()
                            : std::string(line.substr(begin, 120));
    if (source.location.line && source.location.file < module.files.size()) {
      place.sourceFile = module.files[source.location.file];
      place.sourceLine = source.location.line;
    }
    return place;
  }
  return {};
}

ThreadId Warp::threadOf(unsigned lane) const {
  ThreadId id;
  id.block = block.id;
  const auto &shape = block.launch.options.block;
  uint32_t linear = index * warpSize + lane;
  id.thread = {linear % shape[0], linear / shape[0] % shape[1],
               linear / shape[0] / shape[1]};
  return id;
}

void Warp::report(Finding finding, const Op &op, unsigned lane) {
  finding.kernel = block.launch.program.kernel->name;
  finding.place = placeOf(op);
  finding.thread = threadOf(lane);
  uint64_t other = finding.otherPlace ? finding.otherPlace->line : 0;
  block.launch.report(std::move(finding), other);
  event |= block.launch.aborted();
}

void Warp::report(FindingKind kind, const Op &op, unsigned lane,
                  std::string text) {
  Finding finding;
  finding.kind = kind;
  finding.text = std::move(text);
  report(std::move(finding), op, lane);
}

OpCounter &Warp::counter(const Op &op) {
  return block.launch.counters(block.worker)[op.counter];
}

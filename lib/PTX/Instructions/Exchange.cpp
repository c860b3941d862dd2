//===- Exchange.cpp - Exchange between the lanes of a warp ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Instructions/Lanes.h"
#include "lib/PTX/Launch.h"

#include <bit>
#include <cmath>

using namespace clade::ptx;

namespace {

/// Waits for the lanes of the masks in `slot`; gives the lanes that go on. A
/// lane that is not in its own mask is a finding.
LaneMask gather(Warp &warp, const Op &op, LaneMask exec, Slot slot) {
  const uint32_t *members = warp.row<uint32_t>(slot);
  LaneMask strangers = 0;
  for (unsigned i = 0; i < warpSize; ++i)
    strangers |= LaneMask(!(members[i] >> i & 1)) << i;
  if (strangers &= exec; strangers) {
    unsigned lane = unsigned(std::countr_zero(strangers));
    warp.report(FindingKind::WarpSyncMismatch, op, lane,
                "lane " + std::to_string(lane) +
                    " is not in its own mask of members");
  }
  return warp.convergeGroups(op, exec, members);
}

/// Calls `each(lanes, members)` for the lanes that have the same mask.
template <typename Each>
void forGroups(LaneMask exec, const uint32_t *members, Each each) {
  while (exec) {
    uint32_t mask = members[std::countr_zero(exec)];
    LaneMask group = 0;
    for (LaneMask rest = exec; rest; rest &= rest - 1) {
      unsigned lane = unsigned(std::countr_zero(rest));
      group |= LaneMask(members[lane] == mask) << lane;
    }
    each(group, mask);
    exec &= ~group;
  }
}

//===----------------------------------------------------------------------===//
// shfl
//===----------------------------------------------------------------------===//

enum Shuffle : unsigned { Up, Down, Bfly, Idx };

/// Slots: d, p, a, b, c, members.
template <Shuffle mode> void shuffle(Warp &warp, const Op &op, LaneMask exec) {
  exec = gather(warp, op, exec, op.list[5]);
  if (!exec)
    return;
  const uint32_t *a = warp.row<uint32_t>(op.list[2]);
  const uint32_t *b = warp.row<uint32_t>(op.list[3]);
  const uint32_t *c = warp.row<uint32_t>(op.list[4]);
  uint32_t out[warpSize];
  LaneMask inRange = 0, missing = 0;
  uint8_t source[warpSize];
  for (unsigned lane = 0; lane < warpSize; ++lane) {
    unsigned segment = c[lane] >> 8 & 31, clamp = c[lane] & 31,
             by = b[lane] & 31;
    int greatest = int((lane & segment) | (clamp & ~segment));
    int least = int(lane & segment);
    int from = mode == Up     ? int(lane) - int(by)
               : mode == Down ? int(lane + by)
               : mode == Bfly ? int(lane ^ by)
                              : least | int(by & ~segment);
    bool isIn = mode == Up ? from >= greatest : from <= greatest;
    if (!isIn)
      from = int(lane);
    inRange |= LaneMask(isIn) << lane;
    source[lane] = uint8_t(from & 31);
    out[lane] = a[from & 31];
    missing |= LaneMask(!(exec >> (from & 31) & 1)) << lane;
  }
  // What a lane that takes no part would give is nothing that can be used.
  LaneMask poison = missing & exec;
  if (warp.frame->mayPoison && (op.extra & 1)) {
    LaneMask of = warp.poisonOf(op.reads[0]);
    for (unsigned lane = 0; lane < warpSize; ++lane)
      poison |= (of >> source[lane] & 1) << lane;
  }
  warp.write(op.list[0], out, exec);
  warp.setPredicate(op.list[1], inRange, exec);
  if (!warp.block.launch.options.checks.uninitialised)
    return;
  unsigned next = 0;
  if (!op.list[0].isSink())
    warp.setPoison(op.writes[next++], poison & exec, exec, op);
  if (!op.list[1].isSink())
    warp.setPoison(op.writes[next], 0, exec, op);
}

/// A destination "d|p"; the sink where there is no p.
void resultPair(Decoder &d, Type type) {
  const Operand &first = d.operand(0);
  d.result(first, type);
  if (first.elements.empty())
    d.sink();
  else
    d.result(first.elements[0], Type::Pred);
}

void decodeShfl(Decoder &d) {
  bool isSync = d.take("sync");
  auto mode = d.takeOneOf({"up", "down", "bfly", "idx"});
  d.expectType({Type::B32});
  d.finishModifiers();
  if (!mode)
    return d.fail("expected .up, .down, .bfly or .idx");
  if (!isSync)
    return d.fail("the forms without .sync are not of sm_70 and later");
  if (!d.expectOperands(5))
    return;
  resultPair(d, Type::B32);
  for (unsigned i = 1; i < 5; ++i)
    d.value(i, Type::B32);
  d.op.extra = d.operand(1).isRegister();
  d.setPoison(PoisonByHandler);
  d.use(std::array<Handler, 4>{shuffle<Up>, shuffle<Down>, shuffle<Bfly>,
                               shuffle<Idx>}[*mode],
        Class::WarpExchange);
}

//===----------------------------------------------------------------------===//
// vote, activemask, elect
//===----------------------------------------------------------------------===//

enum Vote : unsigned { All, Any, Uni, Ballot };

template <Vote vote> void handleVote(Warp &warp, const Op &op, LaneMask exec) {
  exec = gather(warp, op, exec, op.list[2]);
  if (!exec)
    return;
  LaneMask truth = warp.predicate(op.list[1]);
  uint32_t ballots[warpSize] = {};
  LaneMask result = 0;
  forGroups(exec, warp.row<uint32_t>(op.list[2]),
            [&](LaneMask group, uint32_t members) {
              LaneMask in = members & warp.alive();
              LaneMask votes = truth & in;
              bool holds = vote == All   ? votes == in
                           : vote == Any ? votes != 0
                                         : votes == 0 || votes == in;
              if (holds)
                result |= group;
              for (LaneMask rest = group; rest; rest &= rest - 1)
                ballots[std::countr_zero(rest)] = votes;
            });
  if (vote == Ballot)
    warp.write(op.list[0], ballots, exec);
  else
    warp.setPredicate(op.list[0], result, exec);
}

void decodeVote(Decoder &d) {
  bool isSync = d.take("sync");
  auto vote = d.takeOneOf({"all", "any", "uni", "ballot"});
  if (!vote)
    return d.fail("expected .all, .any, .uni or .ballot");
  isSync |= d.take("sync"); // "vote.ballot.sync" is accepted by ptxas too.
  if (!isSync)
    return d.fail("the forms without .sync are not of sm_70 and later");
  Type type = *vote == Ballot ? Type::B32 : Type::Pred;
  d.expectType({type});
  d.finishModifiers();
  if (!d.expectOperands(3))
    return;
  d.result(0, type);
  d.value(1, Type::Pred);
  d.value(2, Type::B32);
  d.setPoison(PoisonCrossLane);
  d.use(std::array<Handler, 4>{handleVote<All>, handleVote<Any>,
                               handleVote<Uni>, handleVote<Ballot>}[*vote],
        Class::WarpExchange);
}

void handleActiveMask(Warp &warp, const Op &op, LaneMask exec) {
  uint32_t out[warpSize];
  std::fill_n(out, warpSize, exec);
  warp.write(op.list[0], out, exec);
}

void decodeActivemask(Decoder &d) {
  d.expectType({Type::B32});
  d.finishModifiers();
  if (!d.expectOperands(1))
    return;
  d.result(0, Type::B32);
  d.setPoison(PoisonNever);
  d.use(handleActiveMask, Class::WarpExchange);
}

/// The lane with the least number leads. Slots: d, p, members.
void handleElect(Warp &warp, const Op &op, LaneMask exec) {
  exec = gather(warp, op, exec, op.list[2]);
  if (!exec)
    return;
  uint32_t leaders[warpSize] = {};
  LaneMask elected = 0;
  forGroups(exec, warp.row<uint32_t>(op.list[2]),
            [&](LaneMask group, uint32_t members) {
              LaneMask in = members & warp.alive();
              uint32_t leader = uint32_t(std::countr_zero(in ? in : group));
              elected |= LaneMask(1) << leader;
              for (LaneMask rest = group; rest; rest &= rest - 1)
                leaders[std::countr_zero(rest)] = leader;
            });
  warp.write(op.list[0], leaders, exec);
  warp.setPredicate(op.list[1], elected, exec);
}

void decodeElect(Decoder &d) {
  if (!d.take("sync"))
    d.fail("expected .sync");
  d.finishModifiers();
  if (!d.expectOperands(2))
    return;
  resultPair(d, Type::B32);
  d.value(1, Type::B32);
  d.use(handleElect, Class::WarpExchange);
}

//===----------------------------------------------------------------------===//
// match
//===----------------------------------------------------------------------===//

/// Slots: d, p, a, members.
template <typename T, bool isAll>
void handleMatch(Warp &warp, const Op &op, LaneMask exec) {
  exec = gather(warp, op, exec, op.list[3]);
  if (!exec)
    return;
  const T *a = warp.row<T>(op.list[2]);
  uint32_t out[warpSize] = {};
  LaneMask truth = 0;
  forGroups(exec, warp.row<uint32_t>(op.list[3]),
            [&](LaneMask group, uint32_t members) {
              LaneMask in = members & warp.alive();
              for (LaneMask rest = group; rest; rest &= rest - 1) {
                unsigned lane = unsigned(std::countr_zero(rest));
                LaneMask same = 0;
                for (LaneMask others = in; others; others &= others - 1) {
                  unsigned other = unsigned(std::countr_zero(others));
                  same |= LaneMask(a[other] == a[lane]) << other;
                }
                out[lane] = !isAll || same == in ? same : 0;
                truth |= LaneMask(same == in) << lane;
              }
            });
  warp.write(op.list[0], out, exec);
  warp.setPredicate(op.list[1], truth, exec);
}

void decodeMatch(Decoder &d) {
  auto mode = d.takeOneOf({"any", "all"});
  if (!mode || !d.take("sync"))
    return d.fail("expected .any.sync or .all.sync");
  Type type = d.expectType({Type::B32, Type::B64});
  d.finishModifiers();
  if (!d.expectOperands(3))
    return;
  resultPair(d, Type::B32);
  d.value(1, type);
  d.value(2, Type::B32);
  d.setPoison(PoisonCrossLane);
  bool isAll = *mode == 1;
  if (type == Type::B32)
    d.use(isAll ? handleMatch<uint32_t, true> : handleMatch<uint32_t, false>,
          Class::WarpExchange);
  else
    d.use(isAll ? handleMatch<uint64_t, true> : handleMatch<uint64_t, false>,
          Class::WarpExchange);
}

//===----------------------------------------------------------------------===//
// redux
//===----------------------------------------------------------------------===//

enum Reduction : unsigned { Add, Min, Max, And, Or, Xor };

template <Reduction reduction, typename T> T reduce(T a, T b) {
  switch (reduction) {
  case Add:
    return T(uint32_t(a) + uint32_t(b));
  case Min:
    return a < b ? a : b;
  case Max:
    return a > b ? a : b;
  case And:
    return T(uint32_t(a) & uint32_t(b));
  case Or:
    return T(uint32_t(a) | uint32_t(b));
  case Xor:
    return T(uint32_t(a) ^ uint32_t(b));
  }
}

template <Reduction reduction, typename T>
void handleRedux(Warp &warp, const Op &op, LaneMask exec) {
  exec = gather(warp, op, exec, op.list[2]);
  if (!exec)
    return;
  const T *a = warp.row<T>(op.list[1]);
  T out[warpSize] = {};
  forGroups(exec, warp.row<uint32_t>(op.list[2]),
            [&](LaneMask group, uint32_t members) {
              LaneMask in = members & warp.alive();
              if (!in)
                return;
              T value = a[std::countr_zero(in)];
              for (LaneMask rest = in & (in - 1); rest; rest &= rest - 1)
                value = reduce<reduction, T>(value, a[std::countr_zero(rest)]);
              for (LaneMask rest = group; rest; rest &= rest - 1)
                out[std::countr_zero(rest)] = value;
            });
  warp.write(op.list[0], out, exec);
}

/// redux.sync.{min,max}{.abs}{.NaN}.f32 of sm_100a.
template <bool isMax>
void handleReduxFloat(Warp &warp, const Op &op, LaneMask exec) {
  exec = gather(warp, op, exec, op.list[2]);
  if (!exec)
    return;
  const float *a = warp.row<float>(op.list[1]);
  float out[warpSize] = {};
  bool isAbs = op.flags & 1, keepsNaN = op.flags & 2;
  forGroups(
      exec, warp.row<uint32_t>(op.list[2]),
      [&](LaneMask group, uint32_t members) {
        const float canonical = std::bit_cast<float>(0x7fffffffu);
        float value = canonical;
        bool hasNaN = false;
        for (LaneMask rest = members & warp.alive(); rest; rest &= rest - 1) {
          float x = a[std::countr_zero(rest)];
          x = isAbs ? std::fabs(x) : x;
          hasNaN |= std::isnan(x);
          if (std::isnan(x))
            continue;
          bool better = isMax ? x > value || (x == value && std::signbit(value))
                              : x < value || (x == value && std::signbit(x));
          if (std::isnan(value) || better)
            value = x;
        }
        if (keepsNaN && hasNaN)
          value = canonical;
        for (LaneMask rest = group; rest; rest &= rest - 1)
          out[std::countr_zero(rest)] = value;
      });
  warp.write(op.list[0], out, exec);
}

void decodeRedux(Decoder &d) {
  if (!d.take("sync"))
    d.fail("expected .sync");
  auto what = d.takeOneOf({"add", "min", "max", "and", "or", "xor"});
  if (!what)
    return d.fail("expected .add, .min, .max, .and, .or or .xor");
  bool isAbs = d.take("abs"), keepsNaN = d.take("NaN");
  Type type = d.expectType({Type::U32, Type::S32, Type::B32, Type::F32});
  d.finishModifiers();
  if (!d.expectOperands(3))
    return;
  bool isFloat = type == Type::F32;
  if ((isFloat && *what != Min && *what != Max) ||
      (!isFloat && (isAbs || keepsNaN)) ||
      (*what >= And) != (type == Type::B32))
    return d.fail("this operation is not for ." + std::string(nameOf(type)));
  d.result(0, type);
  d.value(1, type);
  d.value(2, Type::B32);
  d.op.flags = uint8_t(isAbs | keepsNaN << 1);
  d.setPoison(PoisonCrossLane);
  bool isSigned = type == Type::S32;
  constexpr Handler handlers[6][2] = {
      {handleRedux<Add, uint32_t>, handleRedux<Add, int32_t>},
      {handleRedux<Min, uint32_t>, handleRedux<Min, int32_t>},
      {handleRedux<Max, uint32_t>, handleRedux<Max, int32_t>},
      {handleRedux<And, uint32_t>, nullptr},
      {handleRedux<Or, uint32_t>, nullptr},
      {handleRedux<Xor, uint32_t>, nullptr}};
  d.use(isFloat
            ? (*what == Max ? handleReduxFloat<true> : handleReduxFloat<false>)
            : handlers[*what][isSigned],
        Class::WarpExchange);
}

} // namespace

void clade::ptx::addExchange(Registry &r) {
  r.add("shfl", decodeShfl);
  r.add("vote", decodeVote);
  r.add("activemask", decodeActivemask);
  r.add("elect", decodeElect);
  r.add("match", decodeMatch);
  r.add("redux", decodeRedux);
}

//===- Execution.h - Warps, blocks and their memory -------------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the handler of an instruction sees. A warp is 32 lanes whose registers
// are rows (structures of arrays). Lanes of a warp that took different ways are
// `Split`s: each has a mask, a program counter and a frame. The split with the
// least program counter of the deepest function runs, and splits that meet are
// merged; a split that jumps back very often while others wait gives them a
// turn, so that lanes of one warp can wait for each other (independent thread
// scheduling). `.sync` instructions wait for the lanes of their mask.
//
// Every access to memory goes through `Warp::access` or `Warp::accessRange`,
// which resolve addresses, check and count.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_PTX_EXECUTION_H
#define CLADE_PTX_EXECUTION_H

#include "lib/PTX/Findings.h"
#include "lib/PTX/Program.h"
#include "lib/PTX/Trace.h"

#include <array>
#include <bit>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace clade::ptx {

class Block;
class Launch;

/// Generic addresses of shared memory begin here, those of a thread's local
/// memory there; every other address is of global memory (constants and kernel
/// parameters lie in it too) and is the host's address of the byte.
constexpr uint64_t sharedWindow = uint64_t(1) << 56;
constexpr uint64_t localWindow = uint64_t(2) << 56;
/// Function addresses: this plus the index of Program::codes.
constexpr uint64_t functionWindow = uint64_t(3) << 56;
/// The first bytes of shared memory are the system's, as on sm_80 and later.
constexpr uint32_t reservedShared = 1024;

enum class AccessKind : uint8_t {
  Read,
  Write,
  Atomic,    ///< Reads and writes at once.
  AsyncRead, ///< By an asynchronous copy or a matrix unit (async proxy).
  AsyncWrite,
};

/// What an instruction asks of memory, the same for all lanes.
struct AccessShape {
  AccessKind kind = AccessKind::Read;
  uint8_t bytes = 4;     ///< Of a lane.
  uint8_t alignment = 4; ///< That the instruction needs.
  Space space = Space::Generic;
  /// Morally strong: .volatile, .relaxed, .acquire, .release, atomics.
  bool isStrong = false;
  /// Counted as an access of its own; false where the instruction counts what
  /// the hardware moves at once by itself.
  bool isCounted = true;
  /// Of a write, where they are known before: what each lane will store,
  /// `bytes` after `bytes`.
  const std::byte *values = nullptr;
};

/// The bytes of each lane of an access. Only the lanes of `valid` have them:
/// one that a check forbade reads zeros and writes nothing.
struct Pointers {
  std::array<std::byte *, warpSize> lane;
  /// The shadow of the first byte, one byte a byte: 0 was never written.
  std::array<uint8_t *, warpSize> shadow;
  /// Lanes that may access.
  LaneMask valid = 0;
  /// All lanes are valid and `lane[i]` is `lane[0] + i * bytes`.
  bool isContiguous = false;
  /// All lanes are valid and have the same address.
  bool isUniform = false;
};

/// Sees what a block does to memory, for checks over many accesses (races).
/// Called by the thread that runs the block.
class Observer {
public:
  virtual ~Observer() = default;
  /// `addresses` are in `space` (Shared: from 0; Local accesses are not told);
  /// lanes of `mask` passed the other checks.
  virtual void access(Warp &warp, const Op &op, const AccessShape &shape,
                      Space space, LaneMask mask, const uint64_t *addresses) {}
  /// A range that one lane accesses (bulk copies, matrix descriptors).
  virtual void accessRange(Warp &warp, const Op &op, const AccessShape &shape,
                           Space space, unsigned lane, uint64_t address,
                           uint64_t bytes) {}
  /// Lanes came to a barrier of the block (`arrive` or `sync`).
  virtual void barrierArrive(Warp &warp, unsigned barrier, LaneMask mask) {}
  /// The barrier is complete; the warps that waited at it go on.
  virtual void barrierComplete(Block &block, unsigned barrier) {}
  /// bar.warp.sync, or another .sync of these lanes.
  virtual void warpSync(Warp &warp, LaneMask mask) {}
  /// fence, membar; `scope` is "cta", "cluster", "gpu" or "sys".
  virtual void fence(Warp &warp, const Op &op, LaneMask mask,
                     std::string_view scope) {}
  virtual void blockEnd(Block &block) {}
};

/// One call's registers and local memory; splits of a warp share it.
struct Frame {
  const Code *code = nullptr;
  Frame *caller = nullptr;
  uint32_t returnTo = 0; ///< The caller's next op.
  const Op *call = nullptr;
  unsigned depth = 0;
  unsigned users = 0;     ///< Splits that are in it, or in a call from it.
  uint64_t localBase = 0; ///< Of its local memory, in a thread's.
  std::unique_ptr<std::byte[]> storage;
  std::byte *registers = nullptr; ///< In `storage`, aligned to 64 bytes.
  /// Lanes in which a register was never given a value, by register.
  std::vector<LaneMask> poison;
  std::vector<uint32_t> poisonLine; ///< The PTX line that it came from.
  /// The wgmma that still writes a register, by register; empty where there is
  /// none.
  std::vector<const Op *> inFlight;
  bool mayPoison = false; ///< Whether any mask may not be zero.
};

/// The index of the cluster's barrier in Block::barriers.
constexpr unsigned clusterBarrier = 16;

/// Op::flags of instructions that wait: bar.warp.sync, which lanes may execute
/// at different places.
constexpr uint8_t flagJoinsAnywhere = 0x80;

/// Lanes of a warp that go together.
struct Split {
  enum class State : uint8_t {
    Ready,
    WarpSync, ///< At a .sync instruction, for other lanes.
    Converge, ///< At an aligned instruction, for all other lanes.
    Barrier,  ///< At a barrier of the block.
  };
  LaneMask mask = 0;
  uint32_t pc = 0; ///< WarpSync, Converge: the op itself; else the next.
  Frame *frame = nullptr;
  State state = State::Ready;
  LaneMask waitsFor = 0; ///< Lanes of the mask of a .sync.
  uint16_t barrier = 0;
  const Op *op = nullptr; ///< That waits.
};

class Warp {
public:
  Warp(Block &block, unsigned index, LaneMask lanes);
  ~Warp();
  /// Puts every lane before the first op of the kernel.
  void reset();

  Block &block;
  const unsigned index;    ///< In the block.
  const LaneMask existing; ///< Lanes that have a thread.
  LaneMask exited = 0;

  // The split that runs; `active` is 0 where none does.
  LaneMask active = 0;
  uint32_t pc = 0;
  Frame *frame = nullptr;
  std::vector<Split> waiting; ///< The others.

  //===--- Registers ---===//

  template <typename T> const T *row(Slot slot) const {
    return reinterpret_cast<const T *>(slot.offset >= 0
                                           ? frame->registers + slot.offset
                                           : constants() - slot.offset);
  }
  /// The row of a destination.
  template <typename T> T *rowOut(Slot slot) {
    return reinterpret_cast<T *>(frame->registers + slot.offset);
  }
  LaneMask predicate(Slot slot) const { return *row<LaneMask>(slot); }
  void setPredicate(Slot slot, LaneMask bits, LaneMask exec) {
    LaneMask &mask = *rowOut<LaneMask>(slot);
    mask = (mask & ~exec) | (bits & exec);
  }
  /// Stores the lanes of `exec` of 32 values into a destination.
  template <typename T> void write(Slot slot, const T *values, LaneMask exec) {
    T *out = rowOut<T>(slot);
    if (exec == allLanes) {
      std::memcpy(out, values, warpSize * sizeof(T));
      return;
    }
    for (unsigned i = 0; i < warpSize; ++i)
      out[i] = (exec >> i) & 1 ? values[i] : out[i];
  }
  /// The row as 64-bit integers, zero-extended from `bytes` a lane.
  void readWide(Slot slot, unsigned bytes, uint64_t *out) const;
  /// Stores the low `bytes` of each value.
  void writeWide(Slot slot, unsigned bytes, const uint64_t *values,
                 LaneMask exec);
  /// The value of one lane, zero-extended.
  uint64_t readLane(Slot slot, unsigned bytes, unsigned lane) const;

  //===--- Memory ---===//

  /// The addresses of an op with one address operand, whose slot is `slot`:
  /// its register, plus its offset, plus what it is relative to.
  void addresses(const Op &op, Slot slot, uint64_t *out) const;
  /// The same for parts that a decoder kept.
  void addresses(Slot slot, unsigned bytes, AddressBase base, int64_t offset,
                 uint64_t *out) const;
  /// Resolves, checks and counts an access of the lanes of `exec`. Addresses
  /// are offsets in the space of `shape` (Shared: from 0; Local: in the
  /// thread's memory) or generic. Reading bytes that were never written is not
  /// a finding here: see `loadPoison`.
  void access(const Op &op, LaneMask exec, const uint64_t *addresses,
              const AccessShape &shape, Pointers &out);
  /// One lane's access of many bytes; null where a check forbids it. `*shadow`
  /// gets the shadow where it is not null.
  std::byte *accessRange(const Op &op, unsigned lane, uint64_t address,
                         uint64_t bytes, const AccessShape &shape,
                         uint8_t **shadow = nullptr);
  /// Marks the written bytes of an access as initialised (or not, in the lanes
  /// of `poison`).
  void markWritten(const Pointers &pointers, unsigned bytes,
                   LaneMask poison = 0);
  /// Whether every byte of an access was written before.
  static bool allWritten(const Pointers &pointers, unsigned bytes);
  /// Lanes in which none of the bytes at `from` (in each lane's access) was
  /// ever written.
  LaneMask unwritten(const Pointers &pointers, unsigned from,
                     unsigned bytes) const;

  //===--- Values never initialised ---===//

  /// Lanes in which register `id` has no value.
  LaneMask poisonOf(uint32_t id) const {
    return frame->mayPoison ? frame->poison[id] : 0;
  }
  void setPoison(uint32_t id, LaneMask lanes, LaneMask exec, const Op &op);
  /// Reports that register `id` has no value, once; `what` it is used as.
  void reportPoison(const Op &op, unsigned lane, std::string_view what,
                    uint32_t id);

  /// The registers that a wgmma writes are its own until it is waited for:
  /// other uses are findings.
  void setInFlight(const Op &op, bool isInFlight);

  //===--- Control ---===//

  /// Lanes that are neither exited nor missing.
  LaneMask alive() const { return existing & ~exited; }
  /// Goes to an op; the lanes of `exec` alone where that is not all of them.
  void branch(const Op &op, LaneMask exec, uint32_t target);
  /// Enters a function; the caller's frame has what `frame` was. False where
  /// the stack is exhausted, after a finding.
  bool enter(const Op &op, LaneMask exec, const Code &code);
  /// Leaves the function, or the kernel.
  void leave(LaneMask exec);
  /// For a `.sync` instruction with a mask of lanes: true if all of them that
  /// are alive are in `exec`; otherwise the split waits at this op, which is
  /// executed again when they have come, and the handler must return at once.
  bool converge(const Op &op, LaneMask exec, LaneMask members);
  /// The same where each lane has its own mask: the lanes that may go on now;
  /// the others wait.
  LaneMask convergeGroups(const Op &op, LaneMask exec, const uint32_t *members);
  /// These lanes execute this op later, by themselves.
  void deferLanes(LaneMask lanes);
  /// The same for an instruction that every lane of the warp must execute
  /// together (.aligned): waits until no other lane can go on. The lanes that
  /// did not come are a finding.
  bool convergeAll(const Op &op, LaneMask exec);
  /// The lanes wait at a barrier of the block, until Block::release.
  void waitAtBarrier(const Op &op, LaneMask exec, unsigned barrier);
  /// Executes this op again later and lets other lanes and warps run first: for
  /// waits that poll. A block in which every warp only polls is reported as
  /// deadlocked after a while.
  void retryLater(LaneMask exec);
  /// Gives other lanes and warps a turn after this op (nanosleep, a failed
  /// try_wait); `polls` where the lanes wait for somebody else.
  void yield(bool polls);
  /// Ends these lanes.
  void exitLanes(LaneMask lanes);
  /// Ends the whole launch, after a finding.
  void abortLaunch();

  //===--- Findings and counters ---===//

  /// Copies bytes that a lane's generic address points to, for what the machine
  /// does itself (printf); false where they are not there.
  bool peek(unsigned lane, uint64_t address, void *out, uint64_t bytes) const;

  /// Reports a finding at this op by a lane. The text says what and the
  /// figures; place and thread are added.
  void report(FindingKind kind, const Op &op, unsigned lane, std::string text);
  void report(Finding finding, const Op &op, unsigned lane);
  Place placeOf(const Op &op) const;
  ThreadId threadOf(unsigned lane) const;
  OpCounter &counter(const Op &op);
  /// Counts bytes of shared memory that a unit moves by itself, at the full
  /// width of the banks.
  void countShared(const Op &op, uint64_t bytes);

  /// State that a family keeps for a warp (asynchronous groups).
  std::shared_ptr<void> asyncState;

  // The scheduler's.
  enum class Outcome : uint8_t { Finished, Blocked, Sliced, Polled };
  Outcome run(uint64_t slice);
  /// The lanes that wait at a barrier go on.
  void release(unsigned barrier);
  /// Lets a split that waits for lanes that will never come go on; false where
  /// there is none.
  bool breakWait();
  uint64_t executed = 0; ///< Ops, since the block asked last.
  /// Lanes that came to the cluster's barrier, which is not complete yet.
  LaneMask clusterArrived = 0;

  std::vector<std::byte> local; ///< A thread's memory after another's.
  std::vector<uint8_t> localShadow;
  uint64_t localStride = 0; ///< Bytes of a thread in `local`.

private:
  const std::byte *constants() const { return frame->code->constants.data(); }
  void park(Split split);
  bool reschedule();
  void mergeSplits();
  void updateMergePoint();
  bool joinWaiting();
  void reportDivergence(const Op &op, LaneMask exec, LaneMask missing);
  void waitHere(const Op &op, LaneMask exec, Split::State state,
                LaneMask members);
  void leaveOthers(LaneMask exec);
  std::string describePoison(const Frame &in, uint32_t id) const;
  static std::string maskText(LaneMask mask);
  Frame *makeFrame(const Code &code, Frame *caller);
  void dropFrame(Frame *unused);
  void growLocal(uint64_t bytes);
  void executePoisoned(const Op &op, LaneMask exec);
  void checkInFlight(const Op &op, LaneMask exec);
  LaneMask accessShared(const Op &op, LaneMask exec, const uint64_t *addresses,
                        const AccessShape &shape, Pointers &out);
  LaneMask accessGlobal(const Op &op, LaneMask exec, const uint64_t *addresses,
                        const AccessShape &shape, Pointers &out);
  LaneMask accessLocal(const Op &op, LaneMask exec, const uint64_t *addresses,
                       const AccessShape &shape, Pointers &out);
  void countGlobal(const Op &op, LaneMask valid, const uint64_t *addresses,
                   const AccessShape &shape, const Pointers &pointers);
  void traceRange(const Op &op, uint64_t address, uint64_t bytes,
                  AccessKind kind);
  bool checkShared(const Op &op, unsigned lane, uint64_t address,
                   uint64_t bytes, const AccessShape &shape);
  bool checkGlobal(const Op &op, unsigned lane, uint64_t address,
                   uint64_t bytes, const AccessShape &shape);

  bool event = false;  ///< The split that runs changed, or must.
  bool polled = false; ///< It only polled.
public:
  bool wrote = false; ///< Memory, since the block asked last.
private:
  bool wantsYield = false;
  bool isForced = false;  ///< The wait of the next .sync op is given up.
  uint32_t mergeAt = ~0u; ///< Where another split of the frame waits.
  unsigned backJumps = 0;
  unsigned turn = 0; ///< Ops left of a split that was given a turn.
  std::vector<std::unique_ptr<Frame>> frames;
  std::vector<Frame *> freeFrames;
  uint64_t cachedBegin = 1, cachedEnd = 0; ///< An allocation that may be read
  bool cachedReadOnly = false;
  friend class Block;
};

/// A barrier of a block (bar, barrier).
struct BarrierState {
  uint32_t expected = 0;       ///< Threads, full warps; 0: all of the block.
  uint32_t arrived = 0;        ///< Of those.
  uint32_t arrivedThreads = 0; ///< Without what fills up the last warp.
  bool isUsed = false;         ///< Somebody waits or arrived.
  uint32_t count = 0;          ///< bar.red: threads whose predicate holds.
  bool conjunction = true;
  bool disjunction = false;
  const Op *first = nullptr; ///< The first that came.
  ThreadId firstThread;
};

class Block {
public:
  Block(Launch &launch, unsigned worker);
  ~Block();
  void reset(uint64_t linearId);

  Launch &launch;
  const unsigned worker;
  std::array<uint32_t, 3> id = {0, 0, 0};
  uint64_t linearId = 0;
  std::vector<std::unique_ptr<Warp>> warps;

  /// Shared memory from address 0, with the reserved bytes.
  std::vector<std::byte> shared;
  std::vector<uint8_t> sharedShadow;
  std::array<BarrierState, 17> barriers; ///< The last is the cluster's.

  /// Requests to global memory, where the launch wants them of this block.
  std::vector<Request> trace;
  bool isTraced = false;
  void request(uint64_t line, uint8_t sectors, AccessKind kind, const Op &op);

  /// Checks that follow many accesses; may be null.
  std::unique_ptr<Observer> observer;
  /// State that a family keeps for a block (mbarriers).
  std::shared_ptr<void> asyncState;

  /// Lanes come to a barrier that `expected` threads (0: all) take part in.
  void arrive(Warp &warp, const Op &op, unsigned barrier, LaneMask lanes,
              uint32_t expected);
  /// Lanes have exited: a barrier may be complete without them.
  void laneExit();

  enum class Outcome : uint8_t { Finished, Suspended };
  /// Runs the warps until all have finished, or for a while.
  Outcome run();

private:
  void checkComplete(unsigned barrier);
  void complete(unsigned barrier);
  void reportDeadlock();
  unsigned idleRounds = 0; ///< In which warps only waited.
  uint64_t lastProgress = 0;

public:
  uint64_t ticks = 0; ///< What a clock shows in a deterministic launch.
};

} // namespace clade::ptx

#endif // CLADE_PTX_EXECUTION_H

//===- Evaluator.h - A weight program bound to its data ---------*- C++ -*-===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Evaluation pulls: whoever wants elements [begin, end) of a value, in
// row-major order, asks its evaluator, which asks its inputs for what that
// needs. A range that already lies contiguously in a mapping is passed on as a
// pointer.
//
//===----------------------------------------------------------------------===//

#ifndef CLADE_RUNTIME_WEIGHTS_EVALUATOR_H
#define CLADE_RUNTIME_WEIGHTS_EVALUATOR_H

#include "runtime/Support/MappedFile.h"
#include "runtime/Weights/Scratch.h"
#include "runtime/Weights/WeightProgram.h"

#include <functional>

namespace clade::rt {

/// One bound node. All ranges are multiples of the dtype's block length.
/// Thread-safe: several threads may read different or the same ranges, each
/// with its own scratch.
class Evaluator {
public:
  Evaluator(DType dtype, int64_t count)
      : elementType(dtype), elements(count), block(blockLength(dtype)),
        blockBytes(bytesPerBlock(dtype)) {}
  virtual ~Evaluator() = default;

  DType dtype() const { return elementType; }
  int64_t count() const { return elements; }
  /// Bytes of `n` elements, a multiple of the block length.
  int64_t bytes(int64_t n) const { return n / block * blockBytes; }

  /// The stored bytes of [begin, end) if they exist as such, or null.
  virtual const std::byte *direct(int64_t begin, int64_t end) const {
    return nullptr;
  }

  /// Writes [begin, end) to `out`, which is aligned to the plain element size.
  virtual void read(int64_t begin, int64_t end, std::byte *out,
                    Scratch &scratch) const = 0;

  /// The number of elements that ranges should be multiples of to avoid work
  /// being done twice; a divisor of count().
  virtual int64_t granule() const { return block; }

  /// Whether a few long ranges are much cheaper than many short ones.
  virtual bool prefersLongRanges() const { return false; }

  /// direct(), or read() into scratch that lives until the caller's frame ends.
  const std::byte *fetch(int64_t begin, int64_t end, Scratch &scratch) const {
    if (const std::byte *data = direct(begin, end))
      return data;
    std::byte *buffer = scratch.take(bytes(end - begin));
    read(begin, end, buffer, scratch);
    return buffer;
  }

private:
  DType elementType;
  int64_t elements;
  int64_t block;
  int64_t blockBytes;
};

/// Bytes of sources that this thread has asked for since it last called this;
/// what is asked for twice counts twice.
int64_t takeSourceBytes();

/// Finds the data of a source node: exactly its size, at any alignment.
using SourceResolver = std::function<StatusOr<ByteSpan>(const WeightNode &)>;

/// Binds a checked program. Errors are the resolver's, and InvalidArgument for
/// an index of a gather that lies outside of its table.
StatusOr<std::unique_ptr<Evaluator>> bindProgram(const WeightNode &node,
                                                 const SourceResolver &resolve);

// One for each job, for bindProgram alone.
std::unique_ptr<Evaluator> makePack(const WeightNode &node,
                                    std::unique_ptr<Evaluator> input);
std::unique_ptr<Evaluator> makeTranspose(const WeightNode &node,
                                         std::unique_ptr<Evaluator> input);
std::unique_ptr<Evaluator> makeCast(const WeightNode &node,
                                    std::unique_ptr<Evaluator> input);
std::unique_ptr<Evaluator> makeShift(const WeightNode &node,
                                     std::unique_ptr<Evaluator> input);
std::unique_ptr<Evaluator> makeUnitRows(const WeightNode &node,
                                        std::unique_ptr<Evaluator> input);
std::unique_ptr<Evaluator> makeConstant(const WeightNode &node);
std::unique_ptr<Evaluator> makeBitcast(const WeightNode &node,
                                       std::unique_ptr<Evaluator> input);
std::unique_ptr<Evaluator>
makeBlockwise(const WeightNode &node,
              std::vector<std::unique_ptr<Evaluator>> inputs);
std::unique_ptr<Evaluator>
makeLowRank(const WeightNode &node,
            std::vector<std::unique_ptr<Evaluator>> inputs);
std::unique_ptr<Evaluator>
makeAdd(const WeightNode &node, std::vector<std::unique_ptr<Evaluator>> inputs);
std::unique_ptr<Evaluator> makeQuantise(const WeightNode &node,
                                        std::unique_ptr<Evaluator> input);
std::unique_ptr<Evaluator>
makeScaledBlocks(const WeightNode &node,
                 std::vector<std::unique_ptr<Evaluator>> inputs);
std::unique_ptr<Evaluator> makePackBlocks(const WeightNode &node,
                                          std::unique_ptr<Evaluator> input);
std::unique_ptr<Evaluator> makeUnpackBlocks(const WeightNode &node,
                                            std::unique_ptr<Evaluator> input);
std::unique_ptr<Evaluator> makeBlockScale(const WeightNode &node,
                                          std::unique_ptr<Evaluator> input);
std::unique_ptr<Evaluator> makeEncode(const WeightNode &node,
                                      std::unique_ptr<Evaluator> input);
/// Reads the whole index, or the whole table of codes: InvalidArgument for an
/// index outside of its table.
StatusOr<std::unique_ptr<Evaluator>>
makeGather(const WeightNode &node,
           std::vector<std::unique_ptr<Evaluator>> inputs);

} // namespace clade::rt

#endif // CLADE_RUNTIME_WEIGHTS_EVALUATOR_H

//===- RandomProgramTest.cpp - Random programs against the oracle ---------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Programs are grown operation by operation, each checked by the parser; the
// type that it gives decides what can come next.
//
//===----------------------------------------------------------------------===//

#include "test/Weights/Sources.h"

using namespace clade::rt;
using namespace clade::rt::test;

namespace {

class ProgramGrower {
public:
  explicit ProgramGrower(unsigned seed) { sources.random.seed(seed); }

  /// A program with a result that compiled weights can have.
  std::string grow(int operations) {
    DType dtype = pickType();
    text = sources.add(dtype, pickShape(dtype));
    node = *parseWeightProgram(text);
    for (int i = 0; i < operations; ++i)
      step();
    if (isBlockType(node.dtype))
      apply(R"({"op":"cast","dtype":"bf16")");
    return text;
  }

  Sources sources;

private:
  int64_t below(int64_t limit) {
    return static_cast<int64_t>(sources.random()) % limit;
  }
  DType pickType() {
    constexpr DType types[] = {DType::F32, DType::BF16, DType::F16,
                               DType::Q8_0};
    return types[below(4)];
  }
  std::vector<int64_t> pickShape(DType dtype) {
    std::vector<int64_t> shape;
    for (int64_t rank = 1 + below(3); rank > 0; --rank)
      shape.push_back(1 + below(9));
    if (dtype == DType::Q8_0)
      shape.back() = 32 * (1 + below(3));
    return shape;
  }

  /// Wraps the program in `operation`, if the rules allow it.
  void apply(const std::string &operation) {
    std::string next = operation + R"(,"input":)" + text + "}";
    auto parsed = parseWeightProgram(next);
    if (!parsed.ok())
      return;
    text = next;
    node = std::move(*parsed);
  }

  void step() {
    auto number = [&](int64_t limit) { return std::to_string(below(limit)); };
    switch (below(9)) {
    case 0:
      return apply(R"({"op":"cast","dtype":"f32")");
    case 1:
      return apply(R"({"op":"cast","dtype":"bf16")");
    case 2:
      return apply(R"({"op":"shift","value":0.)" + number(100));
    case 3:
      return apply(R"({"op":"transpose","perm":)" + shapeText(pickPerm()));
    case 4:
      return apply(R"({"op":"reshape","shape":)" + shapeText(pickReshape()));
    case 5:
      return applySlice();
    case 6:
      return applyConcat();
    case 7:
      return apply((below(2) ? R"({"op":"rope_permute","heads":)"
                             : R"({"op":"rope_unpermute","heads":)") +
                   number(4));
    default:
      return applyTwoAxes();
    }
  }

  std::vector<int64_t> pickPerm() {
    std::vector<int64_t> perm(node.shape.size());
    for (size_t i = 0; i < perm.size(); ++i)
      perm[i] = static_cast<int64_t>(i);
    std::shuffle(perm.begin(), perm.end(), sources.random);
    return perm;
  }

  /// The first axis folded into the second, or the last one split.
  std::vector<int64_t> pickReshape() {
    std::vector<int64_t> shape = node.shape;
    if (shape.size() > 1 && below(2)) {
      shape[1] *= shape[0];
      shape.erase(shape.begin());
      return shape;
    }
    int64_t factor = 1 + below(4);
    if (shape.size() < 5 && shape.back() % factor == 0) {
      shape.back() /= factor;
      shape.insert(shape.end() - 1, factor);
    }
    return shape;
  }

  void applySlice() {
    size_t axis =
        static_cast<size_t>(below(static_cast<int64_t>(node.shape.size())));
    int64_t unit = axis + 1 == node.shape.size() ? blockLength(node.dtype) : 1;
    int64_t size = node.shape[axis] / unit;
    int64_t begin = below(size), end = begin + 1 + below(size - begin);
    apply(R"({"op":"slice","axis":)" + std::to_string(axis) + R"(,"begin":)" +
          std::to_string(begin * unit) + R"(,"end":)" +
          std::to_string(end * unit));
  }

  void applyConcat() {
    if (node.shape.size() > 4)
      return;
    size_t axis =
        static_cast<size_t>(below(static_cast<int64_t>(node.shape.size())));
    std::vector<int64_t> shape = node.shape;
    shape[axis] = (1 + below(3)) * blockLength(node.dtype);
    std::string other = sources.add(node.dtype, shape);
    bool first = below(2);
    std::string next = R"({"op":"concat","axis":)" + std::to_string(axis) +
                       R"(,"inputs":[)" + (first ? other : text) + "," +
                       (first ? text : other) + "]}";
    auto parsed = parseWeightProgram(next);
    ASSERT_OK(parsed);
    text = next;
    node = std::move(*parsed);
  }

  void applyTwoAxes() {
    int64_t count = 1;
    for (int64_t dim : node.shape)
      count *= dim;
    apply(R"({"op":"reshape","shape":)" +
          shapeText(std::vector<int64_t>{count / node.shape.back(),
                                         node.shape.back()}));
    if (below(2))
      return apply(R"({"op":"unit_rows")");
    apply(R"({"op":"pack","rows":)" + std::to_string(1 + below(9)) +
          R"(,"inner":)" + std::to_string(1 + below(4)));
  }

  std::string text;
  WeightNode node;
};

TEST(RandomProgram, MatchesTheOracle) {
  for (unsigned seed = 0; seed < 1500; ++seed) {
    ProgramGrower grower(seed);
    std::string text = grower.grow(1 + static_cast<int>(seed % 8));
    SCOPED_TRACE(text);
    auto node = parseWeightProgram(text);
    ASSERT_OK(node);
    auto bound = bindProgram(*node, [&](const WeightNode &source) {
      return grower.sources(source);
    });
    ASSERT_OK(bound);
    const Evaluator &evaluator = **bound;
    auto expected = encode(evaluate(*node, grower.sources.decoded));

    // From pieces of one odd length.
    Scratch scratch;
    std::vector<std::byte> result(expected.size());
    int64_t piece = 1 + static_cast<int64_t>(seed % 53);
    for (int64_t begin = 0; begin < evaluator.count(); begin += piece) {
      int64_t end = std::min(evaluator.count(), begin + piece);
      evaluator.read(begin, end, result.data() + evaluator.bytes(begin),
                     scratch);
    }
    ASSERT_TRUE(result == expected);
    evaluator.read(0, evaluator.count(), result.data(), scratch);
    ASSERT_TRUE(result == expected);
    const std::byte *data = evaluator.direct(0, evaluator.count());
    ASSERT_TRUE(!data ||
                std::memcmp(data, expected.data(), expected.size()) == 0);
  }
}

} // namespace

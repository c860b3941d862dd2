//===- ControlTest.cpp - Calls, local memory and switches -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Corpus/Harness.h"

#include <algorithm>
#include <numeric>

using namespace corpus;

CORPUS_FILE(Control);

TEST_P(Control, SortLocal) {
  int n = 100;
  auto in = Random(1).integers(16 * n, -1000, 1000);
  Buffer<int> out(16 * n);
  forElements("sortLocal", n)(Buffer(in), out, n);
  for (int i = 0; i < n; ++i)
    std::sort(in.begin() + 16 * i, in.begin() + 16 * (i + 1));
  expectSame(out.read(), in);
}

TEST_P(Control, PermuteLocal) {
  int n = 200;
  std::vector<int> order(12);
  std::iota(order.begin(), order.end(), 0);
  std::reverse(order.begin() + 2, order.begin() + 9);
  std::swap(order[0], order[11]);
  auto in = Random(2).reals(12 * n, -1, 1);
  Buffer<float> out(n);
  forElements("permuteLocal", n)(Buffer(order), Buffer(in), out, n);
  std::vector<float> expected(n);
  for (int i = 0; i < n; ++i) {
    float stack[12];
    for (int k = 0; k < 12; ++k)
      stack[order[k]] = in[12 * i + k] + float(k);
    for (int k = 0; k < 12; ++k)
      expected[i] = std::fma(expected[i], 0.5f, stack[(k * 5 + i) % 12]);
  }
  expectSame(out.read(), expected);
}

TEST_P(Control, Recursion) {
  int n = 64;
  std::vector<unsigned> in(n), expected(n), numbers = {0, 1};
  for (int i = 0; i < n; ++i)
    in[i] = i * 5 % 11;
  while (numbers.size() < 12)
    numbers.push_back(numbers[numbers.size() - 1] +
                      numbers[numbers.size() - 2]);
  Buffer<unsigned> out(n);
  forElements("recursion", n)(Buffer(in), out, n);
  for (int i = 0; i < n; ++i)
    expected[i] = numbers[in[i]];
  expectSame(out.read(), expected);
}

TEST_P(Control, CallThroughTable) {
  int n = 150;
  Random random(3);
  auto which = random.integers(n, 0, 3), a = random.integers(n, -99, 99),
       b = random.integers(n, -99, 99);
  Buffer<int> out(n);
  forElements("callThroughTable", n)(Buffer(which), Buffer(a), Buffer(b), out,
                                     n);
  std::vector<int> expected(n);
  for (int i = 0; i < n; ++i) {
    int results[] = {a[i] + b[i], a[i] - b[i], a[i] * b[i],
                     std::max(a[i], b[i])};
    expected[i] = results[which[i]];
  }
  expectSame(out.read(), expected);
}

TEST_P(Control, VirtualCalls) {
  int n = 100;
  auto in = Random(4).reals(n, 0, 10);
  Buffer<float> out(n);
  forElements("virtualCalls", n)(Buffer(in), out, n);
  std::vector<float> expected(n);
  for (int i = 0; i < n; ++i)
    expected[i] = i % 3 ? in[i] * in[i] + 4 * in[i] : in[i] * 3 + 0;
  expectSame(out.read(), expected);
}

TEST_P(Control, PassStructures) {
  struct Particle {
    double position[3];
    float mass;
    short charge;
    char kind;
    char padding;
  };
  int n = 90;
  Random random(5);
  std::vector<Particle> in(n);
  for (Particle &p : in) {
    for (double &x : p.position)
      x = random.uniform();
    p.mass = float(random.uniform());
    p.charge = short(random.integer(-100, 100));
    p.kind = char(random.integer(1, 5));
    p.padding = 0;
  }
  Buffer<Particle> out(n);
  forElements("passStructures", n)(Buffer(in), out, 0.25f, n);
  std::vector<Particle> got = out.read();
  for (int i = 0; i < n; ++i) {
    for (int k = 0; k < 3; ++k)
      EXPECT_EQ(got[i].position[k],
                in[i].position[k] + double(0.25f * in[i].mass));
    EXPECT_EQ(got[i].mass, in[i].mass);
    EXPECT_EQ(got[i].charge, short(in[i].charge * in[i].kind));
    EXPECT_EQ(got[i].kind, in[i].kind);
  }
}

TEST_P(Control, Interpret) {
  int n = 128;
  std::vector<uint8_t> code = {0, 2, 1, 6, 3, 5, 2, 2, 1,
                               7, 3, 4, 8, 3, 1, 0, 9};
  auto in = Random(6).integers(n, -500, 500);
  Buffer<int> out(n);
  forElements("interpret", n)(Buffer(code), int(code.size()), Buffer(in), out,
                              n);
  std::vector<int> expected(n);
  for (int i = 0; i < n; ++i) {
    std::vector<int> stack = {in[i]};
    for (size_t at = i % 2; at < code.size() && code[at] != 9; ++at) {
      int value = stack.back();
      stack.pop_back();
      switch (code[at]) {
      case 0:
        stack.push_back(value + 1);
        break;
      case 1:
        stack.push_back(value * 3);
        break;
      case 2:
        stack.insert(stack.end(), {value, value});
        break;
      case 3:
        stack.back() -= value;
        break;
      case 4:
        stack.push_back(-value);
        break;
      case 5:
        stack.push_back(value >> 1);
        break;
      case 6:
        stack.push_back(value ^ 0x55);
        break;
      case 7:
        stack.push_back(value % 97);
        break;
      case 8:
        stack.push_back(value > 0 ? value : 1 - value);
        break;
      }
    }
    expected[i] = stack.back();
  }
  expectSame(out.read(), expected);
}

TEST_P(Control, EarlyExit) {
  int n = 256;
  auto in = Random(7).integers(n, 0, 99);
  Buffer<int> out(n, -1);
  kernel("earlyExit", 2, 128)(Buffer(in), out, n);
  std::vector<int> expected(n, -1);
  for (int block = 0; block < n; block += 128) {
    int seen = 0;
    for (int i = block; i < block + 96; ++i)
      seen += in[i] > 50;
    for (int i = block; i < block + 96; ++i)
      if (in[i] >= 20)
        expected[i] = seen;
  }
  expectSame(out.read(), expected);
}

static int ackermann(int m, int n) {
  if (m == 0)
    return n + 1;
  return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

TEST_P(Control, NestedRecursion) {
  int n = 24;
  Buffer<int> out(n);
  kernel("nestedRecursion", 1, n)(out);
  std::vector<int> expected(n);
  for (int i = 0; i < n; ++i)
    expected[i] = ackermann(i % 3, i / 3);
  expectSame(out.read(), expected);
}

TEST_P(Control, Clocks) {
  unsigned n = 64;
  Buffer<unsigned> out(2 * n);
  kernel("clocks", 1, n)(out);
  std::vector<unsigned> expected;
  for (unsigned i = 0; i < n; ++i)
    expected.insert(expected.end(), {1, 45 * i});
  expectSame(out.read(), expected);
}

TEST_P(Control, SpecialRegisters) {
  unsigned blocks = 3, threads = 96;
  Buffer<unsigned> out(6 * blocks * threads);
  kernel("specialRegisters", blocks, threads)(out);
  std::vector<unsigned> expected;
  for (unsigned i = 0; i < blocks * threads; ++i) {
    unsigned lane = i % 32;
    expected.insert(expected.end(), {lane, i % threads / 32, (1u << lane) - 1,
                                     ~0u << lane, threads, blocks});
  }
  expectSame(out.read(), expected);
}

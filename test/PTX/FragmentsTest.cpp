//===- FragmentsTest.cpp - Fragments against the tables of the ISA --------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Fragments.h"

#include "FragmentTables.h"

#include <gtest/gtest.h>

#include <functional>

using namespace clade::ptx;

namespace {

/// Compares every element of every thread, and that each element of the matrix
/// is held exactly once.
void expectLayout(const Fragment &fragment, int perThread,
                  const std::function<isa::Place(int, int)> &expected,
                  const std::string &name) {
  ASSERT_EQ(fragment.perThread, unsigned(perThread)) << name;
  std::vector<int> held(fragment.rows * fragment.columns);
  for (int thread = 0; thread < int(fragment.threads); ++thread)
    for (int i = 0; i < perThread; ++i) {
      isa::Place place = expected(thread, i);
      unsigned found = fragment.at(thread, i);
      EXPECT_EQ(int(found / fragment.columns), place.row)
          << name << " thread " << thread << " element " << i;
      EXPECT_EQ(int(found % fragment.columns), place.column)
          << name << " thread " << thread << " element " << i;
      ++held[found];
    }
  for (int count : held)
    EXPECT_EQ(count, 1) << name;
}

TEST(Fragments, AreTheIsas) {
  for (const isa::Layout &row : isa::layouts()) {
    MatrixShape shape = {unsigned(row.m), unsigned(row.n), unsigned(row.k)};
    unsigned accumulatorBits = row.bits == 64 ? 64 : 32;
    std::string name = row.name;
    expectLayout(mmaFragment(MatrixRole::A, shape, row.bits), row.elementsA,
                 row.a, name + " A");
    expectLayout(mmaFragment(MatrixRole::B, shape, row.bits), row.elementsB,
                 row.b, name + " B");
    expectLayout(mmaFragment(MatrixRole::Accumulator, shape, accumulatorBits),
                 row.elementsC, row.c, name + " C");
    if (row.bits < 64)
      expectLayout(mmaFragment(MatrixRole::Accumulator, shape, 16),
                   row.elementsC, row.c, name + " C of 16 bits");
  }
}

TEST(Fragments, QuadPairsAreTheIsas) {
  for (bool isRow : {true, false}) {
    expectLayout(
        quadPairFragment(MatrixRole::A, isRow, 16), 4,
        [&](int lane, int i) {
          isa::Place place = isa::quadA(isRow, lane, i);
          return isa::Place{isa::quadOf(lane) * 8 + place.row, place.column};
        },
        "A");
    expectLayout(
        quadPairFragment(MatrixRole::B, isRow, 16), 4,
        [&](int lane, int i) {
          isa::Place place = isa::quadB(isRow, lane, i);
          return isa::Place{isa::quadOf(lane) * 4 + place.row, place.column};
        },
        "B");
  }
  for (unsigned bits : {16u, 32u})
    expectLayout(
        quadPairFragment(MatrixRole::Accumulator, true, bits), 8,
        [&](int lane, int i) {
          isa::Place place =
              bits == 16 ? isa::quadC16(lane, i) : isa::quadC32(lane, i);
          return isa::Place{isa::quadOf(lane) * 8 + place.row, place.column};
        },
        "C");
}

TEST(Fragments, WarpgroupsAreTheIsas) {
  for (unsigned n = 8; n <= 256; n += 8)
    expectLayout(
        wgmmaFragment(MatrixRole::Accumulator, {64, n, 16}, 32), int(n / 2),
        [](int thread, int i) { return isa::warpgroupD(thread, i); },
        "D n" + std::to_string(n));
  struct Case {
    unsigned k, bits;
    const char *like;
  };
  for (Case c : {Case{16, 16, "m16n8k16.f16"}, Case{8, 32, "m16n8k8.tf32"},
                 Case{32, 8, "m16n8k32.s8"}}) {
    const isa::Layout &like = isa::layout(c.like);
    expectLayout(
        wgmmaFragment(MatrixRole::A, {64, 8, c.k}, c.bits), like.elementsA,
        [&](int thread, int i) { return isa::warpgroupA(like.a, thread, i); },
        like.name);
  }
}

TEST(Fragments, RegistersCount) {
  EXPECT_EQ(mmaFragment(MatrixRole::A, {16, 8, 16}, 16).registers(), 4u);
  EXPECT_EQ(mmaFragment(MatrixRole::B, {16, 8, 16}, 16).registers(), 2u);
  EXPECT_EQ(mmaFragment(MatrixRole::A, {16, 8, 16}, 64).registers(), 8u);
  EXPECT_EQ(
      wgmmaFragment(MatrixRole::Accumulator, {64, 256, 16}, 32).registers(),
      128u);
  EXPECT_EQ(
      wgmmaFragment(MatrixRole::Accumulator, {64, 256, 16}, 16).registers(),
      64u);
}

/// PTX ISA 9.7.14.4.1: registers of a fragment by type and shape.
TEST(Fragments, WmmaHasTheIsasRegisters) {
  MatrixShape square = {16, 16, 16}, wide = {8, 32, 16}, tall = {32, 8, 16};
  auto count = [](MatrixRole role, MatrixShape shape, Type type) {
    return wmmaFragment(role, shape, type).registers();
  };
  for (MatrixShape shape : {square, wide, tall}) {
    EXPECT_EQ(count(MatrixRole::A, shape, Type::F16), 8u);
    EXPECT_EQ(count(MatrixRole::B, shape, Type::F16), 8u);
    EXPECT_EQ(count(MatrixRole::Accumulator, shape, Type::F16), 4u);
    EXPECT_EQ(count(MatrixRole::Accumulator, shape, Type::F32), 8u);
  }
  EXPECT_EQ(count(MatrixRole::A, square, Type::S8), 2u);
  EXPECT_EQ(count(MatrixRole::A, wide, Type::S8), 1u);
  EXPECT_EQ(count(MatrixRole::B, wide, Type::S8), 4u);
  EXPECT_EQ(count(MatrixRole::A, tall, Type::S8), 4u);
  EXPECT_EQ(count(MatrixRole::A, square, Type::BF16), 4u);
  EXPECT_EQ(count(MatrixRole::A, wide, Type::BF16), 2u);
  EXPECT_EQ(count(MatrixRole::B, wide, Type::BF16), 8u);
  EXPECT_EQ(count(MatrixRole::A, {16, 16, 8}, Type::TF32), 4u);
  EXPECT_EQ(count(MatrixRole::A, {8, 8, 4}, Type::F64), 1u);
  EXPECT_EQ(count(MatrixRole::Accumulator, {8, 8, 4}, Type::F64), 2u);
  EXPECT_EQ(count(MatrixRole::A, {8, 8, 32}, Type::S4), 1u);
  EXPECT_EQ(count(MatrixRole::B, {8, 8, 128}, Type::B1), 1u);
}

TEST(Fragments, WmmaHoldsEveryElement) {
  for (MatrixRole role : {MatrixRole::A, MatrixRole::B}) {
    Fragment fragment = wmmaFragment(role, {32, 8, 16}, Type::F16);
    std::vector<int> held(fragment.rows * fragment.columns);
    for (uint16_t position : fragment.positions)
      ++held[position];
    for (int count : held)
      EXPECT_EQ(count, role == MatrixRole::A ? 1 : 4);
  }
}

} // namespace

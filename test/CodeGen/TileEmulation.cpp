//===- TileEmulation.cpp - AMX on machines that have none -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/CodeGen/TileEmulation.h"

#include "runtime/Engine/CpuFeatures.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/TargetParser/Host.h"
#include <array>
#include <cfloat>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace mlir;

namespace clade::cpu::test {

//===----------------------------------------------------------------------===//
// Instructions
//===----------------------------------------------------------------------===//

namespace {
constexpr int64_t numTiles = 8, maxRows = 16, maxBytes = 64;

struct Tile {
  int64_t rows = 0, bytes = 0; ///< Of the configuration; bytes of a row.
  std::array<std::array<uint8_t, maxBytes>, maxRows> data = {};

  template <typename T> T at(int64_t row, int64_t index) const {
    T value;
    std::memcpy(&value, &data[row][index * sizeof(T)], sizeof(T));
    return value;
  }
  template <typename T> void put(int64_t row, int64_t index, T value) {
    std::memcpy(&data[row][index * sizeof(T)], &value, sizeof(T));
  }
};
struct TileState {
  bool isConfigured = false;
  std::array<Tile, numTiles> all;
};
thread_local TileState state;
thread_local int64_t added = 0;
} // namespace

[[noreturn]] static void refuse(const char *what) {
  std::fprintf(stderr, "tile instruction refused: %s\n", what);
  std::abort();
}

static Tile &tileAt(int64_t number) {
  if (!state.isConfigured)
    refuse("tiles are not configured");
  if (number < 0 || number >= numTiles || state.all[number].rows == 0)
    refuse("the tile has no configuration");
  return state.all[number];
}

void tiles::loadConfig(const void *config) {
  const auto *bytes = static_cast<const uint8_t *>(config);
  state = {};
  if (bytes[0] == 0)
    return;
  if (bytes[0] != 1)
    refuse("expected palette 1");
  for (int64_t i = 1; i < 16; ++i)
    if (bytes[i] != 0)
      refuse("expected zeros before the rows");
  for (int64_t tile = 0; tile < 16; ++tile) {
    int64_t row = bytes[16 + 2 * tile] | bytes[17 + 2 * tile] << 8,
            rows = bytes[48 + tile];
    if (tile >= numTiles ? row != 0 || rows != 0
                         : row > maxBytes || rows > maxRows)
      refuse("a tile is too large");
    if ((row == 0) != (rows == 0))
      refuse("a tile has rows or bytes, and not both");
    if (tile < numTiles)
      state.all[tile].rows = rows, state.all[tile].bytes = row;
  }
  state.isConfigured = true;
}

void tiles::release() { state = {}; }

bool tiles::areReleased() { return !state.isConfigured; }

int64_t tiles::multiplyAdds() { return added; }

void tiles::zero(int64_t tile) { tileAt(tile).data = {}; }

void tiles::load(int64_t tile, const void *memory, int64_t stride) {
  Tile &to = tileAt(tile);
  to.data = {};
  for (int64_t row = 0; row < to.rows; ++row)
    std::memcpy(to.data[row].data(),
                static_cast<const char *>(memory) + row * stride, to.bytes);
}

void tiles::store(int64_t tile, void *memory, int64_t stride) {
  const Tile &from = tileAt(tile);
  for (int64_t row = 0; row < from.rows; ++row)
    std::memcpy(static_cast<char *>(memory) + row * stride,
                from.data[row].data(), from.bytes);
}

/// The tiles of a multiplication, which must fit each other.
static std::array<Tile *, 3> factors(int64_t sum, int64_t a, int64_t b) {
  if (sum == a || sum == b || a == b)
    refuse("expected three tiles");
  std::array<Tile *, 3> all = {&tileAt(sum), &tileAt(a), &tileAt(b)};
  for (const Tile *tile : all)
    if (tile->bytes % 4 != 0)
      refuse("expected rows of whole words");
  if (all[0]->rows != all[1]->rows || all[0]->bytes != all[2]->bytes ||
      all[1]->bytes / 4 != all[2]->rows)
    refuse("the shapes of tiles do not fit");
  return all;
}

/// Denormal numbers count as zero.
static float flush(float value) {
  return std::abs(value) < FLT_MIN ? std::copysign(0.0f, value) : value;
}

/// a * b + c, rounded to nearest even, with denormals flushed before and after.
/// What would be denormal if exponents had no end is flushed, also where it is
/// rounded up to the least normal number otherwise.
static float multiplyAdd(float a, float b, float c) {
  a = flush(a), b = flush(b), c = flush(c);
  float result = std::fma(a, b, c);
  if (std::abs(result) == FLT_MIN) {
    constexpr float up = 0x1p64f;
    if (std::abs(std::fma(a * up, b, c * up)) < FLT_MIN * up)
      return std::copysign(0.0f, result);
  }
  return flush(result);
}

static float widen(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

void tiles::dotBF16(int64_t sum, int64_t a, int64_t b) {
  auto [c, x, y] = factors(sum, a, b);
  int64_t pairs = x->bytes / 4, columns = c->bytes / 4;
  added += c->rows * columns * pairs * 2;
  for (int64_t row = 0; row < c->rows; ++row)
    for (int64_t column = 0; column < columns; ++column) {
      float even = 0, odd = 0;
      for (int64_t k = 0; k < pairs; ++k) {
        even = multiplyAdd(widen(x->at<uint16_t>(row, 2 * k)),
                           widen(y->at<uint16_t>(k, 2 * column)), even);
        odd = multiplyAdd(widen(x->at<uint16_t>(row, 2 * k + 1)),
                          widen(y->at<uint16_t>(k, 2 * column + 1)), odd);
      }
      float both = multiplyAdd(even, 1, odd);
      c->put(row, column, multiplyAdd(c->at<float>(row, column), 1, both));
    }
}

void tiles::dotSU8(int64_t sum, int64_t a, int64_t b) {
  auto [c, x, y] = factors(sum, a, b);
  added += c->rows * (c->bytes / 4) * x->bytes;
  for (int64_t row = 0; row < c->rows; ++row)
    for (int64_t column = 0; column < c->bytes / 4; ++column) {
      uint32_t total = c->at<uint32_t>(row, column);
      for (int64_t k = 0; k < x->bytes / 4; ++k)
        for (int64_t i = 0; i < 4; ++i)
          total +=
              static_cast<uint32_t>(int32_t(x->at<int8_t>(row, 4 * k + i)) *
                                    int32_t(y->at<uint8_t>(k, 4 * column + i)));
      c->put(row, column, total);
    }
}

//===----------------------------------------------------------------------===//
// Calls in place of intrinsics
//===----------------------------------------------------------------------===//

/// The function that stands for an intrinsic; zero for any other.
static uintptr_t addressOf(StringRef intrinsic) {
  auto of = [](auto *function) {
    return reinterpret_cast<uintptr_t>(function);
  };
  return llvm::StringSwitch<uintptr_t>(intrinsic)
      .Case("llvm.x86.ldtilecfg", of(tiles::loadConfig))
      .Case("llvm.x86.tilerelease", of(tiles::release))
      .Case("llvm.x86.tilezero", of(tiles::zero))
      .Cases({"llvm.x86.tileloadd64", "llvm.x86.tileloaddt164"},
             of(tiles::load))
      .Case("llvm.x86.tilestored64", of(tiles::store))
      .Case("llvm.x86.tdpbf16ps", of(tiles::dotBF16))
      .Case("llvm.x86.tdpbsud", of(tiles::dotSU8))
      .Default(0);
}

int64_t emulateTiles(ModuleOp module) {
  SmallVector<LLVM::CallIntrinsicOp> found;
  module.walk([&](LLVM::CallIntrinsicOp op) {
    if (addressOf(op.getIntrin()))
      found.push_back(op);
  });
  for (LLVM::CallIntrinsicOp op : found) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    Type i64 = builder.getI64Type();
    auto constant = [&](int64_t value) -> Value {
      return LLVM::ConstantOp::create(builder, loc, i64, value);
    };
    Value callee = LLVM::IntToPtrOp::create(
        builder, loc, LLVM::LLVMPointerType::get(builder.getContext()),
        constant(static_cast<int64_t>(addressOf(op.getIntrin()))));
    SmallVector<Value> arguments{callee};
    SmallVector<Type> types;
    for (Value argument : op.getArgs()) {
      APInt number;
      if (matchPattern(argument, m_ConstantInt(&number)))
        argument = constant(number.getSExtValue());
      arguments.push_back(argument);
      types.push_back(argument.getType());
    }
    auto type = LLVM::LLVMFunctionType::get(
        LLVM::LLVMVoidType::get(builder.getContext()), types);
    LLVM::CallOp::create(builder, loc, type, arguments);
    op.erase();
  }
  return static_cast<int64_t>(found.size());
}

bool areTilesEmulated() {
  static const bool has = llvm::sys::getHostCPUFeatures().lookup("amx-bf16");
  return !has;
}

std::unique_ptr<LoadedCode> loadKernels(ModuleOp module, const Target &target,
                                        ArrayRef<std::string> names) {
  if (areTilesEmulated())
    emulateTiles(module);
  else if (rt::Status status =
               target.hasTiles ? rt::requestRegisters() : rt::Status();
           !status.ok())
    return emitError(module.getLoc()) << status.message(), nullptr;
  return LoadedCode::create(module, {target.cpu, target.features, 3}, names);
}

} // namespace clade::cpu::test

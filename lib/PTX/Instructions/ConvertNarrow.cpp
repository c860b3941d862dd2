//===- ConvertNarrow.cpp - cvt to and from narrow formats -----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The forms of cvt with packed results or sources (PTX ISA 9.7.9.21): values
// are packed with the first one in the highest bits.
//
//===----------------------------------------------------------------------===//

#include "lib/PTX/Decoder.h"
#include "lib/PTX/Execution.h"
#include "lib/PTX/NarrowFloat.h"

using namespace clade::ptx;

namespace {

/// A packed type.
struct Packed {
  std::string_view name;
  const NarrowFormat *format; ///< Null for .ue8m0.
  unsigned count;
  unsigned fieldBits;
  Type container; ///< Of the register.
};

constexpr Packed packedTypes[] = {
    {"f16x2", &formatF16, 2, 16, Type::B32},
    {"bf16x2", &formatBF16, 2, 16, Type::B32},
    {"f16", &formatF16, 1, 16, Type::B16},
    {"bf16", &formatBF16, 1, 16, Type::B16},
    {"tf32", &formatTF32, 1, 32, Type::B32},
    {"e4m3x2", &formatE4M3, 2, 8, Type::B16},
    {"e5m2x2", &formatE5M2, 2, 8, Type::B16},
    {"e2m3x2", &formatE2M3, 2, 8, Type::B16},
    {"e3m2x2", &formatE3M2, 2, 8, Type::B16},
    {"e2m1x2", &formatE2M1, 2, 4, Type::B8},
    {"ue8m0x2", nullptr, 2, 8, Type::B16},
    {"e4m3x4", &formatE4M3, 4, 8, Type::B32},
    {"e5m2x4", &formatE5M2, 4, 8, Type::B32},
    {"e2m3x4", &formatE2M3, 4, 8, Type::B32},
    {"e3m2x4", &formatE3M2, 4, 8, Type::B32},
    {"e2m1x4", &formatE2M1, 4, 4, Type::B16},
};

struct Conversion {
  const Packed *to = nullptr;
  const Packed *from = nullptr; ///< Null: .f32, one register a value.
  NarrowOptions options;
  bool roundsUp = false;
};

} // namespace

static const Packed *packedNamed(std::string_view name) {
  for (const Packed &packed : packedTypes)
    if (packed.name == name)
      return &packed;
  return nullptr;
}

/// The random bits of value `index` (0 is the first, in the highest bits).
static uint32_t randomBitsOf(const Packed &to, uint32_t random, unsigned index,
                             unsigned &count) {
  if (to.count == 2) { // Halves; f16 uses 13 bits of each.
    count = to.format == &formatF16 ? 13 : 16;
    return (index == 0 ? random >> 16 : random) & ((1u << count) - 1);
  }
  uint32_t half = index < 2 ? random >> 16 : random & 0xFFFF;
  count = 16;
  if (to.fieldBits == 4) {
    // Two values share a half: its upper byte is the first one's.
    count = 8;
    return index % 2 == 0 ? half >> 8 : half & 0xFF;
  }
  return half;
}

/// One value in the destination's format, without its place.
static uint32_t convertOne(const Conversion &c, float value, uint32_t random,
                           unsigned index) {
  const Packed &to = *c.to;
  if (!to.format)
    return encodeUE8M0(value, c.roundsUp, c.options.saturates);
  NarrowOptions options = c.options;
  if (options.rounding == NarrowRounding::Stochastic)
    options.random = randomBitsOf(to, random, index, options.randomBits);
  uint32_t code = encodeNarrow(*to.format, value, options);
  return to.format == &formatTF32 ? code << 13 : code;
}

static void convertPacked(Warp &warp, const Op &op, LaneMask exec) {
  const Conversion &c = *static_cast<const Conversion *>(op.record);
  const Packed &to = *c.to;
  uint64_t source[warpSize] = {}, random[warpSize] = {}, results[warpSize] = {};
  unsigned registers = c.from ? 1 : to.count;
  if (c.options.rounding == NarrowRounding::Stochastic)
    warp.readWide(op.list[1 + registers], 4, random);
  if (c.from)
    warp.readWide(op.list[1], op.widths[1], source);
  for (unsigned i = 0; i < to.count; ++i) {
    const auto *floats = c.from ? nullptr : warp.row<float>(op.list[1 + i]);
    for (unsigned lane = 0; lane < warpSize; ++lane) {
      float value;
      if (floats) {
        value = floats[lane];
      } else {
        unsigned shift = (to.count - 1 - i) * c.from->fieldBits;
        uint32_t field =
            uint32_t(source[lane] >> shift) & ((1u << c.from->fieldBits) - 1);
        value = c.from->format ? decodeNarrow(*c.from->format, field)
                               : decodeUE8M0(uint8_t(field));
      }
      uint64_t code = convertOne(c, value, uint32_t(random[lane]), i);
      results[lane] |= code << ((to.count - 1 - i) * to.fieldBits);
    }
  }
  if (!op.s[0].isSink())
    warp.writeWide(op.s[0], op.widths[0], results, exec);
}

/// Whether the pair is one of the packed forms; the others are Convert.cpp's.
static bool isPackedForm(const Packed *to, const Packed *from,
                         std::string_view fromName, bool clamps) {
  bool isNarrow = to && to->count * to->fieldBits <= 16 && to->count > 1;
  if (!to)
    return false;
  if (fromName == "f32")
    return to->count > 1 || to->format == &formatTF32 || clamps;
  if (!from || from->count < 2 || from->count != to->count)
    return false;
  bool isFromWide = from->fieldBits == 16;
  return isNarrow ? isFromWide : to->fieldBits == 16 && !isFromWide;
}

static void decodeConversion(Decoder &d) {
  const auto &modifiers = d.source.modifiers;
  if (modifiers.size() < 2)
    return d.pass();
  std::string_view toName = modifiers[modifiers.size() - 2];
  std::string_view fromName = modifiers.back();
  Conversion c;
  c.to = packedNamed(toName);
  c.from = packedNamed(fromName);
  bool clamps = false;
  for (std::string_view modifier : modifiers)
    clamps |= modifier == "relu" || modifier == "satfinite";
  if (!isPackedForm(c.to, c.from, fromName, clamps))
    return d.pass();
  d.takeAnywhere(toName);
  d.takeAnywhere(fromName);
  auto rounding = d.takeOneOf({"rn", "rna", "rz", "rs", "rp"});
  c.options.saturates = d.takeAnywhere("satfinite");
  c.options.relu = d.takeAnywhere("relu");
  d.finishModifiers();
  if (!rounding)
    return d.fail("expected a rounding modifier");
  static const NarrowRounding roundings[] = {
      NarrowRounding::NearestEven, NarrowRounding::NearestAway,
      NarrowRounding::TowardZero, NarrowRounding::Stochastic,
      NarrowRounding::TowardZero};
  c.options.rounding = roundings[*rounding];
  c.roundsUp = *rounding == 4;
  bool isScale = !c.to->format;
  if (c.roundsUp != (isScale && *rounding == 4) ||
      (isScale && *rounding != 2 && *rounding != 4) ||
      (*rounding == 1 && c.to->format != &formatTF32))
    return d.fail("this rounding is not one of the form's");
  bool isRandom = c.options.rounding == NarrowRounding::Stochastic;
  bool isFour = c.to->count == 4;
  unsigned expected = 1 + (c.from || isFour ? 1 : c.to->count) + isRandom;
  if (isFour && !isRandom)
    return d.fail("four values are converted with .rs only");
  if (!d.expectOperands(expected))
    return;
  if (isFour && d.operand(1).elements.size() != 4)
    return d.fail("expected a vector of four values");
  d.result(0, c.to->container, /*orWider=*/true);
  for (unsigned i = 1; i < expected - isRandom; ++i)
    d.value(i, c.from ? c.from->container : Type::F32, /*orWider=*/true);
  if (isRandom)
    d.value(expected - 1, Type::B32);
  d.op.record = d.keep(c);
  d.use(convertPacked, Class::Conversion);
}

void clade::ptx::addConvertNarrow(Registry &registry) {
  registry.add("cvt", decodeConversion);
}

//===- Image.cpp - What a program gives as a module's code ----------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A fat binary is a header of 16 bytes (magic, version, size of the header,
// size of the rest) and entries: a header of its own, with kind, sizes,
// architecture and flags, and a payload that may be compressed.
//
//===----------------------------------------------------------------------===//

#include "lib/PTXDriver/Image.h"

#include <cstring>
#include <optional>
#ifdef CLADE_HAVE_ZSTD
#include <zstd.h>
#endif

using namespace clade;
using namespace clade::vcuda;

namespace {
constexpr uint32_t wrapperMagic = 0x466243b1;
constexpr uint32_t fatMagic = 0xba55ed50;
constexpr uint32_t elfMagic = 0x464c457f;

enum EntryKind : uint16_t { PtxEntry = 1, ElfEntry = 2 };
enum EntryFlags : uint64_t {
  Lz4Flag = 0x2000,
  ZstdFlag = 0x8000,
  SpecificFlag = 0x100000,
};

struct Wrapper {
  uint32_t magic, version;
  const void *data;
  const void *unused;
};

struct Header {
  uint32_t magic;
  uint16_t version, headerBytes;
  uint64_t bytes;
};

struct Entry {
  uint16_t kind, version;
  uint32_t headerBytes;
  uint64_t payloadBytes;
  uint32_t compressedBytes, optionsOffset;
  uint16_t minor, major;
  uint32_t architecture;
  uint32_t nameOffset, nameBytes;
  uint64_t flags;
  uint64_t reserved;
  uint64_t plainBytes;
};
static_assert(sizeof(Entry) == 64);

/// Text larger than this is not believed.
constexpr uint64_t maxText = uint64_t(1) << 30;
} // namespace

/// The block format of LZ4: a token with the lengths of a literal and of a
/// match, the literal, and the distance of the match.
static std::optional<std::string> unpackLz4(const uint8_t *in, uint64_t size,
                                            uint64_t plain) {
  std::string out;
  out.reserve(plain);
  const uint8_t *end = in + size;
  auto length = [&](uint64_t first) -> std::optional<uint64_t> {
    if (first != 15)
      return first;
    for (uint8_t more = 255; more == 255; first += more) {
      if (in == end)
        return std::nullopt;
      more = *in++;
    }
    return first;
  };
  while (in < end) {
    uint8_t token = *in++;
    std::optional<uint64_t> literal = length(token >> 4);
    if (!literal || *literal > uint64_t(end - in))
      return std::nullopt;
    out.append(reinterpret_cast<const char *>(in), *literal);
    in += *literal;
    if (in == end)
      break;
    if (end - in < 2)
      return std::nullopt;
    size_t distance = in[0] | in[1] << 8;
    in += 2;
    std::optional<uint64_t> match = length(token & 15);
    if (!match || distance == 0 || distance > out.size() ||
        out.size() + *match > maxText)
      return std::nullopt;
    for (uint64_t i = 0; i < *match + 4; ++i)
      out.push_back(out[out.size() - distance]);
  }
  return out.size() == plain ? std::optional(std::move(out)) : std::nullopt;
}

static ptx::Result<std::string> unpack(const Entry &entry,
                                       const uint8_t *payload) {
  if (entry.plainBytes > maxText)
    return ptx::Error{"the fat binary's PTX has an impossible length"};
  if (entry.flags & Lz4Flag) {
    if (auto text = unpackLz4(payload, entry.compressedBytes, entry.plainBytes))
      return std::move(*text);
    return ptx::Error{"the fat binary's PTX (LZ4) is damaged"};
  }
  if (!(entry.flags & ZstdFlag))
    return std::string(reinterpret_cast<const char *>(payload),
                       entry.payloadBytes);
#ifdef CLADE_HAVE_ZSTD
  std::string text(entry.plainBytes, 0);
  size_t size =
      ZSTD_decompress(text.data(), text.size(), payload, entry.compressedBytes);
  if (ZSTD_isError(size) || size != text.size())
    return ptx::Error{"the fat binary's PTX (Zstandard) is damaged"};
  return text;
#else
  return ptx::Error{"the fat binary's PTX is compressed by Zstandard, and this "
                    "driver was built without it; compile with nvcc "
                    "--compress-mode=none"};
#endif
}

static ptx::Result<std::string> extractFat(const uint8_t *fat, unsigned limit,
                                           bool isSpecific) {
  Header header;
  std::memcpy(&header, fat, sizeof(header));
  const uint8_t *at = fat + header.headerBytes, *end = at + header.bytes;
  const uint8_t *bestPayload = nullptr;
  Entry best = {};
  bool hasElf = false;
  unsigned tooNew = 0;
  while (uint64_t(end - at) >= sizeof(Entry)) {
    Entry entry;
    std::memcpy(&entry, at, sizeof(entry));
    if (entry.headerBytes < sizeof(Entry) ||
        entry.headerBytes > uint64_t(end - at) ||
        entry.payloadBytes > uint64_t(end - at) - entry.headerBytes ||
        ((entry.flags & (Lz4Flag | ZstdFlag)) &&
         entry.compressedBytes > entry.payloadBytes))
      return ptx::Error{"the fat binary is damaged: an entry passes its end"};
    const uint8_t *payload = at + entry.headerBytes;
    at = payload + entry.payloadBytes;
    hasElf |= entry.kind == ElfEntry;
    if (entry.kind != PtxEntry)
      continue;
    bool fits = entry.flags & SpecificFlag
                    ? isSpecific && entry.architecture == limit
                    : entry.architecture <= limit;
    if (!fits) {
      tooNew = entry.architecture;
      continue;
    }
    if (!bestPayload || entry.architecture > best.architecture ||
        (entry.architecture == best.architecture &&
         (entry.flags & SpecificFlag))) {
      best = entry;
      bestPayload = payload;
    }
  }
  if (bestPayload) {
    ptx::Result<std::string> text = unpack(best, bestPayload);
    if (text) // Padding follows the text.
      text->resize(std::strlen(text->c_str()));
    return text;
  }
  if (tooNew)
    return ptx::Error{"the fat binary has PTX for sm_" +
                      std::to_string(tooNew) +
                      ", but the device cannot run that"};
  return ptx::Error{
      hasElf
          ? "the fat binary has machine code (cubin) and no PTX; the virtual "
            "driver executes PTX only: compile with nvcc -gencode "
            "arch=compute_NN,code=compute_NN"
          : "the fat binary is empty"};
}

ptx::Result<std::string> vcuda::extractPtx(const void *image, unsigned limit,
                                           bool isSpecific) {
  uint32_t magic = 0;
  const char *text = static_cast<const char *>(image);
  // A text may be shorter than a magic number.
  for (unsigned i = 0; i < 4 && (i == 0 || text[i - 1]); ++i)
    magic |= uint32_t(uint8_t(text[i])) << (8 * i);
  if (magic == wrapperMagic) {
    Wrapper wrapper;
    std::memcpy(&wrapper, image, sizeof(wrapper));
    if (!wrapper.data)
      return ptx::Error{"the wrapper of a fat binary is empty"};
    image = wrapper.data;
    std::memcpy(&magic, image, sizeof(magic));
  }
  if (magic == fatMagic)
    return extractFat(static_cast<const uint8_t *>(image), limit, isSpecific);
  if (magic == elfMagic)
    return ptx::Error{"the image is machine code (cubin); the virtual driver "
                      "executes PTX only: give it the PTX (nvcc -ptx)"};
  return std::string(static_cast<const char *>(image));
}

//===- ImageTest.cpp - Fat binaries ---------------------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Built by hand: the layout is that of nvcc's files.
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Driver/DriverTest.h"

#include <cstring>

namespace {
using ImageTest = DriverTest;

template <typename T> void append(std::string &out, T value) {
  out.append(reinterpret_cast<const char *>(&value), sizeof(value));
}

std::string entry(uint16_t kind, uint32_t architecture, uint64_t flags,
                  const std::string &payload, uint64_t plainBytes = 0) {
  std::string padded = payload;
  padded.resize((payload.size() + 8) / 8 * 8);
  std::string out;
  append<uint16_t>(out, kind);
  append<uint16_t>(out, 0x101);
  append<uint32_t>(out, 64);
  append<uint64_t>(out, padded.size());
  append<uint32_t>(out, uint32_t(payload.size()));
  append<uint32_t>(out, 0);
  append<uint32_t>(out, 0);
  append<uint32_t>(out, architecture);
  append<uint64_t>(out, 0);
  append<uint64_t>(out, flags);
  append<uint64_t>(out, 0);
  append<uint64_t>(out, plainBytes);
  return out + padded;
}

std::string fat(const std::string &entries) {
  std::string out;
  append<uint32_t>(out, 0xba55ed50);
  append<uint16_t>(out, 1);
  append<uint16_t>(out, 16);
  append<uint64_t>(out, entries.size());
  return out + entries;
}

/// PTX with one kernel of a name.
std::string text(const std::string &target, const std::string &kernel) {
  return ".version 8.0\n.target " + target +
         "\n.address_size 64\n.visible "
         ".entry " +
         kernel + "()\n{\n  ret;\n}\n";
}

CUresult load(const std::string &image, CUmodule &module) {
  return cuModuleLoadData(&module, image.c_str());
}

bool hasKernel(CUmodule module, const char *name) {
  CUfunction function;
  return cuModuleGetFunction(&function, module, name) == CUDA_SUCCESS;
}

TEST_F(ImageTest, NewestThatFitsIsTaken) {
  std::string image = fat(entry(2, 80, 0, "machine code") +
                          entry(1, 75, 0, text("sm_75", "old")) +
                          entry(1, 80, 0, text("sm_80", "right")) +
                          entry(1, 90, 0x100000, text("sm_90a", "newer")));
  CUmodule loaded;
  ASSERT_OK(load(image, loaded)) << lastReport();
  EXPECT_TRUE(hasKernel(loaded, "right"));
  CUcontext hopper;
  ASSERT_OK(cuCtxCreate(&hopper, nullptr, 0, 1));
  ASSERT_OK(load(image, loaded)) << lastReport();
  EXPECT_TRUE(hasKernel(loaded, "newer"));
  EXPECT_OK(cuCtxDestroy(hopper));
}

TEST_F(ImageTest, WrapperPointsToIt) {
  std::string image = fat(entry(1, 80, 0, text("sm_80", "k")));
  struct {
    int magic = 0x466243b1, version = 1;
    const void *data;
    void *unused = nullptr;
  } wrapper;
  wrapper.data = image.data();
  CUmodule loaded;
  ASSERT_OK(cuModuleLoadFatBinary(&loaded, &wrapper)) << lastReport();
  EXPECT_TRUE(hasKernel(loaded, "k"));
}

TEST_F(ImageTest, LiteralsOfLz4AreUnpacked) {
  std::string plain = text("sm_80", "packed");
  // One literal of all but the end, then a match that repeats nothing needed.
  std::string block;
  ASSERT_GT(plain.size(), 15u);
  ASSERT_LT(plain.size(), 15u + 255);
  block += char(0xf0);
  block += char(plain.size() - 15);
  block += plain;
  CUmodule loaded;
  ASSERT_OK(load(fat(entry(1, 80, 0x2000, block, plain.size())), loaded))
      << lastReport();
  EXPECT_TRUE(hasKernel(loaded, "packed"));
  EXPECT_EQ(load(fat(entry(1, 80, 0x2000, block, plain.size() + 1)), loaded),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_NE(lastReport().find("(LZ4) is damaged"), std::string::npos);
}

TEST_F(ImageTest, MatchesOfLz4AreUnpacked) {
  // ".version 8.0\n.target sm_80\n.address_size 64\n" and 40 newlines: a match
  // at distance 1.
  std::string head = ".version 8.0\n.target sm_80\n.address_size 64\n";
  std::string tail = ".visible .entry k()\n{\n  ret;\n}\n";
  std::string block;
  block += char(0xff);
  block += char(head.size() - 15);
  block += head;
  block += std::string("\1\0", 2);
  block += char(40 - 15 - 4);
  block += char(0xf0);
  block += char(tail.size() - 15);
  block += tail;
  CUmodule loaded;
  ASSERT_OK(load(
      fat(entry(1, 80, 0x2000, block, head.size() + 40 + tail.size())), loaded))
      << lastReport();
  EXPECT_TRUE(hasKernel(loaded, "k"));
}

TEST_F(ImageTest, WhatIsMissingIsSaid) {
  CUmodule none;
  EXPECT_EQ(load(fat(entry(2, 80, 0, "machine code")), none),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_NE(lastReport().find("machine code (cubin) and no PTX"),
            std::string::npos);
  EXPECT_EQ(load(fat(entry(1, 90, 0, text("sm_90", "k"))), none),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_NE(lastReport().find("PTX for sm_90"), std::string::npos);
  EXPECT_EQ(load(fat(""), none), CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_NE(lastReport().find("is empty"), std::string::npos);
  std::string damaged = fat(entry(1, 80, 0, text("sm_80", "k")));
  damaged[16 + 8] = char(0xff); // The payload's length.
  damaged[16 + 11] = char(0x7f);
  EXPECT_EQ(load(damaged, none), CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_NE(lastReport().find("passes its end"), std::string::npos);
}
} // namespace

//===- MachineCodeTest.cpp - Which code a GPU runs ------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/MachineCode.h"

#include <gtest/gtest.h>

#include <cstring>
#include <elf.h>

using namespace clade::rt;

namespace {

std::string chosen(const std::vector<std::string> &archs, int capability) {
  MachineCode code;
  for (const std::string &arch : archs)
    code[arch] = "code";
  const MachineCode::value_type *best = machineCodeFor(code, capability);
  return best ? best->first : "";
}

TEST(MachineCodeTest, IsThatOfTheGpuOrOfAnEarlierOneOfItsKind) {
  std::vector<std::string> all{"sm_80", "sm_90a", "sm_100a"};
  EXPECT_EQ(chosen(all, 80), "sm_80");
  EXPECT_EQ(chosen(all, 86), "sm_80");
  EXPECT_EQ(chosen(all, 89), "sm_80");
  EXPECT_EQ(chosen(all, 90), "sm_90a");
  EXPECT_EQ(chosen(all, 100), "sm_100a");
  // With an `a` it is for that one alone.
  EXPECT_EQ(chosen(all, 103), "");
  EXPECT_EQ(chosen(all, 120), "");
  EXPECT_EQ(chosen(all, 75), "");
  EXPECT_EQ(chosen({"sm_80", "sm_86"}, 89), "sm_86");
  EXPECT_EQ(chosen({"sm_90", "sm_90a"}, 90), "sm_90a");
  EXPECT_EQ(chosen({"sm_86"}, 80), "");
  EXPECT_EQ(chosen({}, 80), "");
}

TEST(MachineCodeTest, TextRunsOnLaterGpus) {
  EXPECT_TRUE(runsPtxOf("sm_80", 80));
  EXPECT_TRUE(runsPtxOf("sm_80", 120));
  EXPECT_FALSE(runsPtxOf("sm_86", 80));
  EXPECT_TRUE(runsPtxOf("sm_90a", 90));
  EXPECT_FALSE(runsPtxOf("sm_90a", 100));
  EXPECT_FALSE(runsPtxOf("", -1));
}

TEST(MachineCodeTest, HasAFileForEachArchitecture) {
  EXPECT_EQ(machineCodeFile("sm_90a"), "kernels.sm_90a.cubin");
  EXPECT_EQ(archOfMachineCode("kernels.sm_90a.cubin"), "sm_90a");
  for (const char *other : {"kernels.ptx", "kernels..cubin", "code.so",
                            "kernels.sm_80", "sm_80.cubin"})
    EXPECT_EQ(archOfMachineCode(other), std::nullopt) << other;
}

/// An ELF file with two sections of 16 bytes.
std::string elfFile() {
  Elf64_Ehdr header = {};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_shoff = sizeof(header);
  header.e_shnum = 2;
  header.e_shentsize = sizeof(Elf64_Shdr);
  Elf64_Shdr sections[2] = {};
  for (Elf64_Shdr &section : sections) {
    section.sh_type = SHT_PROGBITS;
    section.sh_offset = sizeof(header) + sizeof(sections);
    section.sh_size = 16;
  }
  return std::string(reinterpret_cast<char *>(&header), sizeof(header)) +
         std::string(reinterpret_cast<char *>(sections), sizeof(sections)) +
         std::string(16, 'x');
}

TEST(MachineCodeTest, IsAWholeElfFile) {
  std::string file = elfFile();
  EXPECT_TRUE(checkMachineCode(file).ok());
  for (size_t size = 0; size < file.size(); ++size)
    EXPECT_EQ(checkMachineCode(file.substr(0, size)).code(),
              StatusCode::Corruption)
        << size;
  EXPECT_EQ(checkMachineCode("").message(), "expected an ELF file");
  EXPECT_EQ(checkMachineCode(file.substr(0, 100)).message(),
            "expected an ELF file, got a part of one");
  std::string without = file;
  without[offsetof(Elf64_Ehdr, e_shnum)] = 0;
  EXPECT_EQ(checkMachineCode(without).message(),
            "expected an ELF file with sections");
  // Any byte of the tables may be wrong: an error or none, but no crash.
  for (size_t at = 0; at < sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Shdr); ++at) {
    std::string changed = file;
    changed[at] = char(0xff);
    (void)checkMachineCode(changed);
  }
}

} // namespace

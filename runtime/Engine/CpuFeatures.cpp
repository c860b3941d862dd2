//===- CpuFeatures.cpp - What the CPU at hand can do ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// LLVM's feature names and the CPUID bits that stand for them, as in Intel's
// Software Developer's Manual, volume 2, and AMD's Programmer's Manual, volume
// 3. Registers wider than 128 bits also need the operating system to save them,
// and those of AMX that it is asked first.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/CpuFeatures.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

using namespace clade::rt;

namespace {

enum Register { EAX, EBX, ECX, EDX };
/// Registers that the operating system must save for a feature to be usable.
enum Saved { Any, Ymm, Zmm, Tile };

struct Feature {
  const char *name;
  uint32_t leaf, subleaf;
  Register reg;
  int bit;
  Saved saved = Any;
};

constexpr uint32_t ext1 = 0x80000001, ext8 = 0x80000008;

constexpr Feature features[] = {
    {"cx8", 1, 0, EDX, 8},
    {"cmov", 1, 0, EDX, 15},
    {"mmx", 1, 0, EDX, 23},
    {"fxsr", 1, 0, EDX, 24},
    {"sse", 1, 0, EDX, 25},
    {"sse2", 1, 0, EDX, 26},
    {"x87", 1, 0, EDX, 0},
    {"sse3", 1, 0, ECX, 0},
    {"pclmul", 1, 0, ECX, 1},
    {"ssse3", 1, 0, ECX, 9},
    {"fma", 1, 0, ECX, 12, Ymm},
    {"cx16", 1, 0, ECX, 13},
    {"sse4.1", 1, 0, ECX, 19},
    {"sse4.2", 1, 0, ECX, 20},
    {"crc32", 1, 0, ECX, 20},
    {"movbe", 1, 0, ECX, 22},
    {"popcnt", 1, 0, ECX, 23},
    {"aes", 1, 0, ECX, 25},
    {"xsave", 1, 0, ECX, 27},
    {"avx", 1, 0, ECX, 28, Ymm},
    {"f16c", 1, 0, ECX, 29, Ymm},
    {"rdrnd", 1, 0, ECX, 30},
    {"fsgsbase", 7, 0, EBX, 0},
    {"sgx", 7, 0, EBX, 2},
    {"bmi", 7, 0, EBX, 3},
    {"avx2", 7, 0, EBX, 5, Ymm},
    {"bmi2", 7, 0, EBX, 8},
    {"invpcid", 7, 0, EBX, 10},
    {"rtm", 7, 0, EBX, 11},
    {"avx512f", 7, 0, EBX, 16, Zmm},
    {"avx512dq", 7, 0, EBX, 17, Zmm},
    {"rdseed", 7, 0, EBX, 18},
    {"adx", 7, 0, EBX, 19},
    {"avx512ifma", 7, 0, EBX, 21, Zmm},
    {"clflushopt", 7, 0, EBX, 23},
    {"clwb", 7, 0, EBX, 24},
    {"avx512cd", 7, 0, EBX, 28, Zmm},
    {"sha", 7, 0, EBX, 29},
    {"avx512bw", 7, 0, EBX, 30, Zmm},
    {"avx512vl", 7, 0, EBX, 31, Zmm},
    {"avx512vbmi", 7, 0, ECX, 1, Zmm},
    {"pku", 7, 0, ECX, 4},
    {"waitpkg", 7, 0, ECX, 5},
    {"avx512vbmi2", 7, 0, ECX, 6, Zmm},
    {"shstk", 7, 0, ECX, 7},
    {"gfni", 7, 0, ECX, 8},
    {"vaes", 7, 0, ECX, 9, Ymm},
    {"vpclmulqdq", 7, 0, ECX, 10, Ymm},
    {"avx512vnni", 7, 0, ECX, 11, Zmm},
    {"avx512bitalg", 7, 0, ECX, 12, Zmm},
    {"avx512vpopcntdq", 7, 0, ECX, 14, Zmm},
    {"rdpid", 7, 0, ECX, 22},
    {"kl", 7, 0, ECX, 23},
    {"cldemote", 7, 0, ECX, 25},
    {"movdiri", 7, 0, ECX, 27},
    {"movdir64b", 7, 0, ECX, 28},
    {"enqcmd", 7, 0, ECX, 29},
    {"uintr", 7, 0, EDX, 5},
    {"avx512vp2intersect", 7, 0, EDX, 8, Zmm},
    {"serialize", 7, 0, EDX, 14},
    {"tsxldtrk", 7, 0, EDX, 16},
    {"pconfig", 7, 0, EDX, 18},
    {"amx-bf16", 7, 0, EDX, 22, Tile},
    {"avx512fp16", 7, 0, EDX, 23, Zmm},
    {"amx-tile", 7, 0, EDX, 24, Tile},
    {"amx-int8", 7, 0, EDX, 25, Tile},
    {"sha512", 7, 1, EAX, 0, Ymm},
    {"sm3", 7, 1, EAX, 1, Ymm},
    {"sm4", 7, 1, EAX, 2, Ymm},
    {"avxvnni", 7, 1, EAX, 4, Ymm},
    {"avx512bf16", 7, 1, EAX, 5, Zmm},
    {"cmpccxadd", 7, 1, EAX, 7},
    {"amx-fp16", 7, 1, EAX, 21, Tile},
    {"hreset", 7, 1, EAX, 22},
    {"avxifma", 7, 1, EAX, 23, Ymm},
    {"avxvnniint8", 7, 1, EDX, 4, Ymm},
    {"avxneconvert", 7, 1, EDX, 5, Ymm},
    {"amx-complex", 7, 1, EDX, 8, Tile},
    {"avxvnniint16", 7, 1, EDX, 10, Ymm},
    {"prefetchi", 7, 1, EDX, 14},
    {"xsaveopt", 0xd, 1, EAX, 0},
    {"xsavec", 0xd, 1, EAX, 1},
    {"xsaves", 0xd, 1, EAX, 3},
    {"ptwrite", 0x14, 0, EBX, 4},
    {"sahf", ext1, 0, ECX, 0},
    {"lzcnt", ext1, 0, ECX, 5},
    {"sse4a", ext1, 0, ECX, 6},
    {"prfchw", ext1, 0, ECX, 8},
    {"xop", ext1, 0, ECX, 11, Ymm},
    {"lwp", ext1, 0, ECX, 15},
    {"fma4", ext1, 0, ECX, 16, Ymm},
    {"tbm", ext1, 0, ECX, 21},
    {"mwaitx", ext1, 0, ECX, 29},
    {"64bit", ext1, 0, EDX, 29},
    {"clzero", ext8, 0, EBX, 0},
    {"rdpru", ext8, 0, EBX, 4},
    {"wbnoinvd", ext8, 0, EBX, 9},
};

#if defined(__x86_64__)

/// Bits of register XCR0: what the operating system saves (XGETBV).
uint64_t savedRegisters() {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr uint32_t osxsave = 1u << 27;
  if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & osxsave))
    return 0;
  uint32_t low = 0, high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t(high) << 32) | low;
}

bool isSaved(Saved saved) {
  constexpr uint64_t ymm = 0x6, zmm = 0xe6, tile = 0x60000;
  const uint64_t masks[] = {0, ymm, zmm, tile};
  static const uint64_t available = savedRegisters();
  return (available & masks[saved]) == masks[saved];
}

bool hostHas(const Feature &feature) {
  uint32_t registers[4] = {};
  if (!__get_cpuid_count(feature.leaf, feature.subleaf, &registers[EAX],
                         &registers[EBX], &registers[ECX], &registers[EDX]))
    return false;
  return (registers[feature.reg] >> feature.bit & 1) && isSaved(feature.saved);
}

/// Zero, or an error number.
int askForRegisters(int number) {
  constexpr long requestPermission = 0x1023; // ARCH_REQ_XCOMP_PERM
  return ::syscall(SYS_arch_prctl, requestPermission, long(number)) == 0
             ? 0
             : errno;
}

#else

bool hostHas(const Feature &) { return false; }

int askForRegisters(int) { return ENOSYS; }

#endif

} // namespace

Status clade::rt::requestRegisters(int number) {
  int error = askForRegisters(number);
  if (error == 0)
    return {};
  return Status::unsupported(
      "the code needs the tile registers of AMX, which the operating system "
      "does not let this process use (" +
      std::string(std::strerror(error)) +
      "); compile the model for a CPU without them, as 'cooperlake'");
}

Status clade::rt::checkCpuFeatures(const std::vector<std::string> &wanted) {
  bool usesTiles = false;
  for (const std::string &item : wanted) {
    if (item.empty() || item[0] != '+')
      continue;
    std::string name = item.substr(1);
    const Feature *found =
        std::find_if(std::begin(features), std::end(features),
                     [&](const Feature &f) { return name == f.name; });
    if (found == std::end(features))
      return Status::unsupported("the code needs the CPU feature '" + name +
                                 "', which this runtime does not know");
    if (!hostHas(*found))
      return Status::unsupported("the code needs the CPU feature '" + name +
                                 "', which this machine does not have; "
                                 "compile the model for this machine");
    usesTiles |= found->saved == Tile;
  }
  return usesTiles ? requestRegisters() : Status();
}

std::vector<std::string> clade::rt::hostCpuFeatures() {
  std::vector<std::string> names;
  for (const Feature &feature : features)
    if (hostHas(feature))
      names.push_back(std::string("+").append(feature.name));
  std::sort(names.begin(), names.end());
  return names;
}

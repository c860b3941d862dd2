//===- MachineCode.cpp - Which code a GPU runs ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/Device/MachineCode.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <tuple>

using namespace clade::rt;

namespace {

constexpr std::string_view prefix = "kernels.", suffix = ".cubin";

/// The number and the suffix of an architecture's name.
struct Arch {
  explicit Arch(const std::string &name) {
    std::string digits = name.substr(std::min<size_t>(name.size(), 3));
    isExact = !digits.empty() && digits.back() == 'a';
    number = std::atoi(digits.c_str());
  }
  int number;
  bool isExact; ///< Runs on that one alone.
};

} // namespace

std::string clade::rt::machineCodeFile(const std::string &arch) {
  return std::string(prefix) + arch + std::string(suffix);
}

std::optional<std::string>
clade::rt::archOfMachineCode(const std::string &file) {
  std::string_view name = file;
  if (!name.starts_with(prefix) || !name.ends_with(suffix) ||
      name.size() <= prefix.size() + suffix.size())
    return std::nullopt;
  name.remove_prefix(prefix.size());
  name.remove_suffix(suffix.size());
  return std::string(name);
}

bool clade::rt::runsPtxOf(const std::string &name, int capability) {
  Arch arch(name);
  return arch.isExact ? arch.number == capability : arch.number <= capability;
}

const MachineCode::value_type *
clade::rt::machineCodeFor(const MachineCode &code, int capability) {
  const MachineCode::value_type *best = nullptr;
  for (const MachineCode::value_type &entry : code) {
    Arch arch(entry.first);
    bool runs = arch.number == capability ||
                (!arch.isExact && arch.number < capability &&
                 arch.number / 10 == capability / 10);
    if (!runs)
      continue;
    // The later one; of two the one that is for it alone.
    auto rank = [](const Arch &arch) { return 2 * arch.number + arch.isExact; };
    if (!best || rank(arch) > rank(Arch(best->first)))
      best = &entry;
  }
  return best;
}

Status clade::rt::checkMachineCode(std::string_view bytes) {
  Elf64_Ehdr header;
  if (bytes.size() < sizeof(header) || !bytes.starts_with(ELFMAG))
    return Status::corruption("expected an ELF file");
  std::memcpy(&header, bytes.data(), sizeof(header));
  for (auto [offset, count, size] :
       {std::tuple(header.e_phoff, header.e_phnum, header.e_phentsize),
        {header.e_shoff, header.e_shnum, header.e_shentsize}})
    if (offset > bytes.size() || uint64_t(count) * size > bytes.size() - offset)
      return Status::corruption("expected an ELF file, got a part of one");
  if (header.e_shnum == 0 || header.e_shentsize != sizeof(Elf64_Shdr))
    return Status::corruption("expected an ELF file with sections");
  for (size_t i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    std::memcpy(&section, bytes.data() + header.e_shoff + i * sizeof(section),
                sizeof(section));
    if (section.sh_type != SHT_NOBITS &&
        (section.sh_offset > bytes.size() ||
         section.sh_size > bytes.size() - section.sh_offset))
      return Status::corruption("expected an ELF file, got a part of one");
  }
  return {};
}

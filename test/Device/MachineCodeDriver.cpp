//===- MachineCodeDriver.cpp - A driver that takes machine code -----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The virtual driver executes PTX only. This one takes machine code, too: it
// writes its size to the file MACHINE_CODE_LOG, and runs the PTX of the file
// MACHINE_CODE_PTX in its place. All else is the virtual driver's, which it is
// linked with and which MACHINE_CODE_DRIVER names.
//
//===----------------------------------------------------------------------===//

#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <elf.h>
#include <fstream>
#include <iterator>
#include <string>

using LoadFunction = int (*)(void **, const void *, unsigned, int *, void **);

extern "C" __attribute__((visibility("default"))) int
cuModuleLoadDataEx(void **module, const void *image, unsigned count,
                   int *options, void **values) {
  static auto load = reinterpret_cast<LoadFunction>(
      dlsym(dlopen(std::getenv("MACHINE_CODE_DRIVER"), RTLD_NOW),
            "cuModuleLoadDataEx"));
  std::string text;
  if (std::memcmp(image, ELFMAG, SELFMAG) == 0) {
    Elf64_Ehdr header;
    std::memcpy(&header, image, sizeof(header));
    std::ofstream(std::getenv("MACHINE_CODE_LOG"))
        << "machine code with " << header.e_shnum << " sections\n";
    std::ifstream file(std::getenv("MACHINE_CODE_PTX"));
    text.assign(std::istreambuf_iterator<char>(file), {});
    image = text.c_str();
  }
  return load(module, image, count, options, values);
}

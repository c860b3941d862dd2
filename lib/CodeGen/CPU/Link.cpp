//===- Link.cpp - From objects to a shared object -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// lld as a library. It reads files only, so objects and the list of exported
// symbols go through a temporary directory beside the result, which is renamed
// from there.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Compile.h"

#include "lld/Common/Driver.h"
#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/BinaryFormat/Magic.h"
#include "llvm/Object/ELF.h"
#include "llvm/Support/CrashRecoveryContext.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"
#include <mutex>

LLD_HAS_DRIVER(elf)

using namespace mlir;

namespace clade::cpu {

/// One run of lld; it keeps global state. Messages go to `text`.
static bool runLinker(ArrayRef<std::string> arguments, std::string &text) {
  static std::mutex mutex;
  static bool usable = true;
  std::lock_guard<std::mutex> lock(mutex);
  if (!usable) {
    text = "the linker crashed earlier in this process";
    return false;
  }
  SmallVector<const char *> argv = {"ld.lld"};
  for (const std::string &argument : arguments)
    argv.push_back(argument.c_str());
  llvm::raw_string_ostream stream(text);
  // Without crash recovery a fatal error of lld would end the process.
  llvm::CrashRecoveryContext::Enable();
  lld::Result result =
      lld::lldMain(argv, stream, stream, {{lld::Gnu, &lld::elf::link}});
  llvm::CrashRecoveryContext::Disable();
  usable = result.canRunAgain;
  return result.retCode == 0;
}

/// Whether `object` is a readable ELF file. lld takes damage as fatal and
/// cannot be used again afterwards, so damaged files must not reach it.
static llvm::Error checkObject(llvm::MemoryBufferRef object) {
  using ELFFile = llvm::object::ELFFile<llvm::object::ELF64LE>;
  StringRef bytes = object.getBuffer();
  if (llvm::identify_magic(bytes) != llvm::file_magic::elf_relocatable)
    return llvm::createStringError("expected a relocatable ELF object");
  llvm::Expected<ELFFile> file = ELFFile::create(bytes);
  if (!file)
    return file.takeError();
  auto sections = file->sections();
  if (!sections)
    return sections.takeError();
  for (const auto &section : *sections) {
    if (auto name = file->getSectionName(section); !name)
      return name.takeError();
    if (section.sh_type == llvm::ELF::SHT_NOBITS)
      continue;
    if (auto content = file->getSectionContents(section); !content)
      return content.takeError();
  }
  return llvm::Error::success();
}

namespace {

/// A directory that disappears with its content.
class TemporaryDirectory {
public:
  ~TemporaryDirectory() {
    if (!path.empty())
      llvm::sys::fs::remove_directories(path);
  }

  /// Creates it with a name that begins with `prefix`.
  std::error_code create(const llvm::Twine &prefix) {
    return llvm::sys::fs::createUniqueDirectory(prefix, path);
  }
  std::string file(const llvm::Twine &name) const {
    SmallString<128> result(path);
    llvm::sys::path::append(result, name);
    return std::string(result);
  }

private:
  SmallString<128> path;
};

} // namespace

static std::error_code writeFile(StringRef path, StringRef content) {
  std::error_code error;
  llvm::raw_fd_ostream stream(path, error);
  if (error)
    return error;
  stream << content;
  stream.close();
  error = stream.error();
  stream.clear_error();
  return error;
}

/// Only plain names may enter the linker's script.
static bool isSymbolName(StringRef name) {
  return !name.empty() && llvm::all_of(name, [](char c) {
    return llvm::isAlnum(c) || c == '_' || c == '.' || c == '$';
  });
}

static std::string versionScript(ArrayRef<std::string> symbols) {
  std::string text = "{\n";
  if (!symbols.empty())
    text += "global:\n";
  for (const std::string &symbol : symbols)
    text += ("  \"" + llvm::Twine(symbol) + "\";\n").str();
  return text + "local:\n  *;\n};\n";
}

LogicalResult linkSharedObject(Location loc,
                               ArrayRef<llvm::MemoryBufferRef> objects,
                               StringRef path,
                               ArrayRef<std::string> exportedSymbols) {
  auto fail = [&](const llvm::Twine &text) {
    return emitError(loc) << "cannot link '" << path << "': " << text;
  };
  for (const std::string &symbol : exportedSymbols)
    if (!isSymbolName(symbol))
      return fail("expected the name of a symbol, got '" + llvm::Twine(symbol) +
                  "'");
  for (llvm::MemoryBufferRef object : objects)
    if (llvm::Error error = checkObject(object))
      return fail("damaged object '" + object.getBufferIdentifier() +
                  "': " + llvm::toString(std::move(error)));
  // createUniqueDirectory puts relative names into the system's own folder.
  SmallString<128> absolute(path);
  if (std::error_code error = llvm::sys::fs::make_absolute(absolute))
    return fail(error.message());
  TemporaryDirectory directory;
  if (std::error_code error = directory.create(absolute + ".tmp"))
    return fail(error.message());

  std::string output = directory.file("output.so");
  std::string script = directory.file("symbols.map");
  if (std::error_code error = writeFile(script, versionScript(exportedSymbols)))
    return fail(error.message());
  SmallVector<std::string> arguments = {"-shared",
                                        "-o",
                                        output,
                                        "--version-script",
                                        script,
                                        "-z",
                                        "noexecstack",
                                        "-z",
                                        "relro",
                                        "-z",
                                        "now",
                                        "-Bsymbolic",
                                        "--gc-sections",
                                        "--hash-style=gnu",
                                        "--build-id=none",
                                        "--threads=1",
                                        "--no-undefined-version"};
  for (auto [i, object] : llvm::enumerate(objects)) {
    std::string file = directory.file(llvm::Twine(i) + ".o");
    if (std::error_code error = writeFile(file, object.getBuffer()))
      return fail(error.message());
    arguments.push_back(file);
  }

  std::string text;
  if (!runLinker(arguments, text))
    return fail(StringRef(text).trim());
  if (std::error_code error = llvm::sys::fs::rename(output, absolute))
    return fail(error.message());
  return success();
}

} // namespace clade::cpu

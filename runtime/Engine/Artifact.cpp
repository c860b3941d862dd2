//===- Artifact.cpp - Opening a compiled model ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Nothing of an artifact is used before its hash was compared; the code is the
// last thing to be loaded.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Artifact.h"

#include "runtime/Engine/CpuFeatures.h"
#include "runtime/Support/File.h"
#include "runtime/Support/Hash.h"
#include "runtime/Support/Text.h"

#include <cerrno>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <unistd.h>

using namespace clade::rt;

namespace {

constexpr size_t maxManifestBytes = size_t(256) << 20;

std::string_view asText(ByteSpan bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

/// Maps a file of the artifact and compares its size and hash.
StatusOr<std::shared_ptr<const MappedFile>>
openChecked(const std::string &path, const ManifestFile &expected) {
  CLADE_ASSIGN_OR_RETURN(auto file, MappedFile::open(path));
  std::string_view text = asText(file->bytes());
  if (text.size() != expected.bytes)
    return Status::corruption(
        quoteName(path) + " has " + std::to_string(text.size()) +
        " bytes, expected " + std::to_string(expected.bytes));
  if (hashOf(text) != expected.xxh128)
    return Status::corruption(quoteName(path) +
                              " does not match its hash in the manifest");
  return file;
}

/// The kind of processor that this program runs on.
#if defined(__x86_64__)
constexpr uint16_t ownMachine = EM_X86_64;
#else
constexpr uint16_t ownMachine = EM_AARCH64;
#endif

/// Whether an open file is code for another kind of processor. What is no code
/// at all is left to the loader.
bool isForOtherMachine(int file) {
  Elf64_Ehdr header;
  return ::pread(file, &header, sizeof(header), 0) == sizeof(header) &&
         (header.e_machine == EM_X86_64 || header.e_machine == EM_AARCH64) &&
         header.e_machine != ownMachine;
}

const char *loaderMessage() {
  const char *message = ::dlerror();
  return message ? message : "no reason given";
}

} // namespace

StatusOr<std::shared_ptr<const Artifact>>
Artifact::open(const std::string &path) {
  std::string manifestPath = path + "/manifest.json";
  if (!fileExists(manifestPath))
    return Status::notFound(quoteName(path) +
                            " is not an artifact: it has no 'manifest.json'");
  CLADE_ASSIGN_OR_RETURN(std::string text,
                         readTextFile(manifestPath, maxManifestBytes));
  StatusOr<Manifest> manifest = Manifest::fromJson(text);
  if (!manifest.ok())
    return manifest.takeStatus().withContext(quoteName(manifestPath));
  Status features = checkCpuFeatures(manifest->target.features);
  if (!features.ok())
    return std::move(features).withContext(quoteName(path));
  // Not make_shared: the constructor is private.
  std::shared_ptr<Artifact> artifact(new Artifact(path, std::move(*manifest)));
  CLADE_RETURN_IF_ERROR(artifact->checkFiles());
  CLADE_RETURN_IF_ERROR(artifact->manifest().target.isCuda()
                            ? artifact->readLaunches()
                            : artifact->loadCode());
  return std::shared_ptr<const Artifact>(std::move(artifact));
}

Artifact::~Artifact() {
  if (library)
    ::dlclose(library);
  if (codeFile >= 0)
    ::close(codeFile);
}

Status Artifact::checkFiles() {
  bool isCuda = content.target.isCuda();
  const char *code = isCuda ? kernelsFile : "code.so",
             *launches = isCuda ? launchesFile : code;
  for (const char *required :
       {code, launches, isCuda && content.images ? imageLaunchesFile : launches,
        "weights.json"})
    if (!hasFile(required))
      return Status::corruption(quoteName(directory) +
                                ": the manifest does not list " +
                                quoteName(required));
  for (const auto &[name, expected] : content.files) {
    CLADE_ASSIGN_OR_RETURN(auto file, openChecked(filePath(name), expected));
    if (name == "weights.json")
      weights = asText(file->bytes());
    if (name == kernelsFile)
      kernelText = asText(file->bytes());
    if (std::optional<std::string> arch = archOfMachineCode(name);
        arch && isCuda)
      machineCodes[*arch] = asText(file->bytes());
  }
  return {};
}

StatusOr<LaunchPlan> Artifact::readPlan(const char *name, size_t states) const {
  std::string path = filePath(name);
  CLADE_ASSIGN_OR_RETURN(std::string text, readTextFile(path));
  StatusOr<LaunchPlan> read = LaunchPlan::fromJson(
      text, content.weightSlots, static_cast<int64_t>(states));
  if (!read.ok())
    return read.takeStatus().withContext(quoteName(path));
  return read;
}

Status Artifact::readLaunches() {
  CLADE_ASSIGN_OR_RETURN(plan, readPlan(launchesFile, content.states.size()));
  if (!content.images)
    return {};
  CLADE_ASSIGN_OR_RETURN(
      imagePlan, readPlan(imageLaunchesFile, content.images->states.size()));
  return {};
}

Status Artifact::loadCode() {
  std::string path = filePath("code.so");
  // The loader takes two files of one name for the same library. A replaced
  // artifact has the name of the old one, which may still be loaded; the number
  // of a descriptor that stays open is unique.
  codeFile = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (codeFile < 0)
    return systemError("cannot open", path, errno);
  if (isForOtherMachine(codeFile))
    return Status::unsupported(quoteName(path) +
                               " is code for another kind of processor; "
                               "compile the model for this machine");
  std::string unique = "/proc/self/fd/" + std::to_string(codeFile);
  library = ::dlopen(unique.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return Status::corruption("cannot load " + quoteName(path) + ": " +
                              loaderMessage());
  auto *version =
      static_cast<const int32_t *>(::dlsym(library, "clade_abi_version"));
  if (!version)
    return Status::corruption(quoteName(path) +
                              " does not define 'clade_abi_version'");
  if (*version != CLADE_ABI_VERSION)
    return Status::unsupported(quoteName(path) + ": expected ABI version " +
                               std::to_string(CLADE_ABI_VERSION) + ", got " +
                               std::to_string(*version));
  for (const auto &[name, entry] : content.entries) {
    void *symbol = ::dlsym(library, entry.symbol.c_str());
    if (!symbol)
      return Status::corruption(quoteName(path) + " does not define " +
                                quoteName(entry.symbol) + ", the entry " +
                                quoteName(name));
    if (name == "forward")
      forwardFunction = reinterpret_cast<CladeStepFunction>(symbol);
    if (name == "image")
      imageFunction = reinterpret_cast<CladeStepFunction>(symbol);
  }
  return {};
}

//===- Assemble.cpp - From PTX to machine code ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CUDA/Assemble.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdlib>
#include <memory>
#include <optional>
#include <vector>

using namespace mlir;
using namespace clade;

std::string cuda::findAssembler() {
  if (const char *chosen = std::getenv(assemblerVariable.data()))
    return chosen;
  SmallVector<std::string> folders;
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char *home = std::getenv(variable))
      folders.push_back(std::string(home) + "/bin");
  SmallVector<StringRef> onPath;
  if (const char *path = std::getenv("PATH"))
    StringRef(path).split(onPath, ':', -1, /*KeepEmpty=*/false);
  for (StringRef folder : onPath)
    folders.push_back(folder.str());
  folders.push_back("/usr/local/cuda/bin");
  for (const std::string &folder : folders)
    if (std::string file = folder + "/ptxas"; llvm::sys::fs::can_execute(file))
      return file;
  return {};
}

SmallVector<std::string> cuda::assembledArchs(const Target &target) {
  SmallVector<std::string> archs{target.arch};
  if (StringRef(target.arch).ends_with("a"))
    return archs;
  // What is listed behind it runs it.
  bool isNewer = false;
  for (StringRef arch : knownArchs()) {
    if (isNewer && arch.ends_with("a"))
      archs.push_back(arch.str());
    isNewer |= arch == target.arch;
  }
  return archs;
}

namespace {
/// A run of the assembler, with files that are removed at the end.
struct Run {
  std::string arch;
  llvm::SmallString<128> code, log;
  llvm::sys::ProcessInfo process;

  ~Run() {
    for (StringRef file : {StringRef(code), StringRef(log)})
      if (!file.empty())
        llvm::sys::fs::remove(file);
  }
};
} // namespace

static std::string contentOf(StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false,
                                            /*RequiresNullTerminator=*/false);
  return buffer ? (*buffer)->getBuffer().str() : std::string();
}

std::map<std::string, std::string> cuda::assemble(Location loc,
                                                  StringRef assembler,
                                                  StringRef ptx,
                                                  const Target &target) {
  std::map<std::string, std::string> result;
  Run input; // Of which only the text is used.
  int descriptor = 0;
  if (llvm::sys::fs::createTemporaryFile("clade-kernels", "ptx", descriptor,
                                         input.code)) {
    emitWarning(loc) << "no machine code: cannot create a temporary file";
    return result;
  }
  {
    llvm::raw_fd_ostream file(descriptor, /*shouldClose=*/true);
    file << ptx;
  }
  // All at once: they take longer than the rest of compiling.
  std::vector<std::unique_ptr<Run>> runs;
  for (const std::string &arch : assembledArchs(target)) {
    Run &run = *runs.emplace_back(std::make_unique<Run>());
    run.arch = arch;
    if (llvm::sys::fs::createTemporaryFile("clade-kernels", "cubin",
                                           run.code) ||
        llvm::sys::fs::createTemporaryFile("clade-kernels", "log", run.log))
      continue;
    std::string option = "-arch=" + arch;
    StringRef arguments[] = {assembler, option, input.code, "-o", run.code};
    std::optional<StringRef> streams[] = {std::nullopt, StringRef(run.log),
                                          StringRef(run.log)};
    run.process =
        llvm::sys::ExecuteNoWait(assembler, arguments, std::nullopt, streams);
  }
  for (const std::unique_ptr<Run> &run : runs) {
    int status = -1;
    if (run->process.Pid != llvm::sys::ProcessInfo::InvalidPid)
      status = llvm::sys::Wait(run->process, std::nullopt).ReturnCode;
    if (status == 0) {
      result[run->arch] = contentOf(run->code);
      continue;
    }
    std::string reason = contentOf(run->log);
    emitWarning(loc) << "no machine code for " << run->arch << ": '"
                     << assembler << "' "
                     << (reason.empty() ? "cannot be run"
                                        : "says: " + StringRef(reason).trim());
  }
  return result;
}

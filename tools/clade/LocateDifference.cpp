//===- LocateDifference.cpp - Where two runs part -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "tools/clade/LocateDifference.h"

#include "tools/clade/Compare.h"

#include "dialect/Clade/CladeDialect.h"
#include "dialect/WMap/WMapDialect.h"
#include "lib/Pipelines/Pipelines.h"
#include "mlir/Pass/PassManager.h"
#include "runtime/Formats/DType.h"

#include "llvm/ADT/ScopeExit.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <cstring>

using namespace clade;
using namespace clade::driver;
using mlir::failed;
using mlir::failure;
using mlir::FailureOr;

/// Near enough for a value in the middle of the network.
static bool isNear(const Distance &distance, bool isF32) {
  return isF32 ? withinF32(distance)
               : distance.finite && distance.largest <= 4e-2 &&
                     distance.cosine > 0.9995;
}

/// The values that traced code showed, `count` of them.
static Values decode(const std::vector<std::byte> &bytes, size_t count) {
  Values values(count);
  if (bytes.size() == count * sizeof(float)) {
    std::memcpy(values.data(), bytes.data(), bytes.size());
  } else {
    for (size_t i = 0; i < count; ++i) {
      uint16_t bits;
      std::memcpy(&bits, bytes.data() + i * sizeof(bits), sizeof(bits));
      values[i] = rt::bf16ToF32(bits);
    }
  }
  return values;
}

/// 'model.layers.2.mlp.down_proj.weight', …: the weights that a kernel reads.
static std::string weightsOf(mlir::Operation *kernel, int64_t layer) {
  std::string names;
  kernel->walk([&](ParamOp param) {
    names +=
        (names.empty() ? " of '" : ", '") +
        withLayer(param.getName(),
                  layer < 0 ? std::nullopt : std::optional<int64_t>(layer)) +
        "'";
  });
  return names;
}

/// Compares every result of every kernel. True if one of them differs.
static bool compareKernels(mlir::ModuleOp module,
                           const rt::Checkpoint &checkpoint, int64_t vocab,
                           const VerifyText &text, bool isF32,
                           const std::vector<std::vector<std::byte>> &traced) {
  size_t next = 0;
  bool found = false;
  auto ran = interpret(
      module, checkpoint, vocab, text, [&](const reference::Event &event) {
        auto kernel = llvm::dyn_cast<KernelOp>(event.op);
        if (found || !kernel || next == traced.size())
          return;
        const std::vector<std::byte> &bytes = traced[next++];
        auto count = static_cast<size_t>(event.value.size());
        bool sameSize = bytes.size() == count * sizeof(float) ||
                        bytes.size() == count * sizeof(uint16_t);
        Distance away;
        if (sameSize)
          away = distance(decode(bytes, count),
                          {event.value.data().data(), count});
        if (sameSize && isNear(away, isF32))
          return;
        found = true;
        llvm::errs() << "first difference: ";
        if (event.layer >= 0)
          llvm::errs() << "layer " << event.layer << ", ";
        llvm::errs() << "kernel '" << stringifyKernelKind(kernel.getKind())
                     << "'" << weightsOf(kernel, event.layer);
        if (sameSize)
          llvm::errs() << llvm::format(
              ": %.3e of the largest value, 1 - cosine %.3e\n", away.largest,
              1 - away.cosine);
        else
          llvm::errs() << ": " << bytes.size() << " bytes for " << count
                       << " values\n";
        mlir::emitRemark(event.op->getLoc()) << "computed here";
      });
  if (!found && mlir::succeeded(ran))
    llvm::errs() << "each of the " << next
                 << " results of kernels alone is within the bounds\n";
  return found;
}

/// Shows what `artifact` computes, kernel by kernel.
static FailureOr<std::vector<std::vector<std::byte>>>
traceArtifact(const std::string &artifact, const VerifyText &text) {
  std::vector<std::vector<std::byte>> traced;
  auto ran = runArtifact(artifact, text, text.prompt.size(),
                         [&](const void *values, int64_t bytes) {
                           auto *first = static_cast<const std::byte *>(values);
                           traced.emplace_back(first, first + bytes);
                         });
  if (failed(ran))
    return failure();
  return traced;
}

/// The kernels of generated code beside those of the interpreter.
static void locateKernel(Environment &environment,
                         const rt::Checkpoint &checkpoint,
                         const ModelChoice &choice, int64_t vocab,
                         const VerifyText &text, std::string artifact) {
  llvm::SmallString<128> folder;
  llvm::scope_exit cleanUp([&] {
    if (!folder.empty())
      llvm::sys::fs::remove_directories(folder);
  });
  if (artifact.empty()) {
    if (llvm::sys::fs::createUniqueDirectory("clade-trace", folder)) {
      (void)fail("cannot create a temporary folder");
      return;
    }
    ModelChoice tracedChoice = choice;
    tracedChoice.isTraced = true;
    artifact = (folder + "/artifact").str();
    if (!compileToFolder(environment, checkpoint, tracedChoice, artifact))
      return;
  }
  auto traced = traceArtifact(artifact, text);
  if (failed(traced))
    return;
  if (traced->empty()) {
    llvm::errs() << "compile the artifact with --trace to see in which kernel "
                    "the difference begins\n";
    return;
  }
  auto model = import::importCheckpoint(environment.getLibrary(), checkpoint,
                                        choice.dtype);
  if (failed(model) || !formKernels(*model->module, /*panelRows=*/0, choice))
    return;
  compareKernels(*model->module, checkpoint, vocab, text, model->dtype == "f32",
                 *traced);
}

void driver::locateInCompiler(Environment &environment,
                              const rt::Checkpoint &checkpoint,
                              const ModelChoice &choice, int64_t vocab,
                              const VerifyText &text, const Values &expected,
                              const std::string &artifact) {
  auto model = import::importCheckpoint(environment.getLibrary(), checkpoint,
                                        choice.dtype);
  if (failed(model))
    return;
  if (!fuseModule(*model->module, choice))
    return;
  auto fused = interpret(*model->module, checkpoint, vocab, text);
  if (failed(fused))
    return;
  Distance away = distance(*fused, expected);
  llvm::errs() << llvm::format("the fused module differs from the imported one "
                               "by %.3e in the interpreter: ",
                               away.largest);
  if (!isNear(away, model->dtype == "f32")) {
    llvm::errs() << "the difference begins in a fusion\n";
    return;
  }
  llvm::errs() << "the difference begins in the generated code\n";
  locateKernel(environment, checkpoint, choice, vocab, text, artifact);
}

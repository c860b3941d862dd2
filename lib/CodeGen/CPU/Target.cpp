//===- Target.cpp - What CPU kernels are made for -------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Resolves CPU names and features through LLVM's own tables, so that a name is
// either known there or refused with a message, and picks the register tile.
//
//===----------------------------------------------------------------------===//

#include "lib/CodeGen/CPU/Target.h"

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/MC/MCSubtargetInfo.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;

namespace clade::cpu {

TokenClass tokenClassOf(int64_t tokens) {
  if (tokens <= 1)
    return TokenClass::One;
  return tokens <= 8 ? TokenClass::Few : TokenClass::Many;
}

/// The features of this machine's CPU as a sorted list.
static std::string hostFeatures() {
  SmallVector<std::string> list;
  for (const auto &feature : llvm::sys::getHostCPUFeatures())
    list.push_back(
        (Twine(feature.getValue() ? "+" : "-") + feature.getKey()).str());
  llvm::sort(list, [](StringRef a, StringRef b) {
    return a.drop_front() < b.drop_front();
  });
  return llvm::join(list, ",");
}

static LogicalResult checkFeatures(Location loc, StringRef features,
                                   const llvm::MCSubtargetInfo &subtarget) {
  for (StringRef feature : llvm::split(features, ',')) {
    if (feature.empty())
      continue;
    StringRef name = feature.drop_front();
    if (feature.front() != '+' && feature.front() != '-')
      return emitError(loc)
             << "expected '+' or '-' before CPU feature '" << feature << "'";
    if (llvm::none_of(subtarget.getAllProcessorFeatures(),
                      [&](const auto &known) { return name == known.Key; }))
      return emitError(loc) << "unknown CPU feature '" << name << "'";
  }
  return success();
}

static void chooseTile(Target &target, const llvm::MCSubtargetInfo &subtarget) {
  auto has = [&](StringRef features) {
    return subtarget.checkFeatures(features);
  };
  target.panelRows = 16;
  if (target.isArm) {
    // All of it is in the baseline. There are twice as many registers as SSE
    // has.
    target.hasFMA = target.hasF16 = true;
    target.accumulators = 16;
    target.hasSignedDot = has("+dotprod");
    return;
  }
  bool isOldZen =
      StringRef(target.cpu).starts_with("znver") && target.cpu != "znver5";
  target.aheadRows = target.cpu == "znver4" ? 0
                     : isOldZen             ? Target::fewRows
                                            : INT64_MAX;
  target.hasTiles = has("+amx-tile,+amx-bf16");
  target.hasFMA = has("+fma") || has("+avx512f");
  target.hasF16 = has("+f16c") || has("+avx512f");
  if (has("+avx512f,+avx512bw,+avx512vl,+avx512dq")) {
    target.width = 16;
    target.panelRows = 32;
    target.accumulators = 24;
    target.hasBF16 = has("+avx512bf16");
    target.hasVNNI = has("+avx512vnni");
    target.hasByteTiles = target.hasVNNI && has("+amx-tile,+amx-int8");
    return;
  }
  target.width = has("+avx2") ? 8 : 4;
  target.accumulators = has("+avx2") ? 12 : 8;
  target.hasVNNI = has("+avx2,+avxvnni");
}

/// What code generation uses without being asked, and what kernels ask for. A
/// CPU has more, much of which a machine of its kind may have switched off.
static constexpr StringLiteral usedFeatures[] = {"sse3",
                                                 "ssse3",
                                                 "sse4.1",
                                                 "sse4.2",
                                                 "popcnt",
                                                 "cx16",
                                                 "movbe",
                                                 "lzcnt",
                                                 "bmi",
                                                 "bmi2",
                                                 "tbm",
                                                 "avx",
                                                 "f16c",
                                                 "fma",
                                                 "fma4",
                                                 "xop",
                                                 "avx2",
                                                 "avxvnni",
                                                 "gfni",
                                                 "avx512f",
                                                 "avx512cd",
                                                 "avx512dq",
                                                 "avx512bw",
                                                 "avx512vl",
                                                 "avx512ifma",
                                                 "avx512vbmi",
                                                 "avx512vbmi2",
                                                 "avx512vnni",
                                                 "avx512bitalg",
                                                 "avx512bf16",
                                                 "avx512vpopcntdq",
                                                 "avx512fp16",
                                                 "amx-tile",
                                                 "amx-bf16",
                                                 "amx-int8"};

static void listNeeds(Target &target, const llvm::MCSubtargetInfo &subtarget) {
  if (target.isArm)
    return;
  for (StringRef feature : usedFeatures)
    if (std::string needed = ("+" + feature).str();
        subtarget.checkFeatures(needed))
      target.needs.push_back(needed);
}

/// The triple of this process if it is of the architecture, or Linux on it.
static llvm::Triple tripleOf(bool isArm) {
  llvm::Triple own(llvm::sys::getProcessTriple());
  if (own.isArch64Bit() && (isArm ? own.isAArch64() : own.isX86()))
    return own;
  return llvm::Triple(isArm ? "aarch64-unknown-linux-gnu"
                            : "x86_64-unknown-linux-gnu");
}

std::string Target::triple() const { return tripleOf(isArm).str(); }

/// A description of the CPU `cpu` with `features`; null after an error.
static std::unique_ptr<llvm::MCSubtargetInfo>
makeSubtarget(Location loc, bool isArm, StringRef cpu, StringRef features) {
  llvm::Triple triple = tripleOf(isArm);
  std::string error;
  const llvm::Target *backend =
      llvm::TargetRegistry::lookupTarget(triple, error);
  if (!backend) {
    emitError(loc) << error;
    return nullptr;
  }
  return std::unique_ptr<llvm::MCSubtargetInfo>(
      backend->createMCSubtargetInfo(triple, cpu, features));
}

/// Whether `cpu` is an AArch64 CPU; fails, after an error, if it is none of
/// either architecture.
static FailureOr<bool> findArchitecture(Location loc, StringRef cpu) {
  if (cpu == baselineArm)
    return true;
  bool hostIsArm = llvm::Triple(llvm::sys::getProcessTriple()).isAArch64();
  for (bool isArm : {hostIsArm, !hostIsArm}) {
    // A subtarget of the baseline knows every name without complaining itself.
    auto names = makeSubtarget(loc, isArm, isArm ? "generic" : "x86-64", "");
    if (!names)
      return failure();
    if (names->isCPUStringValid(cpu))
      return isArm;
  }
  return emitError(loc) << "unknown CPU '" << cpu << "'";
}

FailureOr<Target> Target::resolve(Location loc, StringRef cpu,
                                  StringRef features) {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeAArch64TargetInfo();
  LLVMInitializeAArch64Target();
  LLVMInitializeAArch64TargetMC();

  Target target;
  target.cpu = cpu == "native" ? llvm::sys::getHostCPUName().str() : cpu.str();
  FailureOr<bool> isArm = findArchitecture(loc, target.cpu);
  if (failed(isArm))
    return failure();
  target.isArm = *isArm;
  auto names =
      makeSubtarget(loc, target.isArm, target.isArm ? "generic" : "x86-64", "");
  if (!names || failed(checkFeatures(loc, features, *names)))
    return failure();

  if (cpu == "native")
    target.features = hostFeatures();
  if (!target.features.empty() && !features.empty())
    target.features += ",";
  target.features += features;

  auto subtarget =
      makeSubtarget(loc, target.isArm, target.codeGenCPU(), target.features);
  if (!subtarget)
    return failure();
  if (!target.isArm && !subtarget->checkFeatures("+64bit"))
    return emitError(loc) << "expected a 64-bit CPU, got '" << target.cpu
                          << "'";
  if (!target.isArm && !subtarget->checkFeatures("+sse4.2"))
    return emitError(loc) << "expected a CPU with SSE4.2, got '" << target.cpu
                          << "'";
  chooseTile(target, *subtarget);
  listNeeds(target, *subtarget);
  return target;
}

int64_t Target::rowTile(TokenClass tokens) const {
  switch (tokens) {
  case TokenClass::One:
    return 1;
  case TokenClass::Few:
    return width == 16 ? 8 : 4;
  case TokenClass::Many:
    return width == 4 ? 4 : 12;
  }
  llvm_unreachable("all classes handled");
}

int64_t Target::registerRows(Type elementType, int64_t rowTile) const {
  if (width == 16 || rowTile <= 4)
    return rowTile;
  // Widened bf16 needs registers for both halves of the weights.
  return elementType.isBF16() ? 4 : 6;
}

int64_t Target::columnTile(int64_t rows) const {
  int64_t columns = panelRows;
  while (columns > width && rows * columns > accumulators * width)
    columns /= 2;
  return columns;
}

int64_t Target::packDepth(Type elementType) {
  return elementType.isBF16() ? 2 : 1;
}

int64_t Target::activationDepth(Type elementType) const {
  return hasTiles && elementType.isBF16() ? 32 : packDepth(elementType);
}

int64_t Target::packedWeightElements(Type elementType, int64_t n,
                                     int64_t k) const {
  return llvm::alignTo(n, panelRows) * llvm::alignTo(k, packDepth(elementType));
}

int64_t Target::packedTileElements(Type elementType, int64_t k,
                                   int64_t rowTile) const {
  constexpr int64_t way = 128 << 10, apart = 32 << 10;
  int64_t depth = activationDepth(elementType),
          elements = rowTile * static_cast<int64_t>(llvm::alignTo(k, depth));
  int64_t size = activationBytes(elementType);
  bool isTiled = depth > packDepth(elementType);
  return isTiled && elements * size % way == 0 ? elements + apart / size
                                               : elements;
}

int64_t Target::packedActivationElements(Type elementType, int64_t tokens,
                                         int64_t k, int64_t rowTile) const {
  return llvm::divideCeil(tokens, rowTile) *
         packedTileElements(elementType, k, rowTile);
}

} // namespace clade::cpu

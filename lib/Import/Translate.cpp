//===- Translate.cpp - Import as a translation ----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "lib/Import/Translate.h"

#include "lib/Import/Import.h"

#include "mlir/Tools/mlir-translate/Translation.h"
#include "llvm/Support/CommandLine.h"

#include <cstdlib>

using namespace clade;
using namespace clade::import;
using namespace mlir;
using nlohmann::json;

namespace {
struct ImportFlags {
  llvm::cl::opt<std::string> config{
      "config", llvm::cl::desc("The configuration to import a family for"),
      llvm::cl::value_desc("file")};
  llvm::cl::opt<std::string> tensors{
      "tensors", llvm::cl::desc("The tensors: safetensors, or its header"),
      llvm::cl::value_desc("file")};
  llvm::cl::opt<std::string> checkpoint{
      "checkpoint", llvm::cl::desc("The checkpoint to import"),
      llvm::cl::value_desc("path")};
  llvm::cl::opt<std::string> family{
      "family", llvm::cl::desc("The family to import, by name"),
      llvm::cl::value_desc("name")};
  llvm::cl::opt<std::string> dtype{
      "dtype", llvm::cl::desc("The type to compute in: bf16 or f32"),
      llvm::cl::value_desc("type")};
  llvm::cl::opt<std::string> specs{
      "specs-dir", llvm::cl::desc("The folder of the standard families"),
      llvm::cl::value_desc("folder")};
};
} // namespace

static const ImportFlags &importFlags() {
  static ImportFlags flags;
  return flags;
}

std::string import::standardSpecs() {
  const ImportFlags &flags = importFlags();
  if (!flags.specs.empty())
    return flags.specs;
  const char *folder = std::getenv("CLADE_SPECS");
  return folder ? folder : CLADE_SOURCE_SPECS;
}

/// What stands behind `marker` at the beginning of lines, at its own line and
/// column: everything else is blank. Empty if no line has the marker.
static std::string embeddedText(StringRef text, StringRef marker) {
  std::string embedded;
  bool found = false;
  while (!text.empty()) {
    auto [line, rest] = text.split('\n');
    bool marked = line.starts_with(marker);
    found |= marked;
    embedded += std::string(marked ? marker.size() : line.size(), ' ');
    if (marked)
      embedded += line.drop_front(marker.size());
    embedded += '\n';
    text = rest;
  }
  return found ? embedded : std::string();
}

static FailureOr<std::string> readFile(MLIRContext *context, StringRef path) {
  auto buffer = llvm::MemoryBuffer::getFile(path);
  if (buffer)
    return (*buffer)->getBuffer().str();
  return emitError(UnknownLoc::get(context))
         << "cannot read '" << path << "': " << buffer.getError().message();
}

/// A safetensors file of no data that has `header`, so that the reader of such
/// files checks it: offsets are added where there are none.
static std::string imageOfHeader(StringRef header) {
  json entries = json::parse(header.str(), nullptr, /*allow_exceptions=*/false);
  uint64_t size = 0;
  if (entries.is_object())
    for (auto &[name, entry] : entries.items()) {
      if (!entry.is_object() || entry.contains("data_offsets") ||
          !entry.contains("dtype") || !entry["dtype"].is_string())
        continue;
      auto dtype = rt::parseDType(entry["dtype"].get<std::string>());
      // What is too large for a test gets no bytes, and the reader says so.
      constexpr uint64_t most = 1 << 24;
      uint64_t bytes = dtype ? rt::bytesPerBlock(*dtype) : 0;
      for (const json &extent : entry.value("shape", json::array())) {
        bytes *= extent.is_number_unsigned()
                     ? std::min(extent.get<uint64_t>(), most)
                     : 0;
        if (bytes > most)
          bytes = 0;
      }
      entry["data_offsets"] = {size, size + bytes};
      size += bytes;
    }
  std::string text = entries.is_discarded() ? header.str() : entries.dump();
  text.resize((text.size() + 7) / 8 * 8, ' '); // Aligns what follows.
  std::string image;
  for (int i = 0; i < 8; ++i)
    image += static_cast<char>(text.size() >> (8 * i));
  return image + text + std::string(size, '\0');
}

/// The tensors of a safetensors image or header.
static FailureOr<rt::SafetensorsFile>
readTensors(MLIRContext *context, std::string &image, StringRef name) {
  StringRef text = image;
  if (text.ltrim().starts_with("{"))
    image = imageOfHeader(text);
  auto file = rt::SafetensorsFile::parse(
      std::as_bytes(std::span(image.data(), image.size())), name.str());
  if (file.ok())
    return std::move(*file);
  return emitError(UnknownLoc::get(context)) << file.status().message();
}

/// The family of that name; by default the last of the buffer.
static FailureOr<const spec::FamilyDecl *>
chosenFamily(SpecLibrary &library, StringRef name, StringRef buffer) {
  const spec::FamilyDecl *last = nullptr;
  for (const spec::FamilyDecl *family : library.getFamilies())
    if (name.empty() ? library.getPath(family) == buffer
                     : family->name.name == name)
      last = family;
  if (last)
    return last;
  return emitError(UnknownLoc::get(library.getContext()))
         << "expected a family" << (name.empty() ? "" : " named '") << name
         << (name.empty() ? "" : "'");
}

static FailureOr<ImportedModel> importText(const ImportFlags &flags,
                                           SpecLibrary &library, StringRef text,
                                           StringRef name) {
  MLIRContext *context = library.getContext();
  if (failed(library.addFolder(standardSpecs())) ||
      failed(library.addText(text, name)) || failed(library.finish()))
    return failure();
  if (!flags.checkpoint.empty()) {
    auto checkpoint = rt::Checkpoint::open(flags.checkpoint);
    if (!checkpoint.ok())
      return emitError(UnknownLoc::get(context))
             << checkpoint.status().message();
    return importCheckpoint(library, *checkpoint, flags.dtype);
  }
  FailureOr<std::string> configText = embeddedText(text, "// config:"),
                         image = embeddedText(text, "// tensors:");
  if (!flags.config.empty())
    configText = readFile(context, flags.config);
  if (!flags.tensors.empty())
    image = readFile(context, flags.tensors);
  if (failed(configText) || failed(image))
    return failure();
  auto config =
      Config::parse(configText->empty() ? "{}" : *configText,
                    flags.config.empty() ? name : StringRef(flags.config),
                    library.getSourceMgr(), context);
  auto family = chosenFamily(library, flags.family, name);
  if (failed(config) || failed(family))
    return failure();
  if (image->empty())
    return importFamily(library, *family, std::move(*config), std::nullopt,
                        flags.dtype);
  auto tensors = readTensors(
      context, *image, flags.tensors.empty() ? name : StringRef(flags.tensors));
  if (failed(tensors))
    return failure();
  return importFamily(library, *family, std::move(*config),
                      ArrayRef(tensors->tensors()), flags.dtype);
}

void import::registerImportTranslations() {
  importFlags(); // Before the command line is read.
  static TranslateRegistration importSpec(
      "import-spec", "print the module of a family and its configuration",
      [](const std::shared_ptr<llvm::SourceMgr> &sourceMgr, raw_ostream &os,
         MLIRContext *context) -> LogicalResult {
        const llvm::MemoryBuffer *buffer =
            sourceMgr->getMemoryBuffer(sourceMgr->getMainFileID());
        SpecLibrary library(context);
        FailureOr<ImportedModel> model =
            importText(importFlags(), library, buffer->getBuffer(),
                       buffer->getBufferIdentifier());
        if (failed(model))
          return failure();
        model->module->print(os);
        os << "\n";
        return success();
      });
}

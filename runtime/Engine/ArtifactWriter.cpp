//===- ArtifactWriter.cpp - Writing a compiled model ----------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The directory is complete before it gets its name. A previous artifact stays
// usable until then, and for whoever has it open also after.
//
//===----------------------------------------------------------------------===//

#include "runtime/Engine/Artifact.h"
#include "runtime/Support/File.h"
#include "runtime/Support/Hash.h"
#include "runtime/Support/Json.h"
#include "runtime/Support/OutputDirectory.h"
#include "runtime/Support/Text.h"

#include <filesystem>
#include <set>

using namespace clade::rt;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

/// The manifest of any version in `directory`, or null.
json looseManifest(const std::string &directory) {
  StatusOr<std::string> text = readTextFile(directory + "/manifest.json");
  if (!text.ok())
    return nullptr;
  StatusOr<json> value = parseJson(*text);
  if (!value.ok() || !value->is_object())
    return nullptr;
  auto format = value->find("format");
  if (format == value->end() || *format != "clade-artifact")
    return nullptr;
  return std::move(*value);
}

/// Whether what is at `path` may be replaced by an artifact.
Status checkReplaceable(const std::string &path) {
  std::error_code error;
  fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found)
    return {};
  if (!fs::is_directory(status))
    return Status::invalidArgument(quoteName(path) +
                                   " exists and is not an artifact");
  if (fs::is_empty(path, error))
    return {};
  json manifest = looseManifest(path);
  if (manifest.is_null())
    return Status::invalidArgument(quoteName(path) +
                                   " exists and is not an artifact");
  std::set<std::string> known = {"manifest.json"};
  if (auto files = manifest.find("files");
      files != manifest.end() && files->is_object())
    for (const auto &file : files->items())
      known.insert(file.key());
  if (known.count(packedIndex))
    known.insert(packedData);
  for (const fs::directory_entry &entry : fs::directory_iterator(path, error))
    if (!known.count(entry.path().filename().string()))
      return Status::invalidArgument(
          quoteName(path) + " holds " +
          quoteName(entry.path().filename().string()) +
          ", which is not part of the artifact");
  if (error)
    return systemError("cannot read", path, error.value());
  return {};
}

Status addFile(const std::string &directory, const std::string &name,
               std::string_view content, Manifest &manifest) {
  manifest.files[name] = {content.size(), hashOf(content)};
  CLADE_ASSIGN_OR_RETURN(auto file, AtomicFile::create(directory + "/" + name));
  CLADE_RETURN_IF_ERROR(
      file->append(std::as_bytes(std::span(content.data(), content.size()))));
  return file->commit();
}

/// A path without what a folder's may end with.
std::string withoutSlashes(const std::string &path) {
  std::string target = fs::path(path).lexically_normal().string();
  while (target.size() > 1 && target.back() == '/')
    target.pop_back();
  return target;
}

} // namespace

bool clade::rt::isArtifact(const std::string &path) {
  return !looseManifest(path).is_null();
}

Status clade::rt::writeArtifact(const std::string &path, Manifest manifest,
                                const ArtifactContents &contents) {
  std::string target = withoutSlashes(path);
  manifest.files.clear();
  for (const auto &[name, content] : contents.extraFiles) {
    manifest.files[name] = {};
    if (name == "code.so" || name == "weights.json" || name == packedIndex ||
        name == packedData)
      return Status::invalidArgument(quoteName(name) +
                                     " cannot be an extra file");
  }
  CLADE_RETURN_IF_ERROR(manifest.validate());
  CLADE_RETURN_IF_ERROR(checkReplaceable(target));
  std::shared_ptr<const MappedFile> code;
  if (!manifest.target.isCuda()) {
    CLADE_ASSIGN_OR_RETURN(code, MappedFile::open(contents.code));
  }
  CLADE_ASSIGN_OR_RETURN(auto directory, OutputDirectory::create(target));
  if (code) {
    std::string_view codeText(
        reinterpret_cast<const char *>(code->bytes().data()),
        code->bytes().size());
    CLADE_RETURN_IF_ERROR(
        addFile(directory->path(), "code.so", codeText, manifest));
  }
  CLADE_RETURN_IF_ERROR(
      addFile(directory->path(), "weights.json", contents.weights, manifest));
  for (const auto &[name, content] : contents.extraFiles)
    CLADE_RETURN_IF_ERROR(addFile(directory->path(), name, content, manifest));
  if (contents.pack) {
    CLADE_ASSIGN_OR_RETURN(std::string index,
                           contents.pack(directory->path() + "/" + packedData));
    CLADE_RETURN_IF_ERROR(
        addFile(directory->path(), packedIndex, index, manifest));
  }
  std::string text = manifest.toJson();
  Manifest scratch;
  CLADE_RETURN_IF_ERROR(
      addFile(directory->path(), "manifest.json", text, scratch));
  return directory->commit();
}

Status clade::rt::copyArtifact(const std::string &from,
                               const std::string &path) {
  std::string target = withoutSlashes(path);
  CLADE_ASSIGN_OR_RETURN(std::string text,
                         readTextFile(from + "/manifest.json"));
  CLADE_ASSIGN_OR_RETURN(Manifest manifest, Manifest::fromJson(text));
  if (manifest.files.contains(packedIndex))
    return Status::invalidArgument(quoteName(from) +
                                   " holds its weights, which are not copied");
  CLADE_RETURN_IF_ERROR(checkReplaceable(target));
  CLADE_ASSIGN_OR_RETURN(auto directory, OutputDirectory::create(target));
  Manifest copied;
  for (const auto &[name, file] : manifest.files) {
    CLADE_ASSIGN_OR_RETURN(auto mapped, MappedFile::open(from + "/" + name));
    std::string_view content(
        reinterpret_cast<const char *>(mapped->bytes().data()),
        mapped->bytes().size());
    CLADE_RETURN_IF_ERROR(addFile(directory->path(), name, content, copied));
    const ManifestFile &made = copied.files[name];
    if (made.bytes != file.bytes || made.xxh128 != file.xxh128)
      return Status::corruption(quoteName(from + "/" + name) +
                                " does not match its hash in the manifest");
  }
  CLADE_RETURN_IF_ERROR(
      addFile(directory->path(), "manifest.json", text, copied));
  return directory->commit();
}

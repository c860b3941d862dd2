//===- PackedWeights.cpp - Compiled weights in a file ---------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The loader fills a mapping of the file instead of memory of its own, so that
// the kernel writes the pages out as it needs them back.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/PackedWeights.h"

#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/File.h"
#include "runtime/Support/Hash.h"
#include "runtime/Support/Text.h"
#include "runtime/Weights/WeightJson.h"

#include <atomic>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

using namespace clade::rt;
using nlohmann::json;

namespace {

constexpr int64_t packedVersion = 1;
constexpr int64_t maxPackedBytes = int64_t(1) << 50;

StatusOr<SourceFile> describeFile(const std::string &path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0)
    return systemError("cannot examine", path, errno);
  std::error_code error;
  std::string absolute = std::filesystem::absolute(path, error).string();
  return SourceFile{error ? path : absolute, info.st_size,
                    static_cast<int64_t>(info.st_mtim.tv_sec) * 1000000000 +
                        info.st_mtim.tv_nsec};
}

std::string_view textOf(ByteSpan bytes) {
  return {reinterpret_cast<const char *>(bytes.data()), bytes.size()};
}

size_t numChunks(ByteSpan all) {
  return static_cast<size_t>(
      ceilDiv(static_cast<int64_t>(all.size()), packedChunkBytes));
}

ByteSpan chunkOf(ByteSpan all, int64_t chunk) {
  auto begin = static_cast<size_t>(chunk * packedChunkBytes);
  return all.subspan(begin,
                     std::min<size_t>(packedChunkBytes, all.size() - begin));
}

/// Calls `visit(chunk, hash)` for every chunk, from several threads.
void hashChunks(
    ByteSpan all, const LoadOptions &options,
    const std::function<void(int64_t, const std::string &)> &visit) {
  auto total = static_cast<int64_t>(all.size());
  auto count = static_cast<int64_t>(numChunks(all));
  willNeed(all);
  std::atomic<int64_t> next{0}, done{0};
  auto work = [&](bool isCaller) {
    for (int64_t chunk = next++; chunk < count; chunk = next++) {
      ByteSpan bytes = chunkOf(all, chunk);
      visit(chunk, hashOf(textOf(bytes)));
      done += static_cast<int64_t>(bytes.size());
      if (isCaller && options.progress && done < total)
        options.progress(done, total);
    }
  };
  runThreads(options.threads, count, work);
  if (options.progress)
    options.progress(total, total);
}

json describeSources(const std::vector<SourceFile> &sources) {
  json list = json::array();
  for (const SourceFile &source : sources)
    list.push_back({{"path", source.path},
                    {"bytes", source.bytes},
                    {"modified", source.modified}});
  return list;
}

StatusOr<std::vector<SourceFile>> readSources(const json &index) {
  std::vector<SourceFile> sources;
  auto list = index.find("sources");
  if (list == index.end() || !list->is_array())
    return Status::corruption("'sources' is not a list");
  for (const json &entry : *list) {
    if (!entry.is_object())
      return Status::corruption("an entry of 'sources' is not an object");
    CLADE_RETURN_IF_ERROR(
        rejectUnknownKeys(entry, {"path", "bytes", "modified"}));
    SourceFile source;
    CLADE_ASSIGN_OR_RETURN(source.path, readString(entry, "path"));
    CLADE_ASSIGN_OR_RETURN(source.bytes,
                           readInteger(entry, "bytes", maxPackedBytes));
    CLADE_ASSIGN_OR_RETURN(source.modified,
                           readInteger(entry, "modified", INT64_MAX));
    sources.push_back(std::move(source));
  }
  return sources;
}

} // namespace

StatusOr<std::vector<SourceFile>>
clade::rt::sourceFiles(const Checkpoint &checkpoint) {
  std::vector<SourceFile> files;
  for (const auto &mapping : checkpoint.mappings()) {
    CLADE_ASSIGN_OR_RETURN(SourceFile file, describeFile(mapping->path()));
    files.push_back(std::move(file));
  }
  return files;
}

StatusOr<std::string> clade::rt::packWeights(const std::string &path,
                                             const WeightTable &table,
                                             std::string_view tableText,
                                             const Checkpoint &checkpoint,
                                             const LoadOptions &options) {
  CLADE_ASSIGN_OR_RETURN(std::vector<SourceFile> sources,
                         sourceFiles(checkpoint));
  FileDescriptor file(::open(path.c_str(),
                             O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC,
                             /*mode=*/0666));
  if (file.get() < 0)
    return systemError("cannot create", path, errno);
  LoadOptions own = options;
  own.file = file.get();
  StatusOr<LoadedWeights> loaded = loadWeights(table, checkpoint, own);
  if (!loaded.ok())
    return loaded.takeStatus();
  ByteSpan all = loaded->allocated();
  std::vector<std::string> hashes(numChunks(all));
  LoadOptions silent;
  silent.threads = options.threads;
  hashChunks(all, silent, [&](int64_t chunk, const std::string &hash) {
    hashes[static_cast<size_t>(chunk)] = hash;
  });
  json slots = json::array();
  for (int32_t slot = 0; slot < loaded->numSlots(); ++slot) {
    ByteSpan bytes = loaded->slot(slot);
    slots.push_back({bytes.data() - all.data(), bytes.size()});
  }
  if (::fsync(file.get()) != 0)
    return systemError("cannot write", path, errno);
  json index = {{"version", packedVersion},
                {"plan", hashOf(tableText)},
                {"bytes", all.size()},
                {"chunk", packedChunkBytes},
                {"hashes", hashes},
                {"slots", slots},
                {"sources", describeSources(sources)}};
  return index.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

StatusOr<PackedWeights> PackedWeights::open(const std::string &path,
                                            std::string_view indexText,
                                            std::string_view tableText) {
  CLADE_ASSIGN_OR_RETURN(json index, parseJson(indexText));
  auto bad = [](const std::string &what) {
    return Status::corruption("'packed.json': " + what);
  };
  if (!index.is_object())
    return bad("expected an object");
  CLADE_ASSIGN_OR_RETURN(int64_t version,
                         readInteger(index, "version", INT32_MAX));
  if (version != packedVersion)
    return Status::unsupported("'packed.json': expected version " +
                               std::to_string(packedVersion) + ", got " +
                               std::to_string(version));
  CLADE_RETURN_IF_ERROR(
      rejectUnknownKeys(index, {"version", "plan", "bytes", "chunk", "hashes",
                                "slots", "sources"}));
  CLADE_ASSIGN_OR_RETURN(std::string plan, readString(index, "plan"));
  if (plan != hashOf(tableText))
    return bad("the weights were packed by another plan than 'weights.json'");
  CLADE_ASSIGN_OR_RETURN(int64_t bytes,
                         readInteger(index, "bytes", maxPackedBytes));
  CLADE_ASSIGN_OR_RETURN(int64_t chunk,
                         readInteger(index, "chunk", maxPackedBytes));
  if (chunk != packedChunkBytes)
    return bad("expected chunks of " + std::to_string(packedChunkBytes) +
               " bytes, got " + std::to_string(chunk));

  PackedWeights result;
  CLADE_ASSIGN_OR_RETURN(result.file, MappedFile::open(path));
  ByteSpan all = result.file->bytes();
  if (all.size() != static_cast<size_t>(bytes))
    return Status::corruption(quoteName(path) + " has " +
                              std::to_string(all.size()) + " bytes, expected " +
                              std::to_string(bytes));
  const json &hashes = index["hashes"];
  if (!hashes.is_array() || hashes.size() != numChunks(all))
    return bad("expected one hash for each chunk");
  for (const json &hash : hashes) {
    if (!hash.is_string())
      return bad("a hash is not a string");
    result.hashes.push_back(hash.get<std::string>());
  }
  const json &slots = index["slots"];
  if (!slots.is_array())
    return bad("'slots' is not a list");
  for (const json &slot : slots) {
    if (!slot.is_array() || slot.size() != 2 || !slot[0].is_number_unsigned() ||
        !slot[1].is_number_unsigned())
      return bad("a slot is not an offset and a size");
    auto offset = slot[0].get<uint64_t>(), size = slot[1].get<uint64_t>();
    if (offset % 64 != 0 || offset > all.size() || size > all.size() - offset)
      return bad("slot " + std::to_string(result.spans.size()) +
                 " lies outside of the file");
    result.spans.push_back(all.subspan(offset, size));
  }
  CLADE_ASSIGN_OR_RETURN(result.sources, readSources(index));
  return result;
}

Status PackedWeights::checkSource() const {
  for (const SourceFile &source : sources) {
    if (!fileExists(source.path))
      continue; // The weights do not need it.
    CLADE_ASSIGN_OR_RETURN(SourceFile now, describeFile(source.path));
    if (now.bytes != source.bytes || now.modified != source.modified)
      return Status::invalidArgument(
          quoteName(file->path()) + " was made of " + quoteName(source.path) +
          ", which has changed since: run 'clade convert --to packed' again");
  }
  return {};
}

Status PackedWeights::verify(const LoadOptions &options) const {
  std::mutex mutex;
  int64_t first = -1;
  hashChunks(file->bytes(), options,
             [&](int64_t chunk, const std::string &hash) {
               if (hash == hashes[static_cast<size_t>(chunk)])
                 return;
               std::lock_guard<std::mutex> guard(mutex);
               first = first < 0 ? chunk : std::min(first, chunk);
             });
  if (first < 0)
    return {};
  int64_t begin = first * packedChunkBytes;
  return Status::corruption(
      quoteName(file->path()) + " is damaged: bytes " + std::to_string(begin) +
      " to " + std::to_string(std::min(begin + packedChunkBytes, bytes()) - 1) +
      " do not match their hash");
}

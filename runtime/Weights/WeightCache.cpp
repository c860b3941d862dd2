//===- WeightCache.cpp - Made weights kept for the next load --------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The name of an entry is the hash of the plan and of the state of every file:
// path, size, and when its contents and its inode last changed, to the
// nanosecond. A program can set the first of these times, not the second.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/WeightCache.h"

#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/File.h"
#include "runtime/Support/Hash.h"
#include "runtime/Support/OutputDirectory.h"
#include "runtime/Weights/PackedBlocks.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <sys/statvfs.h>

using namespace clade::rt;
namespace fs = std::filesystem;

namespace {

constexpr const char *dataName = "packed.bin";
constexpr const char *indexName = "packed.json";

/// An entry of the folder.
struct Kept {
  std::string path;
  int64_t bytes = 0, used = 0; ///< `used`: nanoseconds since 1970.
};

int64_t nanoseconds(const timespec &time) {
  return static_cast<int64_t>(time.tv_sec) * 1000000000 + time.tv_nsec;
}

bool isEntryName(const std::string &name) {
  return name.size() == hashOf("").size() &&
         name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<Kept> entriesOf(const std::string &folder) {
  std::vector<Kept> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    Kept kept;
    kept.path = at->path().string();
    struct stat data, index;
    if (!isEntryName(at->path().filename().string()) ||
        ::stat((kept.path + "/" + dataName).c_str(), &data) != 0 ||
        ::stat((kept.path + "/" + indexName).c_str(), &index) != 0)
      continue;
    kept.bytes = data.st_size;
    kept.used = nanoseconds(index.st_mtim);
    entries.push_back(std::move(kept));
  }
  std::sort(entries.begin(), entries.end(),
            [](const Kept &a, const Kept &b) { return a.used < b.used; });
  return entries;
}

/// Removes the entries that were not used for longest until `bytes` more fit.
/// Whoever has one mapped keeps it.
void makeRoom(const WeightCacheOptions &options, int64_t bytes) {
  std::vector<Kept> entries = entriesOf(options.folder);
  int64_t held = 0;
  for (const Kept &entry : entries)
    held += entry.bytes;
  for (const Kept &entry : entries) {
    if (held <= options.maxBytes - bytes)
      return;
    std::error_code ignored;
    fs::remove_all(entry.path, ignored);
    held -= entry.bytes;
  }
}

/// Whether a weight is used where it lies in its file.
bool isInPlace(const WeightNode &node) {
  switch (node.op) {
  case WeightOp::Source:
    return true;
  case WeightOp::Reshape:
    return isInPlace(node.inputs.front());
  case WeightOp::Slice:
    return node.axis == 0 && isInPlace(node.inputs.front());
  default:
    return false;
  }
}

/// Whether the disk has room for `bytes` and as much again.
bool hasRoom(const std::string &folder, int64_t bytes) {
  struct statvfs info;
  return ::statvfs(folder.c_str(), &info) == 0 &&
         static_cast<double>(info.f_bavail) *
                 static_cast<double>(info.f_frsize) >
             2 * static_cast<double>(bytes);
}

/// Nothing if a file is no longer there.
std::optional<std::string> keyOf(std::string_view tableText,
                                 const Checkpoint &checkpoint) {
  std::string key = std::to_string(packedBlocksVersion) + ' ';
  key += tableText;
  for (const auto &mapping : checkpoint.mappings()) {
    struct stat info;
    if (::stat(mapping->path().c_str(), &info) != 0)
      return std::nullopt;
    std::error_code error;
    std::string path = fs::absolute(mapping->path(), error).string();
    if (error)
      return std::nullopt;
    key += '\n';
    key += path;
    for (int64_t number :
         {static_cast<int64_t>(info.st_dev), static_cast<int64_t>(info.st_ino),
          static_cast<int64_t>(info.st_size), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)})
      key.append(1, ' ').append(std::to_string(number));
  }
  return hashOf(key);
}

StatusOr<PackedWeights> openEntry(const std::string &entry,
                                  std::string_view tableText) {
  std::string index = entry + "/" + indexName;
  CLADE_ASSIGN_OR_RETURN(std::string text, readTextFile(index));
  CLADE_ASSIGN_OR_RETURN(
      PackedWeights packed,
      PackedWeights::open(entry + "/" + dataName, text, tableText));
  CLADE_RETURN_IF_ERROR(packed.checkSource());
  // When it was used last, for makeRoom().
  (void)::utimensat(AT_FDCWD, index.c_str(), /*times=*/nullptr, /*flags=*/0);
  return packed;
}

} // namespace

std::optional<int64_t> clade::rt::bytesToMake(const WeightTable &table) {
  int64_t total = 0;
  for (const WeightEntry &entry : table.entries) {
    if (isInPlace(entry.program))
      continue;
    std::optional<int64_t> one =
        tensorBytes(entry.program.dtype, entry.program.shape);
    std::optional<int64_t> all =
        one ? checkedMul(*one, static_cast<int64_t>(entry.slots.size()))
            : std::nullopt;
    std::optional<int64_t> sum = all ? checkedAdd(total, *all) : std::nullopt;
    if (!sum)
      return std::nullopt;
    total = *sum;
  }
  return total;
}

/// What the cache would have to hold of these weights; nothing if it is not for
/// them.
static std::optional<int64_t> servedBytes(const WeightCacheOptions &options,
                                          const WeightTable &table) {
  std::optional<int64_t> bytes = clade::rt::bytesToMake(table);
  bool isServed = !options.folder.empty() && bytes &&
                  *bytes >= options.minBytes && *bytes <= options.maxBytes;
  return isServed ? bytes : std::nullopt;
}

bool clade::rt::isCached(const WeightCacheOptions &options,
                         const WeightTable &table, std::string_view tableText,
                         const Checkpoint &checkpoint) {
  std::optional<std::string> key =
      servedBytes(options, table) ? keyOf(tableText, checkpoint) : std::nullopt;
  return key && openEntry(options.folder + "/" + *key, tableText).ok();
}

StatusOr<std::optional<PackedWeights>>
clade::rt::cachedWeights(const WeightCacheOptions &options,
                         const WeightTable &table, std::string_view tableText,
                         const Checkpoint &checkpoint,
                         const LoadOptions &loadOptions) {
  const std::optional<PackedWeights> nothing;
  std::optional<int64_t> bytes = servedBytes(options, table);
  if (!bytes)
    return nothing;
  std::error_code error;
  fs::create_directories(options.folder, error);
  std::optional<std::string> key = keyOf(tableText, checkpoint);
  if (error || !key)
    return nothing;
  std::string entry = options.folder + "/" + *key;
  if (StatusOr<PackedWeights> found = openEntry(entry, tableText); found.ok())
    return std::optional<PackedWeights>(std::move(*found));
  makeRoom(options, *bytes);
  if (!hasRoom(options.folder, *bytes))
    return nothing;
  auto made = OutputDirectory::create(entry);
  if (!made.ok())
    return nothing;
  std::string folder = (*made)->path();
  StatusOr<std::string> index = packWeights(folder + "/" + dataName, table,
                                            tableText, checkpoint, loadOptions);
  if (!index.ok()) {
    // What the disk refuses is made in memory instead.
    Status status = index.takeStatus();
    return status.code() == StatusCode::IOError
               ? StatusOr<std::optional<PackedWeights>>(nothing)
               : StatusOr<std::optional<PackedWeights>>(std::move(status));
  }
  if (!writeTextFile(folder + "/" + indexName, *index).ok() ||
      !(*made)->commit().ok())
    return nothing;
  StatusOr<PackedWeights> opened = openEntry(entry, tableText);
  if (!opened.ok())
    return nothing;
  return std::optional<PackedWeights>(std::move(*opened));
}

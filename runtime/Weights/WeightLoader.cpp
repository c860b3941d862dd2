//===- WeightLoader.cpp - Runs a weight table -----------------------------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Binds every slot's program first, so that all errors about the checkpoint
// come before any work; then decides which weights can stay where they are,
// allocates one arena for the others and fills it, threads taking pieces in
// order from a common counter.
//
//===----------------------------------------------------------------------===//

#include "runtime/Weights/WeightLoader.h"

#include "runtime/Support/CheckedMath.h"
#include "runtime/Support/Text.h"
#include "runtime/Weights/Evaluator.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <sys/mman.h>
#include <system_error>
#include <thread>
#include <unistd.h>

using namespace clade::rt;

namespace {

constexpr int64_t slotAlignment = 64;
/// About the bytes that a thread makes between two looks at the counter.
constexpr int64_t pieceBytes = int64_t(1) << 20;
/// Bytes of a file that are written at a time to have room for them.
constexpr int64_t roomBytes = int64_t(8) << 20;

/// Whether the compiled code can read elements of a type there.
bool isAligned(const std::byte *data, DType dtype) {
  int64_t alignment = isBlockType(dtype) ? slotAlignment : bytesPerBlock(dtype);
  return reinterpret_cast<uintptr_t>(data) %
             static_cast<uintptr_t>(alignment) ==
         0;
}

} // namespace

StatusOr<ByteSpan> clade::rt::resolveSource(const WeightSources &sources,
                                            const WeightNode &source,
                                            int64_t layer) {
  std::string name = expandLayer(source.name, layer);
  const StoredTensor *tensor = findTensor(sources.tensors, name);
  if (!tensor)
    return Status::notFound("tensor " + quoteName(name) + " is not in " +
                            quoteName(sources.place));
  if (tensor->dtype != source.dtype || tensor->shape != source.shape)
    return Status::invalidArgument(
        "tensor " + quoteName(name) + " in " + quoteName(sources.place) +
        " is " + std::string(dtypeName(tensor->dtype)) + " " +
        shapeText(tensor->shape) + ", expected " +
        std::string(dtypeName(source.dtype)) + " " + shapeText(source.shape));
  return tensor->bytes;
}

void clade::rt::runThreads(int threads, int64_t jobs,
                           const std::function<void(bool isCaller)> &work) {
  int64_t wanted =
      threads > 0 ? threads
                  : static_cast<int64_t>(std::thread::hardware_concurrency());
  wanted = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, jobs));
  std::vector<std::thread> others;
  try {
    for (int64_t i = 1; i < wanted; ++i)
      others.emplace_back([&work] { work(/*isCaller=*/false); });
  } catch (const std::exception &) {
    // The system gives no more threads: those there are do the work.
  }
  work(/*isCaller=*/true);
  for (std::thread &thread : others)
    thread.join();
}

namespace clade::rt {

/// One call of loadWeights().
class WeightLoader {
public:
  WeightLoader(const WeightTable &table, const WeightSources &sources,
               const LoadOptions &options)
      : table(table), sources(sources), options(options) {}

  StatusOr<LoadedWeights> run();

private:
  /// A slot that has to be made.
  struct Job {
    std::unique_ptr<Evaluator> evaluator;
    std::byte *out = nullptr;
    int64_t piece = 0;      ///< Elements a piece.
    int64_t firstPiece = 0; ///< Number of its first piece among all.
  };

  Status bindEntry(const WeightEntry &entry);
  Status bindSlot(const WeightEntry &entry, int64_t layer, int32_t slot);
  int makeRoom(int64_t total);
  Status allocate();
  Status fill();
  void keepMappings();
  void work(bool isCaller);
  void makePieces(bool isCaller, Scratch &scratch);
  void makePiece(int64_t number, Scratch &scratch);

  const WeightTable &table;
  const WeightSources &sources;
  const LoadOptions &options;
  LoadedWeights result;
  std::vector<Job> jobs;
  std::vector<int32_t> jobSlots; ///< The slot of each job.
  /// Slots that hold what an earlier slot holds.
  std::vector<std::pair<int32_t, int32_t>> aliases;
  int64_t pieceCount = 0;
  int64_t totalBytes = 0; ///< Of all jobs.

  std::atomic<int64_t> nextPiece{0};
  std::atomic<int64_t> doneBytes{0};
  std::atomic<int64_t> readBytes{0};
  std::atomic<int64_t> scratchBytes{0};
  std::atomic<bool> cancelled{false};
  std::atomic<bool> outOfMemory{false};
};

/// Binds the slots of `entry`; those made from the same layer share a weight.
Status WeightLoader::bindEntry(const WeightEntry &entry) {
  bool isLayered = mentionsLayer(entry.program);
  std::map<int64_t, int32_t> slotOfLayer;
  for (size_t i = 0; i < entry.slots.size(); ++i) {
    int64_t layer = isLayered ? entry.layers[i] : 0;
    auto [found, isNew] = slotOfLayer.emplace(layer, entry.slots[i]);
    if (isNew)
      CLADE_RETURN_IF_ERROR(bindSlot(entry, layer, entry.slots[i]));
    else
      aliases.emplace_back(entry.slots[i], found->second);
  }
  return {};
}

Status WeightLoader::bindSlot(const WeightEntry &entry, int64_t layer,
                              int32_t slot) {
  std::vector<ByteSpan> read;
  auto resolve = [&](const WeightNode &source) -> StatusOr<ByteSpan> {
    CLADE_ASSIGN_OR_RETURN(ByteSpan bytes,
                           resolveSource(sources, source, layer));
    read.push_back(bytes);
    return bytes;
  };
  StatusOr<std::unique_ptr<Evaluator>> bound =
      bindProgram(entry.program, resolve);
  if (!bound.ok())
    return bound.takeStatus().withContext("weight " + quoteName(entry.param));

  Evaluator &evaluator = **bound;
  int64_t size = evaluator.bytes(evaluator.count());
  const std::byte *inPlace = evaluator.direct(0, evaluator.count());
  if (options.useMappings && options.file < 0 && inPlace &&
      isAligned(inPlace, evaluator.dtype())) {
    result.spans[static_cast<size_t>(slot)] = {inPlace,
                                               static_cast<size_t>(size)};
    result.mapped += size;
    return {};
  }
  // What stays in place is read by whoever uses it.
  for (ByteSpan bytes : read)
    willNeed(bytes);
  Job job;
  job.piece = evaluator.granule();
  int64_t granuleBytes = evaluator.bytes(job.piece);
  job.piece *= std::max<int64_t>(1, pieceBytes / granuleBytes);
  job.firstPiece = pieceCount;
  pieceCount += ceilDiv(evaluator.count(), job.piece);
  job.evaluator = std::move(*bound);
  jobs.push_back(std::move(job));
  jobSlots.push_back(slot);
  return {};
}

/// Gives the file `total` bytes; 0, or the system's error.
int WeightLoader::makeRoom(int64_t total) {
  int error = ::posix_fallocate(options.file, 0, total);
  if (error != 0 || !options.offsets.empty())
    return error;
  // Written in large pieces, the file is cached in large folios, which whoever
  // maps it later then maps by large pages.
  std::vector<std::byte> zeros(static_cast<size_t>(std::min(total, roomBytes)));
  for (int64_t at = 0; at < total && !(options.cancel && *options.cancel);) {
    auto size = static_cast<size_t>(std::min(total - at, roomBytes));
    ssize_t written = ::pwrite(options.file, zeros.data(), size, at);
    if (written < 0 && errno != EINTR)
      return errno;
    at += std::max<ssize_t>(written, 0);
  }
  return 0;
}

Status WeightLoader::allocate() {
  std::vector<int64_t> offsets;
  int64_t total = 0;
  for (const Job &job : jobs) {
    offsets.push_back(total);
    int64_t size = job.evaluator->bytes(job.evaluator->count());
    std::optional<int64_t> end = checkedAdd(total, size);
    if (end)
      end = checkedAlignUp(*end, slotAlignment);
    if (!end)
      return Status::resourceExhausted(
          "the weights do not fit in 63 bits of address");
    total = *end;
    totalBytes += size; // At most `total`.
  }
  if (total == 0)
    return {};
  bool inFile = options.file >= 0;
  if (inFile && !options.offsets.empty()) {
    total = options.fileBytes;
    for (size_t i = 0; i < jobs.size(); ++i)
      offsets[i] = options.offsets[static_cast<size_t>(jobSlots[i])];
  }
  // A mapped file that has no room on the disk would end in a signal.
  if (int error = inFile ? makeRoom(total) : 0)
    return Status::ioError(
        "cannot make a file of " + std::to_string(total) +
        " bytes for weights: " + std::generic_category().message(error));
  void *arena =
      ::mmap(nullptr, static_cast<size_t>(total), PROT_READ | PROT_WRITE,
             inFile ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, options.file,
             /*offset=*/0);
  if (arena == MAP_FAILED)
    return Status::resourceExhausted(
        "cannot allocate " + std::to_string(total) +
        " bytes for weights: " + std::generic_category().message(errno));
#ifdef MADV_HUGEPAGE
  // Fewer page faults now, fewer TLB misses later. Only advice.
  ::madvise(arena, static_cast<size_t>(total), MADV_HUGEPAGE);
#endif
  result.arena = static_cast<std::byte *>(arena);
  result.arenaSize = static_cast<size_t>(total);
  result.arenaUsed = total;
  for (size_t i = 0; i < jobs.size(); ++i) {
    jobs[i].out = result.arena + offsets[i];
    const Evaluator &evaluator = *jobs[i].evaluator;
    result.spans[static_cast<size_t>(jobSlots[i])] = {
        jobs[i].out, static_cast<size_t>(evaluator.bytes(evaluator.count()))};
  }
  return {};
}

void WeightLoader::makePiece(int64_t number, Scratch &scratch) {
  // The last job that begins at or before this piece.
  auto after = std::upper_bound(
      jobs.begin(), jobs.end(), number,
      [](int64_t piece, const Job &job) { return piece < job.firstPiece; });
  const Job &job = *std::prev(after);
  const Evaluator &evaluator = *job.evaluator;
  int64_t begin = (number - job.firstPiece) * job.piece;
  int64_t end = std::min(evaluator.count(), begin + job.piece);
  Scratch::Frame frame(scratch);
  evaluator.read(begin, end, job.out + evaluator.bytes(begin), scratch);
  doneBytes += evaluator.bytes(end - begin);
}

void WeightLoader::work(bool isCaller) {
  Scratch scratch;
  makePieces(isCaller, scratch);
  readBytes += takeSourceBytes();
  int64_t used = scratch.allocatedBytes(), most = scratchBytes;
  while (used > most && !scratchBytes.compare_exchange_weak(most, used)) {
  }
}

void WeightLoader::makePieces(bool isCaller, Scratch &scratch) {
  while (!cancelled && !outOfMemory) {
    int64_t piece = nextPiece++;
    if (piece >= pieceCount)
      return;
    if (options.cancel && *options.cancel) {
      cancelled = true;
      return;
    }
    try {
      makePiece(piece, scratch);
    } catch (const std::bad_alloc &) {
      outOfMemory = true;
      return;
    }
    if (isCaller && options.progress && doneBytes < totalBytes)
      options.progress(doneBytes, totalBytes);
  }
}

Status WeightLoader::fill() {
  runThreads(options.threads, pieceCount,
             [this](bool isCaller) { work(isCaller); });
  if (cancelled)
    return Status::cancelled("loading of weights was cancelled");
  if (outOfMemory)
    return Status::resourceExhausted("not enough memory to load weights");
  if (options.progress)
    options.progress(totalBytes, totalBytes);
  return {};
}

StatusOr<LoadedWeights> WeightLoader::run() {
  result.spans.resize(static_cast<size_t>(table.numSlots));
  for (const WeightEntry &entry : table.entries)
    CLADE_RETURN_IF_ERROR(bindEntry(entry));
  takeSourceBytes(); // Binding asks where things lie.
  CLADE_RETURN_IF_ERROR(allocate());
  CLADE_RETURN_IF_ERROR(fill());
  result.read = readBytes;
  result.scratch = scratchBytes;
  for (auto [slot, original] : aliases)
    result.spans[static_cast<size_t>(slot)] =
        result.spans[static_cast<size_t>(original)];
  for (ByteSpan span : result.spans)
    result.slots.push_back(span.data());
  if (result.mapped > 0)
    keepMappings();
  return std::move(result);
}

/// Keeps the files that slots lie in, and lets go of what was only read to make
/// others.
void WeightLoader::keepMappings() {
  std::vector<ByteSpan> used = result.spans;
  std::erase_if(used, [](ByteSpan span) { return span.empty(); });
  std::ranges::sort(used, std::less<>(), &ByteSpan::data);
  for (const auto &file : sources.mappings) {
    ByteSpan bytes = file->bytes();
    const std::byte *done = bytes.data(), *end = done + bytes.size();
    for (ByteSpan span : used)
      if (span.data() >= bytes.data() && span.data() < end) {
        if (span.data() > done)
          dontNeed({done, span.data()});
        done = std::max(done, span.data() + span.size());
        if (result.mappings.empty() || result.mappings.back() != file)
          result.mappings.push_back(file);
      }
    dontNeed({done, end});
  }
}

} // namespace clade::rt

LoadedWeights &LoadedWeights::operator=(LoadedWeights &&other) noexcept {
  std::swap(arena, other.arena);
  std::swap(arenaSize, other.arenaSize);
  std::swap(arenaUsed, other.arenaUsed);
  std::swap(mapped, other.mapped);
  std::swap(read, other.read);
  std::swap(scratch, other.scratch);
  slots.swap(other.slots);
  spans.swap(other.spans);
  mappings.swap(other.mappings);
  return *this;
}

LoadedWeights::~LoadedWeights() {
  if (arena)
    ::munmap(arena, arenaSize);
}

StatusOr<LoadedWeights> clade::rt::loadWeights(const WeightTable &table,
                                               const Checkpoint &checkpoint,
                                               const LoadOptions &options) {
  return loadWeights(
      table, {checkpoint.tensors(), checkpoint.path(), checkpoint.mappings()},
      options);
}

StatusOr<LoadedWeights> clade::rt::loadWeights(const WeightTable &table,
                                               const WeightSources &sources,
                                               const LoadOptions &options) {
  return WeightLoader(table, sources, options).run();
}

//===- Cub.cu - Primitives of the CUB library for blocks and warps --------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <cub/block/block_discontinuity.cuh>
#include <cub/block/block_exchange.cuh>
#include <cub/block/block_histogram.cuh>
#include <cub/block/block_load.cuh>
#include <cub/block/block_merge_sort.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/block/block_store.cuh>
#include <cub/warp/warp_reduce.cuh>
#include <cub/warp/warp_scan.cuh>

// Blocks of 128 threads with four items each, all of them.
constexpr int threads = 128, items = 4;

extern "C" __global__ void cubReduce(const int *in, int *sum, int *most) {
  using Reduce = cub::BlockReduce<int, threads>;
  __shared__ typename Reduce::TempStorage storage;
  int own[items];
  cub::LoadDirectBlocked(threadIdx.x, in + blockIdx.x * threads * items, own);
  int total = Reduce(storage).Sum(own);
  __syncthreads();
  int largest = Reduce(storage).Reduce(own[0], cuda::maximum<int>{});
  if (threadIdx.x == 0) {
    sum[blockIdx.x] = total;
    most[blockIdx.x] = largest;
  }
}

// The other algorithm, which keeps the order of operands.
extern "C" __global__ void cubReduceRaking(const float *in, float *sum,
                                           int valid) {
  using Reduce = cub::BlockReduce<float, threads, cub::BLOCK_REDUCE_RAKING>;
  __shared__ typename Reduce::TempStorage storage;
  float total =
      Reduce(storage).Sum(threadIdx.x < valid ? in[threadIdx.x] : 0.0f, valid);
  if (threadIdx.x == 0)
    *sum = total;
}

extern "C" __global__ void cubScan(const int *in, int *exclusive,
                                   int *inclusive, int *total) {
  using Scan = cub::BlockScan<int, threads, cub::BLOCK_SCAN_WARP_SCANS>;
  __shared__ typename Scan::TempStorage storage;
  int own[items], out[items], all;
  int start = blockIdx.x * threads * items;
  cub::LoadDirectBlocked(threadIdx.x, in + start, own);
  Scan(storage).ExclusiveSum(own, out, all);
  cub::StoreDirectBlocked(threadIdx.x, exclusive + start, out);
  __syncthreads();
  Scan(storage).InclusiveScan(own, out, cuda::maximum<int>{});
  cub::StoreDirectBlocked(threadIdx.x, inclusive + start, out);
  if (threadIdx.x == 0)
    total[blockIdx.x] = all;
}

extern "C" __global__ void cubSort(unsigned *keys) {
  using Sort = cub::BlockRadixSort<unsigned, threads, items>;
  using Load =
      cub::BlockLoad<unsigned, threads, items, cub::BLOCK_LOAD_TRANSPOSE>;
  using Store = cub::BlockStore<unsigned, threads, items,
                                cub::BLOCK_STORE_WARP_TRANSPOSE>;
  __shared__ union {
    typename Load::TempStorage load;
    typename Sort::TempStorage sort;
    typename Store::TempStorage store;
  } storage;
  unsigned own[items];
  unsigned *block = keys + blockIdx.x * threads * items;
  Load(storage.load).Load(block, own);
  __syncthreads();
  Sort(storage.sort).Sort(own);
  __syncthreads();
  Store(storage.store).Store(block, own);
}

// Floats with their places as values, the largest first.
extern "C" __global__ void cubSortPairs(float *keys, int *values) {
  using Sort = cub::BlockRadixSort<float, threads, items, int>;
  __shared__ typename Sort::TempStorage storage;
  float own[items];
  int places[items];
  cub::LoadDirectBlocked(threadIdx.x, keys, own);
  for (int i = 0; i < items; ++i)
    places[i] = threadIdx.x * items + i;
  Sort(storage).SortDescendingBlockedToStriped(own, places);
  cub::StoreDirectStriped<threads>(threadIdx.x, keys, own);
  cub::StoreDirectStriped<threads>(threadIdx.x, values, places);
}

struct Later {
  __device__ bool operator()(int a, int b) const { return a % 100 < b % 100; }
};

// A merge sort is stable: equal keys keep their order.
extern "C" __global__ void cubMergeSort(int *keys) {
  using Sort = cub::BlockMergeSort<int, threads, items>;
  __shared__ typename Sort::TempStorage storage;
  int own[items];
  cub::LoadDirectBlocked(threadIdx.x, keys, own);
  Sort(storage).Sort(own, Later{});
  cub::StoreDirectBlocked(threadIdx.x, keys, own);
}

extern "C" __global__ void cubHistogram(const unsigned char *in,
                                        unsigned *bins) {
  using Histogram = cub::BlockHistogram<unsigned char, threads, items, 256,
                                        cub::BLOCK_HISTO_SORT>;
  __shared__ typename Histogram::TempStorage storage;
  __shared__ unsigned own[256];
  unsigned char samples[items];
  cub::LoadDirectBlocked(threadIdx.x, in, samples);
  Histogram(storage).Histogram(samples, own);
  __syncthreads();
  for (int i = threadIdx.x; i < 256; i += threads)
    bins[i] = own[i];
}

// Where a run of equal values begins.
extern "C" __global__ void cubDiscontinuity(const int *in, int *heads) {
  using Discontinuity = cub::BlockDiscontinuity<int, threads>;
  __shared__ typename Discontinuity::TempStorage storage;
  int own[items], flags[items];
  cub::LoadDirectBlocked(threadIdx.x, in, own);
  Discontinuity(storage).FlagHeads(flags, own, cuda::std::not_equal_to<>{});
  cub::StoreDirectBlocked(threadIdx.x, heads, flags);
}

extern "C" __global__ void cubExchange(const int *in, int *out) {
  using Exchange = cub::BlockExchange<int, threads, items>;
  __shared__ typename Exchange::TempStorage storage;
  int own[items];
  cub::LoadDirectStriped<threads>(threadIdx.x, in, own);
  Exchange(storage).StripedToBlocked(own, own);
  // Now each thread has neighbours: their sums so far.
  for (int i = 1; i < items; ++i)
    own[i] += own[i - 1];
  __syncthreads();
  Exchange(storage).BlockedToStriped(own, own);
  cub::StoreDirectStriped<threads>(threadIdx.x, out, own);
}

// Warps by themselves, also parts of 8 threads; a segmented reduction.
extern "C" __global__ void cubWarp(const int *in, const int *heads, int *sums,
                                   int *scans, int *segments) {
  using Reduce = cub::WarpReduce<int>;
  using Scan = cub::WarpScan<int, 8>;
  __shared__ typename Reduce::TempStorage reduceStorage[threads / 32];
  __shared__ typename Scan::TempStorage scanStorage[threads / 8];
  int t = threadIdx.x, sum, scan;
  sum = Reduce(reduceStorage[t / 32]).Sum(in[t]);
  Scan(scanStorage[t / 8]).ExclusiveSum(in[t], scan);
  __syncwarp();
  int segment = Reduce(reduceStorage[t / 32]).HeadSegmentedSum(in[t], heads[t]);
  if (t % 32 == 0)
    sums[t / 32] = sum;
  scans[t] = scan;
  segments[t] = heads[t] || t % 32 == 0 ? segment : 0;
}

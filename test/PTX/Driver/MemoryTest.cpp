//===- MemoryTest.cpp - Allocations, copies and fills through the driver --===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Driver/DriverTest.h"

#include <cstring>
#include <numeric>

namespace {
using MemoryTest = DriverTest;

TEST_F(MemoryTest, AllocationsAreCounted) {
  size_t before, after, total;
  ASSERT_OK(cuMemGetInfo(&before, &total));
  CUdeviceptr data, none;
  ASSERT_OK(cuMemAlloc(&data, 1 << 20));
  EXPECT_OK(cuMemGetInfo(&after, &total));
  EXPECT_GE(before - after, size_t(1) << 20);
  EXPECT_EQ(total, size_t(1024) << 20);
  EXPECT_EQ(cuMemAlloc(&none, size_t(2) << 30), CUDA_ERROR_OUT_OF_MEMORY);
  EXPECT_EQ(cuMemAlloc(&none, 0), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemFree(data + 256), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cuMemFree(data));
  EXPECT_EQ(cuMemFree(data), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cuMemFree(0));
}

TEST_F(MemoryTest, CopiesStayInside) {
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 64));
  char host[128] = {};
  EXPECT_OK(cuMemcpyHtoD(data, host, 64));
  EXPECT_EQ(cuMemcpyHtoD(data, host, 65), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemcpyDtoH(host, data + 32, 33), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemcpyDtoH(host, 0x1000, 4), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemcpyHtoD(CUdeviceptr(host), host, 4), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemsetD8(data, 0, 65), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cuMemcpyHtoD(data, host, 0));
}

TEST_F(MemoryTest, AllKindsOfCopies) {
  CUdeviceptr a, b;
  ASSERT_OK(cuMemAlloc(&a, 64));
  ASSERT_OK(cuMemAlloc(&b, 64));
  std::vector<int> in(16), out(16);
  std::iota(in.begin(), in.end(), 100);
  CUstream stream;
  ASSERT_OK(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  EXPECT_OK(cuMemcpyHtoDAsync(a, in.data(), 64, stream));
  EXPECT_OK(cuMemcpyDtoDAsync(b, a, 64, stream));
  EXPECT_OK(cuMemcpyDtoHAsync(out.data(), b, 64, stream));
  EXPECT_OK(cuStreamSynchronize(stream));
  EXPECT_EQ(in, out);
  std::vector<int> again(16);
  EXPECT_OK(cuMemcpy(a, CUdeviceptr(out.data()), 64));
  EXPECT_OK(cuMemcpy(CUdeviceptr(again.data()), a, 64));
  EXPECT_EQ(again, in);
  EXPECT_OK(cuMemcpyDtoD(b + 32, a, 32));
  EXPECT_EQ(read(b, 16)[8], 100);
  EXPECT_OK(cuStreamDestroy(stream));
}

TEST_F(MemoryTest, FillsOfAllWidths) {
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 32));
  EXPECT_OK(cuMemsetD8(data, 0xab, 4));
  EXPECT_OK(cuMemsetD16(data + 4, 0x1234, 4));
  EXPECT_OK(cuMemsetD32(data + 12, 7, 5));
  EXPECT_EQ(read(data, 8), (std::vector<int>{int(0xabababab), 0x12341234,
                                             0x12341234, 7, 7, 7, 7, 7}));
  EXPECT_EQ(cuMemsetD32(data + 2, 7, 1), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(MemoryTest, RowsWithAPitch) {
  CUdeviceptr data;
  size_t pitch;
  ASSERT_OK(cuMemAllocPitch(&data, &pitch, 12, 3, 4));
  EXPECT_EQ(pitch, 512u);
  EXPECT_OK(cuMemsetD2D32(data, pitch, 1, 3, 3));
  std::vector<int> in = {1, 2, 3, 4, 5, 6}, out(9);
  CUDA_MEMCPY2D copy = {};
  copy.srcMemoryType = CU_MEMORYTYPE_HOST;
  copy.srcHost = in.data();
  copy.srcPitch = 8;
  copy.dstMemoryType = CU_MEMORYTYPE_DEVICE;
  copy.dstDevice = data;
  copy.dstPitch = pitch;
  copy.dstXInBytes = 4;
  copy.WidthInBytes = 8;
  copy.Height = 3;
  EXPECT_OK(cuMemcpy2D(&copy));
  CUDA_MEMCPY2D back = {};
  back.srcMemoryType = CU_MEMORYTYPE_DEVICE;
  back.srcDevice = data;
  back.srcPitch = pitch;
  back.dstMemoryType = CU_MEMORYTYPE_HOST;
  back.dstHost = out.data();
  back.dstPitch = 12;
  back.WidthInBytes = 12;
  back.Height = 3;
  EXPECT_OK(cuMemcpy2DAsync(&back, nullptr));
  EXPECT_EQ(out, (std::vector<int>{1, 1, 2, 1, 3, 4, 1, 5, 6}));
  copy.srcPitch = 4; // Less than a row.
  EXPECT_EQ(cuMemcpy2D(&copy), CUDA_ERROR_INVALID_VALUE);
  copy.srcMemoryType = CU_MEMORYTYPE_ARRAY;
  EXPECT_EQ(cuMemcpy2D(&copy), CUDA_ERROR_NOT_SUPPORTED);
}

TEST_F(MemoryTest, ManagedAndHostMemoryIsOneForBoth) {
  CUdeviceptr managed;
  ASSERT_OK(cuMemAllocManaged(&managed, 16, CU_MEM_ATTACH_GLOBAL));
  auto *ints = reinterpret_cast<int *>(managed);
  ints[0] = 5;
  EXPECT_OK(launchAdd(managed, 3, 4)) << lastReport();
  EXPECT_EQ(ints[0], 8);
  EXPECT_EQ(ints[3], 3);
  void *host;
  ASSERT_OK(cuMemHostAlloc(&host, 16, CU_MEMHOSTALLOC_DEVICEMAP));
  static_cast<int *>(host)[1] = 9;
  CUdeviceptr device;
  ASSERT_OK(cuMemHostGetDevicePointer(&device, host, 0));
  EXPECT_OK(launchAdd(device, 1, 2)) << lastReport();
  EXPECT_EQ(static_cast<int *>(host)[1], 10);
  EXPECT_EQ(cuMemFree(device), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cuMemFreeHost(host));
  EXPECT_EQ(cuMemFreeHost(host), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(cuMemFree(managed));
}

TEST_F(MemoryTest, RegisteredMemoryIsCopiedAroundALaunch) {
  std::vector<int> host = {1, 2, 3, 4};
  ASSERT_OK(cuMemHostRegister(host.data(), 16, CU_MEMHOSTREGISTER_DEVICEMAP));
  EXPECT_EQ(cuMemHostRegister(host.data() + 1, 4, 0),
            CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
  CUdeviceptr device;
  ASSERT_OK(cuMemHostGetDevicePointer(&device, host.data() + 1, 0));
  EXPECT_OK(launchAdd(device, 10, 3)) << lastReport();
  EXPECT_EQ(host, (std::vector<int>{1, 12, 13, 14}));
  EXPECT_OK(cuMemHostUnregister(host.data()));
  EXPECT_EQ(cuMemHostUnregister(host.data()),
            CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
  EXPECT_EQ(launchAdd(device, 10, 3), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_F(MemoryTest, PoolsCountWhatIsUsed) {
  CUmemoryPool pool;
  ASSERT_OK(cuDeviceGetDefaultMemPool(&pool, 0));
  CUdeviceptr data;
  ASSERT_OK(cuMemAllocAsync(&data, 4096, nullptr));
  uint64_t used;
  EXPECT_OK(
      cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
  EXPECT_EQ(used, 4096u);
  EXPECT_OK(cuMemFreeAsync(data, nullptr));
  EXPECT_OK(
      cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT, &used));
  EXPECT_EQ(used, 0u);
  EXPECT_OK(cuMemPoolGetAttribute(pool, CU_MEMPOOL_ATTR_USED_MEM_HIGH, &used));
  EXPECT_EQ(used, 4096u);
  EXPECT_EQ(cuMemPoolDestroy(pool), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuMemPoolTrimTo(CUmemoryPool(0x10), 0), CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(MemoryTest, PointersTellWhatTheyAre) {
  CUdeviceptr data, managed;
  ASSERT_OK(cuMemAlloc(&data, 64));
  ASSERT_OK(cuMemAllocManaged(&managed, 64, CU_MEM_ATTACH_GLOBAL));
  unsigned type, isManaged;
  CUdeviceptr start;
  size_t size;
  EXPECT_OK(
      cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, data + 4));
  EXPECT_EQ(type, unsigned(CU_MEMORYTYPE_DEVICE));
  EXPECT_OK(cuPointerGetAttribute(&start, CU_POINTER_ATTRIBUTE_RANGE_START_ADDR,
                                  data + 4));
  EXPECT_EQ(start, data);
  EXPECT_OK(
      cuPointerGetAttribute(&size, CU_POINTER_ATTRIBUTE_RANGE_SIZE, data + 4));
  EXPECT_EQ(size, 64u);
  EXPECT_OK(cuPointerGetAttribute(&isManaged, CU_POINTER_ATTRIBUTE_IS_MANAGED,
                                  managed));
  EXPECT_EQ(isManaged, 1u);
  int onStack = 0, ordinal;
  auto own = CUdeviceptr(&onStack);
  EXPECT_EQ(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, own),
            CUDA_ERROR_INVALID_VALUE);
  // Several at once: what is not known is zero.
  CUpointer_attribute attributes[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
                                      CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
  void *values[] = {&type, &ordinal};
  EXPECT_OK(cuPointerGetAttributes(2, attributes, values, own));
  EXPECT_EQ(type, 0u);
  EXPECT_EQ(ordinal, -2);
  EXPECT_OK(cuPointerGetAttributes(2, attributes, values, data));
  EXPECT_EQ(ordinal, 0);
  CUdeviceptr base;
  EXPECT_OK(cuMemGetAddressRange(&base, &size, data + 63));
  EXPECT_EQ(base, data);
  EXPECT_EQ(cuMemGetAddressRange(&base, &size, own), CUDA_ERROR_NOT_FOUND);
}
} // namespace

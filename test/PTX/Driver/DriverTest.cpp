//===- DriverTest.cpp - Devices, contexts, modules and functions ----------===//
//
// Part of Clade, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/PTX/Driver/DriverTest.h"

#include <cstdlib>
#include <cstring>
#include <thread>

extern "C" size_t cladeCudaLastReport(char *text, size_t size);

std::string lastReport() {
  std::string text(cladeCudaLastReport(nullptr, 0), 0);
  cladeCudaLastReport(text.data(), text.size());
  return text.c_str();
}

const char *const addPtx = R"(
.version 8.0
.target sm_80
.address_size 64

.visible .global .align 4 .b32 table[4] = {1, 2, 3, 4};

.visible .entry add(.param .u64 add_data, .param .u32 add_value,
                    .param .u32 add_n)
{
  .reg .pred %p<2>;
  .reg .b32 %r<7>;
  .reg .b64 %rd<5>;
  ld.param.u64 %rd1, [add_data];
  ld.param.u32 %r1, [add_value];
  ld.param.u32 %r2, [add_n];
  mov.u32 %r3, %tid.x;
  setp.ge.s32 %p1, %r3, %r2;
  @%p1 bra done;
  cvta.to.global.u64 %rd2, %rd1;
  mul.wide.s32 %rd3, %r3, 4;
  add.s64 %rd4, %rd2, %rd3;
  ld.global.u32 %r4, [%rd4];
  add.s32 %r5, %r4, %r1;
  st.global.u32 [%rd4], %r5;
done:
  ret;
}

.extern .shared .align 4 .b8 dynamic[];

.visible .entry fill(.param .u64 fill_data) .maxntid 128, 1, 1
{
  .reg .b32 %r<6>;
  .reg .b64 %rd<5>;
  ld.param.u64 %rd1, [fill_data];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, dynamic;
  shl.b32 %r3, %r1, 2;
  add.s32 %r4, %r2, %r3;
  st.shared.u32 [%r4], %r1;
  ld.shared.u32 %r5, [%r4];
  cvta.to.global.u64 %rd2, %rd1;
  mul.wide.s32 %rd3, %r1, 4;
  add.s64 %rd4, %rd2, %rd3;
  st.global.u32 [%rd4], %r5;
  ret;
}
)";

void DriverTest::SetUp() {
  setenv("CLADE_CUDA_DEVICES", "sm_80,sm_90a", 1);
  setenv("CLADE_CUDA_MEMORY", "1024", 1);
  setenv("CLADE_CUDA_QUIET", "1", 1);
  ASSERT_OK(cuInit(0));
  CUdevice device;
  ASSERT_OK(cuDeviceGet(&device, 0));
  ASSERT_OK(cuCtxCreate(&context, nullptr, 0, device));
  ASSERT_OK(cuModuleLoadData(&module, addPtx)) << lastReport();
}

void DriverTest::TearDown() { EXPECT_OK(cuCtxDestroy(context)); }

CUfunction DriverTest::find(const char *name) {
  CUfunction function = nullptr;
  EXPECT_OK(cuModuleGetFunction(&function, module, name)) << lastReport();
  return function;
}

CUresult DriverTest::launchAdd(CUdeviceptr data, int value, int n,
                               CUstream stream) {
  void *arguments[] = {&data, &value, &n};
  return cuLaunchKernel(find("add"), 1, 1, 1, 64, 1, 1, 0, stream, arguments,
                        nullptr);
}

std::vector<int> DriverTest::read(CUdeviceptr data, size_t count) {
  std::vector<int> values(count);
  EXPECT_OK(cuMemcpyDtoH(values.data(), data, count * 4));
  return values;
}

namespace {
void *const wild = reinterpret_cast<void *>(0x1234);

TEST_F(DriverTest, DevicesAreThoseOfTheEnvironment) {
  int count, value, version;
  EXPECT_OK(cuDeviceGetCount(&count));
  EXPECT_EQ(count, 2);
  EXPECT_OK(cuDriverGetVersion(&version));
  EXPECT_EQ(version, CUDA_VERSION);
  EXPECT_OK(cuDeviceGetAttribute(
      &value, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 1));
  EXPECT_EQ(value, 9);
  EXPECT_OK(cuDeviceGetAttribute(&value,
                                 CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
  EXPECT_EQ(value, 108);
  EXPECT_OK(cuDeviceGetAttribute(
      &value, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 1));
  EXPECT_EQ(value, 227 * 1024);
  char name[64];
  EXPECT_OK(cuDeviceGetName(name, sizeof(name), 0));
  EXPECT_NE(std::strstr(name, "A100"), nullptr) << name;
  size_t bytes;
  EXPECT_OK(cuDeviceTotalMem(&bytes, 0));
  EXPECT_EQ(bytes, size_t(1024) << 20);
  CUdevice device;
  EXPECT_EQ(cuDeviceGet(&device, 2), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(cuDeviceGet(&device, -1), CUDA_ERROR_INVALID_DEVICE);
  EXPECT_EQ(cuDeviceGetAttribute(&value, CUdevice_attribute(9999), 0),
            CUDA_ERROR_INVALID_VALUE);
  char bus[16];
  EXPECT_OK(cuDeviceGetPCIBusId(bus, sizeof(bus), 1));
  EXPECT_OK(cuDeviceGetByPCIBusId(&device, bus));
  EXPECT_EQ(device, 1);
}

TEST_F(DriverTest, ContextsAreAStackOfTheThread) {
  CUcontext second, current;
  ASSERT_OK(cuCtxCreate(&second, nullptr, 0, 1));
  CUdevice device;
  EXPECT_OK(cuCtxGetDevice(&device));
  EXPECT_EQ(device, 1);
  EXPECT_OK(cuCtxPopCurrent(&current));
  EXPECT_EQ(current, second);
  EXPECT_OK(cuCtxGetCurrent(&current));
  EXPECT_EQ(current, context);
  std::thread([] {
    CUcontext none;
    EXPECT_OK(cuCtxGetCurrent(&none));
    EXPECT_EQ(none, nullptr);
    CUdeviceptr data;
    EXPECT_EQ(cuMemAlloc(&data, 4), CUDA_ERROR_INVALID_CONTEXT);
  }).join();
  EXPECT_OK(cuCtxDestroy(second));
  EXPECT_EQ(cuCtxPushCurrent(second), CUDA_ERROR_INVALID_CONTEXT);
  EXPECT_EQ(cuCtxSetCurrent(CUcontext(wild)), CUDA_ERROR_INVALID_CONTEXT);
}

TEST_F(DriverTest, PrimaryContextIsCounted) {
  CUcontext first, again;
  ASSERT_OK(cuDevicePrimaryCtxRetain(&first, 1));
  ASSERT_OK(cuDevicePrimaryCtxRetain(&again, 1));
  EXPECT_EQ(first, again);
  EXPECT_EQ(cuCtxDestroy(first), CUDA_ERROR_INVALID_CONTEXT);
  unsigned flags;
  int active;
  EXPECT_OK(cuDevicePrimaryCtxRelease(1));
  EXPECT_OK(cuDevicePrimaryCtxGetState(1, &flags, &active));
  EXPECT_EQ(active, 1);
  EXPECT_OK(cuDevicePrimaryCtxRelease(1));
  EXPECT_OK(cuDevicePrimaryCtxGetState(1, &flags, &active));
  EXPECT_EQ(active, 0);
  EXPECT_EQ(cuDevicePrimaryCtxRelease(1), CUDA_ERROR_INVALID_CONTEXT);
}

TEST_F(DriverTest, LimitsAreKept) {
  size_t value;
  EXPECT_OK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
  EXPECT_OK(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
  EXPECT_EQ(value, 4096u);
  EXPECT_EQ(cuCtxGetLimit(&value, CUlimit(77)), CUDA_ERROR_INVALID_VALUE);
}

//===--- Modules ---===//

TEST_F(DriverTest, ErrorLogHasThePlace) {
  char log[512] = "?", info[16] = "?";
  CUjit_option options[] = {
      CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
      CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES,
      CU_JIT_MAX_REGISTERS};
  void *values[] = {log, reinterpret_cast<void *>(sizeof(log)), info,
                    reinterpret_cast<void *>(sizeof(info)),
                    reinterpret_cast<void *>(64)};
  CUmodule broken;
  std::string text = ".version 8.0\n.target sm_80\n.address_size 64\n"
                     ".visible .entry k()\n{\n  mov.u32 %r1, %tid.x;\n}\n";
  EXPECT_EQ(cuModuleLoadDataEx(&broken, text.c_str(), 5, options, values),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(std::strstr(log, "image:6:"), nullptr) << log;
  EXPECT_EQ(uintptr_t(values[1]), std::strlen(log));
  EXPECT_STREQ(info, "");
}

TEST_F(DriverTest, TargetMustFitTheDevice) {
  CUmodule newer;
  std::string text = ".version 8.6\n.target sm_90a\n.address_size 64\n";
  EXPECT_EQ(cuModuleLoadData(&newer, text.c_str()),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_NE(lastReport().find("sm_90a does not run on this device, which is "
                              "sm_80"),
            std::string::npos)
      << lastReport();
}

TEST_F(DriverTest, CubinIsRefused) {
  CUmodule none;
  EXPECT_EQ(cuModuleLoadData(&none, "\177ELF\2\1\1"),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
  EXPECT_NE(lastReport().find("machine code (cubin)"), std::string::npos)
      << lastReport();
}

TEST_F(DriverTest, FunctionsAndVariablesByName) {
  CUfunction function;
  EXPECT_EQ(cuModuleGetFunction(&function, module, "missing"),
            CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(cuModuleGetFunction(&function, CUmodule(wild), "add"),
            CUDA_ERROR_INVALID_HANDLE);
  CUdeviceptr table;
  size_t bytes;
  EXPECT_EQ(cuModuleGetGlobal(&table, &bytes, module, "none"),
            CUDA_ERROR_NOT_FOUND);
  ASSERT_OK(cuModuleGetGlobal(&table, &bytes, module, "table"));
  EXPECT_EQ(bytes, 16u);
  EXPECT_EQ(read(table, 4), (std::vector<int>{1, 2, 3, 4}));
  ASSERT_OK(launchAdd(table, 10, 3));
  EXPECT_EQ(read(table, 4), (std::vector<int>{11, 12, 13, 4}));
  unsigned count;
  EXPECT_OK(cuModuleGetFunctionCount(&count, module));
  EXPECT_EQ(count, 2u);
  std::vector<CUfunction> all(2);
  EXPECT_OK(cuModuleEnumerateFunctions(all.data(), 2, module));
  const char *name;
  EXPECT_OK(cuFuncGetName(&name, all[1]));
  EXPECT_STREQ(name, "fill");
}

TEST_F(DriverTest, UnloadedModulesFunctionsAreGone) {
  CUfunction function = find("add");
  EXPECT_OK(cuModuleUnload(module));
  EXPECT_EQ(cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
  int value;
  EXPECT_EQ(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_NUM_REGS, function),
            CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(
      cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, nullptr, nullptr, nullptr),
      CUDA_ERROR_INVALID_HANDLE);
}

TEST_F(DriverTest, LibraryLoadsWhereItIsUsed) {
  CUlibrary library;
  CUkernel kernel;
  ASSERT_OK(cuLibraryLoadData(&library, addPtx, nullptr, nullptr, 0, nullptr,
                              nullptr, 0));
  EXPECT_EQ(cuLibraryGetKernel(&kernel, library, "no"), CUDA_ERROR_NOT_FOUND);
  ASSERT_OK(cuLibraryGetKernel(&kernel, library, "add"));
  CUfunction function;
  ASSERT_OK(cuKernelGetFunction(&function, kernel));
  size_t offset, size;
  EXPECT_OK(cuKernelGetParamInfo(kernel, 2, &offset, &size));
  EXPECT_EQ(offset, 12u);
  EXPECT_EQ(size, 4u);
  EXPECT_EQ(cuFuncGetParamInfo(function, 3, &offset, &size),
            CUDA_ERROR_INVALID_VALUE);
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 16));
  ASSERT_OK(cuMemsetD32(data, 5, 4));
  int value = 2, n = 4;
  void *arguments[] = {&data, &value, &n};
  // A CUkernel may stand for a CUfunction.
  for (CUfunction form : {function, reinterpret_cast<CUfunction>(kernel)})
    EXPECT_OK(cuLaunchKernel(form, 1, 1, 1, 32, 1, 1, 0, nullptr, arguments,
                             nullptr));
  EXPECT_EQ(read(data, 4), std::vector<int>(4, 9));
  EXPECT_OK(cuLibraryUnload(library));
  EXPECT_EQ(cuKernelGetFunction(&function, kernel), CUDA_ERROR_INVALID_HANDLE);
}

//===--- Functions ---===//

TEST_F(DriverTest, FunctionAttributes) {
  CUfunction fill = find("fill");
  int value;
  EXPECT_OK(cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK,
                               fill));
  EXPECT_EQ(value, 128);
  EXPECT_OK(
      cuFuncGetAttribute(&value, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, fill));
  EXPECT_EQ(value, 0);
  EXPECT_OK(cuFuncSetAttribute(
      fill, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 163 * 1024));
  EXPECT_EQ(cuFuncSetAttribute(fill,
                               CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                               163 * 1024 + 1),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(cuFuncSetAttribute(fill, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, 1),
            CUDA_ERROR_INVALID_VALUE);
  int blocks, grid, threads;
  EXPECT_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fill, 128, 0));
  EXPECT_EQ(blocks, 16); // 2048 threads.
  EXPECT_OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fill, 128,
                                                        80 * 1024));
  EXPECT_EQ(blocks, 2); // 164 KiB, of which each block takes 81.
  EXPECT_OK(
      cuOccupancyMaxPotentialBlockSize(&grid, &threads, fill, nullptr, 0, 0));
  EXPECT_EQ(threads, 128);
  EXPECT_EQ(grid, 16 * 108);
}

TEST_F(DriverTest, LaunchShapesAreChecked) {
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 4096));
  CUfunction fill = find("fill");
  void *arguments[] = {&data};
  auto launch = [&](unsigned grid, unsigned block, unsigned shared) {
    return cuLaunchKernel(fill, grid, 1, 1, block, 1, 1, shared, nullptr,
                          arguments, nullptr);
  };
  EXPECT_EQ(launch(0, 32, 512), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(1, 0, 512), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(1, 129, 1024), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(launch(1, 128, 49 * 1024), CUDA_ERROR_INVALID_VALUE);
  EXPECT_OK(launch(1, 128, 512)) << lastReport();
  EXPECT_EQ(read(data, 128)[127], 127);
  EXPECT_EQ(cuLaunchKernel(CUfunction(wild), 1, 1, 1, 1, 1, 1, 0, nullptr,
                           arguments, nullptr),
            CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 512, CUstream(wild),
                           arguments, nullptr),
            CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(
      cuLaunchKernel(fill, 1, 1, 1, 32, 1, 1, 512, nullptr, nullptr, nullptr),
      CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverTest, ArgumentsInABuffer) {
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 16));
  ASSERT_OK(cuMemsetD32(data, 1, 4));
  struct {
    CUdeviceptr data;
    int value, n;
  } packed = {data, 41, 4};
  size_t size = sizeof(packed);
  void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &packed,
                   CU_LAUNCH_PARAM_BUFFER_SIZE, &size, CU_LAUNCH_PARAM_END};
  auto launch = [&] {
    return cuLaunchKernel(find("add"), 1, 1, 1, 32, 1, 1, 0, nullptr, nullptr,
                          extra);
  };
  EXPECT_OK(launch());
  EXPECT_EQ(read(data, 4), std::vector<int>(4, 42));
  size = 8;
  EXPECT_EQ(launch(), CUDA_ERROR_INVALID_VALUE);
}

TEST_F(DriverTest, LaunchAttributes) {
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 512));
  CUlaunchAttribute attributes[2] = {};
  attributes[0].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  attributes[0].value.clusterDim = {1, 1, 1};
  attributes[1].id = CU_LAUNCH_ATTRIBUTE_COOPERATIVE;
  attributes[1].value.cooperative = 1;
  CUlaunchConfig config = {};
  config.gridDimX = config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = 64;
  config.blockDimY = config.blockDimZ = 1;
  config.sharedMemBytes = 256;
  config.attrs = attributes;
  config.numAttrs = 2;
  void *arguments[] = {&data};
  EXPECT_OK(cuLaunchKernelEx(&config, find("fill"), arguments, nullptr))
      << lastReport();
  EXPECT_EQ(read(data, 64)[63], 63);
  attributes[0].value.clusterDim = {2, 1, 1};
  EXPECT_EQ(cuLaunchKernelEx(&config, find("fill"), arguments, nullptr),
            CUDA_ERROR_INVALID_CLUSTER_SIZE);
  config.gridDimX = 2;
  EXPECT_EQ(cuLaunchKernelEx(&config, find("fill"), arguments, nullptr),
            CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_NE(lastReport().find("clusters of one block"), std::string::npos);
}

TEST_F(DriverTest, UnknownLaunchAttributes) {
  CUlaunchAttribute attribute = {};
  attribute.id = CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE;
  CUlaunchConfig config = {};
  config.gridDimX = config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = config.blockDimY = config.blockDimZ = 1;
  config.attrs = &attribute;
  config.numAttrs = 1;
  EXPECT_EQ(cuLaunchKernelEx(&config, find("fill"), nullptr, nullptr),
            CUDA_ERROR_NOT_SUPPORTED);
  EXPECT_NE(lastReport().find("does not know launch attribute 13"),
            std::string::npos)
      << lastReport();
}

TEST_F(DriverTest, TensorMapsAreChecked) {
  CUtensorMap maps[2], *to = maps;
  CUtensorMapL2promotion promotion = CU_TENSOR_MAP_L2_PROMOTION_NONE;
  cuuint64_t sizes[] = {64, 64}, strides[] = {256};
  cuuint32_t box[] = {32, 16}, steps[] = {1, 1};
  auto encode = [&] {
    return cuTensorMapEncodeTiled(
        to, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 2,
        reinterpret_cast<void *>(0x1000), sizes, strides, box, steps,
        CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE, promotion,
        CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  };
  EXPECT_OK(encode()) << lastReport();
  EXPECT_OK(cuTensorMapReplaceAddress(maps, reinterpret_cast<void *>(0x2000)));
  EXPECT_EQ(cuTensorMapReplaceAddress(maps, reinterpret_cast<void *>(0x2004)),
            CUDA_ERROR_INVALID_VALUE);
  strides[0] = 260; // No multiple of 16.
  EXPECT_EQ(encode(), CUDA_ERROR_INVALID_VALUE);
  EXPECT_NE(lastReport().find("cuTensorMapEncodeTiled: "), std::string::npos);
  strides[0] = 256;
  promotion = CUtensorMapL2promotion(4);
  EXPECT_EQ(encode(), CUDA_ERROR_INVALID_VALUE);
  EXPECT_NE(lastReport().find("the promotion 4 is not known"),
            std::string::npos);
  promotion = CU_TENSOR_MAP_L2_PROMOTION_L2_256B;
  EXPECT_OK(encode());
  to = reinterpret_cast<CUtensorMap *>(reinterpret_cast<char *>(maps) + 16);
  EXPECT_EQ(encode(), CUDA_ERROR_INVALID_VALUE);
  EXPECT_NE(lastReport().find("not at a multiple of 64 bytes"),
            std::string::npos);
}

TEST_F(DriverTest, CooperativeGridMustFit) {
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 512));
  int value = 1, n = 0;
  void *arguments[] = {&data, &value, &n};
  EXPECT_EQ(cuLaunchCooperativeKernel(find("add"), 5000, 1, 1, 1024, 1, 1, 0,
                                      nullptr, arguments),
            CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
}

//===--- What the machine finds ---===//

TEST_F(DriverTest, FindingIsAStickyError) {
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 40));
  ASSERT_OK(cuMemsetD32(data, 0, 10));
  EXPECT_EQ(launchAdd(data, 1, 11), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_NE(lastReport().find("kernel add: "), std::string::npos);
  EXPECT_NE(lastReport().find("out-of-bounds"), std::string::npos)
      << lastReport();
  CUdeviceptr more;
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(cuMemAlloc(&more, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_EQ(cuStreamSynchronize(nullptr), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_F(DriverTest, OtherContextsGoOn) {
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 16));
  EXPECT_EQ(launchAdd(data, 1, 4), CUDA_ERROR_LAUNCH_FAILED); // Not written.
  EXPECT_NE(lastReport().find("uninitialised"), std::string::npos)
      << lastReport();
  CUcontext second;
  ASSERT_OK(cuCtxCreate(&second, nullptr, 0, 0));
  EXPECT_OK(cuCtxSynchronize());
  EXPECT_OK(cuMemAlloc(&data, 16));
  EXPECT_OK(cuCtxDestroy(second));
}

TEST_F(DriverTest, MisalignedAccess) {
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 64));
  ASSERT_OK(cuMemsetD32(data, 0, 16));
  EXPECT_EQ(launchAdd(data + 2, 1, 4), CUDA_ERROR_MISALIGNED_ADDRESS);
}

TEST_F(DriverTest, UseAfterFree) {
  CUdeviceptr data;
  ASSERT_OK(cuMemAlloc(&data, 64));
  ASSERT_OK(cuMemsetD32(data, 0, 16));
  ASSERT_OK(cuMemFree(data));
  EXPECT_EQ(launchAdd(data, 1, 4), CUDA_ERROR_ILLEGAL_ADDRESS);
  EXPECT_NE(lastReport().find("use-after-free"), std::string::npos)
      << lastReport();
}

//===--- Names ---===//

TEST_F(DriverTest, ErrorNames) {
  const char *text;
  EXPECT_OK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ(text, "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT_OK(cuGetErrorString(CUDA_ERROR_ILLEGAL_ADDRESS, &text));
  EXPECT_STREQ(text, "illegal address");
  EXPECT_OK(cuGetErrorString(CUDA_SUCCESS, &text));
  EXPECT_STREQ(text, "no error");
  EXPECT_EQ(cuGetErrorName(CUresult(4242), &text), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(text, nullptr);
}

TEST_F(DriverTest, FunctionsByNameAndVersion) {
  void *newest, *older, *none;
  CUdriverProcAddressQueryResult status;
  EXPECT_OK(cuGetProcAddress("cuEventElapsedTime", &newest, CUDA_VERSION, 0,
                             &status));
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SUCCESS);
  // Programs before CUDA 12 do not know the second form of the parameters.
  EXPECT_OK(
      cuGetProcAddress("cuGraphAddKernelNode", &newest, 12000, 0, &status));
  EXPECT_OK(
      cuGetProcAddress("cuGraphAddKernelNode", &older, 11000, 0, &status));
  EXPECT_NE(newest, older);
  EXPECT_EQ(cuGetProcAddress("cuGraphGetEdges", &none, 11000, 0, &status),
            CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
  EXPECT_EQ(cuGetProcAddress("cuNothing", &none, CUDA_VERSION, 0, &status),
            CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(status, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
  EXPECT_EQ(none, nullptr);
}
} // namespace

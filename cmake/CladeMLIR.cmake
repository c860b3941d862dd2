# Finds MLIR 22 and sets up its CMake macros for an out-of-tree project that links the shared libraries.
if(NOT MLIR_DIR)
  set(MLIR_DIR /usr/lib/llvm-22/lib/cmake/mlir CACHE PATH "Folder of MLIRConfig.cmake")
endif()
find_package(MLIR REQUIRED CONFIG)
find_package(LLD CONFIG HINTS ${LLVM_DIR}/../lld)
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
set(MLIR_LINK_MLIR_DYLIB ON)
set(LLVM_LINK_LLVM_DYLIB ON)
set(MLIR_BINARY_DIR ${CMAKE_BINARY_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

include_directories(SYSTEM ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
# Source and build folders are include roots: "dialect/Clade/CladeOps.h" and "dialect/Clade/CladeOps.h.inc".
include_directories(${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
add_definitions(${LLVM_DEFINITIONS})
# LLVM's packages are built with it, and some of its classes, such as the statistics of passes, have other members without.
if(NOT CMAKE_BUILD_TYPE MATCHES "Rel")
  add_definitions(-DNDEBUG)
endif()
# LLVM's packages are built with RTTI and without exceptions.
set(CLADE_COMPILER_FLAGS -fno-exceptions)

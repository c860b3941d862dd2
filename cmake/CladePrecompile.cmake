# CLADE_PRECOMPILE: one precompiled header of MLIR's and the standard library's
# most read headers, for every target without exceptions. It only saves time:
# nothing may rely on a header that it does not include itself.
option(CLADE_PRECOMPILE "Precompile MLIR's headers" OFF)

# Adds the header to the targets of the folder and of those below it.
function(clade_use_precompiled folder)
  get_directory_property(targets DIRECTORY ${folder} BUILDSYSTEM_TARGETS)
  foreach(target IN LISTS targets)
    get_target_property(type ${target} TYPE)
    get_target_property(options ${target} COMPILE_OPTIONS)
    if(type MATCHES "LIBRARY|EXECUTABLE" AND "-fno-exceptions" IN_LIST options AND NOT "-fexceptions" IN_LIST options
       AND NOT "-fsanitize=fuzzer-no-link" IN_LIST options)
      if(type STREQUAL "EXECUTABLE")
        # A header that was compiled with -fPIC does not serve -fPIE.
        set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
        target_compile_options(${target} PRIVATE -fPIC)
      endif()
      target_precompile_headers(${target} REUSE_FROM clade-precompiled)
    endif()
  endforeach()
  get_directory_property(subfolders DIRECTORY ${folder} SUBDIRECTORIES)
  foreach(subfolder IN LISTS subfolders)
    clade_use_precompiled(${subfolder})
  endforeach()
endfunction()

if(CLADE_PRECOMPILE)
  file(WRITE ${PROJECT_BINARY_DIR}/precompiled.cpp "")
  add_library(clade-precompiled OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
  target_compile_options(clade-precompiled PRIVATE ${CLADE_COMPILER_FLAGS})
  target_precompile_headers(clade-precompiled PRIVATE
    <functional> <map> <memory> <optional> <set> <string> <vector>
    <llvm/ADT/StringExtras.h> <llvm/ADT/StringMap.h> <llvm/ADT/TypeSwitch.h>
    <mlir/Dialect/Arith/IR/Arith.h> <mlir/Dialect/Func/IR/FuncOps.h> <mlir/Dialect/LLVMIR/LLVMDialect.h>
    <mlir/Dialect/SCF/IR/SCF.h> <mlir/Dialect/Vector/IR/VectorOps.h>
    <mlir/IR/Builders.h> <mlir/IR/BuiltinOps.h> <mlir/IR/BuiltinTypes.h> <mlir/IR/Diagnostics.h>
    <mlir/IR/DialectImplementation.h> <mlir/IR/IRMapping.h> <mlir/IR/OpImplementation.h> <mlir/Pass/Pass.h>)
  foreach(folder dialect lib tools test)
    if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} AND (CLADE_BUILD_TESTS OR NOT folder STREQUAL "test"))
      clade_use_precompiled(${PROJECT_SOURCE_DIR}/${folder})
    endif()
  endforeach()
endif()

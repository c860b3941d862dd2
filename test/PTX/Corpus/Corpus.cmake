# Kernels that were not written for the machine: nvcc compiles them for both
# architectures, where it is there; a part is kept in the tree as PTX.
set(folder ${CMAKE_CURRENT_LIST_DIR})
set(built ${CMAKE_CURRENT_BINARY_DIR}/corpus)
file(MAKE_DIRECTORY ${built})
get_filename_component(toolkit ${CLADE_CUDA_INCLUDE_DIR} DIRECTORY)
find_program(CLADE_NVCC nvcc HINTS ${toolkit}/bin DOC "NVIDIA's compiler, for the corpus of kernels")

set(both Elementwise Integer Reduction Warp Control Shared Float Half Atomics Async Matrix Cub)
set(texts)
if(CLADE_NVCC)
  message(STATUS "PTX corpus: compiled by ${CLADE_NVCC}")
  foreach(file IN LISTS both ITEMS Hopper)
    foreach(architecture sm_80 sm_90a)
      if(file STREQUAL "Hopper" AND architecture STREQUAL "sm_80")
        continue()
      endif()
      set(text ${built}/${file}.${architecture}.ptx)
      add_custom_command(OUTPUT ${text}
        COMMAND ${CLADE_NVCC} -ptx -std=c++17 -arch=${architecture} -lineinfo -o ${text} ${folder}/${file}.cu
        DEPENDS ${folder}/${file}.cu VERBATIM COMMENT "Compiling ${file}.cu for ${architecture}")
      list(APPEND texts ${text})
    endforeach()
  endforeach()
else()
  message(STATUS "PTX corpus: nvcc was not found (CLADE_NVCC); only the PTX that is kept in the tree is tested")
endif()

set(sources)
foreach(file IN LISTS both ITEMS Hopper Triton)
  list(APPEND sources ${folder}/${file}Test.cpp)
endforeach()
add_executable(clade-ptx-corpus-tests ${sources} ${folder}/Harness.cpp ${texts})
set_source_files_properties(${folder}/FloatTest.cpp PROPERTIES COMPILE_OPTIONS "-frounding-math;-ffp-contract=off")
target_compile_options(clade-ptx-corpus-tests PRIVATE -ffp-contract=off)
target_compile_definitions(clade-ptx-corpus-tests PRIVATE
  CORPUS_BUILT="${built}" CORPUS_KEPT="${folder}/generated" CORPUS_TRITON="${folder}/Triton")
target_link_libraries(clade-ptx-corpus-tests PRIVATE clade-cuda nlohmann_json::nlohmann_json GTest::gtest_main)
clade_add_unit_tests(clade-ptx-corpus-tests SHARDS 2)

# A whole CUDA C++ program with CUB's own host code.
if(CLADE_NVCC)
  set(object ${built}/CubDevice.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CLADE_NVCC} -c -std=c++17 -O1 -cudart none -Xcompiler -fPIC
      -gencode arch=compute_80,code=compute_80 -gencode arch=compute_90a,code=compute_90a
      -o ${object} ${folder}/CubDevice.cu
    DEPENDS ${folder}/CubDevice.cu ${folder}/CubDevice.h VERBATIM COMMENT "Compiling CubDevice.cu")
  add_executable(clade-ptx-cub-tests ${folder}/CubDeviceTest.cpp ${folder}/Runtime.cpp ${folder}/Harness.cpp ${object})
  target_compile_definitions(clade-ptx-cub-tests PRIVATE CORPUS_BUILT="${built}" CORPUS_KEPT="${folder}/generated")
  target_link_libraries(clade-ptx-cub-tests PRIVATE clade-cuda GTest::gtest_main ${CMAKE_DL_LIBS})
  clade_add_unit_tests(clade-ptx-cub-tests)
endif()

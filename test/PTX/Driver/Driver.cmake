# The functions of the virtual driver, and programs written for NVIDIA's.
set(folder ${CMAKE_CURRENT_LIST_DIR})
file(GLOB sources CONFIGURE_DEPENDS ${folder}/*Test.cpp)
add_executable(clade-cuda-tests ${sources})
target_link_libraries(clade-cuda-tests PRIVATE clade-cuda nlohmann_json::nlohmann_json GTest::gtest_main)
clade_add_unit_tests(clade-cuda-tests)

# Samples know cuda.h and libcuda.so.1 only.
set(samples ${CMAKE_CURRENT_SOURCE_DIR}/Samples)
foreach(sample vectorAddDrv streamsEvents graphs loadByName)
  set(program clade-cuda-${sample})
  add_executable(${program} ${samples}/${sample}.cpp)
  target_include_directories(${program} SYSTEM PRIVATE ${CLADE_CUDA_INCLUDE_DIR})
  set_target_properties(${program} PROPERTIES SKIP_BUILD_RPATH ON)
  if(sample STREQUAL "loadByName")
    target_link_libraries(${program} PRIVATE ${CMAKE_DL_LIBS})
    add_dependencies(${program} clade-cuda)
  else()
    target_link_libraries(${program} PRIVATE clade-cuda)
  endif()
  add_test(NAME CudaSample.${sample} COMMAND ${program} ${samples}/samples.ptx)
  set_tests_properties(CudaSample.${sample} PROPERTIES
    ENVIRONMENT "LD_LIBRARY_PATH=$<TARGET_FILE_DIR:clade-cuda>;CLADE_CUDA_DEVICES=sm_80"
    PASS_REGULAR_EXPRESSION "Result = PASS" FAIL_REGULAR_EXPRESSION "clade-cuda:")
endforeach()

# The page of the driver lists what it exports.
add_test(NAME CudaSymbols COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/dev/cuda-symbols.py --check
  --library $<TARGET_FILE:clade-cuda> --page ${PROJECT_SOURCE_DIR}/docs/ptx-driver.md)

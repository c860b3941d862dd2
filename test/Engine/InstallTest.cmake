# Installs the runtime to a fresh prefix, builds examples/ against it as anyone
# would, and runs the example on the toy model.
# Needs BUILD, SOURCE, WORK, TOY_ARTIFACT, C_COMPILER.
function(run)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "STATUS;EXPECT" "COMMAND")
  execute_process(COMMAND ${arg_COMMAND} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT status EQUAL "${arg_STATUS}")
    message(FATAL_ERROR "${arg_COMMAND}: expected exit status ${arg_STATUS}, got ${status}\n${out}${err}")
  endif()
  if(arg_EXPECT AND NOT "${out}${err}" MATCHES "${arg_EXPECT}")
    message(FATAL_ERROR "${arg_COMMAND}: expected '${arg_EXPECT}', got\n${out}${err}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK}/toy)
run(STATUS 0 COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix --component runtime)
run(STATUS 0 COMMAND ${CMAKE_COMMAND} -S ${SOURCE}/examples -B ${WORK}/build
  -DCMAKE_PREFIX_PATH=${WORK}/prefix -DCMAKE_C_COMPILER=${C_COMPILER} "-DCMAKE_C_FLAGS=-std=c99 -Wall -Wextra -Werror")
run(STATUS 0 COMMAND ${CMAKE_COMMAND} --build ${WORK}/build)
run(STATUS 0 COMMAND ${TOY_ARTIFACT} ${WORK}/toy)
# Greedy, hence always the same.
run(STATUS 0 COMMAND ${WORK}/build/generate ${WORK}/toy/model ABC 8 EXPECT "^[A-Za-z_^`]+.*tokens/s")
run(STATUS 1 COMMAND ${WORK}/build/generate ${WORK}/none ABC
  EXPECT "generate: cannot load the model: '${WORK}/none' is not an artifact")
run(STATUS 2 COMMAND ${WORK}/build/generate EXPECT "usage: generate ARTIFACT PROMPT")

# How ctest runs the programs of unit tests.

# clade_add_unit_tests(PROGRAM [SHARDS N])
#
# Runs a GoogleTest program whole, in N processes where that balances the cores: a process a test case would spend more
# on starting than on testing. What each case did is in build/test-results/PROGRAM.SHARD.xml, which tools/dev/run-tests.py counts.
set(CLADE_TEST_RESULTS ${PROJECT_BINARY_DIR}/test-results)
function(clade_add_unit_tests program)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "SHARDS" "")
  if(NOT arg_SHARDS)
    set(arg_SHARDS 1)
  endif()
  math(EXPR last "${arg_SHARDS} - 1")
  foreach(shard RANGE ${last})
    set(name ${program}.${shard})
    add_test(NAME ${name} COMMAND ${program})
    set_tests_properties(${name} PROPERTIES
      ENVIRONMENT "GTEST_TOTAL_SHARDS=${arg_SHARDS};GTEST_SHARD_INDEX=${shard};GTEST_OUTPUT=xml:${CLADE_TEST_RESULTS}/${name}.xml;GTEST_BRIEF=1")
  endforeach()
endfunction()

# Installs the runtime: headers, the shared library with the C interface, and
# the CMake package that finds them (component `runtime`).
include(CMakePackageConfigHelpers)
set(CLADE_PACKAGE_FOLDER ${CMAKE_INSTALL_LIBDIR}/cmake/Clade)

install(TARGETS clade-shared EXPORT CladeTargets COMPONENT runtime
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} NAMELINK_COMPONENT runtime)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/runtime/include/clade
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT runtime FILES_MATCHING PATTERN "*.h")
install(EXPORT CladeTargets NAMESPACE Clade:: DESTINATION ${CLADE_PACKAGE_FOLDER} COMPONENT runtime)

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/CladeConfig.cmake.in
  ${PROJECT_BINARY_DIR}/CladeConfig.cmake INSTALL_DESTINATION ${CLADE_PACKAGE_FOLDER})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/CladeConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/CladeConfig.cmake ${PROJECT_BINARY_DIR}/CladeConfigVersion.cmake
  DESTINATION ${CLADE_PACKAGE_FOLDER} COMPONENT runtime)

# What `cmake --install` puts where: the library, its headers, the CMake package and the pkg-config file.

include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/webshocket")

install(TARGETS webshocket EXPORT webshocketTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT development
  FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT development)
install(EXPORT webshocketTargets
  NAMESPACE webshocket:: DESTINATION "${package_dir}" COMPONENT development)

# A shared library brings its needs along; a static one leaves them to whoever links it.
if(BUILD_SHARED_LIBS)
  set(WEBSHOCKET_IS_STATIC OFF)
  set(WEBSHOCKET_PC_REQUIRES "")
  set(WEBSHOCKET_PC_LIBS "")
else()
  set(WEBSHOCKET_IS_STATIC ON)
  set(WEBSHOCKET_PC_REQUIRES "libuv libssl libcrypto zlib")
  set(WEBSHOCKET_PC_LIBS "-lwslay -lhttp_parser -lsimdjson -pthread")
  install(FILES "${PROJECT_SOURCE_DIR}/tools/cmake/WebshocketDependencies.cmake"
    DESTINATION "${package_dir}" COMPONENT development)
endif()

configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/tools/cmake/webshocketConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/webshocketConfig.cmake"
  INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
# Before 1.0 a minor version may change the interface.
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/webshocketConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/webshocketConfig.cmake" "${PROJECT_BINARY_DIR}/webshocketConfigVersion.cmake"
  DESTINATION "${package_dir}" COMPONENT development)

# From the folder of the .pc file back to the prefix.
file(RELATIVE_PATH WEBSHOCKET_PC_UP "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
configure_file("${PROJECT_SOURCE_DIR}/tools/cmake/webshocket.pc.in"
  "${PROJECT_BINARY_DIR}/webshocket.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/webshocket.pc"
  DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig" COMPONENT development)

# Finds what the library links to. Used twice: by our own build, and, installed beside the package config
# file, by whoever links the static library.

# One library without a CMake or pkg-config file of its own, as webshocket_deps::<name>.
function(webshocket_find_library name header library)
  if(TARGET webshocket_deps::${name})
    return()
  endif()
  string(TOUPPER "WEBSHOCKET_${name}" variable)
  find_path(${variable}_INCLUDE_DIR ${header})
  find_library(${variable}_LIBRARY ${library})
  mark_as_advanced(${variable}_INCLUDE_DIR ${variable}_LIBRARY)
  if(NOT ${variable}_INCLUDE_DIR OR NOT ${variable}_LIBRARY)
    message(FATAL_ERROR "webshocket needs lib${library} and its header <${header}>. "
      "On Debian, tools/setup in the source tree installs everything.")
  endif()
  add_library(webshocket_deps::${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(webshocket_deps::${name} PROPERTIES
    IMPORTED_LOCATION "${${variable}_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${${variable}_INCLUDE_DIR}")
endfunction()

macro(webshocket_find_dependencies)
  find_package(PkgConfig REQUIRED)
  if(NOT TARGET PkgConfig::WEBSHOCKET_LIBUV)
    pkg_check_modules(WEBSHOCKET_LIBUV REQUIRED IMPORTED_TARGET GLOBAL libuv)
  endif()
  find_package(Threads REQUIRED)
  find_package(OpenSSL 3 REQUIRED)
  find_package(ZLIB REQUIRED)
  webshocket_find_library(wslay wslay/wslay.h wslay)
  webshocket_find_library(http_parser http_parser.h http_parser)
  webshocket_find_library(simdjson simdjson.h simdjson)
endmacro()

# What a developer's build adds, and what a project that includes us must not get: where the binaries lie,
# the compiler cache, sanitizers, coverage.

set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")

find_program(WEBSHOCKET_CCACHE ccache)
mark_as_advanced(WEBSHOCKET_CCACHE)
if(WEBSHOCKET_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  # Build trees share their objects: debug information names the sources by absolute paths anyway.
  set(CMAKE_CXX_COMPILER_LAUNCHER env CCACHE_NOHASHDIR=1 "${WEBSHOCKET_CCACHE}")
endif()

if(CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # CMake 3.25 says this when it compiles, and not when it links: then GCC warns and uses one core.
  # At the link, GCC 12 takes what concurrentqueue and std::string cannot do for overflows.
  add_link_options(-flto=auto -Wno-stringop-overflow)
endif()

if(WEBSHOCKET_SANITIZE)
  add_compile_options(-fsanitize=${WEBSHOCKET_SANITIZE} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # Clang 14 puts the parts of a coroutine into sections between which this check cannot measure.
    add_compile_options(-fno-sanitize=function)
  endif()
  add_link_options(-fsanitize=${WEBSHOCKET_SANITIZE})
endif()

if(WEBSHOCKET_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
  add_custom_target(coverage_report
    COMMAND gcovr --root "${PROJECT_SOURCE_DIR}" --object-directory "${PROJECT_BINARY_DIR}"
            --filter api/ --filter protocol/ --filter shards/ --filter engine/
            --exclude-unreachable-branches --exclude-throw-branches --print-summary
            --html-details "${PROJECT_BINARY_DIR}/coverage.html"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    COMMENT "Coverage of the last test run, details in ${PROJECT_BINARY_DIR}/coverage.html"
    VERBATIM)
endif()

# A static library is also linked by compilers that cannot read this compiler's LTO form.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_INTERPROCEDURAL_OPTIMIZATION)
  set(CMAKE_CXX_COMPILE_OPTIONS_IPO -flto=auto -ffat-lto-objects)
endif()

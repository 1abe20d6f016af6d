# Builds and runs consumer/ against the library in one VARIANT (see CMakeLists.txt).

cmake_minimum_required(VERSION 3.25)
set(consumer "${CMAKE_CURRENT_LIST_DIR}/consumer")
set(scratch "${SCRATCH}/${VARIANT}")
set(prefix "${scratch}/prefix")
file(REMOVE_RECURSE "${scratch}")
file(MAKE_DIRECTORY "${scratch}")

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(configure_and_build source build)
  run("${CMAKE_COMMAND}" -S "${source}" -B "${build}" -G "${GENERATOR}" --log-level=WARNING
      "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER}"
      -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_CXX_FLAGS_DEBUG=-O0" ${ARGN})
  run("${CMAKE_COMMAND}" --build "${build}" -j2)
endfunction()

function(install_library build)
  run("${CMAKE_COMMAND}" --install "${build}" --prefix "${prefix}" --component development)
endfunction()

function(consume_by_cmake)
  configure_and_build("${consumer}" "${scratch}/consumer" "-DCMAKE_PREFIX_PATH=${prefix}" ${ARGN})
  run("${scratch}/consumer/consumer")
endfunction()

function(consume_by_pkg_config)
  file(GLOB_RECURSE pc "${prefix}/*/webshocket.pc")
  cmake_path(GET pc PARENT_PATH pc_dir)
  set(ENV{PKG_CONFIG_PATH} "${pc_dir}")
  execute_process(COMMAND pkg-config --cflags --libs webshocket
    OUTPUT_VARIABLE flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  separate_arguments(flags UNIX_COMMAND "${flags}")
  file(GLOB_RECURSE library "${prefix}/*/libwebshocket.*")
  list(GET library 0 library)
  cmake_path(GET library PARENT_PATH library_dir)
  run("${COMPILER}" -std=c++20 "${consumer}/main.cpp" -o "${scratch}/consumer_pc" ${flags}
      "-Wl,-rpath,${library_dir}")
  run("${scratch}/consumer_pc")
endfunction()

if(VARIANT STREQUAL "static")
  install_library("${BUILD}")
  consume_by_cmake()
elseif(VARIANT STREQUAL "pkg_config")
  install_library("${BUILD}")
  consume_by_pkg_config()
elseif(VARIANT STREQUAL "shared")
  configure_and_build("${SOURCE}" "${scratch}/library" -DBUILD_SHARED_LIBS=ON
    -DWEBSHOCKET_TESTS=OFF -DWEBSHOCKET_TOOLS=OFF)
  install_library("${scratch}/library")
  consume_by_cmake()
  consume_by_pkg_config()
elseif(VARIANT STREQUAL "subdirectory")
  consume_by_cmake("-DWEBSHOCKET_SUBDIRECTORY=${SOURCE}")
else()
  message(FATAL_ERROR "unknown variant ${VARIANT}")
endif()

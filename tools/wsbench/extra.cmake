# The client's side of the handshake, and masking.
target_include_directories(wsbench PRIVATE "${PROJECT_SOURCE_DIR}")
target_compile_definitions(wsbench PRIVATE WEBSHOCKET_VERSION="${PROJECT_VERSION}")

# The report's page travels inside the program, so that it runs from anywhere.
set(wsbench_page "${CMAKE_CURRENT_BINARY_DIR}/wsbench/page_parts.cpp")
file(GLOB wsbench_parts CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/page/*")
add_custom_command(
  OUTPUT "${wsbench_page}"
  COMMAND "${CMAKE_COMMAND}" "-DPARTS=${wsbench_parts}" "-DOUTPUT=${wsbench_page}"
    -P "${CMAKE_CURRENT_LIST_DIR}/embed.cmake"
  DEPENDS ${wsbench_parts} "${CMAKE_CURRENT_LIST_DIR}/embed.cmake"
  COMMENT "Embedding the page of wsbench"
  VERBATIM)
target_sources(wsbench PRIVATE "${wsbench_page}")
target_include_directories(wsbench PRIVATE "${CMAKE_CURRENT_LIST_DIR}")

# The pages travel inside the program, so that it runs from anywhere.

set(embedded "${CMAKE_CURRENT_BINARY_DIR}/webshocketd/embedded_pages.cpp")
file(GLOB pages CONFIGURE_DEPENDS "${CMAKE_CURRENT_LIST_DIR}/web/*")
add_custom_command(
  OUTPUT "${embedded}"
  COMMAND "${CMAKE_COMMAND}" "-DPAGES=${pages}" "-DOUTPUT=${embedded}"
    -P "${CMAKE_CURRENT_LIST_DIR}/embed.cmake"
  DEPENDS ${pages} "${CMAKE_CURRENT_LIST_DIR}/embed.cmake"
  COMMENT "Embedding the pages of webshocketd"
  VERBATIM)
target_sources(webshocketd PRIVATE "${embedded}")
target_include_directories(webshocketd PRIVATE "${CMAKE_CURRENT_LIST_DIR}")

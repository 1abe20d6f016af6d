# The clock, the histogram, child processes and the progress line are wsbench's.
target_sources(wssoak PRIVATE
  "${CMAKE_CURRENT_LIST_DIR}/../wsbench/histogram.cpp"
  "${CMAKE_CURRENT_LIST_DIR}/../wsbench/message_template.cpp"
  "${CMAKE_CURRENT_LIST_DIR}/../wsbench/progress.cpp"
  "${CMAKE_CURRENT_LIST_DIR}/../wsbench/result.cpp"
  "${CMAKE_CURRENT_LIST_DIR}/../wsbench/server_process.cpp"
  "${CMAKE_CURRENT_LIST_DIR}/../wsbench/target.cpp")
target_include_directories(wssoak PRIVATE "${PROJECT_SOURCE_DIR}")
target_compile_definitions(wssoak PRIVATE WEBSHOCKET_VERSION="${PROJECT_VERSION}")
target_link_libraries(wssoak PRIVATE OpenSSL::Crypto)

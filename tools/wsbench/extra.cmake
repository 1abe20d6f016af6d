# The client's side of the handshake, and masking.

target_include_directories(wsbench PRIVATE "${PROJECT_SOURCE_DIR}")
target_compile_definitions(wsbench PRIVATE WEBSHOCKET_VERSION="${PROJECT_VERSION}")

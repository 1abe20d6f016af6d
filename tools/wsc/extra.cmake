# Line editing on a terminal.

pkg_check_modules(WSC_LIBEDIT REQUIRED IMPORTED_TARGET GLOBAL libedit)
target_link_libraries(wsc PRIVATE PkgConfig::WSC_LIBEDIT)
target_compile_definitions(wsc PRIVATE WEBSHOCKET_VERSION="${PROJECT_VERSION}")

# Declares a room (an object library webshocket_<room>) and the library made of them.

find_package(Threads REQUIRED)

set(WEBSHOCKET_PUBLIC_INCLUDE "${PROJECT_SOURCE_DIR}/api/include")
define_property(GLOBAL PROPERTY WEBSHOCKET_ROOMS BRIEF_DOCS "the rooms declared so far")
define_property(GLOBAL PROPERTY WEBSHOCKET_LINKS BRIEF_DOCS "the libraries that they link to")

# Warnings for our own code; third-party headers are system headers.
add_library(webshocket_warnings INTERFACE)
target_compile_options(webshocket_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion
  # GCC 12 sees an overlap in its own std::string where there is none, at -O2 and above (GCC bug 105651).
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)

# Headers without a library: only their presence is checked. They lie in the compiler's own include path.
function(webshocket_find_header header)
  string(MAKE_C_IDENTIFIER "WEBSHOCKET_HAS_${header}" variable)
  find_path(${variable} ${header})
  mark_as_advanced(${variable})
  if(NOT ${variable})
    message(FATAL_ERROR "webshocket needs the header <${header}>. "
      "On Debian, tools/setup installs everything.")
  endif()
  set(webshocket_header_dir "${${variable}}" PARENT_SCOPE)
endfunction()

# webshocket_add_room(<room> [DEFINES …] [HEADERS …] [LIBRARIES …])
# Sources are <room>/*.cpp. The third-party packages are seen by this room only.
function(webshocket_add_room room)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "DEFINES;HEADERS;LIBRARIES")
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${room}/*.cpp")
  if(NOT sources)
    message(STATUS "webshocket: the room ${room} has no source yet")
    return()
  endif()

  set(target webshocket_${room})
  add_library(${target} OBJECT ${sources})
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  target_include_directories(${target}
    PUBLIC "${WEBSHOCKET_PUBLIC_INCLUDE}" "${PROJECT_SOURCE_DIR}")
  target_compile_definitions(${target} PUBLIC ${arg_DEFINES})
  foreach(header IN LISTS arg_HEADERS)
    webshocket_find_header(${header})
    target_include_directories(${target} SYSTEM PUBLIC "${webshocket_header_dir}")
  endforeach()
  target_link_libraries(${target} PUBLIC ${arg_LIBRARIES} Threads::Threads
                                  PRIVATE webshocket_warnings)
  # Position-independent code without the promise that any function may be replaced at load time:
  # without this GCC does not inline across functions of one file.
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fno-semantic-interposition>)

  set_property(GLOBAL APPEND PROPERTY WEBSHOCKET_ROOMS ${room})
  set_property(GLOBAL APPEND PROPERTY WEBSHOCKET_LINKS ${arg_LIBRARIES} Threads::Threads)
endfunction()

# webshocket_rooms_up_to(<variable> <room>): the object libraries of <room> and of those to its left.
function(webshocket_rooms_up_to variable last)
  get_property(rooms GLOBAL PROPERTY WEBSHOCKET_ROOMS)
  set(result "")
  foreach(room IN ITEMS api protocol shards engine)
    if(room IN_LIST rooms)
      list(APPEND result webshocket_${room})
    endif()
    if(room STREQUAL last)
      break()
    endif()
  endforeach()
  set(${variable} "${result}" PARENT_SCOPE)
endfunction()

# The library itself: the objects of all rooms, the public headers, the link needs.
function(webshocket_add_library)
  get_property(rooms GLOBAL PROPERTY WEBSHOCKET_ROOMS)
  get_property(links GLOBAL PROPERTY WEBSHOCKET_LINKS)
  list(REMOVE_DUPLICATES links)
  if(NOT rooms)
    message(FATAL_ERROR "webshocket: there is no source in any room")
  endif()

  add_library(webshocket)
  add_library(webshocket::webshocket ALIAS webshocket)
  foreach(room IN LISTS rooms)
    target_sources(webshocket PRIVATE $<TARGET_OBJECTS:webshocket_${room}>)
  endforeach()
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${WEBSHOCKET_PUBLIC_INCLUDE}/webshocket/*.hpp")
  target_sources(webshocket PUBLIC
    FILE_SET HEADERS BASE_DIRS "${WEBSHOCKET_PUBLIC_INCLUDE}" FILES ${headers})
  target_compile_features(webshocket PUBLIC cxx_std_20)
  target_link_libraries(webshocket PRIVATE ${links})
  set_target_properties(webshocket PROPERTIES
    LINKER_LANGUAGE CXX
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    VERIFY_INTERFACE_HEADER_SETS ON)
endfunction()

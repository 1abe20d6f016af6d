# cmake -DPARTS=<files> -DOUTPUT=<file> -P embed.cmake: writes the files as a C++ source.

string(REPEAT "[0-9a-f]" 32 sixteen_bytes)
set(arrays "")
set(entries "")
set(count 0)
foreach(path IN LISTS PARTS)
  cmake_path(GET path FILENAME name)
  file(READ "${path}" hex HEX)
  # Characters and not a string, whose length a compiler may bound; in lines that an editor can show.
  string(REGEX REPLACE "(${sixteen_bytes})" "\\1\n" lines "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${lines}")
  string(APPEND arrays "constexpr char kPart${count}[] = {\n${bytes}'\\0'};\n")
  string(APPEND entries "    {\"${name}\", {kPart${count}, sizeof kPart${count} - 1}},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUTPUT}" "#include \"page.hpp\"

namespace wsbench {
namespace {

${arrays}
constexpr PagePart kParts[] = {
${entries}};

}  // namespace

std::span<const PagePart> page_parts() noexcept { return kParts; }

}  // namespace wsbench
")

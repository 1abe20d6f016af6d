# cmake -DPAGES=<files> -DOUTPUT=<file> -P embed.cmake: writes the files as a C++ source.

string(REPEAT "[0-9a-f]" 32 sixteen_bytes)
set(arrays "")
set(entries "")
set(count 0)
foreach(path IN LISTS PAGES)
  cmake_path(GET path FILENAME name)
  file(READ "${path}" hex HEX)
  # Characters and not a string, whose length a compiler may bound; in lines that an editor can show.
  string(REGEX REPLACE "(${sixteen_bytes})" "\\1\n" lines "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${lines}")
  string(APPEND arrays "constexpr char kPage${count}[] = {\n${bytes}'\\0'};\n")
  string(APPEND entries "    {\"${name}\", {kPage${count}, sizeof kPage${count} - 1}},\n")
  math(EXPR count "${count} + 1")
endforeach()
file(WRITE "${OUTPUT}" "#include \"pages.hpp\"

namespace webshocketd {
namespace {

${arrays}
constexpr Page kPages[] = {
${entries}};

}  // namespace

std::span<const Page> embedded_pages() noexcept { return kPages; }

}  // namespace webshocketd
")

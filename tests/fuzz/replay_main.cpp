// Feeds every file of a corpus to a fuzz target once: what the fuzzer found stays found, with any
// compiler. Usage: x_fuzz FOLDER_OR_FILE…   Fails if there is no file at all.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

void replay(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path.string());
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  // A copy of exactly the input's size, so that a sanitizer sees a read past its end.
  const auto input = std::make_unique<std::uint8_t[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(input.get(), bytes.data(), bytes.size());
  std::cout << path.filename().string() << " (" << bytes.size() << " bytes)" << std::endl;
  LLVMFuzzerTestOneInput(input.get(), bytes.size());
}

}  // namespace

int main(int argc, char** argv) try {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  std::size_t count = 0;
  for (const std::filesystem::path path : std::vector<std::string>(argv + 1, argv + argc)) {
    if (std::filesystem::is_regular_file(path)) {
      replay(path);
      ++count;
      continue;
    }
    if (!std::filesystem::is_directory(path)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      if (!entry.is_regular_file()) continue;
      replay(entry.path());
      ++count;
    }
  }
  if (count == 0) {
    std::cerr << "the corpus is empty\n";
    return 1;
  }
  std::cout << count << " inputs replayed\n";
  return 0;
} catch (const std::exception& error) {
  std::cerr << "replay failed: " << error.what() << '\n';
  return 1;
}

#include "engine/client_tls.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <mutex>
#include <string>
#include <system_error>
#include <vector>

namespace webshocket::engine {
namespace {

/// A file, as it was when it was read: a renewed certificate is another one.
struct Version {
  explicit Version(const std::string& path) : file(path) {
    std::error_code error;  // what cannot be read, the context complains of
    if (!path.empty()) written = std::filesystem::last_write_time(path, error);
  }
  bool operator==(const Version&) const = default;

  std::string file;
  std::filesystem::file_time_type written{};
};

struct Known {
  explicit Known(const ClientTls& settings)
      : files{Version(settings.ca_file), Version(settings.certificate_file),
              Version(settings.key_file)},
        verify(settings.verify) {}

  std::array<Version, 3> files;
  bool verify;
  std::weak_ptr<const shards::TlsContext> context = {};
};

}  // namespace

std::shared_ptr<const shards::TlsContext> tls_of(const ClientTls& settings) {
  static std::mutex mutex;
  static std::vector<Known> all;
  Known wanted(settings);
  const std::lock_guard lock(mutex);
  for (const Known& known : all) {
    if (known.files != wanted.files || known.verify != wanted.verify) continue;
    if (auto context = known.context.lock()) return context;
  }
  auto context = std::make_shared<const shards::TlsContext>(settings);
  std::erase_if(all, [](const Known& known) { return known.context.expired(); });
  wanted.context = context;
  all.push_back(std::move(wanted));
  return context;
}

}  // namespace webshocket::engine

#include "api/working.hpp"

#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace webshocket::detail {
namespace {

struct Named {
  explicit Named(std::string_view name)
      : text("RPC method '" + std::string(name) + "'"), label{text} {}
  Named(const Named&) = delete;
  Named& operator=(const Named&) = delete;

  const std::string text;
  const Label label;
};

struct Labels {
  std::mutex mutex;
  std::map<std::string, Named, std::less<>> by_name;
};

}  // namespace

const Label& label_of_method(std::string_view name) {
  static auto& all = *new Labels;  // never destroyed: a shard may outlive what is static
  const std::scoped_lock lock(all.mutex);
  const auto found = all.by_name.find(name);
  if (found != all.by_name.end()) return found->second.label;
  return all.by_name.try_emplace(std::string(name), name).first->second.label;
}

}  // namespace webshocket::detail

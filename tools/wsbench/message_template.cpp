#include "message_template.hpp"

#include <charconv>
#include <system_error>
#include <utility>

namespace wsbench {
namespace {

constexpr std::uint64_t kFirstId = 100'000'000'000;

std::optional<std::size_t> place_of(std::string_view text, std::string_view what) noexcept {
  const std::size_t at = what.empty() ? std::string_view::npos : text.find(what);
  if (at == std::string_view::npos) return std::nullopt;
  return at;
}

}  // namespace

MessageTemplate::MessageTemplate(std::string_view text, std::string_view channel,
                                 std::string_view payload)
    : bytes_(
          replaced(replaced(replaced(std::string(text), "{channel}", channel), "{id}", kIdHolder),
                   "{payload}", payload)) {
  find_holders(payload);
}

MessageTemplate MessageTemplate::of_bytes(std::string bytes, std::string_view payload) {
  MessageTemplate made;
  made.bytes_ = std::move(bytes);
  made.find_holders(payload);
  return made;
}

void MessageTemplate::find_holders(std::string_view payload) {
  payload_at_ = place_of(bytes_, payload);
  id_at_ = place_of(bytes_, kIdHolder);
}

void MessageTemplate::write_id(std::uint64_t id, char* message) const noexcept {
  if (!id_at_) return;
  char* const at = message + *id_at_;
  std::to_chars(at, at + kIdHolder.size(), kFirstId + id);
}

std::optional<std::uint64_t> MessageTemplate::id_of(std::string_view text) noexcept {
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < kFirstId) {
    return std::nullopt;
  }
  return id - kFirstId;
}

std::string shown(std::string_view message) {
  constexpr std::size_t kMost = 200;
  std::string text(message.substr(0, kMost));
  for (char& one : text) {
    if (one < ' ' || one > '~') one = '.';
  }
  return message.size() > kMost ? text + " ..." : text;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
  return text;
}

}  // namespace wsbench

#include "note.hpp"

#include <algorithm>
#include <charconv>
#include <random>
#include <system_error>

namespace wssoak {
namespace {

constexpr std::size_t kShift = 4096;

/// Letters and spaces, about as dense as text: compressing it takes as long as usual.
const std::string& filling_pool() {
  static const std::string pool = [] {
    constexpr std::string_view kLetters = "eeeetttaaooiinnsshhrrdlcumwfgypb      ";
    std::minstd_rand random(20'240'229);
    std::string text(kLargestFilling + kShift, ' ');
    for (char& one : text) one = kLetters[random() % kLetters.size()];
    return text;
  }();
  return pool;
}

std::string_view filling_of(std::uint64_t number, std::size_t size) {
  return std::string_view(filling_pool()).substr(number * 37 % kShift, size);
}

/// Takes a number and the space behind it.
std::optional<std::uint64_t> take_number(std::string_view& text) noexcept {
  std::uint64_t value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end == last || *end != ' ') return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()) + 1);
  return value;
}

}  // namespace

std::string text_of(const Note& note, std::size_t filling) {
  std::string text(note.channel);
  for (const std::uint64_t value : {note.number, note.sent_ns, std::uint64_t{filling}}) {
    text += ' ';
    text += std::to_string(value);
  }
  text += ' ';
  text += filling_of(note.number, filling);
  return text;
}

std::optional<Note> parse_note(std::string_view text) noexcept {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos) return std::nullopt;
  Note note{.channel = text.substr(0, space)};
  text.remove_prefix(space + 1);
  const auto number = take_number(text);
  const auto sent = number ? take_number(text) : std::nullopt;
  const auto filling = sent ? take_number(text) : std::nullopt;
  if (!filling || *number == 0 || *filling > kLargestFilling) return std::nullopt;
  if (text != filling_of(*number, static_cast<std::size_t>(*filling))) return std::nullopt;
  note.number = *number;
  note.sent_ns = *sent;
  return note;
}

Sequence::Verdict Sequence::take(std::uint64_t number, bool may_skip) noexcept {
  previous_ = last_;
  if (number <= last_) return Verdict::repeated;
  last_ = number;
  return previous_ == 0 || number == previous_ + 1 || may_skip ? Verdict::fine : Verdict::gap;
}

Sequence& Sequences::of(std::string_view channel) {
  auto found = std::ranges::find(channels_, channel, &Channel::name);
  if (found == channels_.end()) {
    channels_.push_back({std::string(channel), {}});
    found = channels_.end() - 1;
  }
  return found->sequence;
}

}  // namespace wssoak

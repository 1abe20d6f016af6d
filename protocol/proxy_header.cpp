#include "protocol/proxy_header.hpp"

#include <algorithm>

namespace webshocket::protocol {
namespace {

constexpr std::string_view kLineBegin = "PROXY ";
constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

constexpr std::byte byte_of(char c) noexcept { return static_cast<std::byte>(c); }

/// Off the front of the line, up to a blank, which is taken too.
std::string_view take_word(std::string_view& line) noexcept {
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(std::min(end + 1, line.size()));
  return word;
}

std::uint16_t number_at(const std::byte* at) noexcept {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(at[0]) << 8 |
                                    std::to_integer<unsigned>(at[1]));
}

}  // namespace

ProxyHeaderReader::Status ProxyHeaderReader::feed(std::span<const std::byte>& input) noexcept {
  while (status_ == Status::incomplete && !input.empty()) {
    if (skip_ == 0) {
      take(input.front());
      if (status_ != Status::error) input = input.subspan(1);
      continue;
    }
    const std::size_t count = std::min(skip_, input.size());
    input = input.subspan(count);
    skip_ -= count;
    if (skip_ == 0) status_ = Status::complete;
  }
  return status_;
}

void ProxyHeaderReader::fail(std::string_view fault) noexcept {
  status_ = Status::error;
  fault_ = fault;
}

void ProxyHeaderReader::take(std::byte byte) noexcept {
  if (kind_ == Kind::unknown) kind_ = byte == byte_of('P') ? Kind::line : Kind::block;
  const std::string_view begin = kind_ == Kind::line ? kLineBegin : kSignature;
  if (size_ < begin.size() && byte != byte_of(begin[size_])) {
    return fail("it does not begin with a PROXY header");
  }
  kept_[size_++] = byte;
  if (kind_ == Kind::line) {
    take_line_byte(byte);
  } else {
    take_block_byte();
  }
}

// --- version 1 ----------------------------------------------------------------------------------

void ProxyHeaderReader::take_line_byte(std::byte byte) noexcept {
  const bool after_return = size_ > 1 && kept_[size_ - 2] == byte_of('\r');
  if ((byte == byte_of('\n')) != after_return) return fail("its line does not end with CR LF");
  if (after_return) return read_line();
  if (size_ == kMaxLine) fail("its line is longer than 107 bytes");
}

void ProxyHeaderReader::read_line() noexcept {
  std::string_view line(reinterpret_cast<const char*>(kept_.data()), size_ - 2);
  line.remove_prefix(kLineBegin.size());
  const std::string_view family = take_word(line);
  status_ = Status::complete;
  if (family == "UNKNOWN") return;
  if (family != "TCP4" && family != "TCP6") return fail("it names neither TCP4, TCP6 nor UNKNOWN");
  const bool is_v4 = family == "TCP4";
  const auto address = [&]() -> std::optional<Address> {
    const std::string_view word = take_word(line);
    const bool looks_v4 = word.find(':') == std::string_view::npos;
    return looks_v4 == is_v4 ? Address::parse(word) : std::nullopt;
  };
  auto source = address();
  const auto target = address();
  const auto port = parse_port(take_word(line));
  // The last word ends with the line, so a blank behind it makes it no number.
  const auto target_port = parse_port(line);
  if (!source || !target) return fail("an address of it is malformed");
  if (!port || !target_port) return fail("a port of it is malformed");
  source->port = *port;
  source_ = source;
}

// --- version 2 ----------------------------------------------------------------------------------

void ProxyHeaderReader::take_block_byte() noexcept {
  if (size_ < wanted_) return;
  if (wanted_ == kHead) {
    read_head();
  } else {
    read_addresses();
  }
  if (status_ == Status::error || size_ < wanted_) return;
  skip_ = kHead + number_at(&kept_[kHead - 2]) - size_;
  if (skip_ == 0) status_ = Status::complete;
}

void ProxyHeaderReader::read_head() noexcept {
  constexpr unsigned kVersion = 2;
  constexpr std::array<std::size_t, 4> kAddresses{0, 2 * (4 + 2), 2 * (16 + 2), kMaxAddresses};
  const auto command = std::to_integer<unsigned>(kept_[kSignature.size()]);
  const auto family = std::to_integer<unsigned>(kept_[kSignature.size() + 1] >> 4);
  const auto transport = std::to_integer<unsigned>(kept_[kSignature.size() + 1] & std::byte{0xF});
  if (command >> 4 != kVersion) return fail("its version is not 2");
  if ((command & 0xF) > 1) return fail("its command is neither LOCAL nor PROXY");
  if ((command & 0xF) == 0) return;  // the proxy speaks for itself: what it says besides is nothing
  if (family >= kAddresses.size() || transport > 2) {
    return fail("it names no family or transport that is known");
  }
  if (transport == 0) return;
  if (number_at(&kept_[kHead - 2]) < kAddresses[family]) return fail("its addresses are cut off");
  wanted_ = kHead + kAddresses[family];
}

void ProxyHeaderReader::read_addresses() noexcept {
  const std::span<const std::byte> block = std::span(kept_).subspan(kHead, wanted_ - kHead);
  switch (block.size()) {
    case 2 * (4 + 2):
      source_ = Address::v4(block.first<4>(), number_at(&block[8]));
      return;
    case 2 * (16 + 2):
      source_ = Address::v6(block.first<16>(), number_at(&block[32]));
      return;
    default:
      source_ = Address();
      return;
  }
}

}  // namespace webshocket::protocol

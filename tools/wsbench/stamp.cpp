#include "stamp.hpp"

#include <array>

namespace wsbench {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

constexpr std::array<std::uint8_t, 256> digit_values() {
  std::array<std::uint8_t, 256> values{};
  for (std::size_t i = 0; i < kDigits.size(); ++i) {
    values[static_cast<unsigned char>(kDigits[i])] = static_cast<std::uint8_t>(i);
  }
  return values;
}

constexpr auto kDigitValues = digit_values();

template <class Integer>
char* write_integer(Spelling spelling, Integer value, char* at) noexcept {
  std::array<char, sizeof value> bytes;
  std::memcpy(bytes.data(), &value, sizeof value);
  if (spelling == Spelling::binary) {
    std::memcpy(at, bytes.data(), sizeof value);
    return at + sizeof value;
  }
  for (const char byte : bytes) {
    *at++ = kDigits[static_cast<unsigned char>(byte) >> 4];
    *at++ = kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return at;
}

template <class Integer>
const char* read_integer(Spelling spelling, const char* at, Integer& value) noexcept {
  if (spelling == Spelling::binary) {
    std::memcpy(&value, at, sizeof value);
    return at + sizeof value;
  }
  std::array<std::uint8_t, sizeof value> bytes;
  for (auto& byte : bytes) {
    const auto high = kDigitValues[static_cast<unsigned char>(*at++)];
    byte = static_cast<std::uint8_t>(high << 4 | kDigitValues[static_cast<unsigned char>(*at++)]);
  }
  std::memcpy(&value, bytes.data(), sizeof value);
  return at;
}

}  // namespace

void Stamps::write_filler(std::span<char> payload) const noexcept {
  // No run of it holds the magic, whose first character it leaves out.
  for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = kDigits[i % 9];
}

void Stamps::write(const Stamp& stamp, char* payload) const noexcept {
  const auto magic = begins_with();
  char* at = payload;
  std::memcpy(at, magic.data(), magic.size());
  at += magic.size();
  at = write_integer(spelling_, stamp.channel, at);
  at = write_integer(spelling_, stamp.sequence, at);
  write_integer(spelling_, stamp.due_ns, at);
  write_integer(spelling_, stamp.sequence, payload + size_ - tail_size());
}

Stamp Stamps::read(const char* at) const noexcept {
  Stamp stamp;
  at += begins_with().size();
  at = read_integer(spelling_, at, stamp.channel);
  at = read_integer(spelling_, at, stamp.sequence);
  read_integer(spelling_, at, stamp.due_ns);
  return stamp;
}

std::uint64_t Stamps::read_tail(const char* tail) const noexcept {
  std::uint64_t sequence = 0;
  read_integer(spelling_, tail, sequence);
  return sequence;
}

std::size_t Stamps::find(std::string_view message) const noexcept {
  const std::size_t at = message.find(begins_with());
  return at == std::string_view::npos || message.size() - at < size_ ? std::string_view::npos : at;
}

}  // namespace wsbench

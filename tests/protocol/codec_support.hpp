// What the tests of the codecs share: bytes as text, fixtures, random values.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <doctest/doctest.h>

#include <webshocket/packet.hpp>

#include "api/document_builder.hpp"
#include "protocol/buffer.hpp"
#include "protocol/json.hpp"
#include "protocol/msgpack.hpp"
#include "protocol/packet_codec.hpp"

namespace webshocket::test {

using Bytes = std::vector<std::byte>;

inline Bytes bytes(std::string_view text) {
  const auto view = std::as_bytes(std::span(text));
  return {view.begin(), view.end()};
}

/// "a1 62" and "a162" alike.
inline Bytes hex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
  std::string digits;
  for (const char c : text) {
    if (c != ' ') digits += c;
  }
  Bytes out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    out.push_back(static_cast<std::byte>(digit(digits[i]) << 4 | digit(digits[i + 1])));
  }
  return out;
}

inline std::string to_hex(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const std::byte byte : bytes) {
    out += kDigits[std::to_integer<unsigned>(byte) >> 4];
    out += kDigits[std::to_integer<unsigned>(byte) & 15];
  }
  return out;
}

inline std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

/// The lines of tests/protocol/fixtures/<name>, split at spaces.
inline std::vector<std::vector<std::string>> fixture(const std::string& name) {
  std::ifstream file(std::string(WEBSHOCKET_SOURCE_DIR "/tests/protocol/fixtures/") + name);
  if (!file) throw std::runtime_error("no fixture " + name);
  std::vector<std::vector<std::string>> lines;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    lines.emplace_back();
    for (std::string word; words >> word;) lines.back().push_back(word);
  }
  if (lines.empty()) throw std::runtime_error("empty fixture " + name);
  return lines;
}

inline double real_of_bits(const std::string& digits) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(std::stoull(digits, nullptr, 16)));
}

/// A message in memory of exactly its size, so that a sanitizer sees a read past its end.
class Exact {
 public:
  explicit Exact(std::span<const std::byte> bytes)
      : bytes_(new std::byte[bytes.size()]), size_(bytes.size()) {
    std::copy(bytes.begin(), bytes.end(), bytes_.get());
  }
  std::span<const std::byte> span() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_;
};

/// The readers of a format: the one that is used, and the two that it consists of.
struct Readers {
  explicit Readers(Format format)
      : read(format == Format::json ? protocol::read_json : protocol::read_msgpack),
        read_well_formed(format == Format::json ? protocol::read_well_formed_json
                                                : protocol::read_well_formed_msgpack),
        judge(format == Format::json ? protocol::judge_json : protocol::judge_msgpack) {}

  decltype(&protocol::read_json) read;
  decltype(&protocol::read_well_formed_json) read_well_formed;
  decltype(&protocol::judge_json) judge;
};

/// Why the message is refused; empty if it is not. Checks that both readers are of one opinion: one
/// would hide what the other gets wrong.
inline std::string refusal(Format format, std::span<const std::byte> message,
                           const DecodeLimits& limits) {
  const Readers readers(format);
  const Exact exact(message);
  Document document, judged;
  detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::borrow);
  detail::DocumentBuilder judged_builder(judged, detail::DocumentBuilder::Strings::borrow);
  std::string_view why, verdict;
  const bool is_read = readers.read(exact.span(), limits, builder, why);
  CHECK(readers.judge(exact.span(), limits, judged_builder, verdict) == is_read);
  builder.restart();
  CHECK(readers.read_well_formed(exact.span(), limits, builder) == is_read);
  if (is_read) {
    CHECK(builder.finish());
    CHECK(judged_builder.finish());
    CHECK(to_string(document.root()) == to_string(judged.root()));
    return "";
  }
  CHECK_FALSE(why.empty());
  return std::string(why);
}

/// A writer, and how many arrays and maps it has copied.
template <class Writer>
class CountingWriter final : public Sink {
 public:
  explicit CountingWriter(protocol::Buffer& out) : writer_(out) {}
  std::size_t copied() const { return copied_; }
  bool complete() const { return writer_.complete(); }

  void null() override { writer_.null(); }
  void boolean(bool value) override { writer_.boolean(value); }
  void integer(std::int64_t value) override { writer_.integer(value); }
  void unsigned_integer(std::uint64_t value) override { writer_.unsigned_integer(value); }
  void real(double value) override { writer_.real(value); }
  void string(std::string_view text) override { writer_.string(text); }
  void binary(std::span<const std::byte> bytes) override { writer_.binary(bytes); }
  void ext(std::int8_t type, std::span<const std::byte> bytes) override {
    writer_.ext(type, bytes);
  }
  void begin_array(std::size_t size) override { writer_.begin_array(size); }
  void end_array() override { writer_.end_array(); }
  void begin_map(std::size_t size) override { writer_.begin_map(size); }
  void end_map() override { writer_.end_map(); }
  bool take_encoded(Format format, std::span<const std::byte> bytes, std::size_t height) override {
    if (!writer_.take_encoded(format, bytes, height)) return false;
    ++copied_;
    return true;
  }

 private:
  Writer writer_;
  std::size_t copied_ = 0;
};

/// Of a message that is one value: how many arrays and maps are copied when it is written again.
/// Checks that it makes no difference.
inline std::size_t what_is_copied(Format from, std::span<const std::byte> message, Format to) {
  Document document;
  detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::borrow);
  std::string_view why;
  REQUIRE(Readers(from).read(message, {.depth = 0}, builder, why));
  REQUIRE(builder.finish());
  const auto write = [&]<class Writer>(std::type_identity<Writer>) {
    protocol::Buffer out, of_copy;
    CountingWriter<Writer> writer(out), other(of_copy);
    document.root().write(writer);
    clone(document.root()).root().write(other);
    CHECK(writer.complete());
    CHECK(out.text() == of_copy.text());
    CHECK(other.copied() == 0);
    return writer.copied();
  };
  return to == Format::msgpack ? write(std::type_identity<protocol::MsgpackWriter>())
                               : write(std::type_identity<protocol::JsonWriter>());
}

/// Random values of every kind that the format holds.
class RandomValue {
 public:
  RandomValue(Format format, std::uint32_t seed) : json_(format == Format::json), engine_(seed) {}

  void write(Sink& sink) { write(sink, 0); }

 private:
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }

  std::string text() {
    static constexpr std::string_view kPieces[] = {
        "a",           "key",  "\"", "\\",     "/", "\n", "\x01",
        "\x1f",        "\x7f", "é",  "\u2028", "😀", " ",  "longer than eight",
        "\xEF\xBF\xBD"};
    std::string out;
    for (auto count = below(8); count > 0; --count) out += kPieces[below(std::size(kPieces))];
    if (below(8) == 0) out += '\0';
    return out;
  }

  std::int64_t integer() {
    return static_cast<std::int64_t>(engine_() >> below(64)) * (below(2) ? 1 : -1);
  }

  double real() {
    while (true) {
      const double value =
          below(2) ? std::bit_cast<double>(engine_()) : static_cast<double>(integer()) / 1000.0;
      if (value - value == 0) return value;
    }
  }

  void bytes(Sink& sink, bool ext) {
    const Bytes content(below(40), static_cast<std::byte>(below(256)));
    ext ? sink.ext(static_cast<std::int8_t>(below(256)), content) : sink.binary(content);
  }

  void scalar(Sink& sink, bool key) {
    switch (below(json_ && key ? 1 : json_ ? 7 : 9)) {
      case 0:
      case 1:
        return sink.string(text());
      case 2:
        return sink.null();
      case 3:
        return sink.boolean(below(2) != 0);
      case 4:
        return sink.integer(integer());
      case 5:
        return sink.unsigned_integer(engine_());
      case 6:
        return sink.real(real());
      case 7:
        return bytes(sink, false);
      default:
        return bytes(sink, true);
    }
  }

  void write(Sink& sink, std::size_t depth) {
    const auto kind = depth > 4 ? 9 : below(10);
    const std::size_t size = below(6) == 0 ? below(24) : below(5);
    if (kind < 2 || (depth == 0 && kind < 6)) {
      sink.begin_map(size);
      for (std::size_t i = 0; i < size; ++i) {
        scalar(sink, true);
        write(sink, depth + 1);
      }
      sink.end_map();
    } else if (kind < 4) {
      sink.begin_array(size);
      for (std::size_t i = 0; i < size; ++i) write(sink, depth + 1);
      sink.end_array();
    } else {
      scalar(sink, false);
    }
  }

  bool json_;
  std::mt19937_64 engine_;
};

inline Document random_document(Format format, std::uint32_t seed) {
  Document document;
  detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::copy);
  RandomValue(format, seed).write(builder);
  if (!builder.finish()) throw std::logic_error("a random value that is none");
  return document;
}

}  // namespace webshocket::test

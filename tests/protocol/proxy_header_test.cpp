#include "protocol/proxy_header.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

using namespace webshocket::protocol;
using Status = ProxyHeaderReader::Status;

namespace {

struct Line {
  std::string_view text;    ///< without its end
  std::string_view source;  ///< empty: none
};

constexpr Line kLines[] = {
    {"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443", "203.0.113.7:56324"},
    {"PROXY TCP4 0.0.0.0 0.0.0.0 0 0", "0.0.0.0:0"},
    {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535", "255.255.255.255:65535"},
    {"PROXY TCP6 2001:db8::7 ::1 56324 443", "[2001:db8::7]:56324"},
    {"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 1 2", "203.0.113.7:1"},
    // The longest line that there is.
    {"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
     "65535 65535",
     "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
    {"PROXY UNKNOWN", ""},
    {"PROXY UNKNOWN ", ""},
    {"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535",
     ""},
    {"PROXY UNKNOWN what\tever \x01\xFF it says", ""},
};

struct BadLine {
  std::string_view text;  ///< with its end, if it has one
  std::string_view fault;
};

constexpr std::string_view kNoHeader = "it does not begin with a PROXY header";
constexpr std::string_view kEnd = "its line does not end with CR LF";
constexpr std::string_view kFamily = "it names neither TCP4, TCP6 nor UNKNOWN";
constexpr std::string_view kAddress = "an address of it is malformed";
constexpr std::string_view kPort = "a port of it is malformed";

constexpr BadLine kBadLines[] = {
    {"GET / HTTP/1.1\r\n", kNoHeader},
    {"POST / HTTP/1.1\r\n", kNoHeader},
    {"PUT / HTTP/1.1\r\n", kNoHeader},
    {"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n", kNoHeader},
    {"PROXX TCP4", kNoHeader},
    {"PROXY\tTCP4", kNoHeader},
    {"PROXY\r\n", kNoHeader},
    {"\x16\x03\x01", kNoHeader},
    {"\r\n\r\n\r", kNoHeader},
    {" PROXY", kNoHeader},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", kEnd},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r\r", kEnd},
    {"PROXY TCP4 1.2.3.4\r 1.2.3.4 1 2\r\n", kEnd},
    {"PROXY UNKNOWN\n", kEnd},
    {"PROXY UNKNOWN a\rb", kEnd},
    {"PROXY \r\n", kFamily},
    {"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", kFamily},
    {"PROXY TCP 1.2.3.4 1.2.3.4 1 2\r\n", kFamily},
    {"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", kFamily},
    {"PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", kFamily},
    {"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", kFamily},
    {"PROXY unknown\r\n", kFamily},
    {"PROXY UNKNOWNS\r\n", kFamily},
    {"PROXY TCP4\r\n", kAddress},
    {"PROXY TCP4 \r\n", kAddress},
    {"PROXY TCP4 1.2.3.4\r\n", kAddress},
    {"PROXY TCP4 1.2.3.4 \r\n", kAddress},
    {"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", kAddress},
    {"PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", kAddress},
    {"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", kAddress},
    {"PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n", kAddress},
    {"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n", kAddress},
    {"PROXY TCP4 ::1 ::1 1 2\r\n", kAddress},
    {"PROXY TCP4 1.2.3.4 ::1 1 2\r\n", kAddress},
    {"PROXY TCP4 ::ffff:1.2.3.4 1.2.3.4 1 2\r\n", kAddress},
    {"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", kAddress},
    {"PROXY TCP6 [::1] [::1] 1 2\r\n", kAddress},
    {"PROXY TCP6 ::1%lo ::1 1 2\r\n", kAddress},
    {"PROXY TCP4 localhost 1.2.3.4 1 2\r\n", kAddress},
    {"PROXY TCP4 1.2.3.4 1.2.3.4\r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4  1 2\r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 1  2\r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", kPort},
    {"PROXY TCP4 1.2.3.4 1.2.3.4 1a 2\r\n", kPort},
    {"PROXY UNKNOWN 34567890123456789012345678901234567890123456789012345678901234567890123456789"
     "01234567890123456\r\n",
     "its line is longer than 107 bytes"},
};

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string block(unsigned command, unsigned family, std::string_view content) {
  std::string bytes(kSignature);
  bytes += static_cast<char>(command);
  bytes += static_cast<char>(family);
  bytes += static_cast<char>(content.size() >> 8);
  bytes += static_cast<char>(content.size() & 0xFF);
  return bytes.append(content);
}

std::string from_bytes(std::initializer_list<unsigned> values) {
  std::string bytes;
  for (const unsigned value : values) bytes += static_cast<char>(value);
  return bytes;
}

const std::string kV4 = from_bytes({203, 0, 113, 7, 192, 0, 2, 1, 0xDC, 0x04, 1, 0xBB});
const std::string kV6 = from_bytes({0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7}) +
                        std::string(15, '\0') + from_bytes({1, 0xDC, 0x04, 1, 0xBB});
const std::string kMapped = std::string(10, '\0') + from_bytes({255, 255, 203, 0, 113, 7}) +
                            std::string(16, '\1') + from_bytes({0, 9, 0, 8});
const std::string kUnix = "/run/a" + std::string(102, '\0') + "/run/b" + std::string(102, '\0');
const std::string kTlvs =  // CRC32C, which need not be right; a NOOP of 300 bytes
    from_bytes({3, 0, 4, 1, 2, 3, 4, 4, 1, 0x2C}) + std::string(300, 'x');

struct Block {
  unsigned command;
  unsigned family;
  std::string content;
  std::string source;  ///< empty: none
};

const Block kBlocks[] = {
    {0x21, 0x11, kV4, "203.0.113.7:56324"},
    {0x21, 0x12, kV4, "203.0.113.7:56324"},
    {0x21, 0x11, kV4 + kTlvs, "203.0.113.7:56324"},
    {0x21, 0x11, kV4 + "x", "203.0.113.7:56324"},
    {0x21, 0x21, kV6, "[2001:db8::7]:56324"},
    {0x21, 0x22, kV6, "[2001:db8::7]:56324"},
    {0x21, 0x21, kV6 + kTlvs, "[2001:db8::7]:56324"},
    {0x21, 0x21, kMapped, "203.0.113.7:9"},
    {0x21, 0x31, kUnix, "unix"},
    {0x21, 0x32, kUnix + kTlvs, "unix"},
    {0x21, 0x00, "", ""},
    {0x21, 0x00, kTlvs, ""},
    {0x21, 0x10, kV4, ""},
    {0x21, 0x01, kV4, ""},
    {0x20, 0x00, "", ""},
    {0x20, 0x11, kV4, ""},
    {0x20, 0x11, "", ""},
    {0x20, 0xFF, kTlvs, ""},
    {0x21, 0x11, kV4 + std::string(65535 - 12, 't'), "203.0.113.7:56324"},
    {0x20, 0x00, std::string(65535, 't'), ""},
};

struct BadBlock {
  unsigned command;
  unsigned family;
  std::string content;
  std::string_view fault;
};

constexpr std::string_view kCut = "its addresses are cut off";
constexpr std::string_view kUnknown = "it names no family or transport that is known";

const BadBlock kBadBlocks[] = {
    {0x11, 0x11, kV4, "its version is not 2"},
    {0x31, 0x11, kV4, "its version is not 2"},
    {0x01, 0x11, kV4, "its version is not 2"},
    {0x22, 0x11, kV4, "its command is neither LOCAL nor PROXY"},
    {0x2F, 0x11, kV4, "its command is neither LOCAL nor PROXY"},
    {0x21, 0x41, kV4, kUnknown},
    {0x21, 0xF1, kV4, kUnknown},
    {0x21, 0x13, kV4, kUnknown},
    {0x21, 0x0F, kV4, kUnknown},
    {0x21, 0x11, "", kCut},
    {0x21, 0x11, kV4.substr(1), kCut},
    {0x21, 0x21, kV4, kCut},
    {0x21, 0x21, kV6.substr(1), kCut},
    {0x21, 0x31, kUnix.substr(1), kCut},
    {0x21, 0x31, kV6, kCut},
};

std::string source_of(const ProxyHeaderReader& reader) {
  return reader.source() ? reader.source()->to_string() : "";
}

/// Feeds a copy of exactly the text's size and returns what is left of it.
std::size_t feed(ProxyHeaderReader& reader, std::string_view text, Status& status) {
  const auto memory = std::make_unique<std::byte[]>(text.size());
  std::ranges::copy(std::as_bytes(std::span(text)), memory.get());
  std::span<const std::byte> input(memory.get(), text.size());
  status = reader.feed(input);
  return input.size();
}

/// Whole, then byte by byte: what is behind the header stays.
void check_good(const std::string& header, std::string_view source) {
  for (const std::string_view behind : {"", "G", "\r\n", "GET / HTTP/1.1\r\n\r\n", "PROXY "}) {
    CAPTURE(behind);
    ProxyHeaderReader whole;
    Status status{};
    CHECK(feed(whole, header + std::string(behind), status) == behind.size());
    CHECK(status == Status::complete);
    CHECK(source_of(whole) == source);
    CHECK(feed(whole, "more", status) == 4);
    CHECK(status == Status::complete);
  }
  ProxyHeaderReader parts;
  for (std::size_t i = 0; i < header.size(); ++i) {
    Status status{};
    REQUIRE(feed(parts, header.substr(i, 1), status) == 0);
    REQUIRE(status == (i + 1 < header.size() ? Status::incomplete : Status::complete));
  }
  CHECK(source_of(parts) == source);
}

void check_bad(const std::string& header, std::string_view fault) {
  ProxyHeaderReader whole;
  Status status{};
  feed(whole, header, status);
  CHECK(status == Status::error);
  CHECK(whole.fault() == fault);
  CHECK(feed(whole, "more", status) == 4);
  ProxyHeaderReader parts;
  for (const char c : header) feed(parts, {&c, 1}, status);
  CHECK(status == Status::error);
  CHECK(parts.fault() == fault);
}

}  // namespace

TEST_CASE("version 1: who it is, and nothing of what follows") {
  for (const Line& line : kLines) {
    CAPTURE(line.text);
    check_good(std::string(line.text) + "\r\n", line.source);
  }
}

TEST_CASE("version 1: what is malformed is said, and where it begins to be") {
  for (const BadLine& line : kBadLines) {
    CAPTURE(line.text);
    check_bad(std::string(line.text), line.fault);
  }
}

TEST_CASE("version 1: 107 bytes are the most, and are enough") {
  const std::string longest = "PROXY UNKNOWN " + std::string(107 - 14 - 2, 'x') + "\r\n";
  REQUIRE(longest.size() == 107);
  check_good(longest, "");
  check_bad("PROXY UNKNOWN " + std::string(107 - 14 - 1, 'x') + "\r\n",
            "its line is longer than 107 bytes");
}

TEST_CASE("version 2: who it is, and nothing of what follows") {
  for (const Block& good : kBlocks) {
    CAPTURE(good.command);
    CAPTURE(good.family);
    CAPTURE(good.content.size());
    check_good(block(good.command, good.family, good.content), good.source);
  }
}

TEST_CASE("version 2: what is malformed is said") {
  for (const BadBlock& bad : kBadBlocks) {
    CAPTURE(bad.command);
    CAPTURE(bad.family);
    CAPTURE(bad.content.size());
    check_bad(block(bad.command, bad.family, bad.content), bad.fault);
  }
  for (std::size_t i = 0; i < kSignature.size(); ++i) {
    std::string wrong = block(0x21, 0x11, kV4);
    wrong[i] ^= 1;
    check_bad(wrong, kNoHeader);
  }
}

TEST_CASE("nothing at all is the beginning of a header") {
  ProxyHeaderReader reader;
  Status status{};
  CHECK(feed(reader, "", status) == 0);
  CHECK(status == Status::incomplete);
  CHECK_FALSE(reader.source());
}

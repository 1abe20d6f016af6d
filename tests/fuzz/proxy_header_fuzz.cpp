// The first byte chooses the cuts; the rest is what a proxy, or whoever is there, sends. However it
// is cut, the same comes out, and what is behind the header is not touched.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>

#include "protocol/proxy_header.hpp"

using namespace webshocket::protocol;

namespace {

using Bytes = std::span<const std::byte>;
using Status = ProxyHeaderReader::Status;

void require(bool condition) {
  if (!condition) std::abort();
}

/// Feeds a copy of exactly the piece's size; returns how many bytes were taken.
std::size_t feed(ProxyHeaderReader& reader, Bytes piece, Status& status) {
  const auto memory = std::make_unique<std::byte[]>(piece.size());
  if (!piece.empty()) std::memcpy(memory.get(), piece.data(), piece.size());
  Bytes input(memory.get(), piece.size());
  status = reader.feed(input);
  require(status != Status::incomplete || input.empty());
  return piece.size() - input.size();
}

/// As version 1 writes it, where it can: the two address families of the internet.
void check_written_again(const Address& source) {
  if (source.family == 0) return;
  std::string text = source.to_string();
  const std::size_t colon = text.rfind(':');
  const std::string port = text.substr(colon + 1);
  text.resize(colon);
  if (source.family == 6) text = text.substr(1, text.size() - 2);
  const std::string line = (source.family == 4 ? "PROXY TCP4 " : "PROXY TCP6 ") + text + ' ' +
                           text + ' ' + port + ' ' + port + "\r\n";
  ProxyHeaderReader reader;
  Status status{};
  require(feed(reader, std::as_bytes(std::span(line)), status) == line.size());
  require(status == Status::complete && reader.source() == source);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::minstd_rand random(data[0] + 1U);
  const Bytes bytes = std::as_bytes(std::span(data, size)).subspan(1);

  ProxyHeaderReader whole;
  Status status{};
  const std::size_t taken = feed(whole, bytes, status);
  ProxyHeaderReader parts;
  Status parts_status{};
  std::size_t parts_taken = feed(parts, {}, parts_status);
  while (parts_status == Status::incomplete && parts_taken < bytes.size()) {
    const std::size_t count = std::min<std::size_t>(1 + random() % 40, bytes.size() - parts_taken);
    parts_taken += feed(parts, bytes.subspan(parts_taken, count), parts_status);
  }
  require(parts_status == status && parts_taken == taken);
  require(parts.source() == whole.source() && parts.fault() == whole.fault());
  require(whole.fault().empty() == (status != Status::error));
  require(!whole.source() || status != Status::error);
  if (status != Status::complete) return 0;

  ProxyHeaderReader shorter;
  feed(shorter, bytes.first(taken - 1), status);
  require(status == Status::incomplete);
  require(feed(whole, bytes, status) == 0 && status == Status::complete);
  if (whole.source()) check_written_again(*whole.source());
  return 0;
}

// The first bytes choose side, limits and cuts; the rest is what a peer sent. However it is cut,
// the same comes out; what a refusal says can be read as a reply; a request that is accepted leads
// to a reply that the client's side accepts.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "protocol/handshake.hpp"
#include "protocol/http.hpp"

using namespace webshocket::protocol;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

using Bytes = std::span<const std::byte>;

/// Feeds a copy of exactly the piece's size; returns how many bytes were taken.
template <typename Reader>
std::size_t feed(Reader& reader, Bytes piece, typename Reader::Status& status) {
  const auto memory = std::make_unique<std::byte[]>(piece.size());
  if (!piece.empty()) std::memcpy(memory.get(), piece.data(), piece.size());
  Bytes input(memory.get(), piece.size());
  status = reader.feed(input);
  require(status != Reader::Status::incomplete || input.empty());
  return piece.size() - input.size();
}

template <typename Reader, typename Random>
std::size_t feed_in_parts(Reader& reader, Bytes bytes, Random& random,
                          typename Reader::Status& status) {
  std::size_t taken = feed(reader, {}, status);
  while (status == Reader::Status::incomplete && taken < bytes.size()) {
    const std::size_t count = std::min<std::size_t>(1 + random() % 40, bytes.size() - taken);
    taken += feed(reader, bytes.subspan(taken, count), status);
  }
  return taken;
}

bool same(const std::vector<HttpHeader>& left, const std::vector<HttpHeader>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const HttpHeader& a, const HttpHeader& b) {
                      return a.name == b.name && a.value == b.value;
                    });
}

void check_error(const HttpError& error) {
  require(error.status >= 400 && error.status < 600 && !error.text.empty());
  require(http_reason(error.status) != "Unknown");
  Buffer out;
  write_http_error(out, error);
  HttpReplyReader reader;
  HttpReplyReader::Status status{};
  require(feed(reader, out.span(), status) == out.size());
  require(status == HttpReplyReader::Status::complete);
  require(reader.reply().status == error.status && reader.reply().body == error.text);
}

void check_offer(const UpgradeOffer& offer) {
  const auto subprotocol = choose_subprotocol(offer.subprotocols);
  Buffer out;
  write_upgrade_reply(out, offer.key, subprotocol);
  HttpReplyReader reader;
  HttpReplyReader::Status status{};
  require(feed(reader, out.span(), status) == out.size());
  require(status == HttpReplyReader::Status::complete);
  require(!check_upgrade_reply(reader.reply(), offer.key, offer.subprotocols));

  UpgradeRequestOptions options;
  options.host = "fuzz";
  options.target = "/";
  options.key = offer.key;
  options.subprotocols = offer.subprotocols;
  Buffer request;
  require(write_upgrade_request(request, options));
  HttpRequestReader server({.head = request.size()});
  HttpRequestReader::Status server_status{};
  require(feed(server, request.span(), server_status) == request.size());
  require(server_status == HttpRequestReader::Status::complete && server.upgrade());
  const auto again = check_upgrade(server.head());
  require(std::get<UpgradeOffer>(again).subprotocols == offer.subprotocols);
}

template <typename Random>
void request(Bytes bytes, HttpLimits limits, Random& random) {
  using Status = HttpRequestReader::Status;
  HttpRequestReader whole(limits);
  Status status{};
  const std::size_t taken = feed(whole, bytes, status);

  HttpRequestReader parts(limits);
  Status parts_status{};
  const std::size_t parts_taken = feed_in_parts(parts, bytes, random, parts_status);
  require(parts_status == status && parts.started() == whole.started());
  if (status == Status::error) {
    require(parts.error().status == whole.error().status);
    require(parts.error().text == whole.error().text);
    check_error(whole.error());
    return;
  }
  require(parts_taken == taken);
  if (status != Status::complete) return;
  const HttpHead& head = whole.head();
  require(same(head.headers, parts.head().headers) && head.target == parts.head().target);
  require(head.method == parts.head().method && head.path == parts.head().path);
  require(whole.body() == parts.body() && whole.upgrade() == parts.upgrade());
  require(head.headers.size() <= limits.headers && whole.body().size() <= limits.body);
  require(head.version_minor == 0 || head.count("Host") == 1);
  for (const HttpHeader& header : head.headers) require(is_writable(header));

  const auto result = check_upgrade(head);
  if (const auto* error = std::get_if<HttpError>(&result)) {
    check_error(*error);
  } else {
    require(whole.upgrade() && whole.body().empty());
    check_offer(std::get<UpgradeOffer>(result));
  }

  whole.reset();
  feed(whole, bytes.subspan(taken), status);
}

template <typename Random>
void reply(Bytes bytes, HttpLimits limits, Random& random) {
  using Status = HttpReplyReader::Status;
  HttpReplyReader whole(limits);
  Status status{};
  const std::size_t taken = feed(whole, bytes, status);
  HttpReplyReader parts(limits);
  Status parts_status{};
  const std::size_t parts_taken = feed_in_parts(parts, bytes, random, parts_status);
  require(parts_status == status);
  if (status == Status::incomplete) {
    status = whole.end_of_input();
    require(parts.end_of_input() == status && status != Status::incomplete);
  }
  require(whole.error() == parts.error() && whole.error().empty() == (status == Status::complete));
  if (status != Status::complete) return;
  require(taken == parts_taken);
  require(same(whole.reply().headers, parts.reply().headers));
  require(whole.reply().body == parts.reply().body && whole.reply().body.size() <= limits.body);
  const std::vector<std::string> offered{"webshocket.v1"};
  const auto fault = check_upgrade_reply(whole.reply(), "dGhlIHNhbXBsZSBub25jZQ==", offered);
  require(fault || whole.reply().status == 101);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kChoices = 3;
  if (size < kChoices) return 0;
  const bool client = (data[0] & 1) != 0;
  HttpLimits limits;
  if ((data[0] & 2) != 0) limits = {.head = 200, .headers = 6, .body = 20};
  std::minstd_rand random(data[1] * 256U + data[2] + 1U);
  const Bytes bytes = std::as_bytes(std::span(data, size)).subspan(kChoices);
  if (client) {
    reply(bytes, limits, random);
  } else {
    request(bytes, limits, random);
  }
  return 0;
}

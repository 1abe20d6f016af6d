// The first byte chooses the settings; the rest is a Sec-WebSocket-Extensions header, once as a
// client's and once as a server's. Whatever a server agrees to can be kept, and is an answer that a
// client who made that offer takes; whatever a client takes from a server can be kept.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/extensions.hpp"
#include "protocol/http_fields.hpp"
#include "protocol/per_message_deflate.hpp"

using namespace webshocket;
using namespace webshocket::protocol;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

HttpFields fields(std::string value) {
  HttpFields result;
  result.headers.push_back({std::string(kExtensionsHeader), std::move(value)});
  return result;
}

bool are_bits(int bits) { return bits >= 8 && bits <= 15; }

/// A message from one end to the other, twice, so that contexts count.
void check_conversation(const DeflateTerms& terms, const Compression& settings, Role from) {
  const Role to = from == Role::server ? Role::client : Role::server;
  PerMessageDeflate sender(terms, from, settings);
  PerMessageDeflate receiver(terms, to, settings);
  std::string text;
  for (int i = 0; i < 40; ++i) text += "what is said " + std::to_string(i * i) + " times; ";
  const auto message = std::as_bytes(std::span(text));
  for (int i = 0; i < 2; ++i) {
    Buffer deflated;
    if (!sender.deflate(message, settings, deflated)) continue;
    Buffer inflated;
    check(receiver.inflater().inflate(deflated.span(), inflated, text.size()) ==
          Inflater::Status::ok);
    check(inflated.text() == text);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const unsigned choice = data[0];
  const Compression settings{.enabled = true,
                             .threshold = 0,
                             .level = 1,
                             .window_bits = 9 + static_cast<int>(choice % 7),
                             .memory_level = 1,
                             .context = (choice & 0x40U) != 0,
                             .peer_context = (choice & 0x80U) != 0};
  const std::string value(reinterpret_cast<const char*>(data) + 1, size - 1);

  if (const auto answer = accept_deflate(fields(value), settings)) {
    const DeflateTerms& terms = answer->terms;
    check(are_bits(terms.server_window_bits) && are_bits(terms.client_window_bits));
    check(terms.server_window_bits <= settings.window_bits);
    check(is_field_value(answer->text));
    // A client with any wishes reads the same out of it.
    const Compression generous{.enabled = true, .context = true, .peer_context = true};
    const auto read = read_deflate_reply(fields(answer->text), generous);
    check(std::holds_alternative<std::optional<DeflateTerms>>(read));
    check(std::get<std::optional<DeflateTerms>>(read) == terms ||
          terms.client_window_bits != kMostWindowBits);
    check_conversation(terms, settings, Role::server);
  }

  const auto reply = read_deflate_reply(fields(value), settings);
  if (const auto* terms = std::get_if<std::optional<DeflateTerms>>(&reply)) {
    if (!terms->has_value()) return 0;
    check(are_bits((*terms)->server_window_bits) && are_bits((*terms)->client_window_bits));
    check((*terms)->client_window_bits <= settings.window_bits);
    check((*terms)->client_no_context_takeover || settings.context);
    check_conversation(**terms, settings, Role::client);
  } else {
    check(!std::get<std::string>(reply).empty());
  }
  return 0;
}

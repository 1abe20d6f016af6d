// Input: operations of three bytes (what, who, which name) over names made from the third byte; the
// first two bytes choose the options. Every operation is compared with a simple model.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "shards/channels.hpp"
#include "tests/shards/channels_model.hpp"

namespace {

constexpr int kClients = 24;

// 64 names that share prefixes, and 192 patterns over the same letters.
std::string make_name(std::uint8_t byte) {
  constexpr const char* kParts[] = {"a", "b", ".", "ab"};
  constexpr const char* kGlobs[] = {"*", "?", "[!a]"};
  std::string name;
  if (byte < 64) {
    for (int i = 0; i < 3; ++i, byte = static_cast<std::uint8_t>(byte >> 2))
      name += kParts[byte & 3];
    return name;
  }
  const int glob = byte / 64 - 1;
  name = (byte & 4) != 0 ? "" : kParts[byte & 3];
  name += kGlobs[glob];
  if ((byte & 8) != 0) name += kParts[(byte >> 4) & 3];
  return name;
}

void require(bool same, const char* what) {
  if (same) return;
  std::cerr << "differs from the model: " << what << '\n';
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2 || size > 3000) return 0;
  webshocket::shards::ChannelsOptions options;
  options.tried_at_once = data[0] & 15;
  options.match_cache_bytes = static_cast<std::size_t>(data[0] >> 4) * 200;
  if (data[1] != 0) options.publish_numbers = data[1];

  webshocket::tests::Comparison both(options, kClients);
  for (std::size_t i = 2; i + 2 < size; i += 3) {
    const int client = data[i + 1] % kClients;
    const std::string name = make_name(data[i + 2]);
    switch (data[i] % 8) {
      case 0:
      case 1:
        require(both.subscribe(client, name), "subscribe");
        break;
      case 2:
        require(both.unsubscribe(client, name), "unsubscribe");
        break;
      case 3:
        require(both.reconnect(client), "reconnect");
        break;
      case 4:
        require(both.subscribed(client, name), "subscribed");
        break;
      case 5:
        require(both.state(client), "state");
        break;
      case 6:
        require(both.publish(name), "publish");
        break;
      case 7:
        require(both.publish_and_disconnect(name, client, data[i] / 8 % kClients), "disconnect");
        break;
    }
    if (options.match_cache_bytes < both.channels().match_cache().bytes()) {
      require(both.channels().match_cache().size() == 0, "the bound of the cache");
    }
  }
  return 0;
}

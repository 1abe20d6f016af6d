#include <doctest/doctest.h>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

#include "shards/channels.hpp"
#include "tests/shards/channels_model.hpp"

using webshocket::shards::ChannelsOptions;
using webshocket::tests::Comparison;

TEST_CASE("thousands of random operations, compared with a simple model") {
  struct Setting {
    ChannelsOptions options;
    int clients;
    int names;
  };
  const Setting settings[] = {
      {{.seed = 1}, 12, 6},
      {{.tried_at_once = 0}, 12, 6},
      {{.match_cache_bytes = 1500, .tried_at_once = 0}, 40, 20},
      {{.match_cache_bytes = 1, .tried_at_once = 2}, 100, 10},
      {{.tried_at_once = 3, .publish_numbers = 7}, 60, 4},
  };
  unsigned seed = 1;
  for (const Setting& setting : settings) {
    std::mt19937 random(seed++);
    const auto below = [&](int limit) {
      return static_cast<int>(random() % static_cast<unsigned>(limit));
    };
    std::vector<std::string> published;
    for (int i = 0; i < setting.names; ++i) {
      std::string name;
      for (int length = below(4); length >= 0; --length) name += "ab."[below(3)];
      published.push_back(name);
    }
    std::vector<std::string> names = published;
    for (int i = 0; i < setting.names * 2; ++i) {
      std::string name = published[static_cast<std::size_t>(below(setting.names))];
      name = name.substr(0, static_cast<std::size_t>(below(4)));
      for (int parts = below(3); parts >= 0; --parts) {
        constexpr const char* kParts[] = {"*", "?", "[ab]", "[!a]", "a", "b*", ".*"};
        name += kParts[below(7)];
      }
      names.push_back(name);
    }
    const auto any_name = [&] {
      return names[static_cast<std::size_t>(below(static_cast<int>(names.size())))];
    };
    const auto any_published = [&] {
      return published[static_cast<std::size_t>(below(setting.names))];
    };

    Comparison both(setting.options, setting.clients);
    for (int step = 0; step < 6000; ++step) {
      const int client = below(setting.clients);
      CAPTURE(step);
      switch (below(12)) {
        case 0:
        case 1:
        case 2:
        case 3:
          REQUIRE(both.subscribe(client, any_name()));
          break;
        case 4:
        case 5:
          REQUIRE(both.unsubscribe(client, any_name()));
          break;
        case 6:
          REQUIRE(both.reconnect(client));
          break;
        case 7:
          REQUIRE(both.subscribed(client, any_name()));
          break;
        case 8:
          REQUIRE(both.state(client));
          break;
        case 9:
          REQUIRE(both.publish_and_disconnect(any_published(), client, below(setting.clients)));
          break;
        default:
          REQUIRE(both.publish(any_published()));
          break;
      }
    }
  }
}

/// What both ends have agreed on: channels, paths, how often what happens.
#pragma once

#include <webshocket/outbox.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace wssoak {

inline constexpr std::size_t kRooms = 12;
inline std::string room(std::size_t index) { return "room-" + std::to_string(index % kRooms); }

/// A channel whose readers are slow, and what the server does about it.
struct SlowChannel {
  const char* name;
  webshocket::OutboxPolicy policy;
};
inline constexpr std::array<SlowChannel, 4> kSlowChannels = {{
    {"slow-drop-new", webshocket::OutboxPolicy::drop_new},
    {"slow-drop-old", webshocket::OutboxPolicy::drop_old},
    {"slow-conflate", webshocket::OutboxPolicy::conflate},
    {"slow-disconnect", webshocket::OutboxPolicy::disconnect},
}};
inline constexpr std::size_t kSlowLimit = 128 * 1024;  ///< that waits for one of them
inline constexpr std::size_t kSlowFilling = 48'000;    ///< of each of their messages
inline constexpr double kSlowRate = 40;                ///< messages a second and channel

/// Of raw connections; the rest of the path is the channel's name.
inline constexpr std::string_view kRawSubscriber = "/raw/sub/";
inline constexpr std::string_view kRawMember = "/raw/member/";  ///< the same, and gets broadcasts
inline constexpr std::string_view kRawPublisher = "/raw/pub/";
/// What a raw subscriber says to be one no more, and what it is answered.
inline constexpr std::string_view kLeave = "leave";
inline constexpr std::string_view kLeft = "left";

/// Messages that are larger are not compressed.
inline constexpr std::size_t kLargestCompressed = 16 * 1024;

/// A second, for the factor 1.
struct Rates {
  double calls = 100;
  double publishes = 20;
  double streams = 4;
  double visits = 4;  ///< clients that come, do something and go
};
inline constexpr double kMostVisits = 300;  ///< a second, whatever the factor: ports are few
inline constexpr double kBroadcastRate = 1;

}  // namespace wssoak

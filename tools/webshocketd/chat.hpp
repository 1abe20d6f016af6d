/// The chat behind the demo page: rooms, people in them, what they say and whether they are typing.
#pragma once

#include <webshocket/webshocket.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace webshocketd {

struct Limits {
  std::size_t nick = 24;    ///< code points
  std::size_t room = 32;    ///< characters
  std::size_t text = 2000;  ///< code points
  std::uint32_t says = 8;   ///< messages per period, for each connection
  std::int64_t period_ms = 10'000;
  WEBSHOCKET_FIELDS(Limits, nick, room, text, says, period_ms)
};

struct Person {
  std::string uid;
  std::string nick;
  WEBSHOCKET_FIELDS(Person, uid, nick)
};

struct Room {
  std::string name;
  std::size_t members = 0;
  WEBSHOCKET_FIELDS(Room, name, members)
};

struct Joined {
  std::string uid;
  std::string nick;  ///< as it was asked for, or with a number behind it
  std::string room;
  std::vector<Person> members;
  Limits limits;
  WEBSHOCKET_FIELDS(Joined, uid, nick, room, members, limits)
};

struct Said {
  std::int64_t time = 0;  ///< milliseconds since 1970, as the others see it
  WEBSHOCKET_FIELDS(Said, time)
};

/// A connection is in one room at most. What happens in a room is published on its channel
/// `room:<name>`, to everybody in it but the one who did it:
///
///     {type: "message" | "joined" | "left" | "typing", uid, nick, time, text?, on?}
///
/// The channel `rooms`, which every connection has, tells the list of rooms when it changes.
class Chat : public webshocket::Handler {
 public:
  /// `rooms_changed` is shared by all shards: whoever sees it first tells the clients.
  explicit Chat(std::atomic<bool>& rooms_changed);

  void on_start() override;
  void on_connect(webshocket::Connection& conn) override;
  void on_disconnect(webshocket::Connection& conn) override;

 private:
  /// What a connection has to do with rooms.
  struct Visit {
    std::string nick;
    std::string room;        ///< subscribed to its channel if not empty
    bool member = false;     ///< false while `join` still asks who is there
    std::uint64_t turn = 0;  ///< counts `join` and `leave`: the last one called wins
  };

  webshocket::Task<Joined> join(webshocket::Connection& conn, std::string nick, std::string room);
  Said say(webshocket::Connection& conn, std::string_view text);
  void typing(webshocket::Connection& conn, bool on);
  webshocket::Task<std::vector<Person>> who(webshocket::Connection& conn);
  webshocket::Task<std::vector<Room>> rooms();
  void leave(webshocket::Connection& conn);

  webshocket::Task<std::vector<Person>> everybody_in(std::string room);
  webshocket::Task<void> tell_rooms();
  std::vector<Person> people_here(const std::string& room) const;
  std::vector<Room> rooms_here() const;

  void go_out(webshocket::Connection& conn);

  static constexpr Limits kLimits{};

  std::atomic<bool>& rooms_changed_;
};

}  // namespace webshocketd

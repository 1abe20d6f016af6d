#include "chat.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>
#include <utility>

#include "text.hpp"

namespace webshocketd {
namespace {

namespace ws = webshocket;
using namespace std::chrono_literals;

constexpr std::string_view kRoomsChannel = "rooms";
constexpr std::chrono::milliseconds kRoomsPause = 250ms;

std::string channel_of(std::string_view room) { return "room:" + std::string(room); }

std::int64_t unix_time_ms() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

std::string checked_nick(std::string_view asked, std::size_t limit) {
  const std::string_view nick = trimmed(asked);
  if (nick.empty()) throw ws::RpcError("Please tell your name.");
  if (code_points(nick) > limit) {
    throw ws::RpcError("A name has " + std::to_string(limit) + " characters at most.");
  }
  if (!fits_on_a_line(nick)) throw ws::RpcError("A name cannot hold control characters.");
  return std::string(nick);
}

void check_room(std::string_view room, std::size_t limit) {
  const bool fits = !room.empty() && room.size() <= limit && std::ranges::all_of(room, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
  if (!fits) {
    throw ws::RpcError("A room is 1 to " + std::to_string(limit) + " letters, digits, - or _.");
  }
}

/// "Ada", or "Ada2", "Ada3", … if others have that already.
std::string free_nick(const std::string& nick, const std::vector<Person>& people,
                      std::size_t limit) {
  const auto taken = [&](const std::string& name) {
    return std::ranges::find(people, name, &Person::nick) != people.end();
  };
  std::string name = nick;
  for (std::size_t number = 2; taken(name); ++number) {
    const std::string suffix = std::to_string(number);
    name = std::string(shortened(nick, limit - suffix.size())) + suffix;
  }
  return name;
}

}  // namespace

Chat::Chat(std::atomic<bool>& rooms_changed) : rooms_changed_(rooms_changed) {
  const ws::Predicate member = ws::Is(&Visit::member);
  rpc("join", &Chat::join).params("nick", "room");
  rpc("say", &Chat::say)
      .params("text")
      .require(member)
      .rate_limit(kLimits.says, std::chrono::milliseconds(kLimits.period_ms));
  rpc("typing", &Chat::typing).params("on").require(member).rate_limit(5, 1s);
  rpc("who", &Chat::who).require(member);
  rpc("rooms", &Chat::rooms);
  rpc("leave", &Chat::leave);
}

void Chat::on_start() {
  // People who come in crowds change the list far more often than anybody can read it.
  every(kRoomsPause, [this] {
    if (rooms_changed_.exchange(false)) spawn(tell_rooms());
  });
}

void Chat::on_connect(ws::Connection& conn) { conn.subscribe(kRoomsChannel); }

void Chat::on_disconnect(ws::Connection& conn) { go_out(conn); }

ws::Task<Joined> Chat::join(ws::Connection& conn, std::string nick, std::string room) {
  nick = checked_nick(nick, kLimits.nick);
  check_room(room, kLimits.room);
  go_out(conn);

  // Listening comes before asking, so that nobody who comes in between is missed.
  auto& visit = conn.session<Visit>();
  const auto turn = ++visit.turn;
  if (!conn.subscribe(channel_of(room))) throw ws::RpcError("The server has no place for you.");
  visit.room = room;
  std::vector<Person> members = co_await everybody_in(room);
  if (visit.turn != turn) throw ws::RpcError("You went elsewhere before this was done.");

  // Two who come in the same instant on different shards may still get the same name. That is a
  // matter of taste here: their uids tell them apart.
  visit.nick = free_nick(nick, members, kLimits.nick);
  visit.member = true;
  rooms_changed_ = true;

  const std::string uid = conn.uid().to_string();
  publish(channel_of(room),
          ws::map("type", "joined", "uid", uid, "nick", visit.nick, "time", unix_time_ms()),
          {.exclude = conn});

  Person self{uid, visit.nick};
  members.push_back(std::move(self));
  Joined joined{uid, visit.nick, std::move(room), std::move(members), kLimits};
  co_return joined;
}

Said Chat::say(ws::Connection& conn, std::string_view text) {
  const auto& visit = conn.session<Visit>();
  const std::string_view said = trimmed(text);
  if (said.empty()) throw ws::RpcError("There is nothing in this message.");
  if (const std::size_t length = code_points(said); length > kLimits.text) {
    throw ws::RpcError("A message has " + std::to_string(kLimits.text) +
                       " characters at most; this one has " + std::to_string(length) + ".");
  }
  const std::int64_t time = unix_time_ms();
  const bool sent = publish(channel_of(visit.room),
                            ws::map("type", "message", "uid", conn.uid().to_string(), "nick",
                                    visit.nick, "text", said, "time", time),
                            {.exclude = conn});
  if (!sent) throw ws::RpcError("The server has too much to do at the moment.");
  return {time};
}

void Chat::typing(ws::Connection& conn, bool on) {
  const auto& visit = conn.session<Visit>();
  publish(channel_of(visit.room),
          ws::map("type", "typing", "uid", conn.uid().to_string(), "nick", visit.nick, "on", on,
                  "time", unix_time_ms()),
          {.exclude = conn});
}

ws::Task<std::vector<Person>> Chat::who(ws::Connection& conn) {
  return everybody_in(conn.session<Visit>().room);
}

ws::Task<std::vector<Room>> Chat::rooms() {
  std::map<std::string, std::size_t> counts;
  for (const auto& shard : co_await gather(&Chat::rooms_here)) {
    for (const Room& room : shard) counts[room.name] += room.members;
  }
  std::vector<Room> result;
  for (const auto& [name, members] : counts) {
    Room room{name, members};
    result.push_back(std::move(room));
  }
  co_return result;
}

void Chat::leave(ws::Connection& conn) { go_out(conn); }

ws::Task<std::vector<Person>> Chat::everybody_in(std::string room) {
  co_return ws::flatten(co_await gather(&Chat::people_here, std::move(room)));
}

ws::Task<void> Chat::tell_rooms() {
  const std::vector<Room> list = co_await rooms();
  publish(kRoomsChannel, ws::map("type", "rooms", "rooms", list));
}

std::vector<Person> Chat::people_here(const std::string& room) const {
  std::vector<Person> people;
  for (const ws::Connection* conn : subscribers(channel_of(room))) {
    const auto* visit = conn->find<Visit>();
    if (visit != nullptr && visit->member) people.push_back({conn->uid().to_string(), visit->nick});
  }
  return people;
}

std::vector<Room> Chat::rooms_here() const {
  std::map<std::string, std::size_t> counts;
  for (const ws::Connection& conn : clients()) {
    const auto* visit = conn.find<Visit>();
    if (visit != nullptr && visit->member) ++counts[visit->room];
  }
  std::vector<Room> rooms;
  rooms.reserve(counts.size());
  for (const auto& [name, members] : counts) rooms.push_back({name, members});
  return rooms;
}

void Chat::go_out(ws::Connection& conn) {
  auto* visit = conn.find<Visit>();
  if (visit == nullptr || visit->room.empty()) return;
  ++visit->turn;
  const std::string room = std::exchange(visit->room, {});
  conn.unsubscribe(channel_of(room));
  if (!std::exchange(visit->member, false)) return;
  rooms_changed_ = true;
  publish(channel_of(room), ws::map("type", "left", "uid", conn.uid().to_string(), "nick",
                                    visit->nick, "time", unix_time_ms()));
}

}  // namespace webshocketd

// A chat with teams. Listens on port 5000, or on the port that is given.

#include <webshocket/webshocket.hpp>

namespace ws = webshocket;
using namespace std::chrono_literals;

struct Member {  // session state: one per connection
  std::string name, team;
};
struct Line {  // what is published
  std::string from, text;
  WEBSHOCKET_FIELDS(Line, from, text)
};

class Chat : public ws::Handler {  // one Chat per shard: its members need no locks
 public:
  Chat() {
    rpc("join", &Chat::join).params("name", "team");
    rpc("say", &Chat::say).params("text").require(ws::Has<Member>()).rate_limit(5, 1s);
    rpc("who", &Chat::who).require(ws::Has<Member>());
  }

  void on_disconnect(ws::Connection& conn) override {
    if (auto* me = conn.find<Member>()) broadcast(me->name + " left");
  }

 private:
  std::string join(ws::Connection& conn, std::string name, std::string team) {
    conn.session<Member>() = {name, team};
    conn.subscribe("room");
    return "welcome, " + name;
  }

  void say(ws::Connection& conn, std::string text) {
    const auto& me = conn.session<Member>();
    publish("room", Line{me.name, text}, ws::IsEqual(&Member::team, me.team));
  }

  ws::Stream<std::string> who(ws::Connection&) {  // asks every shard, then streams the answer
    for (const auto& names : co_await gather(&Chat::names))
      for (const auto& name : names) {
        co_yield name;
        co_await ws::sleep_for(100ms);
      }
  }

  std::vector<std::string> names() {  // the members of this shard
    std::vector<std::string> out;
    for (ws::Connection& conn : clients())
      if (auto* member = conn.find<Member>()) out.push_back(member->name);
    return out;
  }
};

int main(int argc, char** argv) {
  const auto port = static_cast<std::uint16_t>(argc > 1 ? std::stoi(argv[1]) : 5000);
  ws::Server({.port = port}, ws::per_shard<Chat>()).serve_forever();
}

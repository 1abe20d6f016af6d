// Many messages in one turn, to the same and to others: whoever got the last ones in the same way
// is not looked at again for the next one, and nobody may notice.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/deflating_peer.hpp"
#include "tests/support/server_fixture.hpp"

using namespace webshocket;
using webshocket::test::DeflatingPeer;
using webshocket::test::open_peer;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;

namespace {

class Stage;

/// What the test is told when all have come.
struct Opening {
  std::size_t members;
  std::promise<std::pair<Stage*, Peer>> promise = {};
};

/// Who comes to "/raw/7" is number 7. All of its members are the shard's.
class Stage : public Handler {
 public:
  explicit Stage(Opening& opening) : opening_(opening) {}

  Upgrade on_upgrade(const UpgradeRequest& request) override {
    const std::size_t number = std::stoul(std::string(request.path.substr(5)));
    auto accept = Upgrade::accept().session("number", static_cast<std::int64_t>(number));
    return request.path.starts_with("/raw") ? std::move(accept).raw() : std::move(accept);
  }
  void on_connect(Connection& connection) override {
    const auto number = static_cast<std::size_t>(*connection.find("number")->get<std::int64_t>());
    if (members.size() <= number) members.resize(number + 1);
    members[number] = &connection;
    if (++come_ == opening_.members) opening_.promise.set_value({this, connection.peer()});
  }
  void on_disconnect(Connection& connection) override {
    std::ranges::replace(members, &connection, nullptr);
  }

  std::vector<Connection*> members;

 private:
  Opening& opening_;
  std::size_t come_ = 0;
};

/// Somebody who reads, and what he should read.
struct Member {
  RawPeer peer;
  std::unique_ptr<DeflatingPeer> inflating;
  std::set<std::string> names = {};
  bool is_open = true;
  std::deque<std::string> expected = {};

  std::string read() { return inflating ? inflating->read_message(peer) : peer.read_message(); }
};

class World {
 public:
  explicit World(const Config& config, std::size_t members)
      : opening_{members}, server_(config, per_shard<Stage>(std::ref(opening_))) {
    for (std::size_t i = 0; i < members; ++i) add(i);
    std::tie(stage_, last_) = opening_.promise.get_future().get();
  }

  ServerFixture& server() { return server_; }
  Stage& stage() { return *stage_; }
  std::vector<Member>& members() { return members_; }
  std::uint64_t deliveries() const { return deliveries_; }

  /// In one turn of the shard. The last member must be open.
  void in_one_turn(const std::function<void()>& play) {
    std::promise<void> done;
    REQUIRE(last_.post([&](Connection&) {
      play();
      done.set_value();
    }));
    done.get_future().wait();
  }

  void publish(const std::string& channel, const std::string& text, std::size_t but = kNobody) {
    if (but == kNobody) {
      stage_->publish(channel, text);
    } else {
      stage_->publish(channel, text, PublishOptions{.exclude = *stage_->members[but]});
    }
    expect(text, but, [&](const Member& member) {
      return member.names.contains(channel) || (member.names.contains("a*") && channel[0] == 'a');
    });
  }
  void broadcast(const std::string& text) {
    stage_->broadcast(text);
    expect(text, kNobody, [](const Member&) { return true; });
  }
  void send(std::size_t to, const std::string& text) {
    stage_->members[to]->send(text);
    members_[to].expected.push_back(text);
  }
  void subscribe(std::size_t who, const std::string& name) {
    stage_->members[who]->subscribe(name);
    members_[who].names.insert(name);
  }
  void unsubscribe(std::size_t who, const std::string& name) {
    stage_->members[who]->unsubscribe(name);
    members_[who].names.erase(name);
  }
  void close(std::size_t who) {
    stage_->members[who]->close();
    members_[who].is_open = false;
  }

  void check_all_that_came() {
    for (Member& member : members_) {
      for (; !member.expected.empty(); member.expected.pop_front()) {
        // In a packet, or as it is.
        REQUIRE(member.read().find(member.expected.front()) != std::string::npos);
      }
    }
  }

  static constexpr std::size_t kNobody = static_cast<std::size_t>(-1);

 private:
  void add(std::size_t number) {
    const std::array<std::string_view, 3> subprotocols{"", "webshocket.v1", "webshocket.v1.json"};
    const std::string subprotocol(subprotocols[number % 3]);
    const bool deflates = number % 5 == 4;
    test::UpgradeOptions options{
        .path = (subprotocol.empty() ? "/raw/" : "/pac/") + std::to_string(number),
        .subprotocol = subprotocol};
    if (deflates) options.headers.emplace_back(test::kDeflateOffer);
    members_.push_back({open_peer(server_.port(), options),
                        deflates ? std::make_unique<DeflatingPeer>() : nullptr});
  }
  template <class Is>
  void expect(const std::string& text, std::size_t but, Is&& is_meant) {
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (i == but || !members_[i].is_open || !is_meant(members_[i])) continue;
      members_[i].expected.push_back(text);
      ++deliveries_;
    }
  }

  Opening opening_;
  ServerFixture server_;
  Stage* stage_ = nullptr;
  Peer last_;
  std::vector<Member> members_;
  std::uint64_t deliveries_ = 0;
};

std::string text_of(int number, std::size_t size = 0) {
  std::string text = "<" + std::to_string(number) + ">";
  if (size > text.size()) text.resize(size, static_cast<char>('a' + number % 26));
  return text;
}

}  // namespace

TEST_CASE("who gets something else in between gets it in between") {
  World world({.shards = 1}, 6);
  world.in_one_turn([&] {
    for (std::size_t i = 0; i < 6; ++i) world.subscribe(i, "a1");
    for (int i = 0; i < 5; ++i) world.publish("a1", text_of(i));
    world.send(2, text_of(5));
    for (int i = 6; i < 10; ++i) world.publish("a1", text_of(i));
    world.publish("a1", text_of(10), 3);
    world.publish("a1", text_of(11));
    world.broadcast(text_of(12));
    for (int i = 13; i < 16; ++i) world.publish("a1", text_of(i));
  });
  world.check_all_that_came();
  CHECK(world.server()->stats().total.deliveries == world.deliveries());
}

TEST_CASE("who comes or goes in between gets what is his, and no more") {
  World world({.shards = 1}, 6);
  world.in_one_turn([&] {
    for (std::size_t i = 0; i < 4; ++i) world.subscribe(i, "a1");
    for (int i = 0; i < 4; ++i) world.publish("a1", text_of(i));
    world.unsubscribe(1, "a1");
    for (int i = 4; i < 8; ++i) world.publish("a1", text_of(i));
    world.subscribe(4, "a1");
    for (int i = 8; i < 12; ++i) world.publish("a1", text_of(i));
    world.subscribe(5, "a*");
    for (int i = 12; i < 16; ++i) world.publish("a1", text_of(i));
    world.close(0);
    for (int i = 16; i < 20; ++i) world.publish("a1", text_of(i));
    for (std::size_t i = 2; i < 6; ++i) world.send(i, text_of(20));
  });
  world.check_all_that_came();
  CHECK(world.members()[0].peer.read_close().code == 1000);
  CHECK(world.server()->stats().total.deliveries == world.deliveries());
}

TEST_CASE("an outbox has its bound also for who follows") {
  Config config{.shards = 1, .outbox_limit = 10'000, .outbox_policy = OutboxPolicy::drop_new};
  config.outbox_low_mark = 5'000;
  World world(config, 1);
  world.in_one_turn([&] {
    world.subscribe(0, "a1");
    // The socket takes all of it, and so it is sent whenever it would be too much.
    std::size_t most = 0;
    for (int i = 0; i < 100; ++i) {
      world.publish("a1", text_of(i, 1'000));
      most = std::max(most, world.stage().members[0]->outbox_state().bytes);
    }
    CHECK(most > 8'000);
    CHECK(most <= 10'000);
  });
  world.check_all_that_came();
  CHECK(world.server()->stats().total.dropped_new == 0);
}

TEST_CASE("a publish to some of those who follow is not for the others, and they go on") {
  World world({.shards = 1}, 6);
  world.in_one_turn([&] {
    for (std::size_t i = 0; i < 6; ++i) world.subscribe(i, "a1");
    for (int i = 0; i < 4; ++i) world.publish("a1", text_of(i));
    world.publish("a1", text_of(4), 3);
    for (int i = 5; i < 9; ++i) world.publish("a1", text_of(i));
  });
  world.check_all_that_came();
  CHECK(world.server()->stats().total.deliveries == world.deliveries());
}

TEST_CASE("a large message lies elsewhere: who got it gets the next one behind it") {
  World world({.shards = 1}, 6);
  world.in_one_turn([&] {
    for (std::size_t i = 0; i < 6; ++i) world.subscribe(i, "a1");
    world.publish("a1", text_of(0), 3);
    for (int i = 1; i < 9; ++i) world.publish("a1", text_of(i, i % 4 == 1 ? 40'000 : 0));
  });
  world.check_all_that_came();
  CHECK(world.server()->stats().total.deliveries == world.deliveries());
}

TEST_CASE("who reads too slowly does not follow: of each key the newest waits for him") {
  Config config{.shards = 1, .outbox_limit = 0, .outbox_policy = OutboxPolicy::conflate};
  World world(config, 3);
  // More than the kernel takes, however it comes to change its mind.
  const std::string large(1'000'000, 'x');
  std::size_t waiting = 0;
  while (waiting < 8'000'000) {
    world.in_one_turn([&] {
      world.send(0, large);
      waiting = world.stage().members[0]->outbox_state().bytes;
    });
  }
  world.in_one_turn([&] {
    for (std::size_t i = 0; i < 3; ++i) world.subscribe(i, "a1");
    for (int i = 0; i < 9; ++i) {
      world.stage().publish("a1", text_of(i), PublishOptions{.key = i % 2 == 0 ? "even" : "odd"});
      for (const std::size_t member : {1U, 2U}) {
        world.members()[member].expected.push_back(text_of(i));
      }
    }
  });
  for (const int newest : {7, 8}) world.members()[0].expected.push_back(text_of(newest));
  world.check_all_that_came();
  CHECK(world.server()->stats().total.deliveries == 27);
  CHECK(world.server()->stats().total.dropped_conflated == 7);
}

TEST_CASE("whatever a turn does, everybody gets what is his, in order") {
  Config config{.shards = 1};
  config.compression.enabled = true;
  constexpr std::size_t kMembers = 30;
  const unsigned seed = 20'261'124;
  CAPTURE(seed);
  World world(config, kMembers);
  std::mt19937 random(seed);
  const std::array<std::string, 5> names{"a1", "a2", "b1", "b2", "a*"};
  const auto any = [&](std::size_t count) { return static_cast<std::size_t>(random() % count); };
  int number = 0;
  for (int turn = 0; turn < 400; ++turn) {
    world.in_one_turn([&] {
      for (std::size_t step = any(20); step-- > 0;) {
        const std::size_t who = any(kMembers);
        const bool is_open = world.members()[who].is_open;
        const std::string text = text_of(number++, any(20) == 0 ? 20'000 : any(2'000));
        switch (any(16)) {
          case 0:
            if (is_open) world.subscribe(who, names[any(5)]);
            break;
          case 1:
            if (is_open) world.unsubscribe(who, names[any(5)]);
            break;
          case 2:
            if (is_open) world.send(who, text);
            break;
          case 3:
            if (is_open) world.publish(names[any(4)], text, who);
            break;
          case 4:
            world.broadcast(text);
            break;
          case 5:
            if (is_open && who + 1 != kMembers && turn > 100 && any(50) == 0) world.close(who);
            break;
          default: {
            const std::string& channel = names[any(4)];
            for (std::size_t i = any(6); i-- > 0;) world.publish(channel, text_of(number++));
          }
        }
      }
    });
    world.check_all_that_came();
  }
  CHECK(world.server()->stats().total.deliveries == world.deliveries());
}

// Who subscribes while messages are on their way gets them from one on, and then each of them.

#include <doctest/doctest.h>

#include <future>
#include <string>

#include <webshocket/server.hpp>

#include "tests/support/deflating_peer.hpp"
#include "tests/support/server_fixture.hpp"

using namespace webshocket;
using webshocket::test::compressible;
using webshocket::test::DeflatingPeer;
using webshocket::test::open_peer;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;

namespace {

/// Whoever comes to "/member" is subscribed; whoever comes to "/late" is told of.
class Room : public Handler {
 public:
  explicit Room(std::promise<Peer>& late) : late_(late) {}

  Upgrade on_upgrade(const UpgradeRequest& request) override {
    return Upgrade::accept().raw().session("path", request.path);
  }
  void on_connect(Connection& connection) override {
    if (*connection.find("path")->get<std::string>() == "/late") {
      late_.set_value(connection.peer());
    } else {
      connection.subscribe("room");
    }
    connection.send("welcome");
  }

 private:
  std::promise<Peer>& late_;
};

}  // namespace

TEST_CASE("what was made before somebody came with a new form is not for him, large or small") {
  std::promise<Peer> promise;
  ServerFixture server({.shards = 1, .compression = {.enabled = true}},
                       per_shard<Room>(std::ref(promise)));
  const std::string offer(webshocket::test::kDeflateOffer);
  RawPeer member = open_peer(server.port(), {.path = "/member", .headers = {offer}});
  RawPeer late = open_peer(server.port(), {.path = "/late"});
  DeflatingPeer inflating;
  CHECK(inflating.read_message(member) == "welcome");
  CHECK(late.read_frame().payload == "welcome");
  const Peer peer = promise.get_future().get();

  // Its shard is held up, messages wait for it, and then he subscribes.
  std::promise<void> held;
  std::promise<void> published;
  peer.post([&](Connection& connection) {
    held.set_value();
    published.get_future().wait();
    CHECK(connection.subscribe("room"));
  });
  held.get_future().wait();
  // A small one is made plain for whoever wants it compressed, and so would fit him; a large one is
  // made compressed alone.
  const std::string large = compressible(2'000);
  for (const std::string& text : {std::string("one"), large, std::string("three")}) {
    CHECK(server->publish("room", text));
  }
  published.set_value();
  std::promise<void> subscribed;
  peer.post([&](Connection&) { subscribed.set_value(); });
  subscribed.get_future().wait();
  for (const std::string& text : {std::string("four"), large}) {
    CHECK(server->publish("room", text));
  }

  for (const std::string& text :
       {std::string("one"), large, std::string("three"), std::string("four"), large}) {
    inflating.forget();
    CHECK(inflating.read_message(member) == text);
  }
  CHECK(late.read_frame().payload == "four");
  CHECK(late.read_frame().payload == large);
  CHECK(server->stats().total.deliveries == 5 + 2);
}

#include "api/working.hpp"

#include <doctest/doctest.h>

#include <string>

#include <webshocket/testing.hpp>

using webshocket::FakeShard;
using webshocket::Handler;
using webshocket::detail::Hub;
using webshocket::detail::kOnReceive;
using webshocket::detail::kPosted;
using webshocket::detail::label_of_method;
using webshocket::detail::Working;

TEST_CASE("a method's label is one and the same as long as the process lives") {
  const auto& label = label_of_method("add");
  CHECK(label.text == "RPC method 'add'");
  CHECK(&label_of_method(std::string("add")) == &label);
  CHECK(label_of_method("sub").text == "RPC method 'sub'");
  CHECK(&label_of_method("") == &label_of_method({}));
}

namespace {

class Looking : public Handler {
 public:
  Looking() {
    rpc("look", [] { return std::string(Hub::current()->working()->text); });
    rpc("look later", [](webshocket::Connection&) -> webshocket::Task<std::string> {
      co_await webshocket::sleep_for(std::chrono::seconds(1));
      co_return std::string(Hub::current()->working()->text);
    });
  }
};

}  // namespace

TEST_CASE("what runs is said while it runs") {
  FakeShard<Looking> shard;
  auto& connection = shard.connect();
  CHECK(shard.call(connection, "look").as<std::string>() == "RPC method 'look'");
  const auto reply = shard.call(connection, "look later");
  shard.advance(std::chrono::seconds(1));
  CHECK(reply.as<std::string>() == "RPC method 'look later'");
}

TEST_CASE("of what is nested, the innermost is said") {
  FakeShard<Looking> shard;
  shard.handler().rpc("nest", [] {
    Hub& hub = *Hub::current();
    const auto* const before = hub.working();
    {
      const Working outer(hub, kPosted);
      CHECK(hub.working() == &kPosted);
      {
        const Working inner(hub, kOnReceive);
        CHECK(hub.working() == &kOnReceive);
      }
      CHECK(hub.working() == &kPosted);
    }
    CHECK(hub.working() == before);
  });
  auto& connection = shard.connect();
  CHECK_FALSE(shard.call(connection, "nest").error());
}

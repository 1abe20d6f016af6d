// A lack of memory, at each allocation that the shard makes for a connection: that connection may
// be lost, and nothing else is.

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

namespace {

/// Which of the allocations on the threads that are in it fail.
class Shortage {
 public:
  /// The allocation after `left` others fails; if it `lasts`, all that follow do.
  void begin(std::ptrdiff_t left, bool lasts) noexcept {
    lasts_ = lasts;
    left_ = left;
  }
  /// Whether it has come to it.
  bool end() noexcept { return left_.exchange(kNone) < 0; }

  bool strikes() noexcept {
    if (left_ == kNone) return false;
    const std::ptrdiff_t left = left_.fetch_sub(1);
    return left == 0 || (left < 0 && lasts_);
  }

 private:
  static constexpr std::ptrdiff_t kNone = PTRDIFF_MAX;

  std::atomic<std::ptrdiff_t> left_{kNone};
  std::atomic<bool> lasts_{false};
};

constinit Shortage shortage;
thread_local constinit bool is_short_of_memory = false;

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (is_short_of_memory && shortage.strikes()) return nullptr;
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__) return std::malloc(size == 0 ? 1 : size);
  return std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  if (void* const memory = allocate(size, alignment)) return memory;
  throw std::bad_alloc();
}

}  // namespace

// The whole program's: its other tests never run short of memory.
void* operator new(std::size_t size) { return allocate_or_throw(size, 1); }
void* operator new[](std::size_t size) { return allocate_or_throw(size, 1); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }

using webshocket::Connection;
using webshocket::Handler;
using webshocket::OutboxPolicy;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::Stats;
using webshocket::Stream;
using webshocket::Task;
using webshocket::test::Dialect;
using webshocket::test::eventually;
using webshocket::test::kBinary;
using webshocket::test::kContinuation;
using webshocket::test::kText;
using webshocket::test::PeerError;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;
using webshocket::test::WsClient;

namespace {

/// By which a test sees how far the shard has got, at no cost to that.
struct Witness {
  webshocket::Peer peer;

  void wait_for_turn() const {
    std::atomic<bool> seen = false;
    peer.post([&](Connection&) { seen = true; });
    eventually([&] { return seen.load(); }, "the shard's turn");
  }
};

class Chat : public Handler {
 public:
  explicit Chat(Witness* witness = nullptr) {
    rpc("watch", [witness](Connection& c) { witness->peer = c.peer(); });
    rpc("echo", [](webshocket::Value x) { return x; });
    rpc("later", &Chat::later);
    rpc("count", &Chat::count);
    rpc("fail", [](std::string why) { throw std::runtime_error(why); });
    rpc("join", [](Connection& c, std::string one, std::string two) {
      return c.subscribe({one, two});
    });
    rpc("note", [](Connection& c, std::string text) { c["note"] = std::move(text); });
    rpc("say", [this](std::string channel, std::string text) { publish(channel, text); });
    rpc("say_often", [this](std::string channel, int times) {
      for (int i = 0; i < times; ++i) publish(channel, "again");
    });
  }

  void on_start() override { is_short_of_memory = true; }
  void on_receive(Connection& connection, const webshocket::Packet& packet) override {
    connection.send(packet.data);
  }

 private:
  Task<std::string> later(Connection&, std::string text) {
    co_await webshocket::sleep_for(std::chrono::milliseconds(1));
    co_return text + text;
  }
  Stream<std::int64_t> count(Connection&, std::int64_t to) {
    for (std::int64_t i = 0; i < to; ++i) {
      co_await webshocket::sleep_for(std::chrono::milliseconds(0));
      co_yield i;
    }
  }
};

/// What a client does; it throws when its connection is lost.
using Act = std::function<void(WsClient&)>;

/// Whether it ended as it may: done, or without its connection. A wait in vain is an error.
void try_it(WsClient& client, const Act& act) {
  try {
    act(client);
  } catch (const PeerError& error) {
    const std::string why = error.what();
    CAPTURE(why);
    CHECK((client.closed() || client.peer().ended() != RawPeer::End::none));
    if (client.closed()) CHECK(client.closed()->code == 1011);
  }
}

/// When all but one have left: nothing is kept for them, and every delivery has ended somehow.
void check_what_is_left(Server& server) {
  const auto is_settled = [&] {
    const Stats::Shard total = server.stats().total;
    return total.connections == 1 && total.outbox_bytes == 0 && total.inbound_bytes == 0 &&
           total.calls_in_flight == 0 && total.deliveries_waiting == 0 &&
           total.handshakes_pending == 0;
  };
  eventually(is_settled, "the others to leave");
  const Stats::Shard total = server.stats().total;
  CHECK(total.allocation_failures > 0);
  CHECK(total.deliveries ==
        total.deliveries_written + total.deliveries_dropped + total.deliveries_discarded);
}

/// Lets each allocation fail that `act` leads to: one alone, then with all that follow.
void lack_memory(Dialect dialect, const Act& prepare, const Act& act) {
  ServerFixture server({.shards = 1, .compression = {.enabled = true}}, per_shard<Chat>());
  WsClient innocent(server.port());
  for (const bool lasts : {false, true}) {
    bool has_struck = true;
    for (std::ptrdiff_t left = 0; has_struck; ++left) {
      CAPTURE(lasts);
      CAPTURE(left);
      WsClient client(server.port(), dialect);
      prepare(client);
      shortage.begin(left, lasts);
      try_it(client, act);
      has_struck = shortage.end();
      REQUIRE(innocent.call("echo", "[7]") == "7");
      REQUIRE(left < 5'000);
    }
  }
  check_what_is_left(*server);
}

const Act kNothing = [](WsClient&) {};

}  // namespace

TEST_CASE("a call that lacks memory costs an answer, or its connection") {
  for (const Dialect dialect : {Dialect::msgpack, Dialect::json}) {
    lack_memory(dialect, kNothing, [](WsClient& client) {
      client.call("echo", R"([{"a": [1, 2, "three", {"four": [5.5, null]}], "b": "text"}])");
    });
    for (const std::string_view method : {"fail", "later", "nothing"}) {
      CAPTURE(method);
      lack_memory(dialect, kNothing, [&](WsClient& client) { client.call(method, R"(["x"])"); });
    }
    lack_memory(dialect, kNothing, [](WsClient& client) {
      const std::string id = client.start("count", "[3]");
      while (client.answer(id).find_first_not_of("0123456789") == std::string::npos) {
      }
    });
  }
}

TEST_CASE("who subscribes or publishes without memory loses no more than that") {
  for (const Dialect dialect : {Dialect::msgpack, Dialect::generic}) {
    lack_memory(dialect, kNothing, [](WsClient& client) {
      if (client.call("join", R"(["room", "ro*"])") != "true") return;
      client.call("note", R"(["a text that is too long to lie in the string itself"])");
      if (client.call("say", R"(["room", "hello"])") == "null") client.event();
    });
  }
}

TEST_CASE("many messages in one turn, to a channel whose name has no room in an object") {
  const std::string room = "a channel whose name is too long to lie in a string object";
  for (const Dialect dialect : {Dialect::msgpack, Dialect::generic}) {
    lack_memory(
        dialect, [&](WsClient& client) { client.call("join", "[\"" + room + "\", \"b\"]"); },
        [&](WsClient& client) {
          // Else an exception has ended it somewhere in between.
          if (client.call("say_often", "[\"" + room + "\", 40]") != "null") return;
          for (int i = 0; i < 40; ++i) client.event();
        });
  }
}

TEST_CASE("a message that is long, or in fragments") {
  const std::string text(100'000, 'x');
  for (const Dialect dialect : {Dialect::msgpack, Dialect::json}) {
    lack_memory(dialect, kNothing,
                [&](WsClient& client) { client.call("echo", "[\"" + text + "\"]"); });
    lack_memory(dialect, kNothing, [&](WsClient& client) {
      const auto [payload, id] = client.request("echo", "[\"" + text + "\"]");
      const unsigned opcode = dialect == Dialect::json ? kText : kBinary;
      client.peer().send({.opcode = opcode, .payload = payload.substr(0, 60'000), .fin = false});
      client.peer().send({.opcode = kContinuation, .payload = payload.substr(60'000)});
      client.answer(id);
    });
  }
}

TEST_CASE("before there is a WebSocket, and when it ends") {
  ServerFixture server({.shards = 1}, per_shard<Chat>(), [](Server& made) {
    made.on_http("GET", "/page", [](const webshocket::HttpRequest& request) {
      return webshocket::HttpResponse{.body = "at " + request.path + " for " + request.query};
    });
  });
  WsClient innocent(server.port());
  const auto try_requests = [&](const std::function<void(RawPeer&)>& act) {
    for (const bool lasts : {false, true}) {
      bool has_struck = true;
      for (std::ptrdiff_t left = 0; has_struck; ++left) {
        CAPTURE(lasts);
        CAPTURE(left);
        shortage.begin(left, lasts);
        RawPeer peer(server.port());
        try {
          act(peer);
        } catch (const PeerError& error) {
          const std::string why = error.what();
          CAPTURE(why);
          CHECK(peer.ended() != RawPeer::End::none);
        }
        has_struck = shortage.end();
        REQUIRE(innocent.call("echo", "[7]") == "7");
        REQUIRE(left < 5'000);
      }
    }
  };
  try_requests([](RawPeer& peer) {
    peer.send("GET /page?with=a-query-that-is-long HTTP/1.1\r\nHost: x\r\n\r\n");
    peer.read_http();
  });
  try_requests([](RawPeer& peer) {
    peer.send("GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    peer.read_http();
  });
  try_requests([](RawPeer& peer) {
    if (peer.request().status != 101) return;
    peer.send(webshocket::test::close_frame(1000, "bye"));
    peer.read_close_and_end();
  });
  check_what_is_left(*server);
}

TEST_CASE("deliveries that lack memory cost their connections, and all of them are accounted for") {
  constexpr std::size_t kReaders = 3;
  for (const OutboxPolicy policy :
       {OutboxPolicy::disconnect, OutboxPolicy::drop_old, OutboxPolicy::conflate}) {
    CAPTURE(policy);
    Witness witness;
    ServerFixture server({.shards = 1, .outbox_limit = 100'000, .outbox_policy = policy},
                         per_shard<Chat>(&witness));
    WsClient innocent(server.port());
    innocent.call("watch");
    const std::string text(20'000, 'x');
    for (const bool lasts : {false, true}) {
      // How many there are differs from time to time, with what the sockets take: once is not
      // enough.
      int spared = 0;
      for (std::ptrdiff_t left = 0; spared < 5; ++left) {
        CAPTURE(lasts);
        CAPTURE(left);
        // They read nothing: their outboxes fill up, and drop.
        std::vector<std::unique_ptr<WsClient>> readers;
        for (std::size_t i = 0; i < kReaders; ++i) {
          readers.push_back(std::make_unique<WsClient>(server.port()));
          readers.back()->peer().shrink_receive_buffer(4096);
          readers.back()->call("join", R"(["room", "r*m"])");
        }
        for (int i = 0; i < 5; ++i) server->publish("room", text);
        shortage.begin(left, lasts);
        for (int i = 0; i < 3; ++i) server->publish("room", text, {.key = "newest"});
        server->publish("room", "a short one");
        for (int i = 0; i < 2; ++i) witness.wait_for_turn();
        spared = shortage.end() ? 0 : spared + 1;
        REQUIRE(innocent.call("echo", "[7]") == "7");
        REQUIRE(left < 5'000);
      }
    }
    check_what_is_left(*server);
  }
}

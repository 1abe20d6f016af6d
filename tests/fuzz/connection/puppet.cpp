#include "tests/fuzz/connection/puppet.hpp"

#include <stdexcept>
#include <utility>

#include "tests/fuzz/require.hpp"

namespace webshocket::fuzz {
namespace {

using namespace std::chrono_literals;

constexpr std::array<const char*, 5> kChannels{"a", "ab", "a.b", "b", "news"};
constexpr std::array<const char*, 5> kPatterns{"a*", "*", "[!a]", "?", "n[e]ws"};
constexpr std::array<const char*, 4> kKeys{"", "k", "l", "m"};

/// Sizes at which frames and fragments change their form.
constexpr std::array<std::size_t, 8> kSizes{0, 1, 20, 125, 126, 700, 3000, 3000};
constexpr std::array<std::size_t, 8> kLargeSizes{0, 126, 9000, 16384, 20000, 65535, 65536, 70000};

std::string text_of(std::size_t size, std::uint8_t seed) {
  std::string text(size, static_cast<char>('a' + seed % 26));
  // Not all of it compresses.
  std::uint32_t random = seed + 1U;
  for (std::size_t i = 0; i < size; i += 3) {
    random = random * 1664525U + 1013904223U;
    text[i] = static_cast<char>(' ' + (random >> 24U) % 90);
  }
  return text;
}

/// What cannot be told: it throws in the middle, or has no form in JSON.
struct Untold {
  bool throws = false;
  friend void webshocket_write(Sink& sink, const Untold& untold) {
    if (!untold.throws) return sink.ext(5, {});
    sink.begin_array(2);
    throw std::runtime_error("untold");
  }
};

constexpr auto kIsEven = [](const Connection& connection) {
  const auto* visits = connection.find<int>();
  return visits == nullptr || *visits % 2 == 0;
};

}  // namespace

Puppet::Puppet(Script& script) : script_(script) { register_methods(); }

Puppet::~Puppet() {
  for (const auto& [uid, is_here] : connected_) {
    require(!is_here, "on_connect without on_disconnect");
  }
}

void Puppet::act_at(Place place, Connection* connection) {
  auto& deeds = script_.deeds[static_cast<std::size_t>(place)];
  if (deeds.empty()) return;
  const Deed deed = deeds.front();
  deeds.pop_front();
  act(connection, deed);
}

void Puppet::act(Connection* connection, Deed deed) {
  if (connection != nullptr && connection->uid() == script_.innocent) connection = nullptr;
  switch (deed.what % 8) {
    case 0:
    case 1:
      if (connection != nullptr) send(*connection, deed);
      return;
    case 2:
    case 3:
      return spread(connection, deed);
    case 4:
      return schedule(connection, deed);
    case 5:
      if (connection == nullptr) return;
      switch (deed.how % 6) {
        case 0:
          static_cast<void>(connection->subscribe(kChannels[deed.how / 6 % kChannels.size()]));
          return;
        case 1:
          static_cast<void>(connection->subscribe(kPatterns[deed.how / 6 % kPatterns.size()]));
          return;
        case 2:
          static_cast<void>(connection->subscribe({"a", "b", "a", "?"}));
          return;
        case 3:
          connection->unsubscribe(kChannels[deed.how / 6 % kChannels.size()]);
          return;
        case 4:
          connection->unsubscribe(connection->subscriptions());
          return;
        default:
          static_cast<void>(connection->subscribe(std::string(2000, 'x')));
          return;
      }
    case 6:
      if (connection == nullptr) return;
      switch (deed.how % 8) {
        case 0:
          return connection->close();
        case 1:
          return connection->close(CloseCode::policy_violation, std::string(200, 'r'));
        case 2:
          return connection->close(CloseCode::message_too_big, "\xC3\xA9\xFF");
        case 3:
          static_cast<void>(connection->peer().close(CloseCode::going_away, "by its name"));
          return;
        default:
          return connection->set_outbox(
              {static_cast<OutboxPolicy>(deed.how / 8 % 4), deed.how / 32U * 200U});
      }
    default:
      break;
  }
  switch (deed.how % 8) {
    case 0:
      throw std::runtime_error("as it was told");
    case 1:
      throw RpcError("as it was told");
    case 2:
      throw 42;  // NOLINT(hicpp-exception-baseclass): users do so
    case 3:
      for (Connection& client : clients()) ++client.session<int>();
      return;
    case 4:
      static_cast<void>(remove_rpc("echo2"));
      rpc("echo2", [](std::string text) { return text; }).rate_limit(1, 1s);
      return;
    case 5:
      for (const std::string& channel : channels()) {
        for (Connection* one : subscribers(channel)) static_cast<void>(one->subscriptions());
      }
      return;
    case 6:
      static_cast<void>(client_count());
      for (Connection& client : clients()) {
        if (client.uid() != script_.innocent) client.close(CloseCode::normal, "all of you");
      }
      return;
    default:
      if (connection == nullptr) return;
      (*connection)["role"] = deed.how / 8;
      static_cast<void>(connection->remote_address());
      static_cast<void>(connection->outbox_state());
      return;
  }
}

void Puppet::send(Connection& connection, Deed deed) {
  const std::string text = text_of(kLargeSizes[deed.how % 8], deed.how);
  switch (deed.how / 8 % 8) {
    case 0:
    case 1:
      static_cast<void>(connection.send(text));
      return;
    case 2:
      static_cast<void>(connection.send(text, {.fragment_size = 1000}));
      return;
    case 3:
      static_cast<void>(connection.send(text, {.compress = Compress::always}));
      return;
    case 4:
      static_cast<void>(connection.send(std::as_bytes(std::span(text))));
      return;
    case 5:
      static_cast<void>(connection.send("\xFFnot UTF-8\xC3"));
      return;
    case 6:
      static_cast<void>(connection.peer().send(text));
      return;
    default:
      // Throws PacketError where the format has no room for it.
      static_cast<void>(connection.send(Untold{deed.how % 2 != 0}));
      return;
  }
}

void Puppet::spread(Connection* connection, Deed deed) {
  const std::string text = text_of(kSizes[deed.how % 8], deed.how);
  const char* channel = kChannels[deed.how / 8 % kChannels.size()];
  const char* key = kKeys[deed.how / 16 % kKeys.size()];
  switch (deed.how / 32 + deed.what / 8 % 2 * 8) {
    case 0:
    case 1:
      static_cast<void>(publish(channel, text, {.key = key}));
      return;
    case 2:
      static_cast<void>(publish(channel, text, where(kIsEven)));
      return;
    case 3:
      static_cast<void>(publish({"a", "b", "a"}, text, {.compress = Compress::always, .key = key}));
      return;
    case 4:
      static_cast<void>(broadcast(text));
      return;
    case 5:
      if (connection == nullptr) return;
      static_cast<void>(broadcast(text, {.exclude = *connection}));
      return;
    case 6:
      static_cast<void>(publish(channel, Untold{deed.how % 2 != 0}));
      return;
    case 7:
      static_cast<void>(publish(channel, text, IsEqual("role", 1)));
      return;
    default:
      for (unsigned i = 0; i < 4; ++i) {
        static_cast<void>(publish(channel, text_of(700, static_cast<std::uint8_t>(i)),
                                  {.key = kKeys[i % kKeys.size()]}));
      }
      return;
  }
}

void Puppet::schedule(Connection* connection, Deed deed) {
  const std::chrono::milliseconds delay(deed.how / 8 * 10);
  switch (deed.how % 8) {
    case 0:
      defer([this] { act_at(Place::deferred, nullptr); });
      return;
    case 1:
      if (timers_.size() < 8) {
        timers_.push_back(every(delay + 1ms, [this] { act_at(Place::timer, nullptr); }));
      }
      return;
    case 2:
      for (TimerHandle& timer : timers_) timer.cancel();
      timers_.clear();
      return;
    case 3:
      if (connection != nullptr) spawn(send_later(connection->peer(), delay.count()));
      return;
    case 4:
      if (connection == nullptr) return;
      static_cast<void>(
          connection->peer().post([this](Connection& there) { act_at(Place::deferred, &there); }));
      return;
    default:
      log(LogLevel::info, "as it was told");
      return;
  }
}

// --- events -------------------------------------------------------------------------------------

Upgrade Puppet::on_upgrade(const UpgradeRequest& request) {
  act_at(Place::on_upgrade, nullptr);
  if (request.path == "/refused") return Upgrade::reject(403, "not you");
  if (request.path.starts_with("/raw")) {
    Upgrade answer = Upgrade::accept().header("X-Raw", "1").session("role", 1);
    return request.path == "/raw" ? std::move(answer) : std::move(answer).raw();
  }
  return Upgrade::accept().pin("me");
}

Task<Upgrade> Puppet::on_upgrade_async(UpgradeRequest request) {
  if (!script_.has_async_upgrade) return {};
  return [](Puppet& self, UpgradeRequest asked) -> Task<Upgrade> {
    co_await sleep_for(5ms);
    co_return self.on_upgrade(asked);
  }(*this, std::move(request));
}

void Puppet::on_connect(Connection& connection) {
  require(!std::exchange(connected_[connection.uid().to_string()], true), "on_connect twice");
  act_at(Place::on_connect, &connection);
}

Task<void> Puppet::on_connect_async(Connection& connection) {
  if (!script_.has_async_connect) return {};
  connected_[connection.uid().to_string()] = true;
  return [](Puppet& self, Connection& to) -> Task<void> {
    co_await sleep_for(3ms);
    self.act_at(Place::on_connect, &to);
  }(*this, connection);
}

void Puppet::on_receive(Connection& connection, const Packet& packet) {
  act_at(Place::on_receive, &connection);
  if (connection.uid() != script_.innocent) static_cast<void>(connection.send(packet.data));
}

Task<void> Puppet::on_receive_async(Connection& connection, OwnedPacket packet) {
  if (!script_.has_async_receive) return {};
  return [](Puppet& self, Connection& from, OwnedPacket received) -> Task<void> {
    co_await sleep_for(2ms);
    self.act_at(Place::on_receive, &from);
    static_cast<void>(from.send(received->data));
  }(*this, connection, std::move(packet));
}

void Puppet::on_message(Connection& connection, std::span<const std::byte> message, Opcode opcode) {
  act_at(Place::on_receive, &connection);
  if (opcode == Opcode::binary) static_cast<void>(connection.send(message));
}

void Puppet::on_disconnect(Connection& connection) {
  require(std::exchange(connected_[connection.uid().to_string()], false),
          "on_disconnect without on_connect");
  act_at(Place::on_disconnect, &connection);
}

void Puppet::on_dropped(Connection& connection, const Dropped& dropped) {
  require(dropped.messages() != 0, "on_dropped, and nothing was dropped");
  act_at(Place::on_dropped, &connection);
}

void Puppet::on_drained(Connection& connection) { act_at(Place::on_drained, &connection); }

RpcDecision Puppet::before_rpc(const RpcCall& call) {
  act_at(Place::before_rpc, &call.connection);
  if (call.method.name() == "rejected") return RpcDecision::reject("no");
  return RpcDecision::proceed();
}

void Puppet::after_rpc(const RpcCall& call, const RpcOutcome&) {
  act_at(Place::after_rpc, &call.connection);
}

// --- methods ------------------------------------------------------------------------------------

void Puppet::register_methods() {
  rpc("echo", [](Value value) { return Document::of(value); });
  rpc("echo2", [](std::string text) { return text; });
  rpc("add", [](std::int64_t a, std::int64_t b) { return a ^ b; }).params("a", {"b", 5});
  rpc("act", [this](Connection& from, std::uint8_t what, std::uint8_t how) {
    act(&from, {what, how});
  });
  rpc("method", [this](Connection& from) { act_at(Place::method, &from); });
  rpc("rejected", [] {});
  rpc("untold", [](bool throws) { return Untold{throws}; });
  rpc("limited", [] { return true; }).rate_limit(2, 1s);
  rpc("limited_hard", [] { return true; }).rate_limit(1, 1s, {.disconnect = true});
  rpc("secret", [] { return "classified"; }).require(Is("role"));
  // A predicate that acts: those are pure by convention only.
  rpc("asked", [] { return 1; })
      .require(where(
          [](const Connection& from, const std::uintptr_t& self) {
            reinterpret_cast<Puppet*>(self)->act_at(Place::predicate,
                                                    const_cast<Connection*>(&from));
            return true;
          },
          reinterpret_cast<std::uintptr_t>(this)));
  rpc("sleep", &Puppet::sleep);
  rpc("nested", &Puppet::nested);
  rpc("ask_all", &Puppet::ask_all);
  rpc("count", &Puppet::count).params("n", {"pause", 0});
  rpc("chunks", &Puppet::chunks);
}

Task<std::string> Puppet::sleep(Connection& connection, std::int64_t ms) {
  co_await sleep_for(std::chrono::milliseconds(ms % 500));
  act_at(Place::coroutine, &connection);
  co_return "slept";
}

Task<int> Puppet::nested(Connection& connection, std::int64_t depth) {
  if (depth <= 0 || depth > 20) {
    act_at(Place::coroutine, &connection);
    co_await sleep_for(1ms);
    co_return 1;
  }
  const int inner = co_await nested(connection, depth - 1);
  co_return inner + 1;
}

Task<int> Puppet::ask_all() {
  const auto answers = co_await gather(&Puppet::shard_count);
  co_return static_cast<int>(answers.size());
}

Stream<std::int64_t> Puppet::count(Connection& connection, std::int64_t n, std::int64_t pause) {
  for (std::int64_t i = 0; i < n % 50; ++i) {
    act_at(Place::coroutine, &connection);
    co_yield i;
    if (pause != 0) co_await sleep_for(std::chrono::milliseconds(pause % 20));
  }
}

Stream<std::string> Puppet::chunks(Connection& connection, std::int64_t n, std::int64_t size) {
  for (std::int64_t i = 0; i < n % 20; ++i) {
    co_yield text_of(static_cast<std::size_t>(size) % 30'000, static_cast<std::uint8_t>(i));
  }
  act_at(Place::coroutine, &connection);
}

Task<void> Puppet::send_later(webshocket::Peer peer, std::int64_t ms) {
  co_await sleep_for(std::chrono::milliseconds(ms));
  static_cast<void>(peer.send("later"));
  act_at(Place::coroutine, nullptr);
}

}  // namespace webshocket::fuzz

/// A handler that does what it is told, whatever that is, from wherever that may be done.
#pragma once

#include <webshocket/webshocket.hpp>

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace webshocket::fuzz {

/// What a handler may do, by number.
struct Deed {
  std::uint8_t what = 0;
  std::uint8_t how = 0;
};

/// Where it may do it.
enum class Place : std::uint8_t {
  on_upgrade,
  on_connect,
  on_receive,
  on_disconnect,
  on_dropped,
  on_drained,
  before_rpc,
  after_rpc,
  method,
  predicate,
  coroutine,
  timer,
  deferred,
  http,
};
inline constexpr std::size_t kPlaces = 14;

/// What is to be done at each place the next time. The program's, and longer-lived than handlers.
struct Script {
  std::array<std::deque<Deed>, kPlaces> deeds;
  bool has_async_connect = false;
  bool has_async_receive = false;
  bool has_async_upgrade = false;
  /// Who must not be harmed: only what is for everybody reaches it.
  Uid innocent;
};

class Puppet : public Handler {
 public:
  explicit Puppet(Script& script);
  ~Puppet() override;

  /// Does it now; to nobody, or to `connection`.
  void act(Connection* connection, Deed deed);
  /// Does what the script has for this place.
  void act_at(Place place, Connection* connection);

  Upgrade on_upgrade(const UpgradeRequest& request) override;
  Task<Upgrade> on_upgrade_async(UpgradeRequest request) override;
  void on_connect(Connection& connection) override;
  Task<void> on_connect_async(Connection& connection) override;
  void on_receive(Connection& connection, const Packet& packet) override;
  Task<void> on_receive_async(Connection& connection, OwnedPacket packet) override;
  void on_message(Connection& connection, std::span<const std::byte> message,
                  Opcode opcode) override;
  void on_disconnect(Connection& connection) override;
  void on_dropped(Connection& connection, const Dropped& dropped) override;
  void on_drained(Connection& connection) override;
  RpcDecision before_rpc(const RpcCall& call) override;
  void after_rpc(const RpcCall& call, const RpcOutcome& outcome) override;

 private:
  void register_methods();
  void send(Connection& connection, Deed deed);
  void spread(Connection* connection, Deed deed);
  void schedule(Connection* connection, Deed deed);

  Task<std::string> sleep(Connection& connection, std::int64_t ms);
  Task<int> nested(Connection& connection, std::int64_t depth);
  Task<int> ask_all();
  Stream<std::int64_t> count(Connection& connection, std::int64_t n, std::int64_t pause);
  Stream<std::string> chunks(Connection& connection, std::int64_t n, std::int64_t size);
  Task<void> send_later(Peer peer, std::int64_t ms);

  Script& script_;
  std::map<std::string, bool> connected_;  ///< by uid
  std::vector<TimerHandle> timers_;
};

}  // namespace webshocket::fuzz

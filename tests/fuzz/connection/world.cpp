#include "tests/fuzz/connection/world.hpp"

#include <utility>

#include "shards/bus.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/stepped_clock.hpp"

namespace webshocket::fuzz {
namespace {

/// More than any program keeps a shard busy for without a step of the clock.
constexpr int kMostTurns = 20'000;

}  // namespace

World::World(Config config, Script& script) : script_(script), site_(std::move(config)) {
  site_.listeners = {{}, {.proxy_protocol = true}};
  site_.routes.push_back({"", [this] { return std::make_unique<Puppet>(script_); }});
  site_.http.push_back({"GET", "/page", [this](const HttpRequest& request) {
                          handler().act_at(Place::http, nullptr);
                          return HttpResponse{200, std::string(request.query.size() * 1000, 'p')};
                        }});
  site_.http.push_back({"POST", "/page", [](const HttpRequest& request) {
                          return HttpResponse{200, request.body, "", {{"X-Size", "1"}}};
                        }});
  site_.bus = std::make_shared<shards::Bus>(
      1, site_.config.inbox_limit,
      shards::Framing{site_.config.fragment_size, site_.config.compression},
      shards::TickRules(site_.config), shards::OutboxRules(site_.config));
  site_.pool = std::make_unique<shards::OffloadPool>(1, 16);
  shard_ = std::make_unique<shards::Shard>(site_, 0);
  shard_->begin();
}

World::~World() { end(); }

bool World::adopt(shards::Socket socket, const Uid& uid, Port port) {
  shards::Slot slot = shards::Slot::take(site_.handshakes);
  if (!slot) return false;
  shards::Adoption adoption{std::move(socket), uid, {}, port, std::move(slot)};
  shard_->adopt(std::move(adoption));
  return true;
}

void World::post(std::function<void(shards::Shard&)> task) {
  site_.bus->post_control(0, [shard = shard_.get(), task = std::move(task)] { task(*shard); });
}

void World::post_to(const Uid& uid, std::function<void(Connection&)> task) {
  static_cast<void>(site_.bus->post(uid, std::move(task)));
}

void World::advance(std::chrono::nanoseconds step) { test::SteppedClock::advance(step); }

void World::drain(std::chrono::milliseconds timeout) {
  if (std::exchange(is_draining_, true)) return;
  post([this, timeout](shards::Shard& shard) {
    shard.drain(timeout, [this] { has_drained_ = true; });
  });
}

void World::hurry() {
  if (is_draining_) post([](shards::Shard& shard) { shard.hurry(); });
}

void World::require_nothing_left() const {
  const detail::Counters& counters = this->counters();
  require(counters.connections.get() == 0, "a connection is still counted");
  require(counters.handshakes_pending.get() == 0, "a handshake is still counted");
  require(counters.outbox_bytes.get() == 0, "bytes are still counted in outboxes");
  require(counters.inbound_bytes.get() == 0, "half-received bytes are still counted");
  require(counters.parked_bytes.get() == 0, "parked bytes are still counted");
  require(site_.connections.used() == 0, "a connection keeps its slot");
  require(site_.handshakes.used() == 0, "a handshake keeps its slot");
  require(site_.kept_alive.used() == 0, "what was kept alive keeps its slot");
  const std::uint64_t dropped = counters.dropped_new.get() + counters.dropped_old.get() +
                                counters.dropped_conflated.get() +
                                counters.dropped_disconnect.get();
  require(counters.deliveries.get() ==
              counters.deliveries_written.get() + dropped + counters.deliveries_discarded.get(),
          "a delivery has no end, or two");
}

void World::end() {
  hurry();  // a drain that the program has begun
  drain(std::chrono::milliseconds(100));
  for (int i = 0; i < 20 && !has_drained_; ++i) {
    for (int turns = 0; turn(); ++turns) require(turns < kMostTurns, "a shard that never rests");
    advance(std::chrono::milliseconds(10));
  }
  require(has_drained_, "a drain outlasts its timeout");
  post([this](shards::Shard& shard) { shard.quiesce([this] { is_quiet_ = true; }); });
  for (int turns = 0; !is_quiet_; ++turns) {
    turn();
    require(turns < kMostTurns, "a shard that is never quiet");
  }
  require_nothing_left();
  require(counters().calls_in_flight.get() == 0, "a call is still counted");
  require(counters().tick_bytes.get() == 0, "bytes still wait for a tick");
  post([](shards::Shard& shard) { shard.end(); });
  for (int turns = 0; !shard_->has_ended(); ++turns) {
    turn();
    require(turns < kMostTurns, "a shard that never ends");
  }
  site_.bus->close();
  shard_->finish();
}

}  // namespace webshocket::fuzz

/// A server's shard on this thread, turned by hand, with a clock that is set by hand.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include <webshocket/config.hpp>

#include "shards/shard.hpp"
#include "shards/site.hpp"
#include "tests/fuzz/connection/puppet.hpp"

namespace webshocket::fuzz {

class World {
 public:
  enum Port : std::size_t { plain, behind_proxy };

  World(Config config, Script& script);
  /// Stops what is left. Whatever is still counted then is a finding.
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  const Config& config() const noexcept { return site_.config; }
  Puppet& handler() noexcept { return static_cast<Puppet&>(shard_->handler(0)); }
  const detail::Counters& counters() const noexcept {
    return static_cast<const shards::Shard&>(*shard_).counters();
  }

  /// False if the server has no room for it.
  bool adopt(shards::Socket socket, const Uid& uid, Port port);
  /// On the shard, as the engine does it: in the next turn.
  void post(std::function<void(shards::Shard&)> task);
  /// The same with a connection, if it is open then.
  void post_to(const Uid& uid, std::function<void(Connection&)> task);

  /// One turn. False if there was nothing to do.
  bool turn() { return shard_->turn(); }
  void advance(std::chrono::nanoseconds step);

  void drain(std::chrono::milliseconds timeout);
  void hurry();
  bool is_draining() const noexcept { return is_draining_; }
  bool has_drained() const noexcept { return has_drained_; }
  /// Of what was written to its connections, and of what was not, everything is accounted for.
  void require_nothing_left() const;

 private:
  void end();

  Script& script_;
  shards::Site site_;
  std::unique_ptr<shards::Shard> shard_;
  bool is_draining_ = false;
  bool has_drained_ = false;
  bool is_quiet_ = false;
};

}  // namespace webshocket::fuzz

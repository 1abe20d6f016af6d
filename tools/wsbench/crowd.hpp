/// Subscribers that do nothing but be there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "dialect.hpp"
#include "progress.hpp"
#include "server_process.hpp"
#include "swarm.hpp"

namespace wsbench {

class Crowd {
 public:
  Crowd(const DialectOptions& options, ServerProcess& server, Progress& progress,
        std::uint64_t patience_ns);

  /// Opens so many more, and lets them subscribe. Throws `Failure` if one does not open, or is
  /// lost.
  void open(std::size_t count);
  /// Until nothing has come for a while: what subscriptions bring has come.
  void settle();
  /// Stays so long; pings are answered.
  void hold(std::uint64_t time_ns);
  /// Ends all with the closing handshake. Throws `Failure` if the server does not end them.
  void close();

 private:
  friend class Swarm;  // tells what happens

  void opened(Swarm::Id id);
  void frame(Swarm::Id, const FrameHead&, std::string_view) {}
  void begin(Swarm::Id, const FrameHead&) {}
  void piece(Swarm::Id, std::string_view) {}
  void end(Swarm::Id) {}
  void taken(Swarm::Id) {}
  void closed(Swarm::Id id, const std::string& why);

  ServerProcess& server_;
  Progress& progress_;
  const std::uint64_t patience_ns_;
  const Target target_;
  const Dialect dialect_;
  Swarm swarm_;
  std::size_t open_ = 0;
  bool closes_ = false;
};

}  // namespace wsbench

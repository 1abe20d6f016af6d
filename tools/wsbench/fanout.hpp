/// Publishes to many subscribers, and counts what each of them gets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "delivery_log.hpp"
#include "dialect.hpp"
#include "histogram.hpp"
#include "loop_options.hpp"
#include "measurement.hpp"
#include "progress.hpp"
#include "result.hpp"
#include "server_process.hpp"
#include "stamp.hpp"
#include "swarm.hpp"
#include "usage.hpp"

namespace wsbench {

struct FanoutOptions {
  DialectOptions dialect;
  std::size_t subscribers = 1000;
  std::size_t channels = 1;
  std::size_t size = 64;                ///< of the payload
  std::size_t in_flight = 16;           ///< messages of a burst, in a closed loop
  std::optional<std::uint64_t> bursts;  ///< instead of a duration
  std::size_t batch = 1;                ///< messages that are due at once, in an open loop
  LoopOptions loop;
  double stalled_share = 0;  ///< of the subscribers; they stop reading before the warm-up
};

class Fanout final : public Measurement {
 public:
  Fanout(const FanoutOptions& options, ServerProcess& server, Progress& progress);

  /// Connects everybody, publishes until each subscriber has got something, and warms up.
  void prepare() override;
  void run(std::size_t parts) override;
  Result finish() override;

 private:
  friend class Swarm;  // tells what happens

  /// A message that comes in parts.
  struct Parts {
    std::string begin;       ///< as much as must be looked at: all, unless the stamp is found
    std::uint64_t size = 0;  ///< of all parts so far
    std::optional<std::uint64_t> tail;  ///< the sequence at its end, if that came in one part
    bool fin = false;
  };
  struct Subscriber {
    std::size_t stamp_at = 0;  ///< within its messages, as the last one told
    Parts parts;
  };
  struct Publisher {
    Swarm::Id id = 0;
    std::vector<MessageTemplate> messages;  ///< by channel, or the one of its own
    std::string scratch;
  };

  void opened(Swarm::Id id);
  void frame(Swarm::Id id, const FrameHead& head, std::string_view payload);
  void begin(Swarm::Id id, const FrameHead& head);
  void piece(Swarm::Id id, std::string_view bytes);
  void end(Swarm::Id id);
  void taken(Swarm::Id) {}
  [[noreturn]] void closed(Swarm::Id id, const std::string& why);

  void connect_all();
  void await_subscriptions();
  std::size_t count_current() const;
  void deliver(Swarm::Id id, std::string_view message);
  void deliver_parts(Swarm::Id id);
  void count(Swarm::Id id, const Stamp& stamp, bool whole);
  void take_other(std::string_view message);
  void publish(std::uint64_t due_ns);
  void flush_publishers();
  bool await_deliveries();
  /// False: something is missing.
  bool publish_for(std::optional<std::uint64_t> bursts, double seconds);
  bool run_bursts(std::optional<std::uint64_t> bursts, double seconds);
  bool run_schedule(double rate, double seconds);
  void show(std::string_view what);

  const FanoutOptions& options_;
  ServerProcess& server_;
  Progress& progress_;
  const Target target_;
  const Dialect dialect_;
  const Stamps stamps_;
  Swarm swarm_;
  DeliveryLog log_;
  std::vector<Subscriber> subscribers_;
  std::vector<Publisher> publishers_;
  std::vector<Swarm::Id> to_flush_;
  Histogram latency_;
  Usage usage_;
  bool whole_ = true;
  std::size_t parts_run_ = 0;
  std::uint64_t counted_from_ = 0;  ///< deliveries that were the warm-up's
  std::uint64_t delivered_ = 0;     ///< each once
  std::uint64_t expected_ = 0;      ///< by all messages so far
  std::uint64_t published_ = 0;
  std::size_t opened_ = 0;
  std::string last_other_;  ///< a message without a payload of ours: a reply, an error
};

}  // namespace wsbench

/// Connections that open and close, one after the other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "histogram.hpp"
#include "loop_options.hpp"
#include "measurement.hpp"
#include "progress.hpp"
#include "result.hpp"
#include "server_process.hpp"
#include "swarm.hpp"
#include "usage.hpp"

namespace wsbench {

struct ChurnOptions {
  std::size_t parallel = 64;  ///< that open or close at once, unless there is a rate
  LoopOptions loop;
  std::string path;  ///< empty: /raw/echo, or where the URI leads
  std::string subprotocol;
};

/// The subcommand `connect`.
class Churn final : public Measurement {
 public:
  Churn(const ChurnOptions& options, ServerProcess& server, Progress& progress);

  void prepare() override;
  /// Throws `Failure` if one does not open, or is not ended by the server when it has said goodbye.
  void run(std::size_t parts) override;
  Result finish() override;

 private:
  friend class Swarm;  // tells what happens

  struct Visit {
    std::uint64_t due_ns = 0;
    bool open = false;
  };

  void opened(Swarm::Id id);
  void frame(Swarm::Id, const FrameHead&, std::string_view) {}
  void begin(Swarm::Id, const FrameHead&) {}
  void piece(Swarm::Id, std::string_view) {}
  void end(Swarm::Id) {}
  void taken(Swarm::Id) {}
  void closed(Swarm::Id id, const std::string& why);

  void begin_visit(std::uint64_t due_ns);
  void visit_for(double seconds);
  void poll(std::uint64_t timeout_ns);

  const ChurnOptions& options_;
  ServerProcess& server_;
  Progress& progress_;
  const Target target_;
  std::string request_;
  Swarm swarm_;
  std::vector<Visit> visits_;  ///< by connection
  Histogram latency_;          ///< from the time that is due to the open connection
  Usage usage_;
  std::uint64_t counted_from_ = 0;  ///< visits that were the warm-up's
  std::uint64_t begun_ = 0;
  std::uint64_t done_ = 0;
  std::uint64_t progress_ns_ = 0;  ///< when one opened or ended last
};

}  // namespace wsbench

/// The soak: a server, its clients, the load, and what is seen of it.
#pragma once

#include <webshocket/client_loop.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "crew.hpp"
#include "cutter.hpp"
#include "findings.hpp"
#include "governor.hpp"
#include "machine.hpp"
#include "options.hpp"
#include "tools/wsbench/progress.hpp"
#include "tools/wsbench/server_process.hpp"

namespace wssoak {

class Soak {
 public:
  /// Starts the server, and connects who stays. Throws `wsbench::Failure`, `webshocket::Error`.
  /// `interrupted` may become true at any time, and ends the load early.
  Soak(const SoakOptions& options, const std::atomic<bool>& interrupted);

  /// Loads, comes to rest, counts. Once. What keeps it from that is a fault, too.
  Findings run();

 private:
  void load();
  void sample(double seconds);
  void come_to_rest();
  /// Of a server at rest, messages are published and all of them must arrive.
  void check_exactly();
  void leave();

  Tally collect();
  Numbers numbers() const;
  /// Asks until it is so, for a minute; false: it never was.
  template <class Condition>
  bool await(Condition is_so);
  void fault(std::string text) { findings_.faults.push_back(std::move(text)); }
  void add_faults(const std::string& when, const std::vector<std::string>& faults);

  const SoakOptions options_;
  const std::atomic<bool>& interrupted_;
  wsbench::Progress progress_;
  std::unique_ptr<wsbench::ServerProcess> server_;
  std::uint16_t port_ = 0;
  std::unique_ptr<Cutter> plain_cutter_;
  std::unique_ptr<Cutter> secure_cutter_;
  std::vector<std::unique_ptr<Crew>> crews_;
  Governor governor_;
  Findings findings_;

  // Of the last sample.
  struct Past {
    std::uint64_t time_ns = 0;
    CpuTimes machine;
    std::uint64_t server_cpu_ns = 0;
    std::uint64_t own_cpu_ns = 0;
    Tally tally;
    Numbers numbers;
  };
  Past past_now();
  Past past_;
};

}  // namespace wssoak

/// Requests and their answers on many connections.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
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

/// What is asked, and which answer is right.
class Dialogue {
 public:
  virtual ~Dialogue() = default;

  virtual std::string path() const = 0;
  virtual std::string subprotocol() const = 0;
  virtual bool is_text() const = 0;
  /// Valid until the next one is made.
  virtual std::string_view request(std::uint64_t number) = 0;
  /// Whose answer that is, if it is right; `oldest` is the oldest request without an answer.
  virtual std::optional<std::uint64_t> judge(std::string_view answer, std::uint64_t oldest) = 0;
};

struct ExchangeOptions {
  std::size_t connections = 100;
  std::size_t depth = 1;  ///< requests of a connection that wait for their answers at once
  LoopOptions loop;
};

/// "echo" and "echoes"; "call" and "calls".
struct Noun {
  std::string one;
  std::string many;
};

class Exchange final : public Measurement {
 public:
  Exchange(const ExchangeOptions& options, Noun noun, std::unique_ptr<Dialogue> dialogue,
           ServerProcess& server, Progress& progress);

  void prepare() override;
  void run(std::size_t parts) override;
  Result finish() override;

 private:
  friend class Swarm;  // tells what happens

  struct Pending {
    std::uint64_t number;
    std::uint64_t due_ns;
  };
  struct Peer {
    std::deque<Pending> pending;
    std::string begun;  ///< of an answer that comes in parts
    bool fin = false;
  };

  void opened(Swarm::Id) {}
  void frame(Swarm::Id id, const FrameHead& head, std::string_view payload);
  void begin(Swarm::Id id, const FrameHead& head);
  void piece(Swarm::Id id, std::string_view bytes) { peers_[id].begun += bytes; }
  void end(Swarm::Id id);
  void taken(Swarm::Id id) { swarm_.flush(id); }
  [[noreturn]] void closed(Swarm::Id id, const std::string& why);

  void connect_all();
  void ask(Swarm::Id id, std::uint64_t due_ns);
  void take_answer(Swarm::Id id, std::string_view answer);
  /// False: answers are missing.
  bool ask_for(double seconds);
  bool await_answers();
  void show();

  const ExchangeOptions& options_;
  const Noun noun_;
  const std::unique_ptr<Dialogue> dialogue_;
  ServerProcess& server_;
  Progress& progress_;
  const Target target_;
  Swarm swarm_;
  std::vector<Peer> peers_;
  Histogram latency_;
  Usage usage_;
  bool whole_ = true;
  std::uint64_t counted_from_ = 0;  ///< answers that were the warm-up's
  bool asks_again_ = false;         ///< each answer brings the next request
  std::uint64_t asked_ = 0;
  std::uint64_t answered_ = 0;
  std::uint64_t wrong_ = 0;
  std::string first_wrong_;
};

}  // namespace wsbench

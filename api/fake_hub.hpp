/// The shard inside `FakeShard`: no sockets, a clock that is set by hand, everything else as real.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <webshocket/config.hpp>
#include <webshocket/detail/hub.hpp>
#include <webshocket/handler.hpp>
#include <webshocket/testing.hpp>

#include "api/calls.hpp"
#include "api/counters.hpp"
#include "api/fake_threads.hpp"
#include "api/log_gate.hpp"
#include "api/pull.hpp"
#include "api/timer_queue.hpp"

namespace webshocket::detail {

class FakeHub final : public Hub {
 public:
  FakeHub(const HandlerFactory& factory, Config config);
  ~FakeHub();

  /// What happens on the shard happens inside one of these; at its end runs what was put off.
  class Turn {
   public:
    explicit Turn(FakeHub& hub) noexcept : hub_(hub), current_(hub) {}
    ~Turn() { hub_.finish_turn(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    FakeHub& hub_;
    Current current_;
  };

  Handler& handler() noexcept { return *handler_; }
  const std::vector<std::string>& log_lines() const noexcept { return log_; }
  AcceptQueue* accept_queue() noexcept { return accept_queue_.get(); }
  Connection* find(const Uid& uid) noexcept;

  // What clients do.
  FakeConnection& connect(Format format, UpgradeRequest request);
  void leave(FakeConnection& connection) noexcept;
  FakeReply call(FakeConnection& connection, std::string_view method, const Value& args,
                 const Value& kwargs);
  /// `opcode`: a message of a raw connection, the packet's data being its bytes.
  void receive(FakeConnection& connection, const Packet& packet,
               std::optional<Opcode> opcode = std::nullopt);

  // What time and other threads do.
  void advance(std::chrono::nanoseconds time);
  void settle();
  void run_beside(std::function<void()> function);

  // What connections do.
  SendStatus send(FakeConnection& to, const Packet& packet);
  bool respond(FakeConnection& to, const Packet& response);
  bool subscribe(FakeConnection& connection, std::span<const std::string_view> names);
  void close(FakeConnection& connection, CloseCode code, std::string_view reason);

  const Config& config() const noexcept override { return config_; }
  std::size_t shard() const noexcept override { return 0; }
  std::size_t shard_count() const noexcept override { return 1; }
  Clock::time_point now() const noexcept override { return now_; }
  void log(LogLevel level, std::string_view text) const noexcept override;

  void start_timer(TimerNode& timer, std::chrono::nanoseconds delay) override;
  void stop_timer(TimerNode& timer) noexcept override { timers_.stop(timer); }
  void defer(std::function<void()> fn) override { deferred_.push_back(std::move(fn)); }
  void offload(OffloadJob& job) override;
  void gather(const Handler& asker, GatherJob& job) override;
  std::shared_ptr<Mailbox> mailbox() const override { return mailbox_; }
  std::weak_ptr<Router> router() const override { return router_; }
  Calls& calls() noexcept override { return calls_; }
  Counters& counters() noexcept override { return counters_; }
  LogGate& log_gate() noexcept override { return log_gate_; }

  bool publish(const Handler& from, std::span<const std::string_view> channels,
               const Content& content, const Predicate& predicate) override;
  bool broadcast(const Handler& from, const Content& content, const Predicate& predicate) override;
  std::vector<Connection*> subscribers(const Handler& of, std::string_view channel) override;
  std::vector<std::string> channels() const override;
  std::size_t client_count() const noexcept override { return counters_.connections.get(); }

 private:
  SendStatus deliver(FakeConnection& to, const Packet& packet);
  Upgrade ask(const UpgradeRequest& request);
  bool may_dispatch(const FakeConnection& connection) noexcept;
  void dispatch_now(FakeConnection& connection, const Packet& packet,
                    std::optional<Opcode> opcode) noexcept;
  bool run_deferred() noexcept;
  bool run_posted() noexcept;
  bool run_parked() noexcept;
  bool run_closed() noexcept;
  void finish_turn() noexcept;

  Config config_;
  Clock::time_point now_ = Clock::time_point(std::chrono::hours(1));
  Current current_;
  Counters counters_;
  LogGate log_gate_;
  mutable std::vector<std::string> log_;
  TimerQueue timers_;
  std::vector<std::function<void()>> deferred_;
  std::shared_ptr<FakeMailbox> mailbox_ = std::make_shared<FakeMailbox>();
  std::shared_ptr<Router> router_;
  std::shared_ptr<AcceptQueue> accept_queue_;
  std::map<std::string, std::shared_ptr<FakeReply::State>, std::less<>> replies_;
  std::uint64_t minted_ = 0;  ///< uids and call ids
  bool stops_ = false;
  std::vector<std::unique_ptr<FakeConnection>> connections_;
  std::unique_ptr<Handler> handler_;
  Calls calls_{*this};
  FakeWorkers workers_{mailbox_};
};

}  // namespace webshocket::detail

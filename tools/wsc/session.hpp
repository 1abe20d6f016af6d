/// A connection, and the commands on it.
#pragma once

#include <webshocket/client.hpp>

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>

#include "commands.hpp"
#include "console.hpp"
#include "options.hpp"
#include "printer.hpp"

namespace wsc {

/// The server has answered, but not as was asked for.
class Refused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Prints what it receives as it comes. Its calls are for one thread, and throw what the client
/// throws; `Cancelled` when they were stopped.
class Session {
 public:
  /// If it `talks`, it tells what becomes of the connection and its channels. `packets` is how many
  /// are printed; empty: all. Throws `InvalidUriError`, `UsageError`.
  Session(const Options& options, Console& console, bool talks, std::optional<std::size_t> packets);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void connect(const std::stop_token& stop);
  /// False for `Quit`.
  bool run(const Command& command, const std::stop_token& stop);
  /// Until so many packets have come since the connection was there; without a number, until the
  /// time given by the options is over.
  void wait(std::optional<std::size_t> packets, const std::stop_token& stop);

  /// What comes from here on is what `Wait` counts.
  void forget_packets();
  /// Whether there is no connection any more, and none is tried.
  bool is_lost() const;
  [[noreturn]] void throw_lost() const;

  const Printer& results() const noexcept { return results_; }
  const Printer& messages() const noexcept { return messages_; }

 private:
  bool execute(const Call& call, const std::stop_token& stop);
  bool execute(const CallStream& stream, const std::stop_token& stop);
  bool execute(const Subscribe& subscribe, const std::stop_token& stop);
  bool execute(const Unsubscribe& unsubscribe, const std::stop_token& stop);
  bool execute(const Publish& publish, const std::stop_token& stop);
  bool execute(const Send& send, const std::stop_token& stop);
  bool execute(const Wait& wait, const std::stop_token& stop);
  bool execute(const Sleep& sleep, const std::stop_token& stop);
  bool execute(const ShowState& state, const std::stop_token& stop);
  bool execute(const ShowHelp& help, const std::stop_token& stop);
  bool execute(const Quit& quit, const std::stop_token& stop);

  // Events, on the client's loop.
  webshocket::Task<void> on_connect();
  void on_disconnect(webshocket::CloseCode code, std::string_view reason);
  void on_receive(const webshocket::Packet& packet);

  webshocket::ClientConfig config();
  void note(std::string_view text);

  const Options& options_;
  Console& console_;
  const Printer results_;   ///< for standard output
  const Printer messages_;  ///< for standard error

  const bool talks_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<std::size_t> packets_;
  std::size_t received_ = 0;
  std::size_t awaited_ = 0;
  bool closing_ = false;
  std::optional<webshocket::ConnectionClosedError> lost_;
  std::set<std::string> channels_;

  webshocket::Client client_;  // last: its events use the others
};

}  // namespace wsc

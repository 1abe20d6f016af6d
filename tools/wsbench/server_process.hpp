/// The server's process: started for one run, or one that runs already; what it uses.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

namespace wsbench {

/// How to come by a server.
struct ServerSpec {
  std::string command;            ///< `{port}` is replaced; or empty
  std::string uri;                ///< of a server that runs already; or empty
  std::optional<pid_t> pid;       ///< of that one
  std::optional<int> server_cpu;  ///< to pin a started server to

  /// For reports: the command or the URI.
  const std::string& name() const noexcept { return command.empty() ? uri : command; }
};

/// What a process holds in memory, in bytes.
struct Memory {
  std::uint64_t resident = 0;
  std::uint64_t private_dirty = 0;
};

class ServerProcess {
 public:
  /// Starts the command and waits until it accepts connections. Throws `Failure`.
  explicit ServerProcess(const ServerSpec& spec);
  /// Kills what `stop` has not ended.
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& uri() const noexcept { return uri_; }
  /// Nothing if the process is not known.
  std::optional<pid_t> pid() const noexcept { return pid_; }
  std::optional<std::uint64_t> cpu_ns() const;
  std::optional<Memory> memory() const;

  /// Throws `Failure` if a started server has ended.
  void check_alive();
  /// SIGTERM to a started server, and waits for its end. Throws `Failure` if it does not end, or
  /// ends with another status than 0 or the signal itself.
  void stop();

 private:
  void start(const std::string& command, std::optional<int> cpu);
  void await_acceptance();

  std::string uri_;
  std::optional<pid_t> pid_;
  bool started_ = false;
};

/// Pins the calling thread, and what it starts. Throws `Failure` if there is no such CPU for us.
void pin_to_cpu(int cpu);

/// A port of 127.0.0.1 on which nothing listens. Throws `Failure`.
std::uint16_t free_port();

}  // namespace wsbench

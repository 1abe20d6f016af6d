/// A server in a process of its own.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace webshocket::test {

/// Runs a program that prints `listening on HOST:PORT`. Killed when destroyed.
class ServerProcess {
 public:
  /// Returns when the line has come; throws `PeerError` if it does not.
  ServerProcess(const std::string& program, std::vector<std::string> arguments);
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  std::uint16_t port() const noexcept { return port_; }
  pid_t pid() const noexcept { return pid_; }
  /// What it holds in memory now.
  std::size_t resident_bytes() const;

  void signal(int number) const;
  /// Returns the exit status, or 128 and the signal's number; throws if it does not end in time.
  int wait();
  /// SIGTERM, then `wait`.
  int terminate();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::uint16_t port_ = 0;
};

/// Runs a program to its end and returns its exit status; it reads and writes nothing.
int run_program(const std::string& program, std::vector<std::string> arguments);

}  // namespace webshocket::test

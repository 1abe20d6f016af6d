#include "server_process.hpp"

#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string_view>

#include "clock.hpp"
#include "failure.hpp"
#include "message_template.hpp"
#include "target.hpp"

namespace wsbench {
namespace {

constexpr std::uint64_t kPatience = 10 * kSecond;
constexpr timespec kPause{.tv_sec = 0, .tv_nsec = 2 * kMillisecond};

/// What the process was allowed before `--client-cpu` was heeded.
cpu_set_t allowed_cpus() noexcept {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  sched_getaffinity(0, sizeof cpus, &cpus);
  return cpus;
}

const cpu_set_t kAllowedCpus = allowed_cpus();

std::string ending(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "ended with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

void pin_to_cpu(int cpu) {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(static_cast<unsigned>(cpu), &cpus);
  if (sched_setaffinity(0, sizeof cpus, &cpus) != 0) {
    throw Failure("cannot pin to CPU " + std::to_string(cpu) + ": " + std::strerror(errno));
  }
}

std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool found = fd >= 0 &&
                     ::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  const int error = errno;
  if (fd >= 0) ::close(fd);
  if (!found) throw Failure(std::string("no free port: ") + std::strerror(error));
  return ntohs(address.sin_port);
}

ServerProcess::ServerProcess(const ServerSpec& spec) : uri_(spec.uri), pid_(spec.pid) {
  if (spec.command.empty()) return;
  const std::string port = std::to_string(free_port());
  uri_ = "ws://127.0.0.1:" + port + "/";
  start(replaced(spec.command, "{port}", port), spec.server_cpu);
  try {
    await_acceptance();
  } catch (...) {
    if (pid_) ::kill(*pid_, SIGKILL);
    if (pid_) ::waitpid(*pid_, nullptr, 0);
    throw;
  }
}

ServerProcess::~ServerProcess() {
  if (!started_) return;
  ::kill(*pid_, SIGKILL);
  ::waitpid(*pid_, nullptr, 0);
}

void ServerProcess::start(const std::string& command, std::optional<int> cpu) {
  // The shell takes the command apart and becomes it, so that the process is the server's own.
  const std::string script = "exec " + command;
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) throw Failure(std::string("fork: ") + std::strerror(errno));
  if (child == 0) {
    // Nobody is left behind, also if wsbench is killed.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    cpu_set_t cpus = kAllowedCpus;
    if (cpu) {
      CPU_ZERO(&cpus);
      CPU_SET(static_cast<unsigned>(*cpu), &cpus);
    }
    ::sched_setaffinity(0, sizeof cpus, &cpus);
    const int nowhere = ::open("/dev/null", O_RDWR);
    ::dup2(nowhere, STDIN_FILENO);
    ::dup2(nowhere, STDOUT_FILENO);
    ::execl("/bin/sh", "sh", "-c", script.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  pid_ = child;
  started_ = true;
}

void ServerProcess::await_acceptance() {
  const Target target(uri_);
  const std::uint64_t deadline = now_ns() + kPatience;
  while (true) {
    const int fd = ::socket(target.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool accepted = ::connect(fd, target.address(), target.address_size()) == 0;
    ::close(fd);
    if (accepted) return;
    check_alive();
    if (now_ns() > deadline) throw Failure("the server does not accept connections on " + uri_);
    ::nanosleep(&kPause, nullptr);
  }
}

std::optional<std::uint64_t> ServerProcess::cpu_ns() const {
  if (!pid_) return std::nullopt;
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(*pid_, &clock) != 0 || clock_gettime(clock, &time) != 0) {
    throw Failure("the server's process " + std::to_string(*pid_) + " has no CPU clock");
  }
  return nanoseconds_of(time);
}

std::optional<Memory> ServerProcess::memory() const {
  if (!pid_) return std::nullopt;
  std::ifstream file("/proc/" + std::to_string(*pid_) + "/smaps_rollup");
  Memory memory;
  bool found = false;
  std::string line;
  while (std::getline(file, line)) {
    const auto value = [&] { return std::stoull(line.substr(line.find(':') + 1)) * 1024; };
    if (line.starts_with("Rss:")) {
      memory.resident = value();
      found = true;
    }
    if (line.starts_with("Private_Dirty:")) memory.private_dirty = value();
  }
  if (!found) return std::nullopt;
  return memory;
}

void ServerProcess::check_alive() {
  if (!started_) return;
  int status = 0;
  if (::waitpid(*pid_, &status, WNOHANG) != *pid_) return;
  started_ = false;
  pid_.reset();
  throw Failure("the server " + ending(status));
}

void ServerProcess::stop() {
  check_alive();
  if (!started_) return;
  ::kill(*pid_, SIGTERM);
  const std::uint64_t deadline = now_ns() + kPatience;
  int status = 0;
  while (::waitpid(*pid_, &status, WNOHANG) != *pid_) {
    if (now_ns() > deadline) throw Failure("the server does not end on SIGTERM");
    ::nanosleep(&kPause, nullptr);
  }
  started_ = false;
  pid_.reset();
  const bool by_us = WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM;
  if (!by_us && status != 0) throw Failure("told to end, the server " + ending(status));
}

}  // namespace wsbench

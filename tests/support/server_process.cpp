#include "tests/support/server_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <utility>

#include "tests/support/raw_peer.hpp"

namespace webshocket::test {
namespace {

pid_t spawn(const std::string& program, std::vector<std::string>& arguments, int out, int err) {
  std::vector<char*> argv;
  std::string name = program;
  argv.push_back(name.data());
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child < 0) throw PeerError("fork: " + std::string(std::strerror(errno)));
  if (child == 0) {
    ::dup2(::open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    if (err >= 0) ::dup2(err, STDERR_FILENO);
    ::execv(program.c_str(), argv.data());
    ::_exit(127);
  }
  return child;
}

int status_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

ServerProcess::ServerProcess(const std::string& program, std::vector<std::string> arguments) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw PeerError("pipe");
  output_ = ends[0];
  pid_ = spawn(program, arguments, ends[1], -1);
  ::close(ends[1]);
  constexpr std::string_view kStart = "listening on ";
  std::string line;
  const auto until = std::chrono::steady_clock::now() + kGuard;
  while (line.find('\n') == std::string::npos) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    pollfd entry{output_, POLLIN, 0};
    char piece[256];
    ssize_t count = -1;
    if (left.count() > 0 && ::poll(&entry, 1, static_cast<int>(left.count())) > 0) {
      count = ::read(output_, piece, sizeof piece);
    }
    if (count > 0) {
      line.append(piece, static_cast<std::size_t>(count));
    } else if (count == 0 || left.count() <= 0) {
      break;
    }
  }
  const auto colon = line.rfind(':');
  if (!line.starts_with(kStart) || colon == std::string::npos) {
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, -1), nullptr, 0);
    ::close(output_);
    throw PeerError(program + " does not listen but says '" + line + "'");
  }
  port_ = static_cast<std::uint16_t>(std::stoul(line.substr(colon + 1)));
}

ServerProcess::~ServerProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  ::close(output_);
}

std::size_t ServerProcess::resident_bytes() const {
  std::ifstream file("/proc/" + std::to_string(pid_) + "/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6)) * 1024;
  }
  throw PeerError("the server's memory cannot be read");
}

void ServerProcess::signal(int number) const { ::kill(pid_, number); }

int ServerProcess::wait() {
  const int watched = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
  if (watched < 0) throw PeerError("pidfd_open: " + std::string(std::strerror(errno)));
  pollfd entry{watched, POLLIN, 0};
  const auto guard = std::chrono::duration_cast<std::chrono::milliseconds>(kGuard);
  const int ready = ::poll(&entry, 1, static_cast<int>(guard.count()));
  ::close(watched);
  if (ready <= 0) throw PeerError("the server does not end");
  int status = 0;
  ::waitpid(std::exchange(pid_, -1), &status, 0);
  return status_of(status);
}

int ServerProcess::terminate() {
  signal(SIGTERM);
  return wait();
}

int run_program(const std::string& program, std::vector<std::string> arguments) {
  const int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  const pid_t child = spawn(program, arguments, null, null);
  ::close(null);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status_of(status);
}

}  // namespace webshocket::test

#include "engine/listening.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include <webshocket/error.hpp>

#include "shards/socket.hpp"
#include "tests/support/raw_peer.hpp"

using webshocket::Listener;
using webshocket::systemd_sockets;
using webshocket::WebSocketError;
using webshocket::engine::Listening;
using webshocket::shards::Socket;
using webshocket::test::RawPeer;

namespace fs = std::filesystem;

namespace {

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "webshocket_listening_XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

std::string refusal(const Listener& listener) {
  try {
    const Listening listening(listener, {});
  } catch (const WebSocketError& error) {
    return error.what();
  }
  return "none";
}

/// Whether somebody waits there.
bool has_client(int fd) {
  const Socket socket(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
  return socket.is_open();
}

}  // namespace

TEST_CASE("a socket that is passed in stays open, and what waits at it is not lost") {
  const Listening launcher(Listener{}, {});
  REQUIRE(launcher.port() != 0);
  Listener listener;
  listener.fd = launcher.fd();
  Listening first(listener, {});
  CHECK(first.is_passed());
  CHECK(first.fd() != launcher.fd());
  CHECK(first.port() == launcher.port());
  CHECK(first.address() == launcher.address());
  CHECK((::fcntl(first.fd(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK((::fcntl(first.fd(), F_GETFD) & FD_CLOEXEC) != 0);
  const RawPeer peer(launcher.port());
  first.close();
  const Listening second(listener, {});
  CHECK(has_client(second.fd()));
  CHECK_FALSE(has_client(launcher.fd()));
}

TEST_CASE("a unix socket that is passed in keeps its file") {
  const Folder folder;
  const std::string path = folder.file("a.sock");
  {
    const Listening launcher(Listener{.unix_path = path}, {});
    {
      const Listening passed(Listener{.fd = launcher.fd()}, {});
      CHECK(passed.address() == "unix:" + path);
      CHECK(passed.port() == 0);
    }
    CHECK(fs::exists(path));
  }
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("what does not listen is refused") {
  CHECK(refusal({.fd = 1'000'000}) ==
        "cannot listen on descriptor 1000000: it is no socket that listens for streams");
  const Socket idle(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  CHECK(refusal({.fd = idle.fd()}).find("no socket that listens") != std::string::npos);
  const Socket datagrams(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  CHECK(refusal({.fd = datagrams.fd()}).find("no socket that listens") != std::string::npos);
}

TEST_CASE("a file that somebody else has put there since is not removed") {
  const Folder folder;
  const std::string path = folder.file("a.sock");
  std::optional<Listening> first;
  first.emplace(Listener{.unix_path = path}, Listening::Options{});
  fs::remove(path);
  const Listening second(Listener{.unix_path = path}, {});
  first.reset();
  CHECK(fs::exists(path));
}

TEST_CASE("two may listen at one address if both say so, and only then") {
  const Listening first(Listener{.reuse_port = true}, {});
  Listener same{.port = first.port(), .reuse_port = true};
  CHECK(refusal(same) == "none");
  same.reuse_port = false;
  CHECK(refusal(same).find("in use") != std::string::npos);
  const Listening alone(Listener{}, {});
  CHECK(refusal({.port = alone.port(), .reuse_port = true}).find("in use") != std::string::npos);
}

TEST_CASE("systemd's sockets are those of this process, once") {
  const auto set = [](const char* count, const std::string& process, const char* names) {
    ::setenv("LISTEN_FDS", count, 1);
    ::setenv("LISTEN_PID", process.c_str(), 1);
    ::setenv("LISTEN_FDNAMES", names, 1);
  };
  const std::string self = std::to_string(::getpid());
  set("2", self, "web:admin");
  const auto sockets = systemd_sockets();
  REQUIRE(sockets.size() == 2);
  CHECK(sockets[0].fd == 3);
  CHECK(sockets[0].name == "web");
  CHECK(sockets[1].fd == 4);
  CHECK(sockets[1].name == "admin");
  CHECK(std::getenv("LISTEN_FDS") == nullptr);
  CHECK(std::getenv("LISTEN_PID") == nullptr);
  CHECK(std::getenv("LISTEN_FDNAMES") == nullptr);
  CHECK(systemd_sockets().empty());
  set("1", "1", "web");
  CHECK(systemd_sockets().empty());
  CHECK(std::getenv("LISTEN_FDS") == nullptr);
  set("1", self, "");
  CHECK(systemd_sockets().at(0).name.empty());
  for (const char* count : {"", "-1", "0", "x", "1x"}) {
    CAPTURE(count);
    set(count, self, "");
    CHECK(systemd_sockets().empty());
  }
}

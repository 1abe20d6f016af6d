#include "engine/acceptor.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <webshocket/error.hpp>

#include "shards/bus.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"

using webshocket::Config;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::Listener;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::WebSocketError;
using webshocket::engine::AcceptCounters;
using webshocket::engine::Acceptor;
using webshocket::shards::Site;
using webshocket::shards::Socket;
using webshocket::test::eventually;
using webshocket::test::open_peer;
using webshocket::test::RawPeer;
using webshocket::test::ServerFixture;

namespace fs = std::filesystem;

namespace {

/// Listens as long as it lives; accepts nothing.
struct Listening {
  explicit Listening(Listener listener) : site(Config{}) {
    site.listeners = {std::move(listener)};
    acceptor = std::make_unique<Acceptor>(site, 0, counters);
  }
  Site site;
  AcceptCounters counters;
  std::unique_ptr<Acceptor> acceptor;
};

std::string refusal(Listener listener) {
  try {
    const Listening listening(std::move(listener));
  } catch (const WebSocketError& error) {
    return error.what();
  }
  return "none";
}

class Folder {
 public:
  Folder() {
    std::string name = (fs::temp_directory_path() / "webshocket_acceptor_XXXXXX").string();
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

bool connects(const std::string& path) {
  const Socket socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return ::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

class Silent : public Handler {};

}  // namespace

TEST_CASE("port 0 is any free port, and the address says which") {
  const Listening one({.host = "127.0.0.1"});
  const Listening other({.host = "127.0.0.1"});
  CHECK(one.acceptor->port() != 0);
  CHECK(one.acceptor->port() != other.acceptor->port());
  CHECK(one.acceptor->address() == "127.0.0.1:" + std::to_string(one.acceptor->port()));
  const Listening v6({.host = "::1"});
  CHECK(v6.acceptor->address() == "[::1]:" + std::to_string(v6.acceptor->port()));
}

TEST_CASE("an address that cannot be had is named") {
  const Listening first({.host = "127.0.0.1"});
  const std::string taken = "127.0.0.1:" + std::to_string(first.acceptor->port());
  CHECK(refusal({.host = "127.0.0.1", .port = first.acceptor->port()}) ==
        "cannot listen on " + taken + ": " + std::strerror(EADDRINUSE));
  // TEST-NET-3 is nobody's.
  CHECK(refusal({.host = "203.0.113.1", .port = 80}) ==
        "cannot listen on 203.0.113.1:80: " + std::string(std::strerror(EADDRNOTAVAIL)));
  CHECK(refusal({.host = "no host.invalid", .port = 1})
            .starts_with("cannot listen on no host.invalid:1: "));
}

TEST_CASE("every shard accepts at the same address, and no other server does") {
  for (const std::size_t shards : {1U, 2U, 5U}) {
    CAPTURE(shards);
    ServerFixture server({.shards = shards}, per_shard<Silent>());
    CHECK(server->addresses().size() == 1);
    for (const std::size_t others : {1U, 2U}) {
      Server other({.port = server.port(), .shards = others}, per_shard<Silent>());
      CHECK_THROWS_WITH_AS(other.start(),
                           ("cannot listen on 127.0.0.1:" + std::to_string(server.port()) + ": " +
                            std::strerror(EADDRINUSE))
                               .c_str(),
                           WebSocketError);
    }
    // The kernel decides which shard it is by the peer's port, which is another one each time.
    std::vector<RawPeer> peers;
    const auto each_has_one = [&] {
      const auto stats = server->stats();
      return std::ranges::all_of(stats.shards,
                                 [](const auto& shard) { return shard.handshakes_pending != 0; });
    };
    eventually(
        [&] {
          if (peers.size() < 500) peers.emplace_back(server.port());
          return each_has_one();
        },
        "a connection on each shard");
  }
}

TEST_CASE("a unix socket comes and goes with the acceptor") {
  const Folder folder;
  const std::string path = folder.file("s");
  {
    const Listening listening({.unix_path = path});
    CHECK(listening.acceptor->address() == "unix:" + path);
    CHECK(listening.acceptor->port() == 0);
    CHECK(connects(path));
    CHECK(refusal({.unix_path = path}) ==
          "cannot listen on unix:" + path + ": " + std::strerror(EADDRINUSE));
    CHECK(connects(path));  // a refusal does not take the other's file away
  }
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("the file of a server that has died is taken over, any other file is not") {
  const Folder folder;
  const std::string path = folder.file("s");
  {
    const Socket dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    REQUIRE(::bind(dead.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  REQUIRE(fs::exists(path));
  {
    const Listening listening({.unix_path = path});
    CHECK(connects(path));
  }
  const std::string document = folder.file("document");
  std::ofstream(document) << "precious";
  CHECK(refusal({.unix_path = document}) ==
        "cannot listen on unix:" + document + ": " + std::strerror(EADDRINUSE));
  CHECK(fs::file_size(document) == 8);
  CHECK(
      refusal({.unix_path = folder.file("no/such/folder")}).starts_with("cannot listen on unix:"));
}

TEST_CASE("sockets without a request are limited, and one that goes makes room") {
  ServerFixture server({.shards = 1, .max_pending_handshakes = 2}, per_shard<Silent>());
  std::optional<RawPeer> first(server.port());
  RawPeer second(server.port());
  eventually([&] { return server->stats().total.handshakes_pending == 2; }, "two handshakes");
  RawPeer third(server.port());
  third.read_end();
  CHECK(server->stats().refused == 1);
  CHECK(server->stats().accepted == 3);

  first.reset();
  eventually([&] { return server->stats().total.handshakes_pending == 1; }, "one handshake");
  RawPeer fourth(server.port());
  fourth.upgrade();
  // It waits no longer.
  RawPeer fifth(server.port());
  fifth.upgrade();
  second.upgrade();
  CHECK(server->stats().refused == 1);
}

TEST_CASE("out of descriptors: who comes is hung up on, and later served again") {
  ServerFixture server({.shards = 1}, per_shard<Silent>());
  open_peer(server.port());
  RawPeer before = open_peer(server.port());
  const auto before_is_served = [&] {
    before.send(webshocket::test::SentFrame{.opcode = webshocket::test::kPing, .payload = "x"});
    return before.read_frame().payload == "x";
  };
  // Now, too: a sanitizer opens a pipe when it sees the first object of a type.
  REQUIRE(before_is_served());

  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  const rlimit normal = limit;
  // The client's own socket is made before the last descriptor goes.
  const Socket client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port());
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  limit.rlim_cur = 256;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  std::vector<Socket> fillers;
  for (int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC); fd >= 0;
       fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    fillers.emplace_back(fd);
  }
  const int full = errno;
  REQUIRE(::connect(client.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  std::array<char, 1> byte{};
  const ssize_t count = ::recv(client.fd(), byte.data(), 1, 0);
  const bool open_peers_work = before_is_served();
  fillers.clear();
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &normal) == 0);

  CHECK(full == EMFILE);
  CHECK(count <= 0);
  CHECK(open_peers_work);
  CHECK(server->stats().accept_errors >= 1);
  const RawPeer after = open_peer(server.port());
}

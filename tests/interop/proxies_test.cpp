// The server behind proxies that people have: nginx and HAProxy, as HTTP proxies and by the PROXY
// protocol.

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/server.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/server_process.hpp"

using webshocket::CloseCode;
using webshocket::Config;
using webshocket::Connection;
using webshocket::Handler;
using webshocket::HttpRequest;
using webshocket::HttpResponse;
using webshocket::Opcode;
using webshocket::per_shard;
using webshocket::Server;
using webshocket::test::binary_frame;
using webshocket::test::Close;
using webshocket::test::close_frame;
using webshocket::test::eventually;
using webshocket::test::Frame;
using webshocket::test::kPing;
using webshocket::test::kPong;
using webshocket::test::PeerError;
using webshocket::test::RawPeer;
using webshocket::test::run_program;
using webshocket::test::SentFrame;
using webshocket::test::ServerFixture;
using webshocket::test::ServerProcess;
using webshocket::test::TemporaryFolder;
using webshocket::test::text_frame;
using namespace std::chrono_literals;

namespace {

/// Clients come from here, the proxies from 127.0.0.1.
constexpr const char* kClient = "127.0.0.77";
constexpr std::size_t kLarge = 16 * 1024 * 1024;

class Echo : public Handler {
 public:
  webshocket::Upgrade on_upgrade(const webshocket::UpgradeRequest&) override {
    return webshocket::Upgrade::accept().raw();
  }
  void on_message(Connection& connection, std::span<const std::byte> message,
                  Opcode opcode) override {
    const std::string_view text(reinterpret_cast<const char*>(message.data()), message.size());
    if (text == "where") {
      connection.send(connection.remote_address());
    } else if (text == "kick") {
      connection.close(static_cast<CloseCode>(4002), "kicked");
    } else if (opcode == Opcode::text) {
      connection.send(text);
    } else {
      connection.send(message);
    }
  }
};

sockaddr_in address_of(const char* host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  REQUIRE(::inet_pton(AF_INET, host, &address.sin_addr) == 1);
  return address;
}

std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  return ntohs(address.sin_port);
}

/// On a loopback address of this process alone, so that no other one takes a port in between.
std::string own_host() {
  const auto id = static_cast<unsigned>(::getpid());
  return "127." + std::to_string(1 + id / 62500 % 250) + "." + std::to_string(1 + id / 250 % 250) +
         "." + std::to_string(1 + id % 250);
}

std::uint16_t free_port(const std::string& host) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = address_of(host.c_str(), 0);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  const std::uint16_t port = port_of(fd);
  ::close(fd);
  return port;
}

/// A client's socket; -1 if nobody listens.
int connect_to(const std::string& host, std::uint16_t port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in from = address_of(kClient, 0);
  const sockaddr_in to = address_of(host.c_str(), port);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&from), sizeof from) == 0);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    ::close(fd);
    return -1;
  }
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  return fd;
}

constexpr const char* kFind = "PATH=$PATH:/usr/sbin; command -v ";

/// Ends the process where one of them is missing, as ctest knows it.
void require_proxies() {
  constexpr int kMissing = 77;
  for (const char* name : {"nginx", "haproxy"}) {
    if (run_program("/bin/sh", {"-c", kFind + std::string(name)}) == 0) continue;
    std::printf("skipped: %s is missing\n", name);
    std::fflush(stdout);
    std::_Exit(kMissing);
  }
}

/// The ways through proxies to one server.
struct Way {
  const char* name;
  std::uint16_t port = 0;
  bool names_port = false;  ///< tells the server the client's port
};

class Proxied {
 public:
  explicit Proxied(Config config = {})
      : server_(with_listeners(std::move(config)), per_shard<Echo>(), prepare) {
    require_proxies();
    for (Way& way : ways_) way.port = free_port(host_);
    const std::string http = server_->addresses()[0];
    const std::string proxied = server_->addresses()[1];
    nginx_ = start("nginx -e stderr -c " + folder_.write("nginx.conf", nginx_config(http)));
    haproxy_ = start("haproxy -f " + folder_.write("haproxy.cfg", haproxy_config(http, proxied)));
    for (const Way& way : ways_) {
      eventually(
          [&] {
            const int fd = connect_to(host_, way.port);
            if (fd >= 0) ::close(fd);
            return fd >= 0;
          },
          std::string(way.name) + " to listen");
    }
  }

  RawPeer connect(const Way& way) const {
    const int fd = connect_to(host_, way.port);
    if (fd < 0) throw PeerError("nobody listens");
    return RawPeer::adopt(fd);
  }
  RawPeer open(const Way& way) const {
    RawPeer peer = connect(way);
    peer.upgrade();
    return peer;
  }
  /// What the server is to take the client for.
  static std::string shown(const Way& way, const RawPeer& peer) {
    return std::string(kClient) + ":" + std::to_string(way.names_port ? port_of(peer.fd()) : 0);
  }

  const std::array<Way, 5>& ways() const { return ways_; }
  ServerFixture& server() { return server_; }

 private:
  static Config with_listeners(Config config) {
    config.shards = 2;
    config.trusted_proxies = {"127.0.0.1"};
    config.listeners = {{}, {.proxy_protocol = true}};
    config.max_message = kLarge;
    return config;
  }
  static void prepare(Server& server) {
    server.on_http("GET", "/where", [](const HttpRequest& request) {
      return HttpResponse{.body = request.remote_address};
    });
  }
  static std::unique_ptr<ServerProcess> start(const std::string& command) {
    return std::make_unique<ServerProcess>(
        "/bin/sh",
        std::vector<std::string>{
            "-c", "PATH=$PATH:/usr/sbin; echo listening on x:1; exec " + command + " >&2"});
  }

  std::string at(const Way& way) const { return host_ + ":" + std::to_string(way.port); }

  std::string nginx_config(const std::string& http) const {
    std::string text = "daemon off;\nmaster_process off;\nerror_log stderr error;\npid " +
                       folder_.write("nginx.pid", "") +
                       ";\nevents {}\nhttp {\n"
                       "  access_log off;\n"
                       "  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n";
    for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
      text += "  " + std::string(kind) + "_temp_path " + folder_.write(kind, "") + ".d;\n";
    }
    return text + "  server {\n    listen " + at(ways_[0]) +
           ";\n    location / {\n      proxy_pass http://" + http +
           ";\n"
           "      proxy_http_version 1.1;\n"
           "      proxy_set_header Upgrade $http_upgrade;\n"
           "      proxy_set_header Connection $connection_upgrade;\n"
           "      proxy_set_header Host $http_host;\n"
           "      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n"
           "    }\n  }\n}\n";
  }

  std::string haproxy_config(const std::string& http, const std::string& proxied) const {
    return "defaults\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n"
           "  timeout tunnel 1h\n"
           "listen http\n  mode http\n  bind " +
           at(ways_[1]) + "\n  option forwardfor\n  server s " + http +
           "\nlisten line\n  mode tcp\n  bind " + at(ways_[2]) + "\n  server s " + proxied +
           " send-proxy\n"
           "listen block\n  mode tcp\n  bind " +
           at(ways_[3]) + "\n  server s " + proxied +
           " send-proxy-v2\n"
           "listen block_with_more\n  mode http\n  bind " +
           at(ways_[4]) +
           "\n  option forwardfor\n  unique-id-format %{+X}o\\ %ci:%cp_%rt\n  server s " + proxied +
           " send-proxy-v2 proxy-v2-options crc32c,unique-id\n";
  }

  std::array<Way, 5> ways_{{{.name = "nginx"},
                            {.name = "haproxy"},
                            {.name = "haproxy, PROXY 1", .names_port = true},
                            {.name = "haproxy, PROXY 2", .names_port = true},
                            {.name = "haproxy, PROXY 2 with TLVs", .names_port = true}}};
  TemporaryFolder folder_;
  std::string host_ = own_host();
  ServerFixture server_;
  std::unique_ptr<ServerProcess> nginx_;
  std::unique_ptr<ServerProcess> haproxy_;
};

}  // namespace

TEST_CASE("proxies: whom the server sees, whatever the client says of itself") {
  Proxied proxied;
  for (const Way& way : proxied.ways()) {
    CAPTURE(way.name);
    RawPeer peer = proxied.connect(way);
    peer.upgrade({.headers = {"X-Forwarded-For: 6.6.6.6", "Forwarded: for=6.6.6.6"}});
    peer.send(text_frame("where"));
    CHECK(peer.read_message() == Proxied::shown(way, peer));

    RawPeer page = proxied.connect(way);
    for (int i = 0; i < 2; ++i) {
      page.send("GET /where HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
      CHECK(page.read_http().body == Proxied::shown(way, page));
    }
  }
}

TEST_CASE("proxies: a page of the same origin, and one of another") {
  const Proxied proxied;
  for (const Way& way : proxied.ways()) {
    CAPTURE(way.name);
    RawPeer own = proxied.connect(way);
    own.upgrade({.headers = {"Origin: https://127.0.0.1"}});
    RawPeer other = proxied.connect(way);
    CHECK(other.request({.headers = {"Origin: https://evil.example"}}).status == 403);
  }
}

TEST_CASE("proxies: messages of every size come back") {
  const Proxied proxied;
  std::string large(kLarge, '\0');
  for (std::size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<char>(i * 2654435761U >> 24);
  for (const Way& way : proxied.ways()) {
    CAPTURE(way.name);
    RawPeer peer = proxied.open(way);
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{125},
                                   std::size_t{65'536}, std::size_t{1'000'000}, kLarge}) {
      CAPTURE(size);
      peer.send(binary_frame(large.substr(0, size)));
      CHECK((peer.read_message() == large.substr(0, size)));
    }
  }
}

TEST_CASE("proxies: a message right behind the request is not lost") {
  const Proxied proxied;
  for (const Way& way : proxied.ways()) {
    CAPTURE(way.name);
    RawPeer peer = proxied.connect(way);
    peer.send(webshocket::test::upgrade_request() + text_frame("early"));
    CHECK(peer.read_http().status == 101);
    CHECK(peer.read_message() == "early");
  }
}

TEST_CASE("proxies: PING and PONG go through both ways") {
  const Proxied proxied({.ping_interval = 50ms});
  for (const Way& way : proxied.ways()) {
    CAPTURE(way.name);
    RawPeer peer = proxied.open(way);
    for (int i = 0; i < 3; ++i) {
      REQUIRE(peer.read_frame() == Frame{.fin = true, .opcode = kPing});
      peer.send(SentFrame{.opcode = kPong});
    }
  }
  const Proxied quiet;
  for (const Way& way : quiet.ways()) {
    RawPeer peer = quiet.open(way);
    peer.send(SentFrame{.opcode = kPing, .payload = "there?"});
    const Frame pong = peer.read_frame();
    CHECK(pong.opcode == kPong);
    CHECK(pong.payload == "there?");
  }
}

TEST_CASE("proxies: close codes go through both ways, and so does a lost client") {
  Proxied proxied({.ping_interval = 0ms});
  for (const Way& way : proxied.ways()) {
    CAPTURE(way.name);
    RawPeer kicked = proxied.open(way);
    kicked.send(text_frame("kick"));
    CHECK(kicked.read_close() == Close{4002, "kicked"});
    kicked.send(close_frame(4002));
    kicked.read_end();

    RawPeer leaver = proxied.open(way);
    leaver.send(close_frame(4001, "bye"));
    CHECK(leaver.read_close_and_end() == Close{4001, "bye"});

    RawPeer silent = proxied.open(way);
    RawPeer lost = proxied.open(way);
    lost.reset();
    silent.half_close();
    eventually([&] { return proxied.server()->client_count() == 0; }, "everybody to have gone");
  }
}

// Ten thousand clients a second that connect and hang up hard, half of them in the middle of
// something. For a second; WEBSHOCKET_CHURN_SECONDS says for how many others.

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <webshocket/server.hpp>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/ws_client.hpp"

using webshocket::Handler;
using webshocket::per_shard;
using webshocket::test::eventually;
using webshocket::test::ServerFixture;
using webshocket::test::upgrade_request;
using webshocket::test::WsClient;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kPerSecond = 10'000;

class Echo : public Handler {
 public:
  Echo() {
    rpc("echo", [](webshocket::Value x) { return x; }).params("x");
  }
};

std::chrono::seconds length() {
  const char* text = std::getenv("WEBSHOCKET_CHURN_SECONDS");
  return std::chrono::seconds(text == nullptr ? 1 : std::atoi(text));
}

/// False if the system has no more ports for it at the moment.
bool connect_and_reset(std::uint16_t port, std::string_view said) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool connected =
      ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (connected && !said.empty()) ::send(fd, said.data(), said.size(), MSG_NOSIGNAL);
  const linger hard{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
  ::close(fd);
  return connected;
}

}  // namespace

TEST_CASE("clients that come and go by the thousand") {
  ServerFixture server({.shards = 2}, per_shard<Echo>());
  WsClient witness(server.port());
  const std::string whole = upgrade_request();
  const std::string half = whole.substr(0, whole.size() / 2);
  const auto start = Clock::now();
  const auto end = start + length();
  std::int64_t connected = 0;
  std::int64_t tried = 0;
  for (auto now = start; now < end; now = Clock::now()) {
    // No faster than that; slower where the machine is.
    const auto due = std::chrono::nanoseconds(1'000'000'000) * tried / kPerSecond;
    if (start + due > now) {
      CHECK(witness.call("echo", "[1]") == "1");
      continue;
    }
    constexpr std::int64_t kKinds = 4;
    const std::string_view said = tried % kKinds == 1   ? std::string_view(half)
                                  : tried % kKinds == 2 ? std::string_view(whole)
                                                        : std::string_view();
    connected += connect_and_reset(server.port(), said) ? 1 : 0;
    ++tried;
  }
  const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
  MESSAGE(connected << " connections in " << seconds << " s, "
                    << static_cast<double>(connected) / seconds << " a second");
  CHECK(connected > 0);
  CHECK(server->stats().accepted > 1);
  CHECK(witness.call("echo", "[2]") == "2");
  eventually(
      [&] {
        const auto total = server->stats().total;
        return total.connections == 1 && total.handshakes_pending == 0 && total.inbound_bytes == 0;
      },
      "all of them to go");
  CHECK(server->client_count() == 1);
  WsClient after(server.port());
  CHECK(after.call("echo", "[3]") == "3");
}

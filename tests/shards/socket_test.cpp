#include "shards/socket.hpp"

#include <doctest/doctest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "tests/support/raw_peer.hpp"

using webshocket::shards::Address;
using webshocket::shards::address_of;
using webshocket::shards::Socket;

namespace {

std::pair<Socket, Socket> socket_pair() {
  std::array<int, 2> fds{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) == 0);
  return {Socket(fds[0]), Socket(fds[1])};
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) != -1; }

iovec part(std::string& text) { return {text.data(), text.size()}; }

}  // namespace

TEST_CASE("addresses read as people write them") {
  sockaddr_storage storage{};
  auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(80);
  v4.sin_addr.s_addr = htonl(0x7F000001);
  CHECK(address_of(storage).to_string() == "127.0.0.1:80");

  storage = {};
  auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(65'535);
  v6.sin6_addr = in6addr_loopback;
  CHECK(address_of(storage).to_string() == "[::1]:65535");

  const std::string mapped = webshocket::test::from_hex("00000000000000000000ffffc0000201");
  std::memcpy(&v6.sin6_addr, mapped.data(), mapped.size());
  CHECK(address_of(storage).to_string() == "192.0.2.1:65535");

  storage = {};
  storage.ss_family = AF_UNIX;
  CHECK(address_of(storage).to_string() == "unix");
  CHECK(Address().to_string() == "unix");
}

TEST_CASE("a socket closes its descriptor exactly once") {
  auto [one, two] = socket_pair();
  const int fd = one.fd();
  Socket moved(std::move(one));
  CHECK_FALSE(one.is_open());  // NOLINT(bugprone-use-after-move): that is the point
  CHECK(moved.fd() == fd);
  const int other = two.fd();
  moved = std::move(two);
  CHECK_FALSE(is_open(fd));
  CHECK(is_open(other));
  moved.close();
  moved.close();
  CHECK_FALSE(is_open(other));
}

TEST_CASE("parts arrive joined; no data, an end and a lost peer are told apart") {
  auto [one, two] = socket_pair();
  std::array<std::byte, 64> buffer{};
  CHECK(two.receive(buffer) == -EAGAIN);

  std::string hello = "hello ";
  std::string world = "world";
  std::array<iovec, 2> parts{part(hello), part(world)};
  CHECK(one.send(parts) == 11);
  REQUIRE(two.receive(buffer) == 11);
  CHECK(std::memcmp(buffer.data(), "hello world", 11) == 0);

  one.shut_down_output();
  CHECK(two.receive(buffer) == 0);
  two.close();
  // And no SIGPIPE.
  CHECK(one.send(parts) == -EPIPE);
}

TEST_CASE("a full socket takes a part of it, then nothing, and does not block") {
  auto [one, two] = socket_pair();
  std::string large(1'000'000, 'x');
  std::array<iovec, 1> parts{part(large)};
  std::size_t sent = 0;
  ssize_t count = 0;
  while ((count = one.send(parts)) > 0) sent += static_cast<std::size_t>(count);
  CHECK(count == -EAGAIN);
  CHECK(sent > 0);
}

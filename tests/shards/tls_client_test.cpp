#include "shards/tls_stream.hpp"

#include <doctest/doctest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/error.hpp>

#include "shards/socket.hpp"
#include "shards/tls_context.hpp"
#include "tests/support/certificates.hpp"

using webshocket::ClientTls;
using webshocket::UsageError;
using webshocket::shards::Socket;
using webshocket::shards::TlsContext;
using webshocket::shards::TlsStream;
using webshocket::test::Identity;
using webshocket::test::IdentityOptions;
using webshocket::test::make_authority;
using webshocket::test::make_identity;
using webshocket::test::make_tls_server;
using webshocket::test::TemporaryFolder;

namespace {

constexpr std::size_t kReadBuffer = 64 * 1024;

std::pair<Socket, Socket> socket_pair() {
  std::array<int, 2> fds{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) == 0);
  return {Socket(fds[0]), Socket(fds[1])};
}

bool is_ready(int fd, short events) {
  pollfd poll{.fd = fd, .events = events, .revents = 0};
  return ::poll(&poll, 1, 0) == 1 && (poll.revents & events) != 0;
}

/// A server that is OpenSSL and nothing else. It counts what it sees of the other's records.
class Server {
 public:
  Server(const std::shared_ptr<SSL_CTX>& context, int fd) : ssl_(SSL_new(context.get()), SSL_free) {
    SSL_set_fd(get(), fd);
    SSL_set_accept_state(get());
    SSL_set_mode(get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }
  SSL* get() const { return ssl_.get(); }

  /// Returns what could be sent of it.
  std::size_t send(std::string_view text) const {
    std::size_t total = 0;
    std::size_t count = 0;
    while (total < text.size() &&
           SSL_write_ex(get(), text.data() + total, text.size() - total, &count) == 1) {
      total += count;
    }
    ERR_clear_error();
    return total;
  }
  /// All there is, record by record.
  std::vector<std::string> records() const {
    std::vector<std::string> all;
    std::string record(SSL3_RT_MAX_PLAIN_LENGTH, '\0');
    std::size_t count = 0;
    while (SSL_read_ex(get(), record.data(), record.size(), &count) == 1) {
      all.push_back(record.substr(0, count));
    }
    ERR_clear_error();
    return all;
  }
  std::string text() const {
    const auto all = records();
    return std::accumulate(all.begin(), all.end(), std::string());
  }
  bool has_farewell() const { return (SSL_get_shutdown(get()) & SSL_RECEIVED_SHUTDOWN) != 0; }

 private:
  std::shared_ptr<SSL> ssl_;
};

/// Both ends, each looked at by the test alone.
struct Pair {
  explicit Pair(const std::shared_ptr<SSL_CTX>& context, const ClientTls& settings = {},
                std::string_view name = "localhost")
      : client_context(settings),
        client(TlsStream::connect(client_context, client_socket.fd(), name)),
        server(context, server_socket.fd()) {}

  /// What becomes of the client's handshake.
  ssize_t shake_hands() {
    for (int step = 0; step < 10; ++step) {
      const ssize_t result = client->handshake();
      if (result != -EAGAIN) {
        SSL_do_handshake(server.get());
        ERR_clear_error();
        return result;
      }
      CHECK(client->awaits() == TlsStream::Awaits::input);
      SSL_do_handshake(server.get());
      ERR_clear_error();
    }
    return -EAGAIN;
  }

  /// As long as the socket says that there is something.
  std::string receive_all() {
    std::string all;
    while (is_ready(client_socket.fd(), POLLIN)) {
      const ssize_t count = receive();
      if (count == 0) break;
      if (count > 0) all.append(text_of(count));
      if (count < 0) REQUIRE(count == -EAGAIN);
    }
    return all;
  }
  ssize_t receive() { return client->receive(buffer); }
  std::string_view text_of(ssize_t count) const {
    return {reinterpret_cast<const char*>(buffer.data()), static_cast<std::size_t>(count)};
  }
  ssize_t send(std::string text) {
    std::array<iovec, 1> parts{{{text.data(), text.size()}}};
    return client->send(parts);
  }

  std::pair<Socket, Socket> sockets = socket_pair();
  Socket& client_socket = sockets.first;
  Socket& server_socket = sockets.second;
  TlsContext client_context;
  std::unique_ptr<TlsStream> client;
  Server server;
  std::vector<std::byte> buffer = std::vector<std::byte>(kReadBuffer);
};

/// An authority that the client trusts, and a server that it has signed for.
struct World {
  explicit World(const IdentityOptions& options = {})
      : ca_file(folder.write("ca.pem", authority.certificate_pem())),
        identity(make_identity(options, authority)),
        context(make_tls_server(identity)) {}

  ClientTls settings() const { return {.ca_file = ca_file}; }

  TemporaryFolder folder;
  Identity authority = make_authority();
  std::string ca_file;
  Identity identity;
  std::shared_ptr<SSL_CTX> context;
};

/// A pair that has shaken hands.
struct Open : World, Pair {
  Open() : Pair(context, settings()) { REQUIRE(shake_hands() == 0); }
};

std::string failure_of(const World& world, const ClientTls& settings,
                       std::string_view name = "localhost") {
  Pair pair(world.context, settings, name);
  CHECK(pair.shake_hands() == -EPROTO);
  CHECK(pair.client->failure().is_final);
  return pair.client->failure().complaint;
}

std::string letters(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i % 23);
  return text;
}

std::string complaint_of(const ClientTls& settings) {
  try {
    const TlsContext context(settings);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

// --- the handshake ----------------------------------------------------------------------------

TEST_CASE("both agree on a version, on HTTP/1.1 and on a name") {
  Open open;
  CHECK(SSL_version(open.server.get()) == TLS1_3_VERSION);
  CHECK(SSL_get_servername(open.server.get(), TLSEXT_NAMETYPE_host_name) ==
        std::string_view("localhost"));
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(open.server.get(), &protocol, &size);
  CHECK(std::string_view(reinterpret_cast<const char*>(protocol), size) == "http/1.1");

  CHECK(open.receive() == -EAGAIN);  // but for session tickets
  CHECK(open.server.send("hello") == 5);
  REQUIRE(open.receive() == 5);
  CHECK(open.text_of(5) == "hello");
  CHECK(open.send("world") == 5);
  CHECK(open.server.text() == "world");
}

TEST_CASE("an address is checked, but no name that the server would be asked for") {
  const World world;
  for (const char* name : {"127.0.0.1", "::1", "::1%lo"}) {
    CAPTURE(name);
    Pair pair(world.context, world.settings(), name);
    CHECK(pair.shake_hands() == 0);
    CHECK(SSL_get_servername(pair.server.get(), TLSEXT_NAMETYPE_host_name) == nullptr);
  }
}

TEST_CASE("a name may end in a dot, and the certificate have a wildcard") {
  const World world({.other_names = "DNS:*.example.com"});
  Pair pair(world.context, world.settings(), "www.example.com.");
  CHECK(pair.shake_hands() == 0);
  CHECK(SSL_get_servername(pair.server.get(), TLSEXT_NAMETYPE_host_name) ==
        std::string_view("www.example.com"));
}

TEST_CASE("why a certificate is refused") {
  SUBCASE("nobody has signed it whom we know") {
    const World world;
    const std::string other = world.folder.write("other.pem", make_authority().certificate_pem());
    CHECK(failure_of(world, {.ca_file = other})
              .starts_with("the server's certificate is not trusted: "));
    CHECK(failure_of(world, {}) ==
          "the server's certificate is not trusted: unable to get local issuer certificate");
    Pair pair(world.context, {.verify = false}, "elsewhere");
    CHECK(pair.shake_hands() == 0);
  }
  SUBCASE("it has signed itself") {
    World world;
    world.context = make_tls_server(make_identity());
    CHECK(failure_of(world, world.settings()) ==
          "the server's certificate is not trusted: self-signed certificate");
  }
  SUBCASE("it is too old, or too young") {
    const World old({.from = std::chrono::hours(-2), .to = std::chrono::hours(-1)});
    CHECK(failure_of(old, old.settings()) ==
          "the server's certificate is not trusted: certificate has expired");
    const World young({.from = std::chrono::hours(1), .to = std::chrono::hours(2)});
    CHECK(failure_of(young, young.settings()) ==
          "the server's certificate is not trusted: certificate is not yet valid");
  }
  SUBCASE("it is for somebody else") {
    const World world;
    CHECK(failure_of(world, world.settings(), "elsewhere") ==
          "the server's certificate is for another name: localhost, 127.0.0.1, ::1, "
          "but not elsewhere");
    CHECK(failure_of(world, world.settings(), "127.0.0.2") ==
          "the server's certificate is for another name: localhost, 127.0.0.1, ::1, "
          "but not 127.0.0.2");
    const World nameless({.name = "example.com", .other_names = {}});
    CHECK(failure_of(nameless, nameless.settings()) ==
          "the server's certificate is for another name: example.com, but not localhost");
    const World nobody({.name = {}, .other_names = {}});
    CHECK(failure_of(nobody, nobody.settings()) ==
          "the server's certificate is for another name: no name, but not localhost");
  }
  SUBCASE("its names are shown so that they do no harm") {
    std::string many = "DNS:\x1b[31m, DNS:" + std::string(300, 'x');
    for (int i = 0; i < 20; ++i) many += ", DNS:n" + std::to_string(i);
    const World world({.other_names = many});
    CHECK(failure_of(world, world.settings()) ==
          "the server's certificate is for another name: ?[31m, " + std::string(255, 'x') +
              ", n0, n1, n2, n3, n4, n5, …, but not localhost");
  }
}

TEST_CASE("no certificate can be for such a name") {
  const World world;
  for (const std::string& name : {std::string("."), std::string(256, 'x')}) {
    Pair pair(world.context, {.verify = false}, name);
    CHECK(pair.client->handshake() == -EPROTO);
    CHECK(pair.client->failure().complaint.starts_with("no certificate can be for the name \""));
    CHECK(pair.client->failure().is_final);
    CHECK_FALSE(is_ready(pair.server_socket.fd(), POLLIN));
  }
}

TEST_CASE("a chain of certificates, the server's and ours") {
  const TemporaryFolder folder;
  const Identity root = make_authority("Root");
  const Identity middle =
      make_identity({.name = "Middle", .other_names = {}, .is_authority = true}, root);
  const Identity server = make_identity({}, middle);
  const Identity client = make_identity({.name = "client", .other_names = {}}, middle);
  const std::string ca_file = folder.write("root.pem", root.certificate_pem());
  const std::string chain =
      folder.write("chain.pem", client.certificate_pem() + middle.certificate_pem());
  const std::string key = folder.write("key.pem", client.key_pem());
  const auto context = make_tls_server(server, &root, {middle});

  SUBCASE("who we are") {
    Pair pair(context, {.ca_file = ca_file, .certificate_file = chain, .key_file = key});
    CHECK(pair.shake_hands() == 0);
    CHECK(SSL_get_verify_result(pair.server.get()) == X509_V_OK);
    CHECK(SSL_get0_peer_certificate(pair.server.get()) != nullptr);
  }
  SUBCASE("the key in the same file") {
    const std::string both = folder.write(
        "both.pem", client.certificate_pem() + middle.certificate_pem() + client.key_pem());
    Pair pair(context, {.ca_file = ca_file, .certificate_file = both});
    CHECK(pair.shake_hands() == 0);
    CHECK(SSL_get0_peer_certificate(pair.server.get()) != nullptr);
  }
  SUBCASE("nobody: by TLS 1.3 that is said after the handshake") {
    Pair pair(context, {.ca_file = ca_file});
    CHECK(pair.shake_hands() == 0);
    CHECK(pair.receive() == -EPROTO);
    CHECK(pair.client->has_ended());
    CHECK(pair.client->failure().complaint ==
          "the server refuses, by a TLS alert: certificate required");
    CHECK(pair.client->failure().is_final);
    CHECK(pair.receive() == -EPROTO);
  }
  SUBCASE("nobody: what was said of it is heard, even when nothing can be sent any more") {
    Pair pair(context, {.ca_file = ca_file});
    CHECK(pair.shake_hands() == 0);
    pair.server_socket.close();
    CHECK(pair.send("GET / HTTP/1.1") == -EPIPE);
    CHECK(pair.receive() == -EPROTO);
    CHECK(pair.client->failure().complaint ==
          "the server refuses, by a TLS alert: certificate required");
  }
  SUBCASE("nobody: by TLS 1.2 it fails") {
    SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    Pair pair(context, {.ca_file = ca_file});
    CHECK(pair.shake_hands() == -EPROTO);
    CHECK(pair.client->failure().complaint ==
          "the server refuses, by a TLS alert: handshake failure");
    CHECK(pair.client->failure().is_final);
  }
}

TEST_CASE("who does not speak TLS, or not to the end") {
  const World world;
  Pair pair(world.context, world.settings());
  CHECK(pair.client->handshake() == -EAGAIN);
  std::string answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
  std::array<iovec, 1> parts{{{answer.data(), answer.size()}}};
  SUBCASE("but HTTP") {
    pair.server_socket.send(parts);
    CHECK(pair.client->handshake() == -EPROTO);
    CHECK(pair.client->failure().complaint == "the server does not speak TLS");
    CHECK(pair.client->failure().is_final);
  }
  SUBCASE("but hangs up") {
    pair.server_socket.close();
    const ssize_t result = pair.client->handshake();
    // A unix socket whose other end closes on unread input says so.
    CHECK((result == -EPROTO || result == -ECONNRESET));
    CHECK_FALSE(pair.client->failure().is_final);
  }
  SUBCASE("but shuts down") {
    pair.server_socket.shut_down_output();
    CHECK(pair.client->handshake() == -EPROTO);
    CHECK(pair.client->failure().complaint == "the server hung up during the TLS handshake");
    CHECK_FALSE(pair.client->failure().is_final);
  }
  SUBCASE("but an alert that may be bad luck") {
    answer = std::string("\x15\x03\x03\x00\x02\x02\x50", 7);  // internal_error
    parts = {{{answer.data(), answer.size()}}};
    pair.server_socket.send(parts);
    CHECK(pair.client->handshake() == -EPROTO);
    CHECK(pair.client->failure().complaint == "the server refuses, by a TLS alert: internal error");
    CHECK_FALSE(pair.client->failure().is_final);
  }
}

// --- input ------------------------------------------------------------------------------------

TEST_CASE("the socket tells of everything that has not been received") {
  Open open;
  const std::string text = letters(2'000'000);
  std::string_view left = text;
  std::string got;
  SUBCASE("in large records") {
    while (got.size() < text.size()) {
      left.remove_prefix(open.server.send(left));
      const std::string some = open.receive_all();
      REQUIRE_FALSE(some.empty());
      got += some;
    }
  }
  SUBCASE("in records of every size") {
    std::size_t size = 1;
    while (got.size() < text.size()) {
      while (!left.empty()) {
        const std::size_t sent = open.server.send(left.substr(0, size));
        if (sent == 0) break;
        left.remove_prefix(sent);
        size = size % 16'384 + 997;
      }
      const std::string some = open.receive_all();
      REQUIRE_FALSE(some.empty());
      got += some;
    }
  }
  CHECK(got == text);
  CHECK(open.receive() == -EAGAIN);
  CHECK_FALSE(open.client->holds_input());
}

TEST_CASE("records that come in pieces") {
  Open open;
  // What the server says is taken off its socket, and given on by the byte.
  auto [relay, other] = socket_pair();
  CHECK(open.receive() == -EAGAIN);
  SSL_set_fd(open.server.get(), relay.fd());
  const std::string text = letters(5'000);
  CHECK(open.server.send(text) == text.size());
  std::vector<std::byte> bytes(kReadBuffer);
  const ssize_t size = other.receive(bytes);
  REQUIRE(size > 5'000);
  std::string got;
  for (ssize_t i = 0; i < size; ++i) {
    std::array<iovec, 1> one{{{&bytes[static_cast<std::size_t>(i)], 1}}};
    REQUIRE(open.server_socket.send(one) == 1);
    got += open.receive_all();
    REQUIRE((i + 1 == size) == (got == text));
  }
}

TEST_CASE("the end of input, with a farewell and without") {
  Open open;
  CHECK(open.receive() == -EAGAIN);
  SUBCASE("with") {
    SSL_shutdown(open.server.get());
    CHECK(open.receive() == 0);
    CHECK(open.client->has_ended());
  }
  SUBCASE("without") {
    open.server_socket.shut_down_output();
    CHECK(open.receive() == 0);
  }
  SUBCASE("right behind the last bytes") {
    CHECK(open.server.send("last") == 4);
    SSL_shutdown(open.server.get());
    CHECK_FALSE(open.client->has_ended());
    CHECK(open.receive() == 4);
    CHECK(open.client->has_ended());
    CHECK(open.receive() == 0);
    CHECK(open.receive() == 0);
  }
  SUBCASE("in the middle of a record") {
    std::string half("\x17\x03\x03\x01\x00half", 9);
    std::array<iovec, 1> parts{{{half.data(), half.size()}}};
    open.server_socket.send(parts);
    open.server_socket.shut_down_output();
    CHECK(open.receive_all().empty());
    CHECK(open.receive() == 0);
  }
  // The other direction is as it was.
  CHECK(open.send("still here") == 10);
  CHECK(open.server.text() == "still here");
}

TEST_CASE("who changes a byte is found out") {
  Open open;
  CHECK(open.receive() == -EAGAIN);
  std::string forged = std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'f');
  std::array<iovec, 1> parts{{{forged.data(), forged.size()}}};
  open.server_socket.send(parts);
  CHECK(open.receive() == -EPROTO);
  CHECK(open.client->failure().complaint.starts_with("TLS has failed: "));
  CHECK_FALSE(open.client->failure().is_final);
  CHECK(open.send("more") == -EPIPE);
}

// --- output -----------------------------------------------------------------------------------

TEST_CASE("many parts leave in few records") {
  Open open;
  std::string text = letters(100 * 400);
  std::vector<iovec> parts;
  for (std::size_t i = 0; i < text.size(); i += 100) {
    parts.push_back({text.data() + i, 100});
    parts.push_back({text.data() + i, 0});
  }
  CHECK(open.client->send(parts) == 40'000);
  const auto records = open.server.records();
  REQUIRE(records.size() == 3);
  CHECK(records[0].size() == 16'384);
  CHECK(records[1].size() == 16'384);
  CHECK(std::accumulate(records.begin(), records.end(), std::string()) == text);
}

TEST_CASE("what is under way when the socket is full goes on from elsewhere") {
  Open open;
  const std::string text = letters(3'000'000);
  std::size_t sent = 0;
  std::string got;
  while (got.size() < text.size()) {
    // A new copy each time, in parts of other sizes, and of other lengths.
    std::string copy = text.substr(sent, 200'000 + open.client->committed());
    std::vector<iovec> parts;
    for (std::size_t i = 0; i < copy.size();) {
      const std::size_t size = std::min<std::size_t>(copy.size() - i, 1 + (sent + i * 7) % 30'000);
      parts.push_back({copy.data() + i, size});
      i += size;
    }
    const ssize_t count = open.client->send(parts);
    if (count > 0) {
      sent += static_cast<std::size_t>(count);
    } else if (sent < text.size()) {
      REQUIRE(count == -EAGAIN);
      CHECK(open.client->awaits() == TlsStream::Awaits::usual);
      REQUIRE(open.client->committed() > 0);
      REQUIRE(open.client->committed() <= 16'384);
      got += open.server.text();
    } else {
      got += open.server.text();
    }
  }
  CHECK(open.client->committed() == 0);
  CHECK(got == text);
}

TEST_CASE("a lost peer is an error, and no SIGPIPE") {
  Open open;
  open.server_socket.close();
  CHECK(open.send("anybody?") == -EPIPE);
  CHECK(open.send("anybody?") == -EPIPE);
}

TEST_CASE("a farewell is said once, and only where it can be understood") {
  SUBCASE("open") {
    Open open;
    open.client->end_output();
    open.client->end_output();
    CHECK(open.server.text().empty());
    CHECK(open.server.has_farewell());
    CHECK(open.send("more") == -EPIPE);
    // The other direction is as it was.
    CHECK(open.server.send("still here") == 10);
    CHECK(open.receive() == 10);
  }
  SUBCASE("before the handshake") {
    const World world;
    Pair pair(world.context, world.settings());
    pair.client->end_output();
    CHECK_FALSE(is_ready(pair.server_socket.fd(), POLLIN));
  }
  SUBCASE("inside a record") {
    Open open;
    while (open.client->committed() == 0) open.send(letters(100'000));
    open.client->end_output();
    (void)open.server.text();
    CHECK_FALSE(open.server.has_farewell());
  }
}

// --- crosswise --------------------------------------------------------------------------------

TEST_CASE("input that must wait for output") {
  Open open;
  CHECK(open.receive() == -EAGAIN);
  // Nobody reads us, and then new keys are asked for: the answer to that cannot leave either.
  const std::string text = letters(16'384);
  std::size_t taken = 0;
  for (ssize_t count = 0; (count = open.send(text)) > 0;) taken += static_cast<std::size_t>(count);
  REQUIRE(open.client->committed() > 0);
  REQUIRE(SSL_key_update(open.server.get(), SSL_KEY_UPDATE_REQUESTED) == 1);
  CHECK(open.server.send("first") == 5);
  REQUIRE(open.receive() == 5);

  // One record's room: what is committed leaves, the answer with new keys after it does not.
  std::string got;
  std::string record(SSL3_RT_MAX_PLAIN_LENGTH, '\0');
  bool is_crossed = false;
  for (int step = 0; step < 1'000 && !is_crossed; ++step) {
    std::size_t count = 0;
    if (SSL_read_ex(open.server.get(), record.data(), 512, &count) == 1) {
      got += record.substr(0, count);
    }
    const ssize_t sent = open.send(text);
    if (sent > 0) taken += static_cast<std::size_t>(sent);
    open.server.send("x");
    (void)open.receive();
    is_crossed = open.client->awaits() == TlsStream::Awaits::output;
  }
  CHECK(is_crossed);

  // With room, both go on.
  got += open.server.text();
  std::string rest;
  while (open.client->committed() != 0 || open.client->awaits() != TlsStream::Awaits::usual) {
    const ssize_t sent = open.send(text);
    REQUIRE((sent > 0 || sent == -EAGAIN));
    if (sent > 0) taken += static_cast<std::size_t>(sent);
    (void)open.receive();
    got += open.server.text();
  }
  got += open.server.text();
  CHECK(got.size() == taken);
  CHECK(open.server.send("done") == 4);
  CHECK(open.receive_all().ends_with("done"));
}

TEST_CASE("a server that wants to begin again is told no") {
  World world;
  SSL_CTX_set_max_proto_version(world.context.get(), TLS1_2_VERSION);
  Pair pair(world.context, world.settings());
  REQUIRE(pair.shake_hands() == 0);
  CHECK(SSL_version(pair.server.get()) == TLS1_2_VERSION);
  SSL_renegotiate(pair.server.get());
  SSL_do_handshake(pair.server.get());
  ERR_clear_error();
  CHECK(pair.receive() == -EAGAIN);
  CHECK(pair.send("no") == 2);
}

// --- settings ---------------------------------------------------------------------------------

TEST_CASE("settings that do not fit name the field and its file") {
  const TemporaryFolder folder;
  const Identity one = make_identity();
  const Identity two = make_identity();
  const std::string certificate = folder.write("certificate.pem", one.certificate_pem());
  const std::string key = folder.write("key.pem", one.key_pem());
  const std::string wrong_key = folder.write("wrong_key.pem", two.key_pem());
  const std::string locked = folder.write("locked.pem", one.key_pem("secret"));
  const std::string junk = folder.write("junk.pem", "junk");
  const auto field = [](std::string_view name, const std::string& file) {
    return "ClientConfig::tls." + std::string(name) + " = \"" + file + "\": ";
  };

  CHECK(complaint_of({}) == "none");
  CHECK(complaint_of({.ca_file = certificate, .certificate_file = certificate, .key_file = key}) ==
        "none");
  CHECK(complaint_of({.ca_file = "/nowhere/ca.pem"}) ==
        field("ca_file", "/nowhere/ca.pem") + "No such file or directory");
  CHECK(complaint_of({.ca_file = junk}).starts_with(field("ca_file", junk)));
  CHECK(complaint_of({.ca_file = junk, .verify = false}).starts_with(field("ca_file", junk)));
  CHECK(complaint_of({.certificate_file = "/nowhere/me.pem", .key_file = key}) ==
        field("certificate_file", "/nowhere/me.pem") + "No such file or directory");
  CHECK(complaint_of({.certificate_file = junk, .key_file = key}) ==
        field("certificate_file", junk) + "no start line");
  CHECK(complaint_of({.certificate_file = certificate})
            .starts_with(field("certificate_file", certificate) +
                         "there is no key_file, and none in here: "));
  CHECK(complaint_of({.certificate_file = certificate, .key_file = "/nowhere/key.pem"}) ==
        field("key_file", "/nowhere/key.pem") + "No such file or directory");
  CHECK(complaint_of({.certificate_file = certificate, .key_file = wrong_key}) ==
        field("key_file", wrong_key) + "key values mismatch");
  CHECK(complaint_of({.certificate_file = certificate, .key_file = locked})
            .starts_with(field("key_file", locked)));
  CHECK(complaint_of({.key_file = key}) == field("key_file", key) + "needs a certificate_file");
}

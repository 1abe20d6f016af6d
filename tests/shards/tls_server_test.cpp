// A server's end of TLS, each step looked at.

#include <doctest/doctest.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/error.hpp>

#include "shards/socket.hpp"
#include "shards/tls_context.hpp"
#include "shards/tls_stream.hpp"
#include "tests/support/certificates.hpp"

using webshocket::ClientCertificate;
using webshocket::ServerTls;
using webshocket::TlsCertificate;
using webshocket::TlsVersion;
using webshocket::UsageError;
using webshocket::shards::Socket;
using webshocket::shards::TlsContext;
using webshocket::shards::TlsStream;
using webshocket::shards::TlsTickets;
using webshocket::test::Identity;
using webshocket::test::IdentityOptions;
using webshocket::test::make_authority;
using webshocket::test::make_identity;
using webshocket::test::TemporaryFolder;
using namespace std::chrono_literals;

namespace {

using Session = std::shared_ptr<SSL_SESSION>;

/// A folder of certificates, and contexts that read them.
struct World {
  TlsCertificate certificate(const IdentityOptions& options = {}) {
    return write(make_identity(options));
  }
  TlsCertificate write(const Identity& identity) {
    const std::string name = "server" + std::to_string(++written);
    return {folder.write(name + ".pem", identity.certificate_pem()),
            folder.write(name + ".key", identity.key_pem())};
  }
  std::shared_ptr<const TlsContext> context(const ServerTls& settings) const {
    return std::make_shared<const TlsContext>(settings, "Config::tls", tickets);
  }
  std::shared_ptr<const TlsContext> context() { return context({.certificates = {certificate()}}); }
  ServerTls asking() {
    return {.certificates = {certificate()},
            .client_ca_file = folder.write("ca.pem", authority.certificate_pem())};
  }

  TemporaryFolder folder;
  int written = 0;
  Identity authority = make_authority();
  std::shared_ptr<TlsTickets> tickets = std::make_shared<TlsTickets>(1h);
};

/// A client that is OpenSSL and nothing else, and trusts everybody.
class Client {
 public:
  Client() : context_(SSL_CTX_new(TLS_client_method()), SSL_CTX_free) {
    SSL_CTX_set_security_level(context_.get(), 0);
  }
  SSL_CTX* context() const { return context_.get(); }
  SSL* get() const { return ssl_.get(); }

  void begin(int fd) {
    let_go();
    ssl_.reset(SSL_new(context()), SSL_free);
    SSL_set_fd(get(), fd);
    SSL_set_connect_state(get());
    if (!name.empty()) SSL_set_tlsext_host_name(get(), name.c_str());
    if (session) SSL_set_session(get(), session.get());
  }
  /// A session whose connection was not shut down OpenSSL takes for lost.
  void let_go() const {
    if (ssl_ != nullptr) SSL_set_shutdown(get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }
  void go_on() const {
    SSL_do_handshake(get());
    ERR_clear_error();
  }
  void offer(std::string_view protocol) const {
    std::string list(1, static_cast<char>(protocol.size()));
    list += protocol;
    SSL_CTX_set_alpn_protos(context(), reinterpret_cast<const unsigned char*>(list.data()),
                            static_cast<unsigned int>(list.size()));
  }
  void prove(const Identity& identity) const {
    SSL_CTX_use_certificate(context(), identity.certificate.get());
    SSL_CTX_use_PrivateKey(context(), identity.key.get());
  }
  /// Record by record.
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
  std::string protocol() const {
    const unsigned char* chosen = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(get(), &chosen, &size);
    return {reinterpret_cast<const char*>(chosen), size};
  }
  std::string server() const {
    std::array<char, 64> text{};
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(get())),
                              NID_commonName, text.data(), static_cast<int>(text.size()));
    return text.data();
  }
  Session take_session() const {
    records();  // the ticket is behind the handshake
    return {SSL_get1_session(get()), SSL_SESSION_free};
  }

  std::string name = "localhost";
  Session session;

 private:
  std::shared_ptr<SSL_CTX> context_;
  std::shared_ptr<SSL> ssl_;
};

/// Both ends, each looked at by the test alone.
struct Pair {
  Pair(std::shared_ptr<const TlsContext> context, Client& other) : client(other) {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()) == 0);
    sockets = {Socket(fds[0]), Socket(fds[1])};
    server = TlsStream::accept(std::move(context), sockets.first.fd());
    client.begin(sockets.second.fd());
  }

  /// What becomes of the server's handshake.
  ssize_t shake_hands() const {
    for (int step = 0; step < 10; ++step) {
      client.go_on();
      if (const ssize_t result = server->handshake(); result != -EAGAIN) {
        client.go_on();
        return result;
      }
    }
    return -EAGAIN;
  }
  std::string receive() {
    const ssize_t count = server->receive(buffer);
    return count <= 0 ? std::to_string(count)
                      : std::string(reinterpret_cast<const char*>(buffer.data()),
                                    static_cast<std::size_t>(count));
  }

  std::pair<Socket, Socket> sockets;
  Client& client;
  std::unique_ptr<TlsStream> server;
  std::vector<std::byte> buffer = std::vector<std::byte>(64 * 1024);
};

std::string failure_of(const std::shared_ptr<const TlsContext>& context, Client& client) {
  const Pair pair(context, client);
  CHECK(pair.shake_hands() == -EPROTO);
  CHECK_FALSE(pair.server->client_certificate());
  return pair.server->failure().complaint;
}

/// A session that a client has got from that context, and whether another one takes it up.
Session session_from(const std::shared_ptr<const TlsContext>& context, Client& client) {
  client.session.reset();
  const Pair pair(context, client);
  REQUIRE(pair.shake_hands() == 0);
  CHECK_FALSE(pair.server->is_resumed());
  return client.take_session();
}

bool resumes(const std::shared_ptr<const TlsContext>& context, Client& client) {
  const Pair pair(context, client);
  REQUIRE(pair.shake_hands() == 0);
  return pair.server->is_resumed();
}

std::string complaint_of(const World& world, const ServerTls& settings) {
  try {
    world.context(settings);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "none";
}

}  // namespace

// --- the handshake ----------------------------------------------------------------------------

TEST_CASE("both agree, and bytes go both ways") {
  World world;
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    Client client;
    client.offer("http/1.1");
    SSL_CTX_set_max_proto_version(client.context(), version);
    Pair pair(world.context(), client);
    REQUIRE(pair.shake_hands() == 0);
    CHECK(SSL_version(client.get()) == version);
    CHECK(client.protocol() == "http/1.1");
    CHECK_FALSE(pair.server->client_certificate());
    SSL_write(client.get(), "hello", 5);
    CHECK(pair.receive() == "hello");
    std::string text = "world";
    std::array<iovec, 1> parts{{{text.data(), text.size()}}};
    CHECK(pair.server->send(parts) == 5);
    CHECK(client.records() == std::vector<std::string>{"world"});
  }
}

TEST_CASE("input that comes along with the end of the handshake is there at once") {
  World world;
  Client client;
  Pair pair(world.context(), client);
  client.go_on();
  CHECK(pair.server->handshake() == -EAGAIN);
  CHECK(pair.server->awaits() == TlsStream::Awaits::input);
  client.go_on();
  SSL_write(client.get(), "hello", 5);
  REQUIRE(pair.server->handshake() == 0);
  CHECK(pair.server->holds_input());
  CHECK(pair.receive() == "hello");
  CHECK_FALSE(pair.server->holds_input());
}

TEST_CASE("what is small leaves together") {
  World world;
  Client client;
  const Pair pair(world.context(), client);
  REQUIRE(pair.shake_hands() == 0);
  client.records();
  std::vector<std::string> texts(200, std::string(60, 'x'));
  std::vector<iovec> parts;
  parts.reserve(texts.size());
  for (std::string& text : texts) parts.push_back({text.data(), text.size()});
  CHECK(pair.server->send(parts) == 12'000);
  CHECK(client.records() == std::vector<std::string>{std::string(12'000, 'x')});
}

TEST_CASE("HTTP/1.1 or nothing") {
  World world;
  Client client;
  SUBCASE("who does not ask gets it") {
    const Pair pair(world.context(), client);
    CHECK(pair.shake_hands() == 0);
    CHECK(client.protocol().empty());
  }
  SUBCASE("who wants something else is told so") {
    client.offer("h2");
    CHECK(failure_of(world.context(), client) == "TLS has failed: no application protocol");
  }
  SUBCASE("who can do both gets it") {
    constexpr std::array<unsigned char, 12> kBoth{2,   'h', '2', 8,   'h', 't',
                                                  't', 'p', '/', '1', '.', '1'};
    SSL_CTX_set_alpn_protos(client.context(), kBoth.data(), kBoth.size());
    const Pair pair(world.context(), client);
    CHECK(pair.shake_hands() == 0);
    CHECK(client.protocol() == "http/1.1");
  }
}

TEST_CASE("what is too old is refused") {
  World world;
  Client client;
  SUBCASE("versions") {
    for (const int version : {TLS1_VERSION, TLS1_1_VERSION}) {
      SSL_CTX_set_min_proto_version(client.context(), version);
      SSL_CTX_set_max_proto_version(client.context(), version);
      CHECK(failure_of(world.context(), client) == "TLS has failed: unsupported protocol");
    }
  }
  SUBCASE("1.2, where 1.3 is asked for") {
    const auto context =
        world.context({.certificates = {world.certificate()}, .min_version = TlsVersion::tls_1_3});
    SSL_CTX_set_max_proto_version(client.context(), TLS1_2_VERSION);
    CHECK(failure_of(context, client) == "TLS has failed: unsupported protocol");
  }
  SUBCASE("ciphers without forward secrecy, or without authentication of what they encrypt") {
    SSL_CTX_set_max_proto_version(client.context(), TLS1_2_VERSION);
    for (const char* cipher : {"AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA",
                               "ECDHE-ECDSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"}) {
      REQUIRE(SSL_CTX_set_cipher_list(client.context(), cipher) == 1);
      CHECK(failure_of(world.context(), client) == "TLS has failed: no shared cipher");
    }
  }
}

TEST_CASE("who does not speak TLS") {
  World world;
  Client client;
  const auto failure = [&](std::string_view text) {
    const Pair pair(world.context(), client);
    REQUIRE(::send(pair.sockets.second.fd(), text.data(), text.size(), 0) ==
            static_cast<ssize_t>(text.size()));
    CHECK(pair.server->handshake() == -EPROTO);
    return pair.server->failure().complaint;
  };
  CHECK(failure("GET / HTTP/1.1\r\n\r\n") == "the client speaks HTTP without TLS");
  CHECK(failure("SSH-2.0-OpenSSH_9.2\r\n") == "the client does not speak TLS");

  Pair pair(world.context(), client);
  pair.sockets.second.close();
  CHECK(pair.server->handshake() == -EPROTO);
  CHECK(pair.server->failure().complaint == "the client hung up during the TLS handshake");
}

// --- names ------------------------------------------------------------------------------------

TEST_CASE("the name chooses the certificate") {
  World world;
  const auto named = [&](const std::string& name, const std::string& others) {
    return world.certificate({.name = name, .other_names = others});
  };
  const auto context = world.context(
      {.certificates = {named("first", "DNS:first.example, IP:127.0.0.1"),
                        named("second", "DNS:second.example, DNS:*.second.example, DNS:both"),
                        named("third", "DNS:special.second.example, DNS:both"),
                        named("Old.Example", "")}});
  const auto chosen = [&](const std::string& name) {
    Client client;
    client.name = name;
    const Pair pair(context, client);
    REQUIRE(pair.shake_hands() == 0);
    return client.server();
  };
  CHECK(chosen("first.example") == "first");
  CHECK(chosen("second.example") == "second");
  CHECK(chosen("SECOND.Example") == "second");
  CHECK(chosen("www.second.example") == "second");
  CHECK(chosen("special.second.example") == "third");  // its own name before a wildcard
  CHECK(chosen("a.b.second.example") == "first");      // a wildcard is for one label
  CHECK(chosen("both") == "second");
  CHECK(chosen("old.example") == "Old.Example");
  CHECK(chosen("elsewhere") == "first");
  CHECK(chosen("") == "first");
}

// --- who the client is ------------------------------------------------------------------------

TEST_CASE("a client that must prove who it is") {
  World world;
  const auto context = world.context(world.asking());
  Client client;
  SUBCASE("does so") {
    const Identity known = make_identity({.name = "ännchen",
                                          .other_names = "DNS:a.example, email:ann@a.example, "
                                                         "URI:spiffe://a/ann, IP:10.0.0.1"},
                                         world.authority);
    client.prove(known);
    const Pair pair(context, client);
    REQUIRE(pair.shake_hands() == 0);
    const ClientCertificate shown = pair.server->client_certificate().value();
    CHECK(shown.subject == "CN=ännchen");
    CHECK(shown.common_name == "ännchen");
    CHECK(shown.issuer == "CN=Authority");
    CHECK(shown.names == std::vector<std::string>{"DNS:a.example", "email:ann@a.example",
                                                  "URI:spiffe://a/ann", "IP:10.0.0.1"});
    CHECK(shown.serial.size() <= 16);
    CHECK(shown.serial.find_first_not_of("0123456789ABCDEF") == std::string::npos);
    CHECK(shown.fingerprint.size() == 64);
    CHECK(shown.fingerprint.find_first_not_of("0123456789abcdef") == std::string::npos);
  }
  SUBCASE("shows none") {
    CHECK(failure_of(context, client) == "TLS has failed: peer did not return a certificate");
  }
  SUBCASE("shows one that nobody has signed whom we know") {
    client.prove(make_identity({.name = "stranger"}));
    CHECK(failure_of(context, client) ==
          "the client's certificate is not trusted: self-signed certificate");
    client.prove(make_identity({.name = "stranger"}, make_authority("Somebody")));
    CHECK(failure_of(context, client) ==
          "the client's certificate is not trusted: unable to get local issuer certificate");
  }
  SUBCASE("shows an old one") {
    client.prove(make_identity({.name = "known", .from = -2h, .to = -1h}, world.authority));
    CHECK(failure_of(context, client) ==
          "the client's certificate is not trusted: certificate has expired");
  }
}

TEST_CASE("a client that may prove who it is") {
  World world;
  ServerTls settings = world.asking();
  settings.client_certificate_optional = true;
  const auto context = world.context(settings);
  Client client;
  SUBCASE("need not") {
    const Pair pair(context, client);
    CHECK(pair.shake_hands() == 0);
    CHECK_FALSE(pair.server->client_certificate());
  }
  SUBCASE("but must not be wrong") {
    client.prove(make_identity({.name = "stranger"}));
    CHECK(failure_of(context, client) ==
          "the client's certificate is not trusted: self-signed certificate");
  }
}

TEST_CASE("it is asked whatever the name that chooses the server's certificate") {
  World world;
  ServerTls settings = world.asking();
  settings.certificates.push_back(world.certificate({.name = "b", .other_names = "DNS:b"}));
  const auto context = world.context(settings);
  Client client;
  client.name = "b";
  CHECK(failure_of(context, client) == "TLS has failed: peer did not return a certificate");
  client.prove(make_identity({.name = "known"}, world.authority));
  const Pair pair(context, client);
  CHECK(pair.shake_hands() == 0);
  CHECK(client.server() == "b");
  CHECK(pair.server->client_certificate().value().common_name == "known");
}

// --- tickets ----------------------------------------------------------------------------------

TEST_CASE("a ticket is taken up by whoever has the same keys") {
  World world;
  const ServerTls settings{.certificates = {world.certificate()}};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    Client client;
    SSL_CTX_set_max_proto_version(client.context(), version);
    const auto context = world.context(settings);
    client.session = session_from(context, client);
    CHECK(resumes(context, client));
    CHECK(resumes(world.context(), client));  // as after a reload: other files, the same keys

    world.tickets = std::make_shared<TlsTickets>(1h);
    CHECK_FALSE(resumes(world.context(settings), client));
  }
}

TEST_CASE("a ticket is renewed when it is taken up") {
  World world;
  const auto context = world.context();
  Client client;
  client.session = session_from(context, client);
  const Pair pair(context, client);
  REQUIRE(pair.shake_hands() == 0);
  REQUIRE(pair.server->is_resumed());
  const Session next = client.take_session();
  CHECK(next != client.session);
  client.session = next;
  CHECK(resumes(context, client));
}

TEST_CASE("there are no tickets where they live for no time") {
  World world;
  const auto context =
      world.context({.certificates = {world.certificate()}, .ticket_lifetime = 0s});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    Client client;
    SSL_CTX_set_max_proto_version(client.context(), version);
    client.session = session_from(context, client);
    CHECK(SSL_SESSION_has_ticket(client.session.get()) == 0);
    CHECK_FALSE(resumes(context, client));
  }
}

TEST_CASE("an identity stays with its session") {
  World world;
  const ServerTls settings = world.asking();
  const auto context = world.context(settings);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    CAPTURE(version);
    Client client;
    SSL_CTX_set_max_proto_version(client.context(), version);
    client.prove(make_identity({.name = "known"}, world.authority));
    client.session = session_from(context, client);
    const Pair pair(context, client);
    REQUIRE(pair.shake_hands() == 0);
    CHECK(pair.server->is_resumed());
    CHECK(pair.server->client_certificate().value().common_name == "known");
    CHECK(client.take_session() == client.session);  // which does not become younger

    // Another door does not open by it: neither with other authorities, nor with other rules.
    ServerTls other = settings;
    other.client_ca_file = world.folder.write("other.pem", make_authority().certificate_pem());
    Pair refused(world.context(other), client);
    CHECK(refused.shake_hands() == -EPROTO);
    other = settings;
    other.client_certificate_optional = true;
    CHECK_FALSE(resumes(world.context(other), client));
    CHECK_FALSE(resumes(world.context({.certificates = settings.certificates}), client));
  }
}

TEST_CASE("who was asked for nothing proves nothing by a ticket") {
  World world;
  const ServerTls settings = world.asking();
  Client client;
  client.session = session_from(world.context({.certificates = settings.certificates}), client);
  CHECK(failure_of(world.context(settings), client) ==
        "TLS has failed: peer did not return a certificate");
}

// --- settings ---------------------------------------------------------------------------------

TEST_CASE("files that cannot be used are named") {
  World world;
  const TlsCertificate good = world.certificate();
  const std::string nothing = world.folder.write("nothing", "");
  CHECK(complaint_of(world, {.certificates = {good}}) == "none");
  CHECK(complaint_of(world, {.certificates = {{"/nowhere", {}}}}) ==
        "Config::tls.certificates[0].certificate_file = \"/nowhere\": No such file or directory");
  CHECK(complaint_of(world, {.certificates = {good, {nothing, {}}}})
            .starts_with("Config::tls.certificates[1].certificate_file = \"" + nothing + "\": "));
  CHECK(complaint_of(world, {.certificates = {{good.certificate_file, {}}}})
            .starts_with("Config::tls.certificates[0].certificate_file = \"" +
                         good.certificate_file + "\": there is no key_file, and none in here: "));
  CHECK(complaint_of(world, {.certificates = {{{}, good.key_file}}}) ==
        "Config::tls.certificates[0].key_file = \"" + good.key_file +
            "\": needs a certificate_file");
  CHECK(
      complaint_of(world, {.certificates = {{good.certificate_file, world.certificate().key_file}}})
          .ends_with(": key values mismatch"));
  const Identity locked = make_identity();
  CHECK(
      complaint_of(world, {.certificates = {{world.folder.write("l.pem", locked.certificate_pem()),
                                             world.folder.write("l.key", locked.key_pem("x"))}}})
          .starts_with("Config::tls.certificates[0].key_file = "));
  CHECK(complaint_of(world, {.certificates = {good}, .client_ca_file = "/nowhere"}) ==
        "Config::tls.client_ca_file = \"/nowhere\": No such file or directory");
  CHECK(complaint_of(world, {.certificates = {good}, .client_ca_file = nothing})
            .starts_with("Config::tls.client_ca_file = \"" + nothing + "\": "));
  CHECK(ERR_peek_error() == 0);
}

TEST_CASE("certificate and key in one file, with a chain") {
  World world;
  const Identity root = make_authority("Root");
  const Identity middle =
      make_identity({.name = "Middle", .other_names = {}, .is_authority = true}, root);
  const Identity server = make_identity({}, middle);
  const auto context =
      world.context({.certificates = {{world.folder.write("all.pem", server.certificate_pem() +
                                                                         middle.certificate_pem() +
                                                                         server.key_pem()),
                                       {}}}});
  Client client;
  const Pair pair(context, client);
  REQUIRE(pair.shake_hands() == 0);
  CHECK(sk_X509_num(SSL_get_peer_cert_chain(client.get())) == 2);
}

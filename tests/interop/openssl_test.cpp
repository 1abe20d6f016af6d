// The server's TLS, asked by a program that is not ours: which versions and ciphers it takes.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <webshocket/handler.hpp>
#include <webshocket/server.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/server_fixture.hpp"
#include "tests/support/server_process.hpp"

using webshocket::Config;
using webshocket::Handler;
using webshocket::per_shard;
using webshocket::test::Identity;
using webshocket::test::make_authority;
using webshocket::test::make_identity;
using webshocket::test::run_program;
using webshocket::test::ServerFixture;
using webshocket::test::TemporaryFolder;

namespace {

constexpr const char* kProgram = "/usr/bin/openssl";

/// Ends the process where the program is missing, as ctest knows it.
void need_program() {
  constexpr int kMissing = 77;
  if (run_program(kProgram, {"version"}) == 0) return;
  std::puts("skipped: openssl is missing");
  std::fflush(stdout);
  std::_Exit(kMissing);
}

/// A server that has signed files, and a client that trusts who has signed them.
struct World {
  World() {
    need_program();
    const Identity identity = make_identity({}, authority);
    config.tls.certificates = {{folder.write("server.pem", identity.certificate_pem()),
                                folder.write("server.key", identity.key_pem())}};
  }

  /// Whether `openssl s_client` is content with the connection that these options make.
  bool connects(const ServerFixture& server, const std::vector<std::string>& options) const {
    std::vector<std::string> all{
        "s_client",         "-connect", "127.0.0.1:" + std::to_string(server.port()),
        "-CAfile",          ca_file,    "-verify_return_error",
        "-verify_hostname", "localhost"};
    all.insert(all.end(), options.begin(), options.end());
    return run_program(kProgram, all) == 0;
  }

  TemporaryFolder folder;
  Identity authority = make_authority();
  std::string ca_file = folder.write("ca.pem", authority.certificate_pem());
  Config config{.shards = 1};
};

}  // namespace

TEST_CASE("versions") {
  const World world;
  const ServerFixture server(world.config, per_shard<Handler>());
  CHECK(world.connects(server, {}));
  CHECK(world.connects(server, {"-tls1_3"}));
  CHECK(world.connects(server, {"-tls1_2"}));
  CHECK_FALSE(world.connects(server, {"-tls1_1", "-cipher", "ALL:@SECLEVEL=0"}));
  CHECK_FALSE(world.connects(server, {"-tls1", "-cipher", "ALL:@SECLEVEL=0"}));
}

TEST_CASE("ciphers") {
  const World world;
  const ServerFixture server(world.config, per_shard<Handler>());
  for (const char* good : {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
                           "ECDHE-ECDSA-CHACHA20-POLY1305"}) {
    CAPTURE(good);
    CHECK(world.connects(server, {"-tls1_2", "-cipher", good}));
  }
  for (const char* good :
       {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}) {
    CAPTURE(good);
    CHECK(world.connects(server, {"-tls1_3", "-ciphersuites", good}));
  }
  // No forward secrecy, no authenticated encryption, nobody authenticated, nothing encrypted.
  for (const char* weak : {"kRSA", "kPSK", "AES128-SHA", "AES128-GCM-SHA256", "ECDHE+AES:!AESGCM",
                           "AESCCM", "CAMELLIA", "ARIA", "DHE", "aNULL", "eNULL"}) {
    CAPTURE(weak);
    CHECK_FALSE(world.connects(server, {"-tls1_2", "-cipher", std::string(weak) + ":@SECLEVEL=0"}));
  }
  CHECK_FALSE(world.connects(server, {"-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_8_SHA256"}));
}

TEST_CASE("protocols, names, and groups") {
  const World world;
  const ServerFixture server(world.config, per_shard<Handler>());
  CHECK(world.connects(server, {"-alpn", "h2,http/1.1"}));
  CHECK_FALSE(world.connects(server, {"-alpn", "h2"}));
  CHECK(world.connects(server, {"-servername", "elsewhere"}));
  for (const char* group : {"X25519", "P-256", "P-384"}) {
    CHECK(world.connects(server, {"-groups", group}));
  }
  CHECK_FALSE(world.connects(server, {"-groups", "ffdhe2048"}));
}

TEST_CASE("a client that must prove who it is") {
  World world;
  world.config.tls.client_ca_file = world.ca_file;
  const ServerFixture server(world.config, per_shard<Handler>());
  const auto proves = [&](const Identity& identity) {
    return world.connects(
        server, {"-tls1_2", "-cert", world.folder.write("client.pem", identity.certificate_pem()),
                 "-key", world.folder.write("client.key", identity.key_pem())});
  };
  CHECK(proves(make_identity({.name = "known"}, world.authority)));
  CHECK_FALSE(proves(make_identity({.name = "stranger"})));
  CHECK_FALSE(world.connects(server, {"-tls1_2"}));
}

// The client on wss:// against a server that is not ours: Python's ssl and asyncio.

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <webshocket/client.hpp>

#include "tests/support/certificates.hpp"
#include "tests/support/server_process.hpp"

using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::ConnectionClosedError;
using webshocket::ConnectionFailedError;
using webshocket::Format;
using webshocket::test::Identity;
using webshocket::test::make_authority;
using webshocket::test::make_identity;
using webshocket::test::run_program;
using webshocket::test::ServerProcess;
using webshocket::test::TemporaryFolder;

namespace {

/// An authority, and files that it has signed.
struct Files {
  Files() {
    const Identity server = make_identity({}, authority);
    certificate = folder.write("server.pem", server.certificate_pem());
    key = folder.write("server.key", server.key_pem());
  }

  TemporaryFolder folder;
  Identity authority = make_authority();
  std::string ca = folder.write("ca.pem", authority.certificate_pem());
  std::string certificate;
  std::string key;
};

/// Ends the process where Python's packages are missing, as ctest knows it.
ServerProcess start(const Files& files, bool asks_back = false) {
  constexpr int kMissing = 77;
  const std::string program = WEBSHOCKET_SOURCE_DIR "/tests/interop/python_server.py";
  if (run_program(program, {"--help"}) == kMissing) {
    std::puts("skipped: python3-websockets or python3-msgpack is missing");
    std::fflush(stdout);
    std::_Exit(kMissing);
  }
  std::vector<std::string> options{"--port", "0", "--cert", files.certificate, "--key", files.key};
  if (asks_back) options.insert(options.end(), {"--client-ca", files.ca});
  return ServerProcess(program, options);
}

std::string uri_of(const ServerProcess& server) {
  return "wss://127.0.0.1:" + std::to_string(server.port());
}

}  // namespace

TEST_CASE("calls, a stream, much in one message, and an end") {
  const Files files;
  const ServerProcess server = start(files);
  for (const Format format : {Format::msgpack, Format::json}) {
    Client client(uri_of(server), {.format = format, .tls = {.ca_file = files.ca}});
    client.connect();
    CHECK(client.call<int>("add", 1, 2) == 3);
    int expected = 0;
    for (const int n : client.stream<int>("count", 1'000)) CHECK(n == expected++);
    CHECK(expected == 1'000);
    const std::string text(3'000'000, 'x');
    CHECK(client.call<std::string>("echo", text) == text);
    CHECK_THROWS_AS(client.call<void>("kick", 4001, "enough"), ConnectionClosedError);
  }
}

TEST_CASE("who is who") {
  const Files files;
  const ServerProcess server = start(files, true);
  const Identity known = make_identity({.name = "known"}, files.authority);
  const Identity stranger = make_identity({.name = "stranger"});
  const auto tls_of = [&files](const Identity& identity) {
    return webshocket::ClientTls{
        .ca_file = files.ca,
        .certificate_file = files.folder.write("client.pem", identity.certificate_pem()),
        .key_file = files.folder.write("client.key", identity.key_pem())};
  };
  Client accepted(uri_of(server), {.tls = tls_of(known)});
  accepted.connect();
  CHECK(accepted.call<int>("add", 1, 2) == 3);

  // asyncio hangs up without the alert that would say why.
  Client nobody(uri_of(server), {.tls = {.ca_file = files.ca}});
  CHECK_THROWS_AS(nobody.connect(), ConnectionFailedError);
  Client refused(uri_of(server), {.tls = tls_of(stranger)});
  CHECK_THROWS_AS(refused.connect(), ConnectionFailedError);

  Client careful(uri_of(server), ClientConfig());
  CHECK_THROWS_WITH_AS(careful.connect(),
                       doctest::Contains("the server's certificate is not trusted: "),
                       ConnectionFailedError);
}

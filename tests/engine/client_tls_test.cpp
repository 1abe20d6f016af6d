#include "engine/client_tls.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>

#include <webshocket/error.hpp>

#include "tests/support/certificates.hpp"

using webshocket::ClientTls;
using webshocket::UsageError;
using webshocket::engine::tls_of;
using webshocket::test::make_authority;
using webshocket::test::TemporaryFolder;

TEST_CASE("the same settings share what has been read, as long as somebody lives who uses it") {
  const TemporaryFolder folder;
  const std::string one = folder.write("one.pem", make_authority().certificate_pem());
  const std::string two = folder.write("two.pem", make_authority().certificate_pem());
  auto first = tls_of({.ca_file = one});
  CHECK(tls_of({.ca_file = one}) == first);
  // By whose name a server goes is each connection's affair.
  CHECK(tls_of({.ca_file = one, .server_name = "example.com"}) == first);
  CHECK(tls_of({.ca_file = two}) != first);
  CHECK(tls_of({.ca_file = one, .verify = false}) != first);
  CHECK(tls_of({}) != first);

  const std::weak_ptr<const webshocket::shards::TlsContext> last = first;
  first.reset();
  CHECK(last.expired());
}

TEST_CASE("a file that has been replaced is read again") {
  const TemporaryFolder folder;
  const std::string file = folder.write("ca.pem", make_authority().certificate_pem());
  const auto before = tls_of({.ca_file = file});
  std::filesystem::last_write_time(file,
                                   std::filesystem::last_write_time(file) - std::chrono::hours(1));
  const auto after = tls_of({.ca_file = file});
  CHECK(after != before);
  CHECK(tls_of({.ca_file = file}) == after);
  std::filesystem::remove(file);
  CHECK_THROWS_AS(tls_of({.ca_file = file}), UsageError);
}

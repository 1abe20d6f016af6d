#include "protocol/extensions.hpp"

#include <doctest/doctest.h>

#include <string>
#include <variant>
#include <vector>

using namespace webshocket;
using namespace webshocket::protocol;

namespace {

HttpFields fields(const std::vector<std::string>& lines) {
  HttpFields result;
  for (const std::string& line : lines)
    result.headers.push_back({"sec-websocket-Extensions", line});
  return result;
}

constexpr Compression kForgets{.enabled = true};
constexpr Compression kRemembers{.enabled = true, .context = true, .peer_context = true};
constexpr Compression kSmall{
    .enabled = true, .window_bits = 11, .context = true, .peer_context = true};

/// "-": declined.
std::string accepted(const std::vector<std::string>& offers, const Compression& settings) {
  const auto answer = accept_deflate(fields(offers), settings);
  return answer ? answer->text : "-";
}

std::optional<DeflateTerms> agreed(const std::string& reply, const Compression& settings) {
  const auto result = read_deflate_reply(fields({reply}), settings);
  REQUIRE_MESSAGE(std::holds_alternative<std::optional<DeflateTerms>>(result),
                  std::get<std::string>(result));
  return std::get<std::optional<DeflateTerms>>(result);
}

std::string complaint(const std::vector<std::string>& reply, const Compression& settings) {
  const auto result = read_deflate_reply(fields(reply), settings);
  REQUIRE(std::holds_alternative<std::string>(result));
  return std::get<std::string>(result);
}

}  // namespace

TEST_CASE("offers, and what a server makes of them") {
  struct Row {
    std::vector<std::string> offers;
    Compression settings;
    std::string answer;
  };
  const std::string name = "permessage-deflate";
  const std::string both = "; server_no_context_takeover; client_no_context_takeover";
  const Row rows[] = {
      {{}, kForgets, "-"},
      {{name}, {}, "-"},
      {{name}, kForgets, name + both},
      {{name}, kRemembers, name},
      {{name}, kSmall, name + "; server_max_window_bits=11"},
      // What browsers, Python and Node offer.
      {{name + "; client_max_window_bits"}, kForgets, name + both},
      {{name + "; client_max_window_bits"}, kRemembers, name + "; client_max_window_bits=15"},
      {{name + "; client_max_window_bits"},
       kSmall,
       name + "; server_max_window_bits=11; client_max_window_bits=11"},
      // Each parameter.
      {{name + "; server_no_context_takeover"}, kRemembers, name + "; server_no_context_takeover"},
      {{name + "; client_no_context_takeover"}, kRemembers, name + "; client_no_context_takeover"},
      {{name + "; server_max_window_bits=8"}, kRemembers, name + "; server_max_window_bits=8"},
      {{name + "; server_max_window_bits=15"}, kRemembers, name + "; server_max_window_bits=15"},
      {{name + "; server_max_window_bits=15"}, kSmall, name + "; server_max_window_bits=11"},
      {{name + "; server_max_window_bits=10"}, kSmall, name + "; server_max_window_bits=10"},
      {{name + "; client_max_window_bits=10"},
       kSmall,
       name + "; server_max_window_bits=11; client_max_window_bits=10"},
      {{name + "; client_max_window_bits=8"}, kForgets, name + both},
      {{name + both + "; server_max_window_bits=9; client_max_window_bits=9"},
       kRemembers,
       name + both + "; server_max_window_bits=9"},
      // Spelling.
      {{" \t" + name + " ;\tserver_max_window_bits = \"10\" "},
       kRemembers,
       name + "; server_max_window_bits=10"},
      {{name + R"(; server_max_window_bits="1\0")"},
       kRemembers,
       name + "; server_max_window_bits=10"},
      {{name + ","}, kRemembers, name},
      {{",, " + name}, kRemembers, name},
      {{""}, kRemembers, "-"},
      {{name + ";"}, kRemembers, "-"},
      {{name + "; "}, kRemembers, "-"},
      {{name + "; =10"}, kRemembers, "-"},
      {{name + "; server_max_window_bits="}, kRemembers, "-"},
      {{name + "; server_max_window_bits=\"10"}, kRemembers, "-"},
      {{name + "; server_max_window_bits=\"10\\"}, kRemembers, "-"},
      {{name + "; server_max_window_bits=\"1 0\""}, kRemembers, "-"},
      {{name + " server_max_window_bits=10"}, kRemembers, "-"},
      {{"Permessage-Deflate"}, kRemembers, "-"},
      {{"x-webkit-deflate-frame"}, kRemembers, "-"},
      // What is not understood is declined.
      {{name + "; unknown"}, kRemembers, "-"},
      {{name + "; server_no_context_takeover=1"}, kRemembers, "-"},
      {{name + "; client_no_context_takeover=true"}, kRemembers, "-"},
      {{name + "; server_no_context_takeover; server_no_context_takeover"}, kRemembers, "-"},
      {{name + "; server_max_window_bits"}, kRemembers, "-"},
      {{name + "; server_max_window_bits=7"}, kRemembers, "-"},
      {{name + "; server_max_window_bits=16"}, kRemembers, "-"},
      {{name + "; server_max_window_bits=010"}, kRemembers, "-"},
      {{name + "; server_max_window_bits=+9"}, kRemembers, "-"},
      {{name + "; server_max_window_bits=9x"}, kRemembers, "-"},
      {{name + "; server_max_window_bits=99999999999999999999"}, kRemembers, "-"},
      {{name + "; client_max_window_bits=7"}, kRemembers, "-"},
      {{name + "; client_max_window_bits=16"}, kRemembers, "-"},
      {{name + "; client_max_window_bits; client_max_window_bits=10"}, kRemembers, "-"},
      // Several: the first that can be kept.
      {{name + "; server_max_window_bits=20, " + name}, kRemembers, name},
      {{"other; x=1, " + name + "; server_max_window_bits=9, " + name},
       kRemembers,
       name + "; server_max_window_bits=9"},
      {{R"(other; x="a", )" + name}, kRemembers, name},
      {{"other", name + "; unknown", name + "; client_no_context_takeover"},
       kRemembers,
       name + "; client_no_context_takeover"},
      // A comma inside of quotes is none; what stands in them must be a token, so that ends it.
      {{R"(other; x="a,b", )" + name}, kRemembers, "-"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.offers.size());
    CAPTURE((row.offers.empty() ? std::string() : row.offers.front()));
    CHECK(accepted(row.offers, row.settings) == row.answer);
  }
}

TEST_CASE("a server's terms are what its answer says") {
  const auto answer = accept_deflate(
      fields({"permessage-deflate; server_max_window_bits=10; client_max_window_bits=12"}),
      kRemembers);
  REQUIRE(answer.has_value());
  CHECK(answer->terms == DeflateTerms{.server_window_bits = 10, .client_window_bits = 12});
  const auto forgetful = accept_deflate(fields({"permessage-deflate"}), kForgets);
  REQUIRE(forgetful.has_value());
  CHECK(forgetful->terms ==
        DeflateTerms{.server_no_context_takeover = true, .client_no_context_takeover = true});
}

TEST_CASE("a client's offer") {
  CHECK(deflate_offer(kForgets) ==
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
        "client_max_window_bits");
  CHECK(deflate_offer(kRemembers) == "permessage-deflate; client_max_window_bits");
  CHECK(deflate_offer(kSmall) ==
        "permessage-deflate; server_max_window_bits=11; client_max_window_bits");
}

TEST_CASE("a server's answer, as a client reads it") {
  CHECK_FALSE(agreed("", kRemembers).has_value());
  CHECK(agreed("permessage-deflate", kRemembers) == DeflateTerms{});
  CHECK(agreed("permessage-deflate; server_no_context_takeover; client_no_context_takeover",
               kRemembers) ==
        DeflateTerms{.server_no_context_takeover = true, .client_no_context_takeover = true});
  CHECK(agreed("permessage-deflate; server_max_window_bits=9; client_max_window_bits=10",
               kRemembers) == DeflateTerms{.server_window_bits = 9, .client_window_bits = 10});
  CHECK(agreed("permessage-deflate; client_max_window_bits=8", kRemembers) ==
        DeflateTerms{.client_window_bits = 8});
  // Ours never remembers if it is set not to; theirs may all the same.
  CHECK(agreed("permessage-deflate", kForgets) == DeflateTerms{.client_no_context_takeover = true});
  CHECK(agreed("permessage-deflate; server_max_window_bits=11", kSmall) ==
        DeflateTerms{.server_window_bits = 11, .client_window_bits = 11});

  CHECK(complaint({"permessage-deflate"}, {}) ==
        "The server's extensions: permessage-deflate was not offered");
  CHECK(complaint({"x-other"}, kRemembers) == "The server's extensions: x-other was not offered");
  CHECK(complaint({"permessage-deflate, permessage-deflate"}, kRemembers) ==
        "The server's extensions: permessage-deflate stands there twice");
  CHECK(complaint({"permessage-deflate", "permessage-deflate"}, kRemembers) ==
        "The server's extensions: permessage-deflate stands there twice");
  CHECK(complaint({"permessage-deflate; x"}, kRemembers) ==
        "The server's extensions: permessage-deflate has parameters that it cannot have");
  CHECK(complaint({"permessage-deflate; client_max_window_bits"}, kRemembers) ==
        "The server's extensions: permessage-deflate has parameters that it cannot have");
  CHECK(complaint({"permessage-deflate; server_max_window_bits=12"}, kSmall) ==
        "The server's extensions: a larger server_max_window_bits than was offered");
  CHECK(complaint({"permessage-deflate;;"}, kRemembers) ==
        "The server's extensions: no list of them");
}

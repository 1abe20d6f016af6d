#include "tests/conformance/servers.hpp"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>

namespace webshocket::test {
namespace {

struct Servers {
  ~Servers() {
    for (auto& [shards, server] : running) {
      int status = -1;
      try {
        status = server->terminate();
      } catch (const PeerError& error) {
        std::fprintf(stderr, "%s\n", error.what());
      }
      if (status == 0) continue;
      std::fprintf(stderr, "the server with %u shards ended with %d\n", shards, status);
      std::_Exit(1);  // the last word: the cases may all have passed
    }
  }

  std::map<unsigned, std::unique_ptr<ServerProcess>> running;
};

}  // namespace

std::string conformance_program() { return WEBSHOCKET_BIN_DIR "/conformance_server"; }

ServerProcess& shared_server(unsigned shards) {
  static Servers servers;
  auto& server = servers.running[shards];
  if (server == nullptr) {
    server = std::make_unique<ServerProcess>(
        conformance_program(),
        std::vector<std::string>{"--port", "0", "--shards", std::to_string(shards)});
  }
  return *server;
}

TEST_CASE("the conformance server runs, closes in good order, and refuses wrong options") {
  for (const unsigned shards : kShardCounts) {
    CAPTURE(shards);
    ServerProcess server(conformance_program(),
                         {"--port", "0", "--shards", std::to_string(shards)});
    check_alive(server.port());
    CHECK(server.terminate() == 0);
  }
  CHECK(run_program(conformance_program(), {}) == 2);
  CHECK(run_program(conformance_program(), {"--port", "70000"}) == 2);
  CHECK(run_program(conformance_program(), {"--port", "0", "--nonsense"}) == 2);
  CHECK(run_program(conformance_program(), {"--port", "0", "--shards", "-1"}) == 2);
  CHECK(run_program(conformance_program(), {"--port", "0", "--host", "nowhere"}) != 0);
}

}  // namespace webshocket::test

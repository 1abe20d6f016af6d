/// The servers that the cases of a file share: one process per number of shards.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/raw_peer.hpp"
#include "tests/support/server_process.hpp"
#include "tests/support/ws_client.hpp"

namespace webshocket::test {

inline constexpr unsigned kShardCounts[] = {1, 2, 8};

std::string conformance_program();

/// Started at the first call for this number of shards; at the end of the program it must close in
/// good order, or the program fails.
ServerProcess& shared_server(unsigned shards);

/// `body(port)` against each of them.
template <class Body>
void on_each_shard_count(Body body) {
  for (const unsigned shards : kShardCounts) {
    CAPTURE(shards);
    body(shared_server(shards).port());
  }
}

/// The server is well: a new connection gets its answer.
inline void check_alive(std::uint16_t port) {
  WsClient client(port, Dialect::json);
  CHECK(client.call("add", "[2,3]") == "5");
}

}  // namespace webshocket::test

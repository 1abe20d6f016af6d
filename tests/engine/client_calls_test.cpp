#include "engine/client_calls.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <memory>
#include <string>

using webshocket::ConnectionClosedError;
using webshocket::Packet;
using webshocket::PacketSource;
using webshocket::RpcErrorCode;
using webshocket::RpcResponse;
using webshocket::Value;
using webshocket::engine::Backlog;
using webshocket::engine::ClientCalls;
using webshocket::engine::PendingCall;
using Outcome = ClientCalls::Outcome;

namespace {

struct Fixture {
  explicit Fixture(std::size_t limit = 0) : calls(limit, backlog) {}

  std::shared_ptr<PendingCall> add(bool is_stream = false) {
    auto call = std::make_shared<PendingCall>(calls.next_number(), is_stream, "late");
    calls.add(call);
    return call;
  }
  Outcome answer(std::string_view id, const RpcResponse& response = {}) {
    Packet packet;
    packet.source = PacketSource::rpc;
    RpcResponse named = response;
    named.call_id = id;
    packet.rpc = named;
    return calls.answer(packet, 10);
  }
  static int taken(const std::shared_ptr<PendingCall>& call) {
    const auto answer = call->answers->try_take();
    return answer ? answer->response->response.as<int>() : -1;
  }

  Backlog backlog{2, 0, [] {}};
  ClientCalls calls;
};

RpcResponse result(int value) {
  RpcResponse response;
  response.response = Value::of(std::int64_t{value});
  return response;
}
RpcResponse chunk(int value, bool is_end = false) {
  RpcResponse response = result(value);
  response.is_stream = true;
  response.is_end = is_end;
  return response;
}
RpcResponse failure() {
  RpcResponse response = chunk(0, true);
  response.error = RpcErrorCode::internal_server_error;
  return response;
}

}  // namespace

TEST_CASE("each answer finds its call, once") {
  Fixture fixture;
  const auto first = fixture.add();
  const auto second = fixture.add();
  CHECK(fixture.calls.size() == 2);
  CHECK(fixture.answer(ClientCalls::id_of(second->number), result(2)) == Outcome::taken);
  CHECK(fixture.answer(ClientCalls::id_of(second->number), result(3)) == Outcome::unwanted);
  CHECK(fixture.answer(ClientCalls::id_of(first->number), result(1)) == Outcome::taken);
  CHECK(Fixture::taken(first) == 1);
  CHECK(Fixture::taken(second) == 2);
  CHECK(Fixture::taken(second) == -1);
  CHECK(fixture.calls.size() == 0);
}

TEST_CASE("ids that were never given") {
  Fixture fixture;
  const auto call = fixture.add();
  for (const char* id : {"", "0", "x", "1x", " 1", "-1", "+1", "ffffffffffffffff",
                         "fffffffffffffffff", "67a6f78d1"}) {
    CAPTURE(id);
    CHECK(fixture.answer(id, result(1)) == Outcome::unwanted);
  }
  CHECK(ClientCalls::id_of(255) == "ff");
  CHECK(fixture.answer(ClientCalls::id_of(call->number), result(1)) == Outcome::taken);
}

TEST_CASE("a stream's chunks, and its end, whose value is no chunk") {
  Fixture fixture;
  const auto call = fixture.add(true);
  const std::string id = ClientCalls::id_of(call->number);
  CHECK(fixture.answer(id, chunk(1)) == Outcome::taken);
  CHECK_FALSE(fixture.backlog.is_full());
  CHECK(fixture.answer(id, chunk(2)) == Outcome::taken);
  CHECK(fixture.backlog.is_full());
  CHECK(fixture.answer(id, chunk(2, true)) == Outcome::taken);
  CHECK(fixture.answer(id, chunk(3)) == Outcome::unwanted);
  CHECK(Fixture::taken(call) == 1);
  CHECK(Fixture::taken(call) == 2);
  CHECK_FALSE(call->answers->take(PendingCall::Inlet::Clock::now()).has_value());
  CHECK_FALSE(fixture.calls.remove(*call));
  CHECK_FALSE(fixture.backlog.is_full());
}

TEST_CASE("a stream ends with an error, or with an answer that is no chunk") {
  Fixture fixture;
  const auto failed = fixture.add(true);
  CHECK(fixture.answer(ClientCalls::id_of(failed->number), failure()) == Outcome::taken);
  CHECK(failed->answers->try_take()->response->error == RpcErrorCode::internal_server_error);
  const auto plain = fixture.add(true);
  CHECK(fixture.answer(ClientCalls::id_of(plain->number), result(5)) == Outcome::taken);
  CHECK(Fixture::taken(plain) == 5);
  CHECK(fixture.calls.size() == 0);
}

TEST_CASE("a plain call that is answered by a stream fails, and the stream is to be aborted") {
  Fixture fixture;
  const auto call = fixture.add();
  const auto now = PendingCall::Inlet::Clock::now();
  CHECK(fixture.answer(ClientCalls::id_of(call->number), chunk(1)) == Outcome::unexpected);
  CHECK_THROWS_AS((void)call->answers->take(now), webshocket::RpcError);
  const auto empty = fixture.add();
  CHECK(fixture.answer(ClientCalls::id_of(empty->number), chunk(0, true)) == Outcome::taken);
  CHECK_THROWS_AS((void)empty->answers->take(now), webshocket::RpcError);
}

TEST_CASE("the limit, and what is given up makes room") {
  Fixture fixture(1);
  const auto call = fixture.add();
  CHECK_THROWS_AS(fixture.add(), webshocket::WebSocketError);
  CHECK(fixture.calls.remove(*call));
  CHECK_FALSE(fixture.calls.remove(*call));
  CHECK_NOTHROW(fixture.add());
}

TEST_CASE("when the connection goes, all are told") {
  Fixture fixture;
  const auto call = fixture.add();
  const auto stream = fixture.add(true);
  fixture.answer(ClientCalls::id_of(stream->number), chunk(1));
  fixture.calls.end_all(std::make_exception_ptr(ConnectionClosedError("gone")));
  const auto now = PendingCall::Inlet::Clock::now();
  CHECK_THROWS_AS((void)call->answers->take(now), ConnectionClosedError);
  CHECK(Fixture::taken(stream) == 1);
  CHECK_THROWS_AS((void)stream->answers->take(now), ConnectionClosedError);
  CHECK(fixture.calls.size() == 0);
}

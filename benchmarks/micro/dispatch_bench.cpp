// What an RPC call costs without its socket: from the packet to the method and to the response, and
// the whole way from a client's frame to the frame that answers it.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <webshocket/handler.hpp>
#include <webshocket/predicate.hpp>

#include "api/access.hpp"
#include "api/dispatch.hpp"
#include "api/fake_hub.hpp"
#include "protocol/frame_reader.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/packet_codec.hpp"

using namespace webshocket;
using namespace webshocket::protocol;

namespace {

constexpr const char* kCallId = "0b8f6a52-9a35-4f0e-8f0e-0d6a1c2b3d4e";

class Methods : public Handler {
 public:
  Methods() {
    // Among others, as a method is in life.
    for (int i = 0; i < 30; ++i) rpc("method_" + std::to_string(i), [] {});
    const auto add = [](std::int64_t a, std::int64_t b) { return a + b; };
    rpc("add", add).params("a", "b");
    rpc("guarded", add).params("a", "b").require(Is("in")).rate_limit(1 << 30, "1d");
  }
};

/// Answers into memory.
class Client final : public Connection {
 public:
  Client(detail::Hub& hub, Handler& handler, detail::Form form)
      : Connection(hub, handler, Uid(), form) {
    set_state(ConnectionState::connected);
  }

  Buffer out;  ///< the last response's frame

 private:
  bool do_respond(std::string_view call_id, Payload response, std::optional<RpcErrorCode> error,
                  bool is_stream, bool is_end) override {
    if (error) std::abort();
    packet_.clear();
    out.clear();
    if (!encode_response(format(), call_id, response, error, is_stream, is_end, packet_)) {
      std::abort();
    }
    write_message(out, Opcode::binary, packet_.span(), 0);
    return true;
  }
  SendStatus do_send(const detail::Content&, std::size_t) override { std::abort(); }
  bool do_subscribe(std::span<const std::string_view>) override { return false; }
  void do_unsubscribe(std::span<const std::string_view>) override {}
  std::vector<std::string> do_subscriptions() const override { return {}; }
  void do_close(CloseCode, std::string_view) override { std::abort(); }
  std::string do_remote_address() const override { return {}; }
  bool do_writable() const noexcept override { return true; }
  void do_unblocked() noexcept override {}
  void do_hold() noexcept override {}
  void do_release() noexcept override {}

  Buffer packet_;
};

struct Shard {
  explicit Shard(Format format)
      : hub(per_shard<Methods>(), {}),
        client(hub, hub.handler(),
               format == Format::msgpack ? detail::Form::msgpack : detail::Form::json_binary) {
    client["in"] = true;
  }

  detail::FakeHub hub;
  Client client;
};

struct Named {
  std::int64_t a = 17, b = 25;
  WEBSHOCKET_FIELDS(Named, a, b)
};

Buffer request_of(Format format, std::string_view method, bool named) {
  Buffer out;
  const bool done = named ? encode_request(format, method, std::tuple<>(), Named(), kCallId, out)
                          : encode_request(format, method, std::tuple(17, 25), map(), kCallId, out);
  if (!done) std::abort();
  return out;
}

/// From the decoded packet to the response's frame.
void dispatch(benchmark::State& state, const char* method, bool named) {
  Shard shard(Format::msgpack);
  const Buffer request = request_of(Format::msgpack, method, named);
  Document document;
  const Packet packet = decode_packet(Format::msgpack, request.span(), {}, document);
  for (auto _ : state) {
    detail::dispatch(shard.hub.handler(), shard.client, packet);
    benchmark::DoNotOptimize(shard.client.out.data());
  }
  if (shard.client.out.empty()) std::abort();
}
BENCHMARK_CAPTURE(dispatch, add, "add", false);
BENCHMARK_CAPTURE(dispatch, add_named, "add", true);
BENCHMARK_CAPTURE(dispatch, guarded, "guarded", false);

/// From frame to frame. The key is zero: unmasked where it lies, the frame can be read again.
void call(benchmark::State& state, Format format) {
  Shard shard(format);
  auto no_key = [] { return std::uint32_t{0}; };
  Buffer frame;
  write_message(frame, Opcode::binary, request_of(format, "add", false).span(), 0, no_key);
  FrameReader reader(Role::server);
  Document document;
  for (auto _ : state) {
    std::span<std::byte> input = frame.span();
    const FrameEvent event = reader.read(input, 1 << 20);
    const Packet packet = decode_packet(format, event.payload, {}, document);
    detail::dispatch(shard.hub.handler(), shard.client, packet);
    benchmark::DoNotOptimize(shard.client.out.data());
  }
  if (shard.client.out.empty()) std::abort();
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK_CAPTURE(call, msgpack, Format::msgpack);
BENCHMARK_CAPTURE(call, json, Format::json);

}  // namespace

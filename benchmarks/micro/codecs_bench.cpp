// What packets cost to read, to write and to pass on: an RPC request with two integers and its
// response, and a line of a chat. Bytes per second are the encoded packet's; `bytes` is its size.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include <webshocket/payload.hpp>
#include <webshocket/value.hpp>

#include "api/document_builder.hpp"
#include "protocol/buffer.hpp"
#include "protocol/json.hpp"
#include "protocol/msgpack.hpp"
#include "protocol/packet_codec.hpp"

using namespace webshocket;
using namespace webshocket::protocol;

namespace {

constexpr const char* kCallId = "0b8f6a52-9a35-4f0e-8f0e-0d6a1c2b3d4e";
constexpr const char* kChannel = "room.lobby";

struct Line {
  std::string from, text;
  std::int64_t at;
  std::vector<std::string> tags;
  WEBSHOCKET_FIELDS(Line, from, text, at, tags)
};

const Line kLine{
    .from = "Ève",
    .text = "anyone going north for the raid tonight? we meet at the old bridge, bring ropes",
    .at = 1'764'000'000'123,
    .tags = {"raid", "north"}};

void encode_one(Format format, bool chat, Buffer& out) {
  static const std::tuple<int, int> kArgs(17, 25);
  const bool done = chat ? encode_data(format, PacketSource::channel, kChannel, Payload(kLine), out)
                         : encode_request(format, "add", kArgs, map(), kCallId, out);
  if (!done) std::abort();
}

void finish(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * state.iterations());
  state.counters["bytes"] = static_cast<double>(bytes);
}

void encode(benchmark::State& state, Format format, bool chat) {
  Buffer out;
  for (auto _ : state) {
    out.clear();
    encode_one(format, chat, out);
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  finish(state, out.size());
}
BENCHMARK_CAPTURE(encode, request_msgpack, Format::msgpack, false);
BENCHMARK_CAPTURE(encode, request_json, Format::json, false);
BENCHMARK_CAPTURE(encode, chat_msgpack, Format::msgpack, true);
BENCHMARK_CAPTURE(encode, chat_json, Format::json, true);

void encode_response(benchmark::State& state, Format format) {
  Buffer out;
  for (auto _ : state) {
    out.clear();
    if (!protocol::encode_response(format, kCallId, 42, std::nullopt, false, false, out)) {
      std::abort();
    }
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  finish(state, out.size());
}
BENCHMARK_CAPTURE(encode_response, msgpack, Format::msgpack);
BENCHMARK_CAPTURE(encode_response, json, Format::json);

/// Into a tree of values in one document, as a shard does it.
void decode(benchmark::State& state, Format format, bool chat) {
  Buffer bytes;
  encode_one(format, chat, bytes);
  Document document;
  for (auto _ : state) {
    const Packet packet = decode_packet(format, bytes.span(), {}, document);
    if (packet.source == PacketSource::unknown) std::abort();
    benchmark::DoNotOptimize(packet);
  }
  finish(state, bytes.size());
}
BENCHMARK_CAPTURE(decode, request_msgpack, Format::msgpack, false);
BENCHMARK_CAPTURE(decode, request_json, Format::json, false);
BENCHMARK_CAPTURE(decode, chat_msgpack, Format::msgpack, true);
BENCHMARK_CAPTURE(decode, chat_json, Format::json, true);

/// Each format has two readers: one of what is well-formed, and one that says what is wrong.
void read(benchmark::State& state, Format format, bool judged) {
  const bool is_json = format == Format::json;
  const auto read = is_json ? read_well_formed_json : read_well_formed_msgpack;
  const auto judge = is_json ? judge_json : judge_msgpack;
  Buffer bytes;
  encode_one(format, false, bytes);
  Document document;
  for (auto _ : state) {
    detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::borrow);
    std::string_view why;
    const bool is_read =
        judged ? judge(bytes.span(), {}, builder, why) : read(bytes.span(), {}, builder);
    if (!is_read || !builder.finish()) std::abort();
    benchmark::DoNotOptimize(document.root());
  }
  finish(state, bytes.size());
}
BENCHMARK_CAPTURE(read, msgpack, Format::msgpack, false);
BENCHMARK_CAPTURE(read, msgpack_judged, Format::msgpack, true);
BENCHMARK_CAPTURE(read, json, Format::json, false);
BENCHMARK_CAPTURE(read, json_judged, Format::json, true);

/// Data that came in goes out again: in the bytes that it came in, if the format is the same and it
/// is no copy.
void relay(benchmark::State& state, Format from, Format to, bool copied) {
  Buffer bytes, out;
  encode_one(from, true, bytes);
  Document document;
  const Packet packet = decode_packet(from, bytes.span(), {}, document);
  const Document copy = clone(packet.data);
  const Value data = copied ? copy.root() : packet.data;
  for (auto _ : state) {
    out.clear();
    if (!encode_data(to, PacketSource::channel, kChannel, data, out)) std::abort();
    benchmark::DoNotOptimize(out.data());
    benchmark::ClobberMemory();
  }
  finish(state, out.size());
}
BENCHMARK_CAPTURE(relay, msgpack, Format::msgpack, Format::msgpack, false);
BENCHMARK_CAPTURE(relay, msgpack_copied, Format::msgpack, Format::msgpack, true);
BENCHMARK_CAPTURE(relay, json, Format::json, Format::json, false);
BENCHMARK_CAPTURE(relay, json_copied, Format::json, Format::json, true);
BENCHMARK_CAPTURE(relay, msgpack_to_json, Format::msgpack, Format::json, false);

}  // namespace

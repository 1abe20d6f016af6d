#include "protocol/packet_codec.hpp"

#include <doctest/doctest.h>

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "tests/protocol/codec_support.hpp"

using namespace webshocket;
using namespace webshocket::test;

namespace {

/// Decodes from memory of exactly the message's size and keeps everything.
struct Decoding {
  Decoding(Format format, std::span<const std::byte> message) : exact(message) {
    packet = protocol::decode_packet(format, exact.span(), {}, document, &why);
    // What is no packet is its own bytes, and says why.
    CHECK((packet.source == PacketSource::unknown && packet.data.type() == Value::Type::binary) ==
          !why.empty());
    if (!why.empty()) CHECK(packet.data == Value::of(exact.span()));
  }
  Exact exact;
  Document document;
  Packet packet;
  std::string_view why;
};

Decoding msgpack(std::string_view digits) { return {Format::msgpack, hex(digits)}; }
Decoding json(std::string_view text) { return {Format::json, bytes(text)}; }

std::string refusal(std::string_view text) { return std::string(json(text).why); }

/// The compact spelling of a packet in msgpack.
std::string again(std::string_view digits) { return to_hex(serialize(msgpack(digits).packet)); }
std::string again_json(std::string_view text) { return serialize_json(json(text).packet); }

std::string data(Format format, PacketSource source, std::optional<std::string_view> channel,
                 Payload payload) {
  protocol::Buffer out;
  REQUIRE(protocol::encode_data(format, source, channel, payload, out));
  return format == Format::json ? std::string(out.text()) : to_hex(out.span());
}

std::string response(Format format, std::string_view call_id, Payload payload,
                     std::optional<RpcErrorCode> error, bool is_stream, bool is_end) {
  protocol::Buffer out;
  REQUIRE(protocol::encode_response(format, call_id, payload, error, is_stream, is_end, out));
  return format == Format::json ? std::string(out.text()) : to_hex(out.span());
}

std::string request(Format format, std::string_view method, Payload args, Payload kwargs,
                    std::string_view call_id) {
  protocol::Buffer out;
  REQUIRE(protocol::encode_request(format, method, args, kwargs, call_id, out));
  return format == Format::json ? std::string(out.text()) : to_hex(out.span());
}

struct Ext {
  void write(Sink& sink) const { sink.ext(1, {}); }
};
struct Nothing {
  void write(Sink&) const {}
};
struct Twice {
  void write(Sink& sink) const {
    for (int i = 0; i < 2; ++i) {
      sink.begin_array(0);
      sink.end_array();
    }
  }
};
struct Throws {
  void write(Sink& sink) const {
    sink.begin_array(3);
    throw std::runtime_error("mine");
  }
};

constexpr std::string_view kFullHi =
    "86 a6736f75726365 04 a464617461 a26869 a3727063 c0 a76368616e6e656c c0 a974696d657374616d70 "
    "c0 "
    "ae636f7272656c6174696f6e5f6964 c0";
constexpr std::string_view kFullNone =
    "86a6736f7572636504a464617461c0a3727063c0a76368616e6e656cc0a974696d657374616d70c0"
    "ae636f7272656c6174696f6e5f6964c0";
constexpr std::string_view kFullPublish =
    "86a6736f7572636502a46461746181a16d01a3727063c0a76368616e6e656ca4726f6f6da974696d657374616d70c0"
    "ae636f7272656c6174696f6e5f6964c0";
constexpr std::string_view kFullAdd =
    "86a6736f7572636505a464617461c0a372706385a474797065a772657175657374a66d6574686f64a3616464a46172"
    "6773920203a66b776172677380a763616c6c5f6964a9363761366637386431a76368616e6e656cc0a974696d657374"
    "616d70c0ae636f7272656c6174696f6e5f6964c0";
constexpr std::string_view kCompactAdd =
    "82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a3616464a461726773920203a6"
    "6b776172677380a763616c6c5f6964a9363831626637396531";
constexpr std::string_view kCompactAddKeywords =
    "82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a3616464a46172677390a66b77"
    "6172677382a16102a16203a763616c6c5f6964a9363831626637396532";
constexpr std::string_view kFullAnswer =
    "86a6736f7572636505a464617461c0a372706384a474797065a8726573706f6e7365a763616c6c5f6964a936376136"
    "6637386431a8726573706f6e736505a56572726f72c0a76368616e6e656cc0a974696d657374616d70c0"
    "ae636f7272656c6174696f6e5f6964c0";
constexpr std::string_view kCompactAnswer =
    "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a9363831626637396531a8"
    "726573706f6e736505a56572726f72c0a969735f73747265616dc2a669735f656e64c2";
constexpr std::string_view kFullNotFound =
    "86a6736f7572636505a464617461c0a372706384a474797065a8726573706f6e7365a763616c6c5f6964a936376136"
    "6637386433a8726573706f6e7365be525043206d6574686f6420276e6f7375636827206e6f7420666f756e642e"
    "a56572726f72d180a7a76368616e6e656cc0a974696d657374616d70c0ae636f7272656c6174696f6e5f6964c0";
constexpr std::string_view kChunk0 =
    "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a9366532656638363531a8"
    "726573706f6e736500a56572726f72c0a969735f73747265616dc3a669735f656e64c2";
constexpr std::string_view kChunk2 =
    "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a9366532656638363531a8"
    "726573706f6e736502a56572726f72c0a969735f73747265616dc3a669735f656e64c2";
constexpr std::string_view kStreamEnd =
    "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a9366532656638363531a8"
    "726573706f6e736502a56572726f72c0a969735f73747265616dc3a669735f656e64c3";
constexpr std::string_view kAbort =
    "82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a95f5f61626f72745f5fa46172"
    "677391a9366532656638363533a66b776172677380a763616c6c5f6964a9366532656638363534";

const std::vector<std::string_view> kVectors = {
    kFullHi,
    kFullNone,
    kFullPublish,
    kFullAdd,
    kCompactAdd,
    kCompactAddKeywords,
    kFullAnswer,
    kCompactAnswer,
    kFullNotFound,
    kChunk0,
    kChunk2,
    kStreamEnd,
    kAbort,
    "82a6736f7572636504a464617461a26869",
    "81a6736f7572636504",
    "82a6736f7572636504a464617461c4030001ff",
    "82a6736f7572636501a464617461a2796f",
    "83a6736f7572636502a46461746181a16d01a76368616e6e656ca4726f6f6d"};

const std::vector<std::string_view> kJsonVectors = {
    R"({"source":4,"data":"hi"})",
    R"({"source":4,"data":"hi","rpc":null,"channel":null,"timestamp":null,"correlation_id":null})",
    R"({"rpc":{"type":"request","method":"add","args":[10,20],"kwargs":{},"call_id":"c1"},"source":5})",
    R"({"source":5,"data":null,"rpc":{"type":"response","call_id":"c1","response":30,"error":null},"channel":null,"timestamp":null,"correlation_id":null})",
    R"({"source":5,"rpc":{"type":"response","call_id":"c1","response":30,"error":null,"is_stream":false,"is_end":false}})",
    R"({"source":5,"rpc":{"type":"request","method":"secret","call_id":"c5"}})",
    R"({"source":5,"rpc":{"type":"response","call_id":"c5","response":"Access denied for RPC method 'secret'.","error":-32002,"is_stream":false,"is_end":true}})",
    R"({"source":2,"data":"é😀","channel":"r"})"};

}  // namespace

TEST_CASE("packets: full spelling is read, compact spelling is written") {
  CHECK(again(kFullHi) == "82a6736f7572636504a464617461a26869");
  CHECK(again(kFullNone) == "81a6736f7572636504");
  CHECK(again(kFullPublish) == "83a6736f7572636502a46461746181a16d01a76368616e6e656ca4726f6f6d");
  const Decoding add = msgpack(kFullAdd);
  REQUIRE(add.packet.request() != nullptr);
  CHECK(add.packet.source == PacketSource::rpc);
  CHECK(add.packet.request()->method == "add");
  CHECK(add.packet.request()->call_id == "67a6f78d1");
  CHECK(add.packet.request()->args.size() == 2);
  CHECK(add.packet.request()->kwargs.empty());
  const Decoding not_found = msgpack(kFullNotFound);
  REQUIRE(not_found.packet.response() != nullptr);
  CHECK(not_found.packet.response()->error == RpcErrorCode::method_not_found);
  CHECK(not_found.packet.response()->response == Value::of("RPC method 'nosuch' not found."));
  CHECK_FALSE(not_found.packet.response()->is_stream);
}

TEST_CASE("packets: compact spelling comes back to the byte") {
  for (const auto vector : kVectors) {
    CAPTURE(vector);
    if (vector.starts_with("86")) continue;
    CHECK(again(vector) == vector);
  }
}

TEST_CASE("packets: the vectors, written") {
  using enum Format;
  using enum PacketSource;
  CHECK(data(msgpack, custom, {}, "hi") == "82a6736f7572636504a464617461a26869");
  CHECK(data(msgpack, custom, {}, nullptr) == "81a6736f7572636504");
  CHECK(data(msgpack, custom, {}, hex("0001ff")) == "82a6736f7572636504a464617461c4030001ff");
  CHECK(data(msgpack, broadcast, {}, "yo") == "82a6736f7572636501a464617461a2796f");
  CHECK(data(msgpack, channel, "room", map("m", 1)) ==
        "83a6736f7572636502a46461746181a16d01a76368616e6e656ca4726f6f6d");
  CHECK(response(msgpack, "681bf79e1", 5, {}, false, false) == kCompactAnswer);
  CHECK(response(msgpack, "6e2ef8651", 0, {}, true, false) == kChunk0);
  CHECK(response(msgpack, "6e2ef8651", 2, {}, true, true) == kStreamEnd);
  CHECK(request(msgpack, "add", std::tuple(2, 3), map(), "681bf79e1") == kCompactAdd);
  CHECK(request(msgpack, "add", std::tuple(), map("a", 2, "b", 3), "681bf79e2") ==
        kCompactAddKeywords);
  CHECK(request(msgpack, "__abort__", std::tuple("6e2ef8653"), map(), "6e2ef8654") == kAbort);
  CHECK(data(json, custom, {}, "hi") == R"({"source":4,"data":"hi"})");
  CHECK(data(json, custom, {}, nullptr) == R"({"source":4})");
  CHECK(data(json, custom, {}, bytes("not json")) == R"({"source":4,"data":"bm90IGpzb24="})");
  CHECK(data(json, channel, "r", "é😀") == R"({"source":2,"data":"é😀","channel":"r"})");
  CHECK(
      request(json, "add", std::tuple(10, 20), map(), "c1") ==
      R"({"source":5,"rpc":{"type":"request","method":"add","args":[10,20],"kwargs":{},"call_id":"c1"}})");
  CHECK(
      request(json, "add", std::tuple(), map("a", 2, "b", 3), "681bf79e2") ==
      R"({"source":5,"rpc":{"type":"request","method":"add","args":[],"kwargs":{"a":2,"b":3},"call_id":"681bf79e2"}})");
  CHECK(response(json, "c1", 30, {}, false, false) == kJsonVectors[4]);
  CHECK(response(json, "c5", "Access denied for RPC method 'secret'.", RpcErrorCode::access_denied,
                 false, true) == kJsonVectors[6]);
  CHECK(
      response(json, "c3", hex("0001020304"), {}, false, false) ==
      R"({"source":5,"rpc":{"type":"response","call_id":"c3","response":"AAECAwQ=","error":null,"is_stream":false,"is_end":false}})");
}

TEST_CASE("packets: a written request is what is read") {
  for (const Format format : {Format::msgpack, Format::json}) {
    protocol::Buffer out;
    const std::vector<int> many(70'000, 7);
    std::map<std::string, std::vector<int>> keywords;
    for (int i = 0; i < 70'000; ++i) keywords["k" + std::to_string(i)] = {i};
    REQUIRE(protocol::encode_request(format, "mé", many, keywords, {}, out));
    const Decoding decoding(format, out.span());
    REQUIRE(decoding.packet.request() != nullptr);
    CHECK(decoding.packet.source == PacketSource::rpc);
    CHECK(decoding.packet.request()->method == "mé");
    CHECK(decoding.packet.request()->args.size() == many.size());
    CHECK(decoding.packet.request()->kwargs.size() == keywords.size());
    CHECK(decoding.packet.request()->call_id.empty());
    protocol::Buffer again;
    REQUIRE(protocol::encode_packet(format, decoding.packet, again));
    CHECK(again.text() == out.text());
  }
}

TEST_CASE("packets: a request's args are an array, its kwargs a map with string keys") {
  for (const Format format : {Format::msgpack, Format::json}) {
    protocol::Buffer out;
    out.append("before");
    const auto fits = [&](Payload args, Payload kwargs) {
      const bool ok = protocol::encode_request(format, "m", args, kwargs, "c", out);
      CHECK((out.text() == "before") == !ok);
      out.resize_down(6);
      return ok;
    };
    CHECK(fits(std::tuple(), map()));
    CHECK(fits(Value::of(std::span<const Value>()), Value::of(std::span<const Value::Member>())));
    // Only the outermost keys are names.
    CHECK(fits(std::tuple(std::map<int, int>{{1, 2}}), map("a", std::map<int, int>{{1, 2}})));
    CHECK(fits(std::tuple(), map("a", map("b", map("c", std::tuple(1))), "d", nullptr)));

    CHECK_FALSE(fits(nullptr, map()));
    CHECK_FALSE(fits(1, map()));
    CHECK_FALSE(fits("[]", map()));
    CHECK_FALSE(fits(bytes("[]"), map()));
    CHECK_FALSE(fits(map(), map()));
    CHECK_FALSE(fits(Throws{}, map()));
    CHECK_FALSE(fits(Nothing{}, map()));
    CHECK_FALSE(fits(Twice{}, map()));
    CHECK_FALSE(fits(std::tuple(), nullptr));
    CHECK_FALSE(fits(std::tuple(), true));
    CHECK_FALSE(fits(std::tuple(), "{}"));
    CHECK_FALSE(fits(std::tuple(), std::tuple()));
    CHECK_FALSE(fits(std::tuple(), std::map<int, int>{{1, 2}}));
    CHECK_FALSE(fits(std::tuple(), map("a", 1, 2, 3)));
    CHECK_FALSE(fits(std::tuple(), map("a", map(), nullptr, 3)));
    CHECK_FALSE(fits(std::tuple(), map(bytes("a"), 1)));
    CHECK_FALSE(fits(std::tuple(), map(std::tuple(), 1)));
    CHECK_FALSE(fits(std::tuple(), map("a", Throws{})));
    CHECK_FALSE(fits(std::tuple(), Nothing{}));
  }
}

TEST_CASE("packets: error codes") {
  const std::pair<RpcErrorCode, std::string_view> codes[] = {
      {RpcErrorCode::method_not_found, "d180a7"},
      {RpcErrorCode::access_denied, "d182fe"},
      {RpcErrorCode::rate_limit_exceeded, "d18300"},
      {RpcErrorCode::application_error, "d182ff"},
      {RpcErrorCode::invalid_params, "d180a6"},
      {RpcErrorCode::internal_server_error, "d180a5"}};
  for (const auto& [code, digits] : codes) {
    const std::string packet = response(Format::msgpack, "x", nullptr, code, false, false);
    CHECK(packet.find("a56572726f72" + std::string(digits)) != std::string::npos);
    CHECK(msgpack(packet).packet.response()->error == code);
  }
}

TEST_CASE("packets: the JSON vectors, read") {
  for (const auto vector : kJsonVectors) {
    CAPTURE(vector);
    CHECK(json(vector).why.empty());
  }
  CHECK(again_json(kJsonVectors[1]) == kJsonVectors[0]);
  CHECK(again_json(kJsonVectors[3]) == kJsonVectors[4]);
  CHECK(again_json(kJsonVectors[6]) == kJsonVectors[6]);
  CHECK(again_json(kJsonVectors[7]) == kJsonVectors[7]);
  CHECK(
      again_json(kJsonVectors[2]) ==
      R"({"source":5,"rpc":{"type":"request","method":"add","args":[10,20],"kwargs":{},"call_id":"c1"}})");
}

TEST_CASE("packets: cut anywhere, a vector is unknown") {
  for (const auto vector : kVectors) {
    const Bytes message = hex(vector);
    for (std::size_t size = 0; size < message.size(); ++size) {
      CHECK_FALSE(Decoding(Format::msgpack, std::span(message).first(size)).why.empty());
    }
  }
  for (const auto vector : kJsonVectors) {
    for (std::size_t size = 0; size < vector.size(); ++size) {
      CHECK_FALSE(json(vector.substr(0, size)).why.empty());
    }
  }
}

TEST_CASE("packets: the source") {
  CHECK(refusal(R"({"source":0})") == "source is not an integer from 1 to 5");
  for (const auto source : {"6", "-1", "4.0", "4e0", "\"4\"", "true", "null", "[4]", "4294967300",
                            "18446744073709551615"}) {
    CAPTURE(source);
    CHECK(refusal("{\"source\":" + std::string(source) + "}") ==
          "source is not an integer from 1 to 5");
  }
  for (const auto source : {"1", "2", "3", "4", "5"}) {
    CHECK(refusal("{\"source\":" + std::string(source) + "}").empty());
  }
  CHECK(refusal("{}") == "source is missing");
  CHECK(refusal("{\"data\":1}") == "source is missing");
  CHECK(refusal("[4]") == "a packet is a map");
  CHECK(refusal("4") == "a packet is a map");
  CHECK(refusal("null") == "a packet is a map");
  CHECK_FALSE(msgpack("81a6736f75726365cb4010000000000000").why.empty());
  CHECK(again("81a6736f75726365cf0000000000000004") == "81a6736f7572636504");
}

TEST_CASE(
    "packets: keys come in any order, unknown ones are skipped, the last of equal ones counts") {
  CHECK(again_json(R"({"future":[{"x":1}],"data":7,"source":4})") == R"({"source":4,"data":7})");
  CHECK(again_json(R"({"source":1,"data":1,"source":4,"data":2})") == R"({"source":4,"data":2})");
  CHECK(
      again_json(
          R"({"rpc":{"call_id":"i","future":{},"method":"m","type":"request"},"source":5})") ==
      R"({"source":5,"rpc":{"type":"request","method":"m","args":[],"kwargs":{},"call_id":"i"}})");
  CHECK(msgpack("8201c0a6736f7572636504").why == "a key is not a string");
}

TEST_CASE("packets: channel, timestamp, correlation id") {
  const std::string all = R"({"source":2,"channel":"a","timestamp":1.5,"correlation_id":"x"})";
  CHECK(again_json(all) == all);
  CHECK(json(R"({"source":2,"timestamp":17})").packet.timestamp == Value::of(std::int64_t{17}));
  for (const auto wrong : {R"("channel":1)", R"("channel":["a"])", R"("channel":true)",
                           R"("timestamp":"1")", R"("timestamp":true)", R"("timestamp":[])",
                           R"("correlation_id":1)", R"("correlation_id":{})"}) {
    CAPTURE(wrong);
    CHECK_FALSE(refusal(R"({"source":2,)" + std::string(wrong) + "}").empty());
  }
  // A channel in binary is no string.
  CHECK_FALSE(msgpack("82a6736f7572636502a76368616e6e656cc40161").why.empty());
}

TEST_CASE("packets: requests") {
  const auto request = [](std::string_view members) {
    return "{\"source\":5,\"rpc\":{" + std::string(members) + "}}";
  };
  const Decoding least = json(request(R"("type":"request","method":"m")"));
  REQUIRE(least.packet.request() != nullptr);
  CHECK(least.packet.request()->args.empty());
  CHECK(least.packet.request()->kwargs.empty());
  CHECK(least.packet.request()->call_id.empty());
  CHECK(serialize_json(least.packet) ==
        R"({"source":5,"rpc":{"type":"request","method":"m","args":[],"kwargs":{}}})");
  for (const auto wrong :
       {R"("type":"request")", R"("method":"m")", R"("type":"other","method":"m")",
        R"("type":1,"method":"m")", R"("type":null,"method":"m")",
        R"("type":"request","method":null)", R"("type":"request","method":1)",
        R"("type":"request","method":"m","args":null)",
        R"("type":"request","method":"m","args":{})",
        R"("type":"request","method":"m","kwargs":null)",
        R"("type":"request","method":"m","kwargs":[])",
        R"("type":"request","method":"m","call_id":null)",
        R"("type":"request","method":"m","call_id":7)", ""}) {
    CAPTURE(wrong);
    CHECK_FALSE(refusal(request(wrong)).empty());
  }
  for (const auto wrong : {"1", "[]", "\"request\"", "false"}) {
    CHECK(refusal("{\"source\":5,\"rpc\":" + std::string(wrong) + "}") ==
          "rpc is neither null nor a map");
  }
  // kwargs with the key 1
  CHECK(msgpack("82a6736f7572636505a372706383a474797065a772657175657374a66d6574686f64a16da66b776172"
                "6773810102")
            .why == "rpc.kwargs is not a map with string keys");
  // The tag counts, not the source.
  CHECK(json(R"({"source":4,"rpc":{"type":"request","method":"m"}})").packet.request() != nullptr);
  CHECK_FALSE(refusal(R"({"source":4,"rpc":{"type":"request"}})").empty());
  CHECK(refusal(R"({"source":5})").empty());
  CHECK(refusal(R"({"source":5,"rpc":null})").empty());
}

TEST_CASE("packets: responses") {
  const auto refused = [](std::string_view members) {
    return !refusal(R"({"source":5,"rpc":{"type":"response",)" + std::string(members) + "}}")
                .empty();
  };
  CHECK_FALSE(refused(R"("call_id":"c")"));
  CHECK_FALSE(refused(R"("call_id":"c","response":null,"error":null)"));
  CHECK_FALSE(
      refused(R"("call_id":"c","response":[1],"error":-32000,"is_stream":true,"is_end":true)"));
  CHECK(refused(R"("response":1)"));
  CHECK(refused(R"("call_id":1)"));
  CHECK(refused(R"("call_id":null)"));
  for (const auto error : {"-32003", "-32600", "0", "1", "-32601.0", "\"-32601\"", "true", "{}"}) {
    CAPTURE(error);
    CHECK(refused(R"("call_id":"c","error":)" + std::string(error)));
  }
  CHECK(refused(R"("call_id":"c","is_stream":null)"));
  CHECK(refused(R"("call_id":"c","is_stream":1)"));
  CHECK(refused(R"("call_id":"c","is_end":"x")"));
}

TEST_CASE("packets: what cannot be decoded is unknown, with its bytes") {
  const Decoding text = json("not json");
  CHECK(text.packet.source == PacketSource::unknown);
  CHECK(text.packet.data == Value::of(std::span<const std::byte>(bytes("not json"))));
  CHECK(data(Format::msgpack, PacketSource::custom, {}, text.packet.data) ==
        "82a6736f7572636504a464617461c4086e6f74206a736f6e");
  CHECK(json("").packet.data.size() == 0);
  CHECK(msgpack("").packet.source == PacketSource::unknown);
  CHECK(json(repeat("[", 100'000)).why == "nested too deep");
  CHECK(json(R"({"source":4,"data":)" + repeat("[", 100'000)).why == "nested too deep");
  CHECK(msgpack(repeat("91", 100'000)).why == "nested too deep");
  CHECK(msgpack("82a6736f7572636504a464617461" + repeat("81a161", 100'000)).why ==
        "nested too deep");
  CHECK(msgpack("ddffffffff").why == "too many values");
  CHECK(msgpack("82a6736f7572636504a464617461dbffffffff").why == "the message ends within a value");
  CHECK(Decoding(Format::raw, bytes("x")).packet.source == PacketSource::unknown);
  // Nothing of an earlier packet stays.
  Document document;
  const Bytes good = bytes(R"({"source":4,"channel":"c","data":[1]})");
  protocol::decode_packet(Format::json, good, {}, document);
  const Packet bad = protocol::decode_packet(Format::json, bytes("x"), {}, document);
  CHECK_FALSE(bad.channel);
  CHECK(document->is_null());
}

TEST_CASE("packets: the unknown source may come over the wire") {
  const Decoding unknown = json(R"({"source":3,"data":"x"})");
  CHECK(unknown.packet.source == PacketSource::unknown);
  CHECK(unknown.why.empty());
}

TEST_CASE("packets: a failed encoder leaves nothing") {
  using enum Format;
  for (const Format format : {msgpack, json}) {
    protocol::Buffer out;
    out.append("before");
    const auto unchanged = [&] { return out.text() == "before"; };
    CHECK_FALSE(protocol::encode_data(format, PacketSource::custom, "c", Throws{}, out));
    CHECK(unchanged());
    CHECK_FALSE(protocol::encode_response(format, "i", Throws{}, {}, false, false, out));
    CHECK(unchanged());
    CHECK_FALSE(protocol::encode_value(format, map("a", Throws{}), out));
    CHECK(unchanged());
    CHECK_FALSE(protocol::encode_data(format, static_cast<PacketSource>(9), {}, 1, out));
    CHECK(unchanged());
    Packet packet;
    packet.timestamp = Value::of("now");
    CHECK_FALSE(protocol::encode_packet(format, packet, out));
    CHECK(unchanged());
    const Value::Member number{Value::of(std::int64_t{1}), Value()};
    packet = {};
    packet.rpc = RpcRequest{"m", {}, std::span(&number, 1), "c"};
    CHECK_FALSE(protocol::encode_packet(format, packet, out));
    CHECK(unchanged());
    CHECK(protocol::encode_data(format, PacketSource::custom, {}, 1, out));
    CHECK(out.text().starts_with("before"));
  }
  protocol::Buffer out;
  CHECK_FALSE(protocol::encode_data(json, PacketSource::custom, {}, Ext{}, out));
  CHECK_FALSE(protocol::encode_response(json, "i", map("a", Ext{}), {}, false, false, out));
  CHECK_FALSE(protocol::encode_raw(Ext{}, out));
  CHECK_FALSE(protocol::encode_raw(Throws{}, out));
  CHECK(out.empty());
  CHECK(protocol::encode_data(msgpack, PacketSource::custom, {}, Ext{}, out));
}

TEST_CASE("packets: raw connections get the data alone") {
  const auto raw = [](Payload payload) {
    protocol::Buffer out;
    const auto opcode = protocol::encode_raw(payload, out);
    REQUIRE(opcode.has_value());
    return std::pair(*opcode, std::string(out.text()));
  };
  CHECK(raw(bytes("\x01\x02")) == std::pair(Opcode::binary, std::string("\x01\x02")));
  CHECK(raw(Bytes{}) == std::pair(Opcode::binary, std::string()));
  CHECK(raw("hé\"") == std::pair(Opcode::text, std::string("hé\"")));
  CHECK(raw(std::string("a\xFF")) == std::pair(Opcode::text, std::string("a\uFFFD")));
  CHECK(raw(nullptr) == std::pair(Opcode::text, std::string("null")));
  CHECK(raw(12) == std::pair(Opcode::text, std::string("12")));
  CHECK(raw(map("a", "b", "c", bytes("x"))) ==
        std::pair(Opcode::text, std::string(R"({"a":"b","c":"eA=="})")));
  CHECK(raw(std::vector<std::string>{"a"}) == std::pair(Opcode::text, std::string(R"(["a"])")));
  const Document document = Document::of("x");
  CHECK(raw(document.root()) == std::pair(Opcode::text, std::string("x")));
}

TEST_CASE("packets: data that is null is left out, wherever it comes from") {
  CHECK(data(Format::json, PacketSource::custom, "c", std::optional<int>()) ==
        R"({"source":4,"channel":"c"})");
  CHECK(data(Format::json, PacketSource::custom, {}, "null") == R"({"source":4,"data":"null"})");
  CHECK(data(Format::msgpack, PacketSource::custom, "c", Value()) ==
        "82a6736f7572636504a76368616e6e656ca163");
}

TEST_CASE("packets: the public functions") {
  const Bytes message = hex(kCompactAddKeywords);
  OwnedPacket owned = deserialize(message);
  CHECK(serialize(*owned) == message);
  const OwnedPacket copy(*owned);
  OwnedPacket moved = std::move(owned);
  CHECK(serialize(*moved) == message);
  CHECK(serialize(*copy) == message);
  CHECK(serialize(*OwnedPacket(*deserialize(hex(kCompactAnswer)))) == hex(kCompactAnswer));
  CHECK(serialize(*OwnedPacket(*deserialize(hex(kFullPublish)))) ==
        serialize(*deserialize(hex(kFullPublish))));
  const std::string text =
      R"({"source":2,"data":{"a":[1,"b\n"]},"channel":"a","timestamp":1.5,"correlation_id":"x"})";
  CHECK(serialize_json(*OwnedPacket(*deserialize_json(text))) == text);

  CHECK(serialize_json(*OwnedPacket(PacketSource::broadcast, map("a", 1))) ==
        R"({"source":1,"data":{"a":1}})");
  CHECK(serialize_json(*OwnedPacket()) == R"({"source":4})");

  CHECK_THROWS_WITH_AS(deserialize_json("{}"), "not a packet: source is missing",
                       PacketValidationError);
  CHECK_THROWS_WITH_AS(deserialize(hex("c1")), "not a packet: a byte that begins no value",
                       PacketValidationError);
  CHECK_THROWS_AS(deserialize_json(""), PacketValidationError);
  CHECK_THROWS_AS(serialize_json(*OwnedPacket(PacketSource::custom, Ext{})), PacketError);
  CHECK_THROWS_AS(to_json(Throws{}), std::runtime_error);
  CHECK_THROWS_WITH_AS(from_json("[1"), "not JSON: not JSON", PacketValidationError);
  CHECK_THROWS_WITH_AS(from_msgpack({}), "not msgpack: the message is empty",
                       PacketValidationError);
}

TEST_CASE("packets: decode() looks into what was unknown") {
  const auto unknown = [](std::span<const std::byte> content) {
    return to_string(OwnedPacket(PacketSource::unknown, content).decode().root());
  };
  CHECK(unknown(bytes("[1,\"a\\n\"]")) == "[1, \"a\\u000a\"]");
  CHECK(unknown(hex("9101")) == "[1]");
  CHECK(unknown(bytes("7")) == "7");
  CHECK_THROWS_AS(unknown(bytes("neither")), PacketValidationError);
  CHECK_THROWS_AS(unknown({}), PacketValidationError);
  CHECK(to_string(OwnedPacket(PacketSource::custom, bytes("[1]")).decode().root()) == "bin(3)");
}

TEST_CASE("packets: a packet goes over from one format to the other") {
  const std::string text =
      R"({"source":5,"rpc":{"type":"request","method":"m","args":[1,-2.5,"é",null,{"k":[true]}],"kwargs":{"a":18446744073709551615},"call_id":"c"}})";
  const Bytes packed = serialize(json(text).packet);
  CHECK(serialize_json(Decoding(Format::msgpack, packed).packet) == text);
}

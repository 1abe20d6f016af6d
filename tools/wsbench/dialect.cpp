#include "dialect.hpp"

#include <webshocket/packet.hpp>

#include <algorithm>
#include <span>

#include "failure.hpp"

namespace wsbench {
namespace {

namespace ws = webshocket;

constexpr std::string_view kMsgpackSubprotocol = "webshocket.v1";
constexpr std::string_view kJsonSubprotocol = "webshocket.v1.json";
constexpr std::string_view kJsonCall =
    R"({"source":5,"rpc":{"type":"request","method":"METHOD","args":["{channel}"DATA],)"
    R"("call_id":"{id}"}})";

std::string json_call(std::string_view method, std::string_view data) {
  return replaced(replaced(std::string(kJsonCall), "METHOD", method), "DATA", data);
}

Speech subscriber_of(std::string_view format, bool with_channels) {
  if (format == "json") {
    return {.path = "/",
            .subprotocol = std::string(kJsonSubprotocol),
            .message = json_call("join", ""),
            .coding = Coding::text};
  }
  if (format == "msgpack") {
    return {.path = "/",
            .subprotocol = std::string(kMsgpackSubprotocol),
            .message = "join",
            .coding = Coding::msgpack};
  }
  return {
      .path = with_channels ? "/raw/sub/{channel}" : "/raw/sub", .subprotocol = "", .message = ""};
}

Speech publisher_of(std::string_view preset) {
  if (preset == "json") {
    return {.path = "/",
            .subprotocol = std::string(kJsonSubprotocol),
            .message = json_call("publish", R"(,"{payload}")"),
            .coding = Coding::text};
  }
  if (preset == "msgpack") {
    return {.path = "/",
            .subprotocol = std::string(kMsgpackSubprotocol),
            .message = "publish",
            .coding = Coding::msgpack};
  }
  return {.path = preset == "raw" ? "/raw/pub" : "/raw/pub/{channel}",
          .subprotocol = "",
          .message = "{payload}"};
}

void change(Speech& speech, const DialectOptions& options) {
  if (options.subprotocol) speech.subprotocol = *options.subprotocol;
  if (options.text) {
    if (speech.coding == Coding::msgpack) {
      throw UsageFailure("--text: msgpack does not travel in text messages");
    }
    speech.coding = Coding::text;
  }
}

}  // namespace

Dialect dialect_of(const DialectOptions& options, std::string_view default_path,
                   std::size_t channels) {
  Dialect dialect;
  if (options.mixed.empty()) {
    dialect.subscribers.push_back(subscriber_of(options.preset, options.preset == "raw-channels"));
    dialect.publisher = publisher_of(options.preset);
  } else {
    for (const std::string& format : options.mixed) {
      dialect.subscribers.push_back(subscriber_of(format, channels > 1));
    }
    dialect.publisher = publisher_of("msgpack");
  }
  const bool is_own = options.subscribe || options.publish || default_path != "/";
  for (Speech& speech : dialect.subscribers) {
    if (is_own) speech.path = default_path;
    if (options.subscriber_path) speech.path = *options.subscriber_path;
    if (options.subscribe) {
      speech.message = *options.subscribe;
      if (speech.coding == Coding::msgpack) speech.coding = Coding::binary;
    }
    change(speech, options);
  }
  Speech& publisher = dialect.publisher;
  if (is_own) publisher.path = default_path;
  if (options.publisher_path) publisher.path = *options.publisher_path;
  if (options.publish) {
    publisher.message = *options.publish;
    if (publisher.coding == Coding::msgpack) publisher.coding = Coding::binary;
  }
  change(publisher, options);
  const auto tells_channel = [](const Speech& speech) {
    return speech.coding == Coding::msgpack ||
           (speech.path + speech.message).find("{channel}") != std::string::npos;
  };
  if (channels > 1 && !std::ranges::all_of(dialect.subscribers, tells_channel)) {
    throw UsageFailure(
        "--channels: subscribers say nothing with a {channel} in it; --preset raw-channels, json "
        "and msgpack do");
  }
  const bool through_text = publisher.is_text() || !options.mixed.empty();
  dialect.spelling = through_text ? Spelling::printable : Spelling::binary;
  return dialect;
}

std::string channel_name(std::size_t channels, std::size_t channel) {
  return channels == 1 ? "raw" : "raw" + std::to_string(channel);
}

std::string subscription(const Speech& speech, std::string_view channel) {
  if (speech.message.empty()) return {};
  if (speech.coding == Coding::msgpack) return call(false, speech.message, {{.text = channel}});
  return MessageTemplate(speech.message, channel, {}).bytes();
}

MessageTemplate publication(const Speech& speech, std::string_view channel, const Stamps& stamps) {
  std::string payload(stamps.size(), ' ');
  stamps.write_filler(payload);
  MessageTemplate message;
  if (speech.coding == Coding::msgpack) {
    const bool is_text = stamps.spelling() == Spelling::printable;
    message = MessageTemplate::of_bytes(
        call(
            false, speech.message,
            {{.text = channel},
             {.kind = is_text ? Argument::Kind::string : Argument::Kind::binary, .text = payload}}),
        payload);
  } else {
    message = MessageTemplate(speech.message, channel, payload);
  }
  if (!message.payload_at()) throw UsageFailure("what is published has no {payload} in it");
  return message;
}

std::string call(bool json, std::string_view method, const std::vector<Argument>& arguments) {
  std::vector<ws::Value> values;
  for (const Argument& argument : arguments) {
    switch (argument.kind) {
      case Argument::Kind::integer:
        values.push_back(ws::Value::of(argument.number));
        break;
      case Argument::Kind::string:
        values.push_back(ws::Value::of(argument.text));
        break;
      case Argument::Kind::binary:
        values.push_back(ws::Value::of(std::as_bytes(std::span(argument.text))));
    }
  }
  ws::Packet packet;
  packet.source = ws::PacketSource::rpc;
  packet.rpc = ws::RpcRequest{
      .method = method, .args = values, .kwargs = {}, .call_id = MessageTemplate::kIdHolder};
  if (json) return ws::serialize_json(packet);
  const auto bytes = ws::serialize(packet);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace wsbench

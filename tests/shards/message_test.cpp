#include "shards/message.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <webshocket/packet.hpp>

#include "protocol/frame_reader.hpp"

using webshocket::Opcode;
using webshocket::Packet;
using webshocket::PacketSource;
using webshocket::Payload;
using webshocket::protocol::FrameEvent;
using webshocket::protocol::FrameReader;
using webshocket::shards::Content;
using webshocket::shards::Form;
using webshocket::shards::Forms;
using webshocket::shards::Message;

namespace {

constexpr std::size_t kFragment = 65'536;

Forms all_forms() {
  Forms forms;
  for (const Form form : {Form::msgpack, Form::json_text, Form::json_binary, Form::raw}) {
    forms.add(form);
  }
  return forms;
}

/// What a client makes of the frames: opcode and payload of the one message that they are.
std::pair<Opcode, std::string> received(std::span<const std::byte> frames) {
  std::vector<std::byte> input(frames.begin(), frames.end());
  std::span<std::byte> rest(input);
  FrameReader reader(webshocket::protocol::Role::client);
  std::pair<Opcode, std::string> message{Opcode::continuation, ""};
  for (int messages = 0;; ++messages) {
    const FrameEvent event = reader.read(rest, 0);
    if (event.kind == FrameEvent::Kind::need_more) {
      REQUIRE(messages == 1);
      REQUIRE(reader.idle());
      return message;
    }
    REQUIRE(event.kind == FrameEvent::Kind::message);
    message = {event.opcode, std::string(reinterpret_cast<const char*>(event.payload.data()),
                                         event.payload.size())};
  }
}

int frame_count(std::span<const std::byte> frames) {
  int count = 0;
  for (std::size_t at = 0; at < frames.size(); ++count) {
    std::size_t length = std::to_integer<std::size_t>(frames[at + 1]);
    std::size_t header = 2;
    if (length >= 126) {
      const std::size_t bytes = length == 126 ? 2 : 8;
      length = 0;
      for (std::size_t i = 0; i < bytes; ++i) {
        length = length << 8 | std::to_integer<std::size_t>(frames[at + 2 + i]);
      }
      header += bytes;
    }
    at += header + length;
  }
  return count;
}

}  // namespace

TEST_CASE("only the forms that somebody wants are made") {
  const auto message = Message::freeze(PacketSource::channel, "room", {Payload("hi"), nullptr},
                                       Form::msgpack, {kFragment});
  REQUIRE(message != nullptr);
  CHECK(message->frames(Form::json_text).empty());
  CHECK(message->frames(Form::json_binary).empty());
  CHECK(message->frames(Form::raw).empty());
  CHECK(message->size() == message->frames(Form::msgpack).size());
  CHECK(message->lacks().empty());
  CHECK(received(message->frames(Form::msgpack)) ==
        std::pair<Opcode, std::string>(Opcode::binary,
                                       "\x83\xa6source\x02\xa4"
                                       "data\xa2hi\xa7"
                                       "channel\xa4room"));
}

TEST_CASE("nobody wants it: there is no message") {
  CHECK(Message::freeze(PacketSource::custom, std::nullopt, {Payload("hi"), nullptr}, Forms(),
                        {kFragment}) == nullptr);
}

TEST_CASE("every form has its own frames") {
  const auto message =
      Message::freeze(PacketSource::broadcast, std::nullopt,
                      {Payload(std::vector<int>{1, 2}), nullptr}, all_forms(), {kFragment});
  REQUIRE(message != nullptr);
  const std::string json = R"({"source":1,"data":[1,2]})";
  CHECK(received(message->frames(Form::json_text)) == std::pair(Opcode::text, json));
  CHECK(received(message->frames(Form::json_binary)) == std::pair(Opcode::binary, json));
  CHECK(received(message->frames(Form::raw)) == std::pair(Opcode::text, std::string("[1,2]")));
  std::size_t total = 0;
  for (const Form form : {Form::msgpack, Form::json_text, Form::json_binary, Form::raw}) {
    total += message->frames(form).size();
  }
  CHECK(message->size() == total);
}

TEST_CASE("raw connections get the data alone, with the opcode that suits it") {
  const auto raw = [](Payload data) {
    return received(
        Message::freeze(PacketSource::custom, std::nullopt, {data, nullptr}, Form::raw, {kFragment})
            ->frames(Form::raw));
  };
  CHECK(raw("text") == std::pair(Opcode::text, std::string("text")));
  CHECK(raw(std::vector<std::byte>{std::byte{1}, std::byte{0xFF}}) ==
        std::pair(Opcode::binary, std::string("\x01\xFF")));
  CHECK(raw(7) == std::pair(Opcode::text, std::string("7")));
  CHECK(raw(nullptr) == std::pair(Opcode::text, std::string("null")));
}

TEST_CASE("a form that cannot hold the value is left out and named") {
  // An ext value has no JSON.
  const auto ext = webshocket::from_msgpack(
      std::vector<std::byte>{std::byte{0xd4}, std::byte{0x05}, std::byte{0x2a}});
  const auto message = Message::freeze(PacketSource::custom, std::nullopt, {Payload(ext), nullptr},
                                       all_forms(), {kFragment});
  REQUIRE(message != nullptr);
  CHECK_FALSE(message->frames(Form::msgpack).empty());
  CHECK(message->frames(Form::json_text).empty());
  CHECK(message->frames(Form::json_binary).empty());
  CHECK(message->lacks().has(Form::json_text));
  CHECK(message->lacks().has(Form::json_binary));
  CHECK_FALSE(message->lacks().has(Form::msgpack));

  CHECK(Message::freeze(PacketSource::custom, std::nullopt, {Payload(ext), nullptr},
                        Form::json_text, {kFragment}) == nullptr);
}

TEST_CASE("a large message is one buffer of three frames") {
  std::vector<std::byte> data(150'000);
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i % 251);
  const auto message = Message::freeze(PacketSource::custom, std::nullopt, {Payload(data), nullptr},
                                       Form::raw, {kFragment});
  REQUIRE(message != nullptr);
  const auto frames = message->frames(Form::raw);
  CHECK(frames.size() == 150'000 + 10 + 10 + 4);
  CHECK(frame_count(frames) == 3);
  const auto [opcode, text] = received(frames);
  CHECK(opcode == Opcode::binary);
  REQUIRE(text.size() == data.size());
  CHECK(std::equal(data.begin(), data.end(), std::as_bytes(std::span(text)).begin()));

  const auto whole =
      Message::freeze(PacketSource::custom, std::nullopt, {Payload(data), nullptr}, Form::raw, {});
  CHECK(frame_count(whole->frames(Form::raw)) == 1);
}

TEST_CASE("a packet keeps what it says, and gets the channel that it is published to") {
  Packet packet;
  packet.source = PacketSource::channel;
  packet.correlation_id = "c1";
  packet.channel = "elsewhere";
  const auto published = Message::freeze(PacketSource::channel, "room", {nullptr, &packet},
                                         Form::json_text, {kFragment});
  const auto seen = received(published->frames(Form::json_text)).second;
  CHECK(seen.find(R"("channel":"room")") != std::string::npos);
  CHECK(seen.find(R"("correlation_id":"c1")") != std::string::npos);
  CHECK(packet.channel == "elsewhere");

  const auto sent = Message::freeze(PacketSource::custom, std::nullopt, {nullptr, &packet},
                                    Form::json_text, {kFragment});
  CHECK(received(sent->frames(Form::json_text)).second.find(R"("channel":"elsewhere")") !=
        std::string::npos);
}

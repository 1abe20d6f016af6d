// Frames in and out.

#include <algorithm>

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

const UpgradeOptions kMsgpack = {.subprotocol = "webshocket.v1"};
const UpgradeOptions kJson = {.subprotocol = "webshocket.v1.json"};

/// A custom packet whose msgpack encoding has exactly this size.
std::string packet_of_size(std::size_t size) {
  const std::string head = from_hex("82a6736f7572636504a464617461");
  std::size_t length = size - head.size() - 3;
  std::string bin;
  if (length <= 0xFF + 1) {
    length = size - head.size() - 2;
    bin = {'\xc4', static_cast<char>(length)};
  } else if (length <= 0xFFFF) {
    bin = {'\xc5', static_cast<char>(length >> 8), static_cast<char>(length)};
  } else {
    length = size - head.size() - 5;
    bin = {'\xc6', static_cast<char>(length >> 24), static_cast<char>(length >> 16),
           static_cast<char>(length >> 8), static_cast<char>(length)};
  }
  std::string data(length, '\0');
  for (std::size_t i = 0; i < length; ++i) data[i] = static_cast<char>(i % 251);
  return head + bin + data;
}

std::string json_of_size(std::size_t size) {
  const std::string head = R"({"source":4,"data":")";
  return head + std::string(size - head.size() - 2, 'x') + "\"}";
}

std::vector<std::size_t> sizes_of(const std::vector<Frame>& frames) {
  std::vector<std::size_t> sizes;
  for (const Frame& frame : frames) sizes.push_back(frame.payload.size());
  return sizes;
}

std::string joined(const std::vector<Frame>& frames) {
  std::string payload;
  for (const Frame& frame : frames) payload += frame.payload;
  return payload;
}

void check_frames(const std::vector<Frame>& frames, unsigned opcode) {
  for (const Frame& frame : frames) {
    const std::size_t size = frame.payload.size();
    CHECK(frame.fin == (&frame == &frames.back()));
    CHECK(frame.rsv == 0);
    CHECK(frame.opcode == (&frame == &frames.front() ? opcode : kContinuation));
    CHECK_FALSE(frame.masked);
    CHECK(frame.length_bytes == (size < 126 ? 0 : size < 65536 ? 2 : 8));
  }
}

/// The payload in fragments of this size, an empty one and a ping after each.
std::string in_fragments(std::string_view payload, std::size_t size, unsigned opcode) {
  std::string bytes = SentFrame{.opcode = opcode, .fin = false}.bytes();
  for (std::size_t i = 0; i < payload.size(); i += size) {
    bytes +=
        SentFrame{
            .opcode = kContinuation, .payload = std::string(payload.substr(i, size)), .fin = false}
            .bytes();
    bytes += SentFrame{.opcode = kPing, .payload = "p"}.bytes();
    bytes += SentFrame{.opcode = kContinuation, .fin = false}.bytes();
  }
  return bytes + SentFrame{.opcode = kContinuation}.bytes();
}

std::string message_after_pongs(RawPeer& peer) {
  for (;;) {
    Frame frame = peer.read_frame();
    if (frame.opcode != kPong) {
      CHECK(frame.fin);
      return frame.payload;
    }
    CHECK(frame.payload == "p");
  }
}

}  // namespace

TEST_CASE("messages leave in fragments of 65,536 bytes") {
  struct Case {
    std::size_t size;
    std::vector<std::size_t> fragments;
  };
  const Case cases[] = {{20, {20}},
                        {125, {125}},
                        {126, {126}},
                        {127, {127}},
                        {65'535, {65'535}},
                        {65'536, {65'536}},
                        {65'537, {65'536, 1}},
                        {131'072, {65'536, 65'536}},
                        {131'073, {65'536, 65'536, 1}},
                        {200'060, {65'536, 65'536, 65'536, 3'452}}};
  on_each_shard_count([&](std::uint16_t port) {
    RawPeer msgpack = open_peer(port, kMsgpack);
    RawPeer json = open_peer(port, kJson);
    RawPeer generic = open_peer(port);
    for (const Case& c : cases) {
      CAPTURE(c.size);
      const std::string packet = packet_of_size(c.size);
      REQUIRE(packet.size() == c.size);
      msgpack.send(binary_frame(packet));
      auto frames = msgpack.read_message_frames();
      CHECK(sizes_of(frames) == c.fragments);
      check_frames(frames, kBinary);
      CHECK((joined(frames) == packet));

      if (c.size < 30) continue;
      const std::string text = json_of_size(c.size);
      json.send(text_frame(text));
      frames = json.read_message_frames();
      CHECK(sizes_of(frames) == c.fragments);
      check_frames(frames, kText);
      CHECK((joined(frames) == text));
      generic.send(binary_frame(text));
      frames = generic.read_message_frames();
      CHECK(sizes_of(frames) == c.fragments);
      check_frames(frames, kBinary);
    }
  });
}

TEST_CASE("fragments of any size come in, control frames between them") {
  const std::string packet = packet_of_size(300);
  on_each_shard_count([&](std::uint16_t port) {
    RawPeer peer = open_peer(port, kMsgpack);
    for (const std::size_t size : {1U, 2U, 3U, 7U, 100U, 299U, 300U}) {
      CAPTURE(size);
      peer.send(in_fragments(packet, size, kBinary));
      CHECK((message_after_pongs(peer) == packet));
    }
    const std::string large = packet_of_size(200'060);
    peer.send(in_fragments(large, 65'536, kBinary));
    for (int i = 0; i < 4; ++i) CHECK(peer.read_frame().opcode == kPong);
    CHECK((peer.read_message() == large));
    peer.send(in_fragments(large, 1'000, kBinary));
    for (int i = 0; i < 201; ++i) CHECK(peer.read_frame().opcode == kPong);
    CHECK((peer.read_message() == large));

    RawPeer json = open_peer(port, kJson);
    const std::string text = "{\"source\":4,\"data\":\"\xc3\xa9\xf0\x9f\x98\x80\"}";
    json.send(in_fragments(text, 1, kText));
    CHECK(message_after_pongs(json) == text);
  });
}

TEST_CASE("frames may be cut at every byte") {
  const std::string packet = packet_of_size(130);
  const std::string bytes =
      SentFrame{.opcode = kPing, .payload = "p"}.bytes() +
      SentFrame{.payload = packet.substr(0, 40), .fin = false}.bytes() +
      SentFrame{.opcode = kContinuation, .payload = packet.substr(40)}.bytes();
  on_each_shard_count([&](std::uint16_t port) {
    RawPeer peer = open_peer(port, kMsgpack);
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      CAPTURE(cut);
      peer.send_split(bytes, cut);
      REQUIRE((message_after_pongs(peer) == packet));
    }
    for (const char byte : bytes) peer.send(std::string_view(&byte, 1));
    CHECK((message_after_pongs(peer) == packet));
  });
}

TEST_CASE("TEXT and BINARY are both taken; the answer's opcode is the dialect's") {
  const std::string text = R"({"source":4,"data":"hi"})";
  on_each_shard_count([&](std::uint16_t port) {
    for (const auto& [options, opcode] :
         {std::pair(kJson, unsigned{kText}), std::pair(UpgradeOptions{}, unsigned{kBinary})}) {
      RawPeer peer = open_peer(port, options);
      for (const std::string& frame : {text_frame(text), binary_frame(text)}) {
        peer.send(frame);
        const Frame reply = peer.read_frame();
        CHECK(reply.opcode == opcode);
        CHECK(reply.payload == text);
      }
    }
    RawPeer raw = open_peer(port, {.path = "/raw/echo"});
    for (const unsigned opcode : {kText, kBinary}) {
      raw.send(SentFrame{.opcode = opcode, .payload = "as it is"});
      CHECK(raw.read_frame() == Frame{.fin = true, .opcode = opcode, .payload = "as it is"});
    }
  });
}

TEST_CASE("a PING is answered with its body, a PONG is ignored") {
  on_each_shard_count([](std::uint16_t port) {
    RawPeer peer = open_peer(port, kJson);
    for (const std::size_t size : {0U, 1U, 124U, 125U}) {
      const std::string body(size, 'b');
      peer.send(SentFrame{.opcode = kPing, .payload = body});
      CHECK(peer.read_frame() == Frame{.fin = true, .opcode = kPong, .payload = body});
    }
    peer.send(SentFrame{.opcode = kPong});
    peer.send(SentFrame{.opcode = kPong, .payload = "nobody asked"});
    peer.send(text_frame(R"({"source":4,"data":1})"));
    CHECK(peer.read_message() == R"({"source":4,"data":1})");
  });
}

TEST_CASE("protocol violations close with their code and a reason") {
  struct Case {
    std::string what, bytes;
    unsigned code;
  };
  std::vector<Case> cases = {
      {"fragmented PING", SentFrame{.opcode = kPing, .fin = false}.bytes(), 1002},
      {"fragmented CLOSE", SentFrame{.opcode = kClose, .fin = false}.bytes(), 1002},
      {"PING of 126", SentFrame{.opcode = kPing, .payload = std::string(126, 'x')}.bytes(), 1002},
      {"CLOSE of 126", close_frame(1000, std::string(124, 'x')), 1002},
      {"CLOSE of 1", SentFrame{.opcode = kClose, .payload = "x"}.bytes(), 1002},
      {"unmasked", SentFrame{.payload = "x", .key = std::nullopt}.bytes(), 1002},
      {"unmasked PING", SentFrame{.opcode = kPing, .key = std::nullopt}.bytes(), 1002},
      {"lone CONTINUATION", SentFrame{.opcode = kContinuation, .payload = "x"}.bytes(), 1002},
      {"lone CONTINUATION, more to come",
       SentFrame{.opcode = kContinuation, .payload = "x", .fin = false}.bytes(), 1002},
      {"a message inside a message",
       SentFrame{.payload = "x", .fin = false}.bytes() + binary_frame("y"), 1002},
      {"a TEXT inside a BINARY", SentFrame{.payload = "x", .fin = false}.bytes() + text_frame("y"),
       1002},
      {"invalid UTF-8", text_frame("a\xff"), 1007},
      {"overlong UTF-8", text_frame("\xc0\xaf"), 1007},
      {"a surrogate", text_frame("\xed\xa0\x80"), 1007},
      {"UTF-8 that ends too early", text_frame("\xf0\x9f\x98"), 1007},
      {"invalid UTF-8 over fragments",
       SentFrame{.opcode = kText, .payload = "\xc3", .fin = false}.bytes() +
           SentFrame{.opcode = kContinuation, .payload = "x"}.bytes(),
       1007},
      {"CLOSE with a reason that is no UTF-8", close_frame(1000, "\xff"), 1007},
      {"the top bit of the length", SentFrame{.length_bytes = 8, .length = 1ULL << 63}.bytes(),
       1002},
      {"all bits of the length", SentFrame{.length_bytes = 8, .length = ~0ULL}.bytes(), 1002},
      {"a length of 2^62", SentFrame{.length_bytes = 8, .length = 1ULL << 62}.bytes(), 1009},
      {"16 MiB and 1", SentFrame{.length_bytes = 8, .length = (16U << 20U) + 1}.bytes(), 1009},
      {"a length that could be shorter", SentFrame{.payload = "x", .length_bytes = 2}.bytes(),
       1002},
  };
  for (unsigned opcode = 3; opcode < 16; ++opcode) {
    if (opcode >= kClose && opcode <= kPong) continue;
    cases.push_back(
        {"opcode " + std::to_string(opcode), SentFrame{.opcode = opcode}.bytes(), 1002});
  }
  for (unsigned rsv = 1; rsv < 8; ++rsv) {
    cases.push_back({"rsv " + std::to_string(rsv), SentFrame{.rsv = rsv}.bytes(), 1002});
    cases.push_back({"PING with rsv " + std::to_string(rsv),
                     SentFrame{.opcode = kPing, .rsv = rsv}.bytes(), 1002});
  }
  on_each_shard_count([&](std::uint16_t port) {
    for (const Case& c : cases) {
      CAPTURE(c.what);
      for (const UpgradeOptions& options : {kMsgpack, UpgradeOptions{.path = "/raw/echo"}}) {
        RawPeer peer = open_peer(port, options);
        // Nothing behind the fault is looked at.
        peer.send(c.bytes + binary_frame(packet_of_size(30)));
        const Close close = peer.read_close_and_end();
        CHECK(close.code == c.code);
        CHECK_FALSE(close.reason.empty());
        CHECK(close.reason.size() <= 123);
      }
    }
    check_alive(port);
  });
}

TEST_CASE("what came before a fault is answered first") {
  on_each_shard_count([](std::uint16_t port) {
    RawPeer peer = open_peer(port, kMsgpack);
    const std::string packet = packet_of_size(30);
    peer.send(binary_frame(packet) + SentFrame{.opcode = 3}.bytes());
    CHECK((peer.read_message() == packet));
    CHECK(peer.read_close_and_end().code == 1002);
  });
}

TEST_CASE("the limit of a message holds for the sum of its fragments") {
  for (const unsigned shards : {1U, 8U}) {
    ServerProcess server(conformance_program(), {"--port", "0", "--shards", std::to_string(shards),
                                                 "--packet-limit", "1000"});
    const std::string packet = packet_of_size(1000);
    for (const std::size_t size : {1U, 400U, 1000U}) {
      CAPTURE(size);
      RawPeer peer = open_peer(server.port(), kMsgpack);
      peer.send(in_fragments(packet, size, kBinary));
      CHECK((message_after_pongs(peer) == packet));
      peer.send(in_fragments(packet + "x", size, kBinary));
      Frame frame = peer.read_frame();
      while (frame.opcode == kPong) frame = peer.read_frame();
      CHECK(close_of(frame).code == 1009);
      CHECK_FALSE(close_of(frame).reason.empty());
      peer.read_end();
    }
    {
      RawPeer peer = open_peer(server.port(), kMsgpack);
      peer.send(binary_frame(packet + "x"));
      CHECK(peer.read_close_and_end().code == 1009);
    }
    CHECK(server.terminate() == 0);
  }
}

}  // namespace webshocket::test

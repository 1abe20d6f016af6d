// Packets without a server, and the vectors of docs/wire-format.md.

#include <webshocket/packet.hpp>

#include <cstddef>
#include <iostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ws = webshocket;

namespace {

int failures = 0;
void expect(bool holds, std::string_view what) {
  if (!holds) ++failures, std::cerr << "not so: " << what << '\n';
}

std::string hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<std::size_t>(byte) >> 4];
    text += kDigits[std::to_integer<std::size_t>(byte) & 15];
  }
  return text;
}

std::vector<std::byte> bytes_of(std::string_view hex_text) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < hex_text.size(); i += 2) {
    bytes.push_back(std::byte(std::stoul(std::string(hex_text.substr(i, 2)), nullptr, 16)));
  }
  return bytes;
}

void round_trip() {
  const ws::OwnedPacket packet(ws::PacketSource::custom, ws::map("text", "hi", "at", 3));
  const std::vector<std::byte> wire = ws::serialize(*packet);
  const ws::OwnedPacket back = ws::deserialize(wire);
  expect(back->data["text"].string() == "hi", "msgpack");
  expect(ws::serialize_json(*packet) == R"({"source":4,"data":{"text":"hi","at":3}})", "JSON");
  try {
    ws::deserialize_json("not json");
    expect(false, "what is no packet throws");
  } catch (const ws::PacketValidationError& error) {
    std::cout << error.what() << '\n';
  }
}

// Both ways: what is read is written again, byte by byte.
void same(std::string_view hex_text) {
  expect(hex(ws::serialize(*ws::deserialize(bytes_of(hex_text)))) == hex_text, hex_text);
}
void same_json(std::string_view text) {
  expect(ws::serialize_json(*ws::deserialize_json(text)) == text, text);
}
// The long spelling is read, and written in the short one.
void reads_as(std::string_view hex_text, std::string_view compact) {
  expect(hex(ws::serialize(*ws::deserialize(bytes_of(hex_text)))) == compact, hex_text);
}

}  // namespace

int main() {
  round_trip();
  same("82a6736f7572636504a464617461a26869");
  same("81a6736f7572636504");
  same("82a6736f7572636504a464617461c4030001ff");
  same("82a6736f7572636501a464617461a2796f");
  same("83a6736f7572636502a46461746181a16d01a76368616e6e656ca4726f6f6d");
  reads_as(
      "86a6736f7572636504a464617461a26869a3727063c0a76368616e6e656cc0a974696d657374616d70c0ae636f72"
      "72"
      "656c6174696f6e5f6964c0",
      "82a6736f7572636504a464617461a26869");
  same(
      "82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a3616464a4617267"
      "73920203a66b776172677380a763616c6c5f6964a9363831626637396531");
  same(
      "82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a3616464a4617267"
      "7390a66b776172677382a16102a16203a763616c6c5f6964a9363831626637396532");
  same(
      "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a93638316266"
      "37396531a8726573706f6e736505a56572726f72c0a969735f73747265616dc2a669735f656e64c2");
  same(
      "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a93638316266"
      "37396533a8726573706f6e7365be525043206d6574686f6420276e6f7375636827206e6f7420666f756e"
      "642ea56572726f72d180a7a969735f73747265616dc2a669735f656e64c3");
  same(
      "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a93665326566"
      "38363531a8726573706f6e736500a56572726f72c0a969735f73747265616dc3a669735f656e64c2");
  same(
      "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a93665326566"
      "38363531a8726573706f6e7365c0a56572726f72c0a969735f73747265616dc3a669735f656e64c3");
  same(
      "82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a95f5f61626f7274"
      "5f5fa46172677391a9366532656638363531a66b776172677380a763616c6c5f6964a936653265663836"
      "3534");
  same_json(
      R"({"source":5,"rpc":{"type":"request","method":"add","args":[10,20],"kwargs":{},"call_id":"c1"}})");
  same_json(
      R"({"source":5,"rpc":{"type":"response","call_id":"c1","response":30,"error":null,"is_stream":false,"is_end":false}})");
  same_json(
      R"({"source":5,"rpc":{"type":"response","call_id":"c5","response":"Access denied for RPC method 'secret'.","error":-32002,"is_stream":false,"is_end":true}})");
  same_json(R"({"source":4,"data":"hi"})");
  same_json(R"({"source":2,"data":"é😀","channel":"r"})");
  std::cout << (failures == 0 ? "all as said\n" : "some of it is not so\n");
  return failures == 0 ? 0 : 1;
}

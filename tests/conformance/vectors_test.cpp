// Recorded bytes, sent as they are and compared as they are.

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

const UpgradeOptions kMsgpack = {.subprotocol = "webshocket.v1"};
const UpgradeOptions kJson = {.subprotocol = "webshocket.v1.json"};

std::string answer(RawPeer& peer, std::string_view hex) {
  peer.send(binary_frame(from_hex(hex)));
  return to_hex(peer.read_message());
}

}  // namespace

TEST_CASE("custom packets, full and compact in, compact out") {
  on_each_shard_count([](std::uint16_t port) {
    RawPeer peer = open_peer(port, kMsgpack);
    const std::string hi = "82a6736f7572636504a464617461a26869";
    const std::string none = "81a6736f7572636504";
    CHECK(answer(peer,
                 "86 a6736f75726365 04 a464617461 a26869 a3727063 c0 a76368616e6e656c c0 "
                 "a974696d657374616d70 c0 ae636f7272656c6174696f6e5f6964 c0") == hi);
    CHECK(answer(peer,
                 "86a6736f7572636504a464617461c0a3727063c0a76368616e6e656cc0a974696d657374616d70c0"
                 "ae636f7272656c6174696f6e5f6964c0") == none);
    CHECK(answer(peer, hi) == hi);
    CHECK(answer(peer, none) == none);
    CHECK(answer(peer, "82a6736f7572636504a464617461c4030001ff") ==
          "82a6736f7572636504a464617461c4030001ff");
  });
}

TEST_CASE("broadcast and publish") {
  on_each_shard_count([](std::uint16_t port) {
    RawPeer peer = open_peer(port, kMsgpack);
    WsClient other(port);
    // join("room"), id j
    CHECK(answer(peer,
                 "82a6736f7572636505a372706384a474797065a772657175657374a66d6574686f64a46a6f696e"
                 "a46172677391a4726f6f6da763616c6c5f6964a16a") ==
          "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a16aa8726573706f"
          "6e7365c3a56572726f72c0a969735f73747265616dc2a669735f656e64c2");
    CHECK(other.call("broadcast", R"(["yo"])") == "null");
    CHECK(to_hex(peer.read_message()) == "82a6736f7572636501a464617461a2796f");
    CHECK(other.call("publish", R"(["room",{"m":1}])") == "null");
    CHECK(to_hex(peer.read_message()) ==
          "83a6736f7572636502a46461746181a16d01a76368616e6e656ca4726f6f6d");
    // The same bytes, coming in, are a packet for on_receive.
    CHECK(answer(peer, "83a6736f7572636502a46461746181a16d01a76368616e6e656ca4726f6f6d") ==
          "82a6736f7572636504a46461746181a16d01");
    CHECK(answer(peer,
                 "86a6736f7572636502a46461746181a16d01a3727063c0a76368616e6e656ca4726f6f6da974696d"
                 "657374616d70c0ae636f7272656c6174696f6e5f6964c0") ==
          "82a6736f7572636504a46461746181a16d01");
  });
}

TEST_CASE("calls and their answers in msgpack") {
  on_each_shard_count([](std::uint16_t port) {
    RawPeer peer = open_peer(port, kMsgpack);
    const auto five = [](const std::string& id) {
      return "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a9" + id +
             "a8726573706f6e736505a56572726f72c0a969735f73747265616dc2a669735f656e64c2";
    };
    CHECK(answer(peer,
                 "86a6736f7572636505a464617461c0a372706385a474797065a772657175657374a66d6574686f64"
                 "a3616464a461726773920203a66b776172677380a763616c6c5f6964a9363761366637386431a763"
                 "68616e6e656cc0a974696d657374616d70c0ae636f7272656c6174696f6e5f6964c0") ==
          five("363761366637386431"));
    CHECK(answer(peer,
                 "82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a3616464a461"
                 "726773920203a66b776172677380a763616c6c5f6964a9363831626637396531") ==
          five("363831626637396531"));
    CHECK(answer(peer,
                 "82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a3616464a461"
                 "72677390a66b776172677382a16102a16203a763616c6c5f6964a9363831626637396532") ==
          five("363831626637396532"));
    // nosuch(), id 67a6f78d3
    CHECK(answer(peer,
                 "82a6736f7572636505a372706383a474797065a772657175657374a66d6574686f64a66e6f737563"
                 "68a763616c6c5f6964a9363761366637386433") ==
          "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a936376136663738"
          "6433a8726573706f6e7365be525043206d6574686f6420276e6f7375636827206e6f7420666f756e642ea565"
          "72726f72d180a7a969735f73747265616dc2a669735f656e64c3");
    // secret(), id 67a6f78d3
    CHECK(answer(peer,
                 "82a6736f7572636505a372706383a474797065a772657175657374a66d6574686f64a66365637265"
                 "74a763616c6c5f6964a9363761366637386433")
              .substr(0, 4) == "82a6");
  });
}

TEST_CASE("the codes of errors in msgpack") {
  on_each_shard_count([](std::uint16_t port) {
    WsClient client(port);
    const auto code_of = [&](std::string_view method, std::string_view args) {
      client.start(method, args);
      const std::string bytes = to_hex(client.peer().read_message());
      const auto at = bytes.find("a56572726f72");
      REQUIRE(at != std::string::npos);
      return bytes.substr(at + 12, 6);
    };
    CHECK(code_of("nosuch", "[]") == "d180a7");
    CHECK(code_of("add", "[1]") == "d180a6");
    CHECK(code_of("crash", "[]") == "d180a5");
    CHECK(code_of("secret", "[]") == "d182fe");
    CHECK(code_of("fail", "[\"x\"]") == "d182ff");
    for (int i = 0; i < 3; ++i) CHECK(code_of("limited", "[]").substr(0, 2) == "c0");
    CHECK(code_of("limited", "[]") == "d18300");
  });
}

TEST_CASE("a stream in msgpack: chunks, the end, an abort without an answer") {
  const auto part = [](const std::string& response, const char* end) {
    return "82a6736f7572636505a372706386a474797065a8726573706f6e7365a763616c6c5f6964a9366532656638"
           "363531a8726573706f6e7365" +
           response + "a56572726f72c0a969735f73747265616dc3a669735f656e64" + end;
  };
  on_each_shard_count([&](std::uint16_t port) {
    RawPeer peer = open_peer(port, kMsgpack);
    // count(3), id 6e2ef8651
    CHECK(answer(peer,
                 "82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a5636f756e74"
                 "a46172677391"
                 "03a66b776172677380a763616c6c5f6964a9366532656638363531") == part("00", "c2"));
    CHECK(to_hex(peer.read_message()) == part("01", "c2"));
    CHECK(to_hex(peer.read_message()) == part("02", "c2"));
    CHECK(to_hex(peer.read_message()) == part("c0", "c3"));
    // The recorded abort, for a call that nobody knows; then something that is answered.
    peer.send(binary_frame(from_hex(
        "82a6736f7572636505a372706385a474797065a772657175657374a66d6574686f64a95f5f61626f72745f5fa4"
        "6172677391a9366532656638363533a66b776172677380a763616c6c5f6964a9366532656638363534")));
    CHECK(answer(peer, "81a6736f7572636504") == "81a6736f7572636504");
  });
}

TEST_CASE("generic peers, TEXT in, BINARY out; and the same in TEXT") {
  struct Case {
    std::string in, out;
  };
  const Case cases[] = {
      {R"({"source":4,"data":"hi"})", R"({"source":4,"data":"hi"})"},
      {R"({"rpc":{"type":"request","method":"add","args":[10,20],"kwargs":{},"call_id":"c1"},"source":5})",
       R"({"source":5,"rpc":{"type":"response","call_id":"c1","response":30,"error":null,"is_stream":false,"is_end":false}})"},
      {R"({"source":5,"rpc":{"type":"request","method":"secret","call_id":"c5"}})",
       R"({"source":5,"rpc":{"type":"response","call_id":"c5","response":"Access denied for RPC method 'secret'.","error":-32002,"is_stream":false,"is_end":true}})"},
      {R"({"source":5,"rpc":{"type":"request","method":"blob","args":[5],"call_id":"c3"}})",
       R"({"source":5,"rpc":{"type":"response","call_id":"c3","response":"AAECAwQ=","error":null,"is_stream":false,"is_end":false}})"},
      {"not json", R"({"source":4,"data":"bm90IGpzb24="})"},
      {R"({"source":5,"rpc":{"type":"request","method":"join","args":["r"],"call_id":"j"}})",
       R"({"source":5,"rpc":{"type":"response","call_id":"j","response":true,"error":null,"is_stream":false,"is_end":false}})"},
  };
  on_each_shard_count([&](std::uint16_t port) {
    for (const auto& [options, opcode] :
         {std::pair(UpgradeOptions{}, unsigned{kBinary}), std::pair(kJson, unsigned{kText})}) {
      RawPeer peer = open_peer(port, options);
      for (const Case& c : cases) {
        peer.send(text_frame(c.in));
        CHECK(peer.read_frame() == Frame{.fin = true,
                                         .opcode = opcode,
                                         .length_bytes = c.out.size() < 126 ? 0U : 2U,
                                         .payload = c.out});
      }
      WsClient publisher(port);
      CHECK(publisher.call("publish", "[\"r\",\"\xc3\xa9\xf0\x9f\x98\x80\"]") == "null");
      CHECK(peer.read_message() ==
            "{\"source\":2,\"data\":\"\xc3\xa9\xf0\x9f\x98\x80\",\"channel\":\"r\"}");
    }
  });
}

TEST_CASE("the bodies of CLOSE") {
  const std::string body = "03e8436c69656e7420697320636c6f73696e672074686520636f6e6e656374696f6e2e";
  on_each_shard_count([&](std::uint16_t port) {
    RawPeer peer = open_peer(port, kMsgpack);
    peer.send(SentFrame{.opcode = kClose, .payload = from_hex(body)});
    CHECK(to_hex(peer.read_frame().payload) == body);
    peer.read_end();
  });
}

}  // namespace webshocket::test

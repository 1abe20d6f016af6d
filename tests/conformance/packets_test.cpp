// Packets and values in both formats, and what cannot be decoded.

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

const UpgradeOptions kMsgpack = {.subprotocol = "webshocket.v1"};
const UpgradeOptions kJson = {.subprotocol = "webshocket.v1.json"};

const std::string kHead = "82a6736f7572636504a464617461";

std::string base64(std::string_view bytes) {
  const std::span<const std::byte> data(reinterpret_cast<const std::byte*>(bytes.data()),
                                        bytes.size());
  return to_json(data);
}

std::string bin(std::string_view bytes) {
  std::string head = "\xc4";
  head += static_cast<char>(bytes.size());
  return head + std::string(bytes);
}

std::string msgpack_answer(RawPeer& peer, std::string_view hex) {
  peer.send(binary_frame(from_hex(hex)));
  return to_hex(peer.read_message());
}

std::string json_answer(RawPeer& peer, std::string_view text) {
  peer.send(text_frame(text));
  return peer.read_message();
}

}  // namespace

TEST_CASE("msgpack values come back in their shortest form") {
  struct Case {
    std::string sent, back;
  };
  const Case cases[] = {
      {"c0", "c0"},
      {"c2", "c2"},
      {"c3", "c3"},
      {"00", "00"},
      {"7f", "7f"},
      {"cc80", "cc80"},
      {"cc01", "01"},
      {"cd0080", "cc80"},
      {"cd0100", "cd0100"},
      {"ce00000001", "01"},
      {"ce00010000", "ce00010000"},
      {"cf0000000000000001", "01"},
      {"cf0000000100000000", "cf0000000100000000"},
      {"cf8000000000000000", "cf8000000000000000"},
      {"cfffffffffffffffff", "cfffffffffffffffff"},
      {"ff", "ff"},
      {"e0", "e0"},
      {"d0df", "d0df"},
      {"d0ff", "ff"},
      {"d1ff7f", "d1ff7f"},
      {"d2ffffffff", "ff"},
      {"d27fffffff", "ce7fffffff"},
      {"d3ffffffffffffffff", "ff"},
      {"d38000000000000000", "d38000000000000000"},
      {"ca3fc00000", "cb3ff8000000000000"},
      {"cb3ff8000000000000", "cb3ff8000000000000"},
      {"cb7ff8000000000000", "cb7ff8000000000000"},
      {"cbfff0000000000000", "cbfff0000000000000"},
      {"cb8000000000000000", "cb8000000000000000"},
      {"a0", "a0"},
      {"d9026869", "a26869"},
      {"da00026869", "a26869"},
      {"db000000026869", "a26869"},
      {"c400", "c400"},
      {"c5000101", "c40101"},
      {"c60000000101", "c40101"},
      {"dc0001c0", "91c0"},
      {"dd00000001c0", "91c0"},
      {"de0001a16101", "81a16101"},
      {"df00000001a16101", "81a16101"},
      {"80", "80"},
      {"90", "90"},
      {"8401020304c0c3cb3ff800000000000001", "8401020304c0c3cb3ff800000000000001"},
      {"81c4016101", "81c4016101"},
      {"d40100", "d40100"},
      {"d6ff00000001", "d6ff00000001"},
      {"c7030501020304", ""},
      {"c70305010203", "c70305010203"},
      {"c80003f5010203", "c703f5010203"},
      {"82a16101a16102", "81a16102"},
  };
  on_each_shard_count([&](std::uint16_t port) {
    RawPeer peer = open_peer(port, kMsgpack);
    for (const Case& c : cases) {
      CAPTURE(c.sent);
      const std::string back = msgpack_answer(peer, kHead + c.sent);
      if (c.back == "c0") {
        CHECK(back == "81a6736f7572636504");
      } else if (c.back.empty()) {
        CHECK(back == kHead + to_hex(bin(from_hex(kHead + c.sent))));
      } else {
        CHECK(back == kHead + c.back);
      }
    }
  });
}

TEST_CASE("JSON values come back as they are written best") {
  struct Case {
    std::string sent, back;
  };
  const Case cases[] = {
      {"true", "true"},
      {"-0", "0"},
      {"1.0", "1.0"},
      {"-1.5", "-1.5"},
      {"1e3", "1000.0"},
      {"0.1", "0.1"},
      {"12345678901234567890", "12345678901234567890"},
      {"18446744073709551615", "18446744073709551615"},
      {"-9223372036854775808", "-9223372036854775808"},
      {"\"\"", "\"\""},
      {R"("\/\b\f\n\r\t\"\\")", R"("/\b\f\n\r\t\"\\")"},
      {R"("\u0001\u001f")", R"("\u0001\u001f")"},
      {"\"\x7f\"", "\"\x7f\""},
      {R"("\u00e9\ud83d\ude00\u2028")", "\"\xc3\xa9\xf0\x9f\x98\x80\xe2\x80\xa8\""},
      {"\"AAECAwQ=\"", "\"AAECAwQ=\""},
      {" [ 1 , 2 ] ", "[1,2]"},
      {"{\"a\" : {\"b\" : [null]}}", "{\"a\":{\"b\":[null]}}"},
      {R"({"a":1,"a":2})", R"({"a":2})"},
      {"{}", "{}"},
      {"[]", "[]"},
  };
  on_each_shard_count([&](std::uint16_t port) {
    RawPeer peer = open_peer(port, kJson);
    for (const Case& c : cases) {
      CAPTURE(c.sent);
      CHECK(json_answer(peer, "{\"source\":4,\"data\":" + c.sent + "}") ==
            "{\"source\":4,\"data\":" + c.back + "}");
    }
    CHECK(json_answer(peer, R"({"source":4,"data":null})") == R"({"source":4})");
  });
}

TEST_CASE("msgpack data becomes JSON for JSON readers; what cannot is left out") {
  struct Case {
    std::string msgpack, json;
  };
  const Case cases[] = {
      {"c4050001020304", "\"AAECAwQ=\""},
      {"c400", "\"\""},
      {"c40100", "\"AA==\""},
      {"cb7ff8000000000000", "null"},
      {"cb7ff0000000000000", "null"},
      {"8101a178", R"({"1":"x"})"},
      {"81ffa178", R"({"-1":"x"})"},
      {"81c4020102a178", R"({"AQI=":"x"})"},
      {"cb3ff0000000000000", "1.0"},
      {"cfffffffffffffffff", "18446744073709551615"},
  };
  const auto publish = [](const std::string& data) {
    return "82a6736f7572636505a372706384a474797065a772657175657374a66d6574686f64a77075626c697368"
           "a46172677392a17a" +
           data + "a763616c6c5f6964a178";
  };
  on_each_shard_count([&](std::uint16_t port) {
    WsClient reader(port, Dialect::generic);
    WsClient twin(port, Dialect::json);
    REQUIRE(reader.call("join", R"(["z"])") == "true");
    REQUIRE(twin.call("join", R"(["z"])") == "true");
    RawPeer peer = open_peer(port, kMsgpack);
    for (const Case& c : cases) {
      CAPTURE(c.msgpack);
      msgpack_answer(peer, publish("d40100"));
      msgpack_answer(peer, publish(c.msgpack));
      const std::string expected = "2 z " + c.json;
      CHECK(reader.event() == expected);
      CHECK(twin.event() == expected);
    }
  });
}

TEST_CASE("unknown keys are skipped, any order will do, optional keys may be nil") {
  const std::string ok = R"({"source":4,"data":"hi"})";
  on_each_shard_count([&](std::uint16_t port) {
    RawPeer json = open_peer(port, kJson);
    for (
        const char* text :
        {R"({"data":"hi","source":4})",
         R"({"x":{"y":[1,{"z":2}]},"source":4,"zz":null,"data":"hi"})",
         R"({"source":4,"data":"hi","rpc":null,"channel":null,"timestamp":null,"correlation_id":null})",
         R"({"correlation_id":"c","timestamp":1.5,"channel":"c","rpc":null,"data":"hi","source":4})",
         R"({"timestamp":7,"data":"hi","source":1})", R"({"data":"hi","source":2,"channel":"r"})",
         R"({"data":"hi","source":3})", R"({"data":"hi","source":5})",
         R"({"data":"hi","source":5,"rpc":{"type":"response","call_id":"a","response":1,"error":null}})",
         R"({"data":"hi","source":5,"rpc":{"type":"response","call_id":"a","response":1,"error":-32001,"is_stream":true,"is_end":false}})",
         R"({"data":"hi","source":4,"rpc":{"type":"request","method":"add","args":[1,2]}})",
         R"({"source":9,"data":"hi","source":4})", R"({"source":4,"data":1,"data":"hi"})"}) {
      CAPTURE(text);
      CHECK(json_answer(json, text) == ok);
    }
    RawPeer msgpack = open_peer(port, kMsgpack);
    for (const char* hex :
         {"82a464617461a26869a6736f7572636504", "83a17890a6736f7572636504a464617461a26869",
          "86a6736f7572636504a464617461a26869a3727063c0a76368616e6e656cc0a974696d657374616d70c0ae"
          "636f7272656c6174696f6e5f6964c0",
          "83a974696d657374616d70cb3ff8000000000000a464617461a26869a6736f7572636504",
          "82d906736f757263650"
          "4a464617461a26869"}) {
      CAPTURE(hex);
      CHECK(msgpack_answer(msgpack, hex) == kHead + "a26869");
    }
  });
}

TEST_CASE("what is no packet is handed on raw, in both formats") {
  const std::string bad_json[] = {
      "not json",
      "",
      " ",
      "null",
      "4",
      "[]",
      "{}",
      "{\"data\":1}",
      "{\"source\":0}",
      "{\"source\":6}",
      "{\"source\":-4}",
      "{\"source\":4.0}",
      "{\"source\":\"4\"}",
      "{\"source\":true}",
      "{\"source\":null}",
      "{\"source\":[4]}",
      "{\"source\":4",
      "{\"source\":4}}",
      "{\"source\":4} x",
      "{\"source\":4}{\"source\":4}",
      "{\"source\":4,}",
      "{'source':4}",
      "{\"source\":4,\"data\":NaN}",
      "{\"source\":4,\"data\":Infinity}",
      "{\"source\":4,\"data\":01}",
      "{\"source\":4,\"data\":1.}",
      "{\"source\":4,\"data\":+1}",
      "{\"source\":4,\"data\":\"\\x41\"}",
      "{\"source\":4,\"data\":\"\\ud800\"}",
      "{\"source\":4,\"data\":\"\\udc00\"}",
      "{\"source\":4,\"data\":\"a\nb\"}",
      "{\"source\":4,\"channel\":1}",
      "{\"source\":4,\"channel\":[]}",
      "{\"source\":4,\"timestamp\":\"1\"}",
      "{\"source\":4,\"timestamp\":true}",
      "{\"source\":4,\"correlation_id\":1}",
      "{\"source\":5,\"rpc\":1}",
      "{\"source\":5,\"rpc\":{}}",
      "{\"source\":5,\"rpc\":\"request\"}",
      "{\"source\":5,\"rpc\":{\"type\":\"other\"}}",
      "{\"source\":5,\"rpc\":{\"type\":1,\"method\":\"add\"}}",
      "{\"source\":5,\"rpc\":{\"method\":\"add\"}}",
      "{\"source\":5,\"rpc\":{\"type\":\"request\"}}",
      "{\"source\":5,\"rpc\":{\"type\":\"request\",\"method\":1}}",
      "{\"source\":5,\"rpc\":{\"type\":\"request\",\"method\":null}}",
      "{\"source\":5,\"rpc\":{\"type\":\"request\",\"method\":\"add\",\"args\":null}}",
      "{\"source\":5,\"rpc\":{\"type\":\"request\",\"method\":\"add\",\"args\":{}}}",
      "{\"source\":5,\"rpc\":{\"type\":\"request\",\"method\":\"add\",\"kwargs\":null}}",
      "{\"source\":5,\"rpc\":{\"type\":\"request\",\"method\":\"add\",\"kwargs\":[]}}",
      "{\"source\":5,\"rpc\":{\"type\":\"request\",\"method\":\"add\",\"call_id\":null}}",
      "{\"source\":5,\"rpc\":{\"type\":\"request\",\"method\":\"add\",\"call_id\":1}}",
      "{\"source\":5,\"rpc\":{\"type\":\"response\",\"response\":1}}",
      "{\"source\":5,\"rpc\":{\"type\":\"response\",\"call_id\":\"a\",\"error\":-1}}",
      "{\"source\":5,\"rpc\":{\"type\":\"response\",\"call_id\":\"a\",\"error\":\"x\"}}",
      "{\"source\":4,\"rpc\":{\"type\":\"request\",\"method\":1}}",
      std::string(200, '['),
      "{\"source\":4,\"data\":" + std::string(200, '[') + std::string(200, ']') + "}"};
  const std::string bad_msgpack[] = {
      "",
      "c0",
      "04",
      "80",
      "90",
      "c1",
      "a26869",
      "81a464617461c0",
      "81a6736f7572636500",
      "81a6736f7572636506",
      "81a6736f75726365ff",
      "81a6736f75726365cb4010000000000000",
      "81a6736f75726365a134",
      "81a6736f75726365c3",
      "81a6736f75726365c0",
      "81a6736f757263650400",
      "81a6736f75726365",
      "82a6736f7572636504",
      "82a6736f7572636504a464617461",
      "82a6736f7572636504a464617461c1",
      "82a6736f7572636504a464617461a2ff68",
      "82a6736f7572636504a464617461a56869",
      "82a6736f7572636504a464617461dbffffffff",
      "82a6736f7572636504a464617461ddffffffff",
      "82a6736f7572636504a464617461dfffffffff",
      "82a6736f7572636504a464617461c6ffffffff",
      "82a6736f7572636504a464617461c9ffffffff01",
      "82a6736f7572636504a76368616e6e656c01",
      "82a6736f7572636504a974696d657374616d70a131",
      "82a6736f7572636504a37270630"
      "1",
      "82a6736f7572636505a372706380",
      "82a6736f7572636505a372706381a474797065a178",
      "82a6736f7572636505a372706382a474797065a772657175657374a66d6574686f64c0",
      "82a6736f7572636505a372706383a474797065a772657175657374a66d6574686f64a3616464a461726773c0",
      "82a6736f7572636505a372706383a474797065a772657175657374a66d6574686f64a3616464a66b776172677381"
      "0101"};
  on_each_shard_count([&](std::uint16_t port) {
    RawPeer json = open_peer(port, kJson);
    for (const std::string& text : bad_json) {
      CAPTURE(text);
      CHECK(json_answer(json, text) == "{\"source\":4,\"data\":" + base64(text) + "}");
    }
    RawPeer generic = open_peer(port);
    generic.send(binary_frame("\xff\xfe"));
    CHECK(generic.read_message() == R"({"source":4,"data":"//4="})");
    generic.send(binary_frame("{\"source\":4,\"data\":\"\xff\"}"));
    CHECK(generic.read_message() ==
          "{\"source\":4,\"data\":" + base64("{\"source\":4,\"data\":\"\xff\"}") + "}");
    RawPeer msgpack = open_peer(port, kMsgpack);
    for (const std::string& hex : bad_msgpack) {
      CAPTURE(hex);
      CHECK(msgpack_answer(msgpack, hex) == kHead + to_hex(bin(from_hex(hex))));
    }
    msgpack.send(text_frame("hello"));
    CHECK(to_hex(msgpack.read_message()) == kHead + to_hex(bin("hello")));
  });
}

}  // namespace webshocket::test

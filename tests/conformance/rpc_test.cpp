// Calls, their errors, their order.

#include <set>

#include "tests/conformance/servers.hpp"

namespace webshocket::test {
namespace {

constexpr Dialect kDialects[] = {Dialect::msgpack, Dialect::json, Dialect::generic};

template <class Body>
void on_each(Body body) {
  on_each_shard_count([&](std::uint16_t port) {
    for (const Dialect dialect : kDialects) {
      CAPTURE(static_cast<int>(dialect));
      body(port, dialect);
    }
  });
}

struct Outcome {
  std::string text;
  int error;
  bool is_stream, is_end;

  friend bool operator==(const Outcome&, const Outcome&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
    return out << outcome.error << " " << outcome.text << " stream " << outcome.is_stream << " end "
               << outcome.is_end;
  }
};

Outcome outcome_of(WsClient& client, std::string_view method, std::string_view args = "[]",
                   std::string_view kwargs = "{}") {
  const OwnedPacket packet = client.response(client.start(method, args, kwargs));
  const RpcResponse& response = *packet->response();
  return {to_json(response.response), response.error ? static_cast<int>(*response.error) : 0,
          response.is_stream, response.is_end};
}

std::string json_answer(RawPeer& peer, std::string_view text) {
  peer.send(text_frame(text));
  return peer.read_message();
}

}  // namespace

TEST_CASE("results: positional and named arguments, every kind of value") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    CHECK(outcome_of(client, "add", "[2,3]") == Outcome{"5", 0, false, false});
    CHECK(client.call("add", "[]", R"({"b":3,"a":2})") == "5");
    CHECK(client.call("add", "[2]", R"({"b":3})") == "5");
    CHECK(client.call("add", "[-5,3]") == "-2");
    CHECK(client.call("echo", R"([{"a":[1,2.5,null,true,"x"]}])") ==
          R"({"a":[1,2.5,null,true,"x"]})");
    CHECK(client.call("echo", "[null]") == "null");
    CHECK(client.call("echo", "[]", R"({"x":"named"})") == "\"named\"");
    CHECK(client.call("echo", "[18446744073709551615]") == "18446744073709551615");
    CHECK(client.call("blob", "[5]") == "\"AAECAwQ=\"");
    CHECK(client.call("sleep", "[0]") == "\"slept\"");
    CHECK(client.call("login", R"(["ann"])") == "null");
    CHECK(client.call("whoami") == "\"ann\"");
  });
}

TEST_CASE("the errors, their texts and flags") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    CHECK(outcome_of(client, "nosuch") ==
          Outcome{"\"RPC method 'nosuch' not found.\"", -32601, false, true});
    CHECK(outcome_of(client, "", "[1]") ==
          Outcome{"\"RPC method '' not found.\"", -32601, false, true});
    const std::string long_name(4'000, 'm');
    CHECK(outcome_of(client, long_name) ==
          Outcome{"\"RPC method '" + long_name + "' not found.\"", -32601, false, true});
    CHECK(outcome_of(client, "secret") ==
          Outcome{"\"Access denied for RPC method 'secret'.\"", -32002, false, true});
    CHECK(outcome_of(client, "whoami") ==
          Outcome{"\"Access denied for RPC method 'whoami'.\"", -32002, false, true});
    CHECK(outcome_of(client, "fail", R"(["exactly this"])") ==
          Outcome{"\"exactly this\"", -32001, false, false});
    CHECK(outcome_of(client, "fail", "[\"\xc3\xa9\\n\\\"\"]") ==
          Outcome{"\"\xc3\xa9\\n\\\"\"", -32001, false, false});
    CHECK(outcome_of(client, "fail", R"([""])") == Outcome{"null", -32001, false, false});
    const Outcome crash = outcome_of(client, "crash");
    CHECK(crash.error == -32603);
    CHECK(crash.text.starts_with("\"Server error ("));
    CHECK(crash.text.ends_with("): crashed, as asked\""));
    CHECK_FALSE(crash.is_end);
    for (int i = 0; i < 3; ++i) {
      CHECK(outcome_of(client, "limited") == Outcome{"\"ok\"", 0, false, false});
    }
    for (int i = 0; i < 2; ++i) {
      CHECK(outcome_of(client, "limited") ==
            Outcome{"\"Rate limit exceeded for RPC method 'limited'.\"", -32000, false, true});
    }
    // None of them was answered twice.
    CHECK(client.call("add", "[2,3]") == "5");
    CHECK(client.events_before_now().empty());
    CHECK(client.peer().unread() == 0);
  });
}

TEST_CASE("arguments that do not fit") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    struct Case {
      const char *method, *args, *kwargs;
    };
    for (const Case& c :
         {Case{"add", "[]", "{}"}, Case{"add", "[1]", "{}"}, Case{"add", "[1,2,3]", "{}"},
          Case{"add", "[1]", R"({"a":2})"}, Case{"add", "[1,2]", R"({"c":3})"},
          Case{"add", R"([1,"2"])", "{}"}, Case{"add", "[1,null]", "{}"},
          Case{"add", "[1,true]", "{}"}, Case{"add", "[1,2.5]", "{}"}, Case{"add", "[[1],2]", "{}"},
          Case{"echo", "[]", R"({"y":1})"}, Case{"login", "[7]", "{}"}, Case{"secret_", "[]", "{}"},
          Case{"channels", "[1]", "{}"}}) {
      CAPTURE(c.method);
      CAPTURE(c.args);
      CAPTURE(c.kwargs);
      const Outcome outcome = outcome_of(client, c.method, c.args, c.kwargs);
      if (std::string_view(c.method) == "secret_") {
        CHECK(outcome.error == -32601);
        continue;
      }
      CHECK(outcome.error == -32602);
      CHECK(outcome.text.starts_with("\"Server error (TypeError): "));
      CHECK_FALSE(outcome.is_end);
    }
    CHECK(client.call("add", "[2,3]") == "5");
  });
}

TEST_CASE("access is asked before the rate, and the rate before the arguments") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    CHECK(outcome_of(client, "secret", "[1,2,3]").error == -32002);
    for (int i = 0; i < 3; ++i) CHECK(outcome_of(client, "limited", "[1]").error == -32602);
    CHECK(outcome_of(client, "limited", "[1]").error == -32000);
    CHECK(client.call("grant", R"(["admin"])") == "null");
    CHECK(client.call("secret") == "\"classified\"");
    CHECK(client.call("grant", R"(["user"])") == "null");
    CHECK(outcome_of(client, "secret").error == -32002);
    // Per connection and method.
    WsClient other(port, dialect);
    CHECK(other.call("limited") == "\"ok\"");
    CHECK(client.call("limited_hard") == "\"ok\"");
  });
}

TEST_CASE("the hard limit answers, then closes with 1013") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    for (int i = 0; i < 3; ++i) CHECK(client.call("limited_hard") == "\"ok\"");
    CHECK(client.call("limited_hard") ==
          "-32000 Rate limit exceeded for RPC method 'limited_hard'.");
    CHECK(client.peer().read_close() == Close{1013, "Rate limit exceeded"});
    client.peer().send(close_frame(1013));
    client.peer().read_end();
  });
}

TEST_CASE("kick closes with 1000 and sends no reply") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    client.start("kick");
    CHECK(client.peer().read_close() == Close{1000, ""});
    client.peer().send(close_frame(1000));
    client.peer().read_end();
  });
}

TEST_CASE("a request's keys in any order, with and without the optional ones") {
  on_each_shard_count([](std::uint16_t port) {
    RawPeer peer = open_peer(port, options_of(Dialect::json));
    const std::string five =
        R"({"source":5,"rpc":{"type":"response","call_id":"c","response":5,"error":null,"is_stream":false,"is_end":false}})";
    for (const char* rpc :
         {R"({"type":"request","method":"add","args":[2,3],"call_id":"c"})",
          R"({"args":[2,3],"call_id":"c","method":"add","type":"request"})",
          R"({"call_id":"c","kwargs":{"b":3,"a":2},"method":"add","type":"request"})",
          R"({"x":[{}],"call_id":"c","kwargs":{"b":3},"args":[2],"type":"request","method":"add"})",
          R"({"type":"request","method":"add","args":[9],"args":[2,3],"call_id":"c"})"}) {
      CAPTURE(rpc);
      CHECK(json_answer(peer, R"({"source":5,"rpc":)" + std::string(rpc) + "}") == five);
      CHECK(json_answer(peer, R"({"rpc":)" + std::string(rpc) + R"(,"data":7,"source":5})") ==
            five);
    }
  });
}

TEST_CASE("a call without an id gets a unique one; two of one id get two answers") {
  on_each_shard_count([](std::uint16_t port) {
    RawPeer peer = open_peer(port, options_of(Dialect::json));
    std::set<std::string> ids;
    for (int i = 0; i < 100; ++i) {
      const OwnedPacket packet = deserialize_json(json_answer(
          peer, R"({"source":5,"rpc":{"type":"request","method":"add","args":[2,3]}})"));
      REQUIRE(packet->response() != nullptr);
      CHECK(to_json(packet->response()->response) == "5");
      ids.emplace(packet->response()->call_id);
    }
    CHECK(ids.size() == 100);
    CHECK(ids.count("") == 0);

    WsClient client(port, Dialect::json);
    const std::string request =
        R"({"source":5,"rpc":{"type":"request","method":"add","args":[2,3],"call_id":"\u0000 odd/é"}})";
    client.send_payload(request);
    client.send_payload(request);
    const std::string id("\0 odd/\xc3\xa9", 8);
    CHECK(client.answer(id) == "5");
    CHECK(client.answer(id) == "5");
  });
}

TEST_CASE("calls start in order and run side by side; answers come as they finish") {
  on_each([](std::uint16_t port, Dialect dialect) {
    WsClient client(port, dialect);
    const std::string slow = client.start("sleep", "[300]");
    const std::string slower = client.start("sleep", "[400]");
    CHECK(client.call("add", "[2,3]") == "5");
    client.send("\"meanwhile\"");
    CHECK(client.event() == "4 \"meanwhile\"");
    CHECK_FALSE(client.has_response(slow));
    CHECK(client.answer(slow) == "\"slept\"");
    CHECK(client.answer(slower) == "\"slept\"");
    // Each sees what the one before it did.
    std::vector<std::string> ids;
    for (int i = 0; i < 50; ++i) {
      client.start("login", "[\"" + std::to_string(i) + "\"]");
      ids.push_back(client.start("whoami"));
    }
    for (int i = 0; i < 50; ++i) {
      CHECK(client.answer(ids[static_cast<std::size_t>(i)]) == "\"" + std::to_string(i) + "\"");
    }
  });
}

TEST_CASE("a client that leaves during its calls harms nobody") {
  on_each([](std::uint16_t port, Dialect dialect) {
    for (int i = 0; i < 5; ++i) {
      WsClient client(port, dialect);
      client.start("sleep", "[50]");
      client.start("count", "[1000000]");
      client.start("sleep", "[3600000]");
      if (i % 2 == 0) client.peer().reset();
    }
    check_alive(port);
  });
}

}  // namespace webshocket::test

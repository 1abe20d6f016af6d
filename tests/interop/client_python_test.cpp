// The client against a server that is not ours: another library's frames, another codec, and the
// habits of the Python framework, old and new.

#include <doctest/doctest.h>
#include <signal.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

#include <webshocket/client.hpp>

#include "tests/support/server_fixture.hpp"
#include "tests/support/server_process.hpp"

using webshocket::CallOptions;
using webshocket::Client;
using webshocket::ClientConfig;
using webshocket::CloseCode;
using webshocket::ConnectionClosedError;
using webshocket::ConnectionFailedError;
using webshocket::ConnectionState;
using webshocket::Document;
using webshocket::Format;
using webshocket::kwargs;
using webshocket::OwnedPacket;
using webshocket::OwnedRpcResponse;
using webshocket::Packet;
using webshocket::PacketSource;
using webshocket::RateLimitError;
using webshocket::Retry;
using webshocket::RpcError;
using webshocket::RpcErrorCode;
using webshocket::RpcMethodNotFoundError;
using webshocket::Task;
using webshocket::test::eventually;
using webshocket::test::run_program;
using webshocket::test::ServerProcess;
using namespace std::chrono_literals;

namespace {

using Options = std::vector<std::string>;

/// Of the server's packages: also ctest's word for a test that cannot run here.
constexpr int kMissing = 77;

const std::string& python_server() {
  static const std::string program = [] {
    std::string path = WEBSHOCKET_SOURCE_DIR "/tests/interop/python_server.py";
    if (run_program(path, {"--help"}) == kMissing) {
      std::puts("skipped: python3-websockets or python3-msgpack is missing");
      std::fflush(stdout);
      std::_Exit(kMissing);
    }
    return path;
  }();
  return program;
}

std::unique_ptr<ServerProcess> start_server(Options options = {}, std::uint16_t port = 0) {
  options.insert(options.end(), {"--port", std::to_string(port)});
  return std::make_unique<ServerProcess>(python_server(), std::move(options));
}

const Options kNew = {};
const Options kOld = {"--full", "--double-answer"};
const Options kFragments = {"--fragment", "7"};

/// Started at the first call for these options.
std::uint16_t shared_port(const Options& options) {
  static std::map<Options, std::unique_ptr<ServerProcess>> running;
  auto& server = running[options];
  if (server == nullptr) server = start_server(options);
  return server->port();
}

std::string uri_of(std::uint16_t port) { return "ws://127.0.0.1:" + std::to_string(port); }

struct Dialect {
  const char* name;
  Format format;
  bool json_in_binary;
};

constexpr Dialect kDialects[] = {{"msgpack", Format::msgpack, false},
                                 {"JSON in TEXT", Format::json, false},
                                 {"JSON in BINARY", Format::json, true}};

ClientConfig config_of(const Dialect& dialect) {
  ClientConfig config;
  config.format = dialect.format;
  config.json_in_binary = dialect.json_in_binary;
  return config;
}

/// `body(port, config)` for each kind of server and each dialect.
template <class Body>
void on_each(const std::vector<Options>& servers, Body body) {
  for (const Options& options : servers) {
    for (const Dialect& dialect : kDialects) {
      const std::string server = options.empty() ? "" : options.front();
      CAPTURE(server);
      CAPTURE(dialect.name);
      body(shared_port(options), config_of(dialect));
    }
  }
}

struct Connected {
  Connected(std::uint16_t port, ClientConfig config) : client(uri_of(port), std::move(config)) {
    client.connect();
  }
  Client* operator->() noexcept { return &client; }
  Client& operator*() noexcept { return client; }

  Client client;
};

std::vector<std::byte> pattern(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i % 251);
  return bytes;
}

/// What the call throws: the error's code and text.
template <class Call>
std::pair<RpcErrorCode, std::string> error_of(Call call) {
  try {
    call();
  } catch (const RpcError& error) {
    return {error.code(), error.what()};
  }
  throw std::runtime_error("the call did not fail");
}

using Close = std::pair<CloseCode, std::string>;

/// With what the connection ended that the call was waiting on.
template <class Call>
Close close_of(Call call) {
  try {
    call();
  } catch (const ConnectionClosedError& error) {
    return {error.code(), error.reason()};
  }
  throw std::runtime_error("the call did not fail");
}

/// How the server saw a connection end: each is told once, in order.
Close next_close(Client& client) {
  const auto [code, reason] = client.call<std::tuple<std::uint16_t, std::string>>("next_close");
  return {static_cast<CloseCode>(code), reason};
}

/// How many of this client's streams the server still has.
int running_streams(Client& client) { return client.call<std::array<int, 2>>("unfinished")[0]; }

int unanswered_pings(Client& client) { return client.call<std::array<int, 2>>("unfinished")[1]; }

std::vector<int> collect(webshocket::ClientStream<int> stream) {
  std::vector<int> chunks;
  for (const int chunk : stream) chunks.push_back(chunk);
  return chunks;
}

}  // namespace

// --- values -------------------------------------------------------------------------------------

TEST_CASE("values come back from another codec as they went") {
  on_each({kNew, kOld, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    for (const char* text : {"null",
                             "true",
                             "0",
                             "-1",
                             "127",
                             "128",
                             "-32",
                             "-33",
                             "65536",
                             "4294967296",
                             "9223372036854775807",
                             "-9223372036854775808",
                             "18446744073709551615",
                             "0.1",
                             "1.0",
                             "-1e300",
                             R"("")",
                             R"("é😀\u0000\"\\")",
                             "[]",
                             "{}",
                             R"([[1,[2,{"a":[null,"b"]}]],3])",
                             R"({"name":"n","list":[1,2.5,"x",false]})"}) {
      CAPTURE(text);
      const Document value = webshocket::from_json(text);
      CHECK(client->send_rpc("echo", *value)->response == *value);
      client->send(*value);
      const OwnedPacket packet = client->recv();
      CHECK(packet->source == PacketSource::custom);
      CHECK(packet->data == *value);
    }
  });
}

TEST_CASE("bytes are bytes in msgpack and base64 in JSON") {
  on_each({kNew, kOld, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    if (config.format == Format::msgpack) {
      for (const std::size_t size : {0U, 1U, 31U, 32U, 255U, 256U, 3'000U}) {
        CHECK(client->call<std::vector<std::byte>>("blob", size) == pattern(size));
        CHECK(client->call<std::vector<std::byte>>("echo", pattern(size)) == pattern(size));
      }
      const std::map<int, std::string> by_number = {{1, "one"}, {-70'000, "few"}};
      const Document expected = Document::of(by_number);
      CHECK(client->send_rpc("echo", by_number)->response == *expected);
    } else {
      CHECK(client->call<std::string>("blob", 5) == "AAECAwQ=");
      CHECK(client->call<std::string>("echo", pattern(5)) == "AAECAwQ=");
    }
  });
}

TEST_CASE("arguments go by position and by name") {
  on_each({kNew, kOld, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    CHECK(client->call<int>("add", 2, 3) == 5);
    CHECK(client->call<int>("add", kwargs("a", 2, "b", 3)) == 5);
    CHECK(client->call<int>("add", 2, kwargs("b", 3)) == 5);
    client->call<void>("login", "Zoë");
    CHECK(client->call<std::string>("whoami") == "Zoë");
    CHECK_THROWS_AS(client->call<int>("whoami"), webshocket::PacketValidationError);
  });
}

TEST_CASE("messages of every length go both ways, up to 16 MiB and beyond") {
  on_each({kNew}, [](std::uint16_t port, ClientConfig config) {
    constexpr std::size_t kSize = 16 * 1024 * 1024;
    config.max_message = 2 * kSize;
    Connected client(port, config);
    // Around the lengths at which frames change their form, the envelope included.
    for (std::size_t size = 0; size < 140; ++size) {
      CHECK(client->call<std::string>("echo", std::string(size, 'x')).size() == size);
    }
    for (std::size_t size = 65'536 - 140; size < 65'536 + 2; ++size) {
      CHECK(client->call<std::string>("echo", std::string(size, 'x')).size() == size);
    }
    const std::string text(kSize, 'x');
    CHECK((client->call<std::string>("echo", text) == text));
    client->send(text);
    CHECK((client->recv()->data == webshocket::Value::of(text)));
    if (config.format == Format::msgpack) {
      CHECK((client->call<std::vector<std::byte>>("blob", kSize) == pattern(kSize)));
      CHECK((client->call<std::vector<std::byte>>("echo", pattern(kSize)) == pattern(kSize)));
    }
  });
}

// --- errors -------------------------------------------------------------------------------------

TEST_CASE("every error arrives with its code and its text, and only once") {
  on_each({kNew, kOld, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    using Error = std::pair<RpcErrorCode, std::string>;
    CHECK(error_of([&] { client->call<void>("nosuch"); }) ==
          Error(RpcErrorCode::method_not_found, "RPC method 'nosuch' not found."));
    CHECK_THROWS_AS(client->call<void>("nosuch"), RpcMethodNotFoundError);
    CHECK(error_of([&] { client->call<void>("secret"); }) ==
          Error(RpcErrorCode::access_denied, "Access denied for RPC method 'secret'."));
    CHECK(
        error_of([&] { client->call<void>("add", "x", 1); }) ==
        Error(RpcErrorCode::invalid_params, "Server error (TypeError): add() takes two integers"));
    CHECK(error_of([&] { client->call<void>("crash"); }) ==
          Error(RpcErrorCode::internal_server_error,
                "Server error (RuntimeError): crashed, as asked"));
    CHECK(error_of([&] { client->call<void>("fail", "nö"); }) ==
          Error(RpcErrorCode::application_error, "nö"));
    CHECK(error_of([&] { client->call<void>("fail", ""); }).first ==
          RpcErrorCode::application_error);
    for (int i = 0; i < 3; ++i) CHECK(client->call<std::string>("limited") == "ok");
    CHECK(
        error_of([&] { client->call<void>("limited"); }) ==
        Error(RpcErrorCode::rate_limit_exceeded, "Rate limit exceeded for RPC method 'limited'."));
    CHECK_THROWS_AS(client->call<void>("limited"), RateLimitError);

    const OwnedRpcResponse refused = client->send_rpc("limited");
    CHECK_FALSE(refused.ok());
    CHECK(refused->error == RpcErrorCode::rate_limit_exceeded);
    CallOptions strict;
    strict.raise_on_rate_limit = true;
    CHECK_THROWS_AS(client->send_rpc(strict, "limited"), RateLimitError);

    client->send("next");  // comes back after all second answers
    CHECK(client->recv()->data == webshocket::Value::of("next"));
    const bool answers_twice = port == shared_port(kOld);
    CHECK(client->stats().answers_unwanted == (answers_twice ? 7 : 0));
    CHECK(client->stats().calls_in_flight == 0);
    CHECK(client->call<int>("add", 2, 3) == 5);
  });
}

TEST_CASE("a session's rights come with its calls") {
  on_each({kNew, kOld}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    client->call<void>("grant", "guest");
    CHECK_THROWS_AS(client->call<void>("secret"), RpcError);
    client->call<void>("grant", "admin");
    CHECK(client->call<std::string>("secret") == "classified");
  });
}

// --- calls at once ------------------------------------------------------------------------------

TEST_CASE("a slow call holds nothing up, and answers find their calls") {
  on_each({kNew, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    std::stop_source stop;
    CallOptions options;
    options.stop = stop.get_token();
    std::jthread slow([&] {
      CHECK_THROWS_AS(client->call<void>(options, "sleep", 3'600'000), webshocket::Cancelled);
    });
    std::vector<std::jthread> callers;
    for (int n = 0; n < 4; ++n) {
      callers.emplace_back([&client, n] {
        for (int i = 0; i < 100; ++i) CHECK(client->call<int>("add", i, n) == i + n);
      });
    }
    callers.clear();
    stop.request_stop();
    slow.join();
    CallOptions impatient;
    impatient.timeout = 1ms;
    CHECK_THROWS_AS(client->call<void>(impatient, "sleep", 3'600'000), webshocket::RpcTimeoutError);
    CHECK(client->call<int>("add", 2, 3) == 5);
  });
}

namespace {

Task<std::vector<int>> streamed(Client& client, int count) {
  std::vector<int> chunks;
  auto stream = client.stream_async<int>("count", count);
  while (const int* chunk = co_await stream.next()) chunks.push_back(*chunk);
  co_return chunks;
}

}  // namespace

TEST_CASE("coroutines call, stream, send and receive") {
  on_each({kNew, kOld, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    std::vector<std::future<int>> calls;
    for (int i = 0; i < 200; ++i) {
      calls.push_back(client->loop().spawn(client->call_async<int>("add", i, 1)));
    }
    for (int i = 0; i < 200; ++i) CHECK(calls[static_cast<std::size_t>(i)].get() == i + 1);
    CHECK(client->loop().run(streamed(*client, 3)) == std::vector{0, 1, 2});
    client->loop().run(client->send_async("hi"));
    CHECK(client->loop().run(client->recv_async())->data == webshocket::Value::of("hi"));
  });
}

// --- streams ------------------------------------------------------------------------------------

TEST_CASE("a stream gives each chunk once, though its end repeats the last") {
  on_each({kNew, kOld, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    CHECK(collect(client->stream<int>("count", 0)).empty());
    CHECK(collect(client->stream<int>("count", 1)) == std::vector{0});
    CHECK(collect(client->stream<int>("count", kwargs("n", 3))) == std::vector{0, 1, 2});
    std::vector<int> expected(300);  // more than wait at once
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(collect(client->stream<int>("count", 300)) == expected);
  });
}

TEST_CASE("streams and calls run side by side") {
  on_each({kNew, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    auto left = client->stream<int>("count", 100);
    auto right = client->stream<int>("count", 100);
    for (int i = 0; i < 100; ++i) {
      CHECK(left.next() == i);
      CHECK(client->call<int>("add", i, 1) == i + 1);
      CHECK(right.next() == i);
    }
    CHECK_FALSE(left.next());
    CHECK_FALSE(right.next());
  });
}

TEST_CASE("a stream that breaks gives what came before, then the error") {
  on_each({kNew, kOld, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    auto stream = client->stream<int>("count", 2, true);
    CHECK(stream.next() == 0);
    CHECK(stream.next() == 1);
    using Error = std::pair<RpcErrorCode, std::string>;
    CHECK(error_of([&] { stream.next(); }) ==
          Error(RpcErrorCode::internal_server_error, "\nStream aborted: crashed, as asked"));
    CHECK_FALSE(stream.next());
    CHECK(error_of([&] { client->stream<int>("count").next(); }).first ==
          RpcErrorCode::internal_server_error);
  });
}

TEST_CASE("a stream of what is none ends, and so does a call of a stream") {
  on_each({kNew, kOld}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    CHECK(collect(client->stream<int>("add", 2, 3)) == std::vector{5});
    CHECK_THROWS_AS(client->stream<int>("nosuch").next(), RpcMethodNotFoundError);
    CHECK(error_of([&] { client->stream<int>("secret").next(); }).first ==
          RpcErrorCode::access_denied);
    for (int i = 0; i < 3; ++i) client->call<void>("limited");
    CHECK_THROWS_AS(client->stream<int>("limited").next(), RateLimitError);
    CHECK_THROWS_AS(client->call<int>("count", 1'000'000'000), webshocket::WebSocketError);
    CHECK(running_streams(*client) == 0);
  });
}

TEST_CASE("a stream that is left early ends at the server") {
  on_each({kNew, kOld, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    {
      auto stream = client->stream<int>("count", 1'000'000'000);
      for (int i = 0; i < 300; ++i) CHECK(stream.next() == i);
    }
    CHECK(running_streams(*client) == 0);
    { auto unread = client->stream<int>("count", 1'000'000'000); }
    std::stop_source stop;
    CallOptions options;
    options.stop = stop.get_token();
    auto stream = client->stream<int>(options, "count", 1'000'000'000);
    CHECK(stream.next() == 0);
    stop.request_stop();
    CHECK_THROWS_AS(collect(std::move(stream)), webshocket::Cancelled);
    CHECK(running_streams(*client) == 0);
  });
}

// --- packets ------------------------------------------------------------------------------------

TEST_CASE("packets keep their order among answers") {
  on_each({kNew, kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    for (int i = 0; i < 100; ++i) {
      client->send(i);
      if (i % 10 == 0) CHECK(client->call<int>("add", i, 1) == i + 1);
    }
    for (int i = 0; i < 100; ++i) CHECK(client->recv()->data.as<int>() == i);
    CHECK_THROWS_AS(client->recv(1ms), webshocket::ReceiveTimeoutError);
  });
}

TEST_CASE("what is published reaches whom it is for, across dialects") {
  for (const Options& options : {kNew, kOld, kFragments}) {
    const std::uint16_t port = shared_port(options);
    Connected publisher(port, config_of(kDialects[0]));
    CHECK(publisher->call<bool>("join", "room"));
    for (const Dialect& dialect : kDialects) {
      CAPTURE(dialect.name);
      Connected reader(port, config_of(dialect));
      CHECK(reader->call<bool>("join", "ro*"));
      CHECK(reader->call<bool>("join", "room"));
      CHECK(reader->call<std::vector<std::string>>("channels") ==
            std::vector<std::string>{"ro*", "room"});
      const Document news = webshocket::from_json(R"({"m":1,"text":"é😀"})");
      publisher->call<void>("publish", "room", *news);
      publisher->call<void>("publish", "elsewhere", 1);
      publisher->call<void>("broadcast", "yo", kwargs("exclude_self", true));
      for (Client* client : {&*publisher, &*reader}) {
        const OwnedPacket packet = client->recv();
        CHECK(packet->source == PacketSource::channel);
        CHECK(packet->channel == "room");
        CHECK(packet->data == *news);
      }
      const OwnedPacket packet = reader->recv();
      CHECK(packet->source == PacketSource::broadcast);
      CHECK(packet->data == webshocket::Value::of("yo"));
      reader->call<void>("leave", "ro*");
      reader->call<void>("leave", "room");
      CHECK(reader->call<std::vector<std::string>>("channels").empty());
      for (const char* name : {"1", "2", "3", "4", "5"}) CHECK(reader->call<bool>("join", name));
      CHECK_FALSE(reader->call<bool>("join", "6"));
    }
  }
}

TEST_CASE("on_receive gets what answers no call") {
  on_each({kNew, kOld, kFragments}, [](std::uint16_t port, ClientConfig config) {
    std::mutex mutex;
    std::vector<std::string> received;
    config.on_receive = [&](Client&, const Packet& packet) {
      const std::lock_guard lock(mutex);
      received.push_back(packet.data.as<std::string>());
    };
    Connected client(port, config);
    client->send("one");
    client->send("two");
    client->call<void>("echo", 1);  // its answer comes behind them
    const std::lock_guard lock(mutex);
    CHECK(received == std::vector<std::string>{"one", "two"});
  });
}

TEST_CASE("PINGs between fragments are answered") {
  on_each({kFragments}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    CHECK(client->call<std::string>("echo", std::string(10'000, 'x')).size() == 10'000);
    CHECK(unanswered_pings(*client) == 0);
  });
}

// --- the end ------------------------------------------------------------------------------------

TEST_CASE("the code and the reason of the server's CLOSE arrive") {
  for (const Dialect& dialect : kDialects) {
    for (const int code : {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
                           3000, 4001, 4999}) {
      CAPTURE(code);
      std::promise<Close> event;
      ClientConfig config = config_of(dialect);
      config.on_disconnect = [&](Client&, CloseCode closed, std::string_view reason) {
        event.set_value({closed, std::string(reason)});
      };
      const Close expected = {static_cast<CloseCode>(code), "bye, Zoë"};
      Connected client(shared_port(kNew), config);
      CHECK(close_of([&] { client->call<void>("kick", code, "bye, Zoë"); }) == expected);
      CHECK(client->state() == ConnectionState::closed);
      CHECK_THROWS_AS(client->call<void>("echo", 1), ConnectionClosedError);
      CHECK_THROWS_AS(client->send(1), ConnectionClosedError);
      CHECK_THROWS_AS(client->recv(), ConnectionClosedError);
      CHECK(event.get_future().get() == expected);
    }
  }
}

TEST_CASE("a call that is cut off for its rate fails with the connection") {
  on_each({kNew}, [](std::uint16_t port, const ClientConfig& config) {
    Connected client(port, config);
    for (int i = 0; i < 3; ++i) CHECK(client->call<std::string>("limited_hard") == "ok");
    CHECK(close_of([&] { client->call<void>("limited_hard"); }) ==
          Close(CloseCode::try_again_later, "Rate limit exceeded"));
  });
}

TEST_CASE("the server sees why a client goes") {
  const auto server = start_server();
  Connected watcher(server->port(), {});
  for (const Dialect& dialect : kDialects) {
    const ClientConfig config = config_of(dialect);
    {
      Connected client(server->port(), config);
      client->close();
      CHECK(client->state() == ConnectionState::closed);
      CHECK(next_close(*watcher) == Close(CloseCode::normal, "Client is closing the connection."));
      client->connect();
      CHECK(client->call<int>("add", 2, 3) == 5);
      client->close(static_cast<CloseCode>(4002), "done");
      CHECK(next_close(*watcher) == Close(static_cast<CloseCode>(4002), "done"));
    }
    { const Connected destroyed(server->port(), config); }
    CHECK(next_close(*watcher).first == CloseCode::normal);

    ClientConfig narrow = config;
    narrow.max_message = 10'000;
    Connected client(server->port(), narrow);
    CHECK(close_of([&] { client->call<void>("echo", std::string(20'000, 'x')); }).first ==
          CloseCode::message_too_big);
    CHECK(next_close(*watcher).first == CloseCode::message_too_big);
  }
}

TEST_CASE("a server that stops says so, and what waits ends at once") {
  const auto server = start_server();
  std::vector<std::unique_ptr<Connected>> clients;
  for (const Dialect& dialect : kDialects) {
    clients.push_back(std::make_unique<Connected>(server->port(), config_of(dialect)));
  }
  std::vector<std::future<void>> calls;
  for (auto& connected : clients) {
    Client& client = **connected;
    calls.push_back(client.loop().spawn(client.call_async<void>("sleep", 3'600'000)));
    client.call<void>("echo", 1);  // the server has the other one
  }
  CHECK(server->terminate() == 0);
  for (std::future<void>& call : calls) {
    CHECK(close_of([&] { call.get(); }).first == CloseCode::going_away);
  }
}

TEST_CASE("a server that dies leaves no call waiting") {
  const auto server = start_server();
  Connected client(server->port(), {});
  auto stream = client->stream<int>("count", 1'000'000'000);
  CHECK(stream.next() == 0);
  server->signal(SIGKILL);
  CHECK(close_of([&] { collect(std::move(stream)); }).first == CloseCode::abnormal);
  CHECK_THROWS_AS(client->call<void>("echo", 1), ConnectionClosedError);
  CHECK_THROWS_AS(client->connect(), ConnectionFailedError);
}

TEST_CASE("whoever learns of a loss may connect again before it is over") {
  auto server = start_server();
  const std::uint16_t port = server->port();
  ClientConfig config;
  config.on_disconnect = [](Client& client, CloseCode, std::string_view) {
    eventually([&] { return client.state() == ConnectionState::connecting; }, "connect()");
  };
  Connected client(port, config);
  server->signal(SIGKILL);
  server->wait();
  server = start_server({}, port);
  CHECK_THROWS_AS(client->call<void>("sleep", 3'600'000), ConnectionClosedError);
  client->connect();
  client->send(1);
  CHECK(client->recv()->data.as<int>() == 1);
}

// --- the beginning ------------------------------------------------------------------------------

TEST_CASE("a full server is told apart from none") {
  const auto server = start_server({"--max-connection", "1"});
  Connected first(server->port(), {});
  Client second(uri_of(server->port()));
  try {
    second.connect();
    FAIL("connected");
  } catch (const ConnectionFailedError& error) {
    CHECK(error.http_status() == 503);
    CHECK(error.tries().size() == 1);
  }
  Retry retry;
  retry.interval = 1ms;
  retry.jitter = 0ms;
  try {
    second.connect(retry);
    FAIL("connected");
  } catch (const ConnectionFailedError& error) {
    CHECK(error.tries().size() == 3);
  }
  first->close();
  retry.attempts = 0;
  second.connect(retry);
  CHECK(second.call<int>("add", 2, 3) == 5);
}

TEST_CASE("a server is found by its name, whatever the path") {
  Client client("ws://localhost:" + std::to_string(shared_port(kNew)) + "/any/path?and=query");
  client.connect();
  CHECK(client.call<int>("add", 2, 3) == 5);
}

TEST_CASE("a raw client says what it likes") {
  ClientConfig config;
  config.format = Format::raw;
  Connected generic(shared_port(kFragments), config);
  generic->send("no packet");
  const OwnedPacket packet = generic->recv();
  CHECK(packet->source == PacketSource::unknown);
  CHECK(*packet.decode() == *webshocket::from_json(R"({"source":4,"data":"bm8gcGFja2V0"})"));
  config.subprotocols = {"unheard.of", "webshocket.v1.json"};
  Connected text(shared_port(kFragments), config);
  text->send(webshocket::from_json(R"({"source":4,"data":"Zoë"})"));
  CHECK(text->recv()->data == webshocket::Value::of(R"({"source":4,"data":"Zoë"})"));
}

/// What the call gives once it does not find the connection lost.
template <class Call>
auto once_mended(Client& client, Call call) {
  for (;;) {
    client.wait_connected();
    try {
      return call();
    } catch (const ConnectionClosedError&) {
      // The loss was not known yet.
    }
  }
}

TEST_CASE("a lost connection is mended, also with a server that was started anew") {
  auto server = start_server();
  const std::uint16_t port = server->port();
  int connects = 0;
  ClientConfig config;
  Retry retry;
  retry.attempts = 0;
  retry.interval = 1ms;
  retry.max_interval = 50ms;
  retry.jitter = 0ms;
  config.reconnect = retry;
  config.on_connect = [&connects](Client& client) -> Task<void> {
    ++connects;
    co_await client.call_async<bool>("join", "room");
  };
  Connected client(port, config);
  const auto channels = [&] { return client->call<std::vector<std::string>>("channels"); };
  CHECK_THROWS_AS(client->call<void>("kick", 1012), ConnectionClosedError);
  CHECK(once_mended(*client, channels) == std::vector<std::string>{"room"});
  server->signal(SIGKILL);
  server->wait();
  server = start_server({}, port);
  CHECK(once_mended(*client, channels) == std::vector<std::string>{"room"});
  client->close();
  CHECK(connects == 3);
}

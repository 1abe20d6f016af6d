// The client in all its forms, against servers of its own.

#include <webshocket/webshocket.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ws = webshocket;
using namespace std::chrono_literals;

namespace {

struct Quote {
  std::string symbol;
  double price = 0;
  WEBSHOCKET_FIELDS(Quote, symbol, price)
};

class Market : public ws::Handler {
 public:
  Market() {
    rpc("add", [](int a, int b) { return a + b; }).params("a", "b");
    rpc("price", &Market::price).params("symbol");
    rpc("watch", &Market::watch).params("pattern");
    rpc("tell", &Market::tell).params("symbol", "price");
    rpc("count", &Market::count).params("n");
    rpc("report", [] { return 1; }).rate_limit(1, "1m");
  }

  void on_receive(ws::Connection& conn, const ws::Packet& packet) override {
    conn.send(packet.data);
  }

 private:
  Quote price(ws::Connection&, std::string symbol) {
    if (symbol.empty()) throw ws::RpcError("a symbol has letters");
    return {symbol, 12.5};
  }
  bool watch(ws::Connection& conn, std::string pattern) { return conn.subscribe(pattern); }
  bool tell(ws::Connection&, std::string symbol, double price) {
    return publish("quote." + symbol, Quote{symbol, price});
  }
  ws::Stream<int> count(ws::Connection&, int n) {
    for (int i = 0; i < n; ++i) co_yield i;
  }
};

bool all_as_said = true;

void expect(bool as_said, std::string_view what) {
  if (as_said) return;
  all_as_said = false;
  std::cout << "not so: " << what << '\n';
}

void first_steps(const std::string& uri) {
  ws::Client client(uri);  // ws://127.0.0.1:5000
  client.connect();

  const int sum = client.call<int>("add", 1, 2);
  const auto quote = client.call<Quote>("price", ws::kwargs("symbol", "ACME"));

  for (const int n : client.stream<int>("count", 5)) std::cout << n << ' ';

  client.send("anybody there?");
  const ws::OwnedPacket packet = client.recv();
  std::cout << packet->data << '\n';

  client.close();

  expect(sum == 3 && quote.price == 12.5, "first steps");
  expect(packet->data.string() == "anybody there?", "the echo");
}

void errors(const std::string& uri) {
  ws::Client client(uri);
  client.connect();

  try {
    client.call<Quote>("price", "");
  } catch (const ws::RpcMethodNotFoundError&) {
    std::cout << "the server is an older one\n";
  } catch (const ws::RateLimitError&) {
    std::cout << "not so fast\n";
  } catch (const ws::RpcError& error) {  // everything else that the server answers
    std::cout << static_cast<int>(error.code()) << ' ' << error.what() << '\n';
  } catch (const ws::RpcTimeoutError&) {
    std::cout << "no answer in time\n";
  } catch (const ws::ConnectionClosedError& error) {
    std::cout << "closed with " << static_cast<int>(error.code()) << ' ' << error.reason() << '\n';
  }

  const ws::OwnedRpcResponse response = client.send_rpc("price", "");
  if (!response.ok()) std::cout << response->response << '\n';

  client.call<int>({.timeout = 500ms}, "add", 1, 2);

  expect(!response.ok() && response->error == ws::RpcErrorCode::application_error, "the error");
}

void packets_as_events(const std::string& uri) {
  std::promise<Quote> first;
  std::atomic<bool> is_first = true;
  ws::ClientConfig config;
  config.on_connect = [](ws::Client& client) -> ws::Task<void> {
    co_await client.call_async<bool>("watch", "quote.*");
  };
  config.on_receive = [&](ws::Client&, const ws::Packet& packet) {
    if (is_first.exchange(false)) first.set_value(packet.data.as<Quote>());
  };
  config.on_disconnect = [](ws::Client&, ws::CloseCode code, std::string_view reason) {
    std::cout << "gone: " << static_cast<int>(code) << ' ' << reason << '\n';
  };
  config.reconnect = ws::Retry{.attempts = 0, .interval = 1s, .max_interval = 30s};

  ws::Client client(uri, config);
  client.connect({.attempts = 5, .interval = 200ms, .deadline = 10s});

  client.call<bool>("tell", "ACME", 13.0);
  expect(first.get_future().get().price == 13.0, "the quote");
}

ws::Task<int> sum_of_counts(ws::Client& client) {
  co_await client.connect_async();
  int sum = co_await client.call_async<int>("add", 40, 2);
  auto numbers = client.stream_async<int>("count", 10);
  while (const int* n = co_await numbers.next()) sum += *n;
  co_return sum;
}

void many_on_one_loop(const std::string& uri) {
  const ws::ClientLoop loop;
  const auto config = std::make_shared<const ws::ClientConfig>();
  std::vector<std::unique_ptr<ws::Client>> clients;
  std::vector<std::future<int>> sums;
  for (int i = 0; i < 100; ++i) {
    clients.push_back(std::make_unique<ws::Client>(uri, config, loop));
    sums.push_back(loop.spawn(sum_of_counts(*clients.back())));
  }
  for (auto& sum : sums) expect(sum.get() == 87, "a sum");
}

class Broker : public ws::Handler {
 public:
  explicit Broker(std::string market_uri)
      : market_(market_uri, {.reconnect = ws::Retry{.attempts = 0}}, ws::ClientLoop::current()) {
    rpc("ask", &Broker::ask).params("symbol");
  }

 private:
  ws::Task<double> ask(ws::Connection&, std::string symbol) {
    co_await market_.connect_async();  // at once if it is open already
    const auto quote = co_await market_.call_async<Quote>("price", symbol);
    co_return quote.price;
  }

  ws::Client market_;  // one per shard, on the shard's own loop
};

void server_as_client(const std::string& uri) {
  ws::Server server({.shards = 2}, ws::per_shard<Broker>(uri));
  server.start();
  ws::Client client("ws://127.0.0.1:" + std::to_string(server.port()));
  client.connect();
  expect(client.call<double>("ask", "ACME") == 12.5, "the broker's answer");
}

}  // namespace

int main() {
  ws::Server server({.shards = 2}, ws::per_shard<Market>());
  server.start();
  const std::string uri = "ws://127.0.0.1:" + std::to_string(server.port());
  first_steps(uri);
  errors(uri);
  packets_as_events(uri);
  many_on_one_loop(uri);
  server_as_client(uri);
  std::cout << (all_as_said ? "all as said\n" : "some of it is not so\n");
  return all_as_said ? EXIT_SUCCESS : EXIT_FAILURE;
}

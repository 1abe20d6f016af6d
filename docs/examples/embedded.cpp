// A server inside a service that has threads of its own. Runs for a moment and ends.

#include <webshocket/webshocket.hpp>

#include <atomic>
#include <chrono>
#include <iostream>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace ws = webshocket;
using namespace std::chrono_literals;

struct Quote {
  std::string symbol;
  double price = 0;
  WEBSHOCKET_FIELDS(Quote, symbol, price)
};

/// The service's own order book: thread-safe by its own contract.
class Book {
 public:
  void set(const Quote& quote) {
    const std::scoped_lock lock(mutex_);
    prices_[quote.symbol] = quote.price;
  }
  std::vector<Quote> snapshot(const std::vector<std::string>& symbols) const {
    const std::scoped_lock lock(mutex_);
    std::vector<Quote> quotes;
    for (const auto& symbol : symbols) {
      const auto found = prices_.find(symbol);
      if (found != prices_.end()) quotes.push_back({symbol, found->second});
    }
    return quotes;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, double> prices_;
};

class Quotes : public ws::Handler {
 public:
  explicit Quotes(const Book& book) : book_(book) {
    rpc("watch", &Quotes::watch).params("symbols");
  }

 private:
  ws::Task<std::vector<Quote>> watch(ws::Connection& conn, std::vector<std::string> symbols) {
    for (const auto& symbol : symbols) {
      if (!conn.subscribe("quote." + symbol)) throw ws::RpcError("That is too many symbols.");
    }
    co_return co_await ws::offload([&] { return book_.snapshot(symbols); });  // off the loop
  }

  const Book& book_;
};

int main() {
  Book book;
  ws::Server server({.port = 0, .shards = 2}, ws::per_shard<Quotes>(std::cref(book)));
  server.start();  // returns when it listens; the shards run on threads of their own

  std::atomic<int> refused = 0;
  std::jthread feed([&](std::stop_token stop) {  // a thread webshocket knows nothing of
    for (double price = 100; !stop.stop_requested(); price += 0.01) {
      const Quote quote{"ACME", price};
      book.set(quote);
      if (!server.publish("quote." + quote.symbol, quote)) ++refused;  // encoded on this thread
      std::this_thread::sleep_for(1ms);
    }
  });

  std::this_thread::sleep_for(100ms);  // the rest of the service
  std::cout << "served on port " << server.port() << ", " << refused << " quotes refused\n";
  return refused == 0 ? 0 : 1;
}  // ~jthread stops the feed, then ~Server drains

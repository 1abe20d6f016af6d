// Many clients on one loop: opened, each calls once, closed. Prints JSON: times, memory per client.
//
//     clients ws://127.0.0.1:5000 --clients 9000,18000
//
// The server must have the methods of tools/conformance_server. Clients connect from 127.0.0.2 and
// on, so that the ports of one address are no limit.

#include <malloc.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <webshocket/webshocket.hpp>

namespace ws = webshocket;

namespace {

using Clock = std::chrono::steady_clock;
using Clients = std::vector<std::unique_ptr<ws::Client>>;

constexpr std::size_t kAtOnce = 256;
constexpr std::size_t kPerAddress = 4000;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::size_t resident_bytes() {
  std::size_t total = 0;
  std::size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

std::size_t allocated_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

/// One of several that walk the list together: what one has begun, no other takes.
ws::Task<void> open_some(Clients& clients, std::size_t& next) {
  while (next < clients.size()) co_await clients[next++]->connect_async();
}

ws::Task<void> call_some(Clients& clients, std::size_t& next) {
  while (next < clients.size()) {
    const auto number = static_cast<int>(next);
    const int answer = co_await clients[next++]->call_async<int>("add", number, 1);
    if (answer != number + 1) throw ws::WebSocketError("a wrong answer");
  }
}

ws::Task<void> close_some(Clients& clients, std::size_t& next) {
  while (next < clients.size()) co_await clients[next++]->close_async();
}

/// Runs a step for all clients, many at once; how long that took, in seconds.
template <class Step>
double for_all(const ws::ClientLoop& loop, Clients& clients, Step step) {
  const auto start = Clock::now();
  std::size_t next = 0;
  std::vector<std::future<void>> walkers;
  for (std::size_t i = 0; i < kAtOnce; ++i) walkers.push_back(loop.spawn(step(clients, next)));
  for (auto& walker : walkers) walker.get();
  return seconds_since(start);
}

void measure(const std::string& uri, const std::string& ca_file, std::size_t count, bool is_first) {
  const ws::ClientLoop loop;
  loop.post([] {});
  std::vector<std::shared_ptr<const ws::ClientConfig>> configs;
  for (std::size_t i = 0; i * kPerAddress < count; ++i) {
    ws::ClientConfig config;
    config.local_address = "127.0.0." + std::to_string(2 + i);
    config.ping_interval = std::chrono::minutes(10);
    config.tls.ca_file = ca_file;
    configs.push_back(std::make_shared<const ws::ClientConfig>(std::move(config)));
  }
  const std::size_t resident = resident_bytes();
  const std::size_t allocated = allocated_bytes();
  const auto start = Clock::now();
  Clients clients;
  clients.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(std::make_unique<ws::Client>(uri, configs[i / kPerAddress], loop));
  }
  const double made = seconds_since(start);
  const double opened = for_all(loop, clients, open_some);
  const auto of_each = [&](std::size_t now, std::size_t before) {
    return (now - std::min(now, before)) / count;
  };
  const std::size_t allocated_each = of_each(allocated_bytes(), allocated);
  const std::size_t resident_each = of_each(resident_bytes(), resident);
  const double called = for_all(loop, clients, call_some);
  const std::size_t allocated_each_later = of_each(allocated_bytes(), allocated);
  const double closed = for_all(loop, clients, close_some);
  const auto end = Clock::now();
  clients.clear();
  std::printf(
      "%s{\"clients\":%zu,\"made_s\":%.3f,\"opened_s\":%.3f,\"called_s\":%.3f,\"closed_s\":%.3f,"
      "\"destroyed_s\":%.3f,\"allocated_bytes_each\":%zu,\"resident_bytes_each\":%zu,"
      "\"allocated_bytes_each_after_call\":%zu}",
      is_first ? "" : ",\n ", count, made, opened, called, closed, seconds_since(end),
      allocated_each, resident_each, allocated_each_later);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  std::string uri;
  std::string ca_file;
  std::vector<std::size_t> counts{1000};
  CLI::App app{"Opens many clients on one loop; each calls once; closes them."};
  app.add_option("uri", uri, "of the server")->required();
  app.add_option("--clients", counts, "how many; several numbers are measured in turn")
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--ca", ca_file, "PEM: whom a wss:// server must be vouched for by");
  CLI11_PARSE(app, argc, argv);
  try {
    std::printf("[");
    for (std::size_t i = 0; i < counts.size(); ++i) measure(uri, ca_file, counts[i], i == 0);
    std::printf("]\n");
  } catch (const std::exception& error) {
    std::cerr << "clients: " << error.what() << "\n";
    return 1;
  }
  return 0;
}

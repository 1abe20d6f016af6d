#include "soak.hpp"

#include <webshocket/webshocket.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <thread>
#include <utility>

#include "audit.hpp"
#include "certificate.hpp"
#include "stats_page.hpp"
#include "tools/wsbench/clock.hpp"
#include "tools/wsbench/failure.hpp"

namespace wssoak {
namespace {

using namespace std::chrono_literals;
using wsbench::now_ns;

constexpr std::uint64_t kSteer = wsbench::kSecond;  ///< between two looks at the machine's load

std::uint64_t own_cpu_ns() noexcept {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return wsbench::nanoseconds_of(time);
}

double mib(std::uint64_t bytes) { return static_cast<double>(bytes) / (1024.0 * 1024.0); }
double ms(std::uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / static_cast<double>(wsbench::kMillisecond);
}

/// As one word for a shell.
std::string shell_word(const std::string& text) {
  std::string word = "'";
  for (const char one : text) word += one == '\'' ? std::string("'\\''") : std::string(1, one);
  return word + "'";
}

std::size_t or_cores(std::size_t number) {
  return number != 0 ? number : std::max(1U, std::thread::hardware_concurrency());
}

std::uint16_t port_of(const std::string& uri) {
  return static_cast<std::uint16_t>(std::stoul(uri.substr(uri.rfind(':') + 1)));
}

}  // namespace

Soak::Soak(const SoakOptions& options, const std::atomic<bool>& interrupted)
    : options_(options),
      interrupted_(interrupted),
      progress_(options.quiet),
      governor_(options.load) {
  std::filesystem::create_directories(options.folder);
  CrewPlan plan;
  plan.place.ca_file = options.folder + "/certificate.pem";
  write_certificate(plan.place.ca_file);
  wsbench::ServerSpec spec;
  spec.command = shell_word(std::filesystem::read_symlink("/proc/self/exe").string()) +
                 " serve --port {port} --cert " + shell_word(plan.place.ca_file) + " --shards " +
                 std::to_string(options.shards);
  server_ = std::make_unique<wsbench::ServerProcess>(spec);
  port_ = port_of(server_->uri());
  plan.place.plain_port = port_;
  plan.place.secure_port = static_cast<std::uint16_t>(number(numbers(), "tls_port"));
  if (!options.gentle) {
    plain_cutter_ = std::make_unique<Cutter>(plan.place.plain_port, options.seed);
    secure_cutter_ = std::make_unique<Cutter>(plan.place.secure_port, options.seed + 1);
    plan.place.plain_cutter = plain_cutter_->port();
    plan.place.secure_cutter = secure_cutter_->port();
  }
  plan.clients = options.clients;
  plan.crews = or_cores(options.loops);
  plan.seed = options.seed;
  plan.gentle = options.gentle;
  for (plan.number = 0; plan.number < plan.crews; ++plan.number) {
    crews_.push_back(std::make_unique<Crew>(plan));
  }
  for (const auto& crew : crews_) crew->open();
}

Findings Soak::run() {
  try {
    load();
    come_to_rest();
    check_exactly();
    leave();
  } catch (const std::exception& failure) {
    // What was seen until then is worth a report.
    fault(failure.what());
    findings_.tally = past_.tally;
  }
  judge(findings_, options_);
  return std::move(findings_);
}

void Soak::load() {
  past_ = past_now();
  const std::uint64_t begin = past_.time_ns;
  const std::uint64_t end = begin + wsbench::span_ns(options_.minutes * 60);
  const std::uint64_t interval = wsbench::span_ns(options_.interval_s);
  for (const auto& crew : crews_) crew->set_factor(options_.factor.value_or(governor_.factor()));
  CpuTimes seen = past_.machine;
  std::uint64_t next_sample = begin + interval;
  std::uint64_t next_steer = begin + kSteer;
  while (now_ns() < end && !interrupted_) {
    std::this_thread::sleep_for(50ms);
    const std::uint64_t now = now_ns();
    if (now >= next_steer) {
      next_steer += kSteer;
      const CpuTimes times = cpu_times();
      const double busy = busy_share(std::exchange(seen, times), times);
      if (!options_.factor) {
        const double factor = governor_.next(busy);
        for (const auto& crew : crews_) crew->set_factor(factor);
      }
    }
    if (now >= next_sample) {
      next_sample += interval;
      server_->check_alive();
      sample(wsbench::seconds_of(now - begin));
    }
  }
  findings_.interrupted = interrupted_;
}

void Soak::sample(double seconds) {
  Past now = past_now();
  const double span = std::max(1e-3, wsbench::seconds_of(now.time_ns - past_.time_ns));
  const auto rate = [&](std::uint64_t later, std::uint64_t earlier) {
    return static_cast<double>(later - earlier) / span;
  };
  const auto told = [&](const char* name) {
    return static_cast<double>(number(now.numbers, name));
  };
  const auto told_rate = [&](const char* name) {
    return rate(number(now.numbers, name), number(past_.numbers, name));
  };
  const auto counted_rate = [&](std::uint64_t Tally::*count) {
    return rate(now.tally.*count, past_.tally.*count);
  };
  const auto memory = server_->memory().value_or(wsbench::Memory{});
  Sample one;
  one.seconds = seconds;
  one.factor = options_.factor.value_or(governor_.factor());
  one.machine_cpu = busy_share(past_.machine, now.machine);
  one.server_cpu = ms(now.server_cpu_ns - past_.server_cpu_ns) / 1e3 / span;
  one.clients_cpu = ms(now.own_cpu_ns - past_.own_cpu_ns) / 1e3 / span;
  one.server_rss_mib = mib(memory.resident);
  one.server_private_mib = mib(memory.private_dirty);
  one.server_heap_mib = mib(number(now.numbers, "heap_bytes"));
  one.clients_rss_mib = mib(own_resident_bytes());
  one.clients_heap_mib = mib(own_heap_bytes());
  one.connections = told("connections");
  one.accepted = told("accepted");
  one.visits_per_s = told_rate("connections_total");
  one.calls_per_s = counted_rate(&Tally::calls);
  one.stream_items_per_s = counted_rate(&Tally::stream_items);
  one.publishes_per_s = told_rate("publishes");
  one.deliveries_per_s = told_rate("deliveries");
  one.received_per_s = counted_rate(&Tally::received_whole) + counted_rate(&Tally::received_cut);
  one.dropped_new = told("dropped_new");
  one.dropped_old = told("dropped_old");
  one.dropped_conflated = told("dropped_conflated");
  one.dropped_disconnect = told("dropped_disconnect");
  one.waiting = told("deliveries_waiting");
  one.errors = static_cast<double>(now.tally.mistakes);
  one.call_p50_ms = ms(now.tally.call_ns.at(0.5));
  one.call_p99_ms = ms(now.tally.call_ns.at(0.99));
  one.delivery_p99_ms = ms(now.tally.delivery_ns.at(0.99));
  add_faults("while it ran: ", faults_between(past_.numbers, now.numbers));
  findings_.samples.push_back(one);
  std::array<char, 240> text{};
  std::snprintf(text.data(), text.size(),
                "%5.1f min  CPU %2.0f %%  server %.1f MiB  clients %.1f MiB  %.0f connections  "
                "%.0f calls/s  %.0f deliveries/s  p99 %.1f ms  %.0f errors",
                seconds / 60, one.machine_cpu * 100, one.server_rss_mib, one.clients_rss_mib,
                one.connections, one.calls_per_s, one.deliveries_per_s, one.call_p99_ms,
                one.errors);
  progress_.tell(text.data());
  past_ = std::move(now);
}

void Soak::come_to_rest() {
  progress_.tell("coming to rest");
  for (const auto& crew : crews_) crew->stop();
  plain_cutter_.reset();
  secure_cutter_.reset();
  const bool empty = await([&] {
    const Numbers now = numbers();
    return number(now, "outbox_bytes") == 0 && number(now, "deliveries_waiting") == 0;
  });
  if (!empty) fault("a minute after the last message, some still wait in outboxes");
}

void Soak::check_exactly() {
  // All that was written before has come, before the first count: nothing more does for a while.
  const auto received = [&] { return collect().received_whole; };
  std::uint64_t last = received();
  std::size_t quiet = 0;
  await([&] {
    constexpr std::size_t kLooks = 20;
    const std::uint64_t previous = std::exchange(last, received());
    quiet = last == previous ? quiet + 1 : 0;
    return quiet == kLooks;
  });
  const Numbers before = numbers();
  constexpr std::size_t kRounds = 20;
  for (const auto& crew : crews_) crew->publish_round(kRounds);
  const auto gone = [&](const Numbers& now, const char* name) {
    return number(now, name) - number(before, name);
  };
  const bool arrived = await([&] {
    const std::uint64_t written = gone(numbers(), "deliveries_written");
    return written == gone(numbers(), "deliveries") && received() - last == written;
  });
  if (arrived) return;
  const Numbers after = numbers();
  fault("at rest " + std::to_string(gone(after, "deliveries")) + " were to be delivered, " +
        std::to_string(gone(after, "deliveries_written")) + " were written, " +
        std::to_string(received() - last) + " came");
}

void Soak::leave() {
  progress_.tell("leaving");
  for (const auto& crew : crews_) crew->close();
  findings_.tally = collect();
  await([&] {
    findings_.numbers = numbers();
    return faults_at_rest(findings_.numbers).empty();
  });
  add_faults("", faults_at_rest(findings_.numbers));
  add_faults("", unexpected_errors(findings_.numbers));
  add_faults("", faults_of_receipt(number(findings_.numbers, "deliveries_written"),
                                   {.whole = findings_.tally.received_whole,
                                    .cut = findings_.tally.received_cut,
                                    .anybody_cut = !options_.gentle}));
  server_->stop();
}

Tally Soak::collect() {
  Tally all;
  for (const auto& crew : crews_) all.add(crew->tally());
  return all;
}

Numbers Soak::numbers() const { return read_numbers(port_); }

Soak::Past Soak::past_now() {
  return {now_ns(), cpu_times(), server_->cpu_ns().value_or(0), own_cpu_ns(), collect(), numbers()};
}

template <class Condition>
bool Soak::await(Condition is_so) {
  for (const std::uint64_t end = now_ns() + 60 * wsbench::kSecond; now_ns() < end;) {
    if (is_so()) return true;
    server_->check_alive();
    std::this_thread::sleep_for(100ms);
  }
  return false;
}

void Soak::add_faults(const std::string& when, const std::vector<std::string>& faults) {
  constexpr std::size_t kMost = 50;
  for (const std::string& text : faults) {
    if (findings_.faults.size() < kMost) fault(when + text);
  }
}

}  // namespace wssoak

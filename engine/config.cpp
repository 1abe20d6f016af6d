#include "engine/config.hpp"

#include <sys/sysinfo.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <thread>
#include <variant>

#include "api/deadline.hpp"
#include "engine/checks.hpp"
#include "engine/server_tls.hpp"
#include "protocol/http_fields.hpp"
#include "protocol/network.hpp"
#include "protocol/origin.hpp"
#include "shards/bus.hpp"
#include "shards/outbox_rules.hpp"

namespace webshocket::engine {
namespace {

constexpr Checks kCheck("Config");

void check_paths(std::string_view field, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (const auto wrong = wrong_with_path(path); !wrong.empty()) {
      kCheck.refuse(field, quoted(path), wrong);
    }
  }
}

template <class Parsed>
void check_each(std::string_view field, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const auto parsed = Parsed::parse(text);
    if (const auto* wanted = std::get_if<std::string_view>(&parsed)) {
      kCheck.refuse(field, quoted(text), *wanted);
    }
  }
}

void check_tick(std::string_view field, std::chrono::milliseconds tick) {
  constexpr std::chrono::minutes kLongest{1};
  kCheck.duration(field, tick, true);
  if (tick > kLongest) {
    kCheck.refuse(field, std::to_string(tick.count()) + " ms", "at most a minute");
  }
}

constexpr std::size_t kMaxRate = 1'000'000'000;

void check_rate(const std::string& what, std::size_t rate, std::size_t& burst) {
  kCheck.at_most(what + "_rate", rate, kMaxRate);
  kCheck.at_most(what + "_burst", burst, kMaxRate);
  if (burst == 0) burst = rate;
}

}  // namespace

Config checked(Config config) {
  constexpr std::size_t kMaxShards = shards::kMostShards;
  constexpr std::size_t kMaxUnixPath = 107;

  kCheck.at_most("shards", config.shards, kMaxShards);
  if (config.shards == 0) {
    config.shards = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMaxShards);
  }
  for (const unsigned cpu : config.cpus) {
    kCheck.at_most("cpus", cpu, static_cast<std::size_t>(::get_nprocs_conf()) - 1);
  }
  check_tls(config);
  if (config.listeners.empty()) {
    config.listeners.push_back(
        {config.host, config.port, {}, config.paths, config.tls, config.proxy_protocol});
  }
  for (const Listener& listener : config.listeners) {
    if (listener.unix_path.empty() && listener.host.empty()) {
      kCheck.refuse("host", "\"\"", "an address to listen on, such as 127.0.0.1 or 0.0.0.0");
    }
    kCheck.at_most("listeners.unix_path (its length)", listener.unix_path.size(), kMaxUnixPath);
    check_paths("paths", listener.paths);
    if (listener.fd < -1) kCheck.refuse("listeners.fd", std::to_string(listener.fd), "-1 is none");
    if (listener.fd >= 0 && !listener.unix_path.empty()) {
      kCheck.refuse("listeners.fd", std::to_string(listener.fd), "and a unix_path, too");
    }
    if (listener.reuse_port && (listener.fd >= 0 || !listener.unix_path.empty())) {
      kCheck.refuse("listeners.reuse_port", "true", "only of a host and a port");
    }
  }
  kCheck.at_most("listeners (their number)", config.listeners.size(), 1000);
  check_paths("raw_paths", config.raw_paths);
  check_each<protocol::Network>("trusted_proxies", config.trusted_proxies);
  check_each<protocol::OriginPattern>("allowed_origins", config.allowed_origins);
  check_each<protocol::HostPattern>("allowed_hosts", config.allowed_hosts);
  if (!protocol::is_token(config.forwarded_header)) {
    kCheck.refuse("forwarded_header", quoted(config.forwarded_header), "the name of a header");
  }
  if (config.offload_threads == 0) kCheck.refuse("offload_threads", "0", "at least 1");
  kCheck.at_most("offload_threads", config.offload_threads, 1024);
  kCheck.at_most("max_message", config.max_message, kMaxMessage);
  if (config.max_message == 0) config.max_message = kMaxMessage;
  if (config.max_handshake_size != 0 && config.max_handshake_size < 256) {
    kCheck.refuse("max_handshake_size", std::to_string(config.max_handshake_size),
                  "no browser's request fits in less than 256 bytes");
  }
  kCheck.duration("handshake_timeout", config.handshake_timeout, true);
  kCheck.duration("tls_budget", config.tls_budget, true);
  kCheck.duration("http_keep_alive", config.http_keep_alive, true);
  kCheck.duration("message_timeout", config.message_timeout, true);
  kCheck.at_most("accept_rate", config.accept_rate, kMaxRate);
  kCheck.at_most("accept_rate_per_ip", config.accept_rate_per_ip, kMaxRate);
  kCheck.at_most("accept_burst_per_ip", config.accept_burst_per_ip, kMaxRate);
  if (config.accept_burst_per_ip == 0) config.accept_burst_per_ip = 1;
  check_rate("message", config.message_rate, config.message_burst);
  check_rate("receive", config.receive_rate, config.receive_burst);
  kCheck.duration("ping_interval", config.ping_interval, true);
  kCheck.duration("ping_timeout", config.ping_timeout, true);
  kCheck.duration("write_timeout", config.write_timeout, true);
  kCheck.duration("close_timeout", config.close_timeout, false);
  check_tick("tick", config.tick);
  for (const ChannelTick& rule : config.channel_ticks) {
    if (rule.channels.empty()) {
      kCheck.refuse("channel_ticks.channels", "\"\"", "a channel or a pattern");
    }
    check_tick("channel_ticks.tick", rule.tick);
  }
  kCheck.at_most("channel_outboxes (their number)", config.channel_outboxes.size(),
                 shards::OutboxRules::kMost);
  for (const ChannelOutbox& outbox : config.channel_outboxes) {
    if (outbox.channels.empty()) {
      kCheck.refuse("channel_outboxes.channels", "\"\"", "a channel or a pattern");
    }
  }
  kCheck.duration("slow_callback_threshold", config.slow_callback_threshold, true);
  kCheck.duration("drain_delay", config.drain_delay, true);
  kCheck.duration("drain_timeout", config.drain_timeout, true);
  kCheck.duration("drain_spread", config.drain_spread, true);
  kCheck.duration("reconnect_hint", config.reconnect_hint, true);
  for (auto duration : {&Config::handshake_timeout, &Config::message_timeout, &Config::tls_budget,
                        &Config::http_keep_alive, &Config::ping_interval, &Config::ping_timeout,
                        &Config::write_timeout, &Config::close_timeout, &Config::drain_timeout,
                        &Config::drain_delay, &Config::drain_spread, &Config::reconnect_hint,
                        &Config::slow_callback_threshold}) {
    config.*duration = std::chrono::duration_cast<std::chrono::milliseconds>(
        webshocket::detail::bounded_timeout(config.*duration));
  }
  if (config.outbox_limit != 0 && config.outbox_low_mark > config.outbox_limit) {
    kCheck.refuse("outbox_low_mark", std::to_string(config.outbox_low_mark),
                  "at most outbox_limit, " + std::to_string(config.outbox_limit));
  }
  kCheck.compression(config.compression);
  return config;
}

}  // namespace webshocket::engine

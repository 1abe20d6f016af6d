#include "tests/fuzz/connection/program.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

#include "tests/fuzz/connection/stranger.hpp"
#include "tests/fuzz/connection/world.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/stepped_clock.hpp"

namespace webshocket::fuzz {
namespace {

using namespace std::chrono_literals;
using Bytes = std::span<const std::uint8_t>;

enum class Kind : std::uint8_t {
  connect,
  upgrade,
  http,
  raw,
  frame,
  bad_frame,
  call,
  mutated_call,
  act_call,
  ping,
  say_close,
  abort,
  hold,
  release,
  pause_reading,
  read,
  end_output,
  hang_up,
  turn,
  advance,
  act,
  arm,
  drain,
  hurry,
  innocent_echo,
  count,
};

constexpr std::array<const char*, static_cast<std::size_t>(Kind::count)> kNames{
    "connect",       "upgrade",  "http",       "raw",          "frame", "bad_frame", "call",
    "mutated_call",  "act_call", "ping",       "say_close",    "abort", "hold",      "release",
    "pause_reading", "read",     "end_output", "hang_up",      "turn",  "advance",   "act",
    "arm",           "drain",    "hurry",      "innocent_echo"};

template <class T, std::size_t N>
T pick(const std::array<T, N>& list, std::uint8_t byte) {
  return list[byte % N];
}

/// For who looks into a finding: FUZZ_TRACE=1 shows the steps and what the server logs.
bool is_traced() {
  static const bool traced = std::getenv("FUZZ_TRACE") != nullptr;  // NOLINT(concurrency-mt-unsafe)
  return traced;
}

Config config_of(Bytes options) {
  using Sizes = std::array<std::size_t, 4>;
  using Times = std::array<std::chrono::milliseconds, 4>;
  const auto bits = [&](std::size_t byte, unsigned shift) {
    return static_cast<std::uint8_t>(options[byte] >> shift & 3U);
  };
  Config config;
  config.shards = 1;
  config.slow_callback_threshold = 0ms;
  config.compression = {.enabled = (options[0] & 1) != 0,
                        .threshold = (options[0] & 2) != 0 ? 10U : 128U,
                        .level = 1,
                        .window_bits = (options[0] & 4) != 0 ? 9 : 15,
                        .memory_level = 1,
                        .context = (options[0] & 8) != 0,
                        .peer_context = (options[0] & 16) != 0};
  config.expose_errors = (options[0] & 32) != 0;
  config.tick = (options[0] & 64) != 0 ? 20ms : 0ms;
  config.outbox_policy = static_cast<OutboxPolicy>(bits(1, 0));
  config.outbox_limit = pick(Sizes{1024 * 1024, 0, 300, 5000}, bits(1, 2));
  config.outbox_low_mark = pick(Sizes{65536, 0, 100, 2000}, bits(1, 4));
  config.outbox_total_limit = pick(Sizes{0, 0, 4000, 100'000}, bits(1, 6));
  config.max_message = pick(Sizes{1024 * 1024, 1024 * 1024, 300, 70'000}, bits(2, 0));
  config.fragment_size = pick(Sizes{65536, 0, 10, 200}, bits(2, 2));
  config.inbound_total_limit = pick(Sizes{0, 0, 1000, 20'000}, bits(2, 4));
  config.message_timeout = pick(Times{60s, 60s, 0s, 50ms}, bits(2, 6));
  config.rpc_task_limit = pick(Sizes{1024, 1, 2, 0}, bits(3, 0));
  config.rpc_task_limit_per_shard = pick(Sizes{65536, 65536, 0, 2}, bits(3, 2));
  config.packet_queue_size = pick(Sizes{512, 1, 0, 3}, bits(3, 4));
  config.packet_queue_bytes = pick(Sizes{65536, 0, 100, 500}, bits(3, 6));
  config.message_rate = config.message_burst = pick(Sizes{0, 0, 0, 3}, bits(4, 0));
  config.receive_rate = config.receive_burst = pick(Sizes{0, 0, 0, 2000}, bits(4, 2));
  config.ping_interval = pick(Times{20s, 20s, 0s, 100ms}, bits(4, 4));
  config.ping_timeout = pick(Times{20s, 20s, 0s, 30ms}, bits(4, 6));
  config.write_timeout = pick(Times{60s, 60s, 0s, 200ms}, bits(5, 0));
  config.close_timeout = pick(Times{5s, 5s, 20ms, 100ms}, bits(5, 2));
  config.drain_spread = pick(Times{5s, 0s, 100ms, 20ms}, bits(5, 4));
  config.reconnect_hint = pick(Times{0s, 0s, 1s, 9s}, bits(5, 6));
  config.max_subscribed_channels = pick(Sizes{5, 0, 1, 8}, bits(6, 0));
  config.max_depth = pick(Sizes{128, 128, 128, 3}, bits(6, 2));
  config.max_elements = pick(Sizes{1'000'000, 1'000'000, 0, 8}, bits(6, 4));
  config.max_handshake_size = pick(Sizes{16384, 16384, 16384, 300}, bits(6, 6));
  config.max_http_body = pick(Sizes{1'000'000, 1'000'000, 0, 10}, bits(7, 0));
  config.max_keep_alive = pick(Sizes{10'000, 0, 1, 2}, bits(7, 2));
  config.max_connections = pick(Sizes{0, 0, 2, 3}, bits(7, 4));
  config.max_pending_handshakes = pick(Sizes{0, 0, 0, 2}, bits(7, 6));
  config.tick_limit = pick(Sizes{1'000'000, 0, 10, 3000}, bits(8, 0));
  config.raw_paths = {"/raw"};
  if ((options[8] & 4) != 0) config.allowed_origins = {"https://example.com"};
  if ((options[8] & 8) != 0) config.allowed_hosts = {"example.com"};
  if ((options[8] & 16) != 0) {
    config.channel_outboxes = {{"a*", {OutboxPolicy::conflate, 0}},
                               {"b", {OutboxPolicy::drop_old, 500}},
                               {"news", {OutboxPolicy::drop_new, 1000}}};
  }
  if ((options[8] & 32) != 0) config.channel_ticks = {{"a", 10ms}, {"b", 0ms}};
  if (is_traced()) {
    config.log = [](LogLevel, std::string_view text) { std::cerr << "    log: " << text << '\n'; };
  }
  return config;
}

class Run {
 public:
  explicit Run(Bytes options)
      : has_small_buffers_((options[9] & 1) != 0), world_(config_of(options), script_) {
    script_.has_async_connect = (options[9] & 2) != 0;
    script_.has_async_receive = (options[9] & 4) != 0;
    script_.has_async_upgrade = (options[9] & 8) != 0;
    connect(kInnocent, World::plain, false);
    script_.innocent = uid_of(kInnocent);
    strangers_[kInnocent].upgrade(
        "GET / HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
        "Sec-WebSocket-Protocol: webshocket.v1.json\r\n\r\n",
        Format::json);
    for (int i = 0; i < 3; ++i) {
      rest();
      advance(10ms);  // for the awaitable events
    }
    is_innocent_here_ = strangers_[kInnocent].is_open();
    require(is_innocent_here_ || world_.config().max_handshake_size < 400,
            "the first connection was not accepted");
  }

  void play(Bytes steps) {
    int since_turn = 0;
    for (std::size_t at = 0; at + kStepBytes <= steps.size(); at += kStepBytes) {
      const auto kind = static_cast<Kind>(steps[at] % static_cast<unsigned>(Kind::count));
      std::size_t taken = 0;
      step(kind, steps.subspan(at, kStepBytes), steps.subspan(at + kStepBytes), taken);
      at += taken;
      since_turn = kind == Kind::turn || kind == Kind::advance ? 0 : since_turn + 1;
      if (since_turn == 16) {
        turn();
        since_turn = 0;
      }
    }
  }

  /// Everybody reads and says what it has to say: what was promised must come.
  void come_to_rest() {
    for (Stranger& stranger : strangers_) {
      stranger.reads_all = true;
      stranger.release(0);
    }
    // What is paused, asleep, or due at a tick.
    for (int i = 0; i < 12; ++i) {
      rest();
      advance(i < 8 ? 50ms : 500ms);
    }
    // Streams that sleep between their chunks.
    for (int i = 0; i < 60 && world_.counters().calls_in_flight.get() != 0; ++i) {
      advance(20ms);
      rest();
    }
    rest();
    for (const Stranger& stranger : strangers_) {
      if (!stranger.is_connected() || !stranger.is_open() || !stranger.is_clear()) continue;
      require(stranger.frames()->is_between_messages(), "a message was never ended");
      if (must_answer()) stranger.require_answers();
    }
    echo_for_innocent();
  }

  /// They leave, and so does all that was kept for them.
  void leave() {
    for (Stranger& stranger : strangers_) stranger.hang_up();
    for (int i = 0; i < 4; ++i) {
      rest();
      advance(i == 0 ? 1s : 100s);
    }
    rest();
    world_.require_nothing_left();
  }

 private:
  static constexpr std::size_t kInnocent = 2;

  static Uid uid_of_number(std::uint32_t number) {
    Uid uid;
    for (unsigned i = 0; i < 4; ++i) uid.bytes[i] = static_cast<std::byte>(number >> (8 * i));
    uid.bytes[15] = std::byte{1};
    return uid;
  }
  Uid uid_of(std::size_t who) const { return uid_of_number(uids_[who]); }

  /// Nothing that it was configured with allows it to leave a call without an answer.
  bool must_answer() const noexcept {
    const Config& config = world_.config();
    const bool understands = config.max_depth > 3 && config.max_elements != 8;
    return understands && config.receive_rate == 0 && config.message_rate == 0 &&
           !world_.is_draining();
  }

  void connect(std::size_t who, World::Port port, bool is_small) {
    uids_[who] = ++last_uid_;
    shards::Socket end = strangers_[who].connect(is_small);
    if (!world_.adopt(std::move(end), uid_of(who), port)) strangers_[who].hang_up();
  }

  bool turn() {
    bool is_busy = world_.turn();
    for (Stranger& stranger : strangers_) {
      stranger.flush();
      if (stranger.reads_all && stranger.read(0)) is_busy = true;
    }
    return is_busy;
  }

  void rest() {
    for (int turns = 0; turn(); ++turns) require(turns < 20'000, "a shard that never rests");
  }

  // A jump would let time run out on who had no turn to answer in.
  void advance(std::chrono::nanoseconds step) {
    world_.advance(step);
    for (int i = 0; i < 3; ++i) turn();
  }

  void echo_for_innocent() {
    Stranger& innocent = strangers_[kInnocent];
    if (!is_innocent_here_ || !must_answer()) return;
    innocent.call("echo", R"(["here"])", 1, false);
    rest();
    if (script_.has_async_receive) advance(10ms);
    require(innocent.is_open(), "another connection was lost");
    require(innocent.answers_to(innocent.last_call()) == 1, "another connection was not answered");
  }

  void step(Kind kind, Bytes step, Bytes rest_of_input, std::size_t& taken);
  void upgrade(Stranger& stranger, std::uint8_t form, std::uint8_t faults);
  void request(Stranger& stranger, std::uint8_t what, std::uint8_t how);
  void call(Stranger& stranger, std::uint8_t what, std::uint8_t how);

  bool has_small_buffers_;
  Script script_;
  std::array<Stranger, 3> strangers_{Stranger(0), Stranger(1), Stranger(2)};
  std::array<std::uint32_t, 3> uids_{};
  std::uint32_t last_uid_ = 0;
  bool is_innocent_here_ = false;
  World world_;
};

/// A method and its arguments, as JSON.
struct Method {
  const char* name;
  const char* arguments;
};
constexpr std::array<Method, 28> kMethods{{
    {"echo", R"(["here"])"},
    {"echo", R"([{"a":[1,2.5,null,true]}])"},
    {"echo",
     R"(["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"])"},
    {"echo2", R"(["two"])"},
    {"add", "[1,2]"},
    {"add", R"([1,"2"])"},
    {"add", "[]"},
    {"nothing", "[]"},
    {"method", "[]"},
    {"method", "[1]"},
    {"rejected", "[]"},
    {"untold", "[true]"},
    {"untold", "[false]"},
    {"limited", "[]"},
    {"limited_hard", "[]"},
    {"secret", "[]"},
    {"asked", "[]"},
    {"sleep", "[0]"},
    {"sleep", "[30]"},
    {"sleep", "[400]"},
    {"nested", "[5]"},
    {"ask_all", "[]"},
    {"count", "[3]"},
    {"count", "[20,7]"},
    {"count", R"(["x"])"},
    {"chunks", "[4,3000]"},
    {"chunks", "[15,29999]"},
    {"chunks", "[0,0]"},
}};

void Run::call(Stranger& stranger, std::uint8_t what, std::uint8_t how) {
  const Method& method = pick(kMethods, what);
  const std::size_t fragments = (how & 4) != 0 ? 1U + (how >> 4U) : 1U;
  stranger.call(method.name, method.arguments, fragments, (how & 1) != 0);
}

void Run::upgrade(Stranger& stranger, std::uint8_t form, std::uint8_t faults) {
  constexpr std::array<const char*, 8> kPaths{"/",     "/",        "/",       "/raw",
                                              "/raw2", "/refused", "/?a=%20", "/other"};
  constexpr std::array<const char*, 8> kDeflates{
      "",
      "permessage-deflate",
      "permessage-deflate; client_max_window_bits",
      "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
      "permessage-deflate; server_max_window_bits=9",
      "permessage-deflate; client_max_window_bits=9; server_max_window_bits=15",
      "x-unknown, permessage-deflate",
      "permessage-deflate; wrong"};
  std::string text = "GET " + std::string(pick(kPaths, form)) + " HTTP/1.1\r\n";
  text += (faults == 1) ? "Host: elsewhere.org\r\n" : "Host: example.com\r\n";
  text += (faults == 2) ? "Upgrade: h2c\r\n" : "upgrade: h2c, WebSocket\r\n";
  text += (faults == 3) ? "" : "Connection: keep-alive, Upgrade\r\n";
  text += (faults == 4) ? "Sec-WebSocket-Version: 8\r\n" : "Sec-WebSocket-Version: 13\r\n";
  text += (faults == 5) ? "Sec-WebSocket-Key: short\r\n"
                        : "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n";
  if (faults == 6) text += "Content-Length: 3\r\n";
  if (faults == 7) text += "Origin: https://example.com\r\n";
  if (faults == 8) text += "Origin: https://evil.org\r\n";
  if (faults == 9) text += "X-Long: " + std::string(20'000, 'x') + "\r\n";
  if (faults == 10) text += "Bad Header\r\n";
  if (faults == 11) text += "Expect: 100-continue\r\n";
  Format format = Format::json;
  if (form % 3 == 1) {
    text += "Sec-WebSocket-Protocol: webshocket.v1\r\n";
    format = Format::msgpack;
  } else if (form % 3 == 2) {
    text += "Sec-WebSocket-Protocol: x, webshocket.v1.json, webshocket.v1\r\n";
  }
  const std::string_view deflate = kDeflates[form / 32U];
  if (!deflate.empty()) text += "Sec-WebSocket-Extensions: " + std::string(deflate) + "\r\n";
  text += faults == 6 ? "\r\nabc" : "\r\n";
  stranger.upgrade(text, format);
}

void Run::request(Stranger& stranger, std::uint8_t what, std::uint8_t how) {
  const std::string host = "Host: example.com\r\n";
  const std::string close = (how & 1) != 0 ? "Connection: close\r\n" : "";
  switch (what % 8) {
    case 0:
      return stranger.request(
          "GET /page?" + std::string(how / 16U, 'q') + " HTTP/1.1\r\n" + host + close + "\r\n",
          false);
    case 1:
      return stranger.request("HEAD /page HTTP/1.1\r\n" + host + close + "\r\n", true);
    case 2:
      return stranger.request("POST /page HTTP/1.1\r\n" + host + close + "Content-Length: " +
                                  std::to_string(how) + "\r\n\r\n" + std::string(how, 'b'),
                              false);
    case 3:
      return stranger.request(
          "POST /page HTTP/1.1\r\n" + host + close +
              "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n"
              "X-Trailer: 1\r\n\r\n",
          false);
    case 4:
      return stranger.request("GET /nowhere HTTP/1.1\r\n" + host + close + "\r\n", false);
    case 5:
      stranger.request("POST /page HTTP/1.1\r\n" + host + close +
                           "Expect: 100-continue\r\nContent-Length: 4\r\n\r\n",
                       false);
      if ((how & 2) != 0) turn();
      return stranger.go_on("body");
    case 6:
      return stranger.request("DELETE /page HTTP/1.1\r\n" + host + close + "\r\n", false);
    default:
      return stranger.request("GET /page HTTP/1.0\r\n\r\n", false);
  }
}

void Run::step(Kind kind, Bytes step, Bytes rest_of_input, std::size_t& taken) {
  // The last one is the innocent's own.
  const std::size_t who = step[1] & 1U;
  Stranger& stranger = strangers_[who];
  const std::uint8_t what = step[2];
  const std::uint8_t how = step[3];
  if (is_traced()) {
    std::cerr << kNames[step[0] % kNames.size()] << ' ' << int{step[1]} << ' ' << int{what} << ' '
              << int{how} << '\n';
  }
  switch (kind) {
    case Kind::connect:
      if (stranger.is_connected()) return;
      return connect(who, (what & 7) == 7 ? World::behind_proxy : World::plain, has_small_buffers_);
    case Kind::upgrade:
      if (!stranger.is_connected()) connect(who, World::plain, has_small_buffers_);
      return upgrade(stranger, what, how);
    case Kind::http:
      if (!stranger.is_connected()) connect(who, World::plain, has_small_buffers_);
      return request(stranger, what, how);
    case Kind::raw: {
      const std::size_t size = std::min<std::size_t>(what % 64, rest_of_input.size());
      stranger.feed_raw({reinterpret_cast<const char*>(rest_of_input.data()), size});
      taken = std::min((size + kStepBytes - 1) / kStepBytes * kStepBytes, rest_of_input.size());
      return;
    }
    case Kind::frame: {
      // Legal by itself, and often not where it stands.
      const std::uint8_t opcode = what % 3;
      constexpr std::array<std::size_t, 8> kSizes{0, 1, 10, 125, 126, 300, 4000, 65536};
      // Little to send, and much to inflate.
      if (how >= 248) return stranger.message(std::string(300'000, 'x'), false, how - 247U, true);
      return stranger.frame(static_cast<std::uint8_t>(opcode | (what & 0x80U)),
                            std::string(pick(kSizes, how), static_cast<char>(how / 8 + 'A')));
    }
    case Kind::bad_frame:
      return stranger.bad_frame(what, (how & 1) != 0,
                                (how & 2) != 0 ? std::uint64_t{1} << (how / 4U) : how / 4U,
                                std::string(how / 4U, 'z'));
    case Kind::call:
      return call(stranger, what, how);
    case Kind::mutated_call: {
      const Method& method = pick(kMethods, what);
      return stranger.mutated_call(method.name, method.arguments, what * 3U + how / 8U,
                                   static_cast<std::uint8_t>(1U << (how % 8U)));
    }
    case Kind::act_call: {
      // A call of the method that does what it is told.
      const std::string arguments = "[" + std::to_string(what) + "," + std::to_string(how) + "]";
      return stranger.call("act", arguments, 1, false);
    }
    case Kind::ping:
      return stranger.ping(std::string(what % 126U, static_cast<char>(how)));
    case Kind::say_close: {
      constexpr std::array<unsigned, 8> kCodes{1000, 1001, 1005, 1013, 3000, 4999, 999, 5000};
      const unsigned code = pick(kCodes, what);
      std::string body{static_cast<char>(code >> 8U), static_cast<char>(code)};
      if (how == 1) body.clear();
      if (how == 2) body.resize(1);
      if (how == 3) body += "\xFF";
      if (how > 3) body += std::string(how % 124U, 'r');
      return stranger.frame(0x88, body);
    }
    case Kind::abort:
      return stranger.abort(what % 8);
    case Kind::hold:
      return stranger.hold();
    case Kind::release:
      return stranger.release((what & 0x80U) != 0 ? 0 : what + 1U);
    case Kind::pause_reading:
      stranger.reads_all = (what & 1) != 0;
      return;
    case Kind::read:
      static_cast<void>(stranger.read(what * 16U + 1));
      return;
    case Kind::end_output:
      return stranger.end_output();
    case Kind::hang_up:
      return stranger.hang_up();
    case Kind::turn:
      for (unsigned i = 0; i <= what % 4U; ++i) turn();
      return;
    case Kind::advance: {
      constexpr std::array<std::chrono::milliseconds, 8> kSteps{1ms,   10ms, 20ms, 100ms,
                                                                500ms, 5s,   20s,  60s};
      return advance(pick(kSteps, what));
    }
    case Kind::act:
      if ((step[1] & 2U) != 0) {
        return world_.post([this, what, how](shards::Shard&) {
          world_.handler().act(nullptr, {what, how});
        });
      }
      return world_.post_to(uid_of(who), [this, what, how](Connection& connection) {
        world_.handler().act(&connection, {what, how});
      });
    case Kind::arm: {
      auto& deeds = script_.deeds[step[1] % kPlaces];
      if (deeds.size() < 8) deeds.push_back({what, how});
      return;
    }
    case Kind::drain: {
      constexpr std::array<std::chrono::milliseconds, 4> kTimeouts{0ms, 50ms, 1s, 10s};
      // Programs that go on are worth more.
      if ((step[1] & 0xF0U) == 0) world_.drain(pick(kTimeouts, what));
      return;
    }
    case Kind::hurry:
      return world_.hurry();
    case Kind::innocent_echo:
      // Others may have taken all that a shard's calls share.
      if (world_.config().rpc_task_limit_per_shard == 2) return;
      return echo_for_innocent();
    case Kind::count:
      return;
  }
}

}  // namespace

const std::uint8_t kStepKinds = static_cast<std::uint8_t>(Kind::count);

void run_program(std::span<const std::uint8_t> input) {
  if (input.size() < kOptionBytes) return;
  test::SteppedClock::reset();
  Run run(input.first(kOptionBytes));
  run.play(input.subspan(kOptionBytes));
  run.come_to_rest();
  if ((input[9] & 16) != 0) run.leave();
}

}  // namespace webshocket::fuzz

// A client, and a server that lies: replies, frames and answers in any order, while the program
// calls, streams, receives, closes and waits. The client lives on a shard on this thread, with a
// clock that stands still. What it writes is judged, and whatever was begun must end.
//
//     input := options (8 bytes), step*           step := what, how, how, how  (4 bytes)

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <webshocket/webshocket.hpp>

#include "engine/client_home.hpp"  // the rooms that it needs
#include "protocol/handshake.hpp"
#include "tests/fuzz/connection/puppet.hpp"
#include "tests/fuzz/connection/world.hpp"
#include "tests/fuzz/judge.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/support/stepped_clock.hpp"

namespace webshocket::fuzz {
namespace {

using namespace std::chrono_literals;
using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kOptions = 8;
constexpr std::size_t kStep = 4;

/// Where the liar listens, as long as the process runs.
class Port {
 public:
  Port() : path_("/tmp/webshocket_fuzz_" + std::to_string(::getpid())) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ::unlink(path_.c_str());
    socket_ = shards::Socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    require(::bind(socket_.fd(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                ::listen(socket_.fd(), 8) == 0,
            "the test's own socket");
  }
  ~Port() { ::unlink(path_.c_str()); }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  const std::string& path() const noexcept { return path_; }
  shards::Socket accept() const {
    return shards::Socket(::accept4(socket_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  }

 private:
  std::string path_;
  shards::Socket socket_;
};

/// The server's end of one connection after the other.
class Liar {
 public:
  /// Takes the next client when the last one has gone. True if there was something to read.
  bool turn(const Port& port) {
    if (!socket_.is_open()) {
      socket_ = port.accept();
      if (!socket_.is_open()) return false;
      request_.clear();
      frames_.reset();
      granted_ = false;
    }
    flush();
    if (!reads_) return false;
    std::array<std::byte, 65536> buffer;
    const ssize_t count = socket_.receive(buffer);
    if (count == -EAGAIN) return false;
    if (count <= 0) {
      hang_up();
      return true;
    }
    take({reinterpret_cast<const char*>(buffer.data()), static_cast<std::size_t>(count)});
    return true;
  }

  void reply(std::uint8_t what, std::uint8_t how);
  void frame(std::uint8_t first_byte, std::string_view payload) {
    std::string out{static_cast<char>(first_byte)};
    if (payload.size() < 126) {
      out += static_cast<char>(payload.size());
    } else {
      out += '\x7E';
      out += static_cast<char>(payload.size() >> 8U);
      out += static_cast<char>(payload.size());
    }
    send(out + std::string(payload));
  }
  void answer(std::uint8_t what, std::uint8_t how);
  void send(std::string_view bytes) {
    if (!socket_.is_open()) return;
    pending_ += bytes;
    if (!is_held_) flush();
  }
  void hold() { is_held_ = true; }
  void release(std::size_t count) {
    if (count == 0) is_held_ = false;
    flush(count);
  }
  void pause_reading(bool paused) { reads_ = !paused; }
  void end_output() {
    if (socket_.is_open()) socket_.shut_down_output();
  }
  void hang_up() {
    socket_.close();
    pending_.clear();
    is_held_ = false;
  }

 private:
  void flush(std::size_t most = 0) {
    if (!socket_.is_open() || pending_.empty() || (is_held_ && most == 0)) return;
    const auto bytes = std::as_bytes(std::span(pending_));
    const ssize_t sent = socket_.send(most == 0 || most > bytes.size() ? bytes : bytes.first(most));
    if (sent > 0) pending_.erase(0, static_cast<std::size_t>(sent));
    if (sent < 0 && sent != -EAGAIN) pending_.clear();
  }
  void take(std::string_view bytes) {
    if (frames_ == nullptr) {
      request_ += bytes;
      const std::size_t end = request_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      bytes.remove_prefix(bytes.size() - (request_.size() - end - 4));
      frames_ = std::make_unique<FrameJudge>(true, std::make_unique<Inflater>(true));
      frames_->on_message = [this](const FrameJudge::Message& message) { take_message(message); };
    }
    require(bytes.empty() || granted_, "a client that speaks before it was answered");
    frames_->take(bytes);
  }
  void take_message(const FrameJudge::Message& message) {
    try {
      const OwnedPacket packet = deserialize_json(message.bytes);
      if (const RpcRequest* request = packet->request()) calls_.emplace_back(request->call_id);
    } catch (const PacketValidationError& error) {
      require(false, error.what());
    }
  }

  shards::Socket socket_;
  std::string request_;
  std::unique_ptr<FrameJudge> frames_;
  std::vector<std::string> calls_;
  std::string pending_;
  bool granted_ = false;
  bool is_held_ = false;
  bool reads_ = true;
};

void Liar::reply(std::uint8_t what, std::uint8_t how) {
  const std::size_t at = request_.find("Sec-WebSocket-Key: ");
  const std::string key =
      at == std::string::npos ? std::string(24, 'A') : request_.substr(at + 19, 24);
  constexpr std::array<const char*, 8> kOther{
      "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno",
      "HTTP/1.1 503 Service Unavailable\r\n\r\nuntil the end",
      "HTTP/1.1 100 Continue\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
      "HTTP/9.9 whatever\r\n\r\n",
      "\x16\x03\x01",
      "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n"};
  if (what % 4 == 3) return send(kOther[how % kOther.size()]);
  std::string text =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  text += "Sec-WebSocket-Accept: " + protocol::accept_key(key) + (how == 1 ? "x" : "") + "\r\n";
  if (how == 2) text += "Sec-WebSocket-Protocol: something.else\r\n";
  if (how != 2 && how != 3) text += "Sec-WebSocket-Protocol: webshocket.v1.json\r\n";
  const bool offered = request_.find("permessage-deflate") != std::string::npos;
  if (how == 4 || (offered && what % 4 == 1)) {
    text += "Sec-WebSocket-Extensions: permessage-deflate\r\n";
  }
  if (how == 5) text += "X-Long: " + std::string(70'000, 'x') + "\r\n";
  granted_ = true;
  send(text + "\r\n");
}

void Liar::answer(std::uint8_t what, std::uint8_t how) {
  const std::string id = calls_.empty() ? "none" : calls_[calls_.size() - 1 - how % calls_.size()];
  const auto response = [&](std::string_view rest) {
    return R"({"source":5,"rpc":{"type":"response","call_id":")" + id + R"(",)" +
           std::string(rest) + "}}";
  };
  std::string packet;
  switch (what % 10) {
    case 0:
      packet = response(R"("response":5)");
      break;
    case 1:
      packet = response(R"("response":"text")");
      break;
    case 2:
      packet = response(R"("response":"no","error":-32601)");
      break;
    case 3:
      packet = response(R"("response":7,"is_stream":true,"is_end":false)");
      break;
    case 4:
      packet = response(R"("response":null,"is_stream":true,"is_end":true)");
      break;
    case 5:
      packet = response(R"("response":"no","error":-32603,"is_stream":true,"is_end":true)");
      break;
    case 6:
      packet = R"({"source":1,"data":"to all"})";
      break;
    case 7:
      packet = R"({"source":2,"channel":"a","data":[1,2]})";
      break;
    case 8:
      packet = response(R"("response":5)");
      packet[how % packet.size()] ^= 1;
      break;
    default:
      packet = std::string(how, 'x');
      break;
  }
  frame(0x81, packet);
}

class Run {
 public:
  Run(Bytes options, const Port& port) : port_(port), options_(options), world_(Config{}, script_) {
    while (port.accept().is_open()) {  // what the last input has left
    }
    begin();
  }

  ~Run() {
    client_.reset();
    liar_.release(0);
    liar_.pause_reading(false);
    for (int i = 0; i < 4; ++i) {
      rest();
      liar_.hang_up();
      advance(60s);
    }
    rest();
    require(begun_ == ended_, "a coroutine of a client that is gone has not ended");
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  void play(Bytes steps) {
    for (; steps.size() >= kStep; steps = steps.subspan(kStep)) step(steps.first(kStep));
  }

 private:
  void begin() {
    ClientConfig config{.format = Format::json, .unix_path = port_.path()};
    config.compression.enabled = (options_[0] & 1) != 0;
    if ((options_[0] & 2) != 0) {
      config.reconnect = Retry{.attempts = 2, .interval = 10ms, .jitter = 0ms};
    }
    if ((options_[0] & 4) != 0) {
      config.on_receive = [](Client& client, const Packet& packet) {
        static_cast<void>(client.try_send(packet.data));
      };
    }
    if ((options_[0] & 8) != 0) {
      config.on_connect = [](Client& client) -> Task<void> {
        co_await client.call_async<int>("hello");
      };
    }
    if ((options_[0] & 16) != 0) {
      config.on_disconnect = [](Client&, CloseCode, std::string_view) { throw 1; };
    }
    config.receive_policy = static_cast<ReceivePolicy>(options_[1] % 3);
    if ((options_[1] & 4) != 0) config.packet_queue_size = 2;
    if ((options_[1] & 8) != 0) config.packet_queue_bytes = 100;
    if ((options_[1] & 16) != 0) config.max_calls = 2;
    if ((options_[1] & 32) != 0) config.outbox_limit = 200;
    if ((options_[1] & 64) != 0) config.max_message = 200;
    if ((options_[1] & 128) != 0) config.fragment_size = 10;
    if ((options_[2] & 1) != 0) config.ping_interval = 100ms;
    if ((options_[2] & 2) != 0) config.ping_timeout = 50ms;
    if ((options_[2] & 4) != 0) config.call_timeout = 200ms;
    if ((options_[2] & 8) != 0) config.connect_timeout = 50ms;
    client_ = std::make_unique<Client>("ws://localhost/", std::move(config), ClientLoop::current());
  }

  /// Runs it on the shard, and counts its end. What it throws is its own business.
  void spawn(Task<void> task) {
    ++begun_;
    world_.handler().spawn([](Run& run, Task<void> inner) -> Task<void> {
      struct End {
        Run& run;
        ~End() { ++run.ended_; }
      };
      const End end{run};
      try {
        co_await std::move(inner);
      } catch (const std::exception&) {  // NOLINT(bugprone-empty-catch)
      }
    }(*this, std::move(task)));
  }

  static Task<void> call(Client& client, std::uint8_t how) {
    if (how % 2 == 0) {
      static_cast<void>(co_await client.call_async<int>("add", how, 2));
    } else {
      static_cast<void>(co_await client.send_rpc_async("add", how));
    }
  }
  static Task<void> stream(Client& client, std::uint8_t how) {
    auto chunks = client.stream_async<int>("count", how);
    for (int i = 0; i < how % 5; ++i) {
      if (co_await chunks.next() == nullptr) co_return;
    }
  }
  static Task<void> receive(Client& client, std::uint8_t how) {
    static_cast<void>(co_await client.recv_async(std::chrono::milliseconds(how)));
  }

  bool turn() {
    const bool is_busy = world_.turn();
    return liar_.turn(port_) || is_busy;
  }
  void rest() {
    for (int turns = 0; turn(); ++turns) require(turns < 20'000, "a shard that never rests");
  }
  void advance(std::chrono::nanoseconds step) {
    world_.advance(step);
    for (int i = 0; i < 3; ++i) turn();
  }

  void step(Bytes step) {
    const std::uint8_t what = step[1];
    const std::uint8_t how = step[2];
    const std::string text(what, 'x');
    constexpr std::array<std::chrono::milliseconds, 6> kTimes{1ms, 10ms, 60ms, 250ms, 5s, 30s};
    switch (step[0] % 22) {
      case 0:
        if (client_ == nullptr) begin();
        if (what % 2 == 0) return spawn(client_->connect_async());
        return spawn(client_->connect_async({.attempts = 2, .interval = 20ms, .jitter = 0ms}));
      case 1:
      case 2:
        return liar_.reply(what, how);
      case 3:
        return liar_.frame(what, text);
      case 4:
      case 5:
        return liar_.answer(what, how);
      case 6:
        return liar_.send({reinterpret_cast<const char*>(step.data()) + 1, 3});
      case 7:
        return liar_.hold();
      case 8:
        return liar_.release(what / 2U);
      case 9:
        return liar_.pause_reading(what % 2 != 0);
      case 10:
        return liar_.end_output();
      case 11:
        return liar_.hang_up();
      case 12:
        return liar_.frame(0x88, std::string{static_cast<char>(what % 20), static_cast<char>(how)});
      case 13:
        return liar_.frame(0x89, text.substr(0, 125));
      case 14:
        return rest();
      case 15:
        return advance(kTimes[what % kTimes.size()]);
      case 16:
        if (client_ != nullptr) spawn(call(*client_, how));
        return;
      case 17:
        if (client_ != nullptr) spawn(stream(*client_, how));
        return;
      case 18:
        if (client_ != nullptr && (options_[0] & 4) == 0) spawn(receive(*client_, how));
        return;
      case 19:
        if (client_ != nullptr) static_cast<void>(client_->try_send(text));
        return;
      case 20:
        if (client_ != nullptr) spawn(client_->close_async());
        return;
      default:
        // Often that would be the end too early.
        if (what < 32) rest(), client_.reset();
        return;
    }
  }

  const Port& port_;
  Bytes options_;
  Script script_;
  std::size_t begun_ = 0;
  std::size_t ended_ = 0;
  World world_;
  Liar liar_;
  std::unique_ptr<Client> client_;
};

}  // namespace
}  // namespace webshocket::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace webshocket::fuzz;
  if (size < kOptions || size > 2000) return -1;
  static const Port port;
  webshocket::test::SteppedClock::reset();
  Run run({data, kOptions}, port);
  run.play({data + kOptions, size - kOptions});
  return 0;
}

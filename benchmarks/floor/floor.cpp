// What the kernel charges for fan-out, as a program: one thread, epoll, and of WebSocket so much
// that a load generator can drive it. Its CPU time per delivery is what a server is measured
// against.
//
//     floor --port 5000 --mode send|writev|flat|file [--hold MS]
//
// What comes on /raw/pub goes to all on /raw/sub; /raw/echo echoes. The modes say how the messages
// of one turn of the loop leave for each subscriber: each by a send of its own, by one writev with
// a part per message, by one send of one flat range, which is the floor, or by one sendfile of it
// from memory that the sockets refer to instead of copying. --hold collects publishes for so long
// before they leave.
//
// Whatever is no whole text or binary message, no ping and no close ends the connection; memory for
// slow readers has no limit.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <climits>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/frame_header.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/handshake.hpp"
#include "protocol/http.hpp"
#include "protocol/mask.hpp"
#include "run.hpp"

namespace {

namespace protocol = webshocket::protocol;
using floors::Run;
using floors::send_bytes;
using floors::system_failure;
using floors::taken;
using protocol::FrameHeader;
using webshocket::Opcode;
using Clock = std::chrono::steady_clock;

enum class Mode : std::uint8_t { send, writev, flat, file };

struct Options {
  std::uint16_t port = 0;
  Mode mode = Mode::flat;
  std::chrono::milliseconds hold{0};
};

constexpr std::size_t kReadSize = 512 * 1024;
constexpr std::size_t kEvents = 1024;

/// What a socket has not taken yet.
struct Rest {
  std::shared_ptr<const Run> run;
  std::size_t sent;
};

struct Connection {
  enum class Kind : std::uint8_t { http, subscriber, publisher, echo };

  int fd;
  Kind kind = Kind::http;
  std::size_t place = 0;  ///< among the subscribers
  protocol::HttpRequestReader request = protocol::HttpRequestReader();
  std::vector<std::byte> partial = {};  ///< the beginning of a frame
  std::vector<Rest> waiting = {};
};

/// All that the walk has to see of a subscriber.
struct Subscriber {
  int fd;
  bool waits;
  Connection* connection;
};

std::optional<Connection::Kind> kind_of(std::string_view path) {
  if (path == "/raw/sub") return Connection::Kind::subscriber;
  if (path == "/raw/pub") return Connection::Kind::publisher;
  if (path == "/raw/echo") return Connection::Kind::echo;
  return std::nullopt;
}

class Floor {
 public:
  explicit Floor(const Options& options) : options_(options) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    ::setsockopt(listener_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // who is accepted inherits
    sockaddr_in address = loopback(options.port);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, SOMAXCONN) != 0) {
      throw system_failure("cannot listen");
    }
    watch(EPOLL_CTL_ADD, listener_, EPOLLIN, nullptr);
  }

  std::uint16_t port() const noexcept {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
  }

  [[noreturn]] void run() {
    std::array<epoll_event, kEvents> events;
    for (;;) {
      const int count = ::epoll_wait(epoll_, events.data(), events.size(), timeout());
      for (const epoll_event& event :
           std::span(events).first(static_cast<std::size_t>(std::max(count, 0)))) {
        if (event.data.ptr == nullptr) {
          accept_all();
        } else {
          serve(*static_cast<Connection*>(event.data.ptr), event.events);
        }
      }
      if (!turn_->ends.empty() && Clock::now() >= due_) end_turn();
    }
  }

 private:
  static sockaddr_in loopback(std::uint16_t port) noexcept {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void watch(int operation, int fd, std::uint32_t events, Connection* connection) {
    epoll_event event{};
    event.events = events;
    event.data.ptr = connection;
    if (::epoll_ctl(epoll_, operation, fd, &event) != 0) throw system_failure("epoll_ctl");
  }

  /// For epoll_wait, in milliseconds: for ever, or until what is held is due.
  int timeout() const noexcept {
    if (turn_->ends.empty()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due_ - Clock::now());
    return static_cast<int>(std::max<std::chrono::milliseconds::rep>(left.count(), 0));
  }

  void accept_all() {
    for (;;) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) {
        if (errno == EAGAIN) return;
        if (errno == ECONNABORTED || errno == EINTR) continue;
        throw system_failure("cannot accept");
      }
      watch(EPOLL_CTL_ADD, fd, EPOLLIN, new Connection{.fd = fd});
    }
  }

  void serve(Connection& connection, std::uint32_t events) {
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) return drop(connection);
    if ((events & EPOLLOUT) != 0) send_waiting(connection);
    if ((events & EPOLLIN) != 0 && !read(connection)) drop(connection);
  }

  void drop(Connection& connection) noexcept {
    ::close(connection.fd);
    if (connection.kind == Connection::Kind::subscriber) {
      Subscriber& last = subscribers_.back();
      last.connection->place = connection.place;
      subscribers_[connection.place] = last;
      subscribers_.pop_back();
    }
    delete &connection;
  }

  // --- in -------------------------------------------------------------------------------------

  /// False: the connection has ended.
  bool read(Connection& connection) {
    const std::size_t kept = connection.partial.size();
    if (input_.size() < kept + kReadSize) input_.resize(kept + kReadSize);
    std::ranges::copy(connection.partial, input_.begin());
    const ssize_t count = ::recv(connection.fd, input_.data() + kept, kReadSize, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    if (count == 0) return false;
    std::span<std::byte> bytes = std::span(input_).first(kept + static_cast<std::size_t>(count));
    if (connection.kind == Connection::Kind::http && !upgrade(connection, bytes)) return false;
    const bool goes_on =
        connection.kind == Connection::Kind::http || take_frames(connection, bytes);
    connection.partial.assign(bytes.begin(), bytes.end());
    if (!replies_->ends.empty()) {
      const bool in_turn = connection.waiting.empty();
      keep_rest(connection, replies_, in_turn ? replies_->send_some(connection.fd) : 0);
      recycle(replies_);
    }
    return goes_on;
  }

  bool upgrade(Connection& connection, std::span<std::byte>& bytes) {
    std::span<const std::byte> input = bytes;
    const auto status = connection.request.feed(input);
    bytes = bytes.last(input.size());
    if (status == protocol::HttpRequestReader::Status::incomplete) return true;
    if (status == protocol::HttpRequestReader::Status::error) return false;
    const auto offer = protocol::check_upgrade(connection.request.head());
    const auto kind = kind_of(connection.request.head().path);
    if (!kind || std::holds_alternative<protocol::HttpError>(offer)) return false;
    protocol::Buffer reply;
    protocol::write_upgrade_reply(reply, std::get<protocol::UpgradeOffer>(offer).key, std::nullopt);
    if (send_bytes(connection.fd, reply.span()) != reply.size()) return false;
    connection.kind = *kind;
    connection.request = protocol::HttpRequestReader();
    if (kind == Connection::Kind::subscriber) {
      connection.place = subscribers_.size();
      subscribers_.push_back({connection.fd, false, &connection});
    }
    return true;
  }

  bool take_frames(Connection& connection, std::span<std::byte>& bytes) {
    while (bytes.size() >= FrameHeader::kMinSize) {
      const std::size_t size = FrameHeader::size(bytes);
      if (bytes.size() < size) break;
      const FrameHeader header = FrameHeader::parse(bytes);
      if (bytes.size() - size < header.length) break;
      const auto payload = bytes.subspan(size, static_cast<std::size_t>(header.length));
      bytes = bytes.subspan(size + payload.size());
      protocol::apply_mask(payload, header.key);
      if (!take_message(connection, header, payload)) return false;
    }
    return true;
  }

  bool take_message(Connection& connection, const FrameHeader& header,
                    std::span<const std::byte> payload) {
    switch (header.fin ? header.opcode : Opcode::continuation) {
      case Opcode::text:
      case Opcode::binary:
        if (connection.kind == Connection::Kind::echo) replies_->add(header.opcode, payload);
        if (connection.kind == Connection::Kind::publisher) {
          if (turn_->ends.empty()) due_ = Clock::now() + options_.hold;
          turn_->add(header.opcode, payload);
        }
        return true;
      case Opcode::ping:
        replies_->add(Opcode::ping, payload);
        return true;
      case Opcode::pong:
        return true;
      default: {
        protocol::Buffer close;
        protocol::write_close(close, webshocket::CloseCode::normal, {});
        send_bytes(connection.fd, close.span());
        return false;
      }
    }
  }

  // --- out ------------------------------------------------------------------------------------

  void end_turn() {
    if (options_.mode == Mode::file) turn_->file.emplace(turn_->bytes.span());
    parts_.clear();
    std::size_t begin = 0;
    for (const std::size_t end : turn_->ends) {
      parts_.push_back({turn_->bytes.data() + begin, end - begin});
      begin = end;
    }
    for (Subscriber& subscriber : subscribers_) {
      if (subscriber.waits) {
        subscriber.connection->waiting.push_back({turn_, 0});
        continue;
      }
      const std::size_t sent = send_turn(subscriber.fd);
      if (sent != turn_->bytes.size()) keep_rest(*subscriber.connection, turn_, sent);
    }
    recycle(turn_);
  }

  std::size_t send_turn(int fd) noexcept {
    std::size_t total = 0;
    switch (options_.mode) {
      case Mode::send:
        for (const iovec& part : parts_) {
          const auto sent =
              send_bytes(fd, {static_cast<const std::byte*>(part.iov_base), part.iov_len});
          total += sent;
          if (sent != part.iov_len) break;
        }
        return total;
      case Mode::writev:
        for (std::size_t first = 0; first < parts_.size(); first += IOV_MAX) {
          const std::size_t count = std::min<std::size_t>(parts_.size() - first, IOV_MAX);
          total += taken(::writev(fd, parts_.data() + first, static_cast<int>(count)));
          if (total != turn_->ends[first + count - 1]) break;
        }
        return total;
      case Mode::flat:
      case Mode::file:
        return turn_->send_some(fd);
    }
    return 0;
  }

  /// `sent` bytes of the run have gone; what is left waits for the socket.
  void keep_rest(Connection& connection, const std::shared_ptr<Run>& run, std::size_t sent) {
    if (sent == run->bytes.size()) return;
    if (connection.waiting.empty()) set_waits(connection, true);
    connection.waiting.push_back({run, sent});
  }

  void send_waiting(Connection& connection) {
    auto& waiting = connection.waiting;
    auto at = waiting.begin();
    for (; at != waiting.end(); ++at) {
      at->sent += at->run->send_some(connection.fd, at->sent);
      if (at->sent != at->run->bytes.size()) break;
    }
    waiting.erase(waiting.begin(), at);
    if (waiting.empty()) set_waits(connection, false);
  }

  void set_waits(Connection& connection, bool waits) {
    watch(EPOLL_CTL_MOD, connection.fd, waits ? EPOLLIN | EPOLLOUT : EPOLLIN, &connection);
    if (connection.kind == Connection::Kind::subscriber) {
      subscribers_[connection.place].waits = waits;
    }
  }

  /// Empty again; memory that somebody still waits for is left to him.
  static void recycle(std::shared_ptr<Run>& run) {
    if (run.use_count() != 1) run = std::make_shared<Run>();
    run->clear();
  }

  Options options_;
  int listener_ = -1;
  int epoll_ = -1;
  Clock::time_point due_;  ///< when the turn's messages leave
  std::shared_ptr<Run> turn_ = std::make_shared<Run>();
  std::shared_ptr<Run> replies_ = std::make_shared<Run>();
  std::vector<iovec> parts_;
  std::vector<Subscriber> subscribers_;  ///< in the order of their coming, while nobody leaves
  std::vector<std::byte> input_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::map<std::string, Mode> modes = {
      {"send", Mode::send}, {"writev", Mode::writev}, {"flat", Mode::flat}, {"file", Mode::file}};
  Options options;
  int hold = 0;
  CLI::App app{"The kernel's floor for fan-out: raw epoll, nothing else."};
  app.add_option("--port", options.port, "0 takes any free port")->required();
  app.add_option("--mode", options.mode, "how a turn's messages leave for each subscriber")
      ->transform(CLI::CheckedTransformer(modes))
      ->default_str("flat");
  app.add_option("--hold", hold, "milliseconds to collect publishes for")
      ->check(CLI::NonNegativeNumber);
  CLI11_PARSE(app, argc, argv);
  options.hold = std::chrono::milliseconds(hold);
  for (const int signal : {SIGINT, SIGTERM}) std::signal(signal, [](int) { ::_exit(0); });
  std::signal(SIGPIPE, SIG_IGN);  // writev and sendfile cannot be told not to raise it
  try {
    Floor floor(options);
    std::cout << "listening on 127.0.0.1:" << floor.port() << std::endl;
    floor.run();
  } catch (const std::system_error& error) {
    std::cerr << "floor: " << error.what() << "\n";
    return 1;
  }
}

/// Many client connections on one thread: opened, read from and written to without a library
/// between.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "clock.hpp"
#include "frame_cursor.hpp"
#include "frame_writer.hpp"
#include "target.hpp"

namespace wsbench {

/// A connection is a number; the numbers of closed ones are given away again by `connect`.
///
/// What happens is told to a sink, inside `poll`:
///
///     opened(id)                  the upgrade came about
///     frame(id, head, payload)    a data frame as a whole; or in parts:
///     begin(id, head), piece(id, bytes), end(id)
///     taken(id)                   all that was read at once has been told
///     closed(id, why)             by the server, or by a fault; never because of `drop`
///
/// Pings are answered here. A server's CLOSE is answered, and `closed` comes with its code when the
/// server ends the connection then.
class Swarm {
 public:
  using Id = std::uint32_t;

  explicit Swarm(const Target& target);
  ~Swarm();
  Swarm(const Swarm&) = delete;
  Swarm& operator=(const Swarm&) = delete;

  /// Begins to connect. Throws `Failure` if the system has no socket left.
  Id connect(std::string request);

  /// To be sent with the next `flush`.
  std::string& out(Id id) noexcept { return connections_[id].out; }
  void add_message(Id id, std::uint8_t opcode, std::string_view payload) {
    writer_.append(out(id), opcode, payload);
  }
  /// One `send` of all that waits; what the kernel does not take follows as it makes room.
  void flush(Id id);
  /// Begins the closing handshake with 1000.
  void say_goodbye(Id id);
  /// Ends the connection at once and tells nobody.
  void drop(Id id) noexcept;
  /// It has nothing to say for a while. What it reads is acknowledged as it is read: a connection
  /// that has just answered waits for something to send along, and does it in the end while the
  /// sender's next segment arrives, which over loopback is on the sender's time.
  void only_listens(Id id) noexcept;
  /// From now on nothing is read.
  void stop_reading(Id id) noexcept { connections_[id].reads = false; }

  /// Waits for something to happen, and tells all of it. False: the time is over.
  template <class Sink>
  bool poll(std::uint64_t timeout_ns, Sink& sink);

  /// When the bytes that are being told of were read.
  std::uint64_t read_at_ns() const noexcept { return read_at_ns_; }
  /// Connections that are neither open nor closed.
  std::size_t opening() const noexcept { return opening_; }

 private:
  enum class State : std::uint8_t { closed, connecting, upgrading, open };

  struct Connection {
    int fd = -1;
    State state = State::closed;
    bool reads = true;
    bool control = false;  ///< the frame that comes in parts is one
    bool said_goodbye = false;
    std::uint8_t control_opcode = 0;
    std::uint16_t close_code = 0;  ///< 0: the server has said no CLOSE
    FrameCursor cursor;
    std::string out;
    std::size_t sent = 0;  ///< so much of `out`
    std::string held;      ///< of a reply's head, or of a control frame
  };

  /// Between a cursor and the sink: keeps control frames to itself.
  template <class Sink>
  struct Visitor {
    void frame(const FrameHead& head, std::string_view payload) {
      if (head.control()) {
        swarm.answer(id, head.opcode, payload);
      } else {
        sink.frame(id, head, payload);
      }
    }
    void begin(const FrameHead& head) {
      Connection& own = swarm.connections_[id];
      own.control = head.control();
      own.control_opcode = head.opcode;
      if (!own.control) sink.begin(id, head);
    }
    void piece(std::string_view bytes) {
      Connection& own = swarm.connections_[id];
      if (own.control) {
        own.held += bytes;
      } else {
        sink.piece(id, bytes);
      }
    }
    void end() {
      Connection& own = swarm.connections_[id];
      if (own.control) {
        swarm.answer(id, own.control_opcode, std::string(std::move(own.held)));
        own.held.clear();
        own.control = false;
      } else {
        sink.end(id);
      }
    }

    Swarm& swarm;
    Sink& sink;
    Id id;
  };

  template <class Sink>
  void read(Id id, bool to_the_end, Sink& sink);
  /// False: nothing more can be read.
  template <class Sink>
  bool take(Id id, std::string_view bytes, Sink& sink);
  template <class Sink>
  void lose(Id id, const std::string& why, Sink& sink);

  int wait(std::uint64_t timeout_ns) noexcept;
  std::string begin_upgrade(Id id);
  void answer(Id id, std::uint8_t opcode, std::string_view payload);
  std::string end_reason(Id id, int error) const;

  static constexpr std::size_t kBufferSize = 256UL * 1024;
  static constexpr std::size_t kEvents = 1024;
  static constexpr std::size_t kLargestHead = 16UL * 1024;

  const Target& target_;
  int epoll_ = -1;
  std::size_t opening_ = 0;
  std::uint64_t read_at_ns_ = 0;
  FrameWriter writer_;
  std::deque<Connection> connections_;
  std::vector<Id> free_;
  std::vector<epoll_event> events_;
  std::unique_ptr<char[]> buffer_;
};

template <class Sink>
bool Swarm::poll(std::uint64_t timeout_ns, Sink& sink) {
  const int count = wait(timeout_ns);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    const Id id = event.data.u32;
    Connection& own = connections_[id];
    if (own.state == State::connecting) {
      if (const std::string why = begin_upgrade(id); !why.empty()) lose(id, why, sink);
    } else if ((event.events & EPOLLOUT) != 0 && !own.out.empty()) {
      flush(id);
    }
    if ((event.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) == 0) continue;
    read(id, (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0, sink);
  }
  return count > 0;
}

template <class Sink>
void Swarm::read(Id id, bool to_the_end, Sink& sink) {
  Connection& own = connections_[id];
  while (own.state != State::closed && own.reads) {
    const ssize_t count = ::recv(own.fd, buffer_.get(), kBufferSize, 0);
    if (count <= 0) {
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EAGAIN) return;
      lose(id, end_reason(id, count < 0 ? errno : 0), sink);
      return;
    }
    read_at_ns_ = now_ns();
    const auto size = static_cast<std::size_t>(count);
    if (!take(id, std::string_view(buffer_.get(), size), sink)) return;
    // Edge-triggered: a short read has emptied the socket, and what comes then brings an event.
    if (size < kBufferSize && !to_the_end) return;
  }
}

template <class Sink>
bool Swarm::take(Id id, std::string_view bytes, Sink& sink) {
  Connection& own = connections_[id];
  std::string reply;
  if (own.state == State::upgrading) {
    own.held += bytes;
    const std::size_t end = own.held.find("\r\n\r\n");
    if (end == std::string::npos && own.held.size() < kLargestHead) return true;
    reply = std::exchange(own.held, {});
    const auto size = end == std::string::npos ? reply.size() : end + 4;
    if (const auto why = target_.fault_of(std::string_view(reply).substr(0, size)); !why.empty()) {
      lose(id, why, sink);
      return false;
    }
    own.state = State::open;
    --opening_;
    sink.opened(id);
    bytes = std::string_view(reply).substr(size);
  }
  Visitor<Sink> visitor{*this, sink, id};
  if (own.cursor.feed(bytes, visitor)) {
    sink.taken(id);
    return true;
  }
  lose(id, "the server sent what is no frame of a server", sink);
  return false;
}

template <class Sink>
void Swarm::lose(Id id, const std::string& why, Sink& sink) {
  drop(id);
  sink.closed(id, why);
}

}  // namespace wsbench

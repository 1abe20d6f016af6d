/// A turn's messages as bytes, and the ways in which a socket gets them.
#pragma once

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>
#include <system_error>
#include <vector>

#include "protocol/buffer.hpp"
#include "protocol/frame_writer.hpp"

namespace floors {

inline std::system_error system_failure(const char* what) {
  return {errno, std::generic_category(), what};
}

/// How much the socket took. Of a broken one nothing: epoll will tell.
inline std::size_t taken(ssize_t result) noexcept {
  return result > 0 ? static_cast<std::size_t>(result) : 0;
}

inline std::size_t send_bytes(int fd, std::span<const std::byte> bytes) noexcept {
  return taken(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
}

/// Bytes in pages that sockets may hold on to. Who has not read them yet, reads what stands there
/// then: so they are written once.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const std::byte> bytes) : fd_(::memfd_create("run", MFD_CLOEXEC)) {
    if (taken(::write(fd_, bytes.data(), bytes.size())) != bytes.size()) {
      throw system_failure("cannot write to memory");
    }
  }
  ~MemoryFile() { ::close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  std::size_t send_some(int to, std::size_t from, std::size_t size) const noexcept {
    auto offset = static_cast<off_t>(from);
    return taken(::sendfile(to, fd_, &offset, size));
  }

 private:
  int fd_;
};

/// Frames, one behind the other.
struct Run {
  webshocket::protocol::Buffer bytes;
  std::vector<std::size_t> ends;
  std::optional<MemoryFile> file;  ///< the bytes again, in that mode

  void add(webshocket::Opcode opcode, std::span<const std::byte> payload) {
    if (opcode == webshocket::Opcode::ping) {
      webshocket::protocol::write_pong(bytes, payload);
    } else {
      webshocket::protocol::write_message(bytes, opcode, payload, 0);
    }
    ends.push_back(bytes.size());
  }
  void clear() noexcept {
    bytes.clear();
    ends.clear();
    file.reset();
  }

  /// All behind the first `sent` bytes at once.
  std::size_t send_some(int to, std::size_t sent = 0) const noexcept {
    return file ? file->send_some(to, sent, bytes.size() - sent)
                : send_bytes(to, bytes.span().subspan(sent));
  }
};

}  // namespace floors

/// What many connections are sent, as pages that the kernel takes without a copy for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "shards/run.hpp"

namespace webshocket::shards {

/// A part of the file; empty: nothing that is worth sending from there.
struct FilePart {
  std::size_t offset = 0;
  std::size_t size = 0;
};

/// A file in memory (`memfd_create`), filled and emptied within one turn. A socket that is sent a
/// part of it refers to the file's pages, where otherwise it gets a copy of its own; what is still
/// on its way keeps its pages after the file is empty. What a socket does not take in this turn
/// goes from elsewhere.
///
/// Writing to the file is a copy, too, so it pays only for much data and several recipients. If
/// there is no such file to be had, nothing is worth it. One thread, with SIGPIPE and SIGXFSZ
/// blocked.
class PageFile {
 public:
  /// Less is sent as fast from where it lies.
  static constexpr std::size_t kWorthSending = 16 * 1024;
  /// More than a socket takes at once.
  static constexpr std::size_t kMostSent = 4 * 1024 * 1024;
  static constexpr std::size_t kWorthPlacing = 4 * 1024;
  static constexpr std::uint32_t kWorthReferences = 16;
  static constexpr std::size_t kMostPlaced = 16 * 1024 * 1024;
  /// Turns without it, when descriptors or memory were lacking.
  static constexpr int kRest = 1024;

  PageFile() noexcept = default;
  PageFile(const PageFile&) = delete;
  PageFile& operator=(const PageFile&) = delete;
  ~PageFile();

  /// Where in the file the first `end` bytes of a run of this turn are; nothing if they are not
  /// worth it. Runs that are placed one after the other lie side by side.
  std::optional<std::size_t> place(const Run& run, std::size_t end) noexcept;

  /// Bytes that the socket took, or errno negated: -EINVAL if the part is empty, or this socket
  /// cannot be sent files.
  ssize_t send(int socket, const FilePart& part) noexcept;

  /// At the end of the turn: what was placed is there no more.
  void clear() noexcept;

 private:
  bool open() noexcept;
  void close() noexcept;
  bool write(const Run& run, std::size_t size) noexcept;

  int fd_ = -1;
  bool is_unavailable_ = false;
  int rest_ = 0;  ///< turns
  std::size_t size_ = 0;
};

}  // namespace webshocket::shards

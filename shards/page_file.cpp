#include "shards/page_file.hpp"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace webshocket::shards {

PageFile::~PageFile() { close(); }

std::optional<std::size_t> PageFile::place(const Run& run, std::size_t end) noexcept {
  Run::Placed& placed = run.placed_;
  if (!run.is_new() || !run.handling().has_messages()) return std::nullopt;
  if (is_unavailable_ || rest_ != 0) return std::nullopt;
  if (placed.size >= end) return placed.offset;
  if (run.references() < kWorthReferences || run.size() < kWorthPlacing) return std::nullopt;
  const std::size_t size = run.size();
  const std::size_t offset = size_;
  if (size > kMostPlaced - offset || !open() || !write(run, size)) return std::nullopt;
  placed = {offset, size};
  return offset;
}

ssize_t PageFile::send(int socket, const FilePart& part) noexcept {
  if (part.size == 0) return -EINVAL;
  auto at = static_cast<off_t>(part.offset);
  for (;;) {
    const ssize_t count = ::sendfile(socket, fd_, &at, part.size);
    if (count > 0) return count;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != EINVAL && errno != ENOSYS && errno != EPERM) return -errno;
    is_unavailable_ = true;  // a sandbox, maybe: it is all the same from here on
    return -EINVAL;
  }
}

void PageFile::clear() noexcept {
  if (is_unavailable_) return close();
  if (rest_ != 0) --rest_;
  if (size_ == 0) return;
  size_ = 0;
  // Whole pages leave the file; none that a socket still refers to is changed.
  if (::ftruncate(fd_, 0) != 0) close();
}

void PageFile::close() noexcept {
  is_unavailable_ = true;
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

bool PageFile::open() noexcept {
  if (fd_ >= 0) return true;
  fd_ = ::memfd_create("webshocket", MFD_CLOEXEC);
  if (fd_ >= 0) return true;
  if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) {
    rest_ = kRest;
  } else {
    is_unavailable_ = true;
  }
  return false;
}

bool PageFile::write(const Run& run, std::size_t size) noexcept {
  for (std::size_t written = 0; written < size;) {
    const ssize_t count =
        ::pwrite(fd_, run.data() + written, size - written, static_cast<off_t>(size_ + written));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      rest_ = kRest;
      if (::ftruncate(fd_, static_cast<off_t>(size_)) != 0) close();
      return false;
    }
    written += static_cast<std::size_t>(count);
  }
  size_ += size;
  return true;
}

}  // namespace webshocket::shards

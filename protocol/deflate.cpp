#include "protocol/deflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>
#include <new>
#include <tuple>

namespace webshocket::protocol {
namespace {

/// What a flush ends with, and what therefore need not be sent: RFC 7692, section 7.2.1.
constexpr std::array kTail{std::byte{0}, std::byte{0}, std::byte{0xFF}, std::byte{0xFF}};

/// zlib counts in `unsigned`.
constexpr std::size_t kMostAtOnce = std::numeric_limits<uInt>::max();

uInt count(std::size_t size) noexcept { return static_cast<uInt>(std::min(size, kMostAtOnce)); }

Bytef* bytes(std::byte* data) noexcept { return reinterpret_cast<Bytef*>(data); }

// zlib only reads it.
Bytef* bytes(const std::byte* data) noexcept {
  return reinterpret_cast<Bytef*>(const_cast<std::byte*>(data));
}

}  // namespace

// --- Deflater ---------------------------------------------------------------------------------

Deflater::Deflater(const Compression& settings, int window_bits) {
  auto stream = std::make_unique<z_stream>();
  if (deflateInit2(stream.get(), settings.level, Z_DEFLATED, -window_bits, settings.memory_level,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    throw std::bad_alloc();
  }
  stream_.reset(stream.release());
}

Deflater::~Deflater() = default;

void Deflater::End::operator()(z_stream_s* stream) const noexcept {
  deflateEnd(stream);
  delete stream;
}

bool Deflater::deflate(std::span<const std::byte> message, Buffer& out) {
  if (message.empty()) return false;  // zlib flushes nothing twice
  const std::size_t before = out.size();
  // With the tail, which is cut off again, as much as the message has: more is of no use.
  const std::size_t room = message.size() + kTail.size();
  std::size_t written = 0;
  out.extend(room);
  stream_->next_in = bytes(message.data());
  stream_->avail_in = 0;
  std::size_t left = message.size();
  for (;;) {
    if (stream_->avail_in == 0) {
      stream_->avail_in = count(left);
      left -= stream_->avail_in;
    }
    stream_->next_out = bytes(out.data() + before + written);
    const uInt offered = count(room - written);
    stream_->avail_out = offered;
    ::deflate(stream_.get(), left == 0 ? Z_SYNC_FLUSH : Z_NO_FLUSH);
    written += offered - stream_->avail_out;
    if (written == room) break;
    if (stream_->avail_in == 0 && left == 0 && stream_->avail_out != 0) break;
  }
  const bool is_smaller = written < room;
  out.resize_down(is_smaller ? before + written - kTail.size() : before);
  return is_smaller;
}

void Deflater::forget() noexcept { deflateReset(stream_.get()); }

Deflater& Deflater::shared(const Compression& settings) {
  static thread_local std::unique_ptr<Deflater> deflater;
  static thread_local std::tuple<int, int, int> made_for;
  const std::tuple wanted(settings.level, settings.window_bits, settings.memory_level);
  if (deflater == nullptr || made_for != wanted) {
    deflater = std::make_unique<Deflater>(settings, settings.window_bits);
    made_for = wanted;
  } else {
    deflater->forget();
  }
  return *deflater;
}

// --- Inflater ---------------------------------------------------------------------------------

Inflater::Inflater(int window_bits, bool remembers) : remembers_(remembers) {
  auto stream = std::make_unique<z_stream>();
  // zlib has no raw streams with a smaller window, and a larger one does no harm.
  if (inflateInit2(stream.get(), -std::max(window_bits, kLeastWindowBits)) != Z_OK) {
    throw std::bad_alloc();
  }
  stream_.reset(stream.release());
}

Inflater::~Inflater() = default;

void Inflater::End::operator()(z_stream_s* stream) const noexcept {
  inflateEnd(stream);
  delete stream;
}

Inflater::Status Inflater::inflate(std::span<const std::byte> message, Buffer& out,
                                   std::size_t limit) noexcept {
  const std::size_t end = limit == 0 ? std::numeric_limits<std::size_t>::max() : out.size() + limit;
  if (!remembers_) inflateReset(stream_.get());
  try {
    Status status = run(message, out, end);
    if (status == Status::ok) status = run(kTail, out, end);
    // Cut off anywhere, the tail would be read as something else. It must stand between two blocks.
    constexpr int kBetweenBlocks = 128;
    constexpr int kUnusedBits = 7;
    const bool is_whole = (stream_->data_type & (kBetweenBlocks | kUnusedBits)) == kBetweenBlocks;
    return status == Status::ok && !is_whole ? Status::corrupt : status;
  } catch (const std::bad_alloc&) {
    return Status::no_memory;
  }
}

Inflater::Status Inflater::run(std::span<const std::byte> input, Buffer& out, std::size_t end) {
  constexpr std::size_t kLeastRoom = 1024;
  constexpr std::size_t kMostRoom = 256 * 1024;
  stream_->next_in = bytes(input.data());
  stream_->avail_in = 0;
  std::size_t left = input.size();
  for (;;) {
    if (stream_->avail_in == 0) {
      stream_->avail_in = count(left);
      left -= stream_->avail_in;
    }
    // One byte more than may come: it tells too much from just enough.
    const std::size_t most =
        end - out.size() + (end == std::numeric_limits<std::size_t>::max() ? 0 : 1);
    const std::size_t before = out.size();
    const std::size_t room = std::min(
        most, std::clamp(std::max(out.capacity() - before, before), kLeastRoom, kMostRoom));
    stream_->next_out = bytes(out.extend(room));
    stream_->avail_out = count(room);
    const int result = ::inflate(stream_.get(), Z_SYNC_FLUSH);
    out.resize_down(before + room - stream_->avail_out);
    if (out.size() > end) return Status::too_big;
    switch (result) {
      case Z_OK:
        break;
      case Z_BUF_ERROR:  // neither input nor output is left to go on with: no error
        break;
      case Z_STREAM_END:
        // A block that calls itself the last one of its stream. More may follow, and refer to what
        // came before it.
        if (inflateResetKeep(stream_.get()) != Z_OK) return Status::corrupt;
        break;
      case Z_MEM_ERROR:
        return Status::no_memory;
      default:
        return Status::corrupt;
    }
    if (stream_->avail_in == 0 && left == 0 && stream_->avail_out != 0) return Status::ok;
  }
}

Inflater& Inflater::shared() {
  static thread_local Inflater inflater;
  return inflater;
}

}  // namespace webshocket::protocol

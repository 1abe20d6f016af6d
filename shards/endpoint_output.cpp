// From the outbox, or the burst, to the socket.

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "protocol/frame_writer.hpp"
#include "shards/endpoint.hpp"
#include "shards/tls_stream.hpp"

namespace webshocket::shards {

void Endpoint::begin_outbox() {
  if (outbox_ == nullptr) outbox_ = reactor_.lend_outbox();
  settle_burst();
}

void Endpoint::push_ahead(const Range& frame) { outbox().push_ahead(frame); }

void Endpoint::move_burst_to_outbox() {
  if (outbox_ == nullptr) outbox_ = reactor_.lend_outbox();
  outbox_->push({burst_.run, burst_.begin, burst_.end_of_part()});
  end_burst();
}

Endpoint::Body Endpoint::deflated(std::span<const std::byte> message, Compress choice) {
  const Compression& settings = rules().compression;
  if (!protocol::is_worth_deflating(settings, choice, message.size())) return {message};
  protocol::Buffer& deflated = reactor_.deflate_scratch();
  if (!deflate_->deflate(message, settings, deflated)) return {message};
  auto& counters = reactor_.counters();
  counters.messages_deflated.add();
  counters.deflate_bytes_in.add(message.size());
  counters.deflate_bytes_out.add(deflated.size());
  return {deflated.span(), true};
}

// Not inlined into what most messages run through.
[[gnu::noinline]] void Endpoint::write_large(Opcode opcode, const Body& body,
                                             std::size_t fragment_size) {
  std::size_t sent = 0;
  if (!has_output() && tls_ == nullptr) {
    sent = send_at_once(opcode, body, fragment_size);
    if (phase_ == Phase::doomed) return;
    if (sent == protocol::framed_size(body.bytes.size(), fragment_size)) return;
  }
  Outbox& to = outbox();
  const std::size_t before = to.own_bytes();
  try {
    to.write([&](protocol::Buffer& out) {
      protocol::write_message(out, opcode, body.bytes, fragment_size, {}, body.compressed);
    });
  } catch (const std::bad_alloc&) {
    if (sent != 0) doom(ENOMEM);  // in the middle of a frame there is nothing more to say
    throw;
  }
  if (sent != 0) to.consume(sent, true);
  has_written(before);
}

std::size_t Endpoint::send_at_once(Opcode opcode, const Body& body, std::size_t fragment_size) {
  constexpr std::size_t kMostFrames = 64;
  std::array<std::array<std::byte, protocol::FrameHeader::kMaxSize>, kMostFrames> headers;
  const std::span<iovec> parts = reactor_.parts();
  std::span<const std::byte> rest = body.bytes;
  std::size_t frames = 0;
  for (; !rest.empty() && frames < kMostFrames; ++frames) {
    const std::size_t size =
        fragment_size == 0 ? rest.size() : std::min(rest.size(), fragment_size);
    const auto header = protocol::FrameHeader::of_message(opcode, frames == 0, size == rest.size(),
                                                          body.compressed, size);
    parts[2 * frames] = {headers[frames].data(), header.write(headers[frames].data())};
    // sendmsg takes what it only reads as void*.
    parts[2 * frames + 1] = {const_cast<std::byte*>(rest.data()), size};
    rest = rest.subspan(size);
  }
  const ssize_t sent = socket_.send(parts.first(2 * frames));
  if (sent == -EAGAIN) return 0;
  if (sent < 0) {
    on_send_failed(static_cast<int>(-sent));
    return 0;
  }
  count_sent(static_cast<std::size_t>(sent));
  return static_cast<std::size_t>(sent);
}

Tally Endpoint::drop_unsent() {
  settle_burst();
  if (outbox_ == nullptr) return {};
  const std::size_t own = outbox_->own_bytes();
  const Tally dropped = outbox_->drop_unsent();
  reactor_.count_outbox(own, outbox_->own_bytes());
  return dropped;
}

void Endpoint::discard_burst() noexcept {
  if (!burst_.run) return;
  reactor_.counters().deliveries_discarded.add(
      burst_.run->messages_between(burst_.begin, burst_.end_of_part()));
  end_burst();
}

void Endpoint::flush_turn() noexcept {
  is_dirty = false;
  if (phase_ == Phase::doomed) return free_if_done();
  guard([this] {
    // A socket that has said that it takes no more says so when it does.
    wants_write_ ? settle_burst() : flush();
    if (outbox_ != nullptr) reactor_.mark_stuck(*this);
  });
}

void Endpoint::detach_outbox() noexcept {
  if (outbox_ == nullptr) return;
  try {
    outbox_->detach();
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): it is there to save memory
  }
}

void Endpoint::flush() {
  if (burst_.run && outbox_ == nullptr && tls_ == nullptr) return flush_burst();
  settle_burst();
  if (outbox_ == nullptr) return;
  const std::size_t own = outbox_->own_bytes();
  const std::span<iovec> parts = reactor_.parts();
  while (!outbox_->empty()) {
    const FilePart front = tls_ == nullptr ? outbox_->front_in(reactor_.page_file()) : FilePart{};
    std::size_t offered = front.size;
    ssize_t sent = -EINVAL;
    if (offered != 0) sent = reactor_.page_file().send(socket_.fd(), front);
    if (sent == -EINVAL) {
      const std::span<iovec> next = parts.first(outbox_->gather(parts));
      offered = 0;
      for (const iovec& part : next) offered += part.iov_len;
      sent = send(next);
    }
    if (sent == -EAGAIN) break;
    if (sent < 0) {
      reactor_.count_outbox(own, outbox_->own_bytes());
      return on_send_failed(static_cast<int>(-sent));
    }
    consume(static_cast<std::size_t>(sent));
    if (static_cast<std::size_t>(sent) < offered) break;
  }
  if (tls_ != nullptr) outbox_->commit(tls_->committed(), speaks_frames());
  reactor_.count_outbox(own, outbox_->own_bytes());
  if (outbox_->empty()) reactor_.take_back(std::move(outbox_));
  has_flushed();
}

void Endpoint::consume(std::size_t count) noexcept {
  count_sent(count);
  const Tally written = outbox_->consume(count, speaks_frames());
  reactor_.counters().deliveries_written.add(written.deliveries);
  outbox_->note_progress();
}

FilePart Endpoint::part_of_burst() noexcept {
  const std::size_t size = burst_.size();
  if (size < PageFile::kWorthSending) return {};
  const auto offset = reactor_.page_file().place(*burst_.run, burst_.begin + size);
  return offset ? FilePart{*offset + burst_.begin, size} : FilePart{};
}

// With nothing in front of it no outbox is needed, unless the socket leaves a part.
void Endpoint::flush_burst() {
  const std::size_t size = burst_.size();
  ssize_t sent = reactor_.page_file().send(socket_.fd(), part_of_burst());
  if (sent == -EINVAL) sent = socket_.send({burst_.run->data() + burst_.begin, size});
  if (sent < 0 && sent != -EAGAIN) return on_send_failed(static_cast<int>(-sent));
  if (sent == static_cast<ssize_t>(size)) {
    count_sent(size);
    if (burst_.run->handling().has_messages()) {
      reactor_.counters().deliveries_written.add(
          burst_.run->messages_between(burst_.begin, burst_.begin + size));
    }
    end_burst();
  } else {
    settle_burst();
    if (sent > 0) consume(static_cast<std::size_t>(sent));
  }
  has_flushed();
}

void Endpoint::has_flushed() {
  const bool wants_write = outbox_ != nullptr;
  if (wants_write != wants_write_) {
    wants_write_ = wants_write;
    watch();
    if (wants_write) {
      outbox_->watch_progress(reactor_, *this, rules().write_timeout);
      on_stuck();
    }
  }
  if (finish_after_flush_ && !wants_write) return finish();
  on_flushed();
}

void Endpoint::cut_off_unread() noexcept {
  reactor_.counters().writes_timed_out.add();
  doom(ETIMEDOUT);
}

void Endpoint::finish() {
  if (close_received_) return doom();
  // What we said last must not be lost in a reset by input that we have not read: half-close, and
  // read on until the peer has closed too, or the deadline is there.
  if (std::exchange(output_ended_, true)) return;
  if (tls_ != nullptr) tls_->end_output();
  socket_.shut_down_output();
}

}  // namespace webshocket::shards

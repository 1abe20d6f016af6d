#include "tests/fuzz/connection/stranger.hpp"

#include <fcntl.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include <webshocket/error.hpp>
#include <webshocket/packet.hpp>

#include "tests/fuzz/require.hpp"

namespace webshocket::fuzz {
namespace {

constexpr std::uint8_t kFin = 0x80;
constexpr std::uint8_t kRsv1 = 0x40;

std::string deflate_message(std::string_view message) {
  z_stream stream{};
  require(deflateInit2(&stream, 6, Z_DEFLATED, -9, 8, Z_DEFAULT_STRATEGY) == Z_OK, "zlib");
  std::string input(message);
  std::string output(deflateBound(&stream, input.size()) + 16, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(input.data());
  stream.avail_in = static_cast<uInt>(input.size());
  stream.next_out = reinterpret_cast<Bytef*>(output.data());
  stream.avail_out = static_cast<uInt>(output.size());
  deflate(&stream, Z_SYNC_FLUSH);
  output.resize(output.size() - stream.avail_out);
  deflateEnd(&stream);
  if (output.size() >= 4) output.resize(output.size() - 4);
  return output;
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

}  // namespace

// --- the socket ---------------------------------------------------------------------------------

shards::Socket Stranger::connect(bool has_small_buffers) {
  // What it was before, it is no more.
  *this = Stranger(number_, made_);
  std::array<int, 2> ends{};
  require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0,
          "no socket pair");
  if (has_small_buffers) {
    const int size = 4096;
    for (const int end : ends) ::setsockopt(end, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }
  socket_ = shards::Socket(ends[0]);
  return shards::Socket(ends[1]);
}

void Stranger::hang_up() {
  socket_.close();
  pending_.clear();
}

void Stranger::end_output() {
  if (!socket_.is_open() || !pending_.empty()) return;
  output_ended_ = has_said_close_ = true;
  socket_.shut_down_output();
}

bool Stranger::read(std::size_t most) {
  if (!socket_.is_open() || has_ended_) return false;
  std::array<std::byte, 65536> buffer;
  bool has_read = false;
  for (std::size_t rest = most; most == 0 || rest > 0;) {
    const std::size_t room = most == 0 ? buffer.size() : std::min(rest, buffer.size());
    const ssize_t count = socket_.receive(std::span(buffer).first(room));
    if (count == -EAGAIN) break;
    has_read = true;
    if (count <= 0) {
      has_ended_ = true;
      break;
    }
    take({reinterpret_cast<const char*>(buffer.data()), static_cast<std::size_t>(count)});
    if (most != 0) rest -= static_cast<std::size_t>(count);
  }
  return has_read;
}

void Stranger::take(std::string_view bytes) {
  if (frames_ == nullptr) {
    bytes = http_.take(bytes);
    if (http_.is_upgraded()) begin_frames();
  }
  if (frames_ != nullptr) frames_->take(bytes);
}

void Stranger::begin_frames() {
  const std::string protocol = http_.header("sec-websocket-protocol");
  format_ = !http_.header("x-raw").empty() ? Format::raw
            : protocol == "webshocket.v1"  ? Format::msgpack
                                           : Format::json;
  const std::string extensions = http_.header("sec-websocket-extensions");
  std::unique_ptr<Inflater> inflater;
  if (!extensions.empty()) {
    require(offers_deflate_ || !is_legal_, "an extension that nobody has offered");
    require(extensions.starts_with("permessage-deflate"), "an unknown extension");
    inflater = std::make_unique<Inflater>(extensions.find("server_no_context_takeover") ==
                                          std::string::npos);
  }
  may_deflate_ = inflater != nullptr;
  frames_ = std::make_unique<FrameJudge>(false, std::move(inflater));
  frames_->on_message = [this](const FrameJudge::Message& message) { take_message(message); };
  frames_->on_ping = [this](std::string_view payload) {
    // As long as nothing is half-said, it is polite.
    if (reads_all && is_clear() && !is_held_ && is_open()) frame(kFin | 10, payload);
  };
  frames_->on_pong = [this](std::string_view payload) {
    require(!is_legal_ || pings_.contains(payload), "a PONG to no PING");
  };
}

void Stranger::take_message(const FrameJudge::Message& message) {
  if (format_ == Format::raw) return;
  try {
    const OwnedPacket packet = format_ == Format::msgpack ? deserialize(bytes_of(message.bytes))
                                                          : deserialize_json(message.bytes);
    const RpcResponse* response = packet->response();
    if (response == nullptr) return;
    if (response->is_stream && !response->is_end) return;
    const auto call = calls_.find(response->call_id);
    if (call == calls_.end()) return require(!is_legal_, "an answer to a call that nobody made");
    ++call->second.answered;
    require(call->second.answered <= call->second.made, "a second answer to one call");
  } catch (const PacketValidationError& error) {
    require(false,
            std::string(to_string(format_)) + ", " + error.what() + ": " + message.bytes + "<");
  }
}

// --- output -------------------------------------------------------------------------------------

void Stranger::feed(std::string_view bytes) {
  if (!socket_.is_open() || output_ended_) return;
  pending_ += bytes;
  if (!is_held_) flush();
}

void Stranger::flush() {
  if (is_held_) return;
  release(0);
}

void Stranger::release(std::size_t count) {
  if (!socket_.is_open()) return;
  if (count == 0) is_held_ = false;
  const std::size_t most = count == 0 ? pending_.size() : std::min(count, pending_.size());
  const ssize_t sent = most == 0 ? 0 : socket_.send(bytes_of(pending_).first(most));
  if (sent > 0) pending_.erase(0, static_cast<std::size_t>(sent));
  if (sent < 0 && sent != -EAGAIN) {
    pending_.clear();
    has_said_close_ = true;
  }
}

void Stranger::feed_raw(std::string_view bytes) {
  is_legal_ = false;
  if (frames_ == nullptr) http_.lose_count(true);
  feed(bytes);
}

void Stranger::request(const std::string& head_and_body, bool is_head) {
  if (frames_ != nullptr) return feed_raw(head_and_body);
  if (has_asked_for_upgrade_) is_legal_ = false;
  http_.expect(is_head);
  feed(head_and_body);
}

void Stranger::upgrade(const std::string& upgrade, Format format) {
  if (frames_ != nullptr || has_asked_for_upgrade_) return request(upgrade, false);
  format_ = format;
  offers_deflate_ = upgrade.find("permessage-deflate") != std::string::npos;
  request(upgrade, false);
  has_asked_for_upgrade_ = true;
}

void Stranger::append_frame(std::string& out, std::uint8_t first_byte, std::string_view payload) {
  out += static_cast<char>(first_byte);
  const std::size_t size = payload.size();
  if (size < 126) {
    out += static_cast<char>(0x80 | size);
  } else if (size < 65536) {
    out += static_cast<char>(0x80 | 126);
    out += static_cast<char>(size >> 8U);
    out += static_cast<char>(size);
  } else {
    out += static_cast<char>(0x80 | 127);
    for (int shift = 56; shift >= 0; shift -= 8) {
      out += static_cast<char>(std::uint64_t{size} >> static_cast<unsigned>(shift));
    }
  }
  mask_ = mask_ * 1664525U + 1013904223U;
  std::array<char, 4> key{};
  for (unsigned i = 0; i < 4; ++i) key[i] = static_cast<char>(mask_ >> (8 * i));
  out.append(key.data(), key.size());
  for (std::size_t i = 0; i < size; ++i) out += static_cast<char>(payload[i] ^ key[i % 4]);
}

void Stranger::frame(std::uint8_t first_byte, std::string_view payload) {
  const unsigned opcode = first_byte & 0x0FU;
  if (opcode < 8) is_in_message_ = (first_byte & kFin) == 0;
  if (opcode == 8) has_said_close_ = true;
  if (opcode == 9) pings_.emplace(payload);
  if (frames_ == nullptr && !has_asked_for_upgrade_) {
    is_legal_ = false;
    http_.lose_count(false);
  }
  std::string out;
  append_frame(out, first_byte, payload);
  feed(out);
}

void Stranger::bad_frame(std::uint8_t first_byte, bool is_masked, std::uint64_t claimed_length,
                         std::string_view payload) {
  is_legal_ = false;
  std::string out{static_cast<char>(first_byte)};
  const auto mask = static_cast<unsigned>(is_masked ? 0x80 : 0);
  out += static_cast<char>(mask | 127U);
  for (unsigned i = 0; i < 8; ++i) out += static_cast<char>(claimed_length >> (56U - 8 * i));
  if (is_masked) out.append(4, '\0');
  out += payload;
  if (frames_ == nullptr) http_.lose_count(false);
  feed(out);
}

void Stranger::message(std::string_view bytes, bool is_text, std::size_t fragments, bool compress) {
  std::string deflated;
  const bool is_compressed = compress && may_deflate_;
  if (is_compressed) bytes = deflated = deflate_message(bytes);
  const std::size_t size = bytes.size() / std::max<std::size_t>(fragments, 1) + 1;
  std::uint8_t first = is_text ? 1 : 2;
  if (is_compressed) first |= kRsv1;
  do {
    const std::size_t part = std::min(size, bytes.size());
    const bool is_last = part == bytes.size();
    frame(static_cast<std::uint8_t>(first | (is_last ? kFin : 0)), bytes.substr(0, part));
    bytes.remove_prefix(part);
    first = 0;
  } while (!bytes.empty());
}

void Stranger::ping(std::string_view payload) { frame(kFin | 9, payload); }

std::string Stranger::packet_of(std::string_view json) const {
  if (format_ != Format::msgpack) return std::string(json);
  const auto bytes = to_msgpack(from_json(json).root());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string Stranger::make_call(std::string_view method, std::string_view arguments,
                                std::string id) {
  return packet_of(R"({"source":5,"rpc":{"type":"request","method":")" + std::string(method) +
                   R"(","args":)" + std::string(arguments) + R"(,"call_id":")" + id + R"("}})");
}

void Stranger::call(std::string_view method, std::string_view arguments, std::size_t fragments,
                    bool compress) {
  ++made_;
  const std::string id = last_call();
  if (socket_.is_open() && !output_ended_) ++calls_[id].made;
  message(make_call(method, arguments, id), false, fragments, compress);
}

void Stranger::mutated_call(std::string_view method, std::string_view arguments, std::size_t index,
                            std::uint8_t change) {
  ++made_;
  const std::string id = last_call();
  std::string packet = make_call(method, arguments, id);
  packet[index % packet.size()] ^= static_cast<char>(change);
  Call& made = calls_[id];
  ++made.made;
  made.may_be_lost = true;
  // Its id may be another one now.
  is_legal_ = false;
  message(packet, false, 1, false);
}

void Stranger::abort(std::size_t back) {
  const std::string id = "c" + std::to_string(number_) + "-" +
                         std::to_string(made_ - std::min<std::size_t>(back, made_));
  if (const auto call = calls_.find(id); call != calls_.end()) call->second.may_be_lost = true;
  message(make_call("__abort__", "[\"" + id + "\"]", "abort"), false, 1, false);
}

// --- what it knows ------------------------------------------------------------------------------

std::uint64_t Stranger::answers_to(const std::string& id) const {
  const auto call = calls_.find(id);
  return call == calls_.end() ? 0 : call->second.answered;
}

void Stranger::require_answers() const {
  if (format_ == Format::raw) return;
  for (const auto& [id, call] : calls_) {
    require(call.may_be_lost || call.answered == call.made, "a call was not answered: " + id);
  }
}

}  // namespace webshocket::fuzz

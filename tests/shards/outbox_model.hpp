/// An outbox as one would write it in a minute, to compare with: a list of frames.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/frame_header.hpp"
#include "protocol/frame_writer.hpp"
#include "shards/message.hpp"
#include "shards/outbox.hpp"

namespace webshocket::tests {

class OutboxModel {
 public:
  enum class Kind { own, fixed, droppable, control };
  struct Frame {
    std::string rest;
    Kind kind;
    int message;
    int key;  ///< -1: none
    bool has_begun = false;
  };

  bool empty() const { return frames_.empty(); }
  std::string all() const {
    std::string text;
    for (const Frame& frame : frames_) text += frame.rest;
    return text;
  }

  void push(const std::vector<std::string>& added, Kind kind, int key = -1) {
    ++last_;
    for (const std::string& frame : added) frames_.push_back({frame, kind, last_, key});
  }
  void push_newest(const std::vector<std::string>& added, int key) {
    keep_newest();  // as it is only used where that has been done
    std::erase_if(frames_, [&](const Frame& f) { return f.key == key && !is_begun(f); });
    push(added, Kind::droppable, key);
  }
  void push_ahead(const std::string& frame) {
    auto place = frames_.begin();
    if (place != frames_.end() && place->has_begun) ++place;
    if (place != frames_.end() && place->kind == Kind::control) {
      place->rest = frame;
    } else {
      frames_.insert(place, {frame, Kind::control, ++last_, -1});
    }
  }
  void keep_newest() {
    std::set<int> seen;
    std::set<int> gone;
    for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) {
      if (frame->key < 0 || is_begun(*frame) || kept_ == frame->message) continue;
      kept_ = frame->message;
      if (!seen.insert(frame->key).second) gone.insert(frame->message);
    }
    kept_ = 0;
    std::erase_if(frames_, [&](const Frame& f) { return gone.contains(f.message); });
  }
  void consume(std::size_t count) {
    while (count > 0) {
      Frame& frame = frames_.front();
      const std::size_t taken = std::min(count, frame.rest.size());
      frame.rest.erase(0, taken);
      frame.has_begun = true;
      if (frame.kind != Kind::control) begun_ = frame.message;
      count -= taken;
      if (frame.rest.empty()) frames_.pop_front();
    }
  }
  void drop_unsent() {
    const bool keeps = !frames_.empty() && frames_.front().has_begun;
    frames_.resize(keeps ? 1 : 0, {});
  }
  /// How many bytes.
  std::size_t drop_oldest(std::size_t bytes) {
    std::size_t dropped = 0;
    for (auto at = frames_.begin(); at != frames_.end();) {
      const int message = at->message;
      const bool goes = at->kind == Kind::droppable && !is_begun(*at) && dropped < bytes;
      for (; at != frames_.end() && at->message == message;) {
        if (goes) dropped += at->rest.size();
        at = goes ? frames_.erase(at) : at + 1;
      }
    }
    return dropped;
  }

 private:
  bool is_begun(const Frame& frame) const {
    return frame.message == begun_ && begun_ != 0 && frame.kind != Kind::own;
  }

  std::deque<Frame> frames_;
  int last_ = 0;
  int begun_ = 0;
  int kept_ = 0;
};

/// Does the same to both. What returns a bool says whether they did the same.
class OutboxComparison {
 public:
  void push(const std::string& text, bool may_drop) {
    const std::uint8_t rule = may_drop ? kDroppable : std::uint8_t{0};
    outbox_.push(runs_.add(rule, frozen(text), shards::Form::raw, {.rule = rule}));
    model_.push(frames_of(text),
                may_drop ? OutboxModel::Kind::droppable : OutboxModel::Kind::fixed);
    ++pushed_;
  }
  /// What can be conflated later. REQUIRES: `key` is 0 or more, as in the following.
  void push_keyed(const std::string& text, int key) {
    outbox_.push(keyed(text, key));
    model_.push(frames_of(text), OutboxModel::Kind::droppable, key);
    ++pushed_;
  }
  void keep_newest() {
    ended_ += outbox_.keep_newest([](const shards::Run&) { return true; }).deliveries;
    model_.keep_newest();
  }
  void push_newest(const std::string& text, int key) {
    keep_newest();
    ended_ += outbox_.push_newest(keyed(text, key)).deliveries;
    model_.push_newest(frames_of(text), key);
    ++pushed_;
  }
  void write(const std::string& text) {
    outbox_.write([&](protocol::Buffer& out) { out.append(framed(text)); });
    model_.push(frames_of(text), OutboxModel::Kind::own);
  }
  void push_ahead(std::size_t size) {
    const std::string frame = framed(std::string(size, 'c'));
    outbox_.push_ahead(runs_.write({.kind = shards::Handling::Kind::control},
                                   [&](protocol::Buffer& out) { out.append(frame); }));
    model_.push_ahead(frame);
  }
  bool drop_oldest(std::size_t bytes) {
    const auto dropped = outbox_.drop_oldest(
        bytes, [](const shards::Run& run) { return run.handling().rule == kDroppable; });
    ended_ += dropped.deliveries;
    return dropped.bytes == model_.drop_oldest(bytes);
  }
  void drop_unsent() {
    ended_ += outbox_.drop_unsent().deliveries;
    model_.drop_unsent();
  }
  void detach() {
    runs_.end_turn();
    outbox_.detach();
  }
  /// Of what `parts` parts offer the socket takes a share that `seed` chooses.
  void consume(std::size_t parts, std::size_t seed) {
    const std::size_t offered = front(parts).size();
    const std::size_t sent = offered == 0 ? 0 : seed % (offered + 1);
    ended_ += outbox_.consume(sent, true).deliveries;
    model_.consume(sent);
  }

  bool same_counts() const {
    return outbox_.empty() == model_.empty() && pushed_ == ended_ + outbox_.tally().deliveries;
  }
  bool same_bytes() {
    const std::string all = model_.all();
    const std::string first = front(1'000);
    return outbox_.bytes() == all.size() && all.starts_with(first) &&
           (!first.empty() || all.empty());
  }
  /// The end of both.
  bool leaves_nothing() {
    outbox_.reset(1000);
    runs_.end_turn();
    return runs_.bytes() == 0 && outbox_.own_bytes() == 0;
  }

 private:
  static constexpr std::size_t kFragment = 40'000;
  static constexpr std::uint8_t kDroppable = 1;
  static constexpr std::uint64_t kTarget = 7;

  static std::string framed(std::string_view text) {
    protocol::Buffer out;
    protocol::write_message(out, Opcode::text, std::as_bytes(std::span(text)), kFragment);
    return std::string(out.text());
  }
  static std::vector<std::string> frames_of(const std::string& text) {
    std::vector<std::string> frames;
    const std::string whole = framed(text);
    for (std::size_t at = 0; at < whole.size();) {
      const auto bytes = std::as_bytes(std::span(whole)).subspan(at);
      const std::size_t size =
          protocol::FrameHeader::size(bytes) + protocol::FrameHeader::parse(bytes).length;
      frames.push_back(whole.substr(at, size));
      at += size;
    }
    return frames;
  }
  static std::shared_ptr<const shards::Message> frozen(const std::string& text) {
    return shards::Message::freeze(PacketSource::custom, std::nullopt, {Payload(text), nullptr},
                                   shards::Form::raw, {.fragment_size = kFragment});
  }
  shards::Range keyed(const std::string& text, int key) {
    return runs_.add(kTarget, frozen(text), shards::Form::raw, {.rule = kDroppable},
                     static_cast<std::uint64_t>(key) + 1);
  }
  std::string front(std::size_t parts) {
    std::vector<iovec> list(parts);
    std::string result;
    const std::size_t count = outbox_.gather(list);
    for (std::size_t i = 0; i < count; ++i) {
      result.append(static_cast<const char*>(list[i].iov_base), list[i].iov_len);
    }
    return result;
  }

  shards::Runs runs_;
  shards::Outbox outbox_;
  OutboxModel model_;
  std::uint64_t pushed_ = 0;
  std::uint64_t ended_ = 0;
};

}  // namespace webshocket::tests

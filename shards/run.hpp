/// What many connections are sent, side by side in memory.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/buffer.hpp"
#include "shards/message.hpp"
#include "shards/spares.hpp"

namespace webshocket::shards {

class PageFile;
class RunRef;
class Runs;

/// What an outbox may do with the messages of a run, and as what they are counted.
struct Handling {
  enum class Kind : std::uint8_t {
    delivery,  ///< of a publish or a broadcast
    send,      ///< to this one, and it may be dropped
    reply,     ///< to this one; nothing tells where a message ends
    control,   ///< frames that are no messages
  };
  Kind kind = Kind::delivery;
  std::uint8_t rule = 0;  ///< see `OutboxRules`

  /// Its messages are told apart: they are counted, and may be dropped.
  bool has_messages() const noexcept { return kind == Kind::delivery || kind == Kind::send; }
  friend bool operator==(const Handling&, const Handling&) = default;
};

/// Who a message is for, to tell whether the next one is for the same.
struct Audience {
  std::uint64_t target;   ///< what its runs are found by
  std::string_view name;  ///< as the targets of two may be alike
  std::uint64_t changes;  ///< another number: somebody has come or gone
};

/// Messages as frames, one behind the other: whoever gets several of them in a row gets one range,
/// and one flat piece of memory is what the kernel takes at the least cost. It grows as messages
/// are appended, or is one large message where it was frozen. One thread.
class Run {
 public:
  /// Of no message: it is the newest state of nothing.
  static constexpr std::uint64_t kNoKey = 0;

  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// Moves when a message is appended; offsets stay.
  const std::byte* data() const noexcept {
    return message_ == nullptr ? own_.data() : large_.data();
  }
  std::size_t size() const noexcept { return message_ == nullptr ? own_.size() : large_.size(); }
  const Handling& handling() const noexcept { return handling_; }
  /// From `offset` to the end of the message that it lies in; 0 between two messages.
  std::size_t rest_of_message(std::size_t offset) const noexcept;
  /// The end of the message that begins at `begin`.
  std::size_t end_of_message(std::size_t begin) const noexcept;
  /// How many messages end in (begin, end]. The last answer is remembered: those who got the same
  /// ask the same.
  std::size_t messages_between(std::size_t begin, std::size_t end) const noexcept;
  bool has_keys() const noexcept { return !keys_.empty(); }
  /// Of the message that begins at `begin`: of what it is the newest state, or `kNoKey`.
  std::uint64_t key_at(std::size_t begin) const noexcept;
  /// How many refer to it.
  std::uint32_t references() const noexcept { return references_; }
  /// Made in this turn: who refers to it is about to be sent it.
  bool is_new() const noexcept;
  /// A run of this part alone.
  RunRef copy(std::size_t begin, std::size_t end) const;

  /// The end of the part that somebody was given up to `end`: it is further on if he follows.
  std::size_t end_of_part(std::size_t end) const noexcept {
    return end == followed_.begin ? followed_.end : end;
  }
  /// Up to where those were given it who have it up to `end` as they follow; others: `end`.
  std::size_t begin_of_following(std::size_t end) const noexcept {
    return end == followed_.end ? followed_.begin : end;
  }
  /// Somebody who refers to it takes nothing beyond `limit`.
  void limit(std::uint32_t limit) const noexcept { limit_ = std::min(limit_, limit); }
  /// Somebody who follows, maybe, gets something else: from here on each is given his part.
  void stop_following() const noexcept { is_followed_ = false; }

 private:
  friend class PageFile;
  friend class Runs;
  friend class RunRef;
  friend std::default_delete<Run>;

  struct Range32 {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    friend bool operator==(const Range32&, const Range32&) = default;
  };
  static constexpr std::uint32_t kNowhere = std::numeric_limits<std::uint32_t>::max();
  /// Its copy in a PageFile, in the turn that it was made in.
  struct Placed {
    std::size_t offset = 0;
    std::size_t size = 0;
  };

  explicit Run(Runs& home) noexcept : home_(home) {}
  ~Run() = default;

  void end_message(std::uint64_t key);
  bool is_ever_followed() const noexcept { return followed_.begin != kNowhere; }
  void follow() noexcept {
    const auto end = static_cast<std::uint32_t>(size());
    followed_ = {end, end};
    is_followed_ = true;
  }
  /// So that appending to it does not fail. False if those who follow do not take that much.
  bool make_room_for_followers(std::size_t bytes, bool has_key);
  /// What it keeps when it is empty.
  std::size_t memory() const noexcept {
    return own_.capacity() + ends_.capacity() * sizeof(ends_[0]) +
           keys_.capacity() * sizeof(keys_[0]);
  }
  /// REQUIRES: it is empty.
  void give_back() noexcept;
  std::size_t index_of_message(std::size_t begin) const noexcept;

  Runs& home_;
  protocol::Buffer own_;
  std::vector<std::uint32_t> ends_;  ///< of the messages in `own_`, ascending
  std::vector<std::uint64_t> keys_;  ///< of each of them; empty: none has one
  Handling handling_;
  std::shared_ptr<const Message> message_;
  std::span<const std::byte> large_;
  mutable Placed placed_;
  mutable Range32 counted_;
  mutable std::uint32_t count_ = 0;       ///< of the messages in `counted_`
  Range32 followed_{kNowhere, kNowhere};  ///< who was given it up to the first has the rest, too
  mutable bool is_followed_ = false;      ///< and what is appended
  mutable std::uint32_t limit_ = kNowhere;
  std::uint64_t turn_ = 0;
  std::size_t cost_ = 0;  ///< as its `Runs` counts it
  std::uint32_t references_ = 0;
};

/// One thread's reference.
class RunRef {
 public:
  RunRef() noexcept = default;
  explicit RunRef(Run& run) noexcept : run_(&run) { ++run.references_; }
  RunRef(const RunRef& other) noexcept : run_(other.run_) {
    if (run_ != nullptr) ++run_->references_;
  }
  RunRef(RunRef&& other) noexcept : run_(std::exchange(other.run_, nullptr)) {}
  RunRef& operator=(const RunRef& other) noexcept {
    if (run_ != other.run_) *this = RunRef(other);
    return *this;
  }
  RunRef& operator=(RunRef&& other) noexcept {
    Run* const run = std::exchange(other.run_, nullptr);
    reset();
    run_ = run;
    return *this;
  }
  ~RunRef() { reset(); }

  void reset() noexcept;

  explicit operator bool() const noexcept { return run_ != nullptr; }
  const Run& operator*() const noexcept { return *run_; }
  const Run* operator->() const noexcept { return run_; }
  const Run* get() const noexcept { return run_; }
  /// It is kept beyond its turn: it is to cost no more memory than it has to.
  void keep() noexcept;

 private:
  friend class Run;
  friend class Runs;

  Run* run_ = nullptr;
};

/// A part of a run: whole messages, or what is unsent of them.
struct Range {
  RunRef run;
  std::size_t begin = 0;
  std::size_t end = 0;

  std::size_t size() const noexcept { return end - begin; }
};

/// The runs of one shard. Those of a turn stay open until its end, one per target and form: so the
/// messages of one room lie side by side, however many rooms are written to in between.
///
/// Those who have all got a message in the same way follow: what comes next for the same audience
/// is appended to their runs, and they have it, without a look at any of them. Until one of them
/// gets something else or is sent what he has, or somebody comes or goes; then each is looked at
/// again.
class Runs {
 public:
  /// A larger message is not copied but referred to.
  static constexpr std::size_t kMostCopied = 16 * 1024;
  static constexpr std::size_t kMostInRun = 256 * 1024;
  static constexpr std::size_t kMostSpare = 1024 * 1024;

  Runs() = default;
  Runs(const Runs&) = delete;
  Runs& operator=(const Runs&) = delete;
  /// REQUIRES: nobody refers to a run any more.
  ~Runs();

  /// Puts a message behind the last one of this turn with the same target and form. Targets are
  /// hashes: should two be alike, their messages share a run, and nothing else comes of it, as the
  /// form is the same.
  Range add(std::uint64_t target, const std::shared_ptr<const Message>& message, Form form,
            Handling handling = {}, std::uint64_t key = Run::kNoKey);
  /// Those who have just been given what lies last in the runs of these forms follow, as far as
  /// that is possible: they are the audience, all of it, and nobody else. `wanted`: the forms that
  /// they have, and get if it is made in them.
  void follow(const Audience& audience, Forms wanted, Forms given, std::size_t followers) noexcept;
  /// An audience that follows: it may be appended to.
  struct Following {
    std::size_t followers = 0;
    Forms wanted = {};
    Forms given = {};
  };
  /// Null: each is to be given it.
  Following* following(const Audience& audience) noexcept;
  /// In each of the given forms appends the frames that `write(form, protocol::Buffer&)` appends,
  /// `size_of(form)` bytes. False, and nothing is appended: each is to be given it.
  template <class SizeOf, class Write>
  bool append(Following& following, std::uint64_t key, SizeOf&& size_of, Write&& write) noexcept;
  /// A message as a run of its own.
  Range refer(const std::shared_ptr<const Message>& message, Form form, Handling handling = {},
              std::uint64_t key = Run::kNoKey);
  /// The same of what `write(protocol::Buffer&)` appends.
  template <class Write>
  Range write(Handling handling, Write&& write) {
    RunRef run(make());
    run.run_->handling_ = handling;
    write(run.run_->own_);
    run.run_->end_message(Run::kNoKey);
    const std::size_t size = run->size();
    return {std::move(run), 0, size};
  }
  /// Where the replies of this turn lie, each behind those that others get: so the first reply to a
  /// connection costs no more than the next one.
  Run& replies() {
    if (!replies_ || replies_->size() > kMostReplies) {
      begin_replies();
    } else if (replies_->references() == 1) {
      count(*replies_.run_, 0);
      replies_.run_->own_.clear();  // they have been sent
    }
    return *replies_.run_;
  }
  /// `end` is where they end, and there is room.
  bool can_reply_behind(const Run& run, std::size_t end) const noexcept {
    return &run == replies_.get() && end == run.size() && end <= kMostReplies;
  }
  /// Puts what `write(protocol::Buffer&)` appends behind them; where they end then.
  template <class Write>
  std::size_t append_reply(Write&& write) {
    Run& run = *replies_.run_;
    const std::size_t before = run.own_.size();
    try {
      write(run.own_);
    } catch (...) {
      run.own_.resize_down(before);
      throw;
    }
    count(run, run.own_.size());
    return run.own_.size();
  }
  /// What is added from here on goes elsewhere.
  void end_turn() noexcept;

  /// What is kept for outboxes that refer to it: each run counts once.
  std::size_t bytes() const noexcept { return bytes_; }
  /// What runs that nobody refers to have kept for the next ones: `kMostSpare` at most.
  std::size_t spare_bytes() const noexcept { return spare_bytes_; }
  void give_back_spare() noexcept;
  /// Half of what has not been needed since the last time.
  void thin_out_spare() noexcept;

 private:
  friend class RunRef;

  friend class Run;

  struct Open : Following {
    explicit Open(std::uint64_t of) noexcept : target(of) {}
    RunRef& run(Form form) noexcept { return runs[static_cast<std::size_t>(form)]; }

    std::uint64_t target;
    std::array<RunRef, webshocket::detail::kForms> runs = {};
    std::string name = {};      ///< of the audience that follows
    std::uint64_t changes = 0;  ///< the same
  };

  static constexpr std::size_t kLeastIndex = 64;
  static constexpr std::size_t kRunsKept = 64;
  static constexpr std::size_t kMemoryKept = kMostInRun / 4;
  static constexpr std::size_t kMostReplies = kMemoryKept / 2;

  Run& make();
  void begin_replies();
  void take_back(Run& run) noexcept;
  void keep(Run& run) noexcept;
  /// What it costs from here on.
  void count(Run& run, std::size_t cost) noexcept;
  Open* find(std::uint64_t target) noexcept;
  Open& open(std::uint64_t target);
  void grow_index();

  std::size_t bytes_ = 0;
  std::uint64_t turn_ = 0;
  RunRef replies_;
  std::vector<Open> open_;
  /// Where in `open_` a target is, plus one: open addressing, sized to a power of two.
  std::vector<std::uint32_t> index_ = std::vector<std::uint32_t>(kLeastIndex);
  Spares<Run> spare_{kRunsKept};
  std::size_t spare_bytes_ = 0;
};

template <class SizeOf, class Write>
bool Runs::append(Following& following, std::uint64_t key, SizeOf&& size_of,
                  Write&& write) noexcept {
  auto& open = static_cast<Open&>(following);
  bool may = true;
  try {
    following.given.for_each([&](Form form) {
      const std::size_t size = size_of(form);
      may = may && size != 0 && size <= kMostCopied &&
            open.run(form).run_->make_room_for_followers(size, key != Run::kNoKey);
    });
  } catch (const std::bad_alloc&) {
    return false;
  }
  if (!may) return false;
  following.given.for_each([&](Form form) {
    Run& run = *open.run(form).run_;
    write(form, run.own_);
    run.end_message(key);
    run.followed_.end = static_cast<std::uint32_t>(run.own_.size());
  });
  return true;
}

inline bool Run::is_new() const noexcept { return turn_ == home_.turn_; }

inline void RunRef::reset() noexcept {
  if (run_ == nullptr) return;
  Run& run = *std::exchange(run_, nullptr);
  if (--run.references_ == 0) run.home_.take_back(run);
}

}  // namespace webshocket::shards

#include "shards/run.hpp"

#include <algorithm>
#include <new>

namespace webshocket::shards {
namespace {

std::size_t free_place(const std::vector<std::uint32_t>& index, std::uint64_t target) noexcept {
  const std::size_t mask = index.size() - 1;
  std::size_t i = target & mask;
  while (index[i] != 0) i = (i + 1) & mask;
  return i;
}

}  // namespace

std::size_t Run::rest_of_message(std::size_t offset) const noexcept {
  if (message_ != nullptr) return offset == 0 ? 0 : large_.size() - offset;
  const auto end = std::lower_bound(ends_.begin(), ends_.end(), offset);
  return offset == 0 || end == ends_.end() ? 0 : *end - offset;
}

std::size_t Run::index_of_message(std::size_t begin) const noexcept {
  return static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), begin) -
                                  ends_.begin());
}

std::size_t Run::end_of_message(std::size_t begin) const noexcept {
  return message_ != nullptr ? large_.size() : ends_[index_of_message(begin)];
}

std::uint64_t Run::key_at(std::size_t begin) const noexcept {
  return keys_.empty() ? kNoKey : keys_[index_of_message(begin)];
}

std::size_t Run::messages_between(std::size_t begin, std::size_t end) const noexcept {
  if (message_ != nullptr) return end == large_.size() && end > begin ? 1 : 0;
  const Range32 asked{static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
  if (asked != counted_) {
    counted_ = asked;
    count_ = static_cast<std::uint32_t>(index_of_message(end) - index_of_message(begin));
  }
  return count_;
}

void Run::end_message(std::uint64_t key) {
  ends_.push_back(static_cast<std::uint32_t>(own_.size()));
  if (key != kNoKey || !keys_.empty()) {
    try {
      keys_.resize(ends_.size() - 1, kNoKey);
      keys_.push_back(key);
    } catch (...) {
      ends_.pop_back();
      throw;
    }
  }
  home_.count(*this, own_.size());
}

bool Run::make_room_for_followers(std::size_t bytes, bool has_key) {
  const std::size_t size = own_.size() + bytes;
  if (size > std::min<std::size_t>(limit_, Runs::kMostInRun)) return false;
  own_.reserve(size);
  const auto make_room = [](auto& list, std::size_t entries) {
    if (list.capacity() < entries) list.reserve(2 * entries);
  };
  make_room(ends_, ends_.size() + 1);
  if (has_key || !keys_.empty()) make_room(keys_, ends_.size() + 1);
  return true;
}

void Run::give_back() noexcept {
  own_.release();
  ends_.shrink_to_fit();
  keys_.shrink_to_fit();
}

RunRef Run::copy(std::size_t begin, std::size_t end) const {
  RunRef copy(home_.make());
  Run& to = *copy.run_;
  to.handling_ = handling_;
  to.own_.reserve(end - begin);
  to.own_.append({data() + begin, end - begin});
  for (std::size_t i = index_of_message(begin); i < ends_.size() && ends_[i] <= end; ++i) {
    to.ends_.push_back(static_cast<std::uint32_t>(ends_[i] - begin));
    if (!keys_.empty()) to.keys_.push_back(keys_[i]);
  }
  if (message_ != nullptr && end == large_.size()) {
    to.ends_.push_back(static_cast<std::uint32_t>(end - begin));
    to.keys_ = keys_;
  }
  home_.keep(to);
  return copy;
}

Runs::~Runs() { end_turn(); }

Range Runs::add(std::uint64_t target, const std::shared_ptr<const Message>& message, Form form,
                Handling handling, std::uint64_t key) {
  const std::span<const std::byte> frames = message->frames(form);
  if (frames.size() > kMostCopied) return refer(message, form, handling, key);
  // A run has one form, even if targets are alike.
  RunRef& run = open(target).run(form);
  if (run && run->size() + frames.size() > kMostInRun) run = RunRef();
  if (!run) {
    run = RunRef(make());
    run.run_->handling_ = handling;
  }
  Run& to = *run.run_;
  to.stop_following();
  const std::size_t begin = to.size();
  to.own_.append(frames);
  try {
    to.end_message(key);
  } catch (...) {
    to.own_.resize_down(begin);
    throw;
  }
  return {run, begin, to.size()};
}

Range Runs::refer(const std::shared_ptr<const Message>& message, Form form, Handling handling,
                  std::uint64_t key) {
  RunRef run(make());
  Run& to = *run.run_;
  to.handling_ = handling;
  to.message_ = message;
  to.large_ = message->frames(form);
  if (key != Run::kNoKey) to.keys_.push_back(key);
  count(to, to.size());
  const std::size_t size = to.size();
  return {std::move(run), 0, size};
}

void Runs::follow(const Audience& audience, Forms wanted, Forms given,
                  std::size_t followers) noexcept {
  Open* const open = find(audience.target);
  if (open == nullptr) return;
  bool may = true;
  given.for_each([&](Form form) {
    const Run* const run = open->run(form).get();
    may = may && run != nullptr && !run->is_ever_followed();
  });
  if (!may) return;
  try {
    open->name = audience.name;
  } catch (const std::bad_alloc&) {
    return;
  }
  open->changes = audience.changes;
  open->followers = followers;
  open->wanted = wanted;
  open->given = given;
  given.for_each([&](Form form) { open->run(form).run_->follow(); });
}

Runs::Following* Runs::following(const Audience& audience) noexcept {
  Open* const open = find(audience.target);
  bool follows = open != nullptr && open->followers != 0 && open->changes == audience.changes &&
                 std::ranges::equal(open->name, audience.name);
  if (!follows) return nullptr;
  open->given.for_each([&](Form form) {
    const Run* const run = open->run(form).get();
    follows = follows && run != nullptr && run->is_followed_;
  });
  return follows ? open : nullptr;
}

void Runs::count(Run& run, std::size_t cost) noexcept {
  bytes_ += cost - run.cost_;
  run.cost_ = cost;
}

void RunRef::keep() noexcept {
  // Once: it grows no more.
  if (run_->cost_ < run_->size() + sizeof(Run)) run_->home_.keep(*run_);
}

void Runs::keep(Run& run) noexcept {
  run.own_.shrink();
  run.ends_.shrink_to_fit();
  run.keys_.shrink_to_fit();
  count(run, run.size() + sizeof(Run) + run.ends_.size() * sizeof(run.ends_[0]) +
                 run.keys_.size() * sizeof(run.keys_[0]));
}

void Runs::begin_replies() {
  replies_ = RunRef(make());
  Run& run = *replies_.run_;
  run.handling_.kind = Handling::Kind::reply;
  run.own_.reserve(kMemoryKept);
}

void Runs::end_turn() noexcept {
  ++turn_;
  replies_.reset();
  if (open_.empty()) return;
  // A turn that needed much room should not make all that follow pay for it.
  if (index_.size() > kLeastIndex && open_.size() * 16 < index_.size()) {
    index_.resize(index_.size() / 2);
  }
  open_.clear();
  std::fill(index_.begin(), index_.end(), 0);
}

Runs::Open* Runs::find(std::uint64_t target) noexcept {
  const std::size_t mask = index_.size() - 1;
  for (std::size_t i = target & mask; index_[i] != 0; i = (i + 1) & mask) {
    Open& found = open_[index_[i] - 1];
    if (found.target == target) return &found;
  }
  return nullptr;
}

Runs::Open& Runs::open(std::uint64_t target) {
  if (Open* const found = find(target)) return *found;
  if ((open_.size() + 1) * 2 > index_.size()) grow_index();
  open_.emplace_back(target);
  index_[free_place(index_, target)] = static_cast<std::uint32_t>(open_.size());
  return open_.back();
}

void Runs::grow_index() {
  std::vector<std::uint32_t> wider(index_.size() * 2);
  for (std::size_t place = 0; place < open_.size(); ++place) {
    wider[free_place(wider, open_[place].target)] = static_cast<std::uint32_t>(place + 1);
  }
  index_.swap(wider);
}

Run& Runs::make() {
  std::unique_ptr<Run> run = spare_.take();
  if (run == nullptr) {
    run.reset(new Run(*this));
  } else {
    spare_bytes_ -= run->memory();
  }
  run->turn_ = turn_;
  return *run.release();
}

void Runs::take_back(Run& run) noexcept {
  std::unique_ptr<Run> owner(&run);
  count(run, 0);
  if (spare_.is_full()) return;
  run.own_.release(kMemoryKept);
  run.ends_.clear();
  run.keys_.clear();
  if (run.memory() > 2 * kMemoryKept) run.give_back();
  run.handling_ = {};
  run.followed_ = {Run::kNowhere, Run::kNowhere};
  run.is_followed_ = false;
  run.limit_ = Run::kNowhere;
  run.counted_ = {};
  run.count_ = 0;
  run.message_.reset();
  run.large_ = {};
  run.placed_ = {};
  const std::size_t memory = run.memory();
  if (!spare_.keep(std::move(owner))) return;
  spare_bytes_ += memory;
  // Those that lie longest give way: the others are wanted turn by turn.
  for (std::size_t i = 0; spare_bytes_ > kMostSpare; ++i) {
    spare_bytes_ -= spare_[i].memory();
    spare_[i].give_back();
  }
}

void Runs::thin_out_spare() noexcept {
  spare_.thin_out([this](const Run& run) { spare_bytes_ -= run.memory(); });
}

void Runs::give_back_spare() noexcept {
  spare_.clear();
  spare_bytes_ = 0;
}

}  // namespace webshocket::shards

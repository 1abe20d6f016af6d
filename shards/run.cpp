#include "shards/run.hpp"

#include <algorithm>

namespace webshocket::shards {

std::size_t Run::rest_of_message(std::size_t offset) const noexcept {
  if (message_ != nullptr) return offset == 0 ? 0 : large_.size() - offset;
  const auto end = std::lower_bound(ends_.begin(), ends_.end(), offset);
  return offset == 0 || end == ends_.end() ? 0 : *end - offset;
}

RunRef Run::copy(std::size_t begin, std::size_t end) const {
  RunRef copy(home_.make());
  Run& to = *copy.run_;
  to.own_.append({data() + begin, end - begin});
  for (const std::uint32_t message_end : ends_) {
    if (message_end > begin && message_end <= end) {
      to.ends_.push_back(static_cast<std::uint32_t>(message_end - begin));
    }
  }
  home_.bytes_ += to.size();
  return copy;
}

void RunRef::let_go(Run& run) noexcept { run.home_.take_back(run); }

Runs::Runs() { spare_.reserve(kRunsKept); }

Runs::~Runs() { end_turn(); }

Range Runs::add(std::uint64_t target, const std::shared_ptr<const Message>& message, Form form) {
  const std::span<const std::byte> frames = message->frames(form);
  if (frames.size() > kMostCopied) return refer(message, form);
  // A run has one form, even if targets are alike.
  RunRef& run = open(target * webshocket::detail::kForms + static_cast<std::uint64_t>(form));
  if (run && run->size() + frames.size() > kMostInRun) run = RunRef();
  if (!run) run = RunRef(make());
  Run& to = *run.run_;
  const std::size_t begin = to.size();
  to.own_.append(frames);
  to.ends_.push_back(static_cast<std::uint32_t>(to.size()));
  bytes_ += frames.size();
  return {run, begin, to.size()};
}

Range Runs::refer(const std::shared_ptr<const Message>& message, Form form) {
  RunRef run(make());
  run.run_->message_ = message;
  run.run_->large_ = message->frames(form);
  const std::size_t size = run->size();
  bytes_ += size;
  return {std::move(run), 0, size};
}

void Runs::end_turn() noexcept {
  ++turn_;
  if (open_.empty()) return;
  // A turn that needed much room should not make all that follow pay for it.
  if (index_.size() > kLeastIndex && open_.size() * 16 < index_.size()) {
    index_.resize(index_.size() / 2);
  }
  open_.clear();
  std::fill(index_.begin(), index_.end(), 0);
}

RunRef& Runs::open(std::uint64_t key) {
  const std::size_t mask = index_.size() - 1;
  std::size_t i = key & mask;
  for (; index_[i] != 0; i = (i + 1) & mask) {
    Open& found = open_[index_[i] - 1];
    if (found.key == key) return found.run;
  }
  open_.push_back({key, RunRef()});
  index_[i] = static_cast<std::uint32_t>(open_.size());
  if (open_.size() * 2 > index_.size()) grow_index();
  return open_.back().run;
}

void Runs::grow_index() {
  std::vector<std::uint32_t> wider(index_.size() * 2);
  const std::size_t mask = wider.size() - 1;
  for (std::size_t place = 0; place < open_.size(); ++place) {
    std::size_t i = open_[place].key & mask;
    while (wider[i] != 0) i = (i + 1) & mask;
    wider[i] = static_cast<std::uint32_t>(place + 1);
  }
  index_.swap(wider);
}

Run& Runs::make() {
  if (spare_.empty()) spare_.push_back(std::unique_ptr<Run>(new Run(*this)));
  Run& run = *spare_.back().release();
  spare_.pop_back();
  run.turn_ = turn_;
  return run;
}

void Runs::take_back(Run& run) noexcept {
  std::unique_ptr<Run> owner(&run);
  bytes_ -= run.size();
  if (spare_.size() >= kRunsKept) return;
  run.own_.release(kMemoryKept);
  run.ends_.clear();
  run.message_.reset();
  run.large_ = {};
  run.placed_ = {};
  spare_.push_back(std::move(owner));
}

}  // namespace webshocket::shards

#include "shards/ticks.hpp"

#include <new>
#include <utility>

namespace webshocket::shards {

Ticks::~Ticks() {
  for (const auto& batch : batches_) {
    if (batch->armed()) hub_.stop_timer(*batch);
  }
}

Ticks::Batch& Ticks::batch_of(std::chrono::milliseconds length) {
  for (const auto& batch : batches_) {
    if (batch->length == length) return *batch;
  }
  batches_.push_back(std::make_unique<Batch>(*this, length));
  return *batches_.back();
}

void Ticks::add(std::shared_ptr<const Delivery> delivery) {
  Batch& batch = batch_of(delivery->tick);
  if (!batch.armed()) {
    const auto now = hub_.now().time_since_epoch();
    hub_.start_timer(batch, batch.length - now % batch.length);
  }
  batch.waiting.push_back(std::move(delivery));
  const Delivery& newest = *batch.waiting.back();
  count(bytes_ + newest.cost());
  if (!newest.key.empty()) conflate(batch, newest);
  if (limit_ != 0 && bytes_ > limit_) {
    hub_.counters().ticks_early.add();
    release(batch);
  }
}

void Ticks::conflate(Batch& batch, const Delivery& newest) noexcept {
  try {
    replace_older(batch, newest);
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): then both are delivered
  }
}

void Ticks::replace_older(Batch& batch, const Delivery& newer) {
  const Key key = key_of(newer);
  if (const auto found = batch.newest.find(key); found != batch.newest.end()) {
    // To somebody else it is no newer state of the same thing.
    std::shared_ptr<const Delivery>& older = batch.waiting[found->second];
    const bool replaces = older->predicate == newer.predicate;
    batch.newest.erase(found);  // its key lies in the older one
    if (replaces) {
      hub_.counters().conflated.add();
      count(bytes_ - older->cost());
      older.reset();
      ++batch.replaced;
    }
  }
  if (batch.replaced >= 64 && batch.replaced * 2 > batch.waiting.size()) close_gaps(batch);
  batch.newest.erase(key);  // its key would lie in the older one
  batch.newest.emplace(key, batch.waiting.size() - 1);
}

// Else a key that changes all the time would fill the list with what it was.
void Ticks::close_gaps(Batch& batch) {
  std::erase(batch.waiting, nullptr);
  batch.replaced = 0;
  batch.newest.clear();
  for (std::size_t i = 0; i < batch.waiting.size(); ++i) {
    const Delivery& delivery = *batch.waiting[i];
    if (!delivery.key.empty()) batch.newest.insert_or_assign(key_of(delivery), i);
  }
}

void Ticks::release() noexcept {
  // By index: a predicate may publish.
  for (std::size_t i = 0; i < batches_.size(); ++i) release(*batches_[i]);
}

void Ticks::release(Batch& batch) noexcept {
  if (batch.armed()) hub_.stop_timer(batch);
  batch.newest.clear();
  batch.replaced = 0;
  const auto leaving = std::exchange(batch.waiting, {});
  for (const auto& delivery : leaving) {
    if (delivery == nullptr) continue;
    count(bytes_ - delivery->cost());
    receiver_.receive(*delivery);
  }
}

void Ticks::count(std::size_t bytes) noexcept {
  bytes_ = bytes;
  hub_.counters().tick_bytes.set(bytes);
}

}  // namespace webshocket::shards

#include "shards/ticks.hpp"

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
  if (!delivery->key.empty()) conflate(batch, *delivery);
  if (!batch.armed()) {
    const auto now = hub_.now().time_since_epoch();
    hub_.start_timer(batch, batch.length - now % batch.length);
  }
  count(bytes_ + delivery->cost());
  batch.waiting.push_back(std::move(delivery));
  if (limit_ != 0 && bytes_ > limit_) {
    hub_.counters().ticks_early.add();
    release(batch);
  }
}

void Ticks::conflate(Batch& batch, const Delivery& newer) {
  const Key key{newer.channel, newer.key};
  if (const auto found = batch.newest.find(key); found != batch.newest.end()) {
    // To somebody else it is no newer state of the same thing.
    std::shared_ptr<const Delivery>& older = batch.waiting[found->second];
    const bool replaces = older->predicate == newer.predicate;
    batch.newest.erase(found);  // its key lies in the older one
    if (replaces) {
      hub_.counters().conflated.add();
      count(bytes_ - older->cost());
      older.reset();
    }
  }
  batch.newest.emplace(key, batch.waiting.size());
}

void Ticks::release() noexcept {
  for (const auto& batch : batches_) release(*batch);
}

void Ticks::release(Batch& batch) noexcept {
  if (batch.armed()) hub_.stop_timer(batch);
  batch.newest.clear();
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

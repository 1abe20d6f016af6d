#include "histogram.hpp"

#include <algorithm>
#include <cmath>

namespace wsbench {

void Histogram::merge(const Histogram& other) noexcept {
  for (std::size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
  count_ += other.count_;
  sum_ += other.sum_;
  largest_ = std::max(largest_, other.largest_);
}

void Histogram::clear() noexcept {
  std::ranges::fill(counts_, 0);
  count_ = sum_ = largest_ = 0;
}

double Histogram::mean() const noexcept {
  return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
}

std::uint64_t Histogram::at(double share) const noexcept {
  if (count_ == 0) return 0;
  const double rank = std::ceil(std::clamp(share, 0.0, 1.0) * static_cast<double>(count_));
  const auto wanted = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(rank));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    seen += counts_[i];
    if (seen >= wanted) return std::min(upper_end(i), largest_);
  }
  return largest_;
}

std::vector<std::pair<std::uint64_t, std::uint64_t>> Histogram::buckets() const {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> buckets;
  for (std::size_t i = 0; i < kBuckets; ++i) {
    if (counts_[i] != 0) buckets.emplace_back(upper_end(i), counts_[i]);
  }
  return buckets;
}

std::uint64_t Histogram::upper_end(std::size_t bucket) noexcept {
  if (bucket < kSteps) return bucket;
  const auto shift = (bucket >> kStepBits) - 1;
  const std::uint64_t step = kSteps + (bucket & (kSteps - 1));
  return (step << shift) + ((std::uint64_t{1} << shift) - 1);
}

}  // namespace wsbench

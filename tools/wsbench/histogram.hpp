/// How often each value came, with a relative error below 1 %.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace wsbench {

/// Buckets grow with their values: values up to 127 have one each, and from there every power of
/// two is divided into 128. Adding costs no allocation.
class Histogram {
 public:
  Histogram() : counts_(kBuckets) {}

  void add(std::uint64_t value) noexcept {
    ++counts_[bucket_of(value)];
    ++count_;
    sum_ += value;
    if (value > largest_) largest_ = value;
  }
  void merge(const Histogram& other) noexcept;
  void clear() noexcept;

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t largest() const noexcept { return largest_; }  ///< exact; 0: there is none
  double mean() const noexcept;                                ///< exact; 0: there is none

  /// The value that `share` (0 to 1) of all values do not exceed; the upper end of its bucket, or
  /// the largest value if that is less. 0 if there is none.
  std::uint64_t at(double share) const noexcept;

  /// Upper end and count of the buckets that are not empty, in order.
  std::vector<std::pair<std::uint64_t, std::uint64_t>> buckets() const;

  static std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value < kSteps) return static_cast<std::size_t>(value);
    const auto shift = static_cast<unsigned>(std::bit_width(value) - kStepBits - 1);
    return ((shift + 1) << kStepBits) + static_cast<std::size_t>((value >> shift) - kSteps);
  }
  static std::uint64_t upper_end(std::size_t bucket) noexcept;

 private:
  static constexpr int kStepBits = 7;
  static constexpr std::uint64_t kSteps = 1U << kStepBits;
  static constexpr std::size_t kBuckets = (64 - kStepBits + 1) << kStepBits;

  std::vector<std::uint64_t> counts_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t largest_ = 0;
};

}  // namespace wsbench

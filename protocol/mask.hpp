/// The masking of RFC 6455, section 5.3.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace webshocket::protocol {

using MaskKey = std::array<std::byte, 4>;

/// Masks or unmasks in place.
inline void apply_mask(std::span<std::byte> bytes, MaskKey key) noexcept {
  const auto half = std::bit_cast<std::uint32_t>(key);
  const std::uint64_t pattern = std::uint64_t{half} << 32 | half;

  const auto mask_words = [pattern](std::byte* at, std::size_t words) {
    for (std::size_t i = 0; i < words; ++i) {
      std::uint64_t word;
      std::memcpy(&word, at + 8 * i, 8);
      word ^= pattern;
      std::memcpy(at + 8 * i, &word, 8);
    }
  };
  std::byte* const at = bytes.data();
  std::size_t done = 0;
  // So many in one step without a loop around them.
  for (; bytes.size() - done >= 64; done += 64) mask_words(at + done, 8);
  const std::size_t words = (bytes.size() - done) / 8;
  mask_words(at + done, words);
  for (std::size_t i = done + 8 * words; i < bytes.size(); ++i) at[i] ^= key[i % 4];
}

/// The same of the bytes from `position` on of their frame's payload.
inline void apply_mask(std::span<std::byte> bytes, MaskKey key, std::uint64_t position) noexcept {
  std::rotate(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(position % key.size()),
              key.end());
  apply_mask(bytes, key);
}

/// Where a client's frames get their mask keys from: refers to a generator that outlives it and is
/// called as `generator()` for a std::uint32_t. Who chooses the payload must not be able to guess
/// the keys (RFC 6455, section 10.3). Made from nothing it stands for the server, which does not
/// mask.
class MaskSource {
 public:
  MaskSource() noexcept = default;

  template <typename Generator>
  requires(!std::same_as<Generator, MaskSource> && !std::same_as<Generator, const MaskSource> &&
           std::invocable<Generator&> &&
           std::convertible_to<std::invoke_result_t<Generator&>, std::uint32_t>)
      // NOLINTNEXTLINE(google-explicit-constructor): a generator is a source of keys
      MaskSource(Generator& generator)
  noexcept
      : generator_(&generator), draw_([](void* opaque) noexcept {
          return static_cast<std::uint32_t>((*static_cast<Generator*>(opaque))());
        }) {}

  explicit operator bool() const noexcept { return draw_ != nullptr; }
  /// REQUIRES: made from a generator.
  MaskKey next() const noexcept { return std::bit_cast<MaskKey>(draw_(generator_)); }

 private:
  void* generator_ = nullptr;
  std::uint32_t (*draw_)(void*) noexcept = nullptr;
};

}  // namespace webshocket::protocol

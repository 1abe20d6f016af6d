/// Random bytes that nobody can guess: the mask keys of a client's frames and its handshake key.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace webshocket::protocol {

/// Fills `bytes` from OpenSSL's generator, or from the kernel's where that one fails. If the kernel
/// has none either (there is no getrandom, or a sandbox forbids it), the process ends: with keys
/// that a page's script can guess, a client is a way to attack proxies, and no caller could do
/// better. Any thread.
void draw_random(std::span<std::byte> bytes) noexcept;

/// Mask keys for one connection's frames, as a `MaskSource` wants them; each is used once. Drawn in
/// batches, so that most frames cost neither a system call nor a round of the generator. One thread
/// at a time.
class MaskKeys {
 public:
  MaskKeys() noexcept = default;
  MaskKeys(const MaskKeys&) = delete;  // the copy would use the same keys
  MaskKeys& operator=(const MaskKeys&) = delete;

  std::uint32_t operator()() noexcept {
    if (used_ == kBatch) refill();
    return keys_[used_++];
  }

 private:
  static constexpr std::size_t kBatch = 16;

  void refill() noexcept;

  std::array<std::uint32_t, kBatch> keys_;  // left uninitialised: none counts before it is drawn
  std::uint32_t used_ = kBatch;
};

}  // namespace webshocket::protocol

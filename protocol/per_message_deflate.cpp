#include "protocol/per_message_deflate.hpp"

#include <utility>

namespace webshocket::protocol {
namespace {

constexpr Role other(Role role) noexcept {
  return role == Role::server ? Role::client : Role::server;
}

}  // namespace

PerMessageDeflate::PerMessageDeflate(const DeflateTerms& terms, Role role,
                                     const Compression& settings) noexcept
    : our_window_bits_(static_cast<std::uint8_t>(terms.window_bits(role))),
      peer_window_bits_(static_cast<std::uint8_t>(terms.window_bits(other(role)))),
      shared_window_bits_(static_cast<std::uint8_t>(settings.window_bits)),
      // zlib cannot be held to a window of 8 bits.
      remembers_(!terms.no_context_takeover(role) && our_window_bits_ >= kLeastWindowBits),
      peer_remembers_(!terms.no_context_takeover(other(role))) {}

Inflater& PerMessageDeflate::inflater() {
  if (!peer_remembers_) return Inflater::shared();
  if (inflater_ == nullptr) inflater_ = std::make_unique<Inflater>(peer_window_bits_, true);
  return *inflater_;
}

bool PerMessageDeflate::deflate(std::span<const std::byte> message, const Compression& settings,
                                Buffer& out) {
  if (!remembers_) {
    return can_share(message.size()) && Deflater::shared(settings).deflate(message, out);
  }
  if (deflater_ == nullptr) deflater_ = std::make_unique<Deflater>(settings, our_window_bits_);
  if (std::exchange(must_forget_, false)) deflater_->forget();
  if (deflater_->deflate(message, out)) return true;
  forget();
  return false;
}

}  // namespace webshocket::protocol

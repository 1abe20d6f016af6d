/// Real numbers as JSON text.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>

#include <webshocket/payload.hpp>

namespace webshocket::protocol {

inline constexpr std::size_t kRealRoom = 32;

/// The shortest digits that read back as the same number, always with a fraction or an exponent, so
/// that `1.0` stays real: plain from 0.00001 to below 1e16, else as `1.5e300`, `1e-7`. NaN and
/// infinities are "null".
std::string_view write_real(double value, std::span<char, kRealRoom> room) noexcept;

/// Whether `write_real` spells a number that follows JSON's grammar just so. False of some that it
/// does, as it is cheaper to know: those with an exponent, or of more than 15 digits.
bool is_spelled_shortest(std::string_view text) noexcept;

/// Tells `to` an integer that follows JSON's grammar; false, and nothing is told, if 64 bits do not
/// hold it.
bool read_integer(std::string_view text, Sink& to);

/// Reads a number that follows JSON's grammar. Exact; too small becomes zero, false if too large.
bool read_real(std::string_view text, double& value) noexcept;

}  // namespace webshocket::protocol

/// What one input means: a configuration, and what happens to a server then.
///
///     program := options (16 bytes), step*
///     step    := what, who, how, how        (4 bytes; raw bytes follow some)
///
/// Steps are of one size, so that what is cut out, put in or moved leaves the others as they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace webshocket::fuzz {

inline constexpr std::size_t kOptionBytes = 16;
inline constexpr std::size_t kStepBytes = 4;
inline constexpr std::size_t kMostSteps = 600;

/// How many kinds of steps there are.
extern const std::uint8_t kStepKinds;

/// Runs it. What should not be is a finding.
void run_program(std::span<const std::uint8_t> input);

}  // namespace webshocket::fuzz

/// Seeds for hashes of what clients choose.
#pragma once

#include <cstdint>
#include <random>

namespace webshocket::shards {

/// Drawn from the system, so that nobody can aim at a bucket or a shard. Any thread.
inline std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace webshocket::shards

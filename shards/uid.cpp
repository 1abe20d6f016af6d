#include "shards/uid.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include <webshocket/error.hpp>

namespace webshocket::shards {

Uid mint_uid() {
  constexpr std::size_t kPool = 4096;
  static thread_local std::array<std::byte, kPool> pool;
  static thread_local std::size_t used = kPool;
  Uid uid;
  if (used + uid.bytes.size() > kPool) {
    for (std::size_t filled = 0; filled < kPool;) {
      const ssize_t count = ::getrandom(pool.data() + filled, kPool - filled, 0);
      if (count > 0) {
        filled += static_cast<std::size_t>(count);
      } else if (errno != EINTR) {
        throw WebSocketError(std::string("no random bytes: ") + std::strerror(errno));
      }
    }
    used = 0;
  }
  std::memcpy(uid.bytes.data(), pool.data() + used, uid.bytes.size());
  used += uid.bytes.size();
  uid.bytes[6] = (uid.bytes[6] & std::byte{0x0F}) | std::byte{0x40};
  uid.bytes[8] = (uid.bytes[8] & std::byte{0x3F}) | std::byte{0x80};
  return uid;
}

}  // namespace webshocket::shards

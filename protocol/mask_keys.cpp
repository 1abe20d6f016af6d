#include "protocol/mask_keys.hpp"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <sys/random.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>

namespace webshocket::protocol {
namespace {

bool draw_from_openssl(std::span<std::byte> bytes) noexcept {
  if (bytes.size() > INT_MAX) return false;
  // What a failure leaves in the thread's error queue, TLS would take for its own.
  ERR_set_mark();
  const int drawn =
      RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  ERR_pop_to_mark();
  return drawn == 1;
}

void draw_from_kernel(std::span<std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t count = ::getrandom(bytes.data(), bytes.size(), 0);
    if (count > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    } else if (errno != EINTR) {
      std::perror("webshocket: no random bytes");
      std::abort();
    }
  }
}

}  // namespace

void draw_random(std::span<std::byte> bytes) noexcept {
  if (!draw_from_openssl(bytes)) draw_from_kernel(bytes);
}

void MaskKeys::refill() noexcept {
  draw_random(std::as_writable_bytes(std::span(keys_)));
  used_ = 0;
}

}  // namespace webshocket::protocol

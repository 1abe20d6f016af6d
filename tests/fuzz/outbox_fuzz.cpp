// Input: operations of three bytes (what, two numbers) on an outbox. Every one is compared with a
// plain list of frames.

#include <cstddef>
#include <cstdint>
#include <string>

#include "shards/outbox.hpp"
#include "tests/fuzz/require.hpp"
#include "tests/shards/outbox_model.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using webshocket::fuzz::require;
  if (size > 1500) return -1;
  webshocket::tests::OutboxComparison both;
  for (std::size_t i = 0; i + 2 < size; i += 3) {
    const std::size_t number = data[i + 1] * 256U + data[i + 2];
    // Some that are fragmented, and some that no run takes in.
    const std::size_t length = data[i + 1] >= 250 ? number : data[i + 1] % 64 * 4U;
    const std::string text(length, static_cast<char>('a' + i / 3 % 26));
    const int key = data[i + 2] % 5;
    switch (data[i] % 12) {
      case 0:
        both.push(text, true);
        break;
      case 1:
        both.push(text, false);
        break;
      case 2:
        both.push_keyed(text, key);
        break;
      case 3:
        both.push_newest(text, key);
        break;
      case 4:
        both.keep_newest();
        break;
      case 5:
        both.write(text);
        break;
      case 6:
        both.push_ahead(data[i + 1] % 100U);
        break;
      case 7:
        require(both.drop_oldest(number % 2000), "drop_oldest");
        break;
      case 8:
        both.drop_unsent();
        break;
      case 9:
        both.detach();
        break;
      default:
        both.consume(data[i + 1] % 8U, data[i + 1] < 16 ? number * 7 : data[i + 2]);
        break;
    }
    require(both.same_counts(), "the counts differ from the model");
    require(both.same_bytes(), "the bytes differ from the model");
  }
  require(both.leaves_nothing(), "something is left");
  return 0;
}

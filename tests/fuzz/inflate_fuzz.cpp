// The first byte chooses limit, context, opcode and how the rest is cut; the rest is the payload of
// a compressed message, sent twice. What comes out keeps to the limit and, as text, to UTF-8; it is
// the same however the bytes arrive, and deflated again it comes back.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/frame_reader.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/text.hpp"

using namespace webshocket;
using namespace webshocket::protocol;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

const Compression kSettings{.enabled = true};

struct Outcome {
  std::vector<std::string> messages;
  std::optional<CloseCode> failure;
  bool operator==(const Outcome&) const = default;
};

Outcome read(std::span<const std::byte> bytes, std::size_t piece, std::size_t limit,
             bool remembers) {
  PerMessageDeflate deflate({.server_no_context_takeover = !remembers}, Role::client, kSettings);
  FrameReader reader(Role::client);
  Outcome outcome;
  while (!bytes.empty()) {
    // In memory of exactly its size, so that a sanitizer sees a read beyond it.
    const std::size_t size = std::min(piece, bytes.size());
    const auto memory = std::make_unique<std::byte[]>(size);
    std::memcpy(memory.get(), bytes.data(), size);
    bytes = bytes.subspan(size);
    std::span<std::byte> input(memory.get(), size);
    for (;;) {
      const FrameEvent event = reader.read(input, limit, &deflate);
      if (event.kind == FrameEvent::Kind::need_more) break;
      if (event.kind == FrameEvent::Kind::error) {
        outcome.failure = event.code;
        break;
      }
      check(event.kind == FrameEvent::Kind::message && event.compressed_size.has_value());
      check(limit == 0 || event.payload.size() <= limit);
      outcome.messages.emplace_back(reinterpret_cast<const char*>(event.payload.data()),
                                    event.payload.size());
      if (event.opcode == Opcode::text) check(is_text(outcome.messages.back()));
    }
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 64 * 1024) return 0;
  const unsigned choice = data[0];
  const bool remembers = (choice & 0x80U) != 0;
  const Opcode opcode = (choice & 0x40U) != 0 ? Opcode::text : Opcode::binary;
  const std::size_t limit = (choice & 0x20U) != 0 ? 1'000'000 : 1000;
  const std::size_t fragment = (choice & 0x10U) != 0 ? 7 : 0;
  const auto payload = std::as_bytes(std::span(data + 1, size - 1));
  Buffer bytes;
  for (int i = 0; i < 2; ++i) write_message(bytes, opcode, payload, fragment, {}, true);

  const Outcome whole = read(bytes.span(), bytes.size(), limit, remembers);
  check(whole == read(bytes.span(), 1 + (choice & 0x0FU), limit, remembers));

  for (const std::string& message : whole.messages) {
    Buffer again;
    if (!Deflater::shared(kSettings).deflate(std::as_bytes(std::span(message)), again)) continue;
    Buffer inflated;
    check(Inflater::shared().inflate(again.span(), inflated, message.size()) ==
          Inflater::Status::ok);
    check(inflated.text() == message);
  }
  return 0;
}

// The first bytes choose role, limit and cuts; the rest is what a peer sent. However it is cut, the
// same events come out, memory stays within what came in, and what was understood can be written
// and read again.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "protocol/frame_reader.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/utf8.hpp"

using namespace webshocket;
using namespace webshocket::protocol;

namespace {

using Kind = FrameEvent::Kind;

struct Seen {
  Kind kind{};
  Opcode opcode{};
  std::string payload;
  CloseCode code{};
  std::string reason;

  friend bool operator==(const Seen&, const Seen&) = default;
};

void require(bool condition) {
  if (!condition) std::abort();
}

void feed(FrameReader& reader, std::span<const std::byte> bytes, std::size_t limit,
          std::vector<Seen>& events) {
  const auto memory = std::make_unique<std::byte[]>(bytes.size());
  if (!bytes.empty()) std::memcpy(memory.get(), bytes.data(), bytes.size());
  std::span<std::byte> input(memory.get(), bytes.size());
  for (;;) {
    const bool was_finished = reader.finished();
    const std::size_t before = input.size();
    const FrameEvent event = reader.read(input, limit);
    require(input.size() <= before);
    if (event.kind == Kind::need_more) {
      require(input.empty());
      return;
    }
    require(!was_finished);
    Seen seen{event.kind, event.opcode, {}, event.code, std::string(event.reason)};
    seen.payload.assign(reinterpret_cast<const char*>(event.payload.data()), event.payload.size());
    switch (event.kind) {
      case Kind::message:
        require(event.opcode == Opcode::text || event.opcode == Opcode::binary);
        require(limit == 0 || seen.payload.size() <= limit);
        require(event.opcode != Opcode::text || is_utf8(seen.payload));
        break;
      case Kind::ping:
      case Kind::pong:
        require(seen.payload.size() <= 125);
        break;
      case Kind::close:
        require(reader.finished() && is_utf8(seen.reason) && seen.reason.size() <= 123);
        break;
      case Kind::error:
        require(reader.finished() && !seen.reason.empty() && seen.reason.size() < 123);
        break;
      case Kind::need_more:
        break;
    }
    events.push_back(std::move(seen));
  }
}

void write(Buffer& out, const Seen& seen, std::size_t fragment_size, MaskSource mask) {
  const auto payload = std::as_bytes(std::span(seen.payload));
  switch (seen.kind) {
    case Kind::message:
      write_message(out, seen.opcode, payload, fragment_size, mask);
      break;
    case Kind::ping:
      write_ping(out, payload, mask);
      break;
    case Kind::pong:
      write_pong(out, payload, mask);
      break;
    case Kind::close:
      write_close(out, seen.code, seen.reason, mask);
      break;
    case Kind::error:
    case Kind::need_more:
      break;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kChoices = 4;
  if (size < kChoices) return 0;
  const Role role = (data[0] & 1) != 0 ? Role::client : Role::server;
  const std::size_t limit = std::size_t{data[1]} * 4;
  std::minstd_rand random(data[2] * 256U + data[3] + 1U);
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(kChoices);

  FrameReader whole(role);
  std::vector<Seen> expected;
  feed(whole, bytes, limit, expected);

  FrameReader parts(role);
  std::vector<Seen> events;
  for (auto rest = bytes; !rest.empty();) {
    const std::size_t most = random() % 4 == 0 ? 200 : 5;
    const std::size_t count = std::min<std::size_t>(1 + random() % most, rest.size());
    feed(parts, rest.first(count), limit, events);
    rest = rest.subspan(count);
    require(parts.buffered() <= bytes.size());
    require(limit == 0 || parts.buffered() <= limit);
    // A reader that is idle can be exchanged for any other.
    if (parts.idle() && random() % 2 == 0) parts = FrameReader(role);
  }
  require(events == expected);
  require(parts.idle() == whole.idle() && parts.finished() == whole.finished());
  require(parts.buffered() == whole.buffered());

  whole.reset();
  require(whole.idle() && whole.buffered() == 0);
  Buffer again;
  const MaskSource mask = role == Role::server ? MaskSource(random) : MaskSource();
  const std::size_t fragment_size = random() % 50;
  for (const Seen& seen : expected) write(again, seen, fragment_size, mask);
  std::erase_if(expected, [](const Seen& seen) { return seen.kind == Kind::error; });
  events.clear();
  feed(whole, again.span(), limit, events);
  require(events == expected);
  return 0;
}

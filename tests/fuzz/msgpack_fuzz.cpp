// What the msgpack reader accepts is written, read and written again: the bytes stay the same. The
// reader of messages that are all right and the one that says what is wrong with others agree.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include <webshocket/value.hpp>

#include "api/document_builder.hpp"
#include "protocol/buffer.hpp"
#include "protocol/msgpack.hpp"
#include "tests/fuzz/two_readers.hpp"

using namespace webshocket;

namespace {

bool read(std::span<const std::byte> message, Document& document) {
  detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::copy);
  std::string_view why;
  if (!protocol::read_msgpack(message, {}, builder, why)) {
    if (why.empty()) std::abort();
    return false;
  }
  if (!builder.finish()) std::abort();
  return true;
}

void write(const Value& value, protocol::Buffer& out) {
  protocol::MsgpackWriter writer(out);
  value.write(writer);
  if (!writer.complete()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Document first, second;
  protocol::Buffer once, twice;
  fuzz::check_two_readers(protocol::read_well_formed_msgpack, protocol::judge_msgpack,
                          std::as_bytes(std::span(data, size)),
                          [](std::string_view) { return false; });
  if (!read(std::as_bytes(std::span(data, size)), first)) return 0;
  write(first.root(), once);
  // Shortest forms only.
  if (once.size() > size * 2) std::abort();
  if (!read(once.span(), second)) std::abort();
  write(second.root(), twice);
  if (once.text() != twice.text()) std::abort();
  // And by copying of it what can be copied.
  Document borrowed;
  protocol::Buffer copied;
  detail::DocumentBuilder builder(borrowed, detail::DocumentBuilder::Strings::borrow);
  if (!protocol::read_well_formed_msgpack(std::as_bytes(std::span(data, size)), {}, builder) ||
      !builder.finish()) {
    std::abort();
  }
  write(borrowed.root(), copied);
  if (copied.text() != once.text()) std::abort();
  return 0;
}

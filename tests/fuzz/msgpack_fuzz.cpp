// What the msgpack reader accepts is written, read and written again: the bytes stay the same.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include <webshocket/value.hpp>

#include "api/document_builder.hpp"
#include "protocol/buffer.hpp"
#include "protocol/msgpack.hpp"

using namespace webshocket;

namespace {

bool read(std::span<const std::byte> message, Document& document) {
  detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::borrow);
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
  if (!read(std::as_bytes(std::span(data, size)), first)) return 0;
  write(first.root(), once);
  // Shortest forms only.
  if (once.size() > size * 2) std::abort();
  if (!read(once.span(), second)) std::abort();
  write(second.root(), twice);
  if (once.text() != twice.text()) std::abort();
  return 0;
}

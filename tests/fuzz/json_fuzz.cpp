// What the JSON reader accepts is written, read and written again: the text stays the same, and the
// values are equal. The reader of messages that are all right and the one that says what is wrong
// with others agree.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string_view>

#include <webshocket/value.hpp>

#include "api/document_builder.hpp"
#include "protocol/buffer.hpp"
#include "protocol/json.hpp"
#include "tests/fuzz/two_readers.hpp"

using namespace webshocket;

namespace {

bool read(std::span<const std::byte> message, Document& document) {
  detail::DocumentBuilder builder(document, detail::DocumentBuilder::Strings::borrow);
  std::string_view why;
  if (!protocol::read_json(message, {}, builder, why)) {
    if (why.empty()) std::abort();
    return false;
  }
  if (!builder.finish()) std::abort();
  return true;
}

void write(const Value& value, protocol::Buffer& out) {
  protocol::JsonWriter writer(out);
  value.write(writer);
  if (!writer.complete()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Document first, second;
  protocol::Buffer once, twice, copied;
  // RapidJSON takes no exponent beyond 308, whatever the digits.
  fuzz::check_two_readers(protocol::read_well_formed_json, protocol::judge_json,
                          std::as_bytes(std::span(data, size)),
                          [](std::string_view why) { return why == "a number is too large"; });
  if (!read(std::as_bytes(std::span(data, size)), first)) return 0;
  const Document copy = clone(first.root());
  write(copy.root(), once);
  if (!read(once.span(), second)) std::abort();
  if (!(first.root() == second.root())) std::abort();
  write(clone(second.root()).root(), twice);
  // By copying of it what can be copied.
  write(first.root(), copied);
  if (copied.text() != once.text()) std::abort();
  if (once.text() != twice.text()) std::abort();
  return 0;
}

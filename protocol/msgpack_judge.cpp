// What msgpack-cxx says of a message: see msgpack_reader.cpp for the grammar.

#include <msgpack/unpack.hpp>

#include "protocol/decode_budget.hpp"
#include "protocol/msgpack.hpp"
#include "protocol/text.hpp"

namespace webshocket::protocol {
namespace {

/// msgpack-cxx's events to ours. A false stops the parser.
class Visitor {
 public:
  void begin(detail::DocumentBuilder& builder, const DecodeLimits& limits) noexcept {
    builder_ = &builder;
    budget_ = DecodeBudget(limits);
    why_ = {};
    at_key_ = false;
  }
  std::string_view why() const noexcept { return why_; }

  void init() noexcept {}
  bool visit_nil() {
    if (!take()) return false;
    builder_->null();
    return true;
  }
  bool visit_boolean(bool value) {
    if (!take()) return false;
    builder_->boolean(value);
    return true;
  }
  bool visit_positive_integer(std::uint64_t value) {
    if (!take()) return false;
    builder_->unsigned_integer(value);
    return true;
  }
  bool visit_negative_integer(std::int64_t value) {
    if (!take()) return false;
    builder_->integer(value);
    return true;
  }
  bool visit_float32(float value) { return visit_float64(static_cast<double>(value)); }
  bool visit_float64(double value) {
    if (!take()) return false;
    builder_->real(value);
    return true;
  }
  bool visit_str(const char* text, std::uint32_t size) {
    if (!take()) return false;
    const std::string_view view = size == 0 ? std::string_view() : std::string_view(text, size);
    if (!is_text(view)) return stop("a string is not UTF-8");
    builder_->string(view);
    return true;
  }
  bool visit_bin(const char* bytes, std::uint32_t size) {
    if (!take()) return false;
    builder_->binary(as_bytes(bytes, size));
    return true;
  }
  bool visit_ext(const char* bytes, std::uint32_t size) {
    if (!take()) return false;
    // The type counts as the first byte.
    builder_->ext(static_cast<std::int8_t>(bytes[0]), as_bytes(bytes + 1, size - 1));
    return true;
  }
  bool start_array(std::uint32_t size) {
    if (!open(size)) return false;
    builder_->begin_array(size);
    return true;
  }
  bool start_array_item() noexcept { return true; }
  bool end_array_item() noexcept { return true; }
  bool end_array() {
    builder_->end_array();
    budget_.ascend();
    return true;
  }
  bool start_map(std::uint32_t size) {
    if (!open(std::size_t{size} * 2)) return false;
    builder_->begin_map(size);
    return true;
  }
  bool start_map_key() noexcept { return at_key_ = true; }
  bool end_map_key() noexcept {
    at_key_ = false;
    return true;
  }
  bool start_map_value() noexcept { return true; }
  bool end_map_value() noexcept { return true; }
  bool end_map() {
    builder_->end_map();
    budget_.ascend();
    return true;
  }
  void parse_error(std::size_t, std::size_t) noexcept { why_ = "a byte that begins no value"; }

 private:
  static std::span<const std::byte> as_bytes(const char* bytes, std::uint32_t size) noexcept {
    if (size == 0) return {};
    return {reinterpret_cast<const std::byte*>(bytes), size};
  }

  bool stop(std::string_view why) noexcept {
    why_ = why;
    return false;
  }
  bool take() noexcept { return budget_.take() || stop(kTooMany); }
  bool open(std::size_t elements) noexcept {
    if (at_key_) return stop("a map's key is an array or a map");
    if (!take() || !budget_.holds(elements)) return stop(kTooMany);
    return budget_.descend() || stop(kTooDeep);
  }

  detail::DocumentBuilder* builder_ = nullptr;
  DecodeBudget budget_{DecodeLimits{}};
  std::string_view why_;
  bool at_key_ = false;
};

/// The parser allocates its stack when it is made, so there is one per thread.
struct Parser {
  Visitor visitor;
  msgpack::detail::parse_helper<Visitor> helper{visitor};
};

}  // namespace

bool judge_msgpack(std::span<const std::byte> message, const DecodeLimits& limits,
                   detail::DocumentBuilder& builder, std::string_view& why) {
  if (message.size() > kLargestMessage) {
    why = kTooLarge;
    return false;
  }
  thread_local Parser parser;
  parser.visitor.begin(builder, limits);
  parser.helper.init();

  std::size_t read = 0;
  const auto result =
      parser.helper.execute(reinterpret_cast<const char*>(message.data()), message.size(), read);
  if (result == msgpack::PARSE_SUCCESS && read == message.size()) return true;

  why = parser.visitor.why();
  if (why.empty()) {
    why = result == msgpack::PARSE_SUCCESS ? "bytes after the value"
          : message.empty()                ? "the message is empty"
                                           : "the message ends within a value";
  }
  return false;
}

}  // namespace webshocket::protocol

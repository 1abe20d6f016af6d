// What RapidJSON says of a message: see json_reader.cpp for the grammar.

#include <rapidjson/reader.h>

#include <array>
#include <cassert>
#include <cstring>

#include "protocol/decode_budget.hpp"
#include "protocol/json.hpp"
#include "protocol/json_number.hpp"
#include "protocol/json_string.hpp"
#include "protocol/text.hpp"

namespace webshocket::protocol {
namespace {

/// Names the parser whose stack is the one below.
struct OnTheStack {};

}  // namespace
}  // namespace webshocket::protocol

/// Where the parser remembers what is open: two numbers per level, of which there are at most as
/// many as the handler allows, and one that it refuses. RapidJSON's own stack allocates, and adds
/// to a null pointer. Strings and numbers are not pushed in the mode that we use.
template <>
class rapidjson::internal::Stack<webshocket::protocol::OnTheStack> {
 public:
  Stack(webshocket::protocol::OnTheStack*, std::size_t) noexcept {}

  // NOLINTBEGIN(readability-identifier-naming): RapidJSON's names

  void Clear() noexcept { size_ = 0; }
  template <class T>
  T* Push(std::size_t count = 1) noexcept {
    T* const place = reinterpret_cast<T*>(bytes_.data() + size_);
    size_ += count * sizeof(T);
    assert(size_ <= bytes_.size());
    return place;
  }
  template <class T>
  T* Pop(std::size_t count) noexcept {
    assert(size_ >= count * sizeof(T));
    size_ -= count * sizeof(T);
    return reinterpret_cast<T*>(bytes_.data() + size_);
  }
  template <class T>
  T* Top() noexcept {
    return reinterpret_cast<T*>(bytes_.data() + size_ - sizeof(T));
  }
  // NOLINTEND(readability-identifier-naming)

 private:
  static constexpr std::size_t kLevels = webshocket::Sink::kMaxDepth + 1;

  alignas(SizeType) std::array<std::byte, kLevels * 2 * sizeof(SizeType)> bytes_;
  std::size_t size_ = 0;
};

namespace webshocket::protocol {
namespace {

/// RapidJSON's parser as it sees a message: a stream that it reads from, and, while it decodes a
/// string, writes to. A string without escapes stays where it is; from the first escape on its
/// characters go to the arena.
class Stream {
 public:
  using Ch = char;

  Stream(std::span<const std::byte> message, detail::Arena& arena) noexcept
      : begin_(reinterpret_cast<const char*>(message.data())),
        at_(begin_),
        end_(begin_ + message.size()),
        arena_(arena) {}

  Ch Peek() const noexcept { return at_ != end_ ? *at_ : '\0'; }
  Ch Take() noexcept { return at_ != end_ ? *at_++ : '\0'; }
  std::size_t Tell() const noexcept { return static_cast<std::size_t>(at_ - begin_); }

  Ch* PutBegin() noexcept {
    start_ = at_;
    copy_ = nullptr;
    size_ = 0;
    // Also called behind a number, which nothing is put for.
    if (at_[-1] == '"') {
      // The parser need not see the characters that it would only pass on.
      size_ = plain_run(at_, static_cast<std::size_t>(end_ - at_));
      at_ += size_;
    }
    return nullptr;
  }
  void Put(Ch c) {
    if (copy_ == nullptr) {
      if (at_ == start_ + size_ + 1) {
        ++size_;
        return;
      }
      leave_message();
    }
    copy_[size_++] = c;
  }
  std::size_t PutEnd(Ch*) const noexcept { return size_; }
  void Flush() const noexcept {}

  /// The string that was put last; the parser ends it with a NUL.
  std::string_view string() const noexcept {
    return {copy_ != nullptr ? copy_ : start_, size_ - 1};
  }
  bool string_was_copied() const noexcept { return copy_ != nullptr; }
  /// The last `size` characters that were taken.
  std::string_view taken(std::size_t size) const noexcept { return {at_ - size, size}; }
  bool at_end() const noexcept { return at_ == end_; }

 private:
  void leave_message() {
    // Decoded, a string is never longer than it was.
    const auto room = static_cast<std::size_t>(end_of_string(at_, end_) - start_) + 4;
    copy_ = reinterpret_cast<char*>(arena_.allocate(room, 1));
    std::memcpy(copy_, start_, size_);
  }

  const char* const begin_;
  const char* at_;
  const char* const end_;
  detail::Arena& arena_;
  const char* start_ = nullptr;  ///< of the string that is being put
  char* copy_ = nullptr;         ///< where it is put, if not where it stands
  std::size_t size_ = 0;         ///< characters put so far
};

/// RapidJSON's events to ours. A false stops the parser.
class SaxHandler {
 public:
  using Ch = char;

  SaxHandler(const Stream& stream, detail::DocumentBuilder& builder, const DecodeLimits& limits)
      : stream_(stream), builder_(builder), budget_(limits) {}
  std::string_view why() const noexcept { return why_; }

  bool Null() {
    if (!take()) return false;
    builder_.null();
    return true;
  }
  bool Bool(bool value) {
    if (!take()) return false;
    builder_.boolean(value);
    return true;
  }
  bool RawNumber(const char*, rapidjson::SizeType size, bool) {
    if (!take()) return false;
    // RapidJSON 1.1.0 has checked the grammar; its own conversion overflows on some exponents
    // (CVE-2024-38517) and is not always exact.
    const std::string_view text = stream_.taken(size);
    if (text.find_first_of(".eE") == std::string_view::npos && read_integer(text, builder_)) {
      return true;
    }
    double value = 0;
    if (!read_real(text, value)) return stop("a number is too large");
    builder_.real(value);
    return true;
  }
  bool String(const char*, rapidjson::SizeType, bool) {
    if (!take()) return false;
    const std::string_view text = stream_.string();
    // The message is UTF-8, so only \u can make something else: half a surrogate pair.
    if (stream_.string_was_copied() && !is_text(text)) return stop("half a surrogate pair");
    builder_.string(text);
    return true;
  }
  bool Key(const char* text, rapidjson::SizeType size, bool copy) {
    return String(text, size, copy);
  }
  bool StartObject() {
    if (!open()) return false;
    builder_.begin_map(Sink::kUnknownSize);
    return true;
  }
  bool EndObject(rapidjson::SizeType) {
    builder_.end_map();
    budget_.ascend();
    return true;
  }
  bool StartArray() {
    if (!open()) return false;
    builder_.begin_array(Sink::kUnknownSize);
    return true;
  }
  bool EndArray(rapidjson::SizeType) {
    builder_.end_array();
    budget_.ascend();
    return true;
  }
  // With numbers passed as text, the parser never calls these.
  bool Int(int) noexcept { return false; }
  bool Uint(unsigned) noexcept { return false; }
  bool Int64(std::int64_t) noexcept { return false; }
  bool Uint64(std::uint64_t) noexcept { return false; }
  bool Double(double) noexcept { return false; }

 private:
  bool stop(std::string_view why) noexcept {
    why_ = why;
    return false;
  }
  bool take() noexcept { return budget_.take() || stop(kTooMany); }
  bool open() noexcept { return take() && (budget_.descend() || stop(kTooDeep)); }

  const Stream& stream_;
  detail::DocumentBuilder& builder_;
  DecodeBudget budget_;
  std::string_view why_;
};

std::string_view explain(rapidjson::ParseErrorCode code) noexcept {
  switch (code) {
    case rapidjson::kParseErrorDocumentEmpty:
      return "the message is empty";
    case rapidjson::kParseErrorDocumentRootNotSingular:
      return "text after the value";
    case rapidjson::kParseErrorNumberTooBig:
      return "a number is too large";
    case rapidjson::kParseErrorStringUnicodeSurrogateInvalid:
      return "half a surrogate pair";
    default:
      return "not JSON";
  }
}

}  // namespace

bool judge_json(std::span<const std::byte> message, const DecodeLimits& limits,
                detail::DocumentBuilder& builder, std::string_view& why) {
  if (message.size() > kLargestMessage) {
    why = kTooLarge;
    return false;
  }
  if (!is_utf8({reinterpret_cast<const char*>(message.data()), message.size()})) {
    why = "the message is not UTF-8";
    return false;
  }
  constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseInsituFlag |
                              rapidjson::kParseNumbersAsStringsFlag;
  rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, OnTheStack> reader;
  Stream stream(message, builder.arena());
  SaxHandler handler(stream, builder, limits);
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, handler);
  // A NUL looks to the parser like the end.
  if (!result.IsError() && stream.at_end()) return true;
  why = !handler.why().empty() ? handler.why()
        : result.IsError()     ? explain(result.Code())
                               : "text after the value";
  return false;
}

}  // namespace webshocket::protocol

/// How C++ objects become message data: `Sink` (the events), `Payload` (anything that can tell
/// itself as events), `map()` and `WEBSHOCKET_FIELDS`.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <webshocket/types.hpp>

namespace webshocket {

/// The events of a value, in the order in which they stand on the wire. Encoders are Sinks;
/// decoders and C++ objects feed them.
///
/// A map is `begin_map(n)`, then n times a key (any scalar event) and its value, then `end_map()`.
/// Views are borrowed for the call only. `size` of an array or a map is exact, or `kUnknownSize`
/// (only readers of formats that do not announce it, never towards the msgpack writer).
class Sink {
 public:
  static constexpr std::size_t kUnknownSize = static_cast<std::size_t>(-1);
  /// The deepest nesting of arrays and maps that any Sink takes and any decoder hands out.
  static constexpr std::size_t kMaxDepth = 1024;

  virtual void null() = 0;
  virtual void boolean(bool value) = 0;
  virtual void integer(std::int64_t value) = 0;
  virtual void unsigned_integer(std::uint64_t value) = 0;
  virtual void real(double value) = 0;
  virtual void string(std::string_view text) = 0;
  virtual void binary(std::span<const std::byte> bytes) = 0;
  virtual void ext(std::int8_t type, std::span<const std::byte> bytes) = 0;
  virtual void begin_array(std::size_t size) = 0;
  virtual void end_array() = 0;
  virtual void begin_map(std::size_t size) = 0;
  virtual void end_map() = 0;
  /// A decoded array or map in the bytes that it came in, which are those that a writer of the
  /// format would make of its events; `height` levels of them (1: nothing but scalars in it). True:
  /// they are taken. False: the events follow.
  virtual bool take_encoded(Format, std::span<const std::byte> /*bytes*/, std::size_t /*height*/) {
    return false;
  }

 protected:
  ~Sink() = default;
};

namespace detail {

template <class T>
constexpr bool is_writable();

/// Is told as a string, or as bytes, where it lies.
template <class T>
constexpr bool is_string();
template <class T>
constexpr bool is_binary();

template <class T>
void write(Sink& sink, const T& value);

}  // namespace detail

/// A type that can be sent: null, booleans, numbers, enums, strings, bytes
/// (`std::vector<std::byte>`, `std::span<const std::byte>`), `Value`, `Document`, `Scalar`,
/// `std::optional`, ranges, tuples, maps with string or integer keys, structs with
/// `WEBSHOCKET_FIELDS`, `map(…)`, and any type with `void webshocket_write(Sink&, const T&)` found
/// by argument-dependent lookup.
template <class T>
concept Writable = detail::is_writable<std::remove_cvref_t<T>>();

/// Something to send, borrowed for one call: no copy, no allocation. Implicit from
/// every `Writable`. The default is null.
class Payload {
 public:
  Payload() noexcept : Payload(nullptr) {}
  Payload(std::nullptr_t) noexcept
      : object_(nullptr), write_([](Sink& sink, const void*) { sink.null(); }) {}

  template <class T>
  requires(!std::same_as<std::remove_cvref_t<T>, Payload> &&
           !std::same_as<std::remove_cvref_t<T>, std::nullptr_t> && Writable<T>)
      Payload(const T& object)
  noexcept  // NOLINT(google-explicit-constructor): that is what it is for
      : Payload(of(object)) {}

  void write(Sink& sink) const {
    if (write_ != nullptr) return write_(sink, object_);
    if (is_string_) return sink.string(string());
    sink.binary(bytes());
  }

  bool is_string() const noexcept { return write_ == nullptr && is_string_; }
  bool is_binary() const noexcept { return write_ == nullptr && !is_string_; }
  /// REQUIRES: it is a string.
  std::string_view string() const noexcept { return {static_cast<const char*>(object_), size_}; }
  /// Of a string or of bytes. REQUIRES: it is one of them.
  std::span<const std::byte> bytes() const noexcept {
    return {static_cast<const std::byte*>(object_), size_};
  }

 private:
  using Write = void(Sink&, const void*);

  Payload(const void* object, Write* how) noexcept : object_(object), write_(how) {}
  Payload(const void* object, std::size_t size, bool is_string) noexcept
      : object_(object), size_(size), is_string_(is_string) {}

  template <class T>
  static Payload of(const T& object) noexcept {
    if constexpr (detail::is_string<T>()) {
      const std::string_view text(object);
      return {text.data(), text.size(), true};
    } else if constexpr (detail::is_binary<T>()) {
      const std::span<const std::byte> bytes(object);
      return {bytes.data(), bytes.size(), false};
    } else {
      return {address(object), &write_as<T>};
    }
  }

  // An array decays to a pointer to its first element elsewhere; here its own address is right.
  template <class T>
  static const void* address(const T& object) noexcept {
    return static_cast<const void*>(std::addressof(object));
  }

  template <class T>
  static void write_as(Sink& sink, const void* object) {
    detail::write(sink, *static_cast<const T*>(object));
  }

  const void* object_;
  Write* write_ = nullptr;  ///< none: a string or bytes, so many at `object_`
  std::size_t size_ = 0;
  bool is_string_ = false;
};

namespace detail {

/// What `map("a", 1, "b", x)` makes: names and references, written at once or never.
template <class... T>
class MapOf {
 public:
  explicit MapOf(const T&... items) noexcept : items_(items...) {}

  void write(Sink& sink) const {
    sink.begin_map(sizeof...(T) / 2);
    std::apply([&sink](const auto&... item) { (detail::write(sink, item), ...); }, items_);
    sink.end_map();
  }

 private:
  std::tuple<const T&...> items_;
};

template <class Class, class Member>
struct Field {
  std::string_view name;
  Member Class::*member;
};

template <class Class, class Member>
constexpr Field<Class, Member> field(std::string_view name, Member Class::*member) noexcept {
  return {name, member};
}

template <class T>
concept HasFields = requires {
  T::webshocket_fields();
};

}  // namespace detail

/// An ad-hoc map for one call: `publish("room", map("from", name, "text", text))`. Keys and values
/// alternate and are borrowed until the end of the full expression: do not keep it.
template <class... T>
requires(sizeof...(T) % 2 == 0) detail::MapOf<T...> map(const T&... items)
noexcept { return detail::MapOf<T...>(items...); }

}  // namespace webshocket

#define WEBSHOCKET_DETAIL_PARENS ()
#define WEBSHOCKET_DETAIL_EXPAND(...)                  \
  WEBSHOCKET_DETAIL_EXPAND3(WEBSHOCKET_DETAIL_EXPAND3( \
      WEBSHOCKET_DETAIL_EXPAND3(WEBSHOCKET_DETAIL_EXPAND3(__VA_ARGS__))))
#define WEBSHOCKET_DETAIL_EXPAND3(...)                 \
  WEBSHOCKET_DETAIL_EXPAND2(WEBSHOCKET_DETAIL_EXPAND2( \
      WEBSHOCKET_DETAIL_EXPAND2(WEBSHOCKET_DETAIL_EXPAND2(__VA_ARGS__))))
#define WEBSHOCKET_DETAIL_EXPAND2(...)                 \
  WEBSHOCKET_DETAIL_EXPAND1(WEBSHOCKET_DETAIL_EXPAND1( \
      WEBSHOCKET_DETAIL_EXPAND1(WEBSHOCKET_DETAIL_EXPAND1(__VA_ARGS__))))
#define WEBSHOCKET_DETAIL_EXPAND1(...) __VA_ARGS__
#define WEBSHOCKET_DETAIL_FIELD(Type, name, ...)  \
  ::webshocket::detail::field(#name, &Type::name) \
      __VA_OPT__(, WEBSHOCKET_DETAIL_FIELD_AGAIN WEBSHOCKET_DETAIL_PARENS(Type, __VA_ARGS__))
#define WEBSHOCKET_DETAIL_FIELD_AGAIN() WEBSHOCKET_DETAIL_FIELD

/// Lets a struct travel: as a map of its fields' names, out and in. Stands inside the struct, which
/// stays an aggregate: `struct Line { std::string from, text; WEBSHOCKET_FIELDS(Line, from, text)
/// };`
#define WEBSHOCKET_FIELDS(Type, ...)                                                           \
  static constexpr auto webshocket_fields() noexcept {                                         \
    return ::std::tuple{WEBSHOCKET_DETAIL_EXPAND(WEBSHOCKET_DETAIL_FIELD(Type, __VA_ARGS__))}; \
  }

#include <webshocket/detail/write.hpp>  // IWYU pragma: export

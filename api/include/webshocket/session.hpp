/// Session state: what a program remembers of one connection, typed or by key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <webshocket/payload.hpp>

namespace webshocket {

/// A value of the session dictionary. Integers are kept as std::int64_t (std::uint64_t beyond its
/// range), floats as double, text and bytes owned.
class Scalar {
 public:
  using Bytes = std::vector<std::byte>;
  using Variant =
      std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, Bytes>;

  Scalar() noexcept = default;
  Scalar(std::nullptr_t) noexcept {}
  template <class T>
  requires std::is_arithmetic_v<T> Scalar(T value)
  noexcept : value_(convert(value)) {}  // NOLINT(google-explicit-constructor)
  Scalar(const char* text) : value_(std::string(text)) {}
  Scalar(std::string_view text) : value_(std::string(text)) {}
  Scalar(std::string text) noexcept : value_(std::move(text)) {}
  Scalar(Bytes bytes) noexcept : value_(std::move(bytes)) {}
  Scalar(std::span<const std::byte> bytes) : value_(Bytes(bytes.begin(), bytes.end())) {}

  const Variant& variant() const noexcept { return value_; }
  bool is_null() const noexcept { return value_.index() == 0; }

  /// The value if it is exactly a `T` (one of the variant's types), else nullptr.
  template <class T>
  const T* get() const noexcept {
    return std::get_if<T>(&value_);
  }

  /// Python's truth: null, false, 0, 0.0, empty text and empty bytes are false.
  bool truthy() const noexcept;

  void write(Sink& sink) const;
  std::string to_string() const;

  /// Numbers by value, across kinds: 1 == 1.0.
  friend bool operator==(const Scalar& left, const Scalar& right) noexcept;

 private:
  template <class T>
  static Variant convert(T value) noexcept {
    if constexpr (std::is_same_v<T, bool>) {
      return value;
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(value);
    } else if constexpr (std::is_signed_v<T>) {
      return static_cast<std::int64_t>(value);
    } else if (value <= static_cast<std::uint64_t>(INT64_MAX)) {
      return static_cast<std::int64_t>(value);
    } else {
      return static_cast<std::uint64_t>(value);
    }
  }

  Variant value_;
};

namespace detail {

/// The address of one of these is a type's name.
template <class T>
inline constexpr char kTypeTag = 0;
using TypeTag = const char*;

template <class T>
TypeTag type_tag() noexcept {
  return &kTypeTag<T>;
}

}  // namespace detail

/// The state of one connection. Lives as long as the connection object, also after it closed, so
/// that `on_disconnect` can read it. Shard's thread only.
class Session {
 public:
  Session() noexcept = default;
  Session(Session&&) noexcept = default;
  Session& operator=(Session&&) noexcept = default;
  ~Session();

  /// The value under `key`, made null if there was none.
  Scalar& operator[](std::string_view key);
  /// The value under `key`, or nullptr. Invalidated by the next insertion or erasure.
  const Scalar* find(std::string_view key) const noexcept;
  bool erase(std::string_view key) noexcept;
  /// In order of insertion.
  std::span<const std::pair<std::string, Scalar>> entries() const noexcept { return entries_; }

  /// The state of type `T`, made on first use. The reference stays valid as long as the session.
  template <class T>
  T& get() {
    if (void* found = find_typed(detail::type_tag<T>())) return *static_cast<T*>(found);
    auto made = std::make_unique<T>();
    T& result = *made;
    add_typed(detail::type_tag<T>(), made.get(),
              [](void* object) { delete static_cast<T*>(object); });
    static_cast<void>(made.release());
    return result;
  }
  /// The state of type `T` if there is any, else nullptr.
  template <class T>
  T* find() noexcept {
    return static_cast<T*>(find_typed(detail::type_tag<T>()));
  }
  template <class T>
  const T* find() const noexcept {
    return static_cast<const T*>(find_typed(detail::type_tag<T>()));
  }
  template <class T>
  bool erase() noexcept {
    return erase_typed(detail::type_tag<T>());
  }

  void* find_typed(detail::TypeTag type) const noexcept;

 private:
  using Deleter = void (*)(void*);
  struct Typed {
    detail::TypeTag type;
    std::unique_ptr<void, Deleter> object;
  };

  void add_typed(detail::TypeTag type, void* object, Deleter deleter);
  bool erase_typed(detail::TypeTag type) noexcept;

  std::vector<std::pair<std::string, Scalar>> entries_;
  std::vector<Typed> typed_;
};

}  // namespace webshocket

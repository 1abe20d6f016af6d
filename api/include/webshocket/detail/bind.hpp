/// `Value` to C++ objects. Included by value.hpp.
#pragma once

#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>
#include <webshocket/value.hpp>  // includes this header at its end

namespace webshocket::detail {

/// Reads `from` into `to`; false, and `to` unspecified, if it is of another type or out of range.
template <class T>
bool read_value(const Value& from, T& to);

template <class T>
concept HasReadFunction = requires(const Value& from, T& to) {
  { webshocket_read(from, to) } -> std::convertible_to<bool>;
};

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
inline constexpr bool is_vector = false;
template <class T, class A>
inline constexpr bool is_vector<std::vector<T, A>> = true;

template <class T>
inline constexpr bool is_array = false;
template <class T, std::size_t N>
inline constexpr bool is_array<std::array<T, N>> = true;

template <class T>
inline constexpr bool is_string_map = false;
template <class T, class... Rest>
inline constexpr bool is_string_map<std::map<std::string, T, Rest...>> = true;
template <class T, class... Rest>
inline constexpr bool is_string_map<std::unordered_map<std::string, T, Rest...>> = true;

template <class T>
inline constexpr bool is_tuple = false;
template <class... T>
inline constexpr bool is_tuple<std::tuple<T...>> = true;
template <class A, class B>
inline constexpr bool is_tuple<std::pair<A, B>> = true;

/// Whether `T` points into the message that it is read from.
template <class T>
inline constexpr bool is_view =
    std::same_as<T, std::string_view> || std::same_as<T, Value> ||
    std::same_as<T, std::span<const std::byte>> || std::same_as<T, std::span<const Value>>;

/// "an integer", "a string", "a list of strings": for the text of an `invalid_params` error.
template <class T>
std::string type_name() {
  if constexpr (std::same_as<T, bool>) {
    return "a boolean";
  } else if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
    return "an integer";
  } else if constexpr (std::is_floating_point_v<T>) {
    return "a number";
  } else if constexpr (std::same_as<T, std::string> || std::same_as<T, std::string_view>) {
    return "a string";
  } else if constexpr (std::same_as<T, std::vector<std::byte>> ||
                       std::same_as<T, std::span<const std::byte>>) {
    return "bytes";
  } else if constexpr (std::same_as<T, Value> || std::same_as<T, Document>) {
    return "any value";
  } else if constexpr (std::same_as<T, std::nullptr_t>) {
    return "null";
  } else if constexpr (is_optional<T>) {
    return type_name<typename T::value_type>() + " or null";
  } else if constexpr (is_vector<T>) {
    return "a list, each " + type_name<typename T::value_type>();
  } else if constexpr (is_array<T> || is_tuple<T>) {
    return "a list of " + std::to_string(std::tuple_size_v<T>);
  } else if constexpr (HasFields<T> || is_string_map<T>) {
    return "a map";
  } else {
    return "another type";
  }
}

template <class T>
bool bind_integer(const Value& from, T& to) {
  if (from.type() == Value::Type::integer) {
    const std::int64_t value = from.integer();
    if (!std::in_range<T>(value)) return false;
    to = static_cast<T>(value);
    return true;
  }
  if (from.type() == Value::Type::unsigned_integer) {
    const std::uint64_t value = from.unsigned_integer();
    if (!std::in_range<T>(value)) return false;
    to = static_cast<T>(value);
    return true;
  }
  return false;
}

template <class T>
bool bind_real(const Value& from, T& to) {
  switch (from.type()) {
    case Value::Type::real:
      to = static_cast<T>(from.real());
      return true;
    case Value::Type::integer:
      to = static_cast<T>(from.integer());
      return true;
    case Value::Type::unsigned_integer:
      to = static_cast<T>(from.unsigned_integer());
      return true;
    default:
      return false;
  }
}

template <class Tuple, std::size_t... I>
bool bind_tuple(const Value& from, Tuple& to, std::index_sequence<I...>) {
  return (read_value(from.elements()[I], std::get<I>(to)) && ...);
}

template <class T>
bool read_value(const Value& from, T& to) {
  using Type = Value::Type;
  if constexpr (HasReadFunction<T>) {
    return webshocket_read(from, to);
  } else if constexpr (std::same_as<T, Value>) {
    to = from;
    return true;
  } else if constexpr (std::same_as<T, Document>) {
    to = clone(from);
    return true;
  } else if constexpr (std::same_as<T, std::nullptr_t>) {
    return from.is_null();
  } else if constexpr (is_optional<T>) {
    if (from.is_null()) {
      to.reset();
      return true;
    }
    return read_value(from, to.emplace());
  } else if constexpr (std::same_as<T, bool>) {
    if (from.type() != Type::boolean) return false;
    to = from.boolean();
    return true;
  } else if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> number{};
    if (!bind_integer(from, number)) return false;
    to = static_cast<T>(number);
    return true;
  } else if constexpr (std::is_integral_v<T>) {
    return bind_integer(from, to);
  } else if constexpr (std::is_floating_point_v<T>) {
    return bind_real(from, to);
  } else if constexpr (std::same_as<T, std::string> || std::same_as<T, std::string_view>) {
    if (from.type() != Type::string) return false;
    to = T(from.string());
    return true;
  } else if constexpr (std::same_as<T, std::vector<std::byte>>) {
    if (from.type() != Type::binary) return false;
    to.assign(from.bytes().begin(), from.bytes().end());
    return true;
  } else if constexpr (std::same_as<T, std::span<const std::byte>>) {
    if (from.type() != Type::binary) return false;
    to = from.bytes();
    return true;
  } else if constexpr (std::same_as<T, std::span<const Value>>) {
    if (from.type() != Type::array) return false;
    to = from.elements();
    return true;
  } else if constexpr (is_vector<T>) {
    if (from.type() != Type::array) return false;
    to.clear();
    to.reserve(from.size());
    for (const Value& element : from.elements()) {
      typename T::value_type item{};
      if (!read_value(element, item)) return false;
      to.push_back(std::move(item));
    }
    return true;
  } else if constexpr (is_array<T>) {
    if (from.type() != Type::array || from.size() != std::tuple_size_v<T>) return false;
    for (std::size_t i = 0; i < from.size(); ++i) {
      if (!read_value(from.elements()[i], to[i])) return false;
    }
    return true;
  } else if constexpr (is_tuple<T>) {
    if (from.type() != Type::array || from.size() != std::tuple_size_v<T>) return false;
    return bind_tuple(from, to, std::make_index_sequence<std::tuple_size_v<T>>{});
  } else if constexpr (is_string_map<T>) {
    if (from.type() != Type::map) return false;
    to.clear();
    for (const auto& [key, value] : from.members()) {
      if (!key.is_string()) return false;
      typename T::mapped_type item{};
      if (!read_value(value, item)) return false;
      to.insert_or_assign(std::string(key.string()), std::move(item));
    }
    return true;
  } else if constexpr (HasFields<T>) {
    if (from.type() != Type::map) return false;
    constexpr auto kFields = T::webshocket_fields();
    return std::apply(
        [&](const auto&... item) {
          // A field that is missing is read from null: only an optional one accepts that.
          return (read_value(from[item.name], to.*item.member) && ...);
        },
        kFields);
  } else {
    static_assert(
        always_false<T>,
        "webshocket: this type cannot be read from a message; give it "
        "WEBSHOCKET_FIELDS(Type, field…) or bool webshocket_read(const webshocket::Value&, "
        "Type&)");
    return false;
  }
}

template <class T>
constexpr bool is_readable() {
  if constexpr (HasReadFunction<T> || std::same_as<T, Value> || std::same_as<T, Document> ||
                std::same_as<T, std::nullptr_t> || std::is_arithmetic_v<T> || std::is_enum_v<T> ||
                std::same_as<T, std::string> || is_view<T> ||
                std::same_as<T, std::vector<std::byte>> || HasFields<T>) {
    return true;
  } else if constexpr (is_optional<T> || is_vector<T> || is_array<T>) {
    return is_readable<typename T::value_type>();
  } else if constexpr (is_string_map<T>) {
    return is_readable<typename T::mapped_type>();
  } else {
    return is_tuple<T>;
  }
}

}  // namespace webshocket::detail

namespace webshocket {

/// A type that a message's data can be read into: booleans, numbers (an integer must fit, a double
/// accepts integers), enums, strings, bytes, `std::optional` (from null or a missing field),
/// `std::vector`, `std::array`, `std::tuple`, `std::map` and `std::unordered_map` with string keys,
/// structs with `WEBSHOCKET_FIELDS`, `Value`, `Document`, views into the message, and any type with
/// `bool webshocket_read(const Value&, T&)` found by argument-dependent lookup.
template <class T>
concept Readable = detail::is_readable<T>();

template <class T>
std::optional<T> Value::get() const {
  std::optional<T> result(std::in_place);
  if (!detail::read_value(*this, *result)) result.reset();
  return result;
}

template <class T>
T Value::as() const {
  T result{};
  if (!detail::read_value(*this, result)) {
    throw PacketValidationError("expected " + detail::type_name<T>() + ", got " +
                                std::string(to_string(type())));
  }
  return result;
}

}  // namespace webshocket

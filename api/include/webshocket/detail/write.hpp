/// C++ objects to `Sink` events. Included by payload.hpp.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <span>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <webshocket/payload.hpp>  // includes this header at its end

namespace webshocket {
class Document;
class Payload;
class Sink;
class Value;
namespace detail {

template <class T>
concept HasWriteMember = requires(const T& value, Sink& sink) {
  value.write(sink);
};

template <class T>
concept HasWriteFunction = requires(const T& value, Sink& sink) {
  webshocket_write(sink, value);
};

template <class T>
concept StringLike = std::convertible_to<const T&, std::string_view>;

template <class T>
concept BytesLike = std::convertible_to<const T&, std::span<const std::byte>>;

template <class T>
concept OptionalLike = requires(const T& value) {
  { value.has_value() } -> std::convertible_to<bool>;
  *value;
}
&&!std::ranges::range<T>;

template <class T>
concept MapLike = std::ranges::sized_range<const T> && requires {
  typename T::key_type;
  typename T::mapped_type;
};

template <class T>
concept ArrayLike = std::ranges::sized_range<const T> && !MapLike<T>;

template <class T>
concept TupleLike = requires {
  std::tuple_size<T>::value;
};

template <class T>
inline constexpr bool is_variant = false;
template <class... T>
inline constexpr bool is_variant<std::variant<T...>> = true;

template <class T>
inline constexpr bool always_false = false;

template <class Tuple, std::size_t... I>
constexpr bool all_writable(std::index_sequence<I...>) {
  return (is_writable<std::remove_cvref_t<std::tuple_element_t<I, Tuple>>>() && ...);
}

template <class... T>
constexpr bool variant_writable(const std::variant<T...>*) {
  return (is_writable<T>() && ...);
}

template <class... Class, class... Member>
constexpr bool fields_writable(const std::tuple<Field<Class, Member>...>*) {
  return (is_writable<std::remove_cvref_t<Member>>() && ...);
}

template <class T>
constexpr bool is_writable() {
  if constexpr (HasWriteFunction<T> || HasWriteMember<T>) {
    return true;
  } else if constexpr (HasFields<T>) {
    using Fields = decltype(T::webshocket_fields());
    return fields_writable(static_cast<const Fields*>(nullptr));
  } else if constexpr (std::same_as<T, std::nullptr_t> || std::same_as<T, std::nullopt_t> ||
                       std::same_as<T, std::monostate> || std::is_arithmetic_v<T> ||
                       std::is_enum_v<T> || StringLike<T> || BytesLike<T>) {
    return !std::same_as<T, std::byte>;
  } else if constexpr (std::is_pointer_v<T>) {
    return false;
  } else if constexpr (is_variant<T>) {
    return variant_writable(static_cast<const T*>(nullptr));
  } else if constexpr (OptionalLike<T>) {
    return is_writable<std::remove_cvref_t<decltype(*std::declval<const T&>())>>();
  } else if constexpr (MapLike<T>) {
    using Key = typename T::key_type;
    return (StringLike<Key> || std::is_integral_v<Key>)&&is_writable<typename T::mapped_type>();
  } else if constexpr (ArrayLike<T>) {
    return is_writable<std::ranges::range_value_t<const T>>();
  } else if constexpr (TupleLike<T>) {
    return all_writable<T>(std::make_index_sequence<std::tuple_size_v<T>>{});
  } else {
    return false;
  }
}

template <class T>
constexpr bool has_own_way() {
  return HasWriteFunction<T> || HasWriteMember<T> || HasFields<T>;
}

template <class T>
constexpr bool is_string() {
  return StringLike<T> && !has_own_way<T>();
}

template <class T>
constexpr bool is_binary() {
  return BytesLike<T> && !StringLike<T> && !has_own_way<T>();
}

template <class T>
void write(Sink& sink, const T& value) {
  if constexpr (HasWriteFunction<T>) {
    webshocket_write(sink, value);
  } else if constexpr (HasWriteMember<T>) {
    value.write(sink);
  } else if constexpr (HasFields<T>) {
    constexpr auto kFields = T::webshocket_fields();
    sink.begin_map(std::tuple_size_v<decltype(kFields)>);
    std::apply(
        [&](const auto&... item) {
          ((sink.string(item.name), detail::write(sink, value.*item.member)), ...);
        },
        kFields);
    sink.end_map();
  } else if constexpr (std::same_as<T, std::nullptr_t> || std::same_as<T, std::nullopt_t> ||
                       std::same_as<T, std::monostate>) {
    sink.null();
  } else if constexpr (std::same_as<T, bool>) {
    sink.boolean(value);
  } else if constexpr (std::is_enum_v<T>) {
    detail::write(sink, static_cast<std::underlying_type_t<T>>(value));
  } else if constexpr (std::is_integral_v<T>) {
    if constexpr (std::is_signed_v<T>) {
      sink.integer(static_cast<std::int64_t>(value));
    } else {
      sink.unsigned_integer(static_cast<std::uint64_t>(value));
    }
  } else if constexpr (std::is_floating_point_v<T>) {
    sink.real(static_cast<double>(value));
  } else if constexpr (StringLike<T>) {
    sink.string(std::string_view(value));
  } else if constexpr (BytesLike<T>) {
    sink.binary(std::span<const std::byte>(value));
  } else if constexpr (is_variant<T>) {
    std::visit([&](const auto& inner) { detail::write(sink, inner); }, value);
  } else if constexpr (OptionalLike<T>) {
    if (value.has_value()) {
      detail::write(sink, *value);
    } else {
      sink.null();
    }
  } else if constexpr (MapLike<T>) {
    sink.begin_map(static_cast<std::size_t>(std::ranges::size(value)));
    for (const auto& [key, mapped] : value) {
      detail::write(sink, key);
      detail::write(sink, mapped);
    }
    sink.end_map();
  } else if constexpr (ArrayLike<T>) {
    sink.begin_array(static_cast<std::size_t>(std::ranges::size(value)));
    // By value type: std::vector<bool> hands out proxies.
    for (auto&& element : value) {
      detail::write(sink, static_cast<const std::ranges::range_value_t<const T>&>(element));
    }
    sink.end_array();
  } else if constexpr (TupleLike<T>) {
    sink.begin_array(std::tuple_size_v<T>);
    std::apply([&](const auto&... item) { (detail::write(sink, item), ...); }, value);
    sink.end_array();
  } else {
    static_assert(
        always_false<T>,
        "webshocket: this type cannot be sent; give it WEBSHOCKET_FIELDS(Type, field…) or "
        "void webshocket_write(webshocket::Sink&, const Type&)");
  }
}

}  // namespace detail
}  // namespace webshocket

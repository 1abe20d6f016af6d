/// The types of RPC parameters and results as people and tools read them: TypeScript's spelling.
#pragma once

#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <webshocket/value.hpp>

namespace webshocket::detail {

template <class T>
std::string signature();

template <class Tuple, std::size_t... I>
std::string tuple_signature(std::index_sequence<I...>) {
  std::string text = "[";
  ((text +=
    (I == 0 ? "" : ", ") + signature<std::remove_cvref_t<std::tuple_element_t<I, Tuple>>>()),
   ...);
  return text + "]";
}

template <class Class, class Member>
std::string field_signature(const Field<Class, Member>& item) {
  return std::string(item.name) + (is_optional<Member> ? "?: " : ": ") + signature<Member>();
}

/// "number", "string[]", "{ from: string; text: string }", "any".
template <class T>
std::string signature() {
  if constexpr (std::is_void_v<T> || std::same_as<T, std::nullptr_t>) {
    return "null";
  } else if constexpr (std::same_as<T, bool>) {
    return "boolean";
  } else if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>) {
    return "number";
  } else if constexpr (StringLike<T>) {
    return "string";
  } else if constexpr (BytesLike<T>) {
    return "Uint8Array";
  } else if constexpr (is_optional<T>) {
    return signature<typename T::value_type>() + " | null";
  } else if constexpr (HasFields<T>) {
    std::string text;
    std::apply(
        [&](const auto&... item) {
          ((text += (text.empty() ? "{ " : "; ") + field_signature(item)), ...);
        },
        T::webshocket_fields());
    return text + " }";
  } else if constexpr (HasWriteMember<T> || HasWriteFunction<T> || HasReadFunction<T>) {
    return "any";
  } else if constexpr (MapLike<T>) {
    return "Record<string, " + signature<typename T::mapped_type>() + ">";
  } else if constexpr (ArrayLike<T>) {
    const std::string element = signature<std::ranges::range_value_t<const T>>();
    return (element.find(' ') == std::string::npos ? element : "(" + element + ")") + "[]";
  } else if constexpr (is_tuple<T>) {
    return tuple_signature<T>(std::make_index_sequence<std::tuple_size_v<T>>{});
  } else {
    return "any";
  }
}

}  // namespace webshocket::detail

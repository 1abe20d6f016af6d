/// The arguments of an outgoing call.
#pragma once

#include <cstddef>
#include <ranges>
#include <string_view>
#include <tuple>
#include <type_traits>

#include <webshocket/payload.hpp>

namespace webshocket {

namespace detail {

/// What `kwargs(…)` makes of names and values (`Map` is their `MapOf`) or of a map (a reference to
/// it). No Payload: a call alone knows what to do with it.
template <class Map>
class KeywordsOf {
 public:
  explicit KeywordsOf(const Map& map) noexcept : map_(map) {}
  void write_map(Sink& sink) const { detail::write(sink, map_); }

 private:
  Map map_;
};

/// What `spread(list)` makes.
template <class List>
class SpreadOf {
 public:
  explicit SpreadOf(const List& list) noexcept : list_(list) {}
  std::size_t size() const { return static_cast<std::size_t>(std::ranges::size(list_)); }
  void write_elements(Sink& sink) const {
    // By value type: std::vector<bool> hands out proxies.
    for (auto&& element : list_) {
      detail::write(sink, static_cast<const std::ranges::range_value_t<const List>&>(element));
    }
  }

 private:
  const List& list_;
};

template <class T>
inline constexpr bool is_keywords = false;
template <class Map>
inline constexpr bool is_keywords<KeywordsOf<Map>> = true;

template <class T>
inline constexpr bool is_spread = false;
template <class List>
inline constexpr bool is_spread<SpreadOf<List>> = true;

template <class T>
concept CallArgument = Writable<T> || is_keywords<T> || is_spread<T>;

struct Request {
  std::string_view method;
  Payload args;    ///< an array
  Payload kwargs;  ///< a map
};

/// The arguments of one call, borrowed until the end of the full expression.
template <class... A>
class CallArguments {
  static constexpr std::size_t kKeywords = (std::size_t{0} + ... + (is_keywords<A> ? 1 : 0));
  static_assert(kKeywords <= 1, "webshocket: one kwargs(…) per call");

 public:
  explicit CallArguments(const A&... arguments) noexcept : arguments_(arguments...) {}
  CallArguments(const CallArguments&) = delete;
  CallArguments& operator=(const CallArguments&) = delete;

  Request request(std::string_view method) const noexcept {
    return {method, positional_, keywords_};
  }

 private:
  struct Positional {
    const CallArguments& all;
    void write(Sink& sink) const {
      std::apply(
          [&sink](const auto&... argument) {
            sink.begin_array((std::size_t{0} + ... + count_of(argument)));
            (write_one(sink, argument), ...);
            sink.end_array();
          },
          all.arguments_);
    }
    template <class T>
    static std::size_t count_of(const T& argument) {
      if constexpr (is_spread<T>) return argument.size();
      return is_keywords<T> ? 0 : 1;
    }
    template <class T>
    static void write_one(Sink& sink, const T& argument) {
      if constexpr (is_spread<T>) {
        argument.write_elements(sink);
      } else if constexpr (!is_keywords<T>) {
        detail::write(sink, argument);
      }
    }
  };
  struct Keywords {
    const CallArguments& all;
    void write(Sink& sink) const {
      if constexpr (kKeywords == 0) {
        sink.begin_map(0);
        sink.end_map();
      } else {
        std::apply([&sink](const auto&... argument) { (write_one(sink, argument), ...); },
                   all.arguments_);
      }
    }
    template <class T>
    static void write_one(Sink& sink, const T& argument) {
      if constexpr (is_keywords<T>) argument.write_map(sink);
    }
  };

  std::tuple<const A&...> arguments_;
  Positional positional_{*this};
  Keywords keywords_{*this};
};

}  // namespace detail

/// Keyword arguments of a call: `client.call<int>("add", kwargs("a", 2, "b", 3))`. Names and values
/// alternate and are borrowed until the end of the full expression.
template <class... T>
requires(sizeof...(T) % 2 == 0) auto kwargs(const T&... items) noexcept {
  return detail::KeywordsOf<detail::MapOf<T...>>(detail::MapOf<T...>(items...));
}

/// The same of a map from names to values, which is borrowed as long.
template <class Map>
requires(detail::MapLike<Map>&& detail::StringLike<typename Map::key_type>&&
             Writable<Map>) auto kwargs(const Map& map) noexcept {
  return detail::KeywordsOf<const Map&>(map);
}

/// A list's elements as so many positional arguments, for who does not know their number before:
/// `client.call<int>("sum", spread(numbers))`. It is borrowed until the end of the full expression.
template <class List>
requires(detail::ArrayLike<List> && !detail::StringLike<List> &&
         Writable<std::ranges::range_value_t<const List>>) auto spread(const List& list) noexcept {
  return detail::SpreadOf<List>(list);
}

}  // namespace webshocket

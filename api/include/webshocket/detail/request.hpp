/// The arguments of an outgoing call.
#pragma once

#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include <webshocket/payload.hpp>

namespace webshocket {

namespace detail {

/// What `kwargs("a", 1)` makes. No Payload: a call alone knows what to do with it.
template <class... T>
class KeywordsOf {
 public:
  explicit KeywordsOf(const T&... items) noexcept : map_(items...) {}
  const MapOf<T...>& as_map() const noexcept { return map_; }

 private:
  MapOf<T...> map_;
};

template <class T>
inline constexpr bool is_keywords = false;
template <class... T>
inline constexpr bool is_keywords<KeywordsOf<T...>> = true;

template <class T>
concept CallArgument = Writable<T> || is_keywords<T>;

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
      sink.begin_array(sizeof...(A) - kKeywords);
      std::apply([&sink](const auto&... argument) { (write_one(sink, argument), ...); },
                 all.arguments_);
      sink.end_array();
    }
    template <class T>
    static void write_one(Sink& sink, const T& argument) {
      if constexpr (!is_keywords<T>) detail::write(sink, argument);
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
      if constexpr (is_keywords<T>) argument.as_map().write(sink);
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
requires(sizeof...(T) % 2 == 0) detail::KeywordsOf<T...> kwargs(const T&... items)
noexcept { return detail::KeywordsOf<T...>(items...); }

}  // namespace webshocket

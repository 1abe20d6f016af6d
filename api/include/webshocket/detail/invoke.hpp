/// From a request's arguments to a C++ call.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <webshocket/detail/coroutine.hpp>
#include <webshocket/detail/signature.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/value.hpp>

namespace webshocket {
class Connection;
class Handler;
}  // namespace webshocket

namespace webshocket::detail {

/// A parameter's name and, possibly, its default.
struct ParamSpec {
  std::string name;
  std::shared_ptr<const Document> fallback;
};

/// Hands out a request's arguments in the order of the parameters. Every complaint is the text of
/// an `invalid_params` error, in the words that Python uses.
class Arguments {
 public:
  Arguments(const RpcRequest& request, std::span<const ParamSpec> specs, std::size_t parameters,
            bool takes_values, bool takes_keywords);

  /// The value for parameter `index`; nullptr, and `optional` decides, when there is none.
  const Value* next(std::size_t index);
  void missing(std::size_t index);
  void mismatch(std::size_t index, const std::string& wanted, const Value& got);
  std::span<const Value> rest() const noexcept;
  /// The keywords that name no parameter.
  std::vector<Value::Member> keywords() const;

  bool failed() const noexcept { return !complaint_.empty(); }
  const std::string& complaint() const noexcept { return complaint_; }

 private:
  const RpcRequest& request_;
  std::span<const ParamSpec> specs_;
  std::size_t parameters_;
  std::string complaint_;
};

struct Invocation {
  Handler& handler;
  Connection& connection;
  const RpcRequest& request;
  std::span<const ParamSpec> params;
  ResultSink& result;
  std::string complaint;  ///< set, and nothing called, when the arguments do not fit
};

struct ParameterType {
  std::string type;
  bool optional = false;
};

/// An RPC method's callable with its types forgotten.
class Invoker {
 public:
  virtual ~Invoker() = default;
  /// Binds the arguments and calls. The result goes to `invocation.result`, unless the method
  /// returned a coroutine. Throws what the method throws.
  virtual std::unique_ptr<Coroutine> invoke(Invocation& invocation) const = 0;
  virtual std::vector<ParameterType> parameter_types() const = 0;
  virtual std::string result_type() const = 0;
  virtual bool is_stream() const noexcept = 0;
  virtual bool takes_values() const noexcept = 0;
  virtual bool takes_keywords() const noexcept = 0;
};

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<Task<T>> = true;
template <class T>
inline constexpr bool is_stream_type = false;
template <class T>
inline constexpr bool is_stream_type<Stream<T>> = true;

template <class T>
struct ResultOf {
  using type = T;
};
template <class T>
struct ResultOf<Task<T>> {
  using type = T;
};
template <class T>
struct ResultOf<Stream<T>> {
  using type = T;
};

/// Result and parameters of anything callable.
template <class F>
struct Signature : Signature<decltype(&F::operator())> {};
template <class R, class... A>
struct Signature<R (*)(A...)> {
  using Result = R;
  using Args = std::tuple<A...>;
  using Class = void;
};
template <class R, class... A>
struct Signature<R (*)(A...) noexcept> : Signature<R (*)(A...)> {};
template <class R, class C, class... A>
struct Signature<R (C::*)(A...)> : Signature<R (*)(A...)> {
  using Class = C;
};
template <class R, class C, class... A>
struct Signature<R (C::*)(A...) const> : Signature<R (C::*)(A...)> {};
template <class R, class C, class... A>
struct Signature<R (C::*)(A...) noexcept> : Signature<R (C::*)(A...)> {};
template <class R, class C, class... A>
struct Signature<R (C::*)(A...) const noexcept> : Signature<R (C::*)(A...)> {};

template <class Tuple>
struct WithoutConnection {
  static constexpr bool kTakesConnection = false;
  using Rest = Tuple;
};
template <class... A>
struct WithoutConnection<std::tuple<Connection&, A...>> {
  static constexpr bool kTakesConnection = true;
  using Rest = std::tuple<A...>;
};

template <class A>
inline constexpr bool is_special = std::same_as<std::remove_cvref_t<A>, Values> ||
                                   std::same_as<std::remove_cvref_t<A>, KeywordValues>;

/// 0: a plain one, which stands before `Values`, which stands before `KeywordValues`.
template <class A>
inline constexpr int kParameterRank = std::same_as<std::remove_cvref_t<A>, Values>          ? 1
                                      : std::same_as<std::remove_cvref_t<A>, KeywordValues> ? 2
                                                                                            : 0;

template <class... A>
constexpr bool parameters_in_order() {
  int last = 0;
  bool in_order = true;
  [[maybe_unused]] const auto check = [&](int rank) {  // with no parameters
    in_order = in_order && (rank > last || (rank == 0 && last == 0));
    last = rank;
  };
  (check(kParameterRank<A>), ...);
  return in_order;
}

template <class Tuple>
struct Parameters;
template <class... A>
struct Parameters<std::tuple<A...>> {
  using Stored = std::tuple<std::remove_cvref_t<A>...>;
  static constexpr std::size_t kPlain = (0 + ... + (is_special<A> ? 0 : 1));
  static constexpr bool kValues = (std::same_as<std::remove_cvref_t<A>, Values> || ...);
  static constexpr bool kKeywords = (std::same_as<std::remove_cvref_t<A>, KeywordValues> || ...);
  static constexpr bool kInOrder = parameters_in_order<A...>();
  static constexpr bool kReadable =
      ((is_special<A> || is_readable<std::remove_cvref_t<A>>()) && ...);
  /// What a coroutine may take: values that own what they show.
  static constexpr bool kOwning =
      ((!std::is_reference_v<A> && !is_view<std::remove_cvref_t<A>>)&&...);
  static constexpr bool kNoOutParameters =
      ((!std::is_lvalue_reference_v<A> || std::is_const_v<std::remove_reference_t<A>>)&&...);

  static std::vector<ParameterType> types() {
    std::vector<ParameterType> list;
    (add<std::remove_cvref_t<A>>(list), ...);
    return list;
  }

 private:
  template <class T>
  static void add(std::vector<ParameterType>& list) {
    if constexpr (!is_special<T>) list.push_back({signature<T>(), is_optional<T>});
  }
};

template <class T>
void take_argument(Arguments& arguments, std::size_t index, T& to) {
  if (arguments.failed()) return;
  if constexpr (std::same_as<T, Values>) {
    to = Values(arguments.rest());
  } else if constexpr (std::same_as<T, KeywordValues>) {
    to = KeywordValues(arguments.keywords());
  } else {
    const Value* value = arguments.next(index);
    if (arguments.failed()) return;
    if (value == nullptr) {
      if constexpr (!is_optional<T>) arguments.missing(index);
    } else if (!read_value(*value, to)) {
      arguments.mismatch(index, type_name<T>(), *value);
    }
  }
}

template <class Tuple, std::size_t... I>
void take_arguments(Arguments& arguments, Tuple& to, std::index_sequence<I...>) {
  (take_argument(arguments, I, std::get<I>(to)), ...);
}

template <class F>
class InvokerOf final : public Invoker {
  using Sig = Signature<F>;
  using Split = WithoutConnection<typename Sig::Args>;
  using Params = Parameters<typename Split::Rest>;
  using Stored = typename Params::Stored;
  using Returned = typename Sig::Result;
  using Result = typename ResultOf<Returned>::type;
  static constexpr bool kCoroutine = is_task<Returned> || is_stream_type<Returned>;

  static_assert(
      Params::kReadable,
      "webshocket: a parameter of this RPC method cannot be read from a message; give its "
      "type WEBSHOCKET_FIELDS(Type, field…)");
  static_assert(
      !kCoroutine || Params::kOwning,
      "webshocket: a coroutine RPC method takes owning types by value (std::string, not "
      "std::string_view or const std::string&): the message is gone when it resumes; only "
      "Connection& may be a reference");
  static_assert(Params::kInOrder,
                "webshocket: Values (*args) and KeywordValues (**kwargs) are the last parameters "
                "of an RPC method, in this order");
  static_assert(Params::kNoOutParameters,
                "webshocket: an RPC method takes its arguments by value or const reference; "
                "Connection& stands first");
  static_assert(std::is_void_v<Result> || Writable<Result>,
                "webshocket: the result of this RPC method cannot be sent; give its type "
                "WEBSHOCKET_FIELDS(Type, field…)");

 public:
  explicit InvokerOf(F function) : function_(std::move(function)) {}

  std::unique_ptr<Coroutine> invoke(Invocation& invocation) const override {
    Stored stored{};
    Arguments arguments(invocation.request, invocation.params, Params::kPlain, Params::kValues,
                        Params::kKeywords);
    take_arguments(arguments, stored, std::make_index_sequence<std::tuple_size_v<Stored>>{});
    if (arguments.failed()) {
      invocation.complaint = arguments.complaint();
      return nullptr;
    }
    return std::apply(
        [&](auto&... argument) -> std::unique_ptr<Coroutine> {
          if constexpr (is_task<Returned>) {
            return std::make_unique<TaskCoroutine<Result>>(
                call(invocation, std::move(argument)...));
          } else if constexpr (is_stream_type<Returned>) {
            return std::make_unique<StreamCoroutine<Result>>(
                call(invocation, std::move(argument)...));
          } else if constexpr (std::is_void_v<Returned>) {
            call(invocation, std::move(argument)...);
            invocation.result.value(nullptr);
            return nullptr;
          } else {
            const Returned& value = call(invocation, std::move(argument)...);
            invocation.result.value(value);
            return nullptr;
          }
        },
        stored);
  }

  std::vector<ParameterType> parameter_types() const override { return Params::types(); }
  std::string result_type() const override { return signature<Result>(); }
  bool is_stream() const noexcept override { return is_stream_type<Returned>; }
  bool takes_values() const noexcept override { return Params::kValues; }
  bool takes_keywords() const noexcept override { return Params::kKeywords; }

 private:
  template <class... Argument>
  Returned call(Invocation& invocation, Argument&&... argument) const {
    if constexpr (std::is_member_function_pointer_v<F>) {
      auto& object = static_cast<typename Sig::Class&>(invocation.handler);
      if constexpr (Split::kTakesConnection) {
        return (object.*function_)(invocation.connection, std::forward<Argument>(argument)...);
      } else {
        return (object.*function_)(std::forward<Argument>(argument)...);
      }
    } else if constexpr (Split::kTakesConnection) {
      return function_(invocation.connection, std::forward<Argument>(argument)...);
    } else {
      return function_(std::forward<Argument>(argument)...);
    }
  }

  mutable F function_;  // one shard's thread only: a mutable lambda may count
};

}  // namespace webshocket::detail

/// Methods that clients call.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <webshocket/detail/invoke.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/predicate.hpp>
#include <webshocket/value.hpp>

namespace webshocket {

/// A parameter's name, with a default or without: `"a"`, `{"b", 5}`.
class Param {
 public:
  Param() noexcept = default;
  Param(const char* name) : spec_{name, nullptr} {}  // NOLINT(google-explicit-constructor)
  Param(std::string name) : spec_{std::move(name), nullptr} {}
  Param(std::string name, Payload fallback)
      : spec_{std::move(name), std::make_shared<const Document>(Document::of(fallback))} {}

  const detail::ParamSpec& spec() const noexcept { return spec_; }

 private:
  detail::ParamSpec spec_;
};

/// At most `limit` calls in each window of `period`, per connection and method. The window opens
/// with the first call, on the monotonic clock.
struct RateLimit {
  std::uint32_t limit = 0;
  std::chrono::nanoseconds period{};
  bool disconnect = false;
};

struct RateLimitOptions {
  bool disconnect = false;  ///< close with 1013 after the refusal
};

/// "10s", "1m", "1h", "2d"; throws `UsageError` that names a bad one.
std::chrono::nanoseconds parse_period(std::string_view text);

/// A method and its rules. Checked in this order: predicate, rate limit, arguments; each refusal is
/// one reply. Belongs to one shard once it is registered.
class RpcMethod {
 public:
  /// From a function, a lambda, or a member function of a handler. `Connection&` may stand first;
  /// the other parameters are `Readable`. Returns a `Writable`, void (null to the client),
  /// `Task<T>` or `Stream<T>`. A coroutine takes owning types by value.
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, RpcMethod>) explicit RpcMethod(F function)
      : invoker_(std::make_unique<detail::InvokerOf<F>>(std::move(function))) {}
  RpcMethod(RpcMethod&&) noexcept = default;
  RpcMethod& operator=(RpcMethod&&) noexcept = default;

  /// The parameters' names, in order: they make keyword arguments possible, and defaults
  /// (`params("a", {"b", 5})`). A `std::optional` parameter has the default nothing. Throws
  /// `UsageError` if there are more names than parameters.
  RpcMethod& params(Param p1, Param p2 = {}, Param p3 = {}, Param p4 = {}, Param p5 = {},
                    Param p6 = {}, Param p7 = {}, Param p8 = {}, Param p9 = {}, Param p10 = {},
                    Param p11 = {}, Param p12 = {});

  /// Only for connections that the predicate admits; others get `access_denied`.
  RpcMethod& require(Predicate predicate);

  /// Throws `UsageError` for a limit of 0 or a period that is not positive.
  RpcMethod& rate_limit(std::uint32_t limit, std::chrono::nanoseconds period,
                        RateLimitOptions options = {});
  RpcMethod& rate_limit(std::uint32_t limit, std::string_view period = "1s",
                        RateLimitOptions options = {});

  /// A line for people, shown by `Server::describe()`.
  RpcMethod& doc(std::string text);

  const std::string& name() const noexcept { return name_; }
  const std::string& doc() const noexcept { return doc_; }
  const Predicate& predicate() const noexcept { return predicate_; }
  const std::optional<RateLimit>& rate_limit() const noexcept { return rate_limit_; }
  std::span<const detail::ParamSpec> params() const noexcept { return params_; }
  const detail::Invoker& invoker() const noexcept { return *invoker_; }
  const detail::Label& label() const noexcept { return *label_; }

 private:
  friend class Handler;

  std::string name_;
  const detail::Label* label_ = nullptr;  ///< since it has a name
  std::string doc_;
  std::vector<detail::ParamSpec> params_;
  Predicate predicate_;
  std::optional<RateLimit> rate_limit_;
  std::unique_ptr<const detail::Invoker> invoker_;
};

/// A call, as `before_rpc` and `after_rpc` see it.
struct RpcCall {
  Connection& connection;
  const RpcMethod& method;
  std::string_view call_id;
  std::span<const Value> args;  ///< empty in `after_rpc` of a coroutine: the message is gone
  std::span<const Value::Member> kwargs;  ///< the same
};

/// How a call ended.
struct RpcOutcome {
  std::optional<RpcErrorCode> error;  ///< nothing: a result
  std::chrono::nanoseconds duration{};
  bool cancelled = false;  ///< the client left or aborted: no reply was sent
};

/// What `before_rpc` says.
class [[nodiscard]] RpcDecision {
 public:
  static RpcDecision proceed() noexcept { return {}; }
  static RpcDecision reject(std::string text, RpcErrorCode code = RpcErrorCode::access_denied) {
    RpcDecision decision;
    decision.code_ = code;
    decision.text_ = std::move(text);
    return decision;
  }

  bool proceeds() const noexcept { return !code_.has_value(); }
  RpcErrorCode code() const noexcept { return *code_; }
  const std::string& text() const noexcept { return text_; }

 private:
  std::optional<RpcErrorCode> code_;
  std::string text_;
};

}  // namespace webshocket

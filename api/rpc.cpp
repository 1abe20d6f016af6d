#include <webshocket/rpc.hpp>

#include <algorithm>
#include <charconv>
#include <limits>

#include <webshocket/error.hpp>

namespace webshocket {
namespace {

void check_name(std::span<const detail::ParamSpec> before, const detail::ParamSpec& spec) {
  if (spec.name.empty()) {
    throw UsageError("RpcMethod::params: name " + std::to_string(before.size() + 1) + " is empty");
  }
  if (std::ranges::find(before, spec.name, &detail::ParamSpec::name) != before.end()) {
    throw UsageError("RpcMethod::params: the name '" + spec.name + "' stands twice");
  }
}

std::chrono::nanoseconds duration_of(char unit) noexcept {
  switch (unit) {
    case 's':
      return std::chrono::seconds(1);
    case 'm':
      return std::chrono::minutes(1);
    case 'h':
      return std::chrono::hours(1);
    case 'd':
      return std::chrono::days(1);
    default:
      return std::chrono::nanoseconds(0);
  }
}

}  // namespace

std::chrono::nanoseconds parse_period(std::string_view text) {
  std::int64_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  const bool one_unit = text.data() + text.size() - end == 1;
  const auto unit = one_unit ? duration_of(*end) : std::chrono::nanoseconds(0);
  if (error != std::errc() || unit.count() == 0 || count <= 0 ||
      count > std::numeric_limits<std::int64_t>::max() / unit.count()) {
    throw UsageError("bad period \"" + std::string(text) +
                     "\": write a number and a unit, \"10s\", \"1m\", \"1h\" or \"2d\"");
  }
  return count * unit;
}

RpcMethod& RpcMethod::params(Param p1, Param p2, Param p3, Param p4, Param p5, Param p6, Param p7,
                             Param p8, Param p9, Param p10, Param p11, Param p12) {
  const Param* const given[] = {&p1, &p2, &p3, &p4, &p5, &p6, &p7, &p8, &p9, &p10, &p11, &p12};
  std::size_t count = std::size(given);
  while (count != 0 && given[count - 1]->spec().name.empty()) --count;

  const std::size_t wanted = invoker_->parameter_types().size();
  if (count > wanted) {
    throw UsageError("RpcMethod::params: " + std::to_string(count) + " names for " +
                     std::to_string(wanted) + " parameters");
  }
  std::vector<detail::ParamSpec> specs;
  for (std::size_t i = 0; i < count; ++i) {
    check_name(specs, given[i]->spec());
    specs.push_back(given[i]->spec());
  }
  params_ = std::move(specs);
  return *this;
}

RpcMethod& RpcMethod::require(Predicate predicate) {
  predicate_ = std::move(predicate);
  return *this;
}

RpcMethod& RpcMethod::rate_limit(std::uint32_t limit, std::chrono::nanoseconds period,
                                 RateLimitOptions options) {
  if (limit == 0) throw UsageError("RpcMethod::rate_limit: limit is 0, it must be at least 1");
  if (period.count() <= 0) {
    throw UsageError("RpcMethod::rate_limit: period is " + std::to_string(period.count()) +
                     " ns, it must be positive");
  }
  rate_limit_ = RateLimit{limit, period, options.disconnect};
  return *this;
}

RpcMethod& RpcMethod::rate_limit(std::uint32_t limit, std::string_view period,
                                 RateLimitOptions options) {
  return rate_limit(limit, parse_period(period), options);
}

RpcMethod& RpcMethod::doc(std::string text) {
  doc_ = std::move(text);
  return *this;
}

namespace detail {
namespace {

std::string spelled(std::span<const ParamSpec> specs, std::size_t index) {
  return index < specs.size() ? "'" + specs[index].name + "'"
                              : "argument " + std::to_string(index + 1);
}

const Value* find_keyword(const RpcRequest& request, std::string_view name) noexcept {
  for (const auto& [key, value] : request.kwargs) {
    if (key.is_string() && key.string() == name) return &value;
  }
  return nullptr;
}

bool names_parameter(std::span<const ParamSpec> specs, const Value& key) noexcept {
  return key.is_string() && std::ranges::any_of(specs, [&](const ParamSpec& spec) {
           return spec.name == key.string();
         });
}

}  // namespace

Arguments::Arguments(const RpcRequest& request, std::span<const ParamSpec> specs,
                     std::size_t parameters, bool takes_values, bool takes_keywords)
    : request_(request), specs_(specs), parameters_(parameters) {
  const std::size_t positional = std::min(request.args.size(), specs.size());
  for (std::size_t i = 0; i < positional; ++i) {
    if (find_keyword(request, specs[i].name) != nullptr) {
      complaint_ = "multiple values for argument '" + specs[i].name + "'";
      return;
    }
  }
  if (!takes_values && request.args.size() > parameters) {
    complaint_ = "too many positional arguments";
    return;
  }
  if (takes_keywords) return;
  for (const auto& [key, value] : request.kwargs) {
    if (names_parameter(specs, key)) continue;
    complaint_ = "got an unexpected keyword argument " +
                 (key.is_string() ? "'" + std::string(key.string()) + "'" : to_string(key));
    return;
  }
}

const Value* Arguments::next(std::size_t index) {
  if (index < request_.args.size()) return &request_.args[index];
  if (index >= specs_.size()) return nullptr;
  const ParamSpec& spec = specs_[index];
  if (const Value* value = find_keyword(request_, spec.name)) return value;
  return spec.fallback == nullptr ? nullptr : &spec.fallback->root();
}

void Arguments::missing(std::size_t index) {
  complaint_ = "missing a required argument: " + spelled(specs_, index);
}

void Arguments::mismatch(std::size_t index, const std::string& wanted, const Value& got) {
  complaint_ = (index < specs_.size() ? "argument " : "") + spelled(specs_, index) + ": expected " +
               wanted + ", got " + std::string(to_string(got.type()));
}

std::span<const Value> Arguments::rest() const noexcept {
  return request_.args.subspan(std::min(parameters_, request_.args.size()));
}

std::vector<Value::Member> Arguments::keywords() const {
  std::vector<Value::Member> unnamed;
  for (const Value::Member& member : request_.kwargs) {
    if (!names_parameter(specs_, member.key)) unnamed.push_back(member);
  }
  return unnamed;
}

}  // namespace detail
}  // namespace webshocket

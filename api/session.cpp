#include <webshocket/session.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include <webshocket/value.hpp>

namespace webshocket {
namespace {

// Exact, as in Python: 2^53 + 1 is not equal to the double 2^53.
template <class Integer>
bool equal_numbers(Integer integer, double real) noexcept {
  constexpr double kBound = static_cast<double>(std::numeric_limits<Integer>::max());  // 2^63, 2^64
  constexpr double kLowest = static_cast<double>(std::numeric_limits<Integer>::min());
  if (!(real >= kLowest && real < kBound)) return false;
  return std::trunc(real) == real && static_cast<Integer>(real) == integer;
}

struct EqualTo {
  template <class T>
  bool operator()(const T& left, const T& right) const noexcept {
    return left == right;
  }
  bool operator()(std::int64_t left, std::uint64_t right) const noexcept {
    return std::cmp_equal(left, right);
  }
  bool operator()(std::uint64_t left, std::int64_t right) const noexcept {
    return std::cmp_equal(left, right);
  }
  bool operator()(std::int64_t left, double right) const noexcept {
    return equal_numbers(left, right);
  }
  bool operator()(std::uint64_t left, double right) const noexcept {
    return equal_numbers(left, right);
  }
  bool operator()(double left, std::int64_t right) const noexcept {
    return equal_numbers(right, left);
  }
  bool operator()(double left, std::uint64_t right) const noexcept {
    return equal_numbers(right, left);
  }
  // Of different kinds: a boolean is no number here, unlike in Python.
  template <class T, class U>
  bool operator()(const T&, const U&) const noexcept {
    return false;
  }
};

struct Truth {
  bool operator()(std::monostate) const noexcept { return false; }
  bool operator()(const std::string& text) const noexcept { return !text.empty(); }
  bool operator()(const Scalar::Bytes& bytes) const noexcept { return !bytes.empty(); }
  template <class T>
  bool operator()(T number) const noexcept {
    return number != T{};
  }
};

}  // namespace

bool Scalar::truthy() const noexcept { return std::visit(Truth{}, value_); }

void Scalar::write(Sink& sink) const { detail::write(sink, value_); }

std::string Scalar::to_string() const {
  if (const auto* text = get<std::string>()) return webshocket::to_string(Value::of(*text));
  if (const auto* bytes = get<Bytes>()) return webshocket::to_string(Value::of(*bytes));
  if (const auto* number = get<double>()) return webshocket::to_string(Value::of(*number));
  if (const auto* number = get<std::int64_t>()) return std::to_string(*number);
  if (const auto* number = get<std::uint64_t>()) return std::to_string(*number);
  if (const auto* flag = get<bool>()) return *flag ? "true" : "false";
  return "null";
}

bool operator==(const Scalar& left, const Scalar& right) noexcept {
  return std::visit(EqualTo{}, left.value_, right.value_);
}

// Newest first, as members of a class go: a later state may refer to an earlier one.
Session::~Session() {
  while (!typed_.empty()) typed_.pop_back();
}

Scalar& Session::operator[](std::string_view key) {
  for (auto& [name, value] : entries_) {
    if (name == key) return value;
  }
  return entries_.emplace_back(std::string(key), Scalar()).second;
}

const Scalar* Session::find(std::string_view key) const noexcept {
  for (const auto& [name, value] : entries_) {
    if (name == key) return &value;
  }
  return nullptr;
}

bool Session::erase(std::string_view key) noexcept {
  return std::erase_if(entries_, [key](const auto& entry) { return entry.first == key; }) != 0;
}

void* Session::find_typed(detail::TypeTag type) const noexcept {
  for (const Typed& state : typed_) {
    if (state.type == type) return state.object.get();
  }
  return nullptr;
}

void Session::add_typed(detail::TypeTag type, void* object, Deleter deleter) {
  // The caller owns the object until this has returned, so nothing may throw once it is taken.
  typed_.reserve(typed_.size() + 1);
  typed_.push_back({type, std::unique_ptr<void, Deleter>(object, deleter)});
}

bool Session::erase_typed(detail::TypeTag type) noexcept {
  const auto found = std::ranges::find(typed_, type, &Typed::type);
  if (found == typed_.end()) return false;
  // Out of the list before its destructor runs, which may look at the session.
  const Typed state = std::move(*found);
  typed_.erase(found);
  return true;
}

}  // namespace webshocket

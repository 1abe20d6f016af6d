/// Who may: predicates over a connection's session state. For RPC access and for choosing
/// recipients.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <typeinfo>
#include <utility>
#include <vector>

#include <webshocket/session.hpp>
#include <webshocket/types.hpp>

namespace webshocket {

class Connection;

namespace detail {

/// One node of a predicate's tree. Immutable, so it may cross threads.
class PredicateNode {
 public:
  virtual ~PredicateNode() = default;
  virtual bool test(const Connection& connection) const = 0;
  virtual std::string to_string() const = 0;
  /// Called with a node of the same dynamic type only.
  virtual bool equals(const PredicateNode& other) const = 0;
};

const void* find_state(const Connection& connection, TypeTag type) noexcept;
std::string readable_type(const char* mangled);

}  // namespace detail

/// An immutable value: copy it, keep it, use it on any thread. It is evaluated on the recipient's
/// (or caller's) shard, over that connection's session. The default admits everybody. One that
/// throws counts as false.
class Predicate {
 public:
  Predicate() noexcept = default;
  explicit Predicate(std::shared_ptr<const detail::PredicateNode> node) noexcept
      : node_(std::move(node)) {}

  /// Whether it is the default, which admits everybody.
  bool empty() const noexcept { return node_ == nullptr; }

  /// On the connection's shard. Never throws: an exception inside counts as false.
  bool operator()(const Connection& connection) const noexcept;

  /// As one would write it: `All(Has("name"), IsEqual("team", "red"))`.
  std::string to_string() const;

  /// Structural. Two `where` predicates are equal if function and values are.
  friend bool operator==(const Predicate& left, const Predicate& right);

  const std::shared_ptr<const detail::PredicateNode>& node() const noexcept { return node_; }

 private:
  std::shared_ptr<const detail::PredicateNode> node_;
};

/// The session has the key, whatever its value.
Predicate Has(std::string key);  // NOLINT(readability-identifier-naming): the mission's name
/// The value under the key is true as Python has it (null, false, 0, 0.0, empty are false).
Predicate Is(std::string key);  // NOLINT(readability-identifier-naming)
/// The value under the key equals; numbers by value. A missing key is equal to nothing.
Predicate IsEqual(std::string key, Scalar value);  // NOLINT(readability-identifier-naming)
/// Not one of these connections.
Predicate Except(const Connection& connection);  // NOLINT(readability-identifier-naming)
Predicate Except(std::vector<Uid> uids);         // NOLINT(readability-identifier-naming)

namespace detail {
Predicate all_of(std::vector<Predicate> parts);
Predicate any_of(std::vector<Predicate> parts);
}  // namespace detail

/// Every one of them; true for none.
template <std::convertible_to<Predicate>... P>
Predicate All(P&&... parts) {  // NOLINT(readability-identifier-naming)
  return detail::all_of({Predicate(std::forward<P>(parts))...});
}
/// At least one of them; false for none.
template <std::convertible_to<Predicate>... P>
Predicate Any(P&&... parts) {  // NOLINT(readability-identifier-naming)
  return detail::any_of({Predicate(std::forward<P>(parts))...});
}

namespace detail {

template <class T>
class HasType final : public PredicateNode {
 public:
  bool test(const Connection& connection) const override {
    return find_state(connection, type_tag<T>()) != nullptr;
  }
  std::string to_string() const override {
    return "Has<" + readable_type(typeid(T).name()) + ">()";
  }
  bool equals(const PredicateNode&) const override { return true; }
};

template <class T, class Member>
class IsMember final : public PredicateNode {
 public:
  explicit IsMember(Member T::*member) : member_(member) {}
  bool test(const Connection& connection) const override {
    const auto* state = static_cast<const T*>(find_state(connection, type_tag<T>()));
    return state != nullptr && Scalar(state->*member_).truthy();
  }
  std::string to_string() const override {
    return "Is(&" + readable_type(typeid(T).name()) + "::…)";
  }
  bool equals(const PredicateNode& other) const override {
    return member_ == static_cast<const IsMember&>(other).member_;
  }

 private:
  Member T::*member_;
};

template <class T, class Member>
class IsMemberEqual final : public PredicateNode {
 public:
  IsMemberEqual(Member T::*member, Member value) : member_(member), value_(std::move(value)) {}
  bool test(const Connection& connection) const override {
    const auto* state = static_cast<const T*>(find_state(connection, type_tag<T>()));
    return state != nullptr && state->*member_ == value_;
  }
  std::string to_string() const override {
    std::string text = "IsEqual(&" + readable_type(typeid(T).name()) + "::…, ";
    if constexpr (std::constructible_from<Scalar, const Member&>) {
      text += Scalar(value_).to_string();
    } else {
      text += "…";
    }
    return text + ")";
  }
  bool equals(const PredicateNode& other) const override {
    const auto& twin = static_cast<const IsMemberEqual&>(other);
    return member_ == twin.member_ && value_ == twin.value_;
  }

 private:
  Member T::*member_;
  Member value_;
};

template <class F, class... Values>
class Where final : public PredicateNode {
 public:
  explicit Where(Values... values) : values_(std::move(values)...) {}
  bool test(const Connection& connection) const override {
    return std::apply([&](const Values&... value) { return F{}(connection, value...); }, values_);
  }
  std::string to_string() const override { return "where(…)"; }
  bool equals(const PredicateNode& other) const override {
    if constexpr ((std::equality_comparable<Values> && ...)) {
      return values_ == static_cast<const Where&>(other).values_;
    } else {
      return this == &other;
    }
  }

 private:
  std::tuple<Values...> values_;
};

}  // namespace detail

/// The connection has a session of type `T`: `Has<Member>()`.
template <class T>
Predicate Has() {  // NOLINT(readability-identifier-naming)
  return Predicate(std::make_shared<const detail::HasType<T>>());
}
/// A member of the typed session is true: `Is(&Member::admin)`. False without such a session.
template <class T, class Member>
Predicate Is(Member T::*member) {  // NOLINT(readability-identifier-naming)
  return Predicate(std::make_shared<const detail::IsMember<T, Member>>(member));
}
/// A member of the typed session equals: `IsEqual(&Member::team, "red")`.
template <class T, class Member, std::convertible_to<Member> V>
Predicate IsEqual(Member T::*member, V&& value) {  // NOLINT(readability-identifier-naming)
  return Predicate(std::make_shared<const detail::IsMemberEqual<T, Member>>(
      member, Member(std::forward<V>(value))));
}

/// Any rule: a captureless callable `bool(const Connection&, const Values&…)` and copied values. It
/// runs later and on other threads, so a capture does not compile: pass what it needs as a value.
template <class F, class... Values>
Predicate where(F, Values&&... values) {
  static_assert(
      std::is_empty_v<F> && std::is_default_constructible_v<F>,
      "webshocket: where() takes a callable without captures, for it runs on other threads; "
      "pass what it needs as further arguments: where(fn, value…)");
  static_assert(std::is_invocable_r_v<bool, F, const Connection&, const std::decay_t<Values>&...>,
                "webshocket: where(fn, values…) calls bool fn(const Connection&, const Values&…)");
  return Predicate(std::make_shared<const detail::Where<F, std::decay_t<Values>...>>(
      std::forward<Values>(values)...));
}

}  // namespace webshocket

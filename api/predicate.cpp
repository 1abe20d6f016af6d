#include <webshocket/predicate.hpp>

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <string_view>

#include <webshocket/connection.hpp>

#include "api/dispatch.hpp"

namespace webshocket {
namespace {

using detail::PredicateNode;

std::string quoted(const std::string& key) { return Scalar(key).to_string(); }

class HasKey final : public PredicateNode {
 public:
  explicit HasKey(std::string key) : key_(std::move(key)) {}
  bool test(const Connection& connection) const override {
    return connection.find(key_) != nullptr;
  }
  std::string to_string() const override { return "Has(" + quoted(key_) + ")"; }
  bool equals(const PredicateNode& other) const override {
    return key_ == static_cast<const HasKey&>(other).key_;
  }

 private:
  std::string key_;
};

class IsKey final : public PredicateNode {
 public:
  explicit IsKey(std::string key) : key_(std::move(key)) {}
  bool test(const Connection& connection) const override {
    const Scalar* value = connection.find(key_);
    return value != nullptr && value->truthy();
  }
  std::string to_string() const override { return "Is(" + quoted(key_) + ")"; }
  bool equals(const PredicateNode& other) const override {
    return key_ == static_cast<const IsKey&>(other).key_;
  }

 private:
  std::string key_;
};

class IsKeyEqual final : public PredicateNode {
 public:
  IsKeyEqual(std::string key, Scalar value) : key_(std::move(key)), value_(std::move(value)) {}
  bool test(const Connection& connection) const override {
    const Scalar* value = connection.find(key_);
    return value != nullptr && *value == value_;
  }
  std::string to_string() const override {
    return "IsEqual(" + quoted(key_) + ", " + value_.to_string() + ")";
  }
  bool equals(const PredicateNode& other) const override {
    const auto& twin = static_cast<const IsKeyEqual&>(other);
    return key_ == twin.key_ && value_ == twin.value_;
  }

 private:
  std::string key_;
  Scalar value_;
};

// Sorted: a publish may exclude many, and is asked once per recipient.
class NoneOf final : public PredicateNode {
 public:
  explicit NoneOf(std::vector<Uid> uids) : uids_(std::move(uids)) {
    std::ranges::sort(uids_);
    uids_.erase(std::unique(uids_.begin(), uids_.end()), uids_.end());
  }
  bool test(const Connection& connection) const override {
    return !std::ranges::binary_search(uids_, connection.uid());
  }
  std::string to_string() const override {
    std::string text = "Except(";
    for (const Uid& uid : uids_) {
      if (text.back() != '(') text += ", ";
      text += uid.to_string();
    }
    return text + ")";
  }
  bool equals(const PredicateNode& other) const override {
    return uids_ == static_cast<const NoneOf&>(other).uids_;
  }

 private:
  std::vector<Uid> uids_;
};

// A part that throws is false, and the others still count: so parts are asked as predicates.
enum class Junction : bool { any, all };

template <Junction kJunction>
class Combined final : public PredicateNode {
 public:
  explicit Combined(std::vector<Predicate> parts) : parts_(std::move(parts)) {}
  bool test(const Connection& connection) const override {
    const auto admits = [&](const Predicate& part) { return part(connection); };
    if constexpr (kJunction == Junction::all) {
      return std::ranges::all_of(parts_, admits);
    } else {
      return std::ranges::any_of(parts_, admits);
    }
  }
  std::string to_string() const override {
    std::string text = kJunction == Junction::all ? "All(" : "Any(";
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      text += (i == 0 ? "" : ", ") + parts_[i].to_string();
    }
    return text + ")";
  }
  bool equals(const PredicateNode& other) const override {
    return parts_ == static_cast<const Combined&>(other).parts_;
  }

 private:
  std::vector<Predicate> parts_;
};

}  // namespace

bool Predicate::operator()(const Connection& connection) const noexcept {
  if (node_ == nullptr) return true;
  try {
    return node_->test(connection);
  } catch (...) {
    detail::predicate_failed(connection, *this, std::current_exception());
    return false;
  }
}

std::string Predicate::to_string() const { return node_ == nullptr ? "All()" : node_->to_string(); }

bool operator==(const Predicate& left, const Predicate& right) {
  if (left.node_ == right.node_) return true;
  if (left.node_ == nullptr || right.node_ == nullptr) return false;
  const PredicateNode& one = *left.node_;
  const PredicateNode& other = *right.node_;
  return typeid(one) == typeid(other) && one.equals(other);
}

Predicate Has(std::string key) { return Predicate(std::make_shared<HasKey>(std::move(key))); }

Predicate Is(std::string key) { return Predicate(std::make_shared<IsKey>(std::move(key))); }

Predicate IsEqual(std::string key, Scalar value) {
  return Predicate(std::make_shared<IsKeyEqual>(std::move(key), std::move(value)));
}

Predicate Except(const Connection& connection) {
  return Except(std::vector<Uid>{connection.uid()});
}

Predicate Except(std::vector<Uid> uids) {
  return Predicate(std::make_shared<NoneOf>(std::move(uids)));
}

namespace detail {

Predicate all_of(std::vector<Predicate> parts) {
  return Predicate(std::make_shared<Combined<Junction::all>>(std::move(parts)));
}

Predicate any_of(std::vector<Predicate> parts) {
  return Predicate(std::make_shared<Combined<Junction::any>>(std::move(parts)));
}

const void* find_state(const Connection& connection, TypeTag type) noexcept {
  return connection.session().find_typed(type);
}

std::string readable_type(const char* mangled) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(mangled, nullptr, nullptr, &status), &std::free);
  if (status != 0 || name == nullptr) return mangled;
  std::string text = name.get();
  // Nobody writes this part.
  constexpr std::string_view kAnonymous = "(anonymous namespace)::";
  for (auto at = text.find(kAnonymous); at != std::string::npos; at = text.find(kAnonymous)) {
    text.erase(at, kAnonymous.size());
  }
  return text;
}

}  // namespace detail
}  // namespace webshocket

/// Decoded message data: `Value` (a view) and `Document` (an owner).
#pragma once

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <webshocket/detail/arena.hpp>
#include <webshocket/error.hpp>
#include <webshocket/payload.hpp>

namespace webshocket {

namespace detail {
class DocumentBuilder;
}

/// One value of a decoded message: sixteen bytes, copied freely, owning nothing.
///
/// It points into the message that it came from and is valid until the handler that got it returns;
/// `clone()` it, or bind it to a C++ type with `as<T>()`, to keep it longer. Any thread may read it
/// while its owner lives.
class Value {
 public:
  enum class Type : std::uint8_t {
    null,
    boolean,
    integer,           ///< fits into std::int64_t
    unsigned_integer,  ///< only what does not fit into std::int64_t
    real,
    string,
    binary,
    ext,  ///< a msgpack extension: a type and bytes
    array,
    map,
  };

  struct Member;

  constexpr Value() noexcept : integer_(0) {}

  static constexpr Value of(bool value) noexcept;
  static constexpr Value of(std::int64_t value) noexcept;
  static constexpr Value of(std::uint64_t value) noexcept;
  static constexpr Value of(double value) noexcept;
  static constexpr Value of(std::string_view text) noexcept;
  // Without it, a pointer would be a bool.
  static constexpr Value of(const char* text) noexcept { return of(std::string_view(text)); }
  static constexpr Value of(std::span<const std::byte> bytes) noexcept;
  static constexpr Value of(std::int8_t ext_type, std::span<const std::byte> bytes) noexcept;
  static constexpr Value of(std::span<const Value> elements) noexcept;
  static constexpr Value of(std::span<const Member> members) noexcept;

  constexpr Type type() const noexcept { return type_; }
  constexpr bool is_null() const noexcept { return type_ == Type::null; }
  constexpr bool is_string() const noexcept { return type_ == Type::string; }
  constexpr bool is_array() const noexcept { return type_ == Type::array; }
  constexpr bool is_map() const noexcept { return type_ == Type::map; }
  constexpr bool is_number() const noexcept {
    return type_ == Type::integer || type_ == Type::unsigned_integer || type_ == Type::real;
  }

  // Without a check: the type must be the one that is asked for.
  constexpr bool boolean() const noexcept { return boolean_; }
  constexpr std::int64_t integer() const noexcept { return integer_; }
  constexpr std::uint64_t unsigned_integer() const noexcept { return unsigned_; }
  constexpr double real() const noexcept { return real_; }
  constexpr std::string_view string() const noexcept { return {text_, size_}; }
  constexpr std::span<const std::byte> bytes() const noexcept { return {bytes_, size_}; }
  constexpr std::int8_t ext_type() const noexcept { return ext_type_; }
  constexpr std::span<const Value> elements() const noexcept { return {elements_, size_}; }
  constexpr std::span<const Member> members() const noexcept;

  /// The length of a string (bytes), of binary data, of an array, of a map; 0 for all else.
  constexpr std::size_t size() const noexcept { return size_; }

  /// The element, or null when this is no array or is too short.
  Value operator[](std::size_t index) const noexcept;
  /// The member, or null when this is no map or has none of that name.
  Value operator[](std::string_view key) const noexcept;
  /// The member, or nullptr when this is no map or has none of that name.
  const Value* find(std::string_view key) const noexcept;

  /// As a C++ object, or nothing if it is not of that type. See `Readable` for the types.
  template <class T>
  std::optional<T> get() const;

  /// As a C++ object. Throws `PacketValidationError` that names what was wanted and what was there.
  template <class T>
  T as() const;

  /// Tells itself to a sink: a Value can be sent. An array or a map that leaves in the format that
  /// it came in is not written again, but copied.
  void write(Sink& sink) const;

  /// Equal in type and content; numbers by value across integer and real, maps in any order.
  friend bool operator==(const Value& left, const Value& right) noexcept;

 private:
  friend class detail::DocumentBuilder;

  /// What an array or a map came in: lies in front of its parts if `has_origin_`.
  struct Origin {
    const std::byte* data;
    std::uint32_t size;
    std::uint16_t height;
    Format format;
  };
  const Origin& origin() const noexcept { return static_cast<const Origin*>(parts())[-1]; }
  const void* parts() const noexcept {
    return type_ == Type::map ? static_cast<const void*>(members_) : elements_;
  }

  union {
    bool boolean_;
    std::int64_t integer_;
    std::uint64_t unsigned_;
    double real_;
    const char* text_;
    const std::byte* bytes_;
    const Value* elements_;
    const Member* members_;
  };
  std::uint32_t size_ = 0;
  Type type_ = Type::null;
  std::int8_t ext_type_ = 0;
  bool has_origin_ = false;
};

/// A key (any scalar) and its value.
struct Value::Member {
  Value key;
  Value value;
};

static_assert(sizeof(Value) == 16);

/// "null", "boolean", "integer", … for messages to people.
std::string_view to_string(Value::Type type) noexcept;

/// For logs and test failures: JSON-like, bytes as `bin(3)`.
std::string to_string(const Value& value);
std::ostream& operator<<(std::ostream& out, const Value& value);

/// Owns a value tree. Movable; the tree does not move with it, so views into it stay valid.
/// Belongs to one thread at a time.
class Document {
 public:
  Document() noexcept = default;
  Document(Document&& other) noexcept;
  Document& operator=(Document&& other) noexcept;

  /// A deep copy of anything that can be sent: `Document::of(map("a", 1))`, `Document::of(value)`.
  /// Of members with equal keys the last one stays. Throws `PacketError` for a `webshocket_write`
  /// that does not make one value.
  static Document of(Payload payload);

  const Value& root() const noexcept { return root_; }
  const Value& operator*() const noexcept { return root_; }
  const Value* operator->() const noexcept { return &root_; }

  /// Tells itself to a sink: a Document can be sent.
  void write(Sink& sink) const { root_.write(sink); }

  /// For decoders: where the tree lives, and its top.
  detail::Arena& arena() noexcept { return arena_; }
  const detail::Arena& arena() const noexcept { return arena_; }
  void set_root(Value root) noexcept { root_ = root; }
  /// Null again. Memory up to a bound is kept for the next message.
  void clear() noexcept;

 private:
  detail::Arena arena_;
  Value root_;
};

/// A deep copy that owns what it points to.
Document clone(const Value& value);

constexpr Value Value::of(bool value) noexcept {
  Value made;
  made.type_ = Type::boolean;
  made.boolean_ = value;
  return made;
}

constexpr Value Value::of(std::int64_t value) noexcept {
  Value made;
  made.type_ = Type::integer;
  made.integer_ = value;
  return made;
}

constexpr Value Value::of(std::uint64_t value) noexcept {
  if (value <= static_cast<std::uint64_t>(INT64_MAX)) return of(static_cast<std::int64_t>(value));
  Value made;
  made.type_ = Type::unsigned_integer;
  made.unsigned_ = value;
  return made;
}

constexpr Value Value::of(double value) noexcept {
  Value made;
  made.type_ = Type::real;
  made.real_ = value;
  return made;
}

constexpr Value Value::of(std::string_view text) noexcept {
  Value made;
  made.type_ = Type::string;
  made.text_ = text.data();
  made.size_ = static_cast<std::uint32_t>(text.size());
  return made;
}

constexpr Value Value::of(std::span<const std::byte> bytes) noexcept {
  Value made;
  made.type_ = Type::binary;
  made.bytes_ = bytes.data();
  made.size_ = static_cast<std::uint32_t>(bytes.size());
  return made;
}

constexpr Value Value::of(std::int8_t ext_type, std::span<const std::byte> bytes) noexcept {
  Value made = of(bytes);
  made.type_ = Type::ext;
  made.ext_type_ = ext_type;
  return made;
}

constexpr Value Value::of(std::span<const Value> elements) noexcept {
  Value made;
  made.type_ = Type::array;
  made.elements_ = elements.data();
  made.size_ = static_cast<std::uint32_t>(elements.size());
  return made;
}

constexpr Value Value::of(std::span<const Member> members) noexcept {
  Value made;
  made.type_ = Type::map;
  made.members_ = members.data();
  made.size_ = static_cast<std::uint32_t>(members.size());
  return made;
}

constexpr std::span<const Value::Member> Value::members() const noexcept {
  return {members_, size_};
}

/// As the last parameter of a method: all further positional arguments (`*args`). Owns them.
class Values {
 public:
  Values() noexcept = default;
  explicit Values(std::span<const Value> values) : document_(Document::of(values)) {}

  std::size_t size() const noexcept { return document_->size(); }
  bool empty() const noexcept { return size() == 0; }
  const Value& operator[](std::size_t index) const noexcept { return document_->elements()[index]; }
  auto begin() const noexcept { return document_->elements().begin(); }
  auto end() const noexcept { return document_->elements().end(); }

 private:
  Document document_;
};

/// As the last parameter of a method, after `Values` if that is there: all keyword arguments that
/// name no parameter (`**kwargs`). Owns them.
class KeywordValues {
 public:
  KeywordValues() noexcept = default;
  explicit KeywordValues(std::span<const Value::Member> members)
      : document_(Document::of(Value::of(members))) {}

  std::size_t size() const noexcept { return document_->size(); }
  bool empty() const noexcept { return size() == 0; }
  const Value* find(std::string_view name) const noexcept { return document_->find(name); }
  auto begin() const noexcept { return document_->members().begin(); }
  auto end() const noexcept { return document_->members().end(); }

 private:
  Document document_;
};

}  // namespace webshocket

#include <webshocket/detail/bind.hpp>  // IWYU pragma: export

#include "api/document_builder.hpp"

#include <algorithm>
#include <bit>
#include <compare>
#include <cstring>
#include <limits>

namespace webshocket::detail {
namespace {

constexpr std::size_t kLargest = std::numeric_limits<std::uint32_t>::max();

// Up to this many members, comparing each with each beats sorting.
constexpr std::size_t kFewMembers = 12;

// Length first: almost always enough to tell two keys apart.
std::strong_ordering compare_bytes(const void* left, const void* right, std::size_t left_size,
                                   std::size_t right_size) noexcept {
  if (left_size != right_size) return left_size <=> right_size;
  if (left_size == 0) return std::strong_ordering::equal;
  return std::memcmp(left, right, left_size) <=> 0;
}

// Values of one type and content are one key. Not operator==: a key `1` and a key `1.0` are two
// members, since they arrive as two and no format writes them alike.
std::strong_ordering compare_keys(const Value& left, const Value& right) noexcept {
  using Type = Value::Type;
  if (left.type() != right.type()) return left.type() <=> right.type();
  switch (left.type()) {
    case Type::null:
      return std::strong_ordering::equal;
    case Type::boolean:
      return left.boolean() <=> right.boolean();
    case Type::integer:
      return left.integer() <=> right.integer();
    case Type::unsigned_integer:
      return left.unsigned_integer() <=> right.unsigned_integer();
    case Type::real:  // by bits: a NaN is equal to itself here
      return std::bit_cast<std::uint64_t>(left.real()) <=>
             std::bit_cast<std::uint64_t>(right.real());
    case Type::ext:
      if (left.ext_type() != right.ext_type()) return left.ext_type() <=> right.ext_type();
      [[fallthrough]];
    case Type::binary:
      return compare_bytes(left.bytes().data(), right.bytes().data(), left.size(), right.size());
    case Type::string:
      return compare_bytes(left.string().data(), right.string().data(), left.size(), right.size());
    case Type::array:
    case Type::map:
      break;
  }
  return std::strong_ordering::equal;
}

std::size_t drop_duplicates_of_few(std::span<Value::Member> members) noexcept {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    std::size_t j = 0;
    while (j < kept && compare_keys(members[j].key, members[i].key) != 0) ++j;
    if (j == kept) {
      members[kept++] = members[i];
    } else {
      members[j].value = members[i].value;
    }
  }
  return kept;
}

std::size_t drop_duplicates_of_many(std::span<Value::Member> members, Arena& arena) {
  const std::size_t count = members.size();
  const auto order = std::span(reinterpret_cast<std::uint32_t*>(arena.allocate(
                                   count * sizeof(std::uint32_t), alignof(std::uint32_t))),
                               count);
  for (std::size_t i = 0; i < count; ++i) order[i] = static_cast<std::uint32_t>(i);
  std::sort(order.begin(), order.end(), [&](std::uint32_t left, std::uint32_t right) {
    const auto keys = compare_keys(members[left].key, members[right].key);
    return keys != 0 ? keys < 0 : left < right;
  });

  bool found = false;
  for (std::size_t i = 0; i < count;) {
    const std::size_t first = order[i];
    std::size_t last = first;
    for (++i; i < count && compare_keys(members[first].key, members[order[i]].key) == 0; ++i) {
      last = order[i];
      members[last].key = Value::of(std::span<const Value>());  // no key is an array: a mark
      found = true;
    }
    if (last != first) members[first].value = members[last].value;
  }
  if (!found) return count;
  const auto rest = std::remove_if(members.begin(), members.end(), [](const Value::Member& member) {
    return member.key.is_array();
  });
  return static_cast<std::size_t>(rest - members.begin());
}

}  // namespace

bool DocumentBuilder::finish() noexcept {
  if (!ok_ || frame_ != kNoFrame || size_ != 1) return false;
  document_.set_root(stack_[0]);
  return true;
}

void DocumentBuilder::string(std::string_view text) {
  if (text.size() > kLargest) {
    ok_ = false;
    return;
  }
  if (copy_) text = arena().copy(text);
  ::new (place()) Value(Value::of(text));
}

void DocumentBuilder::binary(std::span<const std::byte> bytes) {
  if (bytes.size() > kLargest) {
    ok_ = false;
    return;
  }
  if (copy_) bytes = arena().copy(bytes);
  ::new (place()) Value(Value::of(bytes));
}

void DocumentBuilder::ext(std::int8_t type, std::span<const std::byte> bytes) {
  if (bytes.size() > kLargest) {
    ok_ = false;
    return;
  }
  if (copy_) bytes = arena().copy(bytes);
  ::new (place()) Value(Value::of(type, bytes));
}

void DocumentBuilder::begin_array(std::size_t) { open(false); }

void DocumentBuilder::end_array() { end(Value::of(arena().copy(close(false)))); }

void DocumentBuilder::begin_map(std::size_t) { open(true); }

void DocumentBuilder::end_map() {
  const std::span<const Value> flat = close(true);
  const std::size_t count = flat.size() / 2;
  if (flat.size() % 2 != 0) ok_ = false;
  if (count == 0) return end(Value::of(std::span<const Value::Member>()));

  const auto members = std::span(reinterpret_cast<Value::Member*>(arena().allocate(
                                     count * sizeof(Value::Member), alignof(Value::Member))),
                                 count);
  for (std::size_t i = 0; i < count; ++i) {
    members[i] = {flat[2 * i], flat[2 * i + 1]};
    const auto type = members[i].key.type();
    if (type == Value::Type::array || type == Value::Type::map) ok_ = false;
  }
  const std::size_t kept = count <= kFewMembers ? drop_duplicates_of_few(members)
                                                : drop_duplicates_of_many(members, arena());
  end(Value::of(std::span<const Value::Member>(members.first(kept))));
}

void DocumentBuilder::grow() {
  const std::size_t capacity = capacity_ * 2;
  auto* const place =
      reinterpret_cast<Value*>(arena().allocate(capacity * sizeof(Value), alignof(Value)));
  std::memcpy(static_cast<void*>(place), stack_, size_ * sizeof(Value));
  stack_ = place;
  capacity_ = capacity;
}

void DocumentBuilder::open(bool map) {
  if (++depth_ > kMaxDepth) ok_ = false;
  const std::size_t around = frame_;
  frame_ = size_;
  // The lowest bit tells what is open.
  ::new (place()) Value(Value::of(static_cast<std::int64_t>(around) * 2 + (map ? 1 : 0)));
}

std::span<const Value> DocumentBuilder::close(bool map) {
  if (frame_ == kNoFrame) {
    ok_ = false;
    return {};
  }
  const std::int64_t around = stack_[frame_].integer();
  if (((around & 1) != 0) != map) ok_ = false;
  return {stack_ + frame_ + 1, size_ - frame_ - 1};
}

void DocumentBuilder::end(Value container) {
  if (frame_ == kNoFrame) return;
  const std::int64_t around = stack_[frame_].integer();
  stack_[frame_] = container;
  size_ = frame_ + 1;
  frame_ = static_cast<std::size_t>(around >> 1);
  --depth_;
}

}  // namespace webshocket::detail

#include "api/document_builder.hpp"

#include <algorithm>
#include <bit>
#include <compare>
#include <cstring>

namespace webshocket::detail {
namespace {

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

// Nearly always two keys differ in type or length.
bool is_same_key(const Value& left, const Value& right) noexcept {
  return left.size() == right.size() && left.type() == right.type() &&
         compare_keys(left, right) == 0;
}

/// Of the members that `flat` tells, as keys and values in turn, those that are left.
std::size_t copy_few(std::span<const Value> flat, std::span<Value::Member> members) noexcept {
  std::size_t kept = 0;
  for (std::size_t i = 0; i + 1 < flat.size(); i += 2) {
    std::size_t j = 0;
    while (j < kept && !is_same_key(members[j].key, flat[i])) ++j;
    if (j == kept) members[kept++].key = flat[i];
    members[j].value = flat[i + 1];
  }
  return kept;
}

std::size_t copy_many(std::span<const Value> flat, std::span<Value::Member> members, Arena& arena) {
  for (std::size_t i = 0; i < members.size(); ++i) members[i] = {flat[2 * i], flat[2 * i + 1]};
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

void DocumentBuilder::string_slow(std::string_view text) {
  if (text.size() > kLargest) {
    ok_ = false;
    return;
  }
  ::new (place()) Value(Value::of(arena().copy(text)));
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

void DocumentBuilder::begin_array(std::size_t) { open(false, nullptr); }
void DocumentBuilder::end_array() { end_array_at(nullptr, {}); }
void DocumentBuilder::begin_map(std::size_t) { open(true, nullptr); }
void DocumentBuilder::end_map() { end_map_at(nullptr, {}); }

void DocumentBuilder::end_array_at(const std::byte* bytes_end, Format format) {
  const std::span<const Value> parts = close(false);
  const std::span<Value> elements = make<Value>(parts.size());
  std::copy(parts.begin(), parts.end(), elements.begin());
  end(Value::of(std::span<const Value>(elements)), bytes_end, format);
}

void DocumentBuilder::end_map_at(const std::byte* bytes_end, Format format) {
  const std::span<const Value> flat = close(true);
  const std::size_t count = flat.size() / 2;
  if (flat.size() % 2 != 0) ok_ = false;
  const std::span<Value::Member> members = make<Value::Member>(count);
  for (std::size_t i = 0; i < flat.size(); i += 2) {
    if (flat[i].is_array() || flat[i].is_map()) ok_ = false;
  }
  const std::size_t kept =
      count <= kFewMembers ? copy_few(flat, members) : copy_many(flat, members, arena());
  if (kept != count) forget_bytes();
  end(Value::of(std::span<const Value::Member>(members.first(kept))), bytes_end, format);
}

template <class Part>
std::span<Part> DocumentBuilder::make(std::size_t count) {
  static_assert(alignof(Part) == alignof(Value::Origin));
  if (count == 0) return {};
  std::byte* const place =
      arena().allocate(sizeof(Value::Origin) + count * sizeof(Part), alignof(Part));
  return {reinterpret_cast<Part*>(place + sizeof(Value::Origin)), count};
}

void DocumentBuilder::restart() noexcept {
  document_.clear();
  ok_ = true;
  stack_ = reinterpret_cast<Value*>(inline_.data());
  size_ = 0;
  capacity_ = kInline;
  frame_ = kNoFrame;
  depth_ = 0;
}

void DocumentBuilder::grow() {
  const std::size_t capacity = capacity_ * 2;
  auto* const place =
      reinterpret_cast<Value*>(arena().allocate(capacity * sizeof(Value), alignof(Value)));
  std::memcpy(static_cast<void*>(place), stack_, size_ * sizeof(Value));
  stack_ = place;
  capacity_ = capacity;
}

void DocumentBuilder::open(bool map, const std::byte* begin) {
  if (++depth_ > kMaxDepth || size_ >= kNoFrame) ok_ = false;
  void* const below = place();
  ::new (below) Frame{copy_ ? nullptr : begin, frame_, 0, map};
  frame_ = static_cast<std::uint32_t>(size_ - 1);
}

std::span<const Value> DocumentBuilder::close(bool map) {
  if (frame_ == kNoFrame) {
    ok_ = false;
    return {};
  }
  if (frame().is_map != map) ok_ = false;
  return {stack_ + frame_ + 1, size_ - frame_ - 1};
}

void DocumentBuilder::end(Value container, const std::byte* bytes_end, Format format) {
  if (frame_ == kNoFrame) return;
  const Frame ended = frame();
  const auto height = static_cast<std::uint16_t>(ended.height + 1);
  const bool has_origin = ended.begin != nullptr && bytes_end != nullptr;
  if (has_origin && container.size() != 0) {
    auto* const parts = static_cast<Value::Origin*>(const_cast<void*>(container.parts()));
    ::new (parts - 1) Value::Origin{
        ended.begin, static_cast<std::uint32_t>(bytes_end - ended.begin), height, format};
    container.has_origin_ = true;
  }
  ::new (stack_ + frame_) Value(container);
  size_ = std::size_t{frame_} + 1;
  frame_ = ended.around;
  --depth_;
  if (frame_ == kNoFrame) return;
  Frame& around = frame();
  around.height = std::max(around.height, height);
  if (!has_origin) around.begin = nullptr;
}

}  // namespace webshocket::detail

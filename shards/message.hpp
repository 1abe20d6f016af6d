/// What is sent to many: encoded and framed once, then never changed.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include <webshocket/detail/hub.hpp>
#include <webshocket/packet.hpp>

#include "protocol/buffer.hpp"

namespace webshocket::shards {

using webshocket::detail::Content;
using webshocket::detail::Form;
using webshocket::detail::kForms;
using webshocket::detail::kPlainForms;

/// A set of forms.
class Forms {
 public:
  constexpr Forms() noexcept = default;
  constexpr Forms(Form form) noexcept : bits_(bit(form)) {}  // NOLINT(google-explicit-constructor)
  constexpr Forms(std::initializer_list<Form> forms) noexcept {
    for (const Form form : forms) add(form);
  }
  constexpr void add(Form form) noexcept { bits_ |= bit(form); }
  constexpr bool has(Form form) const noexcept { return (bits_ & bit(form)) != 0; }
  constexpr bool empty() const noexcept { return bits_ == 0; }
  constexpr bool is_one() const noexcept { return bits_ != 0 && (bits_ & (bits_ - 1U)) == 0; }
  /// REQUIRES: it is not empty.
  constexpr Form first() const noexcept { return static_cast<Form>(std::countr_zero(bits_)); }
  /// Those that are compressed.
  constexpr Forms deflated() const noexcept { return of(bits_ & kDeflated); }
  /// Each of them, or the plain one in its place.
  constexpr Forms as_plain() const noexcept {
    return of((bits_ | bits_ >> kPlainForms) & ~kDeflated);
  }
  constexpr Forms without(Forms other) const noexcept { return of(bits_ & ~other.bits_); }
  template <class F>
  constexpr void for_each(F&& f) const {
    for (unsigned left = bits_; left != 0; left &= left - 1) {
      f(static_cast<Form>(std::countr_zero(left)));
    }
  }
  constexpr Forms& operator|=(Forms other) noexcept {
    bits_ |= other.bits_;
    return *this;
  }
  friend constexpr Forms operator&(Forms a, Forms b) noexcept { return of(a.bits_ & b.bits_); }
  friend constexpr bool operator==(Forms, Forms) noexcept = default;

 private:
  static constexpr unsigned kDeflated = ((1U << kForms) - 1) & ~((1U << kPlainForms) - 1);

  static constexpr std::uint8_t bit(Form form) noexcept {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(form));
  }
  static constexpr Forms of(unsigned bits) noexcept {
    Forms forms;
    forms.bits_ = static_cast<std::uint8_t>(bits);
    return forms;
  }
  std::uint8_t bits_ = 0;
};

/// How messages become frames.
struct Framing {
  std::size_t fragment_size = 0;  ///< 0: never fragment
  Compression compression = {};
};

/// What compression has done: of `messages`, `bytes_in` became `bytes_out`.
struct DeflateTotals {
  std::uint64_t messages = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

/// One message as frames, in every form that somebody wants. Immutable, so any thread may read it.
class Message {
 public:
  /// Encodes `content` as a packet from `source`. A form that cannot hold the value is left out:
  /// see `lacks`. Null if none is left. What the compressed forms share is compressed once; where
  /// it is not worth it they are the plain ones.
  static std::shared_ptr<const Message> freeze(PacketSource source,
                                               std::optional<std::string_view> channel,
                                               const Content& content, Forms forms,
                                               const Framing& framing);
  /// The same in place of what it was, as long as nobody else knows it. False if no form is left.
  bool encode(PacketSource source, std::optional<std::string_view> channel, const Content& content,
              Forms forms, const Framing& framing);

  /// The form that somebody who wants `form` gets it in: that one, or the plain one in its place.
  Form given_as(Form form) const noexcept {
    return frames(form).empty() ? webshocket::detail::plain(form) : form;
  }
  /// The same of all who want one of them.
  Forms given_as(Forms wanted) const noexcept {
    Forms given;
    wanted.for_each([&](Form form) { given.add(given_as(form)); });
    return given;
  }
  /// The frames, or nothing if it was not made in exactly that form.
  std::span<const std::byte> frames(Form form) const noexcept {
    return frames_[static_cast<std::size_t>(form)].span();
  }
  /// Bytes in all forms together.
  std::size_t size() const noexcept { return size_; }
  /// The forms that were asked for and cannot hold the value.
  Forms lacks() const noexcept { return lacks_; }
  const DeflateTotals& deflated() const noexcept { return deflated_; }

 private:
  static constexpr std::size_t kMemoryKept = 4 * 1024;

  void clear() noexcept;
  void encode_packet(PacketSource source, std::optional<std::string_view> channel,
                     const Content& content, Forms forms, const Framing& framing);
  /// Those that share the payload.
  void frame_all(Forms wanted, Opcode opcode, std::span<const std::byte> payload, Compress compress,
                 const Framing& framing);
  /// False if it is not worth it.
  bool deflate_all(Forms wanted, Opcode opcode, std::span<const std::byte> payload,
                   Compress compress, const Framing& framing);
  void frame(Form form, Opcode opcode, std::span<const std::byte> payload,
             std::size_t fragment_size);

  protocol::Buffer& buffer(Form form) noexcept { return frames_[static_cast<std::size_t>(form)]; }

  std::array<protocol::Buffer, kForms> frames_;
  Forms made_;
  std::size_t size_ = 0;
  Forms lacks_;
  DeflateTotals deflated_;
};

/// Encodes one packet, unframed, in one form. The opcode that it is to be sent with, or nothing if
/// the form cannot hold it. Then, and if it throws `std::bad_alloc`, `out` is as it was.
std::optional<Opcode> encode(PacketSource source, std::optional<std::string_view> channel,
                             const Content& content, Form form, protocol::Buffer& out);

/// How a form's messages are framed. Raw messages bring their own opcode.
constexpr Opcode opcode_of(Form form) noexcept {
  return webshocket::detail::plain(form) == Form::json_text ? Opcode::text : Opcode::binary;
}

}  // namespace webshocket::shards

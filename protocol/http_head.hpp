/// The head of one HTTP/1.1 request or reply: first line and header fields.
#pragma once

#include <http_parser.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/http_fields.hpp"

namespace webshocket::protocol {

/// http-parser takes the head apart; the line structure is judged here, because the library as
/// distributions build it lets bare line feeds, folded lines and blanks in header names pass.
class HttpHeadParser {
 public:
  enum class Kind : std::uint8_t { request, reply };
  enum class Status : std::uint8_t { incomplete, complete, error };

  HttpHeadParser(Kind kind, std::size_t max_bytes, std::size_t max_headers);
  HttpHeadParser(const HttpHeadParser&) = delete;
  HttpHeadParser& operator=(const HttpHeadParser&) = delete;

  /// Takes the head's bytes off the front of `input`. Once complete or failed, takes nothing.
  Status feed(std::span<const std::byte>& input);
  bool started() const noexcept { return line_ != Line::before && line_ != Line::before_feed; }
  void reset();

  /// After `error`: how to answer it, and what is wrong.
  int fault_status() const noexcept { return fault_status_; }
  const std::string& fault() const noexcept { return fault_; }

  /// After `complete`. May be moved from.
  HttpFields& fields() noexcept { return fields_; }
  std::string& target() noexcept { return target_; }
  std::string& reason() noexcept { return reason_; }
  std::string_view method() const noexcept;
  int status() const noexcept { return static_cast<int>(parser_.status_code); }
  int version_major() const noexcept { return parser_.http_major; }
  int version_minor() const noexcept { return parser_.http_minor; }

 private:
  struct Callbacks;
  enum class Line : std::uint8_t {
    before,
    before_feed,
    first,
    first_feed,
    start,
    name,
    value,
    value_feed,
    end_feed,
    done,
  };

  bool step(char c);
  bool step_first(char c);
  void parse(std::span<const std::byte> bytes);
  bool refuse(int status, std::string fault);
  void refuse_parsed();
  /// The end of a sentence, with the name of the limit where there is a setting of that name.
  std::string named(std::string_view limit) const {
    return kind_ == Kind::request ? " (" + std::string(limit) + ")." : ".";
  }
  std::string noun() const { return kind_ == Kind::request ? "Request" : "Reply"; }

  http_parser parser_;
  HttpFields fields_;
  std::string target_;
  std::string reason_;
  std::string fault_;
  std::size_t max_bytes_;
  std::size_t max_headers_;
  std::size_t bytes_ = 0;
  std::size_t lines_ = 0;
  unsigned blanks_ = 0;
  int fault_status_ = 0;
  Kind kind_;
  Line line_ = Line::before;
  char previous_ = 0;
  bool in_value_ = false;
  bool parsed_ = false;
  bool lacks_memory_ = false;
};

}  // namespace webshocket::protocol

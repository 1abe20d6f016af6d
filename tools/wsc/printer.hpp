/// What wsc shows, as text: for people, or as one JSON object a line for programs.
#pragma once

#include <webshocket/error.hpp>
#include <webshocket/packet.hpp>
#include <webshocket/value.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

namespace wsc {

struct Style {
  bool json = false;
  bool color = false;
  std::size_t width = 80;  ///< longer values take several lines
};

/// Makes whole lines. What came from outside cannot steer a terminal: its control characters are
/// shown as JSON writes them. Any thread.
class Printer {
 public:
  using Time = std::chrono::system_clock::time_point;

  explicit Printer(Style style) noexcept : style_(style) {}

  std::string received(const webshocket::Packet& packet, Time time) const;
  std::string sent(const webshocket::Value& data, Time time) const;
  std::string result(std::string_view method, const webshocket::Value& value) const;
  std::string chunk(std::string_view method, std::size_t index,
                    const webshocket::Value& value) const;
  std::string end(std::string_view method, std::size_t chunks) const;
  /// `kind` is a word for programs, as "timeout".
  std::string error(std::string_view kind, std::string_view text) const;
  std::string error(const webshocket::RpcError& error) const;
  /// About the connection and what has been done.
  std::string note(std::string_view text) const;

 private:
  std::string line(std::string_view arrow, std::string_view kind, std::string_view name,
                   const webshocket::Value& data, Time time) const;
  std::string text(const webshocket::Value& value, std::size_t column = 0) const;
  std::string painted(std::string_view code, std::string_view text) const;

  Style style_;
};

}  // namespace wsc

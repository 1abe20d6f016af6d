/// Values as text for people: JSON, but for bytes.
#pragma once

#include <webshocket/value.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace wsc {

/// What came from outside must not steer a terminal, nor look like something else: control
/// characters and the marks that turn the direction of text become `\u001b`, bytes that are no
/// UTF-8 the replacement character.
std::string visible(std::string_view text);

/// In ANSI colours; `code` as in "31".
std::string colored(std::string_view code, std::string_view text);

struct ValueStyle {
  bool color = false;
  std::size_t width = 80;  ///< what does not fit takes a line for each element or member
};

/// `column` is where the text will begin. Bytes are `bytes(3) 00 61 ff`, with their text if they
/// are text.
std::string text_of(const webshocket::Value& value, const ValueStyle& style,
                    std::size_t column = 0);

}  // namespace wsc

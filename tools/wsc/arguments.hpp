/// Words to values.
#pragma once

#include <webshocket/value.hpp>

#include <map>
#include <span>
#include <string>
#include <vector>

#include "words.hpp"

namespace wsc {

/// Of a call.
struct Arguments {
  std::vector<webshocket::Document> positional;
  std::map<std::string, webshocket::Document> keywords;
};

/// `name=value` is a keyword if the name is an identifier; every other word has its place. Throws
/// `SyntaxError`.
Arguments arguments_of(std::span<const Word> words);

/// What is JSON is its value, `hex:0001ff` is bytes, all else is text, spaces between words
/// included. Throws `SyntaxError`.
webshocket::Document value_of(std::span<const Word> words);

}  // namespace wsc

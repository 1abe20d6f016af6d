/// What subscribers and publishers connect to and say, for servers of every kind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "message_template.hpp"
#include "stamp.hpp"

namespace wsbench {

enum class Coding : std::uint8_t { text, binary, msgpack };

/// One end's side of the talk. `{channel}`, `{id}` and, of a publisher, `{payload}` are replaced
/// in `path` and `message`.
struct Speech {
  std::string path;
  std::string subprotocol;
  /// Said once by a subscriber, for each message by a publisher. Empty: nothing is said.
  std::string message;
  /// `msgpack`: `message` names a method, which is called with the channel and, by a publisher,
  /// the payload.
  Coding coding = Coding::binary;

  bool is_text() const noexcept { return coding == Coding::text; }
};

struct Dialect {
  std::vector<Speech> subscribers;  ///< they take turns
  Speech publisher;
  Spelling spelling = Spelling::binary;

  /// Whether there must be a publisher for each channel, since its path names it.
  bool channel_in_path() const { return publisher.path.find("{channel}") != std::string::npos; }
};

struct DialectOptions {
  std::string preset = "raw";
  std::vector<std::string> mixed = {};  ///< formats of subscribers: raw, json, msgpack
  std::optional<std::string> subscriber_path = {};
  std::optional<std::string> publisher_path = {};
  std::optional<std::string> subprotocol = {};
  std::optional<std::string> subscribe = {};
  std::optional<std::string> publish = {};
  bool text = false;
};

/// `default_path`: where the URI of the server leads, or "/". Throws `UsageFailure`; also if there
/// are several channels, and no subscriber tells which one it is about.
Dialect dialect_of(const DialectOptions& options, std::string_view default_path,
                   std::size_t channels = 1);

/// One that is alone has the name that stands for the paths that name none.
std::string channel_name(std::size_t channels, std::size_t channel);

/// What a subscriber says; empty: nothing.
std::string subscription(const Speech& speech, std::string_view channel);
/// What a publisher says, around a payload that has its filler already. Throws `UsageFailure` if
/// there is no place for one.
MessageTemplate publication(const Speech& speech, std::string_view channel, const Stamps& stamps);

/// A call of a method by the wire protocol of webshocket, with `MessageTemplate::kIdHolder` as its
/// id. `arguments` are integers, strings or binary data.
struct Argument {
  enum class Kind : std::uint8_t { integer, string, binary } kind = Kind::string;
  std::string_view text = {};
  std::int64_t number = 0;
};
std::string call(bool json, std::string_view method, const std::vector<Argument>& arguments);

}  // namespace wsbench

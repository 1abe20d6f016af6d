#include "printer.hpp"

#include <ctime>
#include <optional>
#include <utility>
#include <vector>

#include "value_text.hpp"

namespace wsc {
namespace {

namespace ws = webshocket;

constexpr std::string_view kDim = "2";
constexpr std::string_view kRed = "31";
constexpr std::string_view kGreen = "32";
constexpr std::string_view kYellow = "33";

std::string name_of(ws::RpcErrorCode code) {
  switch (code) {
    case ws::RpcErrorCode::rate_limit_exceeded:
      return "rate_limit_exceeded";
    case ws::RpcErrorCode::application_error:
      return "application_error";
    case ws::RpcErrorCode::access_denied:
      return "access_denied";
    case ws::RpcErrorCode::method_not_found:
      return "method_not_found";
    case ws::RpcErrorCode::invalid_params:
      return "invalid_params";
    case ws::RpcErrorCode::internal_server_error:
      return "internal_server_error";
  }
  return "error";
}

std::string_view name_of(ws::PacketSource source) noexcept {
  switch (source) {
    case ws::PacketSource::broadcast:
      return "broadcast";
    case ws::PacketSource::channel:
      return "channel";
    case ws::PacketSource::unknown:
      return "unknown";
    case ws::PacketSource::custom:
      return "custom";
    case ws::PacketSource::rpc:
      break;
  }
  return "rpc";
}

std::string clock_text(Printer::Time time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[] = "HH:MM:SS";
  (void)std::strftime(text, sizeof text, "%H:%M:%S", &local);
  const auto since = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  const std::string digits = std::to_string(1000 + since.count() % 1000);
  return text + ("." + digits.substr(1));
}

double unix_time(Printer::Time time) {
  const auto since = std::chrono::floor<std::chrono::milliseconds>(time.time_since_epoch());
  return static_cast<double>(since.count()) / 1000;
}

/// A map, member by member.
class Object {
 public:
  explicit Object(std::string_view type) { add("type", ws::Value::of(type)); }
  Object& add(std::string_view name, ws::Value value) {
    members_.push_back({ws::Value::of(name), value});
    return *this;
  }
  /// The one value that comes from a server: if JSON cannot hold it, it is told as text.
  std::string line_with(std::string_view name, const ws::Value& value) const {
    Object all = *this;
    try {
      return all.add(name, value).line();
    } catch (const ws::PacketError&) {
      const std::string text = to_string(value);
      all.members_.back() = {ws::Value::of("text"), ws::Value::of(text)};
      return all.line();
    }
  }
  std::string line() const { return ws::to_json(ws::Value::of(members_)) + '\n'; }

 private:
  std::vector<ws::Value::Member> members_;
};

}  // namespace

std::string Printer::received(const ws::Packet& packet, Time time) const {
  const std::string_view source = name_of(packet.source);
  if (!style_.json) {
    return line(painted(kGreen, "←"), source, packet.channel.value_or(""), packet.data, time);
  }
  Object object("packet");
  object.add("time", ws::Value::of(unix_time(time))).add("source", ws::Value::of(source));
  if (packet.channel) object.add("channel", ws::Value::of(*packet.channel));
  if (!packet.timestamp.is_null()) object.add("timestamp", packet.timestamp);
  if (packet.correlation_id) object.add("correlation_id", ws::Value::of(*packet.correlation_id));
  return object.line_with("data", packet.data);
}

std::string Printer::sent(const ws::Value& data, Time time) const {
  return line(painted(kYellow, "→"), "custom", "", data, time);
}

std::string Printer::result(std::string_view method, const ws::Value& value) const {
  if (!style_.json) return text(value) + '\n';
  return Object("result").add("method", ws::Value::of(method)).line_with("result", value);
}

std::string Printer::chunk(std::string_view method, std::size_t index,
                           const ws::Value& value) const {
  if (!style_.json) return text(value) + '\n';
  return Object("chunk")
      .add("method", ws::Value::of(method))
      .add("index", ws::Value::of(static_cast<std::uint64_t>(index)))
      .line_with("chunk", value);
}

std::string Printer::end(std::string_view method, std::size_t chunks) const {
  if (!style_.json) return {};
  return Object("end")
      .add("method", ws::Value::of(method))
      .add("chunks", ws::Value::of(static_cast<std::uint64_t>(chunks)))
      .line();
}

std::string Printer::error(std::string_view kind, std::string_view text) const {
  if (!style_.json) return painted(kRed, "wsc: ") + visible(text) + '\n';
  return Object("error").add("kind", ws::Value::of(kind)).add("text", ws::Value::of(text)).line();
}

std::string Printer::error(const ws::RpcError& error) const {
  const auto code = static_cast<std::int64_t>(error.code());
  const std::string name = name_of(error.code());
  if (!style_.json) {
    return painted(kRed, "wsc: ") + name + " (" + std::to_string(code) +
           "): " + visible(error.what()) + '\n';
  }
  return Object("error")
      .add("kind", ws::Value::of("rpc"))
      .add("code", ws::Value::of(code))
      .add("name", ws::Value::of(name))
      .add("text", ws::Value::of(error.what()))
      .line();
}

std::string Printer::note(std::string_view text) const {
  return painted(kDim, "* " + visible(text)) + '\n';
}

std::string Printer::line(std::string_view arrow, std::string_view kind, std::string_view name,
                          const ws::Value& data, Time time) const {
  std::string head(kind);
  if (!name.empty()) head += ' ' + visible(name);
  const std::string clock = clock_text(time);
  // "HH:MM:SS.mmm ← head: "
  const std::size_t column = clock.size() + 3 + head.size() + 2;
  return painted(kDim, clock) + ' ' + std::string(arrow) + ' ' + head + ": " + text(data, column) +
         '\n';
}

std::string Printer::text(const ws::Value& value, std::size_t column) const {
  return text_of(value, {.color = style_.color, .width = style_.width}, column);
}

std::string Printer::painted(std::string_view code, std::string_view text) const {
  return style_.color ? colored(code, text) : std::string(text);
}

}  // namespace wsc

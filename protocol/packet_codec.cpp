#include "protocol/packet_codec.hpp"

#include <new>
#include <string>

#include "api/document_builder.hpp"
#include "protocol/json.hpp"
#include "protocol/msgpack.hpp"
#include "protocol/packet_reader.hpp"
#include "protocol/text.hpp"

namespace webshocket::protocol {
namespace {

using Strings = detail::DocumentBuilder::Strings;

/// How a map with a handful of known keys is spelled, in msgpack …
struct Msgpack {
  using Writer = MsgpackWriter;

  static void open(Buffer& out) { out.push_back(std::byte{0x80}); }
  static void key(Buffer& out, std::string_view name, unsigned) {
    out.push_back(static_cast<std::byte>(0xA0U | name.size()));
    out.append(name);
  }
  static void close(Buffer& out, std::size_t start, unsigned count) {
    out.data()[start] = static_cast<std::byte>(0x80U | count);
  }
  static bool is_null(std::string_view value) { return value == "\xC0"; }
  static bool is_array(std::string_view value) {
    const auto first = static_cast<unsigned char>(value.front());
    return (first & 0xF0U) == 0x90 || first == 0xDC || first == 0xDD;
  }
  static bool is_map(std::string_view value) {
    const auto first = static_cast<unsigned char>(value.front());
    return (first & 0xF0U) == 0x80 || first == 0xDE || first == 0xDF;
  }
};

/// … and in JSON.
struct Json {
  using Writer = JsonWriter;

  static void open(Buffer& out) { out.append("{"); }
  static void key(Buffer& out, std::string_view name, unsigned count) {
    out.append(count == 0 ? "\"" : ",\"");
    out.append(name);
    out.append("\":");
  }
  static void close(Buffer& out, std::size_t, unsigned) { out.append("}"); }
  static bool is_null(std::string_view value) { return value == "null"; }
  static bool is_array(std::string_view value) { return value.front() == '['; }
  static bool is_map(std::string_view value) { return value.front() == '{'; }
};

/// Hands events on, each as a call of `Derived::pass` with what the next Sink is to be told.
template <class Derived>
class Relay : public Sink {
 public:
  void null() override {
    pass([](Sink& next) { next.null(); });
  }
  void boolean(bool value) override {
    pass([=](Sink& next) { next.boolean(value); });
  }
  void integer(std::int64_t value) override {
    pass([=](Sink& next) { next.integer(value); });
  }
  void unsigned_integer(std::uint64_t value) override {
    pass([=](Sink& next) { next.unsigned_integer(value); });
  }
  void real(double value) override {
    pass([=](Sink& next) { next.real(value); });
  }
  void string(std::string_view text) override {
    pass([=](Sink& next) { next.string(text); });
  }
  void binary(std::span<const std::byte> bytes) override {
    pass([=](Sink& next) { next.binary(bytes); });
  }
  void ext(std::int8_t type, std::span<const std::byte> bytes) override {
    pass([=](Sink& next) { next.ext(type, bytes); });
  }
  void begin_array(std::size_t size) override {
    pass([=](Sink& next) { next.begin_array(size); });
  }
  void end_array() override {
    pass([](Sink& next) { next.end_array(); });
  }
  void begin_map(std::size_t size) override {
    pass([=](Sink& next) { next.begin_map(size); });
  }
  void end_map() override {
    pass([](Sink& next) { next.end_map(); });
  }

 protected:
  ~Relay() = default;

 private:
  template <class Event>
  void pass(Event&& event) {
    static_cast<Derived&>(*this).pass(event);
  }
};

/// A map whose keys are strings before they are written: JSON would make strings of any others.
template <class Writer>
class KeywordWriter final : public Relay<KeywordWriter<Writer>> {
 public:
  explicit KeywordWriter(Buffer& out) : writer_(out) {}

  bool complete() const noexcept { return ok_ && writer_.complete(); }

  void string(std::string_view text) override { writer_.string(text); }
  void end_map() override { writer_.end_map(); }

  template <class Event>
  void pass(Event&& event) {
    if (writer_.at_outermost_key()) {
      ok_ = false;
    } else {
      event(writer_);
    }
  }

 private:
  Writer writer_;
  bool ok_ = true;
};

/// A map on its way into the buffer. Its size need not be known ahead.
template <class Dialect>
class MapWriter {
 public:
  explicit MapWriter(Buffer& out) : out_(out), start_(out.size()) { Dialect::open(out); }

  void key(std::string_view name) { Dialect::key(out_, name, count_++); }

  template <class Writer = typename Dialect::Writer>
  bool value(Payload value) {
    Writer writer(out_);
    value.write(writer);
    return writer.complete();
  }

  bool member(std::string_view name, Payload payload) {
    key(name);
    return value(payload);
  }

  // What is known to be of a type.
  bool text(std::string_view name, std::string_view text) {
    return scalar(name, [=](Sink& to) { to.string(text); });
  }
  bool number(std::string_view name, std::int64_t number) {
    return scalar(name, [=](Sink& to) { to.integer(number); });
  }
  bool flag(std::string_view name, bool flag) {
    return scalar(name, [=](Sink& to) { to.boolean(flag); });
  }
  bool null(std::string_view name) {
    return scalar(name, [](Sink& to) { to.null(); });
  }

  /// A payload can only be asked for its value by writing it: what turns out null is taken back.
  bool member_unless_null(std::string_view name, Payload payload) {
    const std::size_t before = out_.size();
    key(name);
    const std::size_t start = out_.size();
    if (!value(payload)) return false;
    if (Dialect::is_null(out_.text().substr(start))) {
      out_.resize_down(before);
      --count_;
    }
    return true;
  }

  /// Only an array will do.
  bool array_member(std::string_view name, Payload payload) {
    key(name);
    const std::size_t start = out_.size();
    return value(payload) && Dialect::is_array(out_.text().substr(start));
  }

  /// Only a map with string keys will do.
  bool keyword_member(std::string_view name, Payload payload) {
    key(name);
    const std::size_t start = out_.size();
    return value<KeywordWriter<typename Dialect::Writer>>(payload) &&
           Dialect::is_map(out_.text().substr(start));
  }

  bool close() {
    Dialect::close(out_, start_, count_);
    return true;
  }

 private:
  template <class Event>
  bool scalar(std::string_view name, Event&& event) {
    key(name);
    typename Dialect::Writer writer(out_);
    event(writer);
    return writer.complete();
  }

  Buffer& out_;
  const std::size_t start_;
  unsigned count_ = 0;
};

/// Runs an encoder for the format. What it has appended stays only if it says true.
template <class Encode>
bool encode(Format format, Buffer& out, Encode&& run) {
  const std::size_t start = out.size();
  try {
    if (format == Format::msgpack ? run(Msgpack{}) : run(Json{})) return true;
  } catch (const std::bad_alloc&) {
    out.resize_down(start);
    throw;
  } catch (...) {  // NOLINT(bugprone-empty-catch): by a user's webshocket_write
  }
  out.resize_down(start);
  return false;
}

constexpr std::int64_t number(PacketSource source) noexcept {
  return static_cast<std::int64_t>(source);
}

constexpr bool is_source(PacketSource source) noexcept {
  return number(source) >= 1 && number(source) <= 5;
}

template <class Dialect>
bool write_response(Dialect, std::string_view call_id, Payload response,
                    std::optional<RpcErrorCode> error, bool is_stream, bool is_end, Buffer& out) {
  MapWriter<Dialect> map(out);
  return map.text("type", "response") && map.text("call_id", call_id) &&
         map.member("response", response) &&
         (error ? map.number("error", static_cast<std::int64_t>(*error)) : map.null("error")) &&
         map.flag("is_stream", is_stream) && map.flag("is_end", is_end) && map.close();
}

template <class Dialect>
bool write_request(Dialect, std::string_view method, Payload args, Payload kwargs,
                   std::string_view call_id, Buffer& out) {
  MapWriter<Dialect> map(out);
  return map.text("type", "request") && map.text("method", method) &&
         map.array_member("args", args) && map.keyword_member("kwargs", kwargs) &&
         (call_id.empty() || map.text("call_id", call_id)) && map.close();
}

template <class Dialect>
bool write_packet(Dialect dialect, const Packet& packet, Buffer& out) {
  if (!is_source(packet.source)) return false;
  if (!packet.timestamp.is_null() && !packet.timestamp.is_number()) return false;
  MapWriter<Dialect> map(out);
  bool ok =
      map.number("source", number(packet.source)) && map.member_unless_null("data", packet.data);
  if (const RpcRequest* const request = packet.request()) {
    map.key("rpc");
    ok = ok && write_request(dialect, request->method, Value::of(request->args),
                             Value::of(request->kwargs), request->call_id, out);
  } else if (const RpcResponse* const response = packet.response()) {
    map.key("rpc");
    ok = ok && write_response(dialect, response->call_id, response->response, response->error,
                              response->is_stream, response->is_end, out);
  }
  ok = ok && (!packet.channel || map.text("channel", *packet.channel)) &&
       map.member_unless_null("timestamp", packet.timestamp) &&
       (!packet.correlation_id || map.text("correlation_id", *packet.correlation_id));
  return ok && map.close();
}

/// Bytes and strings as they are, anything else as JSON: decided by the first event.
class RawWriter final : public Relay<RawWriter> {
 public:
  explicit RawWriter(Buffer& out) : out_(out), json_(out) {}

  std::optional<Opcode> finish() const noexcept {
    if (plain_) return ok_ ? plain_ : std::nullopt;
    return json_.complete() ? std::optional(Opcode::text) : std::nullopt;
  }

  void string(std::string_view text) override {
    if (!begin(Opcode::text)) return Relay::string(text);
    is_text(text) ? out_.append(text) : out_.append(repair_utf8(text));
  }
  void binary(std::span<const std::byte> bytes) override {
    if (!begin(Opcode::binary)) return Relay::binary(bytes);
    out_.append(bytes);
  }
  template <class Event>
  void pass(Event&& event) {
    begun_ = true;
    if (plain_) {
      ok_ = false;  // a second value behind a plain one
    } else {
      event(json_);
    }
  }

 private:
  bool begin(Opcode opcode) noexcept {
    if (begun_) return false;
    begun_ = true;
    plain_ = opcode;
    return true;
  }

  Buffer& out_;
  std::optional<Opcode> plain_;
  bool begun_ = false;
  bool ok_ = true;
  JsonWriter json_;
};

bool read_value(Format format, std::span<const std::byte> message, const DecodeLimits& limits,
                Document& document, std::string_view& why) {
  detail::DocumentBuilder builder(document, Strings::borrow);
  why = "a raw message is no packet";
  if (format == Format::raw) return false;
  const auto read = format == Format::msgpack ? read_msgpack : read_json;
  if (!read(message, limits, builder, why)) return false;
  why = "a value is too large";
  if (!builder.finish()) return false;
  why = {};
  return true;
}

}  // namespace

Packet decode_packet(Format format, std::span<const std::byte> message, const DecodeLimits& limits,
                     Document& document, std::string_view* why) {
  Packet packet;
  std::string_view reason;
  if (!read_value(format, message, limits, document, reason) ||
      !read_packet(document.root(), packet, reason)) {
    packet = {};
    packet.source = PacketSource::unknown;
    packet.data = Value::of(message);
    document.clear();
  }
  if (why != nullptr) *why = reason;
  return packet;
}

bool encode_data(Format format, PacketSource source, std::optional<std::string_view> channel,
                 Payload data, Buffer& out) {
  return encode(format, out, [&]<class Dialect>(Dialect) {
    if (!is_source(source)) return false;
    MapWriter<Dialect> map(out);
    return map.number("source", number(source)) && map.member_unless_null("data", data) &&
           (!channel || map.text("channel", *channel)) && map.close();
  });
}

bool encode_request(Format format, std::string_view method, Payload args, Payload kwargs,
                    std::string_view call_id, Buffer& out) {
  return encode(format, out, [&]<class Dialect>(Dialect dialect) {
    MapWriter<Dialect> map(out);
    if (!map.number("source", number(PacketSource::rpc))) return false;
    map.key("rpc");
    return write_request(dialect, method, args, kwargs, call_id, out) && map.close();
  });
}

bool encode_response(Format format, std::string_view call_id, Payload response,
                     std::optional<RpcErrorCode> error, bool is_stream, bool is_end, Buffer& out) {
  return encode(format, out, [&]<class Dialect>(Dialect dialect) {
    MapWriter<Dialect> map(out);
    if (!map.number("source", number(PacketSource::rpc))) return false;
    map.key("rpc");
    return write_response(dialect, call_id, response, error, is_stream, is_end, out) && map.close();
  });
}

bool encode_packet(Format format, const Packet& packet, Buffer& out) {
  return encode(format, out, [&](auto dialect) { return write_packet(dialect, packet, out); });
}

bool encode_value(Format format, Payload value, Buffer& out) {
  return encode(format, out, [&]<class Dialect>(Dialect) {
    typename Dialect::Writer writer(out);
    value.write(writer);
    return writer.complete();
  });
}

std::optional<Opcode> encode_raw(Payload data, Buffer& out) {
  std::optional<Opcode> opcode;
  encode(Format::raw, out, [&](auto) {
    RawWriter writer(out);
    data.write(writer);
    opcode = writer.finish();
    return opcode.has_value();
  });
  return opcode;
}

}  // namespace webshocket::protocol

#include "session.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <utility>
#include <variant>

namespace wsc {
namespace {

namespace ws = webshocket;
using namespace std::chrono_literals;

bool wants_color(Options::Color color, int descriptor) noexcept {
  if (color != Options::Color::automatic) return color == Options::Color::always;
  const char* const refused = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  return isatty(descriptor) == 1 && (refused == nullptr || *refused == '\0') &&
         terminal != nullptr && std::string_view(terminal) != "dumb";
}

Style style_for(const Options& options, int descriptor) noexcept {
  Style style{.json = options.json, .color = wants_color(options.color, descriptor)};
  winsize size{};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) style.width = size.ws_col;
  return style;
}

std::string_view name_of(ws::LogLevel level) noexcept {
  switch (level) {
    case ws::LogLevel::debug:
      return "debug: ";
    case ws::LogLevel::info:
      return "info: ";
    case ws::LogLevel::warning:
      return "warning: ";
    case ws::LogLevel::error:
      break;
  }
  return "error: ";
}

std::string text_of(ws::CloseCode code, std::string_view reason) {
  std::string text = std::to_string(static_cast<unsigned>(code));
  if (code == ws::CloseCode::abnormal) return text + ", without a CLOSE";
  if (!reason.empty()) text.append(", ").append(reason);
  return text;
}

ws::CallOptions stopped_by(const std::stop_token& stop) { return {.stop = stop}; }

}  // namespace

Session::Session(const Options& options, Console& console, bool talks,
                 std::optional<std::size_t> packets)
    : options_(options),
      console_(console),
      results_(style_for(options, STDOUT_FILENO)),
      messages_(style_for(options, STDERR_FILENO)),
      talks_(talks),
      packets_(packets),
      client_(options.uri, config()) {}

Session::~Session() {
  const std::lock_guard lock(mutex_);
  closing_ = true;
}

void Session::connect(const std::stop_token& stop) {
  // Without waiting: here only the wish to end is passed on.
  const std::stop_callback closer(stop, [this] { client_.loop().spawn(client_.close_async()); });
  try {
    client_.connect({.attempts = options_.tries});
  } catch (const ws::ConnectionClosedError&) {
    if (stop.stop_requested()) throw ws::Cancelled();
    throw;
  }
}

bool Session::run(const Command& command, const std::stop_token& stop) {
  return std::visit([&](const auto& chosen) { return execute(chosen, stop); }, command);
}

void Session::wait(std::optional<std::size_t> packets, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto is_enough = [&] { return packets && received_ >= *packets; };
  const auto is_over = [&] { return lost_ || is_enough(); };
  if (options_.timeout) {
    changed_.wait_for(lock, stop, *options_.timeout, is_over);
  } else {
    changed_.wait(lock, stop, is_over);
  }
  if (is_enough()) return;
  if (stop.stop_requested()) throw ws::Cancelled();
  if (lost_) throw ws::ConnectionClosedError(*lost_);
  if (!packets) return;
  throw ws::TimeoutError("only " + std::to_string(received_) + " of " + std::to_string(*packets) +
                         " packets came in time");
}

void Session::forget_packets() {
  const std::lock_guard lock(mutex_);
  awaited_ = received_;
}

bool Session::is_lost() const {
  const std::lock_guard lock(mutex_);
  return lost_.has_value();
}

void Session::throw_lost() const {
  const std::lock_guard lock(mutex_);
  throw ws::ConnectionClosedError(*lost_);
}

bool Session::execute(const Call& call, const std::stop_token& stop) {
  const auto answer =
      client_.send_rpc(stopped_by(stop), call.method, ws::spread(call.arguments.positional),
                       ws::kwargs(call.arguments.keywords));
  answer.throw_if_error();
  console_.print(results_.result(call.method, answer->response));
  return true;
}

bool Session::execute(const CallStream& call, const std::stop_token& stop) {
  auto stream = client_.stream<ws::Document>(stopped_by(stop), call.method,
                                             ws::spread(call.arguments.positional),
                                             ws::kwargs(call.arguments.keywords));
  std::size_t chunks = 0;
  while (!call.count || chunks < *call.count) {
    const auto chunk = stream.next();
    if (!chunk) break;
    console_.print(results_.chunk(call.method, chunks++, chunk->root()));
  }
  console_.print(results_.end(call.method, chunks));
  return true;
}

bool Session::execute(const Subscribe& subscribe, const std::stop_token& stop) {
  for (const std::string& channel : subscribe.channels) {
    const auto answer = client_.send_rpc(stopped_by(stop), options_.subscribe_method, channel);
    answer.throw_if_error();
    if (answer->response == ws::Value::of(false)) {
      throw Refused("not subscribed to " + channel + ": " + options_.subscribe_method +
                    " says false");
    }
    {
      const std::lock_guard lock(mutex_);
      channels_.insert(channel);
    }
    note("subscribed to " + channel);
  }
  return true;
}

bool Session::execute(const Unsubscribe& unsubscribe, const std::stop_token& stop) {
  for (const std::string& channel : unsubscribe.channels) {
    client_.send_rpc(stopped_by(stop), options_.unsubscribe_method, channel).throw_if_error();
    {
      const std::lock_guard lock(mutex_);
      channels_.erase(channel);
    }
    note("unsubscribed from " + channel);
  }
  return true;
}

bool Session::execute(const Publish& publish, const std::stop_token& stop) {
  client_.send_rpc(stopped_by(stop), options_.publish_method, publish.channel, publish.data)
      .throw_if_error();
  note("published to " + publish.channel);
  return true;
}

bool Session::execute(const Send& send, const std::stop_token&) {
  client_.send(send.data);
  if (options_.verbose) {
    console_.complain(messages_.sent(*send.data, std::chrono::system_clock::now()));
  }
  return true;
}

bool Session::execute(const Wait& wait, const std::stop_token& stop) {
  std::optional<std::size_t> total;
  if (wait.packets) {
    const std::lock_guard lock(mutex_);
    total = awaited_ += *wait.packets;
  }
  this->wait(total, stop);
  return true;
}

bool Session::execute(const Sleep& sleep, const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, stop, sleep.time, [] { return false; });
  if (stop.stop_requested()) throw ws::Cancelled();
  return true;
}

bool Session::execute(const ShowState&, const std::stop_token&) {
  const ws::ClientStats stats = client_.stats();
  const auto state = ws::Document::of(
      ws::map("state", to_string(client_.state()), "uri", client_.uri(), "format",
              to_string(client_.format()), "connects", stats.connects, "messages_received",
              stats.messages_received, "messages_sent", stats.messages_sent, "bytes_received",
              stats.bytes_received, "bytes_sent", stats.bytes_sent));
  console_.print(results_.result("state", *state));
  return true;
}

bool Session::execute(const ShowHelp&, const std::stop_token&) {
  console_.print(help_on_commands());
  return true;
}

bool Session::execute(const Quit&, const std::stop_token&) { return false; }

ws::Task<void> Session::on_connect() {
  std::set<std::string> channels;
  {
    const std::lock_guard lock(mutex_);
    channels = channels_;
  }
  note("connected to " + client_.uri() + ", " + std::string(to_string(client_.format())));
  for (const std::string& channel : channels) {
    std::string text = "subscribed to " + channel + " again";
    try {
      co_await client_.call_async<void>(options_.subscribe_method, channel);
    } catch (const ws::RpcError& error) {
      text.insert(0, "not ").append(": ").append(error.what());
    }
    note(text);
  }
}

void Session::on_disconnect(ws::CloseCode code, std::string_view reason) {
  const bool goes_on = client_.state() == ws::ConnectionState::connecting;
  {
    const std::lock_guard lock(mutex_);
    if (closing_) return;
    if (!goes_on) {
      lost_.emplace("the connection is gone: " + text_of(code, reason), code, std::string(reason));
      changed_.notify_all();
    }
  }
  if (goes_on) {
    note("the connection is gone: " + text_of(code, reason) + "; trying again");
  } else {
    console_.wake();
  }
}

void Session::on_receive(const ws::Packet& packet) {
  const std::lock_guard lock(mutex_);
  if (packets_ && received_ >= *packets_) return;
  // A terminal, or a reader of our output, that is slow slows the server by this.
  console_.print(results_.received(packet, std::chrono::system_clock::now()));
  ++received_;
  changed_.notify_all();
}

ws::ClientConfig Session::config() {
  ws::ClientConfig config = options_.client;
  config.on_connect = [this](ws::Client&) { return on_connect(); };
  config.on_disconnect = [this](ws::Client&, ws::CloseCode code, std::string_view reason) {
    on_disconnect(code, reason);
  };
  config.on_receive = [this](ws::Client&, const ws::Packet& packet) { on_receive(packet); };
  if (options_.verbose) {
    config.log = [this](ws::LogLevel level, std::string_view text) {
      console_.complain(messages_.note(std::string(name_of(level)).append(text)));
    };
  }
  return config;
}

void Session::note(std::string_view text) {
  if (talks_) console_.complain(messages_.note(text));
}

}  // namespace wsc

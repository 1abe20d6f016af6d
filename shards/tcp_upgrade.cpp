// A connection before it is a WebSocket: requests, plain answers, the upgrade.

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include <webshocket/error.hpp>

#include "api/access.hpp"
#include "api/calls.hpp"
#include "api/dispatch.hpp"
#include "protocol/handshake.hpp"
#include "shards/files.hpp"
#include "shards/shard.hpp"
#include "shards/tcp_connection.hpp"
#include "shards/tcp_handshake.hpp"
#include "shards/tls_stream.hpp"
#include "shards/uid.hpp"

namespace webshocket::shards {

namespace detail = webshocket::detail;
using Status = protocol::HttpRequestReader::Status;

namespace {

constexpr std::string_view kFull = "Server is full, try again later.";

void fill(HttpRequest& request, const protocol::HttpHead& head, const Address& remote) {
  request.method = head.method;
  request.target = head.target;
  request.path = head.path;
  request.query = head.query;
  request.headers.reserve(head.headers.size());
  for (const auto& [name, value] : head.headers) request.headers.emplace_back(name, value);
  request.remote_address = remote.to_string();
}

/// Reads a file off the loop and answers with it.
Task<void> serve_file(std::string folder, std::string path, HttpResponse& response) {
  auto read = [&] { return read_file(folder, path); };
  response = co_await offload(read);
}

Task<void> ask(Task<Upgrade> question, Upgrade& answer) { answer = co_await std::move(question); }

/// `/files` holds `/files` and `/files/x`, and not `/filesystem`.
bool is_below(std::string_view path, std::string_view prefix) noexcept {
  if (!path.starts_with(prefix)) return false;
  return prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/';
}

Form form_of(const Upgrade& upgrade, const std::optional<std::string>& subprotocol) noexcept {
  if (upgrade.is_raw) return Form::raw;
  if (subprotocol == protocol::kMsgpackSubprotocol) return Form::msgpack;
  if (subprotocol == protocol::kJsonSubprotocol) return Form::json_text;
  return Form::json_binary;
}

}  // namespace

void TcpConnection::begin_http() noexcept {
  phase_ = Phase::http;
  handshake_ = std::make_unique<Handshake>(shard().config());
}

void TcpConnection::say_who(HttpRequest& request) const {
  request.is_secure = tls_ != nullptr;
  request.client_certificate = do_client_certificate();
}

void TcpConnection::take_http(std::span<const std::byte> input) noexcept {
  if (output_ended_ || finish_after_flush_) return;  // the last answer has been given
  if (handshake_->answering) {
    // Pipelined behind a request that is still being answered.
    handshake_->unread.insert(handshake_->unread.end(), input.begin(), input.end());
    return set_reading(false);
  }
  while (phase_ == Phase::http && !handshake_->answering && !finish_after_flush_) {
    const Status status = handshake_->reader.feed(input);
    if (status == Status::error) return refuse_http(handshake_->reader.error());
    if (handshake_->reader.take_continue()) {
      write([](protocol::Buffer& out) { protocol::write_http_continue(out); });
    }
    if (status == Status::incomplete) return;
    answer_http(input);
  }
  if (phase_ == Phase::http && handshake_->answering && !input.empty()) {
    handshake_->unread.assign(input.begin(), input.end());
    set_reading(false);
  }
}

Address TcpConnection::client_of(const protocol::HttpHead& head) const noexcept {
  return is_unnamed_ ? remote_ : shard().site().admission.client_of(head, remote_);
}

void TcpConnection::answer_http(std::span<const std::byte>& rest) noexcept {
  protocol::HttpRequestReader& reader = handshake_->reader;
  try {
    const protocol::HttpHead& head = reader.head();
    if (const auto error = shard().site().admission.refuse_host(head)) {
      remote_ = client_of(head);
      return turn_away(*error);
    }
    if (reader.upgrade() && head.has_token("Upgrade", "websocket")) {
      ask_for_upgrade(std::exchange(rest, {}));
    } else {
      answer_plain_http(head);
    }
  } catch (...) {
    shard().report("an HTTP handler failed", std::current_exception());
    refuse_http({500, "Internal Server Error"});
  }
}

// --- plain HTTP -------------------------------------------------------------------------------

void TcpConnection::answer_plain_http(const protocol::HttpHead& head) {
  const Site& site = shard().site();
  handshake_->keep_alive = head.keep_alive && !shard().draining();
  const bool head_only = head.method == "HEAD";
  const std::string_view method = head_only ? std::string_view("GET") : head.method;
  std::string allowed;
  for (const HttpRoute& route : site.http) {
    if (route.path != head.path) continue;
    if (route.method != method && route.method != head.method) {
      allowed += (allowed.empty() ? "" : ", ") + route.method;
      continue;
    }
    HttpRequest request;
    fill(request, head, client_of(head));
    say_who(request);
    request.body = handshake_->reader.body();
    shard().counters().http_requests.add();
    return send_http(route.handler(request), head_only, handshake_->keep_alive);
  }
  if (method == "GET") {
    for (const Folder& folder : site.folders) {
      if (!is_below(head.path, folder.prefix)) continue;
      shard().counters().http_requests.add();
      handshake_->answering = true;
      shard().calls().start(
          this,
          serve_file(folder.path, head.path.substr(folder.prefix.size()), handshake_->response),
          [this, head_only](std::exception_ptr error) {
            if (phase_ != Phase::http) return;
            if (error) return refuse_http({500, "Internal Server Error"});
            send_http(handshake_->response, head_only, handshake_->keep_alive);
          });
      return;
    }
  }
  if (!allowed.empty()) {
    return refuse_http({405, "Method not allowed.", {{"Allow", allowed}}});
  }
  const bool has_pages = !site.http.empty() || !site.folders.empty();
  if (has_pages && !head.find("Sec-WebSocket-Key") && !head.find("Upgrade")) {
    return refuse_http({404, "Not found."});
  }
  const auto checked = protocol::check_upgrade(head);
  if (const auto* error = std::get_if<protocol::HttpError>(&checked)) return refuse_http(*error);
  refuse_http({400, "This is a WebSocket endpoint: an upgrade is expected."});
}

void TcpConnection::send_http(const HttpResponse& response, bool head_only, bool keep_alive) {
  std::vector<protocol::HttpHeader> headers;
  headers.reserve(response.headers.size() + 1);
  if (!response.content_type.empty()) headers.push_back({"Content-Type", response.content_type});
  for (const auto& [name, value] : response.headers) headers.push_back({name, value});
  write([&](protocol::Buffer& out) {
    protocol::write_http_response(out, response.status, headers, response.body, keep_alive,
                                  head_only);
  });
  handshake_->waiting = outbox_bytes();
  if (!keep_alive) {
    finish_after_flush_ = true;
    return set_deadline(http_timeout());
  }
  handshake_->reader.reset();
  set_deadline(http_timeout());
  if (!std::exchange(handshake_->answering, false)) return;
  // It came later than its request's turn: what the client has sent since goes on.
  const std::vector<std::byte> unread = std::exchange(handshake_->unread, {});
  set_reading(!handshake_->at_end);
  if (!unread.empty()) take_http(unread);
  if (phase_ == Phase::http && handshake_->at_end && !handshake_->answering) {
    finish_after_flush_ = true;
  }
}

std::chrono::nanoseconds TcpConnection::http_timeout() const noexcept {
  return finish_after_flush_ ? shard().config().close_timeout : shard().config().http_keep_alive;
}

void TcpConnection::refuse_http(const protocol::HttpError& error) noexcept {
  shard().counters().upgrades_rejected.add();
  write([&](protocol::Buffer& out) {
    protocol::write_http_error(out, error, handshake_->reader.head().method == "HEAD");
  });
  if (phase_ == Phase::deciding) phase_ = Phase::http;
  handshake_->slot.release();
  finish_after_flush_ = true;
  set_reading(true);
  set_deadline(shard().config().close_timeout);
}

void TcpConnection::turn_away(const protocol::HttpError& error) noexcept {
  shard().log(LogLevel::info, remote_.to_string() + " was turned away: " + error.text);
  refuse_http(error);
}

// --- the upgrade ------------------------------------------------------------------------------

void TcpConnection::ask_for_upgrade(std::span<const std::byte> rest) {
  const Site& site = shard().site();
  const protocol::HttpHead& head = handshake_->reader.head();
  auto checked = protocol::check_upgrade(head);
  if (const auto* error = std::get_if<protocol::HttpError>(&checked)) return refuse_http(*error);
  auto& offer = std::get<protocol::UpgradeOffer>(checked);

  const std::vector<std::string>& paths = site.listeners[listener_].paths;
  const std::size_t route = site.route_of(head.path);
  if (!paths.empty() && route == 0 && std::ranges::find(paths, head.path) == paths.end()) {
    return refuse_http({404, "There is no WebSocket at this path."});
  }
  remote_ = client_of(head);
  if (const auto error = site.admission.refuse_origin(head)) return turn_away(*error);
  if (shard().draining()) return refuse_http({503, "The server is going away."});
  Slot slot = Slot::take(shard().site().connections);
  if (!slot) return refuse_http({503, std::string(kFull)});

  const auto& raw_paths = site.config.raw_paths;
  UpgradeRequest request;
  fill(request, head, remote_);
  say_who(request);
  request.subprotocols = offer.subprotocols;
  request.uid = uid();
  handshake_->route = route;
  handshake_->key = std::move(offer.key);
  handshake_->slot = std::move(slot);
  handshake_->unread.assign(rest.begin(), rest.end());
  handshake_->is_raw_path = std::ranges::find(raw_paths, head.path) != raw_paths.end();
  if (const auto chosen = protocol::choose_subprotocol(offer.subprotocols)) {
    handshake_->subprotocol = std::string(*chosen);
  }
  handshake_->deflate = protocol::accept_deflate(head, site.config.compression);

  phase_ = Phase::deciding;
  Handler& decider = shard().handler(route);
  if (detail::HandlerAccess::upgrade_async(decider)) {
    Task<Upgrade> question = decider.on_upgrade_async(request);
    if (question) {
      set_reading(false);
      shard().calls().start(this, ask(std::move(question), handshake_->answer),
                            [this](std::exception_ptr error) {
                              if (phase_ != Phase::deciding) return;
                              if (error) return upgrade_failed(std::move(error));
                              decide(std::move(handshake_->answer));
                            });
      return;
    }
  }
  try {
    decide(decider.on_upgrade(request));
  } catch (...) {
    upgrade_failed(std::current_exception());
  }
}

void TcpConnection::upgrade_failed(std::exception_ptr error) noexcept {
  shard().report("on_upgrade failed", error);
  refuse_http({500, "Internal Server Error"});
}

void TcpConnection::decide(Upgrade answer) noexcept {
  if (answer.rejected_status != 0) {
    std::string body = std::move(answer.rejected_body);
    if (body.empty()) body = protocol::http_reason(answer.rejected_status);
    protocol::HttpError error{answer.rejected_status, std::move(body)};
    for (auto& [name, value] : answer.headers) {
      error.headers.push_back({std::move(name), std::move(value)});
    }
    return refuse_http(error);
  }
  if (shard().draining()) return refuse_http({503, "The server is going away."});
  answer.is_raw = answer.is_raw || handshake_->is_raw_path;
  if (answer.is_raw) handshake_->subprotocol.reset();
  if (answer.pin_key) {
    const std::size_t home = shard().site().bus->shard_of(*answer.pin_key);
    if (home != shard().shard()) {
      // What was asked before on this connection has to be answered from here.
      flush();
      if (phase_ == Phase::doomed) return;
      if (has_output()) return refuse_http({503, "Earlier answers have not been read yet."});
      return move_to(home, std::move(answer));
    }
  }
  shard().counters().handshakes_pending.subtract();
  finish_upgrade({handshake_->route, std::move(answer), std::move(handshake_->key),
                  std::move(handshake_->subprotocol), std::move(handshake_->deflate),
                  std::move(handshake_->unread), std::move(handshake_->slot)});
}

void TcpConnection::move_to(std::size_t home, Upgrade answer) noexcept {
  Uid moved_uid = uid();
  while (shard().site().bus->shard_of(moved_uid) != home) moved_uid = mint_uid();
  auto adoption = std::make_shared<Adoption>();
  adoption->uid = moved_uid;
  adoption->remote = remote_;
  adoption->listener = listener_;
  adoption->move = std::make_unique<Move>(
      Move{handshake_->route, std::move(answer), std::move(handshake_->key),
           std::move(handshake_->subprotocol), std::move(handshake_->deflate),
           std::move(handshake_->unread), std::move(handshake_->slot)});
  doom();
  poll_.stop();  // this loop lets go of the descriptor before another one takes it
  adoption->socket = std::move(socket_);
  adoption->tls = std::move(tls_);
  shard().site().bus->post_control(home, [adoption] {
    static_cast<Shard&>(*detail::Hub::current()).adopt(std::move(*adoption));
  });
}

void TcpConnection::finish_upgrade(Move move) noexcept {
  handshake_.reset();
  slot_ = std::move(move.slot);
  std::vector<protocol::HttpHeader> extra;
  for (auto& [name, value] : move.upgrade.headers) {
    extra.push_back({std::move(name), std::move(value)});
  }
  std::optional<protocol::DeflateTerms> terms;
  std::string_view extensions;
  if (move.deflate) {
    terms = move.deflate->terms;
    extensions = move.deflate->text;
  }
  write([&](protocol::Buffer& out) {
    protocol::write_upgrade_reply(out, move.key, move.subprotocol, extensions, extra);
  });
  begin_frames(terms);
  Form form = form_of(move.upgrade, move.subprotocol);
  // Who looks back less far than what is made for all cannot have that.
  if (deflate_ != nullptr && deflate_->can_share()) form = detail::with_deflate(form);
  establish(shard().handler(move.route), form);
  set_state(ConnectionState::connected);
  for (auto& [key, value] : move.upgrade.session_values) session()[key] = std::move(value);
  set_reading(true);
  is_connected_ = true;
  shard().enter(*this);
  detail::dispatch_connect(handler(), *this);
  if (shard().draining()) shard().mark_going(*this);
  if (!move.unread.empty()) take_frames(move.unread);
}

}  // namespace webshocket::shards

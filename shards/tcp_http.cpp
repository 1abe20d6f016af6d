// Requests over plain HTTP, and their answers: all that a connection is before an upgrade.

#include <chrono>
#include <cstdint>
#include <new>
#include <string>
#include <utility>
#include <variant>

#include "api/calls.hpp"
#include "api/log_gate.hpp"
#include "api/working.hpp"
#include "protocol/handshake.hpp"
#include "shards/files.hpp"
#include "shards/shard.hpp"
#include "shards/tcp_connection.hpp"
#include "shards/tcp_handshake.hpp"
#include "shards/tls_stream.hpp"

namespace webshocket::shards {

namespace detail = webshocket::detail;
using Status = protocol::HttpRequestReader::Status;

namespace {

/// Reads a file off the loop and answers with it.
Task<void> serve_file(std::string folder, std::string path, HttpResponse& response) {
  auto read = [&] { return read_file(folder, path); };
  response = co_await offload(read);
}

/// `/files` holds `/files` and `/files/x`, and not `/filesystem`.
bool is_below(std::string_view path, std::string_view prefix) noexcept {
  if (!path.starts_with(prefix)) return false;
  return prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/';
}

}  // namespace

void TcpConnection::begin_http() {
  handshake_ = std::make_unique<Handshake>(shard());
  phase_ = Phase::http;
}

void TcpConnection::describe(HttpRequest& request, const protocol::HttpHead& head,
                             const Address& client) const {
  request.method = head.method;
  request.target = head.target;
  request.path = head.path;
  request.query = head.query;
  request.headers.reserve(head.headers.size());
  for (const auto& [name, value] : head.headers) request.headers.emplace_back(name, value);
  request.remote_address = client.to_string();
  request.is_secure = tls_ != nullptr;
  request.client_certificate = do_client_certificate();
}

void TcpConnection::take_http(std::span<const std::byte> input) {
  if (output_ended_ || finish_after_flush_) return;  // the last answer has been given
  while (phase_ == Phase::http && !finish_after_flush_ && !must_wait_for_answers()) {
    const Status status = handshake_->reader.feed(input);
    if (status == Status::error) return refuse_http(handshake_->reader.error());
    if (handshake_->reader.take_continue()) {
      write([](protocol::Buffer& out) { protocol::write_http_continue(out); });
    }
    if (status == Status::incomplete) return settle_http();
    answer_http(input);
  }
  if (phase_ != Phase::http || finish_after_flush_) return;
  // Pipelined behind a request that is still being answered, or behind answers that nobody reads.
  handshake_->unread.insert(handshake_->unread.end(), input.begin(), input.end());
  set_reading(false);
  settle_http();
}

bool TcpConnection::must_wait_for_answers() {
  const std::size_t limit = shard().config().outbox_limit;
  if (handshake_->answering) return true;
  if (limit == 0 || outbox_bytes() <= limit) return false;
  // What was answered in one turn is no sign of a slow reader: let the socket take what it can.
  flush();
  return phase_ != Phase::http || outbox_bytes() > limit;
}

void TcpConnection::settle_http() {
  if (handshake_->settle()) return;
  if (handshake_->answering) return doom();  // an answer must not overtake the one being made
  refuse_http({503, "The server has no room for this request (inbound_total_limit)."});
}

void TcpConnection::take_unread() {
  const std::vector<std::byte> unread = std::exchange(handshake_->unread, {});
  set_reading(!handshake_->at_end);
  if (!unread.empty()) take_http(unread);
  if (phase_ != Phase::http) return;
  handshake_->settle();
  if (!handshake_->at_end || handshake_->answering || !handshake_->unread.empty()) return;
  finish_after_flush_ = true;
  if (!has_output()) finish();
}

void TcpConnection::go_on_with_http() {
  if (!finish_after_flush_ && !reading_ && !must_wait_for_answers()) take_unread();
}

void TcpConnection::on_http_flushed() {
  if (handshake_->waiting != 0 && !has_output()) {
    handshake_->waiting = 0;
    set_deadline(http_timeout());
  }
  const std::size_t limit = shard().config().outbox_limit;
  const bool has_room = limit == 0 || outbox_bytes() <= limit;
  if (!reading_ && !handshake_->answering && has_room) shard().mark_going(*this);
}

bool TcpConnection::keep_open() noexcept {
  if (!handshake_->is_pending) return true;
  Slot kept = Slot::take(shard().site().kept_alive);
  if (!kept) {
    shard().counters().keep_alives_refused.add();
    return false;
  }
  std::swap(slot_, kept);
  end_pending();
  return true;
}

void TcpConnection::end_pending() noexcept {
  if (std::exchange(handshake_->is_pending, false)) {
    shard().counters().handshakes_pending.subtract();
  }
}

IpTable::Verdict TcpConnection::name_client(const Address& client) {
  if (client == remote_) return IpTable::Verdict::fits;
  remote_ = client;
  return shard().site().ips.name(remote_, shard().now(), place_);
}

Address TcpConnection::client_of(const protocol::HttpHead& head) const noexcept {
  return is_unnamed_ ? remote_ : shard().site().admission.client_of(head, remote_);
}

void TcpConnection::answer_http(std::span<const std::byte>& rest) {
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
  } catch (const std::bad_alloc&) {
    throw;
  } catch (...) {
    shard().report("an HTTP handler failed", std::current_exception());
    refuse_http({500, "Internal Server Error"});
  }
}

// --- plain HTTP -------------------------------------------------------------------------------

void TcpConnection::answer_plain_http(const protocol::HttpHead& head) {
  const Site& site = shard().site();
  handshake_->keep_alive = head.keep_alive && !shard().draining() && keep_open();
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
    describe(request, head, client_of(head));
    request.body = handshake_->reader.body();
    shard().counters().http_requests.add();
    const webshocket::detail::Working working(shard(), webshocket::detail::kHttp);
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
            guard([&] {
              if (error) return refuse_http({500, "Internal Server Error"});
              const HttpResponse file = std::exchange(handshake_->response, {});
              send_http(file, head_only, handshake_->keep_alive);
            });
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
  const std::size_t before = outbox_bytes();
  write([&](protocol::Buffer& out) {
    protocol::write_http_response(out, response.status, headers, response.body, keep_alive,
                                  head_only);
  });
  finish_after_flush_ = !keep_alive;
  // Who does not read what it was given gets no more time by asking for more.
  if (handshake_->waiting == 0) {
    handshake_->waiting = before + socket_.unsent();
    set_deadline(http_timeout());
  }
  handshake_->waiting += outbox_bytes() - before;
  if (!keep_alive) return;
  handshake_->reader.reset();
  handshake_->settle();
  // It came later than its request's turn: what the client has sent since goes on.
  if (std::exchange(handshake_->answering, false)) take_unread();
}

bool TcpConnection::is_reading_answers() noexcept {
  constexpr std::int64_t kLeastPerSecond = 1024;
  const std::size_t before = handshake_->waiting;
  handshake_->waiting = outbox_bytes() == 0 ? 0 : outbox_bytes() + socket_.unsent();
  if (handshake_->waiting == 0 || handshake_->waiting >= before) return false;
  const auto least = http_timeout() / std::chrono::milliseconds(1) * kLeastPerSecond / 1000;
  return before - handshake_->waiting >= static_cast<std::size_t>(least);
}

std::chrono::nanoseconds TcpConnection::http_timeout() const noexcept {
  return finish_after_flush_ ? shard().config().close_timeout : shard().config().http_keep_alive;
}

void TcpConnection::refuse_http(const protocol::HttpError& error) {
  shard().counters().upgrades_rejected.add();
  write([&](protocol::Buffer& out) {
    protocol::write_http_error(out, error, handshake_->reader.head().method == "HEAD");
  });
  if (phase_ == Phase::deciding) phase_ = Phase::http;
  handshake_->slot.release();
  handshake_->waiting = outbox_bytes();
  finish_after_flush_ = true;
  set_reading(true);
  set_deadline(shard().config().close_timeout);
}

void TcpConnection::turn_away(const protocol::HttpError& error) {
  shard().log_gate().say(shard(), detail::LogTopic::turned_away, LogLevel::info,
                         [&] { return remote_.to_string() + " was turned away: " + error.text; });
  refuse_http(error);
}

}  // namespace webshocket::shards

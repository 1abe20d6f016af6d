// From the request for a WebSocket to the first frame.

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include <webshocket/error.hpp>

#include "api/access.hpp"
#include "api/calls.hpp"
#include "api/dispatch.hpp"
#include "api/working.hpp"
#include "protocol/handshake.hpp"
#include "shards/shard.hpp"
#include "shards/tcp_connection.hpp"
#include "shards/tcp_handshake.hpp"
#include "shards/tls_stream.hpp"
#include "shards/uid.hpp"

namespace webshocket::shards {

namespace detail = webshocket::detail;

namespace {

constexpr std::string_view kFull = "Server is full, try again later.";

Task<void> ask(Task<Upgrade> question, Upgrade& answer) { answer = co_await std::move(question); }

protocol::HttpError too_many(IpTable::Verdict verdict) {
  const bool is_network = verdict == IpTable::Verdict::too_many_per_64;
  return {429, std::string("Too many connections from your ") +
                   (is_network ? "network (max_connections_per_64)."
                               : "address (max_connections_per_ip).")};
}

Form form_of(const Upgrade& upgrade, const std::optional<std::string>& subprotocol) noexcept {
  if (upgrade.is_raw) return Form::raw;
  if (subprotocol == protocol::kMsgpackSubprotocol) return Form::msgpack;
  if (subprotocol == protocol::kJsonSubprotocol) return Form::json_text;
  return Form::json_binary;
}

}  // namespace

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
  const IpTable::Verdict verdict = name_client(client_of(head));
  if (verdict != IpTable::Verdict::fits) return turn_away(too_many(verdict));
  if (const auto error = site.admission.refuse_origin(head)) return turn_away(*error);
  if (shard().draining()) return refuse_http(Shard::going_away());
  Slot slot = Slot::take(shard().site().connections);
  if (!slot) return refuse_http({503, std::string(kFull)});

  const auto& raw_paths = site.config.raw_paths;
  UpgradeRequest request;
  describe(request, head, remote_);
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
      shard().calls().start(
          this, ask(std::move(question), handshake_->answer),
          [this](std::exception_ptr error) {
            if (phase_ != Phase::deciding) return;
            guard([&] {
              error ? upgrade_failed(std::move(error)) : decide(std::move(handshake_->answer));
            });
          },
          detail::kOnUpgrade);
      return;
    }
  }
  try {
    const detail::Working working(shard(), detail::kOnUpgrade);
    handshake_->answer = decider.on_upgrade(request);
  } catch (...) {
    return upgrade_failed(std::current_exception());
  }
  decide(std::move(handshake_->answer));
}

void TcpConnection::upgrade_failed(std::exception_ptr error) {
  shard().report("on_upgrade failed", error);
  refuse_http({500, "Internal Server Error"});
}

void TcpConnection::decide(Upgrade answer) {
  if (answer.rejected_status != 0) {
    std::string body = std::move(answer.rejected_body);
    if (body.empty()) body = protocol::http_reason(answer.rejected_status);
    protocol::HttpError error{answer.rejected_status, std::move(body)};
    for (auto& [name, value] : answer.headers) {
      error.headers.push_back({std::move(name), std::move(value)});
    }
    return refuse_http(error);
  }
  if (shard().draining()) return refuse_http(Shard::going_away());
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
  end_pending();
  finish_upgrade({handshake_->route, std::move(answer), std::move(handshake_->key),
                  std::move(handshake_->subprotocol), std::move(handshake_->deflate),
                  std::move(handshake_->unread), std::move(handshake_->slot)});
}

void TcpConnection::move_to(std::size_t home, Upgrade answer) {
  Uid moved_uid = uid();
  while (shard().site().bus->shard_of(moved_uid) != home) moved_uid = mint_uid();
  auto adoption = std::make_shared<Adoption>();
  adoption->uid = moved_uid;
  adoption->remote = remote_;
  adoption->listener = listener_;
  adoption->place = std::move(place_);
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

void TcpConnection::finish_upgrade(Move move) {
  handshake_.reset();
  slot_ = std::move(move.slot);
  // First what may lack memory: as long as it is not open it is nobody's connection.
  for (auto& [key, value] : move.upgrade.session_values) session()[key] = std::move(value);
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
  if (phase_ == Phase::doomed) return;
  begin_frames(terms);
  Form form = form_of(move.upgrade, move.subprotocol);
  // Who looks back less far than what is made for all cannot have that.
  if (deflate_ != nullptr && deflate_->can_share()) form = detail::with_deflate(form);
  establish(shard().handler(move.route), form);
  set_state(ConnectionState::connected);
  set_reading(true);
  is_connected_ = true;
  shard().enter(*this);
  detail::dispatch_connect(handler(), *this);
  if (!move.unread.empty()) take_frames(move.unread);
  if (shard().draining()) leave();
}

}  // namespace webshocket::shards

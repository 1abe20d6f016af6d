// From the inbox, or straight from a publisher on this shard, to the outboxes.

#include <algorithm>
#include <array>
#include <memory>

#include "api/access.hpp"
#include "api/dispatch.hpp"
#include "shards/shard.hpp"

namespace webshocket::shards {
namespace {

/// The frames of one delivery in this shard's forms, made when the first recipient wants them.
class Frames {
 public:
  Frames(const Delivery& delivery, SharedBytes& bytes) noexcept
      : delivery_(delivery), bytes_(bytes) {}

  /// Nothing if the message was not made in that form: the recipient came after the publish.
  const FrameRef* of(Form wanted) {
    const Form form = delivery_.message->given_as(wanted);
    FrameRef& frame = frames_[static_cast<std::size_t>(form)];
    if (!frame) {
      if (delivery_.message->frames(form).empty()) return nullptr;
      frame = FrameRef(std::make_unique<Frame>(delivery_.message, form, bytes_));
    }
    return &frame;
  }

 private:
  const Delivery& delivery_;
  SharedBytes& bytes_;
  std::array<FrameRef, kForms> frames_;
};

}  // namespace

bool Shard::receive(const Delivery& delivery) noexcept {
  if (delivery.work) return run_work(delivery);
  return deliver(delivery).delivered != 0;
}

Shard::Outcome Shard::deliver(const Delivery& delivery) noexcept {
  Frames frames(delivery, shared_bytes_);
  Outcome outcome;
  const auto give = [&](TcpConnection& connection) {
    ++outcome.tried;
    if (!delivery.predicate.empty() && !delivery.predicate(connection)) return;
    const FrameRef* frame = frames.of(webshocket::detail::ConnectionAccess::form(connection));
    if (frame == nullptr) return;
    ++(connection.deliver(*frame) ? outcome.delivered : outcome.dropped);
  };
  switch (delivery.target) {
    case Delivery::Target::channel:
      channels_.for_each_match(delivery.channel, [&](Subscriber& subscriber) {
        give(static_cast<TcpConnection&>(subscriber));
      });
      break;
    case Delivery::Target::everybody:
      for (std::size_t route = 0; route < handlers_.size(); ++route) {
        if (delivery.route != Delivery::kAllRoutes && delivery.route != route) continue;
        for (Connection& connection :
             webshocket::detail::HandlerAccess::roster(*handlers_[route])) {
          give(static_cast<TcpConnection&>(connection));
        }
      }
      break;
    case Delivery::Target::one:
      if (TcpConnection* connection = table_.find(delivery.uid)) give(*connection);
      break;
  }
  counters_.deliveries.add(outcome.delivered + outcome.dropped);
  counters_.deliveries_dropped.add(outcome.dropped);
  return outcome;
}

bool Shard::run_work(const Delivery& delivery) noexcept {
  TcpConnection* connection = table_.find(delivery.uid);
  if (connection == nullptr || !connection->is_open()) return false;
  try {
    delivery.work(*connection);
  } catch (...) {
    report("posted work failed", std::current_exception());
  }
  return true;
}

void Shard::drain_inbox() noexcept {
  inbox_left_ = false;
  run_controls();
  std::size_t recipients = 0;
  std::size_t bytes = 0;
  for (std::shared_ptr<const Delivery> delivery; inbox_.take(delivery);) {
    bytes += delivery->cost();
    ++recipients;
    if (delivery->work) {
      run_work(*delivery);
    } else {
      recipients += deliver(*delivery).tried;
    }
    if (recipients >= kRecipientsPerTurn) {
      inbox_left_ = true;
      break;
    }
  }
  if (bytes != 0) inbox_.give_back(bytes);
}

bool Shard::publish(const Handler&, std::span<const std::string_view> channels,
                    const Content& content, const Predicate& predicate) {
  if (burying_ && draining_) return false;
  std::vector<std::string> lacking;
  const bool posted = site_.bus->publish(channels, content, predicate, &lacking);
  site_.warn_of_lacking(lacking);
  return posted;
}

bool Shard::broadcast(const Handler& from, const Content& content, const Predicate& predicate) {
  if (burying_ && draining_) return false;
  return site_.bus->broadcast(webshocket::detail::HandlerAccess::route(from), content, predicate);
}

std::vector<Connection*> Shard::subscribers(const Handler& of, std::string_view channel) {
  std::vector<Connection*> list;
  channels_.for_each_match(channel, [&](Subscriber& subscriber) {
    auto& connection = static_cast<TcpConnection&>(subscriber);
    if (&webshocket::detail::ConnectionAccess::handler(connection) == &of) {
      list.push_back(&connection);
    }
  });
  return list;
}

std::vector<std::string> Shard::channels() const {
  std::vector<std::string> list;
  for (const std::string_view name : channels_.channels()) list.emplace_back(name);
  for (const std::string_view name : channels_.patterns()) list.emplace_back(name);
  std::ranges::sort(list);
  return list;
}

}  // namespace webshocket::shards

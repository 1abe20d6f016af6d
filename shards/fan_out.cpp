// From the inbox, or straight from a publisher on this shard, to the outboxes.

#include <algorithm>
#include <array>
#include <memory>

#include "api/access.hpp"
#include "api/dispatch.hpp"
#include "shards/shard.hpp"

namespace webshocket::shards {
namespace {

/// One delivery in this shard's runs, put there when the first recipient wants it.
class Pieces {
 public:
  Pieces(Runs& runs, std::uint64_t target, const Delivery& delivery) noexcept
      : runs_(runs), target_(target), delivery_(delivery) {}

  /// Nothing if the message was not made in that form: the recipient came after the publish.
  const Piece* of(Form wanted) {
    const Piece& piece = pieces_[static_cast<std::size_t>(wanted)];
    return piece.run ? &piece : make(wanted);
  }

 private:
  const Piece* make(Form wanted) {
    const Message& message = *delivery_.message;
    const Form form = message.given_as(wanted);
    if (message.frames(form).empty()) return nullptr;
    Piece& given = pieces_[static_cast<std::size_t>(form)];
    if (!given.run) {
      given = {runs_.add(target_, delivery_.message, form), webshocket::detail::is_deflate(form)};
    }
    return &(pieces_[static_cast<std::size_t>(wanted)] = given);
  }

  Runs& runs_;
  std::uint64_t target_;
  const Delivery& delivery_;
  std::array<Piece, kForms> pieces_;
};

}  // namespace

bool Shard::receive(const Delivery& delivery) noexcept {
  if (delivery.work) return run_work(delivery);
  return deliver(delivery).delivered != 0;
}

void Shard::hold(std::shared_ptr<const Delivery> delivery) {
  if (draining_) {
    deliver(*delivery);
  } else {
    ticks_.add(std::move(delivery));
  }
}

Shard::Outcome Shard::deliver(const Delivery& delivery) noexcept {
  if (delivery.target == Delivery::Target::one) return deliver_to_one(delivery);
  Outcome outcome;
  const auto give_all = [&](std::uint64_t target, auto&& for_each) {
    Pieces pieces(runs_, target, delivery);
    const Piece* last = nullptr;
    const auto give = [&](TcpConnection& connection) {
      ++outcome.tried;
      // Who got what lies in front of this, gets this in the same form.
      if (last != nullptr && connection.extend(*last)) {
        ++outcome.delivered;
        return;
      }
      const Piece* piece = pieces.of(webshocket::detail::ConnectionAccess::form(connection));
      if (piece == nullptr) return;
      last = piece;
      if (connection.extend(*piece) || connection.deliver(*piece)) {
        ++outcome.delivered;
      } else {
        ++outcome.dropped;
      }
    };
    if (delivery.predicate.empty()) return for_each(give);
    for_each([&](TcpConnection& connection) {
      if (delivery.predicate(connection)) {
        give(connection);
      } else {
        ++outcome.tried;
      }
    });
  };
  if (delivery.target == Delivery::Target::channel) {
    give_all(channels_.hash(delivery.channel), [&](auto&& give) {
      channels_.for_each_match(delivery.channel, [&](Subscriber& subscriber) {
        give(static_cast<TcpConnection&>(subscriber));
      });
    });
  } else {
    give_all(delivery.route, [&](auto&& give) {
      for (std::size_t route = 0; route < handlers_.size(); ++route) {
        if (delivery.route != Delivery::kAllRoutes && delivery.route != route) continue;
        for (Connection& connection :
             webshocket::detail::HandlerAccess::roster(*handlers_[route])) {
          give(static_cast<TcpConnection&>(connection));
        }
      }
    });
  }
  count(outcome);
  return outcome;
}

// Nobody to share it with: a small message is copied to where its replies are.
Shard::Outcome Shard::deliver_to_one(const Delivery& delivery) noexcept {
  Outcome outcome;
  TcpConnection* const connection = table_.find(delivery.uid);
  if (connection == nullptr) return outcome;
  outcome.tried = 1;
  if (delivery.predicate.empty() || delivery.predicate(*connection)) {
    const Form form =
        delivery.message->given_as(webshocket::detail::ConnectionAccess::form(*connection));
    if (!delivery.message->frames(form).empty()) {
      ++(connection->deliver(delivery.message, form) ? outcome.delivered : outcome.dropped);
    }
  }
  count(outcome);
  return outcome;
}

void Shard::count(const Outcome& outcome) noexcept {
  counters_.deliveries.add(outcome.delivered + outcome.dropped);
  counters_.deliveries_dropped.add(outcome.dropped);
  counters_.messages_sent.add(outcome.delivered);
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
    } else if (delivery->tick.count() != 0) {
      hold(std::move(delivery));
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

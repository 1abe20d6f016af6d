// From the inbox, or straight from a publisher on this shard, to the outboxes.

#include <algorithm>
#include <array>
#include <cassert>
#include <memory>
#include <new>

#include "api/access.hpp"
#include "api/dispatch.hpp"
#include "api/working.hpp"
#include "protocol/frame_writer.hpp"
#include "protocol/packet_codec.hpp"
#include "shards/shard.hpp"

namespace webshocket::shards {
namespace {

/// One per form. Made when it is wanted: to clear all of them takes longer than to give the message
/// to a few.
class Pieces {
 public:
  Pieces() noexcept {}  // NOLINT(modernize-use-equals-default): the places stay as they are
  ~Pieces() {
    made_.for_each([this](Form form) { std::destroy_at(&at(form)); });
  }
  Pieces(const Pieces&) = delete;
  Pieces& operator=(const Pieces&) = delete;

  Forms made() const noexcept { return made_; }
  const Piece* find(Form form) const noexcept { return made_.has(form) ? &at(form) : nullptr; }
  /// REQUIRES: there is none of that form.
  const Piece& add(Form form, Piece piece) noexcept {
    made_.add(form);
    return *std::construct_at(&at(form), std::move(piece));
  }

 private:
  union Place {
    Place() noexcept {}  // NOLINT(modernize-use-equals-default)
    ~Place() {}          // NOLINT(modernize-use-equals-default)
    Piece piece;
  };
  Piece& at(Form form) noexcept { return places_[static_cast<std::size_t>(form)].piece; }
  const Piece& at(Form form) const noexcept {
    return places_[static_cast<std::size_t>(form)].piece;
  }

  std::array<Place, kForms> places_;
  Forms made_;
};

/// What the runs of a delivery to many are found by.
std::uint64_t target_of(const Delivery& delivery) noexcept {
  return delivery.target == Delivery::Target::channel ? delivery.hash
                                                      : static_cast<std::uint64_t>(delivery.route);
}

// The same name elsewhere is another thing's.
std::uint64_t key_in_run(const Delivery& delivery) noexcept {
  if (delivery.key_hash == Run::kNoKey) return Run::kNoKey;
  constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15;
  return (delivery.key_hash ^ (target_of(delivery) * kGolden)) | 1;
}

/// Gives one delivery to one recipient after the other.
class Giver {
 public:
  Giver(const Shard& shard, Runs& runs, const Delivery& delivery) noexcept
      : shard_(shard), runs_(runs), delivery_(delivery) {}

  void operator()(TcpConnection& connection) {
    // Who got what lies in front of this, gets this in the same form.
    if (last_ != nullptr && connection.extend(*last_)) {
      ++outcome_.delivered;
    } else {
      ++(outcome_.*give(connection));
    }
  }
  void pass_over() noexcept { ++outcome_.passed_over; }

  const Outcome& outcome() const noexcept { return outcome_; }
  /// Each has got it behind what he has, or in front of what comes next.
  bool all_alike() const noexcept { return are_alike_ && outcome_.delivered == outcome_.tried(); }
  Forms wanted() const noexcept { return pieces_.made(); }

 private:
  // Not for each: the walk past those before it is to stay short.
  [[gnu::noinline]] std::size_t Outcome::*give(TcpConnection& connection) {
    try {
      const Piece* piece = piece_in(webshocket::detail::ConnectionAccess::form(connection));
      if (piece == nullptr) return &Outcome::passed_over;
      last_ = piece;
      if (connection.extend(*piece) || connection.begin(*piece)) return &Outcome::delivered;
      const Given given = connection.deliver(*piece);
      are_alike_ = are_alike_ && connection.is_next_behind(*piece);
      return outcome_of(given);
    } catch (const std::bad_alloc&) {
      // Who is not told so would never know what is lacking.
      if (!connection.is_open()) return &Outcome::passed_over;
      connection.out_of_memory();
      return &Outcome::lost;
    }
  }

  static std::size_t Outcome::*outcome_of(Given given) noexcept {
    switch (given) {
      case Given::taken:
        return &Outcome::delivered;
      case Given::dropped:
        return &Outcome::dropped;
      case Given::gone:
        break;
    }
    return &Outcome::passed_over;
  }

  /// Put into a run when the first recipient wants it. Nothing if the message was not made in that
  /// form: the recipient came after the publish.
  const Piece* piece_in(Form wanted) {
    if (const Piece* piece = pieces_.find(wanted)) return piece;
    const Message& message = *delivery_.message;
    const Form form = message.given_as(wanted);
    if (message.frames(form).empty()) return nullptr;
    const Piece* given = pieces_.find(form);
    if (given == nullptr) given = &pieces_.add(form, make_piece(form));
    return form == wanted ? given : &pieces_.add(wanted, Piece(*given));
  }

  Piece make_piece(Form form) {
    Range range = runs_.add(target_of(delivery_), delivery_.message, form, {.rule = delivery_.rule},
                            key_in_run(delivery_));
    are_alike_ = are_alike_ && range.size() <= Runs::kMostCopied;
    const OutboxRule rule = shard_.outbox_rules().combine(delivery_.rule, shard_.outbox_rule());
    const std::size_t end = range.end;
    const std::size_t size = range.size();
    const std::size_t begin_of_following = range.run->begin_of_following(range.begin);
    return {std::move(range), begin_of_following, TcpConnection::limit_of_burst(end, size, rule),
            webshocket::detail::is_deflate(form)};
  }

  Outcome outcome_;
  bool are_alike_ = true;
  const Piece* last_ = nullptr;
  const Shard& shard_;
  Runs& runs_;
  const Delivery& delivery_;
  Pieces pieces_;
};

}  // namespace

bool Shard::receive(const Delivery& delivery) noexcept {
  if (delivery.work) return run_work(delivery);
  return deliver(delivery).delivered != 0;
}

void Shard::hold(std::shared_ptr<const Delivery> delivery) {
  if (!draining_) {
    try {
      return ticks_.add(delivery);
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): sooner, then
    }
  }
  deliver(*delivery);
}

Outcome Shard::deliver(const Delivery& delivery) noexcept {
  if (delivery.target == Delivery::Target::one) return deliver_to_one(delivery);
  const bool is_channel = delivery.target == Delivery::Target::channel;
  assert(!is_channel || delivery.hash == channels_.hash(delivery.channel));
  Giver give(*this, runs_, delivery);
  // Who has come meanwhile with a form of his own would get this one by chance, but not each of
  // those behind it.
  const bool is_settled = census().is_settled(index_, delivery.moment);
  const auto forms_made = [&] {
    const auto bucket = is_channel ? Census::bucket_of(delivery.hash) : Census::kEverybody;
    return census().made(index_, bucket, delivery.moment);
  };
  const Forms made = is_settled ? Forms() : forms_made();
  const auto is_meant = [&](const TcpConnection& connection) {
    if (!is_settled && !made.has(webshocket::detail::ConnectionAccess::form(connection))) {
      return false;
    }
    return delivery.predicate.empty() || delivery.predicate(connection);
  };
  const auto walk = [&](auto&& each) {
    if (is_channel) {
      channels_.for_each_match(delivery.channel, delivery.hash, [&](Subscriber& subscriber) {
        each(static_cast<TcpConnection&>(subscriber));
      });
      return;
    }
    for (std::size_t route = 0; route < handlers_.size(); ++route) {
      if (delivery.route != Delivery::kAllRoutes && delivery.route != route) continue;
      for (Connection& connection : webshocket::detail::HandlerAccess::roster(*handlers_[route])) {
        each(static_cast<TcpConnection&>(connection));
      }
    }
  };
  try {
    if (is_settled && delivery.predicate.empty()) {
      const Audience audience = audience_of(delivery);
      if (const std::size_t followers = append_for_followers(audience, delivery)) {
        return has_given(followers);
      }
      walk(give);
      if (give.all_alike()) {
        runs_.follow(audience, give.wanted(), delivery.message->given_as(give.wanted()),
                     give.outcome().delivered);
      }
    } else {
      walk([&](TcpConnection& connection) {
        is_meant(connection) ? give(connection) : give.pass_over();
      });
    }
  } catch (const std::bad_alloc&) {  // to find out who it is for
    counters_.allocation_failures.add();
  }
  count(give.outcome());
  return give.outcome();
}

std::size_t Shard::append_for_followers(const Audience& audience,
                                        const Delivery& delivery) noexcept {
  const Message& message = *delivery.message;
  Runs::Following* const following = runs_.following(audience);
  if (following == nullptr || message.given_as(following->wanted) != following->given) return 0;
  const bool is_given = runs_.append(
      *following, key_in_run(delivery), [&](Form form) { return message.frames(form).size(); },
      [&](Form form, protocol::Buffer& out) { out.append(message.frames(form)); });
  return is_given ? following->followers : 0;
}

bool Shard::give_to_followers(const Delivery& delivery, const Content& content,
                              std::size_t fragment_size) {
  if (content.packet != nullptr || !census().is_settled(index_, delivery.moment)) return false;
  const Audience audience = audience_of(delivery);
  Runs::Following* following = runs_.following(audience);
  if (following == nullptr || !following->wanted.is_one() ||
      !following->wanted.deflated().empty()) {
    return false;
  }
  const Form form = following->wanted.first();
  std::optional<Opcode> opcode;
  std::span<const std::byte> payload = content.data.bytes();
  if (form == Form::raw) opcode = protocol::raw_as_it_lies(content.data);
  if (!opcode) {
    protocol::Buffer& encoded = scratch();
    opcode = encode(delivery.source(), delivery.packet_channel(), content, form, encoded);
    payload = encoded.span();
    // Asked again, as a value's own function has written it, and can have done anything.
    following = opcode ? runs_.following(audience) : nullptr;
    if (following == nullptr || following->wanted != Forms(form)) return false;
  }
  const bool is_given = runs_.append(
      *following, key_in_run(delivery),
      [&](Form) { return protocol::framed_size(payload.size(), fragment_size); },
      [&](Form, protocol::Buffer& out) {
        protocol::write_message(out, *opcode, payload, fragment_size);
      });
  if (is_given) has_given(following->followers);
  return is_given;
}

Outcome Shard::has_given(std::size_t followers) noexcept {
  const Outcome outcome{.delivered = followers};
  count(outcome);
  return outcome;
}

Audience Shard::audience_of(const Delivery& delivery) const noexcept {
  if (delivery.target == Delivery::Target::channel) {
    return {target_of(delivery), delivery.channel, channels_.changes()};
  }
  std::uint64_t changes = 0;
  for (const auto& handler : handlers_) {
    changes += webshocket::detail::HandlerAccess::roster(*handler).changes();
  }
  return {target_of(delivery), {}, changes};
}

// Nobody to share it with: a small message is copied to where its replies are.
Outcome Shard::deliver_to_one(const Delivery& delivery) noexcept {
  TcpConnection* const connection = table_.find(delivery.uid);
  if (connection == nullptr) return {};
  constexpr Outcome kPassedOver{.passed_over = 1};
  if (!delivery.predicate.empty() && !delivery.predicate(*connection)) return kPassedOver;
  const Form form =
      delivery.message->given_as(webshocket::detail::ConnectionAccess::form(*connection));
  if (delivery.message->frames(form).empty()) return kPassedOver;
  bool is_taken = false;
  connection->guard(
      [&] { is_taken = connection->deliver(delivery.message, form) == Given::taken; });
  if (!is_taken) return {.dropped = 1};
  counters_.messages_sent.add();
  return {.delivered = 1};
}

void Shard::count(const Outcome& outcome) noexcept {
  counters_.deliveries.add(outcome.delivered + outcome.dropped + outcome.lost);
  counters_.dropped_disconnect.add(outcome.lost);
  counters_.messages_sent.add(outcome.delivered);
}

bool Shard::run_work(const Delivery& delivery) noexcept {
  TcpConnection* connection = table_.find(delivery.uid);
  if (connection == nullptr || !connection->is_open()) return false;
  const webshocket::detail::Working working(*this, webshocket::detail::kPosted);
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
      recipients += deliver(*delivery).tried();
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

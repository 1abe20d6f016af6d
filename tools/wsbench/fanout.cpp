#include "fanout.hpp"

#include <algorithm>
#include <utility>

#include "clock.hpp"
#include "failure.hpp"
#include "session.hpp"
#include "usage.hpp"

namespace wsbench {
namespace {

std::vector<std::uint32_t> channels_of(const FanoutOptions& options) {
  std::vector<std::uint32_t> channels(options.subscribers);
  for (std::size_t i = 0; i < channels.size(); ++i) {
    channels[i] = static_cast<std::uint32_t>(i % options.channels);
  }
  return channels;
}

}  // namespace

Fanout::Fanout(const FanoutOptions& options, ServerProcess& server, Progress& progress)
    : options_(options),
      server_(server),
      progress_(progress),
      target_(server.uri()),
      dialect_(dialect_of(options.dialect, target_.path(), options.channels)),
      stamps_(dialect_.spelling, options.size),
      swarm_(target_),
      log_(channels_of(options), options.channels),
      subscribers_(options.subscribers),
      usage_(server) {
  const std::size_t smallest = Stamps::smallest(dialect_.spelling);
  if (options.size < smallest) {
    throw UsageFailure("--size: what a delivery is known by takes " + std::to_string(smallest) +
                       " bytes here");
  }
  if (options.subscribers < options.channels) {
    throw UsageFailure("--channels: there are fewer subscribers");
  }
  const std::size_t publishers = dialect_.channel_in_path() ? options.channels : 1;
  for (std::size_t i = 0; i < publishers; ++i) {
    Publisher publisher;
    publisher.id = static_cast<Swarm::Id>(options.subscribers + i);
    for (std::size_t channel = i; channel < options.channels; channel += publishers) {
      publisher.messages.push_back(
          publication(dialect_.publisher, channel_name(options.channels, channel), stamps_));
    }
    publishers_.push_back(std::move(publisher));
  }
}

void Fanout::prepare() {
  connect_all();
  await_subscriptions();
  for (std::size_t i = 0; i < options_.subscribers; ++i) {
    swarm_.only_listens(static_cast<Swarm::Id>(i));
  }
  const double stalled = options_.stalled_share * static_cast<double>(options_.subscribers);
  for (std::size_t i = 0; i < static_cast<std::size_t>(stalled); ++i) {
    swarm_.stop_reading(static_cast<Swarm::Id>(i));
    log_.ignore(i);
  }
  delivered_ = expected_ = 0;
  whole_ = publish_for(std::nullopt, options_.loop.warm_up_s);
  latency_.clear();
  counted_from_ = delivered_;
}

void Fanout::connect_all() {
  const bool many = dialect_.channel_in_path();
  const std::size_t publishers = many ? options_.channels : 1;
  open_all(
      swarm_, *this, options_.subscribers + publishers, options_.loop.patience_ns(),
      [&](std::size_t i) {
        if (progress_.is_due()) show("connecting");
        const bool subscribes = i < options_.subscribers;
        const Speech& speech =
            subscribes ? dialect_.subscribers[i % dialect_.subscribers.size()] : dialect_.publisher;
        const std::size_t channel = subscribes ? i % options_.channels : i - options_.subscribers;
        return target_.request(
            replaced(speech.path, "{channel}", channel_name(options_.channels, channel)),
            speech.subprotocol);
      });
}

void Fanout::await_subscriptions() {
  // Not every server confirms a subscription, so what shows that it holds is a delivery.
  const std::uint64_t deadline = now_ns() + options_.loop.patience_ns();
  while (true) {
    const std::uint64_t round_end = now_ns() + 4 * kTick;
    for (std::size_t i = 0; i < options_.channels; ++i) publish(now_ns());
    flush_publishers();
    std::size_t current = 0;
    do {
      if (!swarm_.poll(kTick, *this)) server_.check_alive();
      current = count_current();
      if (current == options_.subscribers) return;
    } while (now_ns() < round_end);
    if (now_ns() > deadline) {
      throw Failure(std::to_string(options_.subscribers - current) + " of " +
                    std::to_string(options_.subscribers) +
                    " subscribers do not get what is published" +
                    (last_other_.empty() ? "" : "; the server said: " + shown(last_other_)));
    }
  }
}

std::size_t Fanout::count_current() const {
  std::size_t count = 0;
  for (std::size_t i = 0; i < log_.size(); ++i) count += log_.is_current(i) ? 1 : 0;
  return count;
}

void Fanout::run(std::size_t parts) {
  if (!whole_) return;
  std::optional<std::uint64_t> bursts;
  if (options_.bursts) {
    bursts = *options_.bursts * (parts_run_ + 1) / parts - *options_.bursts * parts_run_ / parts;
  }
  ++parts_run_;
  usage_.begin();
  whole_ = publish_for(bursts, options_.loop.duration_s / static_cast<double>(parts));
  usage_.end();
}

Result Fanout::finish() {
  Result result;
  const std::uint64_t delivered = delivered_ - counted_from_;
  result.add("deliveries", static_cast<double>(delivered));
  usage_.add_to(result, "delivery", "deliveries", delivered);
  result.add_latency(latency_);
  add_memory(result, server_);
  settle(swarm_, *this);
  const DeliveryLog::Counts counts = log_.counts();
  result.add("missing", static_cast<double>(counts.missing));
  result.add("duplicate", static_cast<double>(counts.duplicate));
  result.add("out_of_order", static_cast<double>(counts.out_of_order));
  result.add("never_sent", static_cast<double>(counts.never_sent));
  result.add("damaged", static_cast<double>(counts.damaged));
  result.faults = log_.faults();
  if (!result.faults.empty() && !last_other_.empty()) {
    result.faults.push_back("the server's last other message: " + shown(last_other_));
  }
  if (!whole_) server_.check_alive();
  return result;
}

bool Fanout::publish_for(std::optional<std::uint64_t> bursts, double seconds) {
  return options_.loop.rate ? run_schedule(*options_.loop.rate, seconds)
                            : run_bursts(bursts, seconds);
}

bool Fanout::run_bursts(std::optional<std::uint64_t> bursts, double seconds) {
  const std::uint64_t end = now_ns() + span_ns(seconds);
  for (std::uint64_t i = 0; bursts ? i < *bursts : now_ns() < end; ++i) {
    const std::uint64_t due = now_ns();
    for (std::size_t message = 0; message < options_.in_flight; ++message) publish(due);
    flush_publishers();
    if (!await_deliveries()) return false;
    if (progress_.is_due()) show("bursts");
  }
  return true;
}

bool Fanout::run_schedule(double rate, double seconds) {
  Schedule schedule(rate / static_cast<double>(options_.batch), seconds);
  while (!schedule.is_over()) {
    const std::uint64_t now = now_ns();
    for (; schedule.is_due(now); schedule.advance()) {
      for (std::size_t i = 0; i < options_.batch; ++i) publish(schedule.due_ns());
    }
    flush_publishers();
    swarm_.poll(schedule.wait_ns(), *this);
    if (progress_.is_due()) show("scheduled messages");
  }
  return await_deliveries();
}

void Fanout::publish(std::uint64_t due_ns) {
  const auto channel = static_cast<std::uint32_t>(published_ % options_.channels);
  Publisher& publisher = publishers_[channel % publishers_.size()];
  const MessageTemplate& message = publisher.messages[publisher.messages.size() == 1 ? 0 : channel];
  publisher.scratch = message.bytes();
  message.write_id(published_, publisher.scratch.data());
  stamps_.write({.channel = channel, .sequence = log_.send(channel), .due_ns = due_ns},
                publisher.scratch.data() + *message.payload_at());
  if (swarm_.out(publisher.id).empty()) to_flush_.push_back(publisher.id);
  swarm_.add_message(publisher.id, dialect_.publisher.is_text() ? kText : kBinary,
                     publisher.scratch);
  expected_ += log_.listeners(channel);
  ++published_;
}

void Fanout::flush_publishers() {
  for (const Swarm::Id id : to_flush_) swarm_.flush(id);
  to_flush_.clear();
}

bool Fanout::await_deliveries() {
  std::uint64_t seen = delivered_;
  std::uint64_t deadline = 0;
  while (delivered_ < expected_) {
    if (swarm_.poll(kTick, *this) && delivered_ != seen) {
      seen = delivered_;
      deadline = 0;
      continue;
    }
    const std::uint64_t now = now_ns();
    if (deadline == 0) deadline = now + options_.loop.patience_ns();
    if (now > deadline) return false;
    if (progress_.is_due()) show("waiting");
  }
  return true;
}

void Fanout::opened(Swarm::Id id) {
  ++opened_;
  if (id >= options_.subscribers) return;
  const Speech& speech = dialect_.subscribers[id % dialect_.subscribers.size()];
  std::string message =
      subscription(speech, channel_name(options_.channels, id % options_.channels));
  if (message.empty()) return;
  swarm_.add_message(id, speech.is_text() ? kText : kBinary, message);
  swarm_.flush(id);
}

void Fanout::frame(Swarm::Id id, const FrameHead& head, std::string_view payload) {
  if (head.fin && head.opcode != kContinuation) [[likely]] {
    deliver(id, payload);
  } else {
    begin(id, head);
    piece(id, payload);
    end(id);
  }
}

void Fanout::begin(Swarm::Id id, const FrameHead& head) {
  if (id >= options_.subscribers) return;
  Parts& parts = subscribers_[id].parts;
  if (head.opcode != kContinuation) {
    parts.begin.clear();
    parts.size = 0;
    parts.tail.reset();
  }
  parts.fin = head.fin;
}

void Fanout::piece(Swarm::Id id, std::string_view bytes) {
  if (id >= options_.subscribers) return;
  Subscriber& own = subscribers_[id];
  Parts& parts = own.parts;
  const std::uint64_t tail_at = own.stamp_at + stamps_.size() - stamps_.tail_size();
  if (parts.size <= tail_at && tail_at + stamps_.tail_size() <= parts.size + bytes.size()) {
    parts.tail = stamps_.read_tail(bytes.data() + (tail_at - parts.size));
  }
  parts.size += bytes.size();
  const std::size_t looked_at = own.stamp_at + stamps_.head_size();
  if (parts.begin.size() < looked_at) {
    const std::size_t more = std::min(bytes.size(), looked_at - parts.begin.size());
    parts.begin += bytes.substr(0, more);
    bytes.remove_prefix(more);
  }
  if (parts.begin.size() >= looked_at && !stamps_.begins(parts.begin.data() + own.stamp_at)) {
    parts.begin += bytes;
  }
}

void Fanout::end(Swarm::Id id) {
  if (id < options_.subscribers && subscribers_[id].parts.fin) deliver_parts(id);
}

void Fanout::deliver(Swarm::Id id, std::string_view message) {
  if (id >= options_.subscribers) {
    take_other(message);
    return;
  }
  Subscriber& own = subscribers_[id];
  const std::size_t end = own.stamp_at + stamps_.size();
  if (message.size() < end || !stamps_.begins(message.data() + own.stamp_at)) {
    const std::size_t found = stamps_.find(message);
    if (found == std::string_view::npos) {
      take_other(message);
      return;
    }
    own.stamp_at = found;
  }
  const char* const payload = message.data() + own.stamp_at;
  const Stamp stamp = stamps_.read(payload);
  count(id, stamp,
        stamps_.read_tail(payload + stamps_.size() - stamps_.tail_size()) == stamp.sequence);
}

void Fanout::deliver_parts(Swarm::Id id) {
  const Subscriber& own = subscribers_[id];
  const std::string& begin = own.parts.begin;
  if (begin.size() != own.stamp_at + stamps_.head_size() ||
      !stamps_.begins(begin.data() + own.stamp_at)) {
    deliver(id, begin);
    return;
  }
  const Stamp stamp = stamps_.read(begin.data() + own.stamp_at);
  const bool whole = own.parts.size >= own.stamp_at + stamps_.size();
  count(id, stamp, whole && own.parts.tail.value_or(stamp.sequence) == stamp.sequence);
}

void Fanout::count(Swarm::Id id, const Stamp& stamp, bool whole) {
  if (!whole) log_.damaged();
  if (!log_.take(id, stamp.channel, stamp.sequence)) return;
  ++delivered_;
  const std::uint64_t now = swarm_.read_at_ns();
  latency_.add(now > stamp.due_ns ? now - stamp.due_ns : 0);
}

void Fanout::take_other(std::string_view message) { last_other_ = message; }

void Fanout::closed(Swarm::Id id, const std::string& why) {
  server_.check_alive();
  const bool publishes = id >= options_.subscribers;
  throw Failure((publishes ? "publisher " : "subscriber ") +
                std::to_string(publishes ? id - options_.subscribers : id) + ": " + why);
}

void Fanout::show(std::string_view what) {
  progress_.tell("fanout: " + std::string(what) + ", " + std::to_string(opened_) +
                 " connections, " + std::to_string(published_) + " messages, " +
                 std::to_string(delivered_) + " deliveries");
}

}  // namespace wsbench

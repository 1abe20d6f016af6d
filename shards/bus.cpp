#include "shards/bus.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <xxhash.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include <webshocket/error.hpp>

#include "shards/random_seed.hpp"

namespace webshocket::shards {
namespace {

/// What this thread is a shard by.
thread_local constinit Bus::Membership* member = nullptr;

}  // namespace

// --- Inbox
// ----------------------------------------------------------------------------------------

Inbox::Inbox() : consumer_(queue_), event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (event_ < 0) {
    throw WebSocketError(std::string("cannot make a shard's inbox: ") + std::strerror(errno));
  }
}

Inbox::~Inbox() { ::close(event_); }

bool Inbox::reserve(std::size_t bytes, std::size_t limit) noexcept {
  const std::size_t before = bytes_.fetch_add(bytes, std::memory_order_relaxed);
  // An empty inbox takes any one message, as an empty outbox does.
  if (limit == 0 || before == 0 || before + bytes <= limit) return true;
  give_back(bytes);
  refused_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

bool Inbox::post(moodycamel::ProducerToken& token, std::shared_ptr<const Delivery> delivery) {
  if (queue_.enqueue(token, std::move(delivery))) return true;
  refused_.fetch_add(1, std::memory_order_relaxed);
  return false;
}

void Inbox::post_all(moodycamel::ProducerToken& token,
                     std::span<std::shared_ptr<const Delivery>> deliveries) {
  const auto begin = std::make_move_iterator(deliveries.begin());
  if (queue_.enqueue_bulk(token, begin, deliveries.size())) return;
  for (const auto& delivery : deliveries) give_back(delivery->cost());
  refused_.fetch_add(deliveries.size(), std::memory_order_relaxed);
}

bool Inbox::take_batch() {
  next_taken_ = 0;
  taken_count_ = queue_.try_dequeue_bulk(consumer_, taken_.begin(), taken_.size());
  return taken_count_ != 0;
}

void Inbox::post_control(Control control) {
  // A queue that has no memory for it leaves it as it is.
  // NOLINTNEXTLINE(bugprone-use-after-move)
  while (!control_.enqueue(std::move(control))) std::this_thread::yield();
  wake();
}

void Inbox::wake() noexcept {
  // The exchange orders the queue's plain stores before the flag: whoever clears it sees them.
  const bool was_awake = awake_.exchange(true, std::memory_order_acq_rel);
  // So does the shard's last look. Was that before, then its exchange has told of it.
  if (abandoned_.load(std::memory_order_acquire)) return discard();
  if (was_awake) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(event_, &one, sizeof one);
}

void Inbox::abandon() noexcept {
  abandoned_.store(true, std::memory_order_release);
  clear_wake();
  for (; next_taken_ != taken_count_; ++next_taken_) taken_[next_taken_].reset();
  discard();
}

void Inbox::discard() noexcept {
  for (Control control; control_.try_dequeue(control);) control = nullptr;
  for (std::shared_ptr<const Delivery> delivery; queue_.try_dequeue(delivery);) delivery.reset();
}

void Inbox::clear_wake() noexcept {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t read = ::read(event_, &count, sizeof count);
  awake_.exchange(false, std::memory_order_acq_rel);
}

// --- Producers
// ------------------------------------------------------------------------------------

/// A thread's producers, one per bus that it has ever posted to. They go back to their bus when the
/// thread ends, or end with the bus: whichever dies first.
class ProducerLease {
 public:
  ~ProducerLease() {
    for (Entry& entry : entries_) {
      if (const auto bus = entry.bus.lock()) bus->return_producer(*entry.producer);
    }
  }

  Bus::Producer& of(Bus& bus) {
    for (const Entry& entry : entries_) {
      if (entry.address == &bus && !entry.bus.expired()) return *entry.producer;
    }
    std::erase_if(entries_, [](const Entry& entry) { return entry.bus.expired(); });
    entries_.reserve(entries_.size() + 1);
    Bus::Producer& producer = bus.lend_producer();
    entries_.push_back({&bus, bus.weak_from_this(), &producer});
    return producer;
  }

 private:
  struct Entry {
    Bus* address;
    std::weak_ptr<Bus> bus;
    Bus::Producer* producer;
  };
  std::vector<Entry> entries_;
};

Bus::Producer& Bus::producer() {
  static thread_local ProducerLease lease;
  return lease.of(*this);
}

Bus::Producer& Bus::lend_producer() {
  const std::scoped_lock lock(producers_mutex_);
  for (const auto& producer : producers_) {
    if (!producer->lent) {
      producer->lent = true;
      return *producer;
    }
  }
  auto producer = std::make_unique<Producer>();
  producer->lent = true;
  producer->tokens.reserve(inboxes_.size());
  for (const auto& inbox : inboxes_) producer->tokens.emplace_back(inbox->queue());
  producers_.push_back(std::move(producer));
  return *producers_.back();
}

void Bus::return_producer(Producer& producer) noexcept {
  const std::scoped_lock lock(producers_mutex_);
  producer.lent = false;
}

std::size_t Bus::producer_count() const {
  const std::scoped_lock lock(producers_mutex_);
  return producers_.size();
}

// --- Bus
// ------------------------------------------------------------------------------------------

Bus::Bus(std::size_t shards, std::size_t inbox_limit, const Framing& framing, TickRules ticks,
         OutboxRules outboxes)
    : inbox_limit_(inbox_limit),
      framing_(framing),
      ticks_(std::move(ticks)),
      outboxes_(std::move(outboxes)),
      seed_(random_seed()),
      census_(shards, seed_) {
  inboxes_.reserve(shards);
  for (std::size_t i = 0; i < shards; ++i) inboxes_.push_back(std::make_unique<Inbox>());
}

Bus::~Bus() { producers_.clear(); }  // their tokens refer to the inboxes' queues

Bus::Membership::Membership(Bus& bus, std::size_t shard, Receiver& receiver)
    : bus_(bus),
      shard_(shard),
      receiver_(receiver),
      producer_(bus.producer()),
      waiting_(bus.shards()) {
  with_waiting_.reserve(bus.shards());
  member = this;
}
Bus::Membership::~Membership() {
  send_off();
  member = nullptr;
}

void Bus::Membership::post(std::size_t shard, std::shared_ptr<const Delivery> delivery) {
  auto& waiting = waiting_[shard];
  const std::size_t cost = delivery->cost();
  waiting.push_back(std::move(delivery));
  if (waiting.size() == 1) with_waiting_.push_back(shard);
  waiting_bytes_ += cost;
  if (waiting.size() >= kMostWaiting || waiting_bytes_ >= kMostBytesWaiting) send_off();
}

void Bus::Membership::send_off() {
  if (with_waiting_.empty()) return;
  for (const std::size_t shard : with_waiting_) {
    bus_.inboxes_[shard]->post_all(producer_.tokens[shard], waiting_[shard]);
    bus_.inboxes_[shard]->wake();
    waiting_[shard].clear();
  }
  waiting_bytes_ = 0;
  with_waiting_.clear();
}

std::size_t Bus::shard_of(const Uid& uid) const noexcept {
  return XXH3_64bits_withSeed(uid.bytes.data(), uid.bytes.size(), seed_) % inboxes_.size();
}

std::size_t Bus::shard_of(std::string_view pin_key) const noexcept {
  return XXH3_64bits_withSeed(pin_key.data(), pin_key.size(), seed_) % inboxes_.size();
}

bool Bus::post_control(std::size_t shard, Inbox::Control control) {
  if (closed()) return false;
  inboxes_[shard]->post_control(std::move(control));
  return true;
}

std::shared_ptr<const Message> Bus::freeze(PacketSource source,
                                           std::optional<std::string_view> channel,
                                           const Content& content, Forms forms,
                                           const Framing& framing) {
  auto message = Message::freeze(source, channel, content, forms, framing);
  if (message != nullptr) count_deflated(*message);
  return message;
}

void Bus::count_deflated(const Message& message) noexcept {
  const DeflateTotals& deflated = message.deflated();
  if (deflated.messages == 0) return;
  deflated_messages_.fetch_add(deflated.messages, std::memory_order_relaxed);
  deflated_in_.fetch_add(deflated.bytes_in, std::memory_order_relaxed);
  deflated_out_.fetch_add(deflated.bytes_out, std::memory_order_relaxed);
}

DeflateTotals Bus::deflated() const noexcept {
  return {deflated_messages_.load(std::memory_order_relaxed),
          deflated_in_.load(std::memory_order_relaxed),
          deflated_out_.load(std::memory_order_relaxed)};
}

template <class FormsOf>
Bus::Demand Bus::demand(FormsOf&& forms_of) const noexcept {
  Demand demand;
  for (std::size_t i = 0; i < shards(); ++i) {
    const Forms forms = forms_of(i);
    if (forms.empty()) continue;
    demand.forms |= forms;
    demand.shard = i;
    ++demand.shards;
  }
  return demand;
}

// Only for what leaves the thread: such a set takes longer to make than most messages.
template <class FormsOf>
Bus::ShardSet Bus::shards_where(FormsOf&& forms_of) const noexcept {
  ShardSet set;
  for (std::size_t i = 0; i < shards(); ++i) {
    if (!forms_of(i).empty()) set.set(i);
  }
  return set;
}

std::uint64_t Bus::hash_of(std::string_view key) const noexcept {
  return key.empty() ? Run::kNoKey : XXH3_64bits_withSeed(key.data(), key.size(), seed_) | 1;
}

Bus::Membership* Bus::here() const noexcept {
  return member != nullptr && &member->bus_ == this ? member : nullptr;
}

Bus::Membership* Bus::only_here(const Demand& demand) const noexcept {
  Membership* const here = this->here();
  const bool is_only = here != nullptr && demand.shards == 1 && demand.shard == here->shard_;
  return is_only ? here : nullptr;
}

bool Bus::deliver_here(Membership& here, Delivery& delivery, const Content& content,
                       const Predicate& predicate, const Demand& demand,
                       std::vector<std::string>* lacking) {
  if (predicate.empty() &&
      here.receiver_.give_to_followers(delivery, content, framing_.fragment_size)) {
    return true;
  }
  delivery.predicate = predicate;
  // Taken, and not only used: a predicate could publish.
  std::shared_ptr<Message> message = std::exchange(here.spare_, nullptr);
  if (message == nullptr) message = std::make_shared<Message>();
  const bool ok = message->encode(delivery.source(), delivery.packet_channel(), content,
                                  demand.forms, framing_);
  if (lacking != nullptr && (!ok || !message->lacks().empty())) {
    lacking->emplace_back(delivery.channel);
  }
  if (ok) {
    count_deflated(*message);
    // Moved, as each copy is two locked operations.
    delivery.message = std::move(message);
    here.receiver_.receive(delivery);
    message = std::const_pointer_cast<Message>(std::move(delivery.message));
  }
  // Unless an outbox refers to it.
  constexpr std::size_t kSizeKept = 64 * 1024;
  if (message.use_count() == 1 && message->size() <= kSizeKept) here.spare_ = std::move(message);
  return ok;
}

bool Bus::publish(std::span<const std::string_view> channels, const Content& content,
                  const Predicate& predicate, std::vector<std::string>* lacking) {
  if (closed()) return false;
  const std::uint64_t moment = census_.moment();  // before anything is asked of it
  std::vector<Parcel> parcels;
  for (const std::string_view channel : channels) {
    const std::uint64_t hash = census_.hash(channel);
    const auto forms_of = [this, bucket = Census::bucket_of(hash)](std::size_t shard) {
      Forms forms = census_.forms(shard, bucket);
      forms |= census_.forms(shard, Census::kPatterns);
      return forms;
    };
    const Demand demand = this->demand(forms_of);
    if (demand.forms.empty()) continue;
    Delivery delivery;  // a list of its members would clear all of it first
    delivery.target = Delivery::Target::channel;
    delivery.channel = channel;
    delivery.hash = hash;
    delivery.moment = moment;
    delivery.tick = ticks_.of(channel);
    delivery.key_hash = hash_of(content.key);
    delivery.rule = outboxes_.of(channel);
    const bool at_once = channels.size() == 1 && delivery.tick.count() == 0;
    Membership* const here = at_once ? only_here(demand) : nullptr;
    if (here != nullptr) {
      deliver_here(*here, delivery, content, predicate, demand, lacking);
      return true;
    }
    delivery.predicate = predicate;
    delivery.message = freeze(PacketSource::channel, channel, content, demand.forms, framing_);
    if (lacking != nullptr && (delivery.message == nullptr || !delivery.message->lacks().empty())) {
      lacking->emplace_back(channel);
    }
    if (delivery.message == nullptr) continue;
    if (delivery.tick.count() != 0) delivery.key = content.key;
    parcels.push_back(
        {std::make_shared<const PostedDelivery>(std::move(delivery)), shards_where(forms_of)});
  }
  return hand_out(parcels);
}

bool Bus::broadcast(std::size_t route, const Content& content, const Predicate& predicate) {
  if (closed()) return false;
  const std::uint64_t moment = census_.moment();
  const auto forms_of = [this](std::size_t shard) {
    return census_.forms(shard, Census::kEverybody);
  };
  const Demand demand = this->demand(forms_of);
  if (demand.forms.empty()) return true;
  Delivery delivery;
  delivery.target = Delivery::Target::everybody;
  delivery.route = route;
  delivery.moment = moment;
  delivery.tick = ticks_.of_broadcasts();
  delivery.key_hash = hash_of(content.key);
  Membership* const here = delivery.tick.count() == 0 ? only_here(demand) : nullptr;
  if (here != nullptr) {
    deliver_here(*here, delivery, content, predicate, demand, nullptr);
    return true;
  }
  delivery.predicate = predicate;
  delivery.message = freeze(PacketSource::broadcast, std::nullopt, content, demand.forms, framing_);
  if (delivery.message == nullptr) return true;
  if (delivery.tick.count() != 0) delivery.key = content.key;
  const Parcel parcel{std::make_shared<const PostedDelivery>(std::move(delivery)),
                      shards_where(forms_of)};
  return hand_out({&parcel, 1});
}

/// Room in inboxes for what is on its way there; what does not get there gives it back.
struct Bus::Reservation {
  explicit Reservation(Bus& from) : bus(from), bytes(from.shards(), 0) {}
  Reservation(const Reservation&) = delete;
  Reservation& operator=(const Reservation&) = delete;
  ~Reservation() {
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (made[i] && bytes[i] != 0) bus.inboxes_[i]->give_back(bytes[i]);
    }
  }

  Bus& bus;
  std::vector<std::size_t> bytes;  ///< by shard
  ShardSet made;
};

bool Bus::hand_out(std::span<const Parcel> parcels) {
  Membership* const here = this->here();
  const std::size_t own = here == nullptr ? shards() : here->shard_;
  Reservation room(*this);
  for (const Parcel& parcel : parcels) {
    for (std::size_t i = 0; i < shards(); ++i) {
      if (parcel.shards[i] && i != own) room.bytes[i] += parcel.delivery->cost();
    }
  }
  for (std::size_t i = 0; i < shards(); ++i) {
    if (room.bytes[i] == 0) continue;
    if (inboxes_[i]->reserve(room.bytes[i], inbox_limit_)) {
      room.made.set(i);
      continue;
    }
    // They cannot make room for what they have not been given yet.
    if (here != nullptr) here->send_off();
    return false;
  }
  bool is_whole = true;
  for (const Parcel& parcel : parcels) {
    for (std::size_t i = 0; i < shards(); ++i) {
      if (!parcel.shards[i] || i == own) continue;
      if (here != nullptr) {
        here->post(i, parcel.delivery);
      } else if (!inboxes_[i]->post(producer().tokens[i], parcel.delivery)) {
        is_whole = false;
        continue;
      }
      room.bytes[i] -= parcel.delivery->cost();
    }
  }
  if (here == nullptr) {
    for (std::size_t i = 0; i < shards(); ++i) {
      if (room.made[i]) inboxes_[i]->wake();
    }
    return is_whole;
  }
  for (const Parcel& parcel : parcels) {
    if (!parcel.shards[own]) continue;
    if (parcel.delivery->tick.count() != 0) {
      here->receiver_.hold(parcel.delivery);
    } else {
      here->receiver_.receive(*parcel.delivery);
    }
  }
  return true;
}

SendStatus Bus::hand_over(std::shared_ptr<const Delivery> delivery, bool bounded) {
  const std::size_t shard = shard_of(delivery->uid);
  Membership* const here = this->here();
  if (here != nullptr && here->shard_ == shard) {
    return here->receiver_.receive(*delivery) ? SendStatus::ok : SendStatus::dropped;
  }
  Inbox& inbox = *inboxes_[shard];
  if (!inbox.reserve(delivery->cost(), bounded ? inbox_limit_ : 0)) {
    if (here != nullptr) here->send_off();
    return SendStatus::dropped;
  }
  const std::size_t cost = delivery->cost();
  bool is_posted = false;
  try {
    if (here != nullptr) {
      here->post(shard, std::move(delivery));
      return SendStatus::ok;
    }
    is_posted = inbox.post(producer().tokens[shard], std::move(delivery));
  } catch (const std::bad_alloc&) {
    inbox.give_back(cost);
    throw;
  }
  if (!is_posted) {
    inbox.give_back(cost);
    return SendStatus::dropped;
  }
  inbox.wake();
  return SendStatus::ok;
}

SendStatus Bus::send(const Uid& uid, Form form, const Content& content, std::size_t fragment_size) {
  if (closed()) return SendStatus::dropped;
  Framing framing = framing_;
  if (fragment_size != 0) framing.fragment_size = fragment_size;
  auto message = freeze(PacketSource::custom, std::nullopt, content, form, framing);
  if (message == nullptr) throw PacketError("the value cannot be written in the peer's format");
  auto delivery = std::make_shared<Delivery>();
  delivery->uid = uid;
  delivery->message = std::move(message);
  return hand_over(std::move(delivery), true);
}

bool Bus::post(const Uid& uid, std::function<void(Connection&)> fn) {
  if (closed()) return false;
  auto delivery = std::make_shared<Delivery>();
  delivery->uid = uid;
  delivery->work = std::move(fn);
  return hand_over(std::move(delivery), false) != SendStatus::dropped;
}

}  // namespace webshocket::shards

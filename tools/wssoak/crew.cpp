#include "crew.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

#include "tools/wsbench/clock.hpp"
#include "tools/wsbench/failure.hpp"

namespace wssoak {

namespace ws = webshocket;
using namespace std::chrono_literals;

namespace {

constexpr auto kTick = 5ms;
constexpr std::uint64_t kPatience = 60 * wsbench::kSecond;
/// Under way at once; beyond, the server or this thread is too slow, and more would tell no more.
constexpr std::array<std::size_t, 6> kMostBusy = {2'000, 500, 200, 500, 40, 4};

}  // namespace

Crew::Crew(const CrewPlan& plan)
    : plan_(plan),
      news_("news-" + std::to_string(plan.number)),
      maker_(plan.place,
             {.on_receive = [this](ws::Client& client,
                                   const ws::Packet& packet) { receive(client, packet); },
              .on_disconnect = [this](ws::Client& client, ws::CloseCode code,
                                      std::string_view) { disconnected(client, code); },
              .log =
                  [this](ws::LogLevel level, std::string_view text) {
                    if (level == ws::LogLevel::error) mistake("client's log", std::string(text));
                  }},
             loop_, plan.number),
      random_(plan.seed * 1'000 + plan.number) {}

Crew::~Crew() {
  // On the loop, as clients are held up elsewhere.
  try {
    loop_.run(give_up());
  } catch (...) {  // NOLINT(bugprone-empty-catch): the loop has ended
  }
}

void Crew::open() { loop_.run(open_all()); }
void Crew::stop() { loop_.run(await_end_of_work()); }
void Crew::publish_round(std::size_t count) { loop_.run(publish_all(count)); }
void Crew::close() { loop_.run(close_all()); }
Tally Crew::tally() { return loop_.run(take_tally()); }

ws::Task<void> Crew::open_all() {
  for (std::size_t i = plan_.number; i < kRooms; i += plan_.crews) {
    rooms_.push_back(co_await make_publisher(room(i), i));
  }
  for (std::size_t i = plan_.number; i < kSlowChannels.size(); i += plan_.crews) {
    auto publisher = co_await make_publisher(kSlowChannels[i].name, 0);
    publisher->filling = kSlowFilling;
    if (kSlowChannels[i].policy == ws::OutboxPolicy::conflate) publisher->key = "state";
    slow_rooms_.push_back(std::move(publisher));
  }
  announcer_ = co_await make_publisher(news_, plan_.number);
  for (std::size_t i = plan_.number; i < plan_.clients; i += plan_.crews) {
    auto member = std::make_unique<Member>();
    Member& made = *member;
    members_.push_back(std::move(member));
    co_await connect_member(made, i);
  }
  const auto callers = std::stable_partition(
      members_.begin(), members_.end(),
      [](const auto& member) { return member->client->format() != ws::Format::raw; });
  callers_ = static_cast<std::size_t>(callers - members_.begin());
  constexpr std::size_t kSlowEach = 2;
  for (std::size_t i = plan_.number; i < kSlowEach * kSlowChannels.size(); i += plan_.crews) {
    loop_.spawn(read_slowly(kSlowChannels[i / kSlowEach], Variety::of(3 * i + 1)));
  }
  loop_.spawn(pace());
}

ws::Task<void> Crew::connect_member(Member& member, std::size_t index) {
  const Variety variety = Variety::of(index);
  member.variety = variety;
  member.stays = true;
  member.gets_news = true;
  if (variety.is_raw()) {
    member.channels = {room(index)};
    member.client = maker_.make(variety, std::string(kRawMember) + member.channels[0]);
  } else {
    member.channels = {room(index), room(7 * index + 1)};
    constexpr std::size_t kPatternEach = 10;
    member.gets_all_rooms = index % kPatternEach == 0;
    if (member.gets_all_rooms) member.channels.emplace_back("room-*");
    member.client = maker_.make(variety, {});
  }
  known_[member.client.get()] = &member;
  co_await member.client->connect_async();
  if (variety.is_raw()) co_return;
  co_await member.client->call_async<void>("become_member");
  const bool joined = co_await member.client->call_async<bool>("join", member.channels);
  if (!joined) mistake("call", "join says false");
}

ws::Task<std::unique_ptr<Crew::Publisher>> Crew::make_publisher(std::string channel,
                                                                std::size_t index) {
  auto publisher = std::make_unique<Publisher>();
  const bool is_room = channel.starts_with("room-");
  const Variety variety = is_room ? Variety::of(index) : Variety::of_packets(index);
  publisher->client =
      maker_.make(variety, variety.is_raw() ? std::string(kRawPublisher) + channel : std::string());
  publisher->channel = std::move(channel);
  co_await publisher->client->connect_async();
  co_return publisher;
}

ws::Task<void> Crew::pace() {
  const Busy busy(others_busy_);
  const auto share = 1.0 / static_cast<double>(plan_.crews);
  std::array<double, kinds> owed = {};
  std::uint64_t last = wsbench::now_ns();
  while (!stopping_) {
    co_await ws::sleep_for(kTick);
    const std::uint64_t now = wsbench::now_ns();
    const double factor = factor_.load();
    const Rates rates;
    const std::array<double, kinds> due = {
        rates.calls * factor * share,
        rates.publishes * factor * share,
        rates.streams * factor * share,
        std::min(rates.visits * factor, kMostVisits) * share,
        factor > 0 ? kSlowRate * static_cast<double>(slow_rooms_.size()) : 0,
        factor > 0 ? kBroadcastRate * share : 0};
    // After a pause it goes on from now.
    const double passed = std::min(wsbench::seconds_of(now - last), 0.1);
    last = now;
    for (std::size_t kind = 0; kind < kinds; ++kind) {
      for (owed[kind] += due[kind] * passed; owed[kind] >= 1; --owed[kind]) {
        begin(static_cast<Kind>(kind));
      }
    }
  }
}

void Crew::begin(Kind kind) {
  if (busy_[kind] >= kMostBusy[kind]) {
    ++tally_.held_back;
  } else {
    ++busy_[kind];
    loop_.spawn(work(kind));
  }
}

bool Crew::is_busy() const {
  return others_busy_ > 0 || std::ranges::any_of(busy_, [](std::size_t n) { return n > 0; });
}

ws::Task<void> Crew::await_end_of_work() {
  stopping_ = true;
  for (const std::uint64_t deadline = wsbench::now_ns() + kPatience; is_busy();) {
    if (wsbench::now_ns() > deadline) throw wsbench::Failure("the clients' work does not end");
    co_await ws::sleep_for(kTick);
  }
}

ws::Task<void> Crew::give_up() {
  stopping_ = closing_ = true;
  // Then everything that waits for them ends.
  for (const auto& member : members_) member->client->close();
  for (const auto& publisher : rooms_) publisher->client->close();
  for (const auto& publisher : slow_rooms_) publisher->client->close();
  if (announcer_) announcer_->client->close();
  for (const std::uint64_t deadline = wsbench::now_ns() + kPatience;
       (is_busy() || slow_readers_ > 0) && wsbench::now_ns() < deadline;) {
    co_await ws::sleep_for(kTick);
  }
  known_.clear();
  rooms_.clear();
  slow_rooms_.clear();
  announcer_.reset();
  members_.clear();
}

ws::Task<void> Crew::close_all() {
  closing_ = true;
  for (const std::uint64_t deadline = wsbench::now_ns() + kPatience; slow_readers_ > 0;) {
    if (wsbench::now_ns() > deadline) throw wsbench::Failure("slow readers do not end");
    co_await ws::sleep_for(kTick);
  }
  for (const auto& member : members_) {
    co_await say_goodbye(*member, member->client->format() == ws::Format::raw);
  }
  for (const auto& publisher : rooms_) co_await publisher->client->close_async();
  for (const auto& publisher : slow_rooms_) co_await publisher->client->close_async();
  co_await announcer_->client->close_async();
}

ws::Task<Tally> Crew::take_tally() {
  Tally taken = tally_;
  tally_.call_ns.clear();
  tally_.delivery_ns.clear();
  co_return taken;
}

void Crew::receive(ws::Client& client, const ws::Packet& packet) {
  const auto found = known_.find(&client);
  if (found != known_.end()) take(*found->second, packet);
}

void Crew::take(Member& member, const ws::Packet& packet) {
  if (!packet.data.is_string()) {
    return mistake("message", "no text, but " + std::string(to_string(packet.data.type())));
  }
  const std::string_view text = packet.data.string();
  if (text == kLeft) {
    member.has_left = true;
    return;
  }
  (member.is_cut ? tally_.received_cut : tally_.received_whole) += 1;
  const auto note = parse_note(text);
  if (!note) return mistake("message", "damaged: " + std::string(text.substr(0, 60)));
  const std::string channel(note->channel);
  if (packet.source == ws::PacketSource::channel && packet.channel != note->channel) {
    mistake("message", "of " + channel + ", came by another channel");
  }
  const bool is_wanted = (member.gets_all_rooms && channel.starts_with("room-")) ||
                         (member.gets_news && channel.starts_with("news-")) ||
                         std::ranges::find(member.channels, channel) != member.channels.end();
  if (!is_wanted) mistake("message", "of " + channel + ", which it is not subscribed to");
  Sequence& sequence = member.sequences.of(note->channel);
  const auto verdict = sequence.take(note->number, member.may_skip);
  if (verdict != Sequence::Verdict::fine) {
    mistake(verdict == Sequence::Verdict::gap ? "missing" : "order",
            channel + ", " + std::to_string(note->number) + " after " +
                std::to_string(sequence.previous()) + ", for " + text_of(member.variety) +
                (member.stays ? " that stays" : " on a visit"));
  }
  const std::uint64_t now = wsbench::now_ns();
  if (!member.may_skip) tally_.delivery_ns.add(now > note->sent_ns ? now - note->sent_ns : 0);
}

void Crew::disconnected(ws::Client& client, ws::CloseCode code) {
  const auto found = known_.find(&client);
  if (found == known_.end()) return;
  Member& member = *found->second;
  member.ended = code;
  if (member.stays && !closing_) {
    mistake("connection", "lost with " + std::to_string(static_cast<int>(code)));
  }
}

Crew::Member& Crew::any_member() { return *members_[draw(callers_)]; }

}  // namespace wssoak

// Clients that come, stay for a while and go, one way or another; and those that read slowly.

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#include "crew.hpp"
#include "cutter.hpp"
#include "tools/wsbench/clock.hpp"

namespace wssoak {

namespace ws = webshocket;
using namespace std::chrono_literals;

namespace {

constexpr auto kLook = 20ms;

std::string code_of(const std::optional<ws::CloseCode>& code) {
  return code ? std::to_string(static_cast<int>(*code)) : "nothing";
}

}  // namespace

ws::Task<void> Crew::visit() {
  const std::size_t number = next_visit_++;
  const Variety variety = Variety::of(number + plan_.number);
  constexpr std::size_t kFates = 8;
  const std::size_t drawn = plan_.gentle ? kFates : draw(kFates);
  const Fate fate = drawn < 2 ? Fate::cut : drawn == 2 ? Fate::runs_away : Fate::clean;
  Member member;
  member.variety = variety;
  member.is_cut = fate != Fate::clean;
  member.channels = {room(number)};
  if (!variety.is_raw()) member.channels.push_back(room(number + 5));
  member.client = maker_.make(
      variety, variety.is_raw() ? std::string(kRawSubscriber) + member.channels[0] : std::string(),
      fate == Fate::cut ? ClientMaker::Way::cut : ClientMaker::Way::direct);
  const Known known(*this, member);
  bool connected = false;
  try {
    co_await member.client->connect_async();
    connected = true;
    co_await stay_a_while(member, variety, fate);
    ++(fate == Fate::clean ? tally_.visits
       : fate == Fate::cut ? tally_.visits_cut
                           : tally_.visits_left);
  } catch (const ws::ConnectionError& error) {
    if (fate == Fate::cut) {
      ++(connected ? tally_.visits_cut : tally_.visits_refused);
    } else {
      mistake("visit", error.what());
    }
  }
}

ws::Task<void> Crew::stay_a_while(Member& member, const Variety& variety, Fate fate) {
  ws::Client& client = *member.client;
  if (!variety.is_raw()) {
    const bool joined = co_await client.call_async<bool>("join", member.channels);
    if (!joined) mistake("visit", "join says false");
    const auto sum = co_await client.call_async<std::int64_t>("add", 40, 2);
    if (sum != 42) mistake("visit", "the sum is wrong");
    constexpr std::size_t kVainEach = 3;
    if (draw(kVainEach) == 0) loop_.spawn(wait_in_vain(member.client));
  }
  const bool is_cut = fate == Fate::cut;
  const std::uint64_t length =
      is_cut ? 5 * static_cast<std::uint64_t>(Cutter::kLongest) : 20 + draw(1'500);
  for (const std::uint64_t end = wsbench::now_ns() + length * wsbench::kMillisecond;
       wsbench::now_ns() < end && !member.ended && (is_cut || !stopping_);) {
    co_await ws::sleep_for(kLook);
  }
  if (is_cut && !member.ended) mistake("visit", "the cut was not noticed");
  if (fate == Fate::clean) co_await say_goodbye(member, variety.is_raw());
}

ws::Task<void> Crew::say_goodbye(Member& member, bool is_raw) {
  // What comes behind the last message that it wants would not be counted.
  if (is_raw) {
    co_await member.client->send_async(kLeave);
    for (const std::uint64_t end = wsbench::now_ns() + 30 * wsbench::kSecond;
         !member.has_left && !member.ended && wsbench::now_ns() < end;) {
      co_await ws::sleep_for(kLook);
    }
    if (!member.has_left) mistake("visit", "nobody answers to its leaving");
  } else {
    const auto count = co_await member.client->call_async<std::size_t>("leave");
    if (count != member.channels.size()) mistake("visit", "it left another number of channels");
  }
  co_await member.client->close_async();
  if (member.ended != ws::CloseCode::normal) {
    mistake("connection", "closed by us, it ended with " + code_of(member.ended));
  }
}

ws::Task<void> Crew::wait_in_vain(std::weak_ptr<ws::Client> client) {
  const Busy busy(others_busy_);
  auto visitor = client.lock();
  if (!visitor) co_return;                // so soon
  constexpr std::int64_t kLong = 25'000;  // ms
  auto answer = visitor->call_async<void>("sleep", kLong);
  visitor.reset();  // he may go meanwhile
  try {
    co_await std::move(answer);
    mistake("call", "somebody slept longer than he stayed");
  } catch (const ws::ConnectionError&) {  // NOLINT(bugprone-empty-catch): that is what he waits for
  }
}

ws::Task<void> Crew::read_slowly(SlowChannel channel, Variety variety) {
  const Busy busy(slow_readers_);
  while (!closing_) {
    constexpr std::size_t kCutEach = 3;
    const bool is_cut = !plan_.gentle && !stopping_ && draw(kCutEach) == 0;
    Member member;
    member.variety = variety;
    member.may_skip = true;
    member.is_cut = is_cut;
    member.channels = {channel.name};
    member.client = maker_.make_slow(
        variety, variety.is_raw() ? std::string(kRawSubscriber) + channel.name : std::string(),
        is_cut ? ClientMaker::Way::cut : ClientMaker::Way::direct);
    const Known known(*this, member);
    try {
      co_await member.client->connect_async();
      if (!variety.is_raw()) {
        const bool joined = co_await member.client->call_async<bool>("join", member.channels);
        if (!joined) mistake("slow reader", "join says false");
      }
      if (is_cut) {
        // Reads nothing to the end; what waits for it then is discarded.
        co_await ws::sleep_for(std::chrono::milliseconds(Cutter::kLongest));
        continue;
      }
      co_await read_in_fits(member);
      if (variety.is_raw()) {
        co_await member.client->send_async(kLeave);
        while (!member.has_left) co_await read_one(member);
      } else {
        co_await member.client->call_async<std::size_t>("leave");
      }
      co_await member.client->close_async();
    } catch (const ws::ConnectionError& error) {
      if (is_cut) continue;
      const auto* const closed = dynamic_cast<const ws::ConnectionClosedError*>(&error);
      const bool is_due = channel.policy == ws::OutboxPolicy::disconnect && closed != nullptr &&
                          closed->code() == ws::CloseCode::try_again_later;
      if (is_due) {
        ++tally_.slow_closed;
      } else {
        mistake("slow reader", std::string(channel.name) + ": " + error.what());
      }
    } catch (const std::exception& error) {
      mistake("slow reader", std::string(channel.name) + ": " + error.what());
      co_return;
    }
  }
}

ws::Task<void> Crew::read_in_fits(Member& member) {
  while (!closing_) {
    const std::uint64_t reading = 1'000 + draw(1'000);
    for (const std::uint64_t end = wsbench::now_ns() + reading * wsbench::kMillisecond;
         (wsbench::now_ns() < end || stopping_) && !closing_;) {
      co_await read_one(member);
    }
    const std::uint64_t pause = 3'000 + draw(3'000);
    for (const std::uint64_t end = wsbench::now_ns() + pause * wsbench::kMillisecond;
         wsbench::now_ns() < end && !stopping_;) {
      co_await ws::sleep_for(kLook);
    }
  }
}

ws::Task<bool> Crew::read_one(Member& member) {
  try {
    const ws::OwnedPacket packet = co_await member.client->recv_async(200ms);
    take(member, *packet);
    co_return true;
  } catch (const ws::ReceiveTimeoutError&) {
    co_return false;
  }
}

}  // namespace wssoak

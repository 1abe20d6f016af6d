/// One thread of the load: clients that stay, that come and go, that publish, that read slowly.
#pragma once

#include <webshocket/webshocket.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "note.hpp"
#include "plan.hpp"
#include "tally.hpp"
#include "variety.hpp"

namespace wssoak {

/// Of all crews together; each does its share.
struct CrewPlan {
  Place place;
  std::size_t clients = 0;  ///< that stay
  std::size_t crews = 1;
  std::size_t number = 0;  ///< of this one, from 0
  std::uint64_t seed = 1;
  bool gentle = false;  ///< nobody is cut off, nobody runs away
};

/// Public functions are for one thread that is not the loop's. Everything else happens on the loop.
class Crew {
 public:
  explicit Crew(const CrewPlan& plan);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  /// Connects who stays, and begins to load. Throws `webshocket::Error`.
  void open();
  /// How many times the rates of `Rates` there are to be.
  void set_factor(double factor) noexcept { factor_.store(factor); }
  /// Begins nothing more, and returns when what was under way has ended. Slow readers do not pause
  /// any more. Throws `wsbench::Failure` if that takes too long.
  void stop();
  /// So many messages to each of its rooms. After `stop`.
  void publish_round(std::size_t count);
  /// All leave in order.
  void close();
  /// Counts since the beginning, latencies since the last call.
  Tally tally();

 private:
  /// A client that gets messages, and what is known of it.
  struct Member {
    std::shared_ptr<webshocket::Client> client = {};
    Variety variety = {};
    std::vector<std::string> channels = {};
    bool gets_all_rooms = false;
    bool gets_news = false;
    bool may_skip = false;  ///< some of its messages are dropped
    bool is_cut = false;    ///< it may not get what was written for it
    bool stays = false;
    bool has_left = false;  ///< a raw one: it was answered so
    std::optional<webshocket::CloseCode> ended = {};
    Sequences sequences = {};
  };
  /// Whose messages come, while it lives.
  class Known;

  struct Publisher {
    std::shared_ptr<webshocket::Client> client;
    std::string channel;
    std::string key;
    std::size_t filling = 0;  ///< 0: varies
    std::uint64_t number = 0;
  };

  enum Kind { calls, publishes, streams, visits, slow_publishes, broadcasts, kinds };
  enum class Fate { clean, cut, runs_away };

  // crew.cpp: coming, going on, leaving.
  webshocket::Task<void> open_all();
  webshocket::Task<void> connect_member(Member& member, std::size_t index);
  webshocket::Task<std::unique_ptr<Publisher>> make_publisher(std::string channel,
                                                              std::size_t index);
  webshocket::Task<void> pace();
  webshocket::Task<void> await_end_of_work();
  webshocket::Task<void> close_all();
  webshocket::Task<void> give_up();
  webshocket::Task<Tally> take_tally();
  void begin(Kind kind);
  bool is_busy() const;

  // crew_work.cpp: what is done again and again.
  webshocket::Task<void> work(Kind kind);
  webshocket::Task<void> call();
  webshocket::Task<void> stream();
  webshocket::Task<void> publish_some(std::vector<std::unique_ptr<Publisher>>& publishers,
                                      std::size_t& next);
  webshocket::Task<void> publish(Publisher& publisher);
  webshocket::Task<void> broadcast();
  webshocket::Task<void> publish_all(std::size_t count);

  // crew_visits.cpp: those who do not stay, and those who read slowly.
  webshocket::Task<void> visit();
  webshocket::Task<void> stay_a_while(Member& member, const Variety& variety, Fate fate);
  webshocket::Task<void> say_goodbye(Member& member, bool is_raw);
  webshocket::Task<void> wait_in_vain(std::weak_ptr<webshocket::Client> client);
  webshocket::Task<void> read_slowly(SlowChannel channel, Variety variety);
  webshocket::Task<void> read_in_fits(Member& member);
  webshocket::Task<bool> read_one(Member& member);

  void receive(webshocket::Client& client, const webshocket::Packet& packet);
  void take(Member& member, const webshocket::Packet& packet);
  void disconnected(webshocket::Client& client, webshocket::CloseCode code);
  Member& any_member();
  std::size_t draw(std::size_t count) { return static_cast<std::size_t>(random_() % count); }
  void mistake(const std::string& kind, const std::string& text) { tally_.mistake(kind, text); }

  const CrewPlan plan_;
  const std::string news_;  ///< what its broadcasts call their channel
  webshocket::ClientLoop loop_;
  std::atomic<double> factor_ = 0;

  // On the loop.
  ClientMaker maker_;
  std::mt19937_64 random_;
  Tally tally_;
  bool stopping_ = false;
  bool closing_ = false;
  std::vector<std::unique_ptr<Member>> members_;
  std::size_t callers_ = 0;  ///< so many of them, the first ones, speak packets
  std::vector<std::unique_ptr<Publisher>> rooms_;
  std::vector<std::unique_ptr<Publisher>> slow_rooms_;
  std::unique_ptr<Publisher> announcer_;
  std::unordered_map<const webshocket::Client*, Member*> known_;
  std::array<std::size_t, kinds> busy_ = {};
  std::size_t others_busy_ = 0;
  std::size_t slow_readers_ = 0;
  std::size_t next_room_ = 0;
  std::size_t next_slow_room_ = 0;
  std::size_t next_visit_ = 0;
};

/// Counts what is under way.
class Busy {
 public:
  explicit Busy(std::size_t& count) noexcept : count_(count) { ++count_; }
  ~Busy() { --count_; }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  std::size_t& count_;
};

/// While it lives, what comes for the member's client is the member's.
class Crew::Known {
 public:
  Known(Crew& crew, Member& member) : crew_(crew), client_(member.client.get()) {
    crew_.known_[client_] = &member;
  }
  ~Known() { crew_.known_.erase(client_); }
  Known(const Known&) = delete;
  Known& operator=(const Known&) = delete;

 private:
  Crew& crew_;
  const webshocket::Client* client_;
};

}  // namespace wssoak

#include "crowd.hpp"

#include "clock.hpp"
#include "failure.hpp"
#include "session.hpp"

namespace wsbench {
namespace {

constexpr std::string_view kChannel = "raw";
constexpr std::uint64_t kQuiet = 200 * kMillisecond;

}  // namespace

Crowd::Crowd(const DialectOptions& options, ServerProcess& server, Progress& progress,
             std::uint64_t patience_ns)
    : server_(server),
      progress_(progress),
      patience_ns_(patience_ns),
      target_(server.uri()),
      dialect_(dialect_of(options, target_.path())),
      swarm_(target_) {}

void Crowd::open(std::size_t count) {
  const Speech& speech = dialect_.subscribers.front();
  std::string request =
      target_.request(replaced(speech.path, "{channel}", kChannel), speech.subprotocol);
  open_all(swarm_, *this, count, patience_ns_, [&](std::size_t) {
    if (progress_.is_due()) progress_.tell(std::to_string(open_) + " connections open");
    return request;
  });
}

void Crowd::settle() {
  wsbench::settle(swarm_, *this, kQuiet);
  server_.check_alive();
}

void Crowd::hold(std::uint64_t time_ns) {
  const std::uint64_t end = now_ns() + time_ns;
  for (std::uint64_t now = now_ns(); now < end; now = now_ns()) {
    swarm_.poll(end - now, *this);
    if (progress_.is_due()) progress_.tell(std::to_string(open_) + " connections idle");
  }
}

void Crowd::close() {
  closes_ = true;
  for (Swarm::Id id = 0; id < open_; ++id) swarm_.say_goodbye(id);
  std::size_t before = open_;
  std::uint64_t deadline = now_ns() + patience_ns_;
  while (open_ != 0) {
    swarm_.poll(kQuiet, *this);
    if (open_ != before) deadline = now_ns() + patience_ns_;
    before = open_;
    if (now_ns() > deadline) {
      throw Failure(std::to_string(open_) + " connections that said goodbye are not ended");
    }
    if (progress_.is_due()) progress_.tell(std::to_string(open_) + " connections close");
  }
}

void Crowd::opened(Swarm::Id id) {
  ++open_;
  const Speech& speech = dialect_.subscribers.front();
  const std::string message = subscription(speech, kChannel);
  if (message.empty()) return;
  swarm_.add_message(id, speech.is_text() ? kText : kBinary, message);
  swarm_.flush(id);
}

void Crowd::closed(Swarm::Id id, const std::string& why) {
  server_.check_alive();
  if (!closes_) throw Failure("connection " + std::to_string(id) + ": " + why);
  --open_;
}

}  // namespace wsbench

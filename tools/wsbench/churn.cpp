#include "churn.hpp"

#include "clock.hpp"
#include "failure.hpp"
#include "session.hpp"

namespace wsbench {

Churn::Churn(const ChurnOptions& options, ServerProcess& server, Progress& progress)
    : options_(options),
      server_(server),
      progress_(progress),
      target_(server.uri()),
      swarm_(target_),
      usage_(server) {
  const std::string& by_uri = target_.path();
  const std::string path =
      options.path.empty() ? (by_uri == "/" ? "/raw/echo" : by_uri) : options.path;
  request_ = target_.request(path, options.subprotocol);
}

void Churn::prepare() {
  visit_for(options_.loop.warm_up_s);
  latency_.clear();
  counted_from_ = done_;
}

void Churn::run(std::size_t parts) {
  usage_.begin();
  visit_for(options_.loop.duration_s / static_cast<double>(parts));
  usage_.end();
}

Result Churn::finish() {
  Result result;
  const std::uint64_t done = done_ - counted_from_;
  result.add("connections", static_cast<double>(done));
  usage_.add_to(result, "connection", "connections", done);
  result.add_latency(latency_);
  add_memory(result, server_);
  return result;
}

void Churn::visit_for(double seconds) {
  progress_ns_ = now_ns();
  if (options_.loop.rate) {
    Schedule schedule(*options_.loop.rate, seconds);
    while (!schedule.is_over()) {
      const std::uint64_t now = now_ns();
      for (; schedule.is_due(now); schedule.advance()) begin_visit(schedule.due_ns());
      poll(schedule.wait_ns());
    }
  } else {
    const std::uint64_t end = now_ns() + span_ns(seconds);
    while (now_ns() < end) {
      while (begun_ - done_ < options_.parallel) begin_visit(now_ns());
      poll(kTick);
    }
  }
  while (done_ < begun_) poll(kTick);
}

void Churn::begin_visit(std::uint64_t due_ns) {
  const Swarm::Id id = swarm_.connect(request_);
  if (id >= visits_.size()) visits_.resize(id + 1);
  visits_[id] = {.due_ns = due_ns, .open = false};
  ++begun_;
}

void Churn::poll(std::uint64_t timeout_ns) {
  swarm_.poll(timeout_ns, *this);
  const std::uint64_t now = now_ns();
  if (begun_ == done_) progress_ns_ = now;
  if (now > progress_ns_ + options_.loop.patience_ns()) {
    server_.check_alive();
    throw Failure(std::to_string(begun_ - done_) +
                  " connections neither open nor end: see --patience");
  }
  if (progress_.is_due()) progress_.tell(std::to_string(done_) + " connections opened and closed");
}

void Churn::opened(Swarm::Id id) {
  progress_ns_ = now_ns();
  const std::uint64_t due = visits_[id].due_ns;
  latency_.add(progress_ns_ > due ? progress_ns_ - due : 0);
  visits_[id].open = true;
  // The server is to end the connection, and to keep what the kernel remembers of it: so the
  // client's ports are not used up.
  swarm_.say_goodbye(id);
}

void Churn::closed(Swarm::Id id, const std::string& why) {
  if (!visits_[id].open) {
    server_.check_alive();
    throw Failure("connection " + std::to_string(begun_) + ": " + why);
  }
  progress_ns_ = now_ns();
  ++done_;
}

}  // namespace wsbench

#include "exchange.hpp"

#include <algorithm>
#include <utility>

#include "clock.hpp"
#include "failure.hpp"
#include "message_template.hpp"
#include "session.hpp"
#include "usage.hpp"

namespace wsbench {

Exchange::Exchange(const ExchangeOptions& options, Noun noun, std::unique_ptr<Dialogue> dialogue,
                   ServerProcess& server, Progress& progress)
    : options_(options),
      noun_(std::move(noun)),
      dialogue_(std::move(dialogue)),
      server_(server),
      progress_(progress),
      target_(server.uri()),
      swarm_(target_),
      peers_(options.connections),
      usage_(server) {}

void Exchange::prepare() {
  connect_all();
  whole_ = ask_for(options_.loop.warm_up_s);
  latency_.clear();
  counted_from_ = answered_;
}

void Exchange::run(std::size_t parts) {
  if (!whole_) return;
  usage_.begin();
  whole_ = ask_for(options_.loop.duration_s / static_cast<double>(parts));
  usage_.end();
}

Result Exchange::finish() {
  Result result;
  const std::uint64_t answered = answered_ - counted_from_;
  result.add(noun_.many, static_cast<double>(answered));
  usage_.add_to(result, noun_.one, noun_.many, answered);
  result.add_latency(latency_);
  add_memory(result, server_);
  settle(swarm_, *this);
  const std::uint64_t lacking = asked_ - answered_;
  const std::uint64_t missing = lacking - std::min(lacking, wrong_);
  result.add("missing", static_cast<double>(missing));
  result.add("wrong", static_cast<double>(wrong_));
  if (missing != 0) {
    result.faults.push_back(std::to_string(missing) + " " + noun_.many + " missing");
  }
  if (wrong_ != 0) {
    result.faults.push_back(std::to_string(wrong_) + " wrong " + noun_.many +
                            "; the first: " + first_wrong_);
  }
  if (!whole_) server_.check_alive();
  return result;
}

void Exchange::connect_all() {
  std::string request = target_.request(
      dialogue_->path().empty() ? target_.path() : dialogue_->path(), dialogue_->subprotocol());
  open_all(swarm_, *this, options_.connections, options_.loop.patience_ns(),
           [&](std::size_t) { return request; });
}

bool Exchange::ask_for(double seconds) {
  if (options_.loop.rate) {
    Schedule schedule(*options_.loop.rate, seconds);
    while (!schedule.is_over()) {
      const std::uint64_t now = now_ns();
      for (; schedule.is_due(now); schedule.advance()) {
        const auto id = static_cast<Swarm::Id>(asked_ % peers_.size());
        ask(id, schedule.due_ns());
        swarm_.flush(id);
      }
      swarm_.poll(schedule.wait_ns(), *this);
      if (progress_.is_due()) show();
    }
    return await_answers();
  }
  const std::uint64_t end = now_ns() + span_ns(seconds);
  asks_again_ = true;
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const auto id = static_cast<Swarm::Id>(i);
    const std::uint64_t due = now_ns();
    for (std::size_t n = 0; n < options_.depth; ++n) ask(id, due);
    swarm_.flush(id);
  }
  std::uint64_t seen = answered_;
  std::uint64_t seen_ns = now_ns();
  while (true) {
    swarm_.poll(kTick, *this);
    const std::uint64_t now = now_ns();
    if (answered_ != seen) {
      seen = answered_;
      seen_ns = now;
    }
    if (now >= end || now - seen_ns > options_.loop.patience_ns()) break;
    if (progress_.is_due()) show();
  }
  asks_again_ = false;
  return await_answers();
}

bool Exchange::await_answers() {
  std::uint64_t seen = answered_;
  std::uint64_t deadline = now_ns() + options_.loop.patience_ns();
  while (answered_ + wrong_ < asked_) {
    swarm_.poll(kTick, *this);
    const std::uint64_t now = now_ns();
    if (answered_ != seen) {
      seen = answered_;
      deadline = now + options_.loop.patience_ns();
    }
    if (now > deadline) return false;
    if (progress_.is_due()) show();
  }
  return wrong_ == 0;
}

void Exchange::ask(Swarm::Id id, std::uint64_t due_ns) {
  peers_[id].pending.push_back({asked_, due_ns});
  swarm_.add_message(id, dialogue_->is_text() ? kText : kBinary, dialogue_->request(asked_));
  ++asked_;
}

void Exchange::frame(Swarm::Id id, const FrameHead& head, std::string_view payload) {
  if (head.fin && head.opcode != kContinuation) [[likely]] {
    take_answer(id, payload);
  } else {
    begin(id, head);
    piece(id, payload);
    end(id);
  }
}

void Exchange::begin(Swarm::Id id, const FrameHead& head) {
  if (head.opcode != kContinuation) peers_[id].begun.clear();
  peers_[id].fin = head.fin;
}

void Exchange::end(Swarm::Id id) {
  if (peers_[id].fin) take_answer(id, peers_[id].begun);
}

void Exchange::take_answer(Swarm::Id id, std::string_view answer) {
  auto& pending = peers_[id].pending;
  std::optional<std::uint64_t> number;
  if (!pending.empty()) number = dialogue_->judge(answer, pending.front().number);
  const auto found =
      std::ranges::find_if(pending, [&](const Pending& one) { return one.number == number; });
  if (found == pending.end()) {
    if (wrong_++ == 0) first_wrong_ = shown(answer);
    return;
  }
  const std::uint64_t now = swarm_.read_at_ns();
  latency_.add(now > found->due_ns ? now - found->due_ns : 0);
  pending.erase(found);
  ++answered_;
  if (asks_again_) ask(id, now);
}

void Exchange::closed(Swarm::Id id, const std::string& why) {
  server_.check_alive();
  throw Failure("connection " + std::to_string(id) + ": " + why);
}

void Exchange::show() {
  progress_.tell(std::to_string(answered_) + " " + noun_.many + ", " +
                 std::to_string(asked_ - answered_) + " in flight");
}

}  // namespace wsbench

#include "engine/engine.hpp"

#include <chrono>
#include <csignal>
#include <exception>
#include <future>
#include <system_error>
#include <utility>

#include <webshocket/error.hpp>
#include <webshocket/queue_handler.hpp>

#include "api/pull.hpp"
#include "engine/config.hpp"
#include "engine/server_tls.hpp"
#include "shards/file_signals.hpp"

namespace webshocket::engine {

using shards::Shard;

Engine::Engine(Config config, HandlerFactory factory)
    : site_(checked(std::move(config))), tickets_(tickets_of(site_.config)) {
  if (!factory) throw UsageError("a server needs a handler factory: per_shard<MyHandler>()");
  site_.listeners = site_.config.listeners;
  site_.routes.push_back({"", std::move(factory)});
  site_.accept_queue =
      std::make_shared<webshocket::detail::AcceptQueue>(site_.config.accept_queue_size);
  reload_tls();
}

Engine::~Engine() {
  close();
  site_.pool.reset();
}

shards::Site& Engine::site_before_start(const char* what) {
  const std::scoped_lock lock(mutex_);
  if (is_starting_ || was_started_) {
    throw UsageError(std::string(what) + " is for before the start");
  }
  return site_;
}

// --- start --------------------------------------------------------------------------------------

void Engine::start() {
  {
    const std::scoped_lock lock(mutex_);
    if (is_starting_ || was_started_) throw UsageError("a server starts once; make another one");
    is_starting_ = true;
  }
  try {
    build();
  } catch (...) {
    const std::scoped_lock lock(mutex_);
    is_starting_ = false;
    throw;
  }
}

// Without the lock, as the handlers that are built may call the server.
void Engine::build() {
  std::vector<std::unique_ptr<Shard>> built;
  try {
    site_.bus = std::make_shared<shards::Bus>(
        site_.config.shards, site_.config.inbox_limit,
        shards::Framing{site_.config.fragment_size, site_.config.compression},
        shards::TickRules(site_.config), shards::OutboxRules(site_.config));
    site_.pool = std::make_unique<shards::OffloadPool>(site_.config.offload_threads,
                                                       site_.config.offload_queue_size);
    loop_ = std::make_unique<shards::Loop>();
    for (std::size_t i = 0; i < site_.listeners.size(); ++i) build_acceptors(i);
    built = build_shards();
  } catch (...) {
    undo_site();
    throw;
  }
  std::unique_lock lock(mutex_);
  shards_ = std::move(built);
  stage_ = Stage::serving;
  state_.store(ServerState::serving, std::memory_order_release);
  is_ready_.store(true, std::memory_order_release);
  try {
    thread_ = std::thread([this] { control(); });
  } catch (const std::system_error& error) {
    is_ready_.store(false, std::memory_order_release);
    state_.store(ServerState::closed, std::memory_order_release);
    stage_ = Stage::idle;
    built = std::move(shards_);
    lock.unlock();
    undo_shards(built);
    undo_site();
    throw WebSocketError(std::string("cannot start the control thread: ") + error.what());
  }
  std::uint16_t port = 0;
  for (const auto& acceptor : acceptors_) {
    if (acceptor->home().value_or(0) != 0) continue;  // at the first one's address
    if (port == 0) port = acceptor->port();
    addresses_.push_back(acceptor->address());
  }
  is_pull_style_ = dynamic_cast<QueueHandler*>(&shards_.front()->handler(0)) != nullptr;
  port_.store(port, std::memory_order_release);
  is_starting_ = false;
  was_started_ = true;
}

// One for each shard, on its thread. Of a unix socket, and one that was passed in, there is but
// one.
void Engine::build_acceptors(std::size_t listener) {
  const std::size_t shards = site_.config.shards;
  const Listener& wanted = site_.listeners[listener];
  const bool is_alone = !wanted.unix_path.empty() || wanted.fd >= 0;
  if (is_alone && shards > 1) {
    acceptors_.push_back(std::make_unique<Acceptor>(site_, listener, accept_counters_));
    return;
  }
  const Acceptor* first = nullptr;
  for (std::size_t home = 0; home < shards; ++home) {
    acceptors_.push_back(
        std::make_unique<Acceptor>(site_, listener, accept_counters_, home, first));
    if (first == nullptr) first = acceptors_.back().get();
  }
}

void Engine::undo_site() noexcept {
  acceptors_.clear();
  loop_.reset();
  site_.pool.reset();
  site_.bus.reset();
}

std::vector<std::unique_ptr<Shard>> Engine::build_shards() {
  std::vector<std::unique_ptr<Shard>> built;
  try {
    for (std::size_t i = 0; i < site_.config.shards; ++i) {
      auto shard = std::make_unique<Shard>(site_, i);
      shard->start();
      built.push_back(std::move(shard));
    }
  } catch (...) {
    undo_shards(built);
    throw;
  }
  return built;
}

void Engine::undo_shards(const std::vector<std::unique_ptr<Shard>>& built) noexcept {
  for (std::size_t i = 0; i < built.size(); ++i) {
    std::promise<void> ended;
    auto result = ended.get_future();
    site_.bus->post_control(i, [shard = built[i].get(), &ended] {
      shard->quiesce([shard, &ended] {
        shard->end();
        ended.set_value();
      });
    });
    // It may have asked shards that are not there, and waits for what they say.
    while (result.wait_for(std::chrono::milliseconds(5)) != std::future_status::ready) {
      for (std::size_t absent = 0; absent < site_.bus->shards(); ++absent) {
        if (absent >= i && absent < built.size()) continue;
        for (shards::Inbox::Control task; site_.bus->inbox(absent).take(task);) task = nullptr;
      }
    }
    built[i]->join();
  }
}

// --- the control thread -------------------------------------------------------------------------

void Engine::control() noexcept {
  shards::block_file_signals();
  wake_.open(*loop_, control_inbox_.descriptor());
  wake_.watch<&Engine::on_wake>(*this, shards::Poll::kReadable);
  interrupt_.open(*loop_);
  terminate_.open(*loop_);
  hangup_.open(*loop_);
  delay_.open(*loop_);
  watchdog_ = std::make_unique<Watchdog>(site_, shards_);
  watchdog_->start(*loop_);
  start_accepting();
  loop_->run();
  wake_.stop();
  interrupt_.close();
  terminate_.close();
  hangup_.close();
  delay_.close();
  watchdog_->stop();
  loop_->finish();
  for (const auto& shard : shards_) shard->join();
  state_.store(ServerState::closed, std::memory_order_release);
  const std::scoped_lock lock(mutex_);
  is_over_ = true;
  changed_.notify_all();
}

void Engine::start_accepting() noexcept {
  for (const auto& acceptor : acceptors_) {
    if (const auto home = acceptor->home()) {
      site_.bus->post_control(
          *home, [to = acceptor.get(), shard = shards_[*home].get()] { to->start(shard->loop()); });
    } else {
      acceptor->start(*loop_);
    }
  }
}

void Engine::stop_accepting() noexcept {
  for (const auto& acceptor : acceptors_) {
    if (const auto home = acceptor->home()) {
      site_.bus->post_control(*home, [to = acceptor.get()] { to->stop(); });
    } else {
      acceptor->stop();
    }
  }
}

void Engine::on_wake(std::uint32_t) noexcept {
  control_inbox_.clear_wake();
  for (shards::Inbox::Control task; control_inbox_.take(task);) task();
}

// The third one finds nobody who catches it, and does what such a signal does: whatever it is that
// keeps the second from being obeyed, such as a function that `offload` runs.
void Engine::on_signal() noexcept {
  if (stage_ == Stage::serving) return begin_leaving();
  interrupt_.stop();
  terminate_.stop();
  hurry();
}

void Engine::on_hangup() noexcept {
  std::string text = "SIGHUP: the certificates have been read again";
  LogLevel level = LogLevel::info;
  try {
    reload_tls();
  } catch (const std::exception& error) {
    text = std::string("SIGHUP: the certificates stay as they were: ") + error.what();
    level = LogLevel::error;
  }
  site_.log(level, text);
}

void Engine::begin_leaving() noexcept {
  if (stage_ != Stage::serving) return;
  is_ready_.store(false, std::memory_order_release);
  stage_ = Stage::leaving;
  if (site_.config.drain_delay.count() == 0) return begin_drain();
  delay_.start<&Engine::begin_drain>(*this, site_.config.drain_delay);
}

void Engine::begin_drain() noexcept {
  delay_.stop();
  stage_ = Stage::draining;
  state_.store(ServerState::draining, std::memory_order_release);
  stop_accepting();
  site_.accept_queue->close();
  shards_left_ = shards_.size();
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    site_.bus->post_control(i, [this, shard = shards_[i].get()] {
      shard->drain(site_.config.drain_timeout, [this] { post([this] { shard_done(); }); });
    });
  }
}

void Engine::hurry() noexcept {
  if (stage_ == Stage::leaving) begin_drain();
  if (stage_ != Stage::draining) return;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    site_.bus->post_control(i, [shard = shards_[i].get()] { shard->hurry(); });
  }
}

void Engine::shard_done() noexcept {
  if (--shards_left_ != 0) return;
  if (stage_ == Stage::draining) {
    begin_quiesce();
  } else {
    end_shards();
  }
}

void Engine::begin_quiesce() noexcept {
  stage_ = Stage::quiescing;
  shards_left_ = shards_.size();
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    site_.bus->post_control(i, [this, shard = shards_[i].get()] {
      shard->quiesce([this] { post([this] { shard_done(); }); });
    });
  }
}

void Engine::end_shards() noexcept {
  stage_ = Stage::closed;
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    site_.bus->post_control(i, [shard = shards_[i].get()] { shard->end(); });
  }
  site_.bus->close();
  loop_->stop();
}

// --- callers ------------------------------------------------------------------------------------

void Engine::close() {
  const bool may_wait = !on_own_shard();
  {
    const std::scoped_lock lock(mutex_);
    if (!was_started_) return;
    if (!is_over_) {
      const bool in_a_hurry = may_wait && std::exchange(close_waits_, true);
      post([this, in_a_hurry] {
        begin_leaving();
        if (in_a_hurry) hurry();
      });
    }
  }
  if (!may_wait) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return is_over_; });
  if (thread_.joinable()) thread_.join();
}

void Engine::serve_forever(const std::function<void()>& ready) {
  {
    std::unique_lock lock(mutex_);
    const bool start_first = !was_started_;
    lock.unlock();
    if (start_first) start();
  }
  if (on_own_shard()) throw UsageError("serve_forever() on a shard's thread would wait for itself");
  bool are_caught = false;
  post([this, &are_caught] {
    interrupt_.start<&Engine::on_signal>(*this, SIGINT);
    terminate_.start<&Engine::on_signal>(*this, SIGTERM);
    if (site_.config.reload_tls_on_hangup) hangup_.start<&Engine::on_hangup>(*this, SIGHUP);
    const std::scoped_lock lock(mutex_);
    are_caught = true;
    changed_.notify_all();
  });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return are_caught || is_over_; });
  if (ready && !is_over_) {
    lock.unlock();
    ready();
    lock.lock();
  }
  changed_.wait(lock, [this] { return is_over_; });
  if (thread_.joinable()) thread_.join();
}

void Engine::reload_tls() {
  const std::scoped_lock lock(reload_mutex_);
  site_.tls.exchange(read_tls(site_.config, tickets_));
}

std::vector<std::string> Engine::addresses() const {
  const std::scoped_lock lock(mutex_);
  return addresses_;
}

std::shared_ptr<shards::Bus> Engine::bus() const {
  return state() == ServerState::closed ? nullptr : site_.bus;
}

bool Engine::publish(std::span<const std::string_view> channels, const shards::Content& content,
                     const Predicate& predicate) {
  const auto running = bus();
  if (running == nullptr) return false;
  std::vector<std::string> lacking;
  const bool posted = running->publish(channels, content, predicate, &lacking);
  site_.warn_of_lacking(lacking);
  return posted;
}

bool Engine::broadcast(const shards::Content& content, const Predicate& predicate) {
  const auto running = bus();
  return running != nullptr && running->broadcast(shards::Delivery::kAllRoutes, content, predicate);
}

bool Engine::on_own_shard() const noexcept {
  // By the site, which is there from the beginning: the bus may be in the making.
  const auto* shard = dynamic_cast<const Shard*>(detail::Hub::current());
  return shard != nullptr && &shard->site() == &site_;
}

std::size_t Engine::route_of(std::string_view path) const {
  if (path.empty()) return 0;
  const std::size_t route = site_.route_of(path);
  if (route == 0) throw UsageError("there is no route '" + std::string(path) + "'");
  return route;
}

bool Engine::register_before_start(std::size_t route, const std::string& name,
                                   const std::function<RpcMethod()>& make) {
  const std::scoped_lock lock(mutex_);
  if (was_started_) return false;
  if (is_starting_) throw UsageError("register_rpc() while the server starts: use rpc()");
  HandlerFactory& factory = site_.routes[route].factory;
  factory = [inner = std::move(factory), name, make] {
    auto handler = inner();
    if (handler != nullptr) handler->rpc(name, make());
    return handler;
  };
  return true;
}

void Engine::check_can_accept() const {
  const std::scoped_lock lock(mutex_);
  if (!was_started_) throw WebSocketError("accept() before the server was started");
  if (!is_pull_style_) {
    throw UsageError("accept() needs a QueueHandler: construct the Server without a factory");
  }
}

void Engine::run_on_shard(std::size_t index, const std::function<void(Shard&)>& fn) {
  Shard& shard = *shards_[index];
  if (detail::Hub::current() == &shard) return fn(shard);
  if (on_own_shard()) throw UsageError("this call would make one shard wait for another");
  std::exception_ptr error;  // not in the promise, which the shard may let go of after this thread
  auto done = std::make_shared<std::promise<void>>();
  auto result = done->get_future();
  const auto running = bus();
  // The task holds the promise alone, so that a shard that ends without running it breaks it.
  const bool posted =
      running != nullptr && running->post_control(index, [&fn, &shard, &error, done] {
        try {
          fn(shard);
        } catch (...) {
          error = std::current_exception();
        }
        done->set_value();
      });
  done.reset();
  if (!posted) throw WebSocketError("the server is not running");
  // A task that was posted into the very end of a shard is not run any more: look for that too.
  while (result.wait_for(std::chrono::milliseconds(50)) != std::future_status::ready) {
    const std::scoped_lock lock(mutex_);
    if (is_over_) throw WebSocketError("the server closed meanwhile");
  }
  try {
    result.get();
  } catch (const std::future_error&) {
    throw WebSocketError("the server closed meanwhile");
  }
  if (error) std::rethrow_exception(error);
}

void Engine::run_on_any_shard(const std::function<void(Shard&)>& fn) {
  if (bus() == nullptr) throw WebSocketError("the server is not running");
  for (std::size_t i = 0; i < shards_.size(); ++i) {
    if (shards_[i].get() == detail::Hub::current()) return fn(*shards_[i]);
  }
  run_on_shard(0, fn);
}

void Engine::run_on_shards(const std::function<void(Shard&)>& fn) {
  if (bus() == nullptr) throw WebSocketError("the server is not running");
  if (on_own_shard()) throw UsageError("this call would make one shard wait for another");
  for (std::size_t i = 0; i < shards_.size(); ++i) run_on_shard(i, fn);
}

}  // namespace webshocket::engine

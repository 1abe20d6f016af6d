#include "engine/client_home.hpp"

#include <future>
#include <system_error>
#include <utility>

#include <webshocket/client_loop.hpp>
#include <webshocket/error.hpp>
#include <webshocket/task.hpp>

#include "api/calls.hpp"
#include "shards/file_signals.hpp"

namespace webshocket::engine {

using webshocket::detail::Hub;

namespace {

constexpr std::size_t kOffloadThreads = 4;

[[noreturn]] void throw_no_server() {
  throw UsageError("this is a client's loop: only a server's shard can do that");
}

}  // namespace

bool ClientMailbox::post(std::function<void()> fn) {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  inbox_.post_control(std::move(fn));
  return true;
}

void ClientMailbox::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

// --- ClientThread -----------------------------------------------------------------------------

ClientThread::ClientThread(std::shared_ptr<ClientMailbox> box, std::weak_ptr<ClientHome> home)
    : Reactor(box->inbox(), 0),
      mailbox_(std::move(box)),
      home_(std::move(home)),
      pool_(kOffloadThreads, 0) {}

ClientThread::~ClientThread() = default;

std::shared_ptr<ClientThread> ClientThread::start(std::weak_ptr<ClientHome> home) {
  std::shared_ptr<ClientThread> self(
      new ClientThread(std::make_shared<ClientMailbox>(), std::move(home)));
  std::promise<void> running;
  try {
    self->thread_ = std::thread([self, &running]() mutable {
      self->open_handles();
      running.set_value();
      self->run();
      self.reset();
    });
  } catch (const std::system_error& error) {
    throw WebSocketError(std::string("cannot start a client's thread: ") + error.what());
  }
  running.get_future().wait();
  return self;
}

void ClientThread::run() noexcept {
  shards::block_file_signals();
  const Current current(*this);
  loop_.run();
  mailbox_->close();
  // What was posted too late is destroyed here, on the thread that it was meant for.
  for (shards::Inbox::Control control; inbox_.take(control);) control = nullptr;
  close_handles();
}

void ClientThread::finish() {
  mailbox_->post([this] { finishing_ = true; });
  if (Hub::current() == this) {
    thread_.detach();  // it holds itself
  } else {
    thread_.join();
  }
}

void ClientThread::settle() noexcept {
  if (!finishing_) return;
  calls_.cancel_all();
  if (calls_.size() == 0 && !has_guests()) stop();
}

const Config& ClientThread::config() const noexcept {
  static const Config kDefaults;
  return kDefaults;
}

void ClientThread::gather(const Handler&, webshocket::detail::GatherJob&) { throw_no_server(); }
bool ClientThread::publish(const Handler&, std::span<const std::string_view>,
                           const webshocket::detail::Content&, const Predicate&) {
  throw_no_server();
}
bool ClientThread::broadcast(const Handler&, const webshocket::detail::Content&, const Predicate&) {
  throw_no_server();
}
std::vector<Connection*> ClientThread::subscribers(const Handler&, std::string_view) {
  throw_no_server();
}

// --- ClientHome -------------------------------------------------------------------------------

std::shared_ptr<ClientHome> ClientHome::begin_thread() {
  auto home = std::make_shared<ClientHome>();
  home->thread_ = ClientThread::start(home);
  home->reactor_ = home->thread_.get();
  home->mailbox_ = home->thread_->mailbox();
  return home;
}

std::shared_ptr<ClientHome> ClientHome::current() {
  auto* reactor = dynamic_cast<shards::Reactor*>(Hub::current());
  if (reactor == nullptr) {
    throw UsageError("ClientLoop::current() needs the thread of a shard or of a client's loop");
  }
  if (auto* thread = dynamic_cast<ClientThread*>(reactor)) {
    if (auto home = thread->home().lock()) return home;
    throw UsageError("this client's loop is about to end");
  }
  auto home = std::make_shared<ClientHome>();
  home->reactor_ = reactor;
  home->mailbox_ = reactor->mailbox();
  return home;
}

ClientHome::~ClientHome() {
  if (thread_ != nullptr) thread_->finish();
}

}  // namespace webshocket::engine

// --- ClientLoop ---------------------------------------------------------------------------------

namespace webshocket {
namespace {

/// A task on its way to its loop. If it never gets there, whoever waits is told.
class Start {
 public:
  Start(Task<void> task, std::function<void(std::exception_ptr)> done) noexcept
      : task_(std::move(task)), done_(std::move(done)) {}
  Start(const Start&) = delete;
  Start& operator=(const Start&) = delete;
  ~Start() {
    if (done_) done_(std::make_exception_ptr(Cancelled()));
  }

  void run() {
    detail::Hub::current()->calls().start(nullptr, std::move(task_), std::exchange(done_, nullptr));
  }

 private:
  Task<void> task_;
  std::function<void(std::exception_ptr)> done_;
};

}  // namespace

ClientLoop::ClientLoop() : home_(engine::ClientHome::begin_thread()) {}
ClientLoop::ClientLoop(std::shared_ptr<engine::ClientHome> home) noexcept
    : home_(std::move(home)) {}
ClientLoop ClientLoop::current() { return ClientLoop(engine::ClientHome::current()); }

bool ClientLoop::post(std::function<void()> function) const {
  if (!function) throw UsageError("post() needs a function");
  return home_->post(std::move(function));
}
bool ClientLoop::is_current() const noexcept { return home_->is_current(); }

void ClientLoop::start(Task<void> task, std::function<void(std::exception_ptr)> done) const {
  home_->post(
      [start = std::make_shared<Start>(std::move(task), std::move(done))] { start->run(); });
}

void ClientLoop::check_may_wait() {
  if (detail::Hub::current() == nullptr) return;
  throw UsageError("run() waits, which a loop's thread must not: co_await the task");
}

}  // namespace webshocket

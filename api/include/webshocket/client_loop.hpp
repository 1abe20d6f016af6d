/// Where clients run.
#pragma once

#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <webshocket/task.hpp>

namespace webshocket {

namespace engine {
class ClientHome;
}

/// A thread with an event loop, for as many clients as there are descriptors, and for coroutines
/// that use them. A handle: copies mean the same loop, which ends with the last handle and the last
/// client on it. Any thread may call anything.
class ClientLoop {
 public:
  /// A new thread. Throws `WebSocketError` when the system refuses.
  ClientLoop();
  /// The loop whose thread this is: a client loop, or a server's shard, so that a server can be
  /// another one's client. Clients on a shard are closed when the shard stops. Throws `UsageError`
  /// on any other thread.
  static ClientLoop current();

  /// Runs a coroutine on the loop; the future has its result, or what it threw. When the loop ends
  /// first, the coroutine is cancelled, and the future throws `Cancelled`.
  template <class T>
  std::future<T> spawn(Task<T> task) const;
  /// The same, and waits. Throws `UsageError` on a loop's thread, which must not wait: `co_await`
  /// the task there.
  template <class T>
  T run(Task<T> task) const;
  /// Runs a function on the loop; what it throws is logged by a shard, and dropped by a client's
  /// loop. False, and it is not called, when the loop has ended.
  bool post(std::function<void()> function) const;

  /// Whether this is the loop's own thread.
  bool is_current() const noexcept;

  explicit ClientLoop(std::shared_ptr<engine::ClientHome> home) noexcept;
  const std::shared_ptr<engine::ClientHome>& home() const noexcept { return home_; }

 private:
  /// `done` is called on the loop when the task has ended, with what it threw; or anywhere, with
  /// the error, when there is no loop any more.
  void start(Task<void> task, std::function<void(std::exception_ptr)> done) const;
  static void check_may_wait();

  /// What a task gives is kept until its coroutine is gone: destructors, before anybody hears.
  template <class T>
  struct Outcome {
    std::promise<T> promise;
    std::optional<T> value;

    void tell() { promise.set_value(std::move(*value)); }
  };
  template <class T>
  static Task<void> keep(Task<T> task, std::shared_ptr<Outcome<T>> outcome) {
    outcome->value.emplace(co_await std::move(task));
  }
  static Task<void> keep(Task<void> task, const std::shared_ptr<Outcome<void>>&) { return task; }

  std::shared_ptr<engine::ClientHome> home_;
};

template <>
struct ClientLoop::Outcome<void> {
  std::promise<void> promise;

  void tell() { promise.set_value(); }
};

template <class T>
std::future<T> ClientLoop::spawn(Task<T> task) const {
  auto outcome = std::make_shared<Outcome<T>>();
  auto result = outcome->promise.get_future();
  start(keep(std::move(task), outcome), [outcome](const std::exception_ptr& error) {
    if (error) {
      outcome->promise.set_exception(error);
    } else {
      outcome->tell();
    }
  });
  return result;
}

template <class T>
T ClientLoop::run(Task<T> task) const {
  check_may_wait();
  return spawn(std::move(task)).get();
}

}  // namespace webshocket

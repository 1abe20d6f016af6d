/// A `Task<T>` or `Stream<T>` with its type forgotten: what an RPC method may return.
#pragma once

#include <coroutine>
#include <exception>
#include <utility>

#include <webshocket/payload.hpp>
#include <webshocket/task.hpp>

namespace webshocket::detail {

/// Where the result of a coroutine goes.
class ResultSink {
 public:
  virtual void value(Payload value) = 0;

 protected:
  ~ResultSink() = default;
};

class Coroutine {
 public:
  virtual ~Coroutine() = default;
  virtual std::coroutine_handle<> handle() noexcept = 0;
  virtual PromiseBase& promise() noexcept = 0;
  virtual bool is_stream() const noexcept = 0;
  /// Of a task that ended: its value. Of a stream that yielded: the chunk. Rethrows what it threw.
  virtual void result(ResultSink& sink) = 0;
};

template <class T>
class TaskCoroutine final : public Coroutine {
 public:
  explicit TaskCoroutine(Task<T> task) noexcept : task_(std::move(task)) {}

  std::coroutine_handle<> handle() noexcept override { return task_.handle(); }
  PromiseBase& promise() noexcept override { return task_.handle().promise(); }
  bool is_stream() const noexcept override { return false; }
  void result(ResultSink& sink) override {
    if constexpr (std::is_void_v<T>) {
      task_.handle().promise().take();
      sink.value(nullptr);
    } else {
      const T value = task_.handle().promise().take();
      sink.value(value);
    }
  }

 private:
  Task<T> task_;
};

template <class T>
class StreamCoroutine final : public Coroutine {
 public:
  explicit StreamCoroutine(Stream<T> stream) noexcept : stream_(std::move(stream)) {}

  std::coroutine_handle<> handle() noexcept override { return stream_.handle(); }
  PromiseBase& promise() noexcept override { return stream_.handle().promise(); }
  bool is_stream() const noexcept override { return true; }
  void result(ResultSink& sink) override {
    auto& promise = stream_.handle().promise();
    if (promise.error) std::rethrow_exception(promise.error);
    sink.value(*promise.current);
  }

 private:
  Stream<T> stream_;
};

}  // namespace webshocket::detail

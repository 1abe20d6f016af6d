#include "interrupts.hpp"

#include <pthread.h>
#include <unistd.h>

#include <csignal>

#include "options.hpp"

namespace wsc {
namespace {

sigset_t only_sigint() noexcept {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  return set;
}

}  // namespace

Interrupts::Interrupts() {
  const sigset_t set = only_sigint();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { watch(); });
}

Interrupts::~Interrupts() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  pthread_kill(thread_.native_handle(), SIGINT);
  thread_.join();
}

std::stop_token Interrupts::next() {
  const std::lock_guard lock(mutex_);
  source_ = std::stop_source();
  return source_.get_token();
}

void Interrupts::watch() {
  const sigset_t set = only_sigint();
  for (;;) {
    int signal = 0;
    sigwait(&set, &signal);
    std::unique_lock lock(mutex_);
    if (ending_) return;
    std::stop_source source = source_;
    lock.unlock();
    if (!source.request_stop()) _exit(static_cast<int>(Status::interrupted));
  }
}

}  // namespace wsc

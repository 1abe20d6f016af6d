/// Ctrl-C as a request to stop.
#pragma once

#include <mutex>
#include <stop_token>
#include <thread>

namespace wsc {

/// While it lives, SIGINT stops what has asked for a token last. A second one, when that has been
/// told already and still does not end, ends the process. Make it before any other thread: those
/// that begin later inherit that signals are not theirs.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  /// For what begins now; the token before it is not stopped any more. Any thread.
  std::stop_token next();

 private:
  void watch();

  std::mutex mutex_;
  std::stop_source source_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace wsc
